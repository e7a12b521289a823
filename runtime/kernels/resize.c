/* The loops of resize and resize_plane, and the two families: their tasks exist once, in
 * common/resize_line.c and common/resize_plane.c. */
#include "runtime/kernels/resize.h"
#include "runtime/kernels/gemm.h"

TN_FAMILY(resize);
TN_FAMILY(resize_plane);

/* `vectors` of neighbours in rows of x that are `step` apart, for result i. */
ALWAYS_INLINE void part(const Taps *t, int64_t i, float *y, const float *x, int64_t step,
                        int vectors) {
    const float *weight = (const float *)t->weight + i;
    const int32_t *index = t->index + i;
    vf sum[4];
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = vf_zero();
    for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch) {
        const float *from = x + index[at] * step;
        vf w = vf_set1(weight[at]);
        UNROLL for (int v = 0; v < vectors; v++) sum[v] =
            vf_fma(w, vf_load(from + v * VF_WIDTH), sum[v]);
    }
    UNROLL for (int v = 0; v < vectors; v++) vf_store(y + v * VF_WIDTH, sum[v]);
}

/* Result i where every element is a row: y[c] = sum of weight[t][i] x[index[t][i] step + c],
 * c < n. What is left of a row is done with the last whole vector. */
static void row(const Taps *t, int64_t i, float *y, const float *x, int64_t step, int64_t n) {
    int64_t c = 0;
    for (; c + 4 * VF_WIDTH <= n; c += 4 * VF_WIDTH) part(t, i, y + c, x + c, step, 4);
    for (; c + VF_WIDTH <= n; c += VF_WIDTH) part(t, i, y + c, x + c, step, 1);
    if (c < n && n >= VF_WIDTH)
        part(t, i, y + n - VF_WIDTH, x + n - VF_WIDTH, step, 1);
    else if (c < n) {
        const float *weight = (const float *)t->weight + i;
        vf sum = vf_zero();
        for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch)
            sum = vf_fma(vf_set1(weight[at]), vf_load_n(x + t->index[i + at] * step, n), sum);
        vf_store_n(y, sum, n);
    }
}

static void interpolate(const Taps *t, float *y, int64_t y_step, const float *x, int64_t x_step,
                        int64_t n) {
    if (n == 1 && x_step == 1 && y_step == 1) {
        taps_sum_f32(t, y, x);
        return;
    }
    for (int64_t i = 0; i < t->n; i++) row(t, i, y + i * y_step, x, x_step, n);
}

/* `vectors` of a sum of lines from place i on. */
ALWAYS_INLINE void add_part(const LineSum *s, int64_t i, int vectors, bool stream) {
    vf sum[4];
    UNROLL for (int v = 0; v < vectors; v++) sum[v] =
        s->addend ? vf_load(s->addend + i + v * VF_WIDTH) : vf_zero();
    for (int64_t t = 0; t < s->lines; t++) {
        vf w = vf_set1(s->weight[t]);
        UNROLL for (int v = 0; v < vectors; v++) sum[v] =
            vf_fma(w, vf_load(s->line[t] + i + v * VF_WIDTH), sum[v]);
    }
    UNROLL for (int v = 0; v < vectors;
                v++)(stream ? vf_stream : vf_store)(s->y + i + v * VF_WIDTH, sum[v]);
}

static void add_lines(const LineSum *s) {
    int64_t i = 0, n = s->n;
    if (s->stream && (uintptr_t)s->y % sizeof(vf) == 0) {
        for (; i + 4 * VF_WIDTH <= n; i += 4 * VF_WIDTH) add_part(s, i, 4, true);
        vf_stream_end();
    }
    for (; i + 4 * VF_WIDTH <= n; i += 4 * VF_WIDTH) add_part(s, i, 4, false);
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) add_part(s, i, 1, false);
    for (; i < n; i++) {
        float sum = s->addend ? s->addend[i] : 0;
        for (int64_t t = 0; t < s->lines; t++) sum += s->weight[t] * s->line[t][i];
        s->y[i] = sum;
    }
}

static const ResizeLoops loops = {interpolate, add_lines};

void TN_FN(resize_plan)(TnCall *call) {
    tn_resize_plan(call);
}

void TN_FN(resize_run)(const TnCall *call, int64_t task, void *scratch) {
    tn_resize_run(call, task, scratch, &loops);
}

void TN_FN(resize_plane_plan)(TnCall *call) {
    tn_resize_plane_plan(call);
}

void TN_FN(resize_plane_run)(const TnCall *call, int64_t task, void *scratch) {
    tn_resize_plane_run(call, task, scratch, &loops);
}
