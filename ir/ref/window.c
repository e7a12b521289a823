/* Operators that slide a window over the spatial axes of x[b, c, ..]. */
#include "ir/ref/ref.h"

#include <math.h>
#include <string.h>

/* --- pool --- */

typedef struct Pool {
    RefCall *call;
    int spatial;
    const int64_t *kernel, *strides, *dilations;
    int64_t begins[TN_MAX_RANK], ends[TN_MAX_RANK];
    double p;
    char mode;
} Pool;

static Pool pool_of(RefCall *call) {
    const Node *n = call->node;
    const DimList *begins = attr_dims(n, "begins"), *ends = attr_dims(n, "ends");
    Pool p = {.call = call,
              .spatial = call->in[0]->rank - 2,
              .kernel = attr_ints(n, "kernel")->v,
              .strides = attr_ints(n, "strides")->v,
              .dilations = attr_ints(n, "dilations")->v,
              .p = attr_float(n, "p"),
              .mode = attr_string(n, "mode")[0]};
    for (int i = 0; i < p.spatial; i++) {
        p.begins[i] = ref_expr(call, begins->e[i]);
        p.ends[i] = ref_expr(call, ends->e[i]);
    }
    return p;
}

/* Where a tap falls: inside x, with its offset in the plane in *at; in the padding; or beyond. */
typedef enum Where { INSIDE, PADDING, BEYOND } Where;

static Where locate(const Pool *p, const RefLoop *out, const RefLoop *tap, int64_t *at) {
    const int64_t *dims = p->call->in[0]->dims + 2;
    Where where = INSIDE;
    *at = 0;
    for (int i = 0; i < p->spatial; i++) {
        int64_t place =
            out->index[2 + i] * p->strides[i] + tap->index[i] * p->dilations[i] - p->begins[i];
        if (place >= dims[i] + p->ends[i]) return BEYOND;
        if (place < 0 || place >= dims[i]) where = PADDING;
        *at = *at * dims[i] + place;
    }
    return where;
}

/* The number of an offset when the first axis counts fastest. */
static int64_t by_columns(const Pool *p, int64_t at) {
    const int64_t *dims = p->call->in[0]->dims + 2;
    int64_t column = 0;
    for (int i = p->spatial - 1; i >= 0; at /= dims[i--]) {
        int64_t step = 1;
        for (int k = 0; k < i; k++) step *= dims[k];
        column += at % dims[i] * step;
    }
    return column;
}

/* One window of the plane that starts at element `plane`; *place: of its largest element. */
static double pool_at(const Pool *p, const double *x, int64_t plane, const RefLoop *out,
                      int64_t *place) {
    bool count_pads = attr_bool(p->call->node, "count_pads");
    double sum = 0, largest = -INFINITY;
    int64_t count = 0, at;
    *place = -1;
    for (RefLoop tap = ref_loop(p->spatial, p->kernel); ref_more(&tap); ref_step(&tap)) {
        Where where = locate(p, out, &tap, &at);
        count += where == INSIDE || (where == PADDING && count_pads);
        if (where != INSIDE) continue;
        double v = x[plane + at];
        if (*place < 0 || v > largest || (isnan(v) && !isnan(largest))) {
            largest = v;
            *place = at;
        }
        sum += p->mode == 'l' ? pow(fabs(v), p->p) : v;
    }
    return p->mode == 'm' ? largest : p->mode == 'a' ? sum / (double)count : pow(sum, 1 / p->p);
}

static double lowest(TnDType t) {
    if (tn_is_float(t)) return -INFINITY;
    return tn_dtype_class(t) == TN_CLASS_INT ? -ldexp(1, 8 * (int)tn_dtype_size(t) - 1) : 0;
}

void ref_pool(RefCall *call) {
    const Tensor *t = call->in[0];
    Tensor *y = call->out;
    Pool p = pool_of(call);
    bool columns = strcmp(attr_string(call->node, "places"), "columns") == 0;
    double *x = ref_doubles(call, t);
    int64_t area = 1, place;
    for (int i = 2; i < t->rank; i++) area *= t->dims[i];
    for (RefLoop l = ref_loop(y->rank, y->dims); ref_more(&l); ref_step(&l)) {
        int64_t plane = (l.index[0] * t->dims[1] + l.index[1]) * area;
        double v = pool_at(&p, x, plane, &l, &place);
        bool none = p.mode == 'm' && place < 0;
        Scalar s = scalar_convert(TN_F64, y->dtype, (Scalar){.f = none ? lowest(y->dtype) : v});
        scalar_store(y->dtype, y->data, l.count, s);
        if (call->n_out < 2) continue;
        int64_t number = none ? 0 : plane + (columns ? by_columns(&p, place) : place);
        ir_store_i64(TN_I64, call->out[1].data, l.count, number);
    }
}

/* --- columns --- */

void ref_col2im(RefCall *call) {
    const Node *n = call->node;
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    int spatial = y->rank - 2;
    const int64_t *strides = attr_ints(n, "strides")->v, *dilations = attr_ints(n, "dilations")->v;
    const DimList *begins = attr_dims(n, "begins");
    double *from = ref_doubles(call, x);
    double *sum = ARENA_ARRAY(&call->scratch, double, (size_t)tensor_count(y));
    for (RefLoop l = ref_loop(x->rank, x->dims); ref_more(&l); ref_step(&l)) {
        int64_t at = l.index[0] * x->dims[1] + l.index[1];
        bool inside = true;
        for (int i = 0; i < spatial; i++) {
            int64_t place = l.index[2 + spatial + i] * strides[i] + l.index[2 + i] * dilations[i] -
                            ref_expr(call, begins->e[i]);
            inside = inside && place >= 0 && place < y->dims[2 + i];
            at = at * y->dims[2 + i] + place;
        }
        if (inside) sum[at] += from[l.count];
    }
    for (int64_t i = 0; i < tensor_count(y); i++) ir_store_f64(y->dtype, y->data, i, sum[i]);
}

/* An element of the plane, 0 outside. */
static double element_or_zero(const double *plane, const int64_t *dims, double row, double column) {
    bool inside = row >= 0 && column >= 0 && row < (double)dims[0] && column < (double)dims[1];
    return inside ? plane[(int64_t)row * dims[1] + (int64_t)column] : 0;
}

static double bilinear(const double *plane, const int64_t *dims, double row, double column) {
    double r = floor(row), c = floor(column), down = row - r, right = column - c;
    bool near = row > -1 && column > -1 && row < (double)dims[0] && column < (double)dims[1];
    if (!near) return 0;
    return (1 - down) * (1 - right) * element_or_zero(plane, dims, r, c) +
           (1 - down) * right * element_or_zero(plane, dims, r, c + 1) +
           down * (1 - right) * element_or_zero(plane, dims, r + 1, c) +
           down * right * element_or_zero(plane, dims, r + 1, c + 1);
}

void ref_deform_columns(RefCall *call) {
    const Node *n = call->node;
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    const int64_t *strides = attr_ints(n, "strides")->v, *dilations = attr_ints(n, "dilations")->v;
    const int64_t *begins = attr_ints(n, "begins")->v, *kernel = attr_ints(n, "kernel")->v;
    int64_t groups = attr_int(n, "groups"), area = y->dims[4] * y->dims[5];
    int64_t taps = kernel[0] * kernel[1], plane = x->dims[2] * x->dims[3];
    double *xs = ref_doubles(call, x), *offset = ref_doubles(call, call->in[1]);
    double *mask = ref_doubles(call, ref_operand(call, 2));
    for (RefLoop l = ref_loop(6, y->dims); ref_more(&l); ref_step(&l)) {
        int64_t group = l.index[1] * groups / x->dims[1];
        int64_t tap = (l.index[0] * groups + group) * taps + l.index[2] * kernel[1] + l.index[3];
        int64_t at = l.index[4] * y->dims[5] + l.index[5];
        double place[2];
        for (int i = 0; i < 2; i++)
            place[i] =
                (double)(l.index[4 + i] * strides[i] + l.index[2 + i] * dilations[i] - begins[i]) +
                offset[(2 * tap + i) * area + at];
        double v = bilinear(xs + (l.index[0] * x->dims[1] + l.index[1]) * plane, x->dims + 2,
                            place[0], place[1]);
        ir_store_f64(y->dtype, y->data, l.count, mask ? v * mask[tap * area + at] : v);
    }
}
