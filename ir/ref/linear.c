/* Products: matmul, conv, linear, qkv. Sums run in double, of integers modulo 2^64. */
#include "ir/ref/ref.h"

/* c[m, n] += a[m, k] b[k, n] */
static void multiply(double *restrict c, const double *a, const double *restrict b, int64_t m,
                     int64_t n, int64_t k) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++) {
            double x = a[i * k + l];
            for (int64_t j = 0; j < n; j++) c[i * n + j] += x * b[l * n + j];
        }
}

/* All elements, in scratch; the last two axes exchanged if so wanted. */
static double *matrices(RefCall *call, const Tensor *t, bool transposed) {
    double *d = ref_doubles(call, t);
    if (!transposed) return d;
    int64_t rows = t->dims[t->rank - 2], columns = t->dims[t->rank - 1], n = tensor_count(t);
    double *e = ARENA_ARRAY(&call->scratch, double, (size_t)n);
    for (int64_t at = 0; at < n; at += rows * columns)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) e[at + j * rows + i] = d[at + i * columns + j];
    return e;
}

/* --- matmul --- */

typedef struct MatmulDims {
    int64_t m, n, k;
    int64_t a_width, b_width; /* columns as stored */
    bool ta, tb;
} MatmulDims;

static MatmulDims matmul_dims(RefCall *call) {
    const Tensor *a = call->in[0], *b = call->in[1], *y = call->out;
    MatmulDims d = {.ta = attr_bool(call->node, "ta"), .tb = attr_bool(call->node, "tb")};
    d.m = y->dims[y->rank - 2];
    d.n = y->dims[y->rank - 1];
    d.k = a->dims[a->rank - (d.ta ? 2 : 1)];
    d.a_width = a->dims[a->rank - 1];
    d.b_width = b->dims[b->rank - 1];
    return d;
}

static void matmul_floats(RefCall *call, MatmulDims d, RefLoop l) {
    double *a = matrices(call, call->in[0], d.ta), *b = matrices(call, call->in[1], d.tb);
    Tensor *y = call->out;
    double *c = ARENA_ARRAY(&call->scratch, double, (size_t)tensor_count(y));
    for (; ref_more(&l); ref_step(&l))
        multiply(c + l.count * d.m * d.n, a + l.at[0] * d.m * d.k, b + l.at[1] * d.k * d.n, d.m,
                 d.n, d.k);
    for (int64_t i = 0; i < tensor_count(y); i++) ir_store_f64(y->dtype, y->data, i, c[i]);
}

static int64_t dot_integers(RefCall *call, MatmulDims d, int64_t a, int64_t b, int64_t i,
                            int64_t j) {
    const Tensor *x = call->in[0], *w = call->in[1];
    uint64_t sum = 0;
    for (int64_t l = 0; l < d.k; l++) {
        int64_t at = a + (d.ta ? l * d.a_width + i : i * d.a_width + l);
        int64_t bt = b + (d.tb ? j * d.b_width + l : l * d.b_width + j);
        sum += (uint64_t)ir_element_i64(x->dtype, x->data, at) *
               (uint64_t)ir_element_i64(w->dtype, w->data, bt);
    }
    return (int64_t)sum;
}

/* The loop runs over the batch axes; the operands follow it in matrices. */
void ref_matmul(RefCall *call) {
    const Tensor *a = call->in[0], *b = call->in[1];
    Tensor *y = call->out;
    MatmulDims d = matmul_dims(call);
    RefLoop l = ref_loop(y->rank - 2, y->dims);
    ref_follow(&l, a->rank - 2, a->dims);
    ref_follow(&l, b->rank - 2, b->dims);
    if (tn_is_float(y->dtype)) {
        matmul_floats(call, d, l);
        return;
    }
    for (; ref_more(&l); ref_step(&l))
        for (int64_t i = 0; i < d.m; i++)
            for (int64_t j = 0; j < d.n; j++) {
                int64_t v = dot_integers(call, d, l.at[0] * d.m * d.k, l.at[1] * d.k * d.n, i, j);
                ir_store_i64(y->dtype, y->data, (l.count * d.m + i) * d.n + j, v);
            }
}

static int64_t zero_at(const Tensor *t, int64_t at) {
    return t ? ir_element_i64(t->dtype, t->data, at) : 0;
}

/* The loop runs over all of the result. */
void ref_matmul_int(RefCall *call) {
    const Tensor *a = call->in[0], *b = call->in[1], *za = ref_operand(call, 2),
                 *zb = ref_operand(call, 3);
    Tensor *y = call->out;
    int64_t rows[TN_MAX_RANK], columns[TN_MAX_RANK], k = a->dims[a->rank - 1];
    for (int i = 0; i < a->rank; i++) rows[i] = i == a->rank - 1 ? 1 : a->dims[i];
    for (int i = 0; i < b->rank; i++) columns[i] = i == b->rank - 2 ? 1 : b->dims[i];
    RefLoop l = ref_loop(y->rank, y->dims);
    ref_follow(&l, a->rank, rows);
    ref_follow(&l, b->rank, columns);
    if (za) ref_follow(&l, za->rank, za->dims);
    if (zb) ref_follow(&l, zb->rank, zb->dims);
    int64_t n = b->dims[b->rank - 1];
    for (; ref_more(&l); ref_step(&l)) {
        int64_t sum = 0, j = n ? l.at[1] % n : 0, block = l.at[1] - j;
        for (int64_t i = 0; i < k; i++)
            sum += (ir_element_i64(a->dtype, a->data, l.at[0] * k + i) - zero_at(za, l.at[2])) *
                   (ir_element_i64(b->dtype, b->data, block * k + i * n + j) -
                    zero_at(zb, l.at[za ? 3 : 2]));
        ir_store_i64(TN_I32, y->data, l.count, sum);
    }
}

/* --- products with constants --- */

/* x w + b in double, in scratch: rows x n. */
static double *product(RefCall *call, const Tensor *x, const Tensor *w, const Tensor *b, bool tb) {
    int64_t k = x->dims[x->rank - 1], n = w->dims[tb ? 0 : 1];
    int64_t rows = ref_split(x, x->rank - 1).outer;
    double *xs = ref_doubles(call, x), *ws = matrices(call, w, tb), *bs = ref_doubles(call, b);
    double *c = ARENA_ARRAY(&call->scratch, double, (size_t)(rows * n));
    for (int64_t i = 0; bs && i < rows * n; i++) c[i] = bs[i % n];
    multiply(c, xs, ws, rows, n, k);
    return c;
}

static double activate(const char *act, double x) {
    if (act[0] == 'n') return x; /* none */
    return scalar_apply(ir_op_find(act), TN_F64, &(Scalar){.f = x}).f;
}

/* Result number `at`, whose sum with the bias is v; residual: in double, or NULL. */
static void store_ended(RefCall *call, int64_t at, double v, const double *residual) {
    const char *act = attr_string(call->node, "act");
    if (residual && attr_bool(call->node, "residual_first"))
        v = activate(act, v + residual[at]);
    else
        v = activate(act, v) + (residual ? residual[at] : 0);
    ir_store_f64(call->out->dtype, call->out->data, at, v);
}

void ref_linear(RefCall *call) {
    double *residual = ref_doubles(call, ref_operand(call, 3));
    double *c =
        product(call, call->in[0], call->in[1], ref_operand(call, 2), attr_bool(call->node, "tb"));
    for (int64_t i = 0; i < tensor_count(call->out); i++) store_ended(call, i, c[i], residual);
}

/* The columns of all products, one after another, are dealt out to the results by their widths. */
void ref_qkv(RefCall *call) {
    const Tensor *x = call->in[0];
    int parts = (int)attr_int(call->node, "parts"), out = 0;
    int64_t rows = ref_split(x, x->rank - 1).outer, filled = 0;
    bool tb = attr_bool(call->node, "tb");
    for (int p = 0; p < parts; p++) {
        const Tensor *w = call->in[1 + p];
        int64_t n = w->dims[tb ? 0 : 1];
        double *c = product(call, x, w, ref_operand(call, 1 + parts + p), tb);
        for (int64_t j = 0; j < n; j++, filled++) {
            while (filled == call->out[out].dims[x->rank - 1]) {
                out++;
                filled = 0;
            }
            Tensor *y = &call->out[out];
            int64_t width = y->dims[x->rank - 1];
            for (int64_t i = 0; i < rows; i++)
                ir_store_f64(y->dtype, y->data, i * width + filled, c[i * n + j]);
        }
    }
}

/* --- conv --- */

/* x[b, c, in..], w[o, c / groups, kernel..], bias[o]; pads: all begins, then all ends. */
static double conv_at(const RefCall *call, const double *x, const double *w, const RefLoop *out,
                      RefLoop kernel) {
    const Tensor *xt = call->in[0], *wt = call->in[1];
    const IntList *strides = attr_ints(call->node, "strides");
    const IntList *pads = attr_ints(call->node, "pads");
    const IntList *dilations = attr_ints(call->node, "dilations");
    int64_t per_group = wt->dims[1];
    int64_t outputs = wt->dims[0] / attr_int(call->node, "groups");
    int64_t o = out->index[1], first = o / outputs * per_group;
    double sum = 0;
    for (; ref_more(&kernel); ref_step(&kernel)) {
        int64_t at = out->index[0] * xt->dims[1] + first + kernel.index[0];
        bool inside = true;
        for (int i = 0; i < xt->rank - 2 && inside; i++) {
            int64_t place = out->index[2 + i] * strides->v[i] - pads->v[i] +
                            kernel.index[1 + i] * dilations->v[i];
            inside = place >= 0 && place < xt->dims[2 + i];
            at = at * xt->dims[2 + i] + place;
        }
        if (inside) sum += x[at] * w[o * kernel.total + kernel.count];
    }
    return sum;
}

void ref_conv(RefCall *call) {
    const Tensor *w = call->in[1];
    Tensor *y = call->out;
    int64_t groups = attr_int(call->node, "groups");
    if (w->dims[0] % groups != 0)
        ref_fail(call, TN_E_SHAPE, "%lld output channels in %lld groups", (long long)w->dims[0],
                 (long long)groups);
    double *x = ref_doubles(call, call->in[0]), *ws = ref_doubles(call, w);
    double *bias = ref_doubles(call, ref_operand(call, 2)),
           *residual = ref_doubles(call, ref_operand(call, 3));
    RefLoop kernel = ref_loop(w->rank - 1, w->dims + 1);
    for (RefLoop l = ref_loop(y->rank, y->dims); ref_more(&l); ref_step(&l))
        store_ended(call, l.count, conv_at(call, x, ws, &l, kernel) + (bias ? bias[l.index[1]] : 0),
                    residual);
}
