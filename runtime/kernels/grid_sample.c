/* grid_sample: y[b, c, o..] = x[b, c, ..] at the place that grid[b, o.., :] names, zero to three
 * taps beyond the edge; x, grid and y dense, up to three spatial axes.
 *
 * grid[.., 0] belongs to the last axis, in [-1, 1] across it: with align_corners -1 and 1 are the
 * centers of the outermost elements, else their outer edges. Beyond the edge x is 0 (zeros), its
 * outermost element (border) or mirrored at that place (reflection). Between elements it is the
 * nearest one (ties to even), linear, or Keys' cubic with a = -0.75.
 *
 * A task lists the taps of some places once, for all channels. */
#include <stdbool.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/taps.h"
#include "runtime/params.h"

TN_FAMILY(grid_sample);

#define TABLE_ENTRIES 4096
#define MAX_AXES      3
#define MAX_TAPS      4 /* per axis */

typedef struct Sampling {
    const ParamsGridSample *p;
    TnDType dtype;
    int axes, taps; /* taps per axis */
    int64_t batch, channels, places, plane;
    int64_t in[MAX_AXES];
    int64_t all_taps, block; /* of a place; places of a task */
} Sampling;

static Sampling sampling_of(const TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[2];
    Sampling s = {.p = call->params, .dtype = (TnDType)x->dtype, .axes = x->rank - 2};
    s.taps = s.p->mode == TN_RESIZE_NEAREST ? 1 : s.p->mode == TN_RESIZE_LINEAR ? 2 : MAX_TAPS;
    s.batch = x->dims[0];
    s.channels = x->dims[1];
    s.places = tensor_extent(y, 2, y->rank);
    s.plane = tensor_extent(x, 2, x->rank);
    s.all_taps = 1;
    for (int a = 0; a < s.axes; a++) {
        s.in[a] = x->dims[2 + a];
        s.all_taps *= s.taps;
    }
    s.block = TABLE_ENTRIES / s.all_taps;
    if (s.block > s.places) s.block = s.places;
    return s;
}

void TN_FN(grid_sample_plan)(TnCall *call) {
    int64_t results = tensor_elements(&call->operands[2]);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (results == 0) return;
    Sampling s = sampling_of(call);
    call->tasks = s.batch * TN_CEIL_DIV(s.places, s.block);
    call->work = results * s.all_taps + s.batch * s.places * 20 * s.axes;
    call->scratch_bytes =
        (size_t)(s.all_taps * TAPS_PITCH(s.block)) * (sizeof(int32_t) + sizeof(double));
}

/* --- the taps of a place --- */

typedef struct AxisTaps {
    int64_t index[MAX_TAPS]; /* -1: outside, counts as 0 */
    float weight[MAX_TAPS];
} AxisTaps;

/* `at` mirrored at both edges until it lies between them. */
static float reflect(const Sampling *s, int64_t n, float at) {
    float low = s->p->align_corners ? 0 : -0.5f, high = (float)(n - 1) - low, range = high - low;
    if (at >= low && at <= high) return at;
    if (range <= 0) return 0;
    float distance = at < low ? low - at : at - high, times = floorf(distance / range);
    float rest = distance - times * range;
    bool even = fmodf(times, 2) == 0;
    return (at < low) == even ? low + rest : high - rest;
}

/* Into [-4, n + 3], where padding with zeros does not change any more; NaN goes below. */
static float bounded(float at, int64_t n) {
    if (!(at > -4)) return -4;
    return at < (float)(n + 3) ? at : (float)(n + 3);
}

static int64_t padded_index(const Sampling *s, int64_t n, int64_t i) {
    if (i >= 0 && i < n) return i;
    if (s->p->padding == TN_PADDING_ZEROS) return -1;
    if (s->p->padding == TN_PADDING_REFLECTION) i = (int64_t)bounded(reflect(s, n, (float)i), n);
    return i < 0 ? 0 : i < n ? i : n - 1;
}

static void cubic_weights(float part, float *w) {
    const float a = -0.75f;
    float d[] = {part + 1, part, 1 - part, 2 - part};
    for (int k = 0; k < MAX_TAPS; k++)
        w[k] = k == 1 || k == 2 ? ((a + 2) * d[k] - (a + 3)) * d[k] * d[k] + 1
                                : ((a * d[k] - 5 * a) * d[k] + 8 * a) * d[k] - 4 * a;
}

static AxisTaps axis_taps(const Sampling *s, int64_t n, float coordinate) {
    AxisTaps t = {{0}, {1}};
    float size = (float)n, at = s->p->align_corners ? (coordinate + 1) / 2 * (size - 1)
                                                    : ((coordinate + 1) * size - 1) / 2;
    if (s->p->mode == TN_RESIZE_NEAREST) at = rintf(at);
    if (s->p->padding == TN_PADDING_BORDER) at = at > 0 ? at < size - 1 ? at : size - 1 : 0;
    if (s->p->padding == TN_PADDING_REFLECTION) at = reflect(s, n, at);
    at = bounded(at, n);
    float low = floorf(at), part = at - low;
    int64_t first = (int64_t)low - (s->taps == MAX_TAPS);
    for (int k = 0; k < s->taps; k++) t.index[k] = padded_index(s, n, first + k);
    if (s->taps == 2) {
        t.weight[0] = 1 - part;
        t.weight[1] = part;
    }
    if (s->taps == MAX_TAPS) cubic_weights(part, t.weight);
    return t;
}

/* Every combination of the axes' taps. */
static void list_place(const Sampling *s, const Taps *t, int64_t i, const float *grid) {
    AxisTaps axis[MAX_AXES];
    for (int a = 0; a < s->axes; a++) axis[a] = axis_taps(s, s->in[a], grid[s->axes - 1 - a]);
    for (int64_t tap = 0; tap < s->all_taps; tap++) {
        int choice[MAX_AXES];
        for (int64_t a = s->axes - 1, rest = tap; a >= 0; a--, rest /= s->taps)
            choice[a] = (int)(rest % s->taps);
        int64_t index = 0;
        float weight = 1;
        bool inside = true;
        for (int a = 0; a < s->axes; a++) {
            int64_t k = axis[a].index[choice[a]];
            inside = inside && k >= 0;
            index = index * s->in[a] + k;
            weight *= axis[a].weight[choice[a]];
        }
        taps_set(t, s->dtype, tap, i, inside ? index : 0, inside ? (double)weight : 0);
    }
}

void TN_FN(grid_sample_run)(const TnCall *call, int64_t task, void *scratch) {
    Sampling s = sampling_of(call);
    int64_t blocks = TN_CEIL_DIV(s.places, s.block), b = task / blocks;
    int64_t first = task % blocks * s.block;
    Taps t = {.taps = s.all_taps, .n = s.places - first < s.block ? s.places - first : s.block};
    t.pitch = TAPS_PITCH(t.n);
    t.weight = scratch;
    t.index = (int32_t *)((double *)scratch + t.taps * t.pitch);
    const float *grid = (const float *)call->operands[1].data + (b * s.places + first) * s.axes;
    for (int64_t i = 0; i < t.n; i++) list_place(&s, &t, i, grid + i * s.axes);
    taps_finish(&t, s.dtype);
    for (int64_t c = b * s.channels; c < (b + 1) * s.channels; c++) {
        int64_t from = c * s.plane, to = c * s.places + first;
        if (s.dtype == TN_F64)
            taps_sum_f64(&t, (double *)call->operands[2].data + to,
                         (const double *)call->operands[0].data + from);
        else
            taps_sum_f32(&t, (float *)call->operands[2].data + to,
                         (const float *)call->operands[0].data + from);
    }
}
