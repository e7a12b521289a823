/* Extent rules of products, attention and convolutions, whose weights may be packed; see extents.c.
 */
#include "runtime/extents.h"

#include "runtime/pack.h"

/* The columns of c may be heads, [.., h, d] for n = h d: then nothing is added to it. */
bool extent_gemm(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *a = input(c, 0), *b = input(c, 1), *bias = input(c, 2), *residual = input(c, 3),
                   *y = output(c, 0);
    bool heads = !residual && y->rank == a->rank + 1;
    if (a->rank < 1 || (a->rank != y->rank && !heads))
        return tn_misfit_pair(&w, "ranks of a and c", a, y);
    int last = a->rank - 1;
    for (int i = 0; i < last; i++)
        if (a->dims[i] != y->dims[i]) return tn_misfit_pair(&w, "rows of a and c", a, y);
    if (a->dims[last] != b->dims[0]) return tn_misfit_pair(&w, "inner dims of a and b", a, b);
    int64_t columns = heads ? y->dims[last] * y->dims[last + 1] : y->dims[last];
    if (columns != b->dims[1]) return tn_misfit_pair(&w, "columns of b and c", b, y);
    if (!tn_last_axis_dense(&w, a, "a") || !tn_last_axis_dense(&w, y, "c")) return false;
    if (bias && !tn_is_vector(&w, bias, b->dims[1], "bias")) return false;
    if (residual && !(tn_same_dims(&w, residual, y, "residual and c") &&
                      tn_last_axis_dense(&w, residual, "residual")))
        return false;
    return tn_loops_ok(&w, (int64_t[]){product(a, 0, last), b->dims[0], b->dims[1]}, 3);
}

bool extent_matmul(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *a = input(c, 0), *b = input(c, 1), *y = output(c, 0);
    int r = y->rank;
    if (r < 2 || a->rank != r || b->rank != r) return tn_misfit_pair(&w, "ranks of a and b", a, b);
    for (int i = 0; i < r - 2; i++)
        if (a->dims[i] != y->dims[i] || b->dims[i] != y->dims[i])
            return tn_misfit_pair(&w, "batch axes of a and b", a, b);
    if (a->dims[r - 1] != b->dims[r - 2]) return tn_misfit_pair(&w, "inner dims of a and b", a, b);
    if (a->dims[r - 2] != y->dims[r - 2]) return tn_misfit_pair(&w, "rows of a and c", a, y);
    if (b->dims[r - 1] != y->dims[r - 1]) return tn_misfit_pair(&w, "columns of b and c", b, y);
    return tn_loops_ok(&w, (int64_t[]){product(a, 0, r - 1), a->dims[r - 1], b->dims[r - 1]}, 3);
}

/* a[.., m, k] and c[.., m, n] beside a packed b[k, n]. */
static bool fits_packed(const TnCall *c, const Why *w) {
    const TnTensor *a = input(c, 0), *b = input(c, 1), *y = output(c, 0);
    int last = y->rank - 1;
    if (last < 1 || a->rank != y->rank) return tn_misfit_pair(w, "ranks of a and c", a, y);
    for (int i = 0; i < last; i++)
        if (a->dims[i] != y->dims[i]) return tn_misfit_pair(w, "rows of a and c", a, y);
    if (a->dims[last] != b->dims[0]) return tn_misfit_pair(w, "inner dims of a and b", a, b);
    if (y->dims[last] != b->dims[1]) return tn_misfit_pair(w, "columns of b and c", b, y);
    return tn_loops_ok(w, (int64_t[]){product(a, 0, last), b->dims[0], b->dims[1]}, 3);
}

bool extent_matmul_int(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *zeros[] = {input(c, 2), input(c, 3)}, *y = output(c, 0);
    int r = y->rank;
    bool packed = input(c, 1)->layout != TN_LAYOUT_STRIDED;
    if (packed ? !fits_packed(c, &w) : !extent_matmul(c, why, why_size)) return false;
    for (int k = 0; k < 2; k++) {
        if (!zeros[k]) continue;
        if (zeros[k]->rank != r)
            return tn_misfit_pair(&w, "ranks of zero points and c", zeros[k], y);
        for (int i = 0; i < r; i++)
            if (zeros[k]->dims[i] != (i == r - 1 - k ? 1 : y->dims[i]))
                return tn_misfit_pair(&w, "zero points and c", zeros[k], y);
    }
    for (int i = 0; packed && zeros[1] && i < r - 2; i++)
        if (zeros[1]->strides[i] && zeros[1]->dims[i] > 1)
            return tn_misfit(&w, "packed columns with several zero points each");
    return true;
}

/* Packed keys: `starts` has a row more than there are batch entries, none of which has more keys
 * than scalar 1 says. The scores of an entry are for b, h, s, t = scores[0..3]. */
static bool packed_keys(const Why *w, const TnCall *c, int64_t *scores) {
    const TnTensor *q = input(c, 0), *k = input(c, 1), *starts = input(c, 7);
    bool packed = ((const ParamsAttention *)c->params)->flags & TN_ATTENTION_PACKED;
    if (!starts) return true;
    if (starts->rank != 1 || starts->dims[0] < 1) return tn_misfit(w, "starts must be [b + 1]");
    if (!tn_last_axis_dense(w, starts, "starts")) return false;
    scores[0] = starts->dims[0] - 1;
    scores[3] = c->scalars[1];
    if (packed && q->dims[1] != k->dims[1])
        return tn_misfit_pair(w, "packed queries and keys", q, k);
    if (packed) scores[2] = scores[3];
    if (scores[3] < 0 || scores[3] > TN_MAX_ELEMENTS)
        return tn_misfit(w, "entries of up to %" PRId64 " keys", scores[3]);
    return q->dims[0] == (packed ? 1 : scores[0]) ||
           tn_misfit(w, "queries of %" PRId64 " entries, keys of %" PRId64, q->dims[0], scores[0]);
}

/* What keys and values begin with, if that is given. */
static bool begins_with(const Why *w, const TnCall *c, int64_t entries) {
    const TnTensor *k = input(c, 1), *v = input(c, 2), *past_k = input(c, TN_ATTENTION_PAST_K),
                   *past_v = input(c, TN_ATTENTION_PAST_K + 1);
    if (!past_k && !past_v) return true;
    if (!past_k || !past_v) return tn_misfit(w, "k0 without v0, or v0 without k0");
    const int64_t past = past_k->rank == 4 ? past_k->dims[1] : 0, g = k->dims[2];
    return tn_has_dims(w, past_k, 4, (int64_t[]){entries, past, g, k->dims[3]},
                       "k0 and [b, p, g, d]") &&
           tn_has_dims(w, past_v, 4, (int64_t[]){entries, past, g, v->dims[3]},
                       "v0 and [b, p, g, e]") &&
           (past <= k->dims[1] || tn_misfit_pair(w, "k0 and k", past_k, k)) &&
           tn_last_axis_dense(w, past_k, "k0") && tn_last_axis_dense(w, past_v, "v0");
}

bool extent_attention(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *q = input(c, 0), *k = input(c, 1), *v = input(c, 2), *o = output(c, 0);
    const TnTensor *key_mask = input(c, 3), *query_mask = input(c, 4);
    if (q->rank != 4 || k->rank != 4 || v->rank != 4 || o->rank != 4)
        return tn_misfit(&w, "q, k, v and o must have rank 4");
    int64_t b = q->dims[0], s = q->dims[1], h = q->dims[2], d = q->dims[3];
    int64_t t = k->dims[1], g = k->dims[2], e = v->dims[3];
    int64_t entries = input(c, 7) ? 1 : b, scores[4] = {b, h, s, t};
    if (!tn_has_dims(&w, k, 4, (int64_t[]){entries, t, g, d}, "k and [b, t, g, d]") ||
        !tn_has_dims(&w, v, 4, (int64_t[]){entries, t, g, e}, "v and [b, t, g, e]") ||
        !tn_has_dims(&w, o, 4, (int64_t[]){b, s, h, e}, "o and [b, s, h, e]") ||
        !begins_with(&w, c, entries) || !packed_keys(&w, c, scores))
        return false;
    if (h > 0 && (g == 0 || h % g))
        return tn_misfit(&w, "%" PRId64 " key heads do not divide %" PRId64 " heads", g, h);
    if (key_mask && !tn_has_dims(&w, key_mask, 2, (int64_t[]){entries, t}, "key_mask and [b, t]"))
        return false;
    if (query_mask && !tn_has_dims(&w, query_mask, 2, (int64_t[]){b, s}, "query_mask and [b, s]"))
        return false;
    for (int i = 5; i < 7; i++) {
        const TnTensor *bias = input(c, i);
        if (!bias) continue;
        int64_t p = bias->dims[0]; /* after which the bias begins again */
        int64_t distances = scores[2] + scores[3] + 1;
        bool line = bias->rank == 4 && bias->dims[3] == distances;
        if (line ? !tn_has_dims(&w, bias, 4, (int64_t[]){p, h, 1, distances},
                                "bias and [p, h, 1, s + t + 1]")
                 : !tn_has_dims(&w, bias, 4, (int64_t[]){p, h, scores[2], scores[3]},
                                "bias and [p, h, s, t]"))
            return false;
        if (scores[0] > 0 && (p == 0 || scores[0] % p))
            return tn_misfit(&w, "a bias for %" PRId64 " of %" PRId64 " batch entries", p,
                             scores[0]);
    }
    if (!tn_last_axis_dense(&w, q, "q") || !tn_last_axis_dense(&w, k, "k") ||
        !tn_last_axis_dense(&w, v, "v") || !tn_last_axis_dense(&w, o, "o"))
        return false;
    if (c->scalars[0] > TN_MAX_ELEMENTS || c->scalars[0] < -TN_MAX_ELEMENTS)
        return tn_misfit(&w, "offset %" PRId64, c->scalars[0]);
    const ParamsAttention *p = c->params;
    if (p->flags & TN_ATTENTION_BAND && (c->scalars[1] < 0 || c->scalars[1] > t))
        return tn_misfit(&w, "%" PRId64 " sinks of %" PRId64 " keys", c->scalars[1], t);
    return tn_loops_ok(&w, (int64_t[]){scores[0], h, scores[2], scores[3], d > e ? d : e}, 5) &&
           tn_loops_ok(&w, (int64_t[]){b, h, s, scores[3], d > e ? d : e}, 5);
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
        return tn_misfit_pair(w, "channels of x and y in groups", x, y);
    *taps = channels;
    for (int i = 0; i < (int)p->spatial; i++) {
        int64_t kernel = conv_kernel(p, k, i);
        if (kernel < 1 || !tn_mul_i64(*taps, kernel, taps))
            return tn_misfit_pair(w, "kernel", x, k);
    }
    if (tn_conv_elements(p))
        return (channels % TN_PANEL == 0 && k->dims[0] == channels &&
                k->dims[1] == tn_winograd_columns(tn_conv_elements(p), y->dims[1])) ||
               tn_misfit_pair(w, "transformed weights and y", k, y);
    if (p->flags & TN_CONV_PLACES)
        return (y->dims[1] <= TN_PANEL && channels > 0 && k->dims[0] == channels &&
                tn_mul_i64(*taps / channels, y->dims[1], &columns) && k->dims[1] == columns) ||
               tn_misfit_pair(w, "weights of places and y", k, y);
    if (k->layout != TN_LAYOUT_STRIDED) {
        int64_t run = channels * p->kernel[p->spatial - 1], rows = *taps;
        if (rows < INT64_MAX / 2) rows = tn_conv_rows((TnLayout)k->layout, rows, run);
        return (k->dims[0] == rows && k->dims[1] == y->dims[1]) ||
               tn_misfit_pair(w, "weights in panels and y", k, y);
    }
    if (k->dims[0] != y->dims[1]) return tn_misfit_pair(w, "channels of w and y", k, y);
    if (k->dims[1] != channels) return tn_misfit_pair(w, "channels of x and w", x, k);
    return k->dtype != TN_F64 || tn_wholly_dense(w, k, "w");
}

bool extent_conv(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsConv *p = c->params;
    const TnTensor *x = input(c, 0), *k = input(c, 1), *bias = input(c, 2), *residual = input(c, 3),
                   *y = output(c, 0);
    int64_t taps = 0;
    if (y->rank != x->rank || y->dims[0] != x->dims[0])
        return tn_misfit_pair(&w, "batches of x and y", x, y);
    if (!conv_weights(&w, p, x, k, y, &taps)) return false;
    for (int i = 0; i < (int)p->spatial; i++) {
        int64_t out = conv_extent(p, i, x->dims[2 + i], conv_kernel(p, k, i));
        if (out < 1 || y->dims[2 + i] != out)
            return tn_misfit(&w, "axis %d of y is %" PRId64 ", stride and padding give %" PRId64,
                             2 + i, y->dims[2 + i], out);
    }
    if (bias && !tn_is_vector(&w, bias, y->dims[1], "bias")) return false;
    if (residual && !tn_same_dims(&w, residual, y, "residual and y")) return false;
    /* bounds what a kernel may copy of x, and what each place gives to taps */
    int64_t padded[5] = {x->dims[1], 1, 1, 1, p->flags & TN_CONV_PLACES ? k->dims[1] : 1};
    for (int i = 0; i < (int)p->spatial; i++)
        padded[1 + i] = x->dims[2 + i] + p->pad_begin[i] + p->pad_end[i] + p->stride[i];
    return tn_loops_ok(&w, padded, 5) &&
           tn_loops_ok(&w, (int64_t[]){product(y, 0, y->rank), taps}, 2);
}
