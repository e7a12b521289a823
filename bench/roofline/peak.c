/* Peak arithmetic: independent multiplications and additions in registers. Each function returns
 * how many operations it did. */
#include "bench/roofline/peak.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { STEPS = 10000, ACCUMULATORS = 24 };

static void keep(float sum) {
    volatile float sink = sum;
    (void)sink;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static double f32_avx512(void) {
    __m512 acc[ACCUMULATORS], x = _mm512_set1_ps(1.0001f), y = _mm512_set1_ps(0.5f);
    for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_set1_ps((float)i);
    for (int k = 0; k < STEPS; k++) {
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_fmadd_ps(acc[i], y, x);
    }
    float sum = 0;
    for (int i = 0; i < ACCUMULATORS; i++) sum += _mm512_reduce_add_ps(acc[i]);
    keep(sum);
    return 32.0 * ACCUMULATORS * STEPS;
}

/* Pairs of products: twice as many as an f32 multiplication does. */
__attribute__((target("avx512f,avx512bf16"))) static double bf16_avx512(void) {
    __m512 acc[ACCUMULATORS];
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f003f00),
             y = (__m512bh)_mm512_set1_epi32(0x3c003c00);
    for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_set1_ps((float)i);
    for (int k = 0; k < STEPS; k++) {
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_dpbf16_ps(acc[i], x, y);
    }
    float sum = 0;
    for (int i = 0; i < ACCUMULATORS; i++) sum += _mm512_reduce_add_ps(acc[i]);
    keep(sum);
    return 64.0 * ACCUMULATORS * STEPS;
}

/* Not the compiler's builtin: gcc 12 moves the sums through memory around it. */
__attribute__((target("avx512f,avx512vnni"))) static inline __m512i add_dots(__m512i sum, __m512i a,
                                                                             __m512i b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* Quads of products: four times as many. */
__attribute__((target("avx512f,avx512vnni"))) static double i8_avx512(void) {
    __m512i acc[ACCUMULATORS], x = _mm512_set1_epi32(0x01020301), y = _mm512_set1_epi32(0x02fd01fe);
    for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_set1_epi32(i);
    for (int k = 0; k < STEPS; k++) {
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) acc[i] = add_dots(acc[i], x, y);
    }
    int32_t sum = 0;
    for (int i = 0; i < ACCUMULATORS; i++) sum ^= _mm512_reduce_add_epi32(acc[i]);
    keep((float)sum);
    return 128.0 * ACCUMULATORS * STEPS;
}

/* 16 registers: 12 accumulators are as many as fit, and enough. */
__attribute__((target("avx2,fma"))) static double f32_avx2(void) {
    __m256 acc[ACCUMULATORS / 2], x = _mm256_set1_ps(1.0001f), y = _mm256_set1_ps(0.5f);
    for (int i = 0; i < ACCUMULATORS / 2; i++) acc[i] = _mm256_set1_ps((float)i);
    for (int k = 0; k < 2 * STEPS; k++) {
#pragma GCC unroll 12
        for (int i = 0; i < ACCUMULATORS / 2; i++) acc[i] = _mm256_fmadd_ps(acc[i], y, x);
    }
    float sum = 0;
    for (int i = 0; i < ACCUMULATORS / 2; i++) sum += _mm256_cvtss_f32(acc[i]);
    keep(sum);
    return 16.0 * ACCUMULATORS * STEPS;
}
#endif

static double f32_scalar(void) {
    float acc[32];
    for (int i = 0; i < 32; i++) acc[i] = (float)i;
    for (int k = 0; k < STEPS; k++)
        for (int i = 0; i < 32; i++) acc[i] = acc[i] * 0.5f + 1.0001f;
    float sum = 0;
    for (int i = 0; i < 32; i++) sum += acc[i];
    keep(sum);
    return 64.0 * STEPS;
}

PeakFn *peak_fn(TnIsa isa, RooflineType type) {
#if defined(__x86_64__)
    if (isa >= TN_ISA_AVX512_BF16 && type == ROOFLINE_BF16) return bf16_avx512;
    if (isa >= TN_ISA_AVX512_VNNI && type == ROOFLINE_I8) return i8_avx512;
    if (isa >= TN_ISA_AVX512) return f32_avx512;
    if (isa == TN_ISA_AVX2) return f32_avx2;
#else
    (void)isa, (void)type;
#endif
    return f32_scalar;
}
