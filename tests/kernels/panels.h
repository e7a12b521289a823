/* What tests of products share: panels as pack.h lays them out, and how results end. */
#ifndef TENON_TESTS_KERNELS_PANELS_H
#define TENON_TESTS_KERNELS_PANELS_H

#include <math.h>
#include <stdbool.h>
#include "runtime/kernels/half.h"
#include "tests/kernels/kernel_call.h"

static inline float *pack_panels(const float *b, int64_t k, int64_t n) {
    float *p = calloc((size_t)tn_panels_elements(k, n) + 1, sizeof *p);
    assert_non_null(p);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++) p[tn_panels_index(k, i, j)] = b[i * n + j];
    return p;
}

/* Rounds b to a narrower type, and its panels to that type's 16 bits in place. */
static inline void narrow(TnDType t, float *b, int64_t count, float *panels, int64_t packed) {
    for (int64_t i = 0; i < count; i++) {
        uint16_t bits = t == TN_F16 ? f16_of_float(b[i]) : bf16_of_float(b[i]);
        b[i] = t == TN_F16 ? float_of_f16(bits) : float_of_bf16(bits);
    }
    for (int64_t i = 0; i < packed; i++) {
        uint16_t bits = t == TN_F16 ? f16_of_float(panels[i]) : bf16_of_float(panels[i]);
        memcpy((char *)panels + 2 * i, &bits, sizeof bits);
    }
}

static inline double activate(double x, uint32_t act) {
    switch (act) {
    case TN_ACT_RELU: return x > 0 ? x : 0;
    case TN_ACT_GELU: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case TN_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case TN_ACT_GELU_QUICK: return x / (1 + exp(-1.702 * x));
    case TN_ACT_SILU: return x / (1 + exp(-x));
    case TN_ACT_TANH: return tanh(x);
    case TN_ACT_SIGMOID: return 1 / (1 + exp(-x));
    default: return x;
    }
}

/* act(sum) + residual, or act(sum + residual) */
static inline double ended(double sum, uint32_t act, double residual, bool first) {
    return first ? activate(sum + residual, act) : activate(sum, act) + residual;
}

#endif
