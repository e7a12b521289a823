/* Extent rules of instructions that slide a window over spatial axes; see extents.c. */
#include "runtime/extents.h"

/* What kernels compute of places along an axis stays far from overflowing: the last window starts
 * before the end of the padded axis, and reaches at most 2^52 from there. */
static bool window_fits(const Why *w, int axis, int64_t in, int64_t before, int64_t after,
                        int64_t out, int64_t stride, int64_t taps, int64_t dilation) {
    int64_t start, reach;
    if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
        return tn_misfit(w, "axis %d is padded by %" PRId64 " and %" PRId64, axis, before, after);
    if (out > 0 && (!tn_mul_i64(out - 1, stride, &start) || start >= in + before + after))
        return tn_misfit(w, "%" PRId64 " windows for axis %d, of extent %" PRId64, out, axis, in);
    return (tn_mul_i64(taps - 1, dilation, &reach) && reach < TN_MAX_LOOPS) ||
           tn_misfit(w, "the windows of axis %d are too large", axis);
}

bool extent_pool(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsPool *p = c->params;
    const TnTensor *x = input(c, 0), *y = output(c, 0), *places = output(c, 1);
    int spatial = (int)p->spatial;
    int64_t steps[1 + 3] = {product(y, 0, y->rank)};
    if (y->rank != x->rank || y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1])
        return tn_misfit_pair(&w, "batch and channels of x and y", x, y);
    if (places && !tn_same_dims(&w, places, y, "places and y")) return false;
    if (places && p->mode != TN_POOL_MAX) return tn_misfit(&w, "only the largest have places");
    for (int i = 0; i < spatial; i++) {
        steps[1 + i] = p->kernel[i];
        if (!window_fits(&w, 2 + i, x->dims[2 + i], c->scalars[i], c->scalars[spatial + i],
                         y->dims[2 + i], p->stride[i], p->kernel[i], p->dilation[i]))
            return false;
    }
    return tn_loops_ok(&w, steps, 1 + spatial);
}

/* `count` steps of this length stay small enough to compute with. */
static bool span_ok(const Why *w, int64_t count, int64_t step) {
    int64_t span;
    return count < 1 || (tn_mul_i64(count - 1, step, &span) && span < TN_MAX_LOOPS) ||
           tn_misfit(w, "the windows are too far apart");
}

bool extent_col2im(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsCol2im *p = c->params;
    const TnTensor *x = input(c, 0), *y = output(c, 0);
    int spatial = (int)p->spatial;
    if (y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1])
        return tn_misfit_pair(&w, "batch and channels of x and y", x, y);
    for (int i = 0; i < spatial; i++) {
        if (c->scalars[i] < 0 || c->scalars[i] > INT32_MAX)
            return tn_misfit(&w, "axis %d is padded by %" PRId64, 2 + i, c->scalars[i]);
        if (!span_ok(&w, x->dims[2 + i], p->dilation[i]) ||
            !span_ok(&w, x->dims[2 + spatial + i], p->stride[i]))
            return false;
    }
    return tn_wholly_dense(&w, x, "x") && tn_wholly_dense(&w, y, "y");
}

bool extent_deform_columns(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsDeform *p = c->params;
    const TnTensor *x = input(c, 0), *offset = input(c, 1), *mask = input(c, 2), *y = output(c, 0);
    int64_t taps;
    if (x->rank != 4 || offset->rank != 4) return tn_misfit(&w, "x and offset must have rank 4");
    if (!tn_mul_i64((int64_t)p->kernel[0] * p->kernel[1], p->groups, &taps) || taps > INT32_MAX)
        return tn_misfit(&w, "too many taps");
    if (x->dims[1] % p->groups)
        return tn_misfit(&w, "%" PRId64 " channels in %u groups", x->dims[1], p->groups);
    int64_t wanted[] = {x->dims[0], 2 * taps, offset->dims[2], offset->dims[3]};
    if (!tn_has_dims(&w, offset, 4, wanted, "offset and kernel")) return false;
    wanted[1] = taps;
    if (mask && !tn_has_dims(&w, mask, 4, wanted, "mask and kernel")) return false;
    int64_t columns[] = {x->dims[0],   x->dims[1],      p->kernel[0],
                         p->kernel[1], offset->dims[2], offset->dims[3]};
    if (!tn_has_dims(&w, y, 6, columns, "y and kernel")) return false;
    for (int i = 0; i < 2; i++)
        if (!span_ok(&w, p->kernel[i], p->dilation[i]) ||
            !span_ok(&w, offset->dims[2 + i], p->stride[i]))
            return false;
    return tn_wholly_dense(&w, x, "x") && tn_wholly_dense(&w, offset, "offset") &&
           (!mask || tn_wholly_dense(&w, mask, "mask")) && tn_wholly_dense(&w, y, "y");
}
