/* Extent rules of instructions that slide a window over spatial axes; see extents.c. */
#include "runtime/extents.h"

/* What kernels compute of places along an axis stays far from overflowing: the last window starts
 * before the end of the padded axis, and reaches at most 2^52 from there. */
static bool window_fits(const Why *w, int axis, int64_t in, int64_t before, int64_t after,
                        int64_t out, int64_t stride, int64_t taps, int64_t dilation) {
    int64_t start, reach;
    if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
        return misfit(w, "axis %d is padded by %" PRId64 " and %" PRId64, axis, before, after);
    if (out > 0 && (!tn_mul_i64(out - 1, stride, &start) || start >= in + before + after))
        return misfit(w, "%" PRId64 " windows for axis %d, of extent %" PRId64, out, axis, in);
    return (tn_mul_i64(taps - 1, dilation, &reach) && reach < TN_MAX_LOOPS) ||
           misfit(w, "the windows of axis %d are too large", axis);
}

bool extent_pool(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsPool *p = c->params;
    const TnTensor *x = input(c, 0), *y = output(c, 0), *places = output(c, 1);
    int spatial = (int)p->spatial;
    int64_t steps[1 + 3] = {product(y, 0, y->rank)};
    if (y->rank != x->rank || y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1])
        return misfit_pair(&w, "batch and channels of x and y", x, y);
    if (places && !same_dims(&w, places, y, "places and y")) return false;
    if (places && p->mode != TN_POOL_MAX) return misfit(&w, "only the largest have places");
    for (int i = 0; i < spatial; i++) {
        steps[1 + i] = p->kernel[i];
        if (!window_fits(&w, 2 + i, x->dims[2 + i], c->scalars[i], c->scalars[spatial + i],
                         y->dims[2 + i], p->stride[i], p->kernel[i], p->dilation[i]))
            return false;
    }
    return loops_ok(&w, steps, 1 + spatial);
}
