/* Resampling: resize, grid_sample, roi_align. The formulas are those of the ONNX operators. */
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

/* grid: operand of the axis's scale. */
static ResizeAxis resize_axis(RefCall *call, int axis, int operand, bool antialias) {
    const Node *node = call->node;
    const Tensor *grid = ref_operand(call, operand);
    ResizeAxis a = {.node = node,
                    .mode = attr_string(node, "mode"),
                    .coordinates = attr_string(node, "coordinates"),
                    .nearest = attr_string(node, "nearest"),
                    .n = call->in[0]->dims[axis],
                    .m = call->out->dims[axis],
                    .end = 1,
                    .cubic_a = attr_float(node, "cubic_a"),
                    .exclude_outside = attr_bool(node, "exclude_outside"),
                    .antialias = antialias};
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
    ResizeAxis a = resize_axis(call, axis, 1, attr_bool(call->node, "antialias"));
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

/* x[outer, n, inner] resized along its middle axis. */
static double *resize_middle(RefCall *call, const ResizeAxis *a, const double *x, int64_t outer,
                             int64_t inner) {
    double *y = ARENA_ARRAY(&call->scratch, double, (size_t)(outer * a->m * inner));
    bool nearest = !strcmp(a->mode, "nearest");
    for (int64_t i = 0; i < outer * a->m * inner; i++) {
        double at = resize_source(a, i / inner % a->m);
        const double *from = x + i / inner / a->m * a->n * inner + i % inner;
        y[i] = nearest ? from[resize_nearest(a, (double)(float)at) * inner]
                       : resize_sum(a, from, inner, at);
    }
    return y;
}

void ref_resize_plane(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    const double *addend = ref_doubles(call, ref_operand(call, 3)), *v = ref_doubles(call, x);
    int axes[2] = {ref_axis(call, "axis", x->rank), ref_axis(call, "axis2", x->rank)};
    Tensor shape = *x; /* of v */
    for (int i = 0; i < 2; i++) {
        ResizeAxis a = resize_axis(call, axes[i], 1 + i, false);
        RefAxis split = ref_split(&shape, axes[i]);
        if (tensor_count(y) > 0 && a.n == 0) ref_fail(call, TN_E_SHAPE, "an empty axis is resized");
        if (tensor_count(y) > 0) v = resize_middle(call, &a, v, split.outer, split.inner);
        shape.dims[axes[i]] = a.m;
    }
    for (int64_t i = 0; i < tensor_count(y); i++)
        ir_store_f64(y->dtype, y->data, i, v[i] + (addend ? addend[i] : 0));
}

/* --- grid_sample --- */

typedef struct GridAxis {
    int64_t n, first; /* first: index of the first tap */
    int taps;
    double weight[4];
} GridAxis;

static double mirror(double at, double low, double high) {
    if (high <= low) return 0;
    double period = 2 * (high - low), d = fmod(at - low, period);
    if (d < 0) d += period;
    return low + (d <= high - low ? d : period - d);
}

static GridAxis grid_axis(const Node *node, int64_t n, double coordinate) {
    const char *mode = attr_string(node, "mode"), *padding = attr_string(node, "padding");
    bool corners = attr_bool(node, "align_corners");
    double last = (double)n - 1, size = (double)n;
    double at = corners ? (coordinate + 1) / 2 * last : ((coordinate + 1) * size - 1) / 2;
    GridAxis a = {.n = n, .taps = !strcmp(mode, "nearest") ? 1 : !strcmp(mode, "linear") ? 2 : 4};
    if (a.taps == 1) at = rint((double)(float)at);
    if (!strcmp(padding, "border")) at = fmin(fmax(at, 0), last);
    if (!strcmp(padding, "reflection"))
        at = corners ? mirror(at, 0, last) : mirror(at, -0.5, last + 0.5);
    at = at > -9 ? fmin(at, size + 9) : -9;
    double low = floor(at), part = at - low;
    a.first = (int64_t)low - (a.taps == 4);
    for (int k = 0; k < a.taps; k++) {
        double d = fabs((double)(a.first + k) - at), c = -0.75;
        a.weight[k] = a.taps == 1   ? 1
                      : a.taps == 2 ? (k ? part : 1 - part)
                      : d <= 1      ? (c + 2) * d * d * d - (c + 3) * d * d + 1
                                    : c * d * d * d - 5 * c * d * d + 8 * c * d - 4 * c;
    }
    return a;
}

/* Index that tap k reads; -1 for none. */
static int64_t grid_index(const Node *node, const GridAxis *a, int k) {
    const char *padding = attr_string(node, "padding");
    bool corners = attr_bool(node, "align_corners");
    int64_t i = a->first + k, last = a->n - 1;
    if (i >= 0 && i <= last) return i;
    if (!strcmp(padding, "zeros")) return -1;
    if (!strcmp(padding, "reflection"))
        i = (int64_t)(corners ? mirror((double)i, 0, (double)last)
                              : mirror((double)i, -0.5, (double)last + 0.5));
    return i < 0 ? 0 : i < last ? i : last;
}

void ref_grid_sample(RefCall *call) {
    const Tensor *x = call->in[0], *grid = call->in[1];
    Tensor *y = call->out;
    int axes = x->rank - 2;
    double *xs = ref_doubles(call, x), *gs = ref_doubles(call, grid);
    int64_t plane = ref_split(x, 1).inner, places = ref_split(y, 1).inner;
    if (tensor_count(y) > 0 && plane == 0) ref_fail(call, TN_E_SHAPE, "samples of an empty plane");
    for (int64_t i = 0; i < tensor_count(y); i++) {
        int64_t image = i / places, batch = image / x->dims[1], place = i % places;
        GridAxis axis[3];
        int64_t dims[3] = {1, 1, 1};
        for (int a = 0; a < axes; a++) {
            double at = gs[(batch * places + place) * axes + axes - 1 - a];
            axis[a] = grid_axis(call->node, x->dims[2 + a], at);
            dims[a] = axis[a].taps;
        }
        double sum = 0;
        for (RefLoop l = ref_loop(axes, dims); ref_more(&l); ref_step(&l)) {
            int64_t at = 0;
            double weight = 1;
            for (int a = 0; a < axes && at >= 0; a++) {
                int64_t k = grid_index(call->node, &axis[a], (int)l.index[a]);
                at = k < 0 ? -1 : at * axis[a].n + k;
                weight *= axis[a].weight[l.index[a]];
            }
            if (at >= 0) sum += weight * xs[image * plane + at];
        }
        ir_store_f64(y->dtype, y->data, i, sum);
    }
}

/* --- roi_align --- */

typedef struct RegionAxis {
    int64_t extent;
    double start, bin;
    int64_t samples;
} RegionAxis;

static RegionAxis region_axis(const Node *node, int64_t extent, int64_t bins, double begin,
                              double end) {
    bool half = attr_bool(node, "half_pixel");
    double scale = (double)(float)attr_float(node, "scale"), offset = half ? 0.5 : 0;
    RegionAxis a = {.extent = extent, .start = begin * scale - offset};
    double length = end * scale - offset - a.start;
    if (!half && !(length > 1)) length = 1;
    a.bin = length / (double)bins;
    a.samples = attr_int(node, "samples");
    if (a.samples == 0 && a.bin > 0) a.samples = (int64_t)fmin(ceil(a.bin), 1e6);
    if (!isfinite(a.bin) || !isfinite(a.start)) a.samples = 0;
    return a;
}

/* Where sample i of a bin reads: between `low` and the next element; false if outside. */
static bool region_sample(const RegionAxis *a, int64_t bin, int64_t i, int64_t *low, double *part) {
    double at = a->start + (double)bin * a->bin + ((double)i + 0.5) * a->bin / (double)a->samples;
    if (!(at >= -1 && at <= (double)a->extent)) return false;
    at = fmin(fmax(at, 0), (double)a->extent - 1);
    *low = (int64_t)at < a->extent - 2 ? (int64_t)at : a->extent - 2;
    if (*low < 0) *low = 0;
    *part = at - (double)*low;
    return true;
}

/* Sum, or largest tap, of the samples of one bin. */
static double pool_region(const RegionAxis *rows, const RegionAxis *columns, int64_t row,
                          int64_t column, const double *x, bool max) {
    double sum = 0, best = rows->samples > 0 && columns->samples > 0 ? -INFINITY : 0;
    for (int64_t i = 0; i < rows->samples; i++)
        for (int64_t j = 0; j < columns->samples; j++) {
            int64_t y0 = 0, x0 = 0;
            double dy = 0, dx = 0;
            bool inside = region_sample(rows, row, i, &y0, &dy) &&
                          region_sample(columns, column, j, &x0, &dx);
            for (int corner = 0; corner < 4; corner++) {
                int64_t h = y0 + (corner >> 1), v = x0 + (corner & 1);
                double weight = (corner >> 1 ? dy : 1 - dy) * (corner & 1 ? dx : 1 - dx);
                bool there = inside && h < rows->extent && v < columns->extent;
                double value = there ? weight * x[h * columns->extent + v] : 0;
                sum += value;
                best = fmax(best, value);
            }
        }
    int64_t count = rows->samples * columns->samples;
    return max ? best : count > 0 ? sum / (double)count : 0;
}

void ref_roi_align(RefCall *call) {
    const Tensor *x = call->in[0], *batch = call->in[2];
    Tensor *y = call->out;
    double *xs = ref_doubles(call, x), *regions = ref_doubles(call, call->in[1]);
    RefLoop l = ref_loop(4, y->dims);
    for (; ref_more(&l); ref_step(&l)) {
        const double *r = regions + 4 * l.index[0];
        int64_t image = ir_element_i64(batch->dtype, batch->data, l.index[0]);
        if (image < 0 || image >= x->dims[0] || x->dims[2] == 0 || x->dims[3] == 0)
            ref_fail(call, TN_E_SHAPE, "image %lld of %lld", (long long)image,
                     (long long)x->dims[0]);
        RegionAxis rows = region_axis(call->node, x->dims[2], y->dims[2], r[1], r[3]);
        RegionAxis columns = region_axis(call->node, x->dims[3], y->dims[3], r[0], r[2]);
        const double *plane = xs + (image * x->dims[1] + l.index[1]) * x->dims[2] * x->dims[3];
        ir_store_f64(y->dtype, y->data, l.count,
                     pool_region(&rows, &columns, l.index[2], l.index[3], plane,
                                 attr_bool(call->node, "max")));
    }
}
