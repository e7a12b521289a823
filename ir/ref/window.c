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
