/* The taps of a resampled axis (resize.h); one copy for all instruction sets, since a table serves
 * many rows. */
#include <math.h>
#include "runtime/kernels/resize.h"

static double at_most(double a, double b) {
    return a < b ? a : b;
}

ResizeAxis tn_resize_axis(const ParamsResize *p, TnDType dtype, int64_t n, int64_t m,
                          const float *grid) {
    ResizeAxis a = {.p = p, .dtype = dtype, .n = n, .m = m, .end = 1, .stretch = 1};
    double least = at_most(((double)m - 0.5) / (double)n, 1); /* the table has room for it */
    a.length = a.step_by = (double)m;
    a.step_over = (double)n;
    if (grid) {
        if (grid[0] > 0 && isfinite(grid[0])) {
            a.step_over = 1;
            a.step_by = (double)grid[0];
            a.length = a.step_by * (double)n;
        }
        a.begin = (double)grid[1];
        a.end = (double)grid[2];
    }
    if (p->flags & TN_RESIZE_ANTIALIAS) a.stretch = at_most(a.step_by / a.step_over, 1);
    if (a.stretch < least) a.stretch = least;
    return a;
}

/* A given s may be less than m / n, which was rounded: not below (m - 0.5) / n. */
int64_t tn_resize_taps(const ResizeAxis *a) {
    if (a->p->mode == TN_RESIZE_NEAREST) return 1;
    int64_t radius = a->p->mode == TN_RESIZE_CUBIC ? 2 : 1;
    int64_t over = 2 * a->n, by = 2 * a->m - 1;
    bool wide = a->p->flags & TN_RESIZE_ANTIALIAS && over > by;
    return 2 * (wide ? TN_CEIL_DIV(radius * over, by) : radius);
}

size_t tn_resize_table(const ResizeAxis *a, int64_t positions) {
    return (size_t)(tn_resize_taps(a) * TAPS_PITCH(positions)) * (sizeof(int32_t) + sizeof(double));
}

static double source(const ResizeAxis *a, int64_t position) {
    double j = (double)position, n = (double)a->n, span = n - 1;
    double center = (j + 0.5) * a->step_over / a->step_by;
    switch ((TnResizeCoordinates)a->p->coordinates) {
    case TN_RESIZE_HALF_PIXEL: return center - 0.5;
    case TN_RESIZE_HALF_PIXEL_SYMMETRIC:
        return n / 2 * (1 - (double)a->m / a->length) + center - 0.5;
    case TN_RESIZE_PYTORCH_HALF_PIXEL: return a->length == 1 ? -0.5 : center - 0.5;
    case TN_RESIZE_TF_HALF_PIXEL: return center;
    case TN_RESIZE_ASYMMETRIC: return j * a->step_over / a->step_by;
    case TN_RESIZE_ALIGN_CORNERS: return a->length == 1 ? 0 : j * span / (a->length - 1);
    case TN_RESIZE_CROP:
        return a->begin * span +
               (a->end - a->begin) * span * (a->length == 1 ? 0.5 : j / (a->length - 1));
    case TN_RESIZE_COORDINATES_COUNT: break;
    }
    return 0;
}

bool tn_resize_beyond(const ResizeAxis *a, int64_t position) {
    float at = (float)source(a, position);
    return !(at >= 0 && at <= (float)(a->n - 1));
}

/* An integral number as an index of x; NaN gives 0. */
static int64_t clamp_index(const ResizeAxis *a, double at) {
    return at >= 0 ? at < (double)a->n ? (int64_t)at : a->n - 1 : 0;
}

static int64_t nearest_index(const ResizeAxis *a, int64_t position) {
    double at = (double)(float)source(a, position), low = floor(at);
    bool up = false;
    switch ((TnResizeRounding)a->p->nearest) {
    case TN_RESIZE_ROUND_DOWN: up = at - low > 0.5; break;
    case TN_RESIZE_ROUND_UP: up = at - low >= 0.5; break;
    case TN_RESIZE_CEIL: up = at > low; break;
    case TN_RESIZE_FLOOR:
    case TN_RESIZE_ROUNDING_COUNT: break;
    }
    return clamp_index(a, low + up);
}

static double weight_at(const ResizeAxis *a, double distance) {
    double d = (distance < 0 ? -distance : distance) * a->stretch, k = a->p->cubic_a;
    if (a->p->mode == TN_RESIZE_LINEAR) return d < 1 ? 1 - d : 0;
    if (d <= 1) return ((k + 2) * d - (k + 3)) * d * d + 1;
    return d < 2 ? ((k * d - 5 * k) * d + 8 * k) * d - 4 * k : 0;
}

/* floor without a call; |x| is small. */
static int64_t whole(double x) {
    int64_t i = (int64_t)x;
    return (double)i > x ? i - 1 : i;
}

/* All taps of result i of the table, which is at `position`. */
static void list_taps(const ResizeAxis *a, const Taps *t, int64_t i, int64_t position) {
    double at = source(a, position), reach = (double)(a->n + t->taps), sum = 0;
    bool inside_only = a->p->flags & TN_RESIZE_EXCLUDE_OUTSIDE;
    if (!(at >= -reach)) at = -reach; /* farther out nothing changes */
    if (at > 2 * reach) at = 2 * reach;
    int64_t low = whole(at), first = low - t->taps / 2 + 1, last = a->n - 1;
    for (int64_t k = first; k < first + t->taps; k++) {
        bool counts = !inside_only || (k >= 0 && k <= last);
        double weight = counts ? weight_at(a, (double)k - at) : 0;
        int64_t from = weight != 0 ? k : low; /* no 0 * NaN from a neighbour */
        from = from < 0 ? 0 : from > last ? last : from;
        taps_set(t, a->dtype, k - first, i, from, weight);
        sum += weight;
    }
    if ((!inside_only && a->stretch == 1) || sum == 0) return;
    for (int64_t k = 0; k < t->taps; k++) taps_divide(t, a->dtype, k, i, sum);
}

Taps tn_resize_list(const ResizeAxis *a, int64_t first, int64_t n, void *table) {
    Taps t = {.n = n, .taps = tn_resize_taps(a), .pitch = TAPS_PITCH(n), .weight = table};
    t.index = (int32_t *)((double *)table + t.taps * t.pitch);
    for (int64_t i = 0; i < n; i++) {
        if (a->p->mode == TN_RESIZE_NEAREST)
            taps_set(&t, a->dtype, 0, i, nearest_index(a, first + i), 1);
        else
            list_taps(a, &t, i, first + i);
    }
    taps_finish(&t, a->dtype);
    return t;
}
