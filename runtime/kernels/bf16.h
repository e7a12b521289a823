/* Operands of bf16 where sums are of floats: rows of either type, and B in panels of pairs (pack.h)
 * on CPUs that do not multiply bf16. */
#ifndef TENON_RUNTIME_KERNELS_BF16_H
#define TENON_RUNTIME_KERNELS_BF16_H

#include <stdbool.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/half.h"

static inline int64_t float_size(bool bf16) {
    return bf16 ? 2 : 4;
}

/* Element `i` of floats or of bf16. */
static inline void *float_at(const void *base, bool bf16, int64_t i) {
    return (char *)(uintptr_t)base + i * float_size(bf16);
}

static inline float float_get(const void *base, bool bf16, int64_t i) {
    return bf16 ? float_of_bf16(((const uint16_t *)base)[i]) : ((const float *)base)[i];
}

static inline void float_set(void *base, bool bf16, int64_t i, float x) {
    if (bf16)
        ((uint16_t *)base)[i] = bf16_of_float(x);
    else
        ((float *)base)[i] = x;
}

/* n elements; rounded to nearest even. */
typedef void Bf16CopyFn(void *to, bool to_bf16, const void *from, bool from_bf16, int64_t n);

enum { BF16_STREAM_ROWS = 2 };

typedef struct Bf16Kernels {
    Bf16CopyFn *copy;
    /* Rows of k elements as rows of A for tiles: of floats, or of bf16 for pairs, an odd k followed
     * by a zero if to_row has room for it. */
    void (*rows)(void *to, int64_t to_row, bool to_bf16, const void *from, int64_t from_row,
                 bool from_bf16, int64_t rows, int64_t k);
    /* Panels of pairs as panels of floats; an odd K is followed by a row of zeros. */
    void (*panels)(float *to, const uint16_t *from, int64_t pairs);
    Streams stream;    /* with A of floats and B in pairs; of up to BF16_STREAM_ROWS */
    Streams f16, bf16; /* B in panels of these */
} Bf16Kernels;

extern const Bf16Kernels TN_FN(bf16_kernels);
Bf16CopyFn TN_FN(bf16_copy);

#endif
