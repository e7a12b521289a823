/* roi_align: regions of x[n, c, h, w] pooled to y[region, c, ph, pw]; all f32 and dense.
 *
 * regions[r, :] = x1, y1, x2, y2 and batch[r] names the image. A region (times `scale`, minus half
 * an element if so wanted) is divided into ph by pw bins, a bin sampled bilinearly at a grid of
 * `samples` by `samples` points (0: as many as the bin is elements long). Results are the average
 * of the samples, or the largest weighted tap of any sample. Samples more than one element outside
 * are 0.
 *
 * The average is a product of sums over rows and over columns: taps of either axis are listed per
 * bin as weights of consecutive elements. Indices of images are checked. */
#include <math.h>
#include <stdbool.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

TN_COMMON_FAMILY(roi_align);

enum { ROWS, COLUMNS };

/* One axis of one region. */
typedef struct RoiAxis {
    int64_t extent, bins;
    double start, bin, samples; /* start and length in elements; samples per bin, may be <= 0 */
} RoiAxis;

/* Samples of a bin that are not outside: [first, last). */
typedef struct Samples {
    int64_t first, last;
    double begin; /* sample i lies at begin + (i + 0.5) bin / samples */
    bool some_outside;
} Samples;

typedef struct Tap {
    int64_t low, high;
    double weight; /* of high */
} Tap;

static RoiAxis roi_axis(const TnCall *call, int axis, const float *region) {
    const ParamsRoiAlign *p = call->params;
    RoiAxis a = {.extent = call->operands[0].dims[2 + axis],
                 .bins = call->operands[3].dims[2 + axis]};
    double offset = p->half_pixel ? 0.5 : 0, scale = (double)p->scale;
    a.start = (double)region[1 - axis] * scale - offset;
    double length = (double)region[3 - axis] * scale - offset - a.start;
    if (!p->half_pixel && !(length > 1)) length = 1;
    a.bin = length / (double)a.bins;
    a.samples = p->samples ? (double)p->samples : ceil(a.bin);
    if (!(fabs(a.start) < 1e12 && fabs(a.bin) < 1e12)) a.samples = 0; /* not finite */
    return a;
}

static double place_of(const RoiAxis *a, double begin, double i) {
    return begin + (i + 0.5) * a->bin / a->samples;
}

static bool is_outside(const RoiAxis *a, double begin, double i) {
    double at = place_of(a, begin, i);
    return !(at >= -1 && at <= (double)a->extent);
}

/* At most two samples lie within an element where their number is the bin's length, so that the
 * loops are bounded by the image. */
static Samples samples_of(const RoiAxis *a, int64_t bin) {
    Samples s = {.begin = a->start + (double)bin * a->bin};
    if (!(a->samples >= 1)) return (Samples){0};
    double first = 0, last = a->samples, extent = (double)a->extent, step = a->bin / a->samples;
    if (step != 0) { /* negative where a region ends before it starts */
        double low = (-1 - s.begin) / step - 0.5, high = (extent - s.begin) / step - 0.5;
        first = fmax(0, floor(fmin(low, high)));
        last = fmin(last, ceil(fmax(low, high)) + 1);
    }
    /* a sample at the very edge: as it is rounded */
    while (first < last && is_outside(a, s.begin, first)) first++;
    while (last > first && is_outside(a, s.begin, last - 1)) last--;
    s.some_outside = first > 0 || last < a->samples;
    if (last <= first) return (Samples){.some_outside = true};
    s.first = (int64_t)first;
    s.last = (int64_t)last;
    return s;
}

static Tap tap_of(const RoiAxis *a, const Samples *s, int64_t i) {
    double at = fmax(place_of(a, s->begin, (double)i), 0);
    Tap t = {.low = (int64_t)at};
    if (t.low >= a->extent - 1) return (Tap){a->extent - 1, a->extent - 1, 0};
    t.high = t.low + 1;
    t.weight = at - (double)t.low;
    return t;
}

/* Weights of consecutive elements from `first` on. */
typedef struct Band {
    int64_t first, count;
    float *weight; /* room for the whole axis */
} Band;

static void list_band(const RoiAxis *a, int64_t bin, Band *b) {
    Samples s = samples_of(a, bin);
    b->first = a->extent;
    int64_t end = 0;
    for (int64_t i = 0; i < a->extent; i++) b->weight[i] = 0;
    for (int64_t i = s.first; i < s.last; i++) {
        Tap t = tap_of(a, &s, i);
        b->weight[t.low] += (float)((1 - t.weight) / a->samples);
        b->weight[t.high] += (float)(t.weight / a->samples);
        if (t.low < b->first) b->first = t.low;
        if (t.high >= end) end = t.high + 1;
    }
    b->count = end > b->first ? end - b->first : 0;
}

static float average(const Band *rows, const Band *columns, const float *x, int64_t width) {
    float sum = 0;
    for (int64_t i = rows->first; i < rows->first + rows->count; i++) {
        float line = 0;
        const float *from = x + i * width;
        for (int64_t j = columns->first; j < columns->first + columns->count; j++)
            line += columns->weight[j] * from[j];
        sum += rows->weight[i] * line;
    }
    return sum;
}

static float largest_tap(Tap row, Tap column, const float *x, int64_t width) {
    const float *low = x + row.low * width, *high = x + row.high * width;
    double v = (1 - row.weight) * (1 - column.weight) * (double)low[column.low];
    v = fmax(v, (1 - row.weight) * column.weight * (double)low[column.high]);
    v = fmax(v, row.weight * (1 - column.weight) * (double)high[column.low]);
    return (float)fmax(v, row.weight * column.weight * (double)high[column.high]);
}

static float largest(const RoiAxis *axes, int64_t row, int64_t column, const float *x) {
    Samples rows = samples_of(&axes[ROWS], row), columns = samples_of(&axes[COLUMNS], column);
    bool none = !(axes[ROWS].samples >= 1 && axes[COLUMNS].samples >= 1);
    float best = none || rows.some_outside || columns.some_outside ? 0 : -INFINITY;
    for (int64_t i = rows.first; i < rows.last && !none; i++) {
        Tap t = tap_of(&axes[ROWS], &rows, i);
        for (int64_t j = columns.first; j < columns.last; j++)
            best = fmaxf(
                best, largest_tap(t, tap_of(&axes[COLUMNS], &columns, j), x, axes[COLUMNS].extent));
    }
    return best;
}

/* One task per region: bands of all bins, then all channels. */
void roi_align_plan_common(TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[3];
    int64_t results = tensor_elements(y);
    call->tasks = results > 0 ? y->dims[0] : 0;
    call->work = results * 30;
    call->scratch_bytes = (size_t)(x->dims[2] + x->dims[3]) * sizeof(float);
}

static void pool_bin(const TnCall *call, const RoiAxis *axes, int64_t row, int64_t column,
                     const Band *bands, const float *image, float *y) {
    const ParamsRoiAlign *p = call->params;
    int64_t channels = call->operands[0].dims[1];
    int64_t plane = axes[ROWS].extent * axes[COLUMNS].extent;
    int64_t bins = axes[ROWS].bins * axes[COLUMNS].bins;
    for (int64_t c = 0; c < channels; c++) {
        const float *x = image + c * plane;
        y[c * bins] = p->max ? largest(axes, row, column, x)
                             : average(&bands[ROWS], &bands[COLUMNS], x, axes[COLUMNS].extent);
    }
}

void roi_align_run_common(const TnCall *call, int64_t task, void *scratch) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[3];
    const float *region = (const float *)call->operands[1].data + task * 4;
    int64_t image = ((const int64_t *)call->operands[2].data)[task], channels = x->dims[1];
    if (image < 0 || image >= x->dims[0]) {
        tn_fault(call, image, x->dims[0]);
        return;
    }
    RoiAxis axes[] = {roi_axis(call, ROWS, region), roi_axis(call, COLUMNS, region)};
    int64_t bins = axes[ROWS].bins * axes[COLUMNS].bins;
    Band bands[] = {{.weight = scratch}, {.weight = (float *)scratch + axes[ROWS].extent}};
    const float *from =
        (const float *)x->data + image * channels * axes[ROWS].extent * axes[COLUMNS].extent;
    float *to = (float *)y->data + task * channels * bins;
    for (int64_t row = 0; row < axes[ROWS].bins; row++) {
        list_band(&axes[ROWS], row, &bands[ROWS]);
        for (int64_t column = 0; column < axes[COLUMNS].bins; column++) {
            list_band(&axes[COLUMNS], column, &bands[COLUMNS]);
            pool_bin(call, axes, row, column, bands, from, to + row * axes[COLUMNS].bins + column);
        }
    }
}
