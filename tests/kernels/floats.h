/* Arrays of f32 or bf16 for kernels that take either: noise with the values that the type can hold,
 * words around it that must survive, and how far a result may be off. */
#ifndef TENON_TESTS_KERNELS_FLOATS_H
#define TENON_TESTS_KERNELS_FLOATS_H

#include <math.h>
#include <stdbool.h>
#include "runtime/kernels/half.h"
#include "tests/kernels/kernel_call.h"

enum { FLOATS_GUARD = 16 };
#define FLOATS_UNTOUCHED 12288.0f /* a bf16, too */

typedef struct Floats {
    bool bf16;
    int64_t count;
    char *memory; /* with guards before and after the elements */
} Floats;

static inline TnDType floats_dtype(bool bf16) {
    return bf16 ? TN_BF16 : TN_F32;
}

static inline void *floats_at(const Floats *x, int64_t i) {
    return x->memory + (FLOATS_GUARD + i) * (x->bf16 ? 2 : 4);
}

static inline float floats_get(const Floats *x, int64_t i) {
    uint16_t half;
    float whole;
    if (!x->bf16) return *(const float *)memcpy(&whole, floats_at(x, i), sizeof whole);
    memcpy(&half, floats_at(x, i), sizeof half);
    return float_of_bf16(half);
}

static inline void floats_set(const Floats *x, int64_t i, float value) {
    uint16_t half = bf16_of_float(value);
    memcpy(floats_at(x, i), x->bf16 ? (void *)&half : (void *)&value, x->bf16 ? 2 : 4);
}

static inline Floats floats_untouched(bool bf16, int64_t count) {
    Floats x = {bf16, count, malloc((size_t)(count + 2 * FLOATS_GUARD) * 4)};
    assert_non_null(x.memory);
    for (int64_t i = -FLOATS_GUARD; i < count + FLOATS_GUARD; i++)
        floats_set(&x, i, FLOATS_UNTOUCHED);
    return x;
}

static inline Floats floats_noise(bool bf16, int64_t count, uint32_t seed) {
    Floats x = floats_untouched(bf16, count);
    for (int64_t i = 0; i < count; i++) floats_set(&x, i, noise(&seed));
    return x;
}

/* Whether the elements that were not taken back are untouched. */
static inline bool floats_whole(const Floats *x) {
    for (int64_t i = -FLOATS_GUARD; i < x->count + FLOATS_GUARD; i++)
        if (floats_get(x, i) != FLOATS_UNTOUCHED) return false;
    return true;
}

/* Reads an element, and makes it untouched again. */
static inline float floats_take(const Floats *x, int64_t i) {
    float value = floats_get(x, i);
    floats_set(x, i, FLOATS_UNTOUCHED);
    return value;
}

static inline float as_bf16(float x) {
    return float_of_bf16(bf16_of_float(x));
}

/* A sum whose terms have the absolute sum `size`, stored as f32 or bf16. */
static inline bool floats_near(float got, double want, double size, bool bf16) {
    return fabs(want - (double)got) <= 2e-6 * size + 1e-6 + (bf16 ? fabs(want) * 0x1p-8 : 0);
}

static inline TnTensor floats_dense(const Floats *x, int rank, const int64_t *dims) {
    return dense(floats_at(x, 0), floats_dtype(x->bf16), rank, dims);
}

/* [batch, rows, cols] with gaps between rows and between the matrices of a batch. */
static inline TnTensor floats_rows(const Floats *x, const int64_t dims[3], int64_t gap,
                                   int64_t batch_gap) {
    TnTensor t = floats_dense(x, 3, dims);
    t.strides[1] = dims[2] + gap;
    t.strides[0] = dims[1] * t.strides[1] + batch_gap;
    return t;
}

/* A matrix of bf16 values as panels of pairs. */
static inline uint16_t *pack_pairs(const float *b, int64_t k, int64_t n) {
    uint16_t *p = calloc((size_t)tn_packed_elements(TN_LAYOUT_PAIRS16, k, n) + 1, sizeof *p);
    assert_non_null(p);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++) p[tn_pairs_index(k, i, j)] = bf16_of_float(b[i * n + j]);
    return p;
}

#endif
