/* Weighted sums over tables of taps: what resampling kernels do once they know where results come
 * from.
 *
 *     y[i] = sum over t of weight[t][i] x[index[t][i]],   i < n
 *
 * Tables are tap by tap, rows of `pitch` entries (a multiple of the vector width, at least n), so
 * that neighbouring results are lanes of one vector. Entries beyond n are index 0, weight 0. */
#ifndef TENON_RUNTIME_KERNELS_TAPS_H
#define TENON_RUNTIME_KERNELS_TAPS_H

#include "runtime/base/dtype.h"
#include "runtime/kernels/simd.h"

#define TAPS_PITCH(n) (((n) + 15) / 16 * 16)

typedef struct Taps {
    int64_t n, taps, pitch;
    int32_t *index;
    void *weight; /* float or double, as the elements */
} Taps;

static inline void taps_set(const Taps *t, TnDType dtype, int64_t tap, int64_t i, int64_t index,
                            double weight) {
    int64_t at = tap * t->pitch + i;
    t->index[at] = (int32_t)index;
    if (dtype == TN_F64)
        ((double *)t->weight)[at] = weight;
    else
        ((float *)t->weight)[at] = (float)weight;
}

/* Clears the entries beyond n. */
static inline void taps_finish(const Taps *t, TnDType dtype) {
    for (int64_t tap = 0; tap < t->taps; tap++)
        for (int64_t i = t->n; i < t->pitch; i++) taps_set(t, dtype, tap, i, 0, 0);
}

static inline void taps_sum_f32(const Taps *t, float *y, const float *x) {
    const float *weight = t->weight;
    for (int64_t i = 0; i < t->n; i += VF_WIDTH) {
        vf sum = vf_mul(vf_load(weight + i), vf_gather(x, vi_load(t->index + i)));
        for (int64_t tap = 1; tap < t->taps; tap++) {
            int64_t at = tap * t->pitch + i;
            sum = vf_fma(vf_load(weight + at), vf_gather(x, vi_load(t->index + at)), sum);
        }
        vf_store_n(y + i, sum, t->n - i < VF_WIDTH ? t->n - i : VF_WIDTH);
    }
}

/* `vectors` of neighbours in rows of x that are `step` apart, for result i. */
static inline __attribute__((always_inline)) void
taps_part_f32(const Taps *t, int64_t i, float *y, const float *x, int64_t step, int vectors) {
    const float *weight = (const float *)t->weight + i;
    const int32_t *index = t->index + i;
    vf sum[4];
    for (int v = 0; v < vectors; v++) sum[v] = vf_zero();
    for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch) {
        const float *from = x + index[at] * step;
        vf w = vf_set1(weight[at]);
        for (int v = 0; v < vectors; v++) sum[v] = vf_fma(w, vf_load(from + v * VF_WIDTH), sum[v]);
    }
    for (int v = 0; v < vectors; v++) vf_store(y + v * VF_WIDTH, sum[v]);
}

/* Result i where every element is a row: y[c] = sum of weight[t][i] x[index[t][i] step + c],
 * c < n. What is left of a row is done with the last whole vector. */
static inline void taps_row_f32(const Taps *t, int64_t i, float *y, const float *x, int64_t step,
                                int64_t n) {
    int64_t c = 0;
    for (; c + 4 * VF_WIDTH <= n; c += 4 * VF_WIDTH) taps_part_f32(t, i, y + c, x + c, step, 4);
    for (; c + VF_WIDTH <= n; c += VF_WIDTH) taps_part_f32(t, i, y + c, x + c, step, 1);
    if (c < n && n >= VF_WIDTH)
        taps_part_f32(t, i, y + n - VF_WIDTH, x + n - VF_WIDTH, step, 1);
    else if (c < n) {
        const float *weight = (const float *)t->weight + i;
        vf sum = vf_zero();
        for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch)
            sum = vf_fma(vf_set1(weight[at]), vf_load_n(x + t->index[i + at] * step, n), sum);
        vf_store_n(y, sum, n);
    }
}

static inline void taps_sum_f64(const Taps *t, double *y, const double *x) {
    const double *weight = t->weight;
    for (int64_t i = 0; i < t->n; i++) {
        double sum = 0;
        for (int64_t at = i; at < t->taps * t->pitch; at += t->pitch)
            sum += weight[at] * x[t->index[at]];
        y[i] = sum;
    }
}

#endif
