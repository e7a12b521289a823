/* Extent rules: do the real dims of an instruction's operands fit together? One rule per name in
 * instrs.def, run at prepare, before the kernel's plan function sees the operands.
 *
 * What holds already: ranks <= 8, dims >= 0, element types and layouts, no view leaves its buffer,
 * strides >= 0. A product of an operand's dims, empty axes counted as 1, is at most
 * TN_MAX_ELEMENTS. Rules add which dims are equal, which operands must be dense in their last axis,
 * and that the innermost steps of an instruction are at most TN_MAX_LOOPS, so that kernels may
 * multiply dims without care. An absent operand has element type TN_NONE.
 *
 * Broadcast operands either have dims equal to the result's under strides of 0, or, where a rule
 * says `broadcast`, extents of 1 and missing leading axes. */
#include "runtime/extents.h"

#include "runtime/pack.h"

/* The columns of c may be heads, [.., h, d] for n = h d: then nothing is added to it. */
bool extent_gemm(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *a = input(c, 0), *b = input(c, 1), *bias = input(c, 2), *residual = input(c, 3),
                   *y = output(c, 0);
    bool heads = !residual && y->rank == a->rank + 1;
    if (a->rank < 1 || (a->rank != y->rank && !heads))
        return misfit_pair(&w, "ranks of a and c", a, y);
    int last = a->rank - 1;
    for (int i = 0; i < last; i++)
        if (a->dims[i] != y->dims[i]) return misfit_pair(&w, "rows of a and c", a, y);
    if (a->dims[last] != b->dims[0]) return misfit_pair(&w, "inner dims of a and b", a, b);
    int64_t columns = heads ? y->dims[last] * y->dims[last + 1] : y->dims[last];
    if (columns != b->dims[1]) return misfit_pair(&w, "columns of b and c", b, y);
    if (!last_axis_dense(&w, a, "a") || !last_axis_dense(&w, y, "c")) return false;
    if (bias && !is_vector(&w, bias, b->dims[1], "bias")) return false;
    if (residual && !(same_dims(&w, residual, y, "residual and c") &&
                      last_axis_dense(&w, residual, "residual")))
        return false;
    return loops_ok(&w, (int64_t[]){product(a, 0, last), b->dims[0], b->dims[1]}, 3);
}

bool extent_matmul(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *a = input(c, 0), *b = input(c, 1), *y = output(c, 0);
    int r = y->rank;
    if (r < 2 || a->rank != r || b->rank != r) return misfit_pair(&w, "ranks of a and b", a, b);
    for (int i = 0; i < r - 2; i++)
        if (a->dims[i] != y->dims[i] || b->dims[i] != y->dims[i])
            return misfit_pair(&w, "batch axes of a and b", a, b);
    if (a->dims[r - 1] != b->dims[r - 2]) return misfit_pair(&w, "inner dims of a and b", a, b);
    if (a->dims[r - 2] != y->dims[r - 2]) return misfit_pair(&w, "rows of a and c", a, y);
    if (b->dims[r - 1] != y->dims[r - 1]) return misfit_pair(&w, "columns of b and c", b, y);
    return loops_ok(&w, (int64_t[]){product(a, 0, r - 1), a->dims[r - 1], b->dims[r - 1]}, 3);
}

/* a[.., m, k] and c[.., m, n] beside a packed b[k, n]. */
static bool fits_packed(const TnCall *c, const Why *w) {
    const TnTensor *a = input(c, 0), *b = input(c, 1), *y = output(c, 0);
    int last = y->rank - 1;
    if (last < 1 || a->rank != y->rank) return misfit_pair(w, "ranks of a and c", a, y);
    for (int i = 0; i < last; i++)
        if (a->dims[i] != y->dims[i]) return misfit_pair(w, "rows of a and c", a, y);
    if (a->dims[last] != b->dims[0]) return misfit_pair(w, "inner dims of a and b", a, b);
    if (y->dims[last] != b->dims[1]) return misfit_pair(w, "columns of b and c", b, y);
    return loops_ok(w, (int64_t[]){product(a, 0, last), b->dims[0], b->dims[1]}, 3);
}

bool extent_matmul_int(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *zeros[] = {input(c, 2), input(c, 3)}, *y = output(c, 0);
    int r = y->rank;
    bool packed = input(c, 1)->layout != TN_LAYOUT_STRIDED;
    if (packed ? !fits_packed(c, &w) : !extent_matmul(c, why, why_size)) return false;
    for (int k = 0; k < 2; k++) {
        if (!zeros[k]) continue;
        if (zeros[k]->rank != r) return misfit_pair(&w, "ranks of zero points and c", zeros[k], y);
        for (int i = 0; i < r; i++)
            if (zeros[k]->dims[i] != (i == r - 1 - k ? 1 : y->dims[i]))
                return misfit_pair(&w, "zero points and c", zeros[k], y);
    }
    for (int i = 0; packed && zeros[1] && i < r - 2; i++)
        if (zeros[1]->strides[i] && zeros[1]->dims[i] > 1)
            return misfit(&w, "packed columns with several zero points each");
    return true;
}

/* Packed keys: `starts` has a row more than there are batch entries, none of which has more keys
 * than scalar 1 says. The scores of an entry are for b, h, s, t = scores[0..3]. */
static bool packed_keys(const Why *w, const TnCall *c, int64_t *scores) {
    const TnTensor *q = input(c, 0), *k = input(c, 1), *starts = input(c, 7);
    bool packed = ((const ParamsAttention *)c->params)->flags & TN_ATTENTION_PACKED;
    if (!starts) return true;
    if (starts->rank != 1 || starts->dims[0] < 1) return misfit(w, "starts must be [b + 1]");
    if (!last_axis_dense(w, starts, "starts")) return false;
    scores[0] = starts->dims[0] - 1;
    scores[3] = c->scalars[1];
    if (packed && q->dims[1] != k->dims[1]) return misfit_pair(w, "packed queries and keys", q, k);
    if (packed) scores[2] = scores[3];
    if (scores[3] < 0 || scores[3] > TN_MAX_ELEMENTS)
        return misfit(w, "entries of up to %" PRId64 " keys", scores[3]);
    return q->dims[0] == (packed ? 1 : scores[0]) ||
           misfit(w, "queries of %" PRId64 " entries, keys of %" PRId64, q->dims[0], scores[0]);
}

bool extent_attention(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *q = input(c, 0), *k = input(c, 1), *v = input(c, 2), *o = output(c, 0);
    const TnTensor *key_mask = input(c, 3), *query_mask = input(c, 4);
    if (q->rank != 4 || k->rank != 4 || v->rank != 4 || o->rank != 4)
        return misfit(&w, "q, k, v and o must have rank 4");
    int64_t b = q->dims[0], s = q->dims[1], h = q->dims[2], d = q->dims[3];
    int64_t t = k->dims[1], g = k->dims[2], e = v->dims[3];
    int64_t entries = input(c, 7) ? 1 : b, scores[4] = {b, h, s, t};
    if (!has_dims(&w, k, 4, (int64_t[]){entries, t, g, d}, "k and [b, t, g, d]") ||
        !has_dims(&w, v, 4, (int64_t[]){entries, t, g, e}, "v and [b, t, g, e]") ||
        !has_dims(&w, o, 4, (int64_t[]){b, s, h, e}, "o and [b, s, h, e]") ||
        !packed_keys(&w, c, scores))
        return false;
    if (h > 0 && (g == 0 || h % g))
        return misfit(&w, "%" PRId64 " key heads do not divide %" PRId64 " heads", g, h);
    if (key_mask && !has_dims(&w, key_mask, 2, (int64_t[]){entries, t}, "key_mask and [b, t]"))
        return false;
    if (query_mask && !has_dims(&w, query_mask, 2, (int64_t[]){b, s}, "query_mask and [b, s]"))
        return false;
    for (int i = 5; i < 7; i++) {
        const TnTensor *bias = input(c, i);
        if (!bias) continue;
        int64_t p = bias->dims[0]; /* after which the bias begins again */
        int64_t distances = scores[2] + scores[3] + 1;
        bool line = bias->rank == 4 && bias->dims[3] == distances;
        if (line ? !has_dims(&w, bias, 4, (int64_t[]){p, h, 1, distances},
                             "bias and [p, h, 1, s + t + 1]")
                 : !has_dims(&w, bias, 4, (int64_t[]){p, h, scores[2], scores[3]},
                             "bias and [p, h, s, t]"))
            return false;
        if (scores[0] > 0 && (p == 0 || scores[0] % p))
            return misfit(&w, "a bias for %" PRId64 " of %" PRId64 " batch entries", p, scores[0]);
    }
    if (!last_axis_dense(&w, q, "q") || !last_axis_dense(&w, k, "k") ||
        !last_axis_dense(&w, v, "v") || !last_axis_dense(&w, o, "o"))
        return false;
    if (c->scalars[0] > TN_MAX_ELEMENTS || c->scalars[0] < -TN_MAX_ELEMENTS)
        return misfit(&w, "offset %" PRId64, c->scalars[0]);
    const ParamsAttention *p = c->params;
    if (p->flags & TN_ATTENTION_BAND && (c->scalars[1] < 0 || c->scalars[1] > t))
        return misfit(&w, "%" PRId64 " sinks of %" PRId64 " keys", c->scalars[1], t);
    return loops_ok(&w, (int64_t[]){scores[0], h, scores[2], scores[3], d > e ? d : e}, 5) &&
           loops_ok(&w, (int64_t[]){b, h, s, scores[3], d > e ? d : e}, 5);
}

bool extent_same(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    return same_dims(&w, input(c, 0), output(c, 0), "x and y");
}

bool extent_norm(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *residual = input(c, 1), *gamma = input(c, 2),
                   *beta = input(c, 3);
    const TnTensor *y = output(c, 0), *s = output(c, 1);
    if (x->rank < 1) return misfit(&w, "x has no axis");
    int64_t n = x->dims[x->rank - 1];
    if (!same_dims(&w, x, y, "x and y") || !last_axis_dense(&w, x, "x") ||
        !last_axis_dense(&w, y, "y"))
        return false;
    if (residual) {
        if (!broadcasts(&w, residual, x, "residual and x") ||
            !last_axis_dense(&w, residual, "residual"))
            return false;
        if (residual->rank < 1 || residual->dims[residual->rank - 1] != n)
            return misfit_pair(&w, "last axes of residual and x", residual, x);
    }
    if (gamma && !is_vector(&w, gamma, n, "gamma")) return false;
    if (beta && !is_vector(&w, beta, n, "beta")) return false;
    return !s || (same_dims(&w, x, s, "x and s") && last_axis_dense(&w, s, "s"));
}

bool extent_group_norm(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGroupNorm *p = c->params;
    const TnTensor *x = input(c, 0), *gamma = input(c, 1), *beta = input(c, 2);
    if (x->rank < 2) return misfit(&w, "x has no channels");
    int64_t n = x->dims[x->rank - 1];
    if (!same_dims(&w, x, output(c, 0), "x and y") || !last_axis_dense(&w, x, "x") ||
        !last_axis_dense(&w, output(c, 0), "y"))
        return false;
    if (n % (int64_t)p->groups)
        return misfit(&w, "%u groups of %" PRId64 " channels", p->groups, n);
    if (gamma && !is_vector(&w, gamma, n, "gamma")) return false;
    return !beta || is_vector(&w, beta, n, "beta");
}

/* A table has a row per row of x, or one for all along an axis. */
static bool is_rotary_table(const Why *w, const TnTensor *t, const TnTensor *x, int64_t width,
                            const char *name) {
    int last = x->rank - 1;
    bool fits = t->rank == x->rank && (t->dims[last] == width || t->dims[last] == width / 2);
    for (int i = 0; fits && i < last; i++) fits = t->dims[i] == 1 || t->dims[i] == x->dims[i];
    return (fits && last_axis_dense(w, t, name)) || misfit_pair(w, name, t, x);
}

bool extent_rotary(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsRotary *p = c->params;
    const TnTensor *x = input(c, 0), *cos = input(c, 1), *sin = input(c, 2), *y = output(c, 0);
    if (x->rank < 1) return misfit(&w, "x has no axis");
    int64_t width = p->width;
    if (x->dims[x->rank - 1] < width)
        return misfit(&w, "%" PRId64 " of %" PRId64 " elements rotated", width,
                      x->dims[x->rank - 1]);
    return same_dims(&w, x, y, "x and y") && last_axis_dense(&w, x, "x") &&
           last_axis_dense(&w, y, "y") && is_rotary_table(&w, cos, x, width, "cos and x") &&
           is_rotary_table(&w, sin, x, width, "sin and x");
}

bool extent_map(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    for (int i = 0; i < c->inputs; i++)
        if (!broadcasts(&w, input(c, i), output(c, 0), "an input and the result")) return false;
    return true;
}

bool extent_reduce(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsReduce *p = c->params;
    const TnTensor *x = input(c, 0), *y = output(c, 0);
    TnTensor wanted = *x;
    for (int i = 0; i < x->rank; i++)
        if (p->axes >> i & 1) wanted.dims[i] = 1;
    return same_dims(&w, y, &wanted, "y and x with reduced axes of 1");
}

bool extent_copy(const TnCall *c, char *why, size_t why_size) {
    return extent_same(c, why, why_size);
}

bool extent_any(const TnCall *c, char *why, size_t why_size) {
    (void)c, (void)why, (void)why_size;
    return true;
}

static bool is_dense(const TnTensor *t) {
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] > 1 && t->strides[i] != stride) return is_empty(t);
        stride *= t->dims[i];
    }
    return true;
}

/* Operands are handed to other functions as they are; those that decide have one element, or one
 * per scalar. */
bool extent_control(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    for (int i = 0; i < c->inputs + c->outputs; i++)
        if (c->operands[i].dtype != TN_NONE && !is_dense(&c->operands[i]))
            return misfit(&w, "operand %d is not dense", i);
    int64_t wanted = c->opcode == TN_OP_measure ? c->scalar_count : 1;
    for (int i = 0; i < (c->opcode == TN_OP_loop ? 2 : 1); i++) {
        const TnTensor *t = input(c, i);
        if (t && (is_empty(t) ? 0 : product(t, 0, t->rank)) != wanted)
            return misfit(&w, "operand %d does not have %" PRId64 " elements", i, wanted);
    }
    return true;
}

bool extent_gather(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGather *p = c->params;
    TnTensor x = *input(c, 0);
    const TnTensor *index = input(c, 1), *y = output(c, 0);
    if (x.layout != TN_LAYOUT_STRIDED) { /* the table's rows are the columns of the panels */
        if (p->axis != 0 || p->batch_dims != 0)
            return misfit(&w, "panels are looked up by row only");
        int64_t k = x.dims[0];
        x.dims[0] = x.dims[1];
        x.dims[1] = k;
    }
    int axis = (int)p->axis, batch = (int)p->batch_dims, n = 0;
    int64_t dims[2 * TN_MAX_RANK];
    for (int i = 0; i < batch; i++)
        if (x.dims[i] != index->dims[i])
            return misfit_pair(&w, "batch axes of x and index", &x, index);
    for (int i = 0; i < axis; i++) dims[n++] = x.dims[i];
    for (int i = batch; i < index->rank; i++) dims[n++] = index->dims[i];
    for (int i = axis + 1; i < x.rank; i++) dims[n++] = x.dims[i];
    if (n != y->rank) return misfit(&w, "y has rank %d, x and index give %d", y->rank, n);
    return has_dims(&w, y, n, dims, "y and what x and index give");
}

bool extent_gather_elements(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGather *p = c->params;
    const TnTensor *x = input(c, 0), *index = input(c, 1);
    for (int i = 0; i < x->rank; i++)
        if (i != (int)p->axis && index->dims[i] > x->dims[i])
            return misfit_pair(&w, "index and x", index, x);
    return same_dims(&w, index, output(c, 0), "index and y");
}

bool extent_gather_nd(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGather *p = c->params;
    const TnTensor *x = input(c, 0), *index = input(c, 1), *y = output(c, 0);
    int batch = (int)p->batch_dims, last = index->rank - 1, n = 0;
    int64_t dims[2 * TN_MAX_RANK], axes = index->dims[last];
    if (axes < 1 || axes > x->rank - batch)
        return misfit_pair(&w, "last axis of index and axes of x", index, x);
    for (int i = 0; i < batch; i++)
        if (x->dims[i] != index->dims[i])
            return misfit_pair(&w, "batch axes of x and index", x, index);
    for (int i = 0; i < last; i++) dims[n++] = index->dims[i];
    for (int i = batch + (int)axes; i < x->rank; i++) dims[n++] = x->dims[i];
    if (n != y->rank) return misfit(&w, "y has rank %d, x and index give %d", y->rank, n);
    return has_dims(&w, y, n, dims, "y and what x and index give");
}

bool extent_iota(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *y = output(c, 0);
    int64_t last;
    if (y->rank != 1) return misfit(&w, "y must have rank 1");
    if (y->dims[0] == 0) return true;
    if (!tn_mul_i64(c->scalars[1], y->dims[0] - 1, &last) ||
        !tn_add_i64(c->scalars[0], last, &last))
        return misfit(&w, "the last value overflows");
    return true;
}

bool extent_scalars(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *y = output(c, 0);
    if (y->rank > 1) return misfit(&w, "y must have rank 0 or 1");
    if ((y->rank ? y->dims[0] : 1) != c->scalar_count)
        return misfit(&w, "%" PRId32 " scalars for %" PRId64 " elements", c->scalar_count,
                      y->rank ? y->dims[0] : 1);
    return true;
}

/* Extent of a convolution's result along one axis; < 1 if
 * the kernel is larger than the padded input. */
static int64_t conv_extent(const ParamsConv *p, int axis, int64_t in, int64_t kernel) {
    int64_t padded = in + p->pad_begin[axis] + p->pad_end[axis];
    int64_t reach;
    if (!tn_mul_i64(kernel - 1, p->dilation[axis], &reach) || reach >= padded) return 0;
    return (padded - reach - 1) / p->stride[axis] + 1;
}

static int64_t conv_kernel(const ParamsConv *p, const TnTensor *k, int axis) {
    return k->layout == TN_LAYOUT_STRIDED ? k->dims[2 + axis] : p->kernel[axis];
}

/* w is [o, c / groups, kernel] or, in panels, [kernel c / groups, o] or another form (pack.h);
 * *taps = kernel c / groups. */
static bool conv_weights(const Why *w, const ParamsConv *p, const TnTensor *x, const TnTensor *k,
                         const TnTensor *y, int64_t *taps) {
    int64_t channels = x->dims[1] / p->groups, columns;
    if (x->dims[1] % p->groups || y->dims[1] % p->groups)
        return misfit_pair(w, "channels of x and y in groups", x, y);
    *taps = channels;
    for (int i = 0; i < (int)p->spatial; i++) {
        int64_t kernel = conv_kernel(p, k, i);
        if (kernel < 1 || !tn_mul_i64(*taps, kernel, taps)) return misfit_pair(w, "kernel", x, k);
    }
    if (tn_conv_elements(p))
        return (channels % TN_PANEL == 0 && k->dims[0] == channels &&
                k->dims[1] == tn_winograd_columns(tn_conv_elements(p), y->dims[1])) ||
               misfit_pair(w, "transformed weights and y", k, y);
    if (p->flags & TN_CONV_PLACES)
        return (y->dims[1] <= TN_PANEL && channels > 0 && k->dims[0] == channels &&
                tn_mul_i64(*taps / channels, y->dims[1], &columns) && k->dims[1] == columns) ||
               misfit_pair(w, "weights of places and y", k, y);
    if (k->layout != TN_LAYOUT_STRIDED) {
        int64_t run = channels * p->kernel[p->spatial - 1], rows = *taps;
        if (rows < INT64_MAX / 2) rows = tn_conv_rows((TnLayout)k->layout, rows, run);
        return (k->dims[0] == rows && k->dims[1] == y->dims[1]) ||
               misfit_pair(w, "weights in panels and y", k, y);
    }
    if (k->dims[0] != y->dims[1]) return misfit_pair(w, "channels of w and y", k, y);
    if (k->dims[1] != channels) return misfit_pair(w, "channels of x and w", x, k);
    return k->dtype != TN_F64 || wholly_dense(w, k, "w");
}

bool extent_conv(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsConv *p = c->params;
    const TnTensor *x = input(c, 0), *k = input(c, 1), *bias = input(c, 2), *residual = input(c, 3),
                   *y = output(c, 0);
    int64_t taps = 0;
    if (y->rank != x->rank || y->dims[0] != x->dims[0])
        return misfit_pair(&w, "batches of x and y", x, y);
    if (!conv_weights(&w, p, x, k, y, &taps)) return false;
    for (int i = 0; i < (int)p->spatial; i++) {
        int64_t out = conv_extent(p, i, x->dims[2 + i], conv_kernel(p, k, i));
        if (out < 1 || y->dims[2 + i] != out)
            return misfit(&w, "axis %d of y is %" PRId64 ", stride and padding give %" PRId64,
                          2 + i, y->dims[2 + i], out);
    }
    if (bias && !is_vector(&w, bias, y->dims[1], "bias")) return false;
    if (residual && !same_dims(&w, residual, y, "residual and y")) return false;
    /* bounds what a kernel may copy of x, and what each place gives to taps */
    int64_t padded[5] = {x->dims[1], 1, 1, 1, p->flags & TN_CONV_PLACES ? k->dims[1] : 1};
    for (int i = 0; i < (int)p->spatial; i++)
        padded[1 + i] = x->dims[2 + i] + p->pad_begin[i] + p->pad_end[i] + p->stride[i];
    return loops_ok(&w, padded, 5) && loops_ok(&w, (int64_t[]){product(y, 0, y->rank), taps}, 2);
}
