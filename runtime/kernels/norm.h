/* Inner interface of the norm family: a row, and what computes one in f64. */
#ifndef TENON_RUNTIME_KERNELS_NORM_H
#define TENON_RUNTIME_KERNELS_NORM_H

#include "runtime/params.h"

/* Elements of the operands' type; what is absent is NULL. */
typedef struct NormRow {
    const void *x, *residual, *gamma, *beta;
    void *y, *s;
} NormRow;

void tn_norm_row_double(const NormRow *r, const ParamsNorm *params, int64_t n);

#endif
