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

static inline void taps_divide(const Taps *t, TnDType dtype, int64_t tap, int64_t i, double by) {
    int64_t at = tap * t->pitch + i;
    if (dtype == TN_F64)
        ((double *)t->weight)[at] /= by;
    else
        ((float *)t->weight)[at] = (float)((double)((float *)t->weight)[at] / by);
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
