/* Resampling: resize. The formulas are those of the ONNX operator Resize, for one axis. */
#include "ir/ref/ref.h"

#include <math.h>
#include <string.h>

typedef struct ResizeAxis {
    const Node *node;
    const char *mode, *coordinates, *nearest;
    int64_t n, m;
    double scale, length; /* length: scale n, not rounded */
    double begin, end, cubic_a;
    bool exclude_outside, antialias;
} ResizeAxis;

static ResizeAxis resize_axis(RefCall *call, int axis) {
    const Node *node = call->node;
    const Tensor *grid = ref_operand(call, 1);
    ResizeAxis a = {.node = node,
                    .mode = attr_string(node, "mode"),
                    .coordinates = attr_string(node, "coordinates"),
                    .nearest = attr_string(node, "nearest"),
                    .n = call->in[0]->dims[axis],
                    .m = call->out->dims[axis],
                    .end = 1,
                    .cubic_a = attr_float(node, "cubic_a"),
                    .exclude_outside = attr_bool(node, "exclude_outside"),
                    .antialias = attr_bool(node, "antialias")};
    double given = grid ? ir_element_f64(grid->dtype, grid->data, 0) : 0;
    bool usable = given > 0 && isfinite(given);
    a.scale = usable ? given : (double)a.m / (double)a.n;
    a.length = usable ? given * (double)a.n : (double)a.m;
    if (grid) {
        a.begin = ir_element_f64(grid->dtype, grid->data, 1);
        a.end = ir_element_f64(grid->dtype, grid->data, 2);
    }
    return a;
}

static double resize_source(const ResizeAxis *a, int64_t j) {
    const char *c = a->coordinates;
    double span = (double)a->n - 1;
    double center = ((double)j + 0.5) * (double)a->n / a->length;
    if (!strcmp(c, "asymmetric")) return (double)j * (double)a->n / a->length;
    if (!strcmp(c, "tf_half_pixel_for_nn")) return center;
    if (!strcmp(c, "align_corners")) return a->length == 1 ? 0 : (double)j * span / (a->length - 1);
    if (!strcmp(c, "crop"))
        return a->begin * span +
               (a->end - a->begin) * span * (a->length == 1 ? 0.5 : (double)j / (a->length - 1));
    if (!strcmp(c, "pytorch_half_pixel") && a->length == 1) return -0.5;
    if (!strcmp(c, "half_pixel_symmetric"))
        center += (double)a->n / 2 * (1 - (double)a->m / a->length);
    return center - 0.5;
}

static int64_t resize_edge(const ResizeAxis *a, double at) {
    return at >= 0 ? at < (double)a->n ? (int64_t)at : a->n - 1 : 0;
}

static int64_t resize_nearest(const ResizeAxis *a, double at) {
    double low = floor(at), part = at - low;
    bool up = !strcmp(a->nearest, "ceil")                ? part > 0
              : !strcmp(a->nearest, "round_prefer_ceil") ? part >= 0.5
              : !strcmp(a->nearest, "floor")             ? false
                                                         : part > 0.5;
    return resize_edge(a, low + up);
}

static double resize_weight(const ResizeAxis *a, double distance) {
    double d = fabs(distance), c = a->cubic_a;
    if (a->antialias && a->scale < 1) d *= a->scale;
    if (!strcmp(a->mode, "linear")) return d < 1 ? 1 - d : 0;
    if (d <= 1) return (c + 2) * d * d * d - (c + 3) * d * d + 1;
    return d < 2 ? c * d * d * d - 5 * c * d * d + 8 * c * d - 4 * c : 0;
}

/* The result at `at` from n elements that are `step` apart. */
static double resize_sum(const ResizeAxis *a, const double *x, int64_t step, double at) {
    double wide = a->antialias && a->scale < 1 ? 1 / a->scale : 1, sum = 0, total = 0;
    int64_t reach = (int64_t)ceil(2 * wide), middle = (int64_t)floor(at);
    for (int64_t i = middle - reach; i <= middle + reach + 1; i++) {
        double weight = resize_weight(a, (double)i - at);
        if (weight == 0 || (a->exclude_outside && (i < 0 || i >= a->n))) continue;
        sum += weight * x[resize_edge(a, (double)i) * step];
        total += weight;
    }
    return (a->exclude_outside || wide > 1) && total != 0 ? sum / total : sum;
}

void ref_resize(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    int axis = ref_axis(call, "axis", x->rank);
    ResizeAxis a = resize_axis(call, axis);
    RefAxis from = ref_split(x, axis);
    size_t size = tn_dtype_size(x->dtype);
    double *xs = tn_is_float(x->dtype) ? ref_doubles(call, x) : NULL;
    if (tensor_count(y) > 0 && a.n == 0) ref_fail(call, TN_E_SHAPE, "an empty axis is resized");
    for (int64_t i = 0; i < tensor_count(y); i++) {
        int64_t j = i / from.inner % a.m, row = i / from.inner / a.m;
        int64_t start = row * a.n * from.inner + i % from.inner;
        double at = resize_source(&a, j), near = (double)(float)at, last = (double)a.n - 1;
        Scalar v = {.f = attr_float(call->node, "outside")};
        if (!strcmp(a.coordinates, "crop") && !(near >= 0 && near <= last))
            scalar_store(y->dtype, y->data, i, scalar_convert(TN_F64, y->dtype, v));
        else if (!strcmp(a.mode, "nearest"))
            memcpy((char *)y->data + (size_t)i * size,
                   (char *)x->data + (size_t)(start + resize_nearest(&a, near) * from.inner) * size,
                   size);
        else
            ir_store_f64(y->dtype, y->data, i, resize_sum(&a, xs + start, from.inner, at));
    }
}
