/* Functions of real numbers over the vocabulary of simd.h (which includes this file).
 *
 * Polynomials are minimax fits (Remez exchange, coefficients rounded to float from the lowest up,
 * each rounding followed by a new fit of the rest). exp, log, erf, tanh, sin and cos stay within 2
 * ulp, GELU within 4e-7 max(1, |x|); infinities, NaN, denormals and overflow come out as IEEE 754
 * has them. tests/kernels/test_simd.c holds the bounds. */
#ifndef TENON_RUNTIME_KERNELS_SIMD_MATH_H
#define TENON_RUNTIME_KERNELS_SIMD_MATH_H

#include "runtime/kernels/simd.h"
#include "runtime/kernels/simd_tables.h"
#include "runtime/kernels/unroll.h"
#include "runtime/params.h"

#define VF_LOG2_E 1.44269504f
/* ln 2 in two parts; the first has 12 trailing zero bits, so
 * its product with a multiple of 1/8 up to 150 is exact. */
#define VF_LN2_HIGH 0.693115234f
#define VF_LN2_LOW  3.19461833e-5f

/* c[0] + c[1] x + .. + c[degree] x^degree; with a constant degree. */
ALWAYS_INLINE vf vf_polynomial(vf x, const float *c, int degree) {
    vf sum = vf_set1(c[degree]);
    UNROLL for (int i = degree - 1; i >= 0; i--) {
        sum = vf_fma(sum, x, vf_set1(c[i]));
    }
    return sum;
}

/* exp for -104 <= x <= 89 or NaN (AVX-512: for all above, too): 2^n e^r with n the multiple of 1/32
 * or 1/8 next to x / ln 2, 2^n = 2^floor(n) 2^i from a table, e^r = 1 + r q(r). The lookup stands
 * for half of the multiplications that e^r would take up to r = ln 2 / 2. A sum between 2^18 and
 * 2^19 is rounded to 1/32: its last 5 bits are the place in the table, those before them floor(n).
 */
static inline vf vf_exp_bounded(vf x) {
    const vf round = vf_set1(VF_WIDTH == 16 ? 0x1.8p18f : 0x1.8p20f);
    vf shifted = vf_fma(x, vf_set1(VF_LOG2_E), round), n = vf_sub(shifted, round);
    vf r = vf_fnma(n, vf_set1(VF_LN2_HIGH), x);
    r = vf_fnma(n, vf_set1(VF_LN2_LOW), r);
    vi bits = vi_of_bits(shifted);
#if VF_WIDTH == 16
    vf power = vf_lookup32(vf_exp2_table, bits);
    vf q = vf_fma(r, vf_set1(0.500004888f), vf_set1(1.00001466f));
    return vf_ldexp(vf_fma(vf_mul(power, r), q, power), n);
#else
    static const float q[] = {1, 0.500064731f, 0.166681856f};
    /* 2^floor(n) may be out of range, and so is applied half before and half after */
    vi half = vi_sra(bits, 4), rest = vi_sub(vi_sra(bits, 3), half);
    vi power_bits = vi_of_bits(vf_lookup8(vf_exp2_table, bits));
    vf power = vf_of_bits(vi_add(power_bits, vi_shl(half, 23)));
    vf y = vf_fma(vf_mul(power, r), vf_polynomial(r, q, 2), power);
    return vf_mul(y, vf_of_bits(vi_shl(vi_add(rest, vi_set1(127)), 23)));
#endif
}

/* Beyond the bounds e^x is 0 or infinity in float; the table's form gets there by itself above. */
static inline vf vf_exp(vf x) {
    x = vf_max(vf_set1(-104), x);
    return vf_exp_bounded(VF_WIDTH < 16 ? vf_min(vf_set1(89), x) : x);
}

/* 2^r for |r| <= 1/2: relative errors of 7.5e-5 and 1.9e-7. */
static const float vf_exp2_degree3[] = {0.999928057f, 0.693260908f, 0.242611393f, 0.05517f};
static const float vf_exp2_degree5[] = {1.00000012f,   0.693147421f,   0.240219191f,
                                        0.0554968081f, 0.00968481041f, 0.00136692624f};

/* x[i] := 2^x[i] for x <= 0 or NaN. Each step is taken by all n before the next one is: what one
 * vector waits for is what the others do. AVX-512 scales a NaN by 2^-infinity to 0; 2^-151 is 0
 * even where c[0] is more than 1, which 2^-150 is not. */
ALWAYS_INLINE void vf_exp2_below(vf *x, int n, const float *c, int degree) {
    vf whole[4], sum[4];
    UNROLL for (int i = 0; i < n; i++) {
        if (VF_WIDTH < 16) x[i] = vf_max(vf_set1(-151), x[i]);
        whole[i] = vf_round(x[i]);
        x[i] = vf_sub(x[i], whole[i]);
        sum[i] = vf_set1(c[degree]);
    }
    UNROLL for (int d = degree - 1; d >= 0; d--) {
        UNROLL for (int i = 0; i < n; i++) {
            sum[i] = vf_fma(sum[i], x[i], vf_set1(c[d]));
        }
    }
    UNROLL for (int i = 0; i < n; i++) {
        x[i] = vf_ldexp(sum[i], whole[i]);
    }
}

/* x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): e ln 2 + f - f^2 / 2 + f^3 p(f). */
static inline vf vf_log(vf x) {
    static const float p[] = {0.333333135f, -0.250001669f, 0.200022221f,
                              -0.16659373f, 0.14209637f,   -0.125492096f,
                              0.121004954f, -0.109372281f, 0.0543397404f};
    const float smallest_normal = 0x1p-126f;
    vm denormal = vf_lt(x, vf_set1(smallest_normal));
    vf scaled = vf_select(denormal, vf_mul(x, vf_set1(0x1p23f)), x);
    vi bits = vi_of_bits(scaled);
    vi e = vi_sra(vi_sub(bits, vi_set1(0x3f3504f3)), 23); /* the bits of sqrt(1/2) */
    vf f = vf_sub(vf_of_bits(vi_sub(bits, vi_shl(e, 23))), vf_set1(1));
    vf n = vf_sub(vf_of_int(e), vf_select(denormal, vf_set1(23), vf_zero()));
    vf square = vf_mul(f, f);
    vf tail = vf_mul(vf_mul(square, f), vf_polynomial(f, p, 8));
    tail = vf_fma(n, vf_set1(VF_LN2_LOW), tail);
    tail = vf_fnma(vf_set1(0.5f), square, tail);
    vf y = vf_fma(n, vf_set1(VF_LN2_HIGH), vf_add(f, tail));
    y = vf_select(vf_eq(x, vf_zero()), vf_set1(-INFINITY), y);
    y = vf_select(vf_eq(x, vf_set1(INFINITY)), x, y);
    return vf_select(vf_le(vf_zero(), x), y, vf_set1(NAN));
}

#if defined(TN_ISA_avx512)
/* By a table of simd_tables.h, for 0 <= t < 15.5 width or NaN; `degree` is a constant. The sum with
 * 1.5 2^23 is rounded to the nearest integer, which its last bits are. */
ALWAYS_INLINE vf vf_by_table(vf t, float width, const float (*c)[16], int degree) {
    const vf round = vf_set1(0x1.8p23f);
    vf shifted = vf_fma(t, vf_set1(1 / width), round);
    vf r = vf_fnma(vf_sub(shifted, round), vf_set1(width), t);
    vi column = vi_of_bits(shifted);
    vf sum = vf_lookup16(c[degree], column);
    UNROLL for (int i = degree - 1; i >= 0; i--) {
        sum = vf_fma(sum, r, vf_lookup16(c[i], column));
    }
    return sum;
}

/* From 4 on the result is 1. */
static inline vf vf_erf(vf x) {
    vf t = vf_min(vf_set1(4), vf_abs(x));
    vf rest = vf_by_table(t, VF_ERF_WIDTH, vf_erf_table, 5);
    return vf_copysign(vf_fma(t, vf_set1(VF_ERF_SLOPE), rest), x);
}
#else
/* x + x p(x^2) up to 0.875; 1 - exp(q(|x|)) beyond, where
 * q = log(erfc) and from 4 on the result is 1. */
static inline vf vf_erf(vf x) {
    static const float p[] = {0.128379151f,   -0.376125038f,  0.112819217f,
                              -0.0267704856f, 0.00499892794f, -0.000602049113f};
    static const float q[] = {-0.000133576992f, -1.12793612f,    -0.636737227f,  -0.104327507f,
                              0.0224202164f,    -0.00309228944f, 0.000200995244f};
    vf size = vf_abs(x), bounded = vf_min(vf_set1(4), size);
    vf near = vf_fma(x, vf_polynomial(vf_mul(x, x), p, 5), x);
    vf far = vf_sub(vf_set1(1), vf_exp_bounded(vf_polynomial(bounded, q, 6)));
    return vf_copysign(vf_select(vf_lt(size, vf_set1(0.875f)), near, far), x);
}
#endif

/* x + x^3 p(x^2) up to 0.625; 1 - 2 / (e^2|x| + 1) beyond. */
static inline vf vf_tanh(vf x) {
    static const float p[] = {-0.333332807f, 0.133314058f, -0.0537365153f, 0.0206281673f,
                              -0.0056922962f};
    vf size = vf_abs(x), bounded = vf_min(vf_set1(10), size), square = vf_mul(x, x);
    vf near = vf_fma(vf_mul(x, square), vf_polynomial(square, p, 4), x);
    vf e = vf_exp_bounded(vf_add(bounded, bounded));
    vf far = vf_sub(vf_set1(1), vf_div(vf_set1(2), vf_add(e, vf_set1(1))));
    return vf_copysign(vf_select(vf_lt(size, vf_set1(0.625f)), near, far), x);
}

/* 1 / (1 + e) or e / (1 + e) with e = exp(-|x|): exact in the tails and without overflow. */
static inline vf vf_sigmoid(vf x) {
    vf one = vf_set1(1), e = vf_exp(vf_neg(vf_abs(x)));
    return vf_div(vf_select(vf_lt(x, vf_zero()), e, one), vf_add(one, e));
}

static inline vf vf_relu(vf x) {
    return vf_max(vf_zero(), x);
}

/* x sigmoid(y). Where exp(-y) overflows the result is 0 instead of a denormal. */
static inline vf vf_gate(vf x, vf y) {
    return vf_div(x, vf_add(vf_set1(1), vf_exp(vf_neg(y))));
}

/* GELU, x Phi(x) = max(x, 0) - u(|x|) with u(t) = t (1 - Phi(t)), which is below 6e-9 from 6 on;
 * and its approximation by tanh: 0.5 x (1 + tanh(y)) = x sigmoid(2 y), y = sqrt(2 / pi) (x +
 * 0.044715 x^3). */
#if defined(TN_ISA_avx512)
static inline vf vf_gelu_of(vf x, const float (*c)[16]) {
    vf t = vf_min(vf_set1(6), vf_abs(x));
    return vf_fnma(t, vf_by_table(t, VF_GELU_WIDTH, c, 4), vf_relu(x));
}

static inline vf vf_gelu(vf x) {
    return vf_gelu_of(x, vf_gelu_table);
}

static inline vf vf_gelu_tanh(vf x) {
    return vf_gelu_of(x, vf_gelu_tanh_table);
}
#else
/* u = t exp(q(t)), q fitted so that the error of u is uniform. */
static inline vf vf_gelu(vf x) {
    static const float q[] = {-0.693142354f,  -0.797952414f,    -0.317995071f,  -0.0370236114f,
                              0.00560200354f, -0.000533493177f, 2.29793859e-05f};
    vf t = vf_min(vf_set1(6), vf_abs(x));
    vf u = vf_mul(t, vf_exp_bounded(vf_polynomial(t, q, 6)));
    return vf_sub(vf_relu(x), u);
}

static inline vf vf_gelu_tanh(vf x) {
    const float two_c = 1.59576912f;
    vf inner = vf_fma(vf_mul(x, x), vf_set1(two_c * 0.044715f), vf_set1(two_c));
    return vf_gate(x, vf_mul(x, inner));
}
#endif

static inline vf vf_silu(vf x) {
    return vf_gate(x, x);
}

static inline vf vf_gelu_quick(vf x) {
    return vf_gate(x, vf_mul(vf_set1(1.702f), x));
}

/* Rare functions go lane by lane through libm. */
static inline vf vf_lanes1(vf x, float (*f)(float)) {
    float lane[VF_WIDTH];
    vf_store(lane, x);
    for (int i = 0; i < VF_WIDTH; i++) lane[i] = f(lane[i]);
    return vf_load(lane);
}

static inline vf vf_lanes2(vf x, vf y, float (*f)(float, float)) {
    float lane[VF_WIDTH], other[VF_WIDTH];
    vf_store(lane, x);
    vf_store(other, y);
    for (int i = 0; i < VF_WIDTH; i++) lane[i] = f(lane[i], other[i]);
    return vf_load(lane);
}

/* The sine of x, or of x + pi / 2 (the cosine). x = n pi / 2 + r with |r| <= pi / 4 and pi / 2 in
 * three parts: n times the first is taken off exactly, then the others, each with one rounding.
 * Then +-(r + r^3 p(r^2)) or +-(1 - r^2 / 2 + r^4 q(r^2)). Where n would take too many bits, at
 * infinity and NaN the C library answers. */
static inline vf vf_sine(vf x, int32_t cosine) {
#if VF_WIDTH == 1
    return cosine ? cosf(x) : sinf(x);
#else
    static const float p[] = {-0.166666552f, 0.00833219103f, -0.000195186003f};
    static const float q[] = {0.0416666456f, -0.00138873106f, 2.44325525e-05f};
    if (vm_any(vm_not(vf_lt(vf_abs(x), vf_set1(32768))))) return vf_lanes1(x, cosine ? cosf : sinf);
    vf n = vf_round(vf_mul(x, vf_set1(0.636619747f)));
    vf r = vf_fnma(n, vf_set1(1.57079625f), x);
    r = vf_fnma(n, vf_set1(7.54978942e-08f), r);
    r = vf_fnma(n, vf_set1(5.39030295e-15f), r);
    vi turns = vi_add(vf_to_int(n), vi_set1(cosine));
    vf square = vf_mul(r, r);
    vf odd = vf_fma(vf_mul(square, r), vf_polynomial(square, p, 2), r);
    vf even = vf_fma(square, vf_polynomial(square, q, 2), vf_set1(-0.5f));
    even = vf_fma(square, even, vf_set1(1));
    vm crossed = vf_lt(vf_of_bits(vi_add(vi_shl(turns, 31), vi_of_bits(vf_set1(1)))), vf_zero());
    vi sign = vi_shl(vi_sra(turns, 1), 31);
    vf y = vf_of_bits(vi_add(vi_of_bits(vf_select(crossed, even, odd)), sign));
    return vf_select(vf_eq(x, vf_zero()), cosine ? vf_set1(1) : x, y); /* -0 stays */
#endif
}

static inline vf vf_pow(vf x, vf y) {
    return vf_lanes2(x, y, powf);
}

/* Call with a constant `act`, so that the switch is decided outside the caller's loops. */
static inline __attribute__((always_inline)) vf vf_activate(vf x, TnActivation act) {
    switch (act) {
    case TN_ACT_RELU: return vf_relu(x);
    case TN_ACT_GELU: return vf_gelu(x);
    case TN_ACT_GELU_TANH: return vf_gelu_tanh(x);
    case TN_ACT_GELU_QUICK: return vf_gelu_quick(x);
    case TN_ACT_SILU: return vf_silu(x);
    case TN_ACT_TANH: return vf_tanh(x);
    case TN_ACT_SIGMOID: return vf_sigmoid(x);
    default: return x;
    }
}

#endif
