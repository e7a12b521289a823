/* resize: x resampled to another length along one axis; x and y of any strides, grid f32 [3] or
 * absent.
 *
 *     y[.., j, ..] = sum over i of weight(i - source(j)) x[.., i, ..]
 *
 * source(j), with n -> m the lengths, s = grid[0] or m / n, and l = s n the exact new length:
 *
 *     half_pixel            (j + 0.5) / s - 0.5
 *     half_pixel_symmetric  the same + n / 2 (1 - m / l)
 *     pytorch_half_pixel    the same, but -0.5 if l = 1
 *     tf_half_pixel_for_nn  (j + 0.5) / s
 *     asymmetric            j / s
 *     align_corners         j (n - 1) / (l - 1), 0 if l = 1
 *     crop                  begin (n - 1) + j (end - begin) (n - 1) / (l - 1), the middle if l = 1;
 *                           `outside` where that lies outside [0, n - 1]
 *
 * weight is 1 for the nearest, a triangle for linear, Keys' cubic with parameter a; with
 * antialiasing it is stretched by 1 / s where s < 1 and normalised. Taps beyond the edge read the
 * edge, or weigh nothing and the others are normalised (exclude_outside).
 *
 * Sources are computed in double. `nearest` and the crop's edge round them to float first, which
 * makes 2.9999999999 the 3 that it stands for. A task lists the taps of some of the positions once
 * and applies them to some of the rows: as lanes of a vector where the resized axis is dense, else
 * as a sum of rows of what is dense in x and y. Any s, also NaN, stays inside x. */
#include <stdbool.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/taps.h"
#include "runtime/params.h"

TN_FAMILY(resize);

#define TABLE_ENTRIES 8192
#define TASK_WORK     65536 /* elements read in a task, about */

enum { TILE_POSITIONS, TILE_ROWS, TILE_TAPS };

typedef struct Resize {
    const ParamsResize *p;
    TnDType dtype;
    int64_t size;               /* of an element */
    Loop loop;                  /* operands x, y: the other axes, without the rows */
    int64_t outer, n, m, inner; /* points of the loop, old and new length, elements of a row */
    int64_t x_step, y_step;     /* bytes from one position to the next */
    double length, step_over, step_by; /* l; 1 / s = step_over / step_by */
    double begin, end;
    double stretch; /* of the weights: min(s, 1) if antialiased, else 1 */
} Resize;

static double at_most(double a, double b) {
    return a < b ? a : b;
}

static Resize resize_of(const TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[call->inputs];
    Resize r = {.p = call->params, .dtype = (TnDType)x->dtype, .end = 1, .stretch = 1};
    int axis = (int)r.p->axis;
    r.size = (int64_t)tn_dtype_size(r.dtype);
    r.loop = loop_over(x);
    r.loop.dims[axis] = 1;
    loop_add(&r.loop, x);
    loop_add(&r.loop, y);
    loop_collapse(&r.loop);
    int last = r.loop.rank - 1;
    r.x_step = x->strides[axis] * r.size;
    r.y_step = y->strides[axis] * r.size;
    /* where the axis is dense, no other one is */
    bool rows = r.loop.strides[0][last] == 1 && r.loop.strides[1][last] == 1;
    r.inner = rows ? r.loop.dims[last] : 1;
    if (rows) r.loop.dims[last] = 1;
    r.outer = loop_points(&r.loop, r.loop.rank);
    r.n = x->dims[axis];
    r.m = y->dims[axis];
    r.length = (double)r.m;
    r.step_over = (double)r.n;
    r.step_by = (double)r.m;
    return r;
}

static void read_grid(const TnCall *call, Resize *r) {
    const float *grid = call->inputs > 1 ? call->operands[1].data : NULL;
    double least = at_most(((double)r->m - 0.5) / (double)r->n, 1); /* the table has room for it */
    if (grid) {
        if (grid[0] > 0 && isfinite(grid[0])) {
            r->step_over = 1;
            r->step_by = (double)grid[0];
            r->length = r->step_by * (double)r->n;
        }
        r->begin = (double)grid[1];
        r->end = (double)grid[2];
    }
    if (r->p->flags & TN_RESIZE_ANTIALIAS) r->stretch = at_most(r->step_by / r->step_over, 1);
    if (r->stretch < least) r->stretch = least;
}

/* A given s may be less than m / n, which was rounded: not below (m - 0.5) / n. */
static int64_t tap_count(const Resize *r) {
    if (r->p->mode == TN_RESIZE_NEAREST) return 1;
    int64_t radius = r->p->mode == TN_RESIZE_CUBIC ? 2 : 1;
    int64_t over = 2 * r->n, by = 2 * r->m - 1;
    bool wide = r->p->flags & TN_RESIZE_ANTIALIAS && over > by;
    return 2 * (wide ? TN_CEIL_DIV(radius * over, by) : radius);
}

void TN_FN(resize_plan)(TnCall *call) {
    Resize r = resize_of(call);
    int64_t results = tensor_elements(&call->operands[call->inputs]);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (results == 0) return;
    int64_t taps = tap_count(&r), positions = TABLE_ENTRIES / taps / 16 * 16;
    if (positions < 16) positions = 16;
    if (positions > r.m) positions = r.m;
    int64_t rows = TASK_WORK / (positions * taps * r.inner);
    rows = rows < 1 ? 1 : rows > r.outer ? r.outer : rows;
    if (r.inner > TASK_WORK / taps) positions = 1;
    call->tile[TILE_POSITIONS] = positions;
    call->tile[TILE_ROWS] = rows;
    call->tile[TILE_TAPS] = taps;
    call->tasks = TN_CEIL_DIV(r.m, positions) * TN_CEIL_DIV(r.outer, rows);
    call->work = results * taps / 2;
    call->scratch_bytes =
        (size_t)(taps * TAPS_PITCH(positions)) * (sizeof(int32_t) + sizeof(double));
}

/* --- where a result comes from --- */

static double source(const Resize *r, int64_t position) {
    double j = (double)position, n = (double)r->n, span = n - 1;
    double center = (j + 0.5) * r->step_over / r->step_by;
    switch ((TnResizeCoordinates)r->p->coordinates) {
    case TN_RESIZE_HALF_PIXEL: return center - 0.5;
    case TN_RESIZE_HALF_PIXEL_SYMMETRIC:
        return n / 2 * (1 - (double)r->m / r->length) + center - 0.5;
    case TN_RESIZE_PYTORCH_HALF_PIXEL: return r->length == 1 ? -0.5 : center - 0.5;
    case TN_RESIZE_TF_HALF_PIXEL: return center;
    case TN_RESIZE_ASYMMETRIC: return j * r->step_over / r->step_by;
    case TN_RESIZE_ALIGN_CORNERS: return r->length == 1 ? 0 : j * span / (r->length - 1);
    case TN_RESIZE_CROP:
        return r->begin * span +
               (r->end - r->begin) * span * (r->length == 1 ? 0.5 : j / (r->length - 1));
    case TN_RESIZE_COORDINATES_COUNT: break;
    }
    return 0;
}

static bool beyond_crop(const Resize *r, int64_t position) {
    float at = (float)source(r, position);
    return !(at >= 0 && at <= (float)(r->n - 1));
}

/* An integral number as an index of x; NaN gives 0. */
static int64_t clamp_index(const Resize *r, double at) {
    return at >= 0 ? at < (double)r->n ? (int64_t)at : r->n - 1 : 0;
}

static int64_t nearest_index(const Resize *r, int64_t position) {
    double at = (double)(float)source(r, position), low = floor(at);
    bool up = false;
    switch ((TnResizeRounding)r->p->nearest) {
    case TN_RESIZE_ROUND_DOWN: up = at - low > 0.5; break;
    case TN_RESIZE_ROUND_UP: up = at - low >= 0.5; break;
    case TN_RESIZE_CEIL: up = at > low; break;
    case TN_RESIZE_FLOOR:
    case TN_RESIZE_ROUNDING_COUNT: break;
    }
    return clamp_index(r, low + up);
}

static double weight_at(const Resize *r, double distance) {
    double d = fabs(distance) * r->stretch, a = r->p->cubic_a;
    if (r->p->mode == TN_RESIZE_LINEAR) return d < 1 ? 1 - d : 0;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* All taps of result i of the table, which is at `position`. */
static void list_taps(const Resize *r, const Taps *t, int64_t i, int64_t position) {
    double at = source(r, position), reach = (double)(r->n + t->taps), sum = 0;
    bool inside_only = r->p->flags & TN_RESIZE_EXCLUDE_OUTSIDE;
    if (!(at >= -reach)) at = -reach; /* farther out nothing changes */
    if (at > 2 * reach) at = 2 * reach;
    int64_t first = (int64_t)floor(at) - t->taps / 2 + 1;
    for (int64_t k = first; k < first + t->taps; k++)
        if (!inside_only || (k >= 0 && k < r->n)) sum += weight_at(r, (double)k - at);
    bool normalise = (inside_only || r->stretch < 1) && sum != 0;
    for (int64_t k = first; k < first + t->taps; k++) {
        bool counts = !inside_only || (k >= 0 && k < r->n);
        double weight = counts ? weight_at(r, (double)k - at) : 0;
        double from = weight != 0 ? (double)k : floor(at); /* no 0 * NaN from a neighbour */
        taps_set(t, r->dtype, k - first, i, clamp_index(r, from),
                 normalise ? weight / sum : weight);
    }
}

static Taps list_positions(const Resize *r, int64_t first, int64_t n, int64_t taps, void *scratch) {
    Taps t = {.n = n, .taps = taps, .pitch = TAPS_PITCH(n)};
    t.weight = scratch;
    t.index = (int32_t *)((double *)scratch + taps * t.pitch);
    for (int64_t i = 0; i < n; i++) {
        if (r->p->mode == TN_RESIZE_NEAREST)
            t.index[i] = (int32_t)nearest_index(r, first + i);
        else
            list_taps(r, &t, i, first + i);
    }
    if (r->p->mode != TN_RESIZE_NEAREST) taps_finish(&t, r->dtype);
    return t;
}

/* --- applying the table --- */

#define COPY_ELEMENTS(type)                            \
    for (int64_t i = 0; i < t->n; i++, y += r->y_step) \
    memcpy(y, x + t->index[i] * r->x_step, sizeof(type))

/* One element or row of `inner` per position. */
static void copy_nearest(const Resize *r, const Taps *t, char *y, const char *x) {
    int64_t bytes = r->inner * r->size;
    switch (bytes) {
    case 1: COPY_ELEMENTS(uint8_t); return;
    case 2: COPY_ELEMENTS(uint16_t); return;
    case 4: COPY_ELEMENTS(uint32_t); return;
    case 8: COPY_ELEMENTS(uint64_t); return;
    default: break;
    }
    for (int64_t i = 0; i < t->n; i++, y += r->y_step)
        memcpy(y, x + t->index[i] * r->x_step, (size_t)bytes);
}

/* Positions of x are `step` elements apart. */
static void sum_rows_f32(const Taps *t, int64_t i, float *y, const float *x, int64_t step,
                         int64_t inner) {
    const float *weight = (const float *)t->weight + i;
    const int32_t *index = t->index + i;
    for (int64_t c = 0; c < inner; c += VF_WIDTH) {
        int64_t lanes = inner - c < VF_WIDTH ? inner - c : VF_WIDTH;
        vf sum = vf_zero();
        for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch)
            sum = vf_fma(vf_set1(weight[at]), vf_load_n(x + index[at] * step + c, lanes), sum);
        vf_store_n(y + c, sum, lanes);
    }
}

static void sum_rows_f64(const Taps *t, int64_t i, double *y, const double *x, int64_t step,
                         int64_t inner) {
    const double *weight = (const double *)t->weight + i;
    const int32_t *index = t->index + i;
    for (int64_t c = 0; c < inner; c++) {
        double sum = 0;
        for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch)
            sum += weight[at] * x[index[at] * step + c];
        y[c] = sum;
    }
}

static void interpolate(const Resize *r, const Taps *t, char *y, const char *x) {
    bool wide = r->dtype == TN_F64;
    int64_t step = r->x_step / r->size;
    if (r->inner == 1 && step == 1 && r->y_step == r->size) {
        if (wide)
            taps_sum_f64(t, (double *)y, (const double *)x);
        else
            taps_sum_f32(t, (float *)y, (const float *)x);
        return;
    }
    for (int64_t i = 0; i < t->n; i++, y += r->y_step) {
        if (wide)
            sum_rows_f64(t, i, (double *)y, (const double *)x, step, r->inner);
        else
            sum_rows_f32(t, i, (float *)y, (const float *)x, step, r->inner);
    }
}

/* What lies beyond the crop gets one value, which `block` has room for. */
static void fill_outside(const Resize *r, char *y, int64_t first, int64_t n, void *block) {
    double outside = r->p->outside;
    TN_FN(map_cast)(block, r->dtype, &outside, TN_F64, 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t at = 0; beyond_crop(r, first + i) && at < r->inner; at++)
            TN_FN(map_store)(y + i * r->y_step + at * r->size, r->dtype, 1, block, 1);
}

void TN_FN(resize_run)(const TnCall *call, int64_t task, void *scratch) {
    Resize r = resize_of(call);
    read_grid(call, &r);
    int64_t rows = call->tile[TILE_ROWS], blocks = TN_CEIL_DIV(r.outer, rows);
    int64_t first = task / blocks * call->tile[TILE_POSITIONS], row = task % blocks * rows;
    int64_t n = r.m - first < call->tile[TILE_POSITIONS] ? r.m - first : call->tile[TILE_POSITIONS];
    int64_t last = row + rows < r.outer ? row + rows : r.outer;
    Taps taps = list_positions(&r, first, n, call->tile[TILE_TAPS], scratch);
    const char *x = call->operands[0].data;
    char *y = call->operands[call->inputs].data;
    double block[1];
    LoopAt at;
    loop_seek(&r.loop, r.loop.rank, row, &at);
    for (; row < last; row++, loop_next(&r.loop, r.loop.rank, &at)) {
        const char *from = x + at.offset[0] * r.size;
        char *to = y + at.offset[1] * r.size + first * r.y_step;
        if (r.p->mode == TN_RESIZE_NEAREST)
            copy_nearest(&r, &taps, to, from);
        else
            interpolate(&r, &taps, to, from);
        if (r.p->coordinates == TN_RESIZE_CROP) fill_outside(&r, to, first, n, block);
    }
}
