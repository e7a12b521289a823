/* The vector vocabulary kernels are written in: one type `vf` of VF_WIDTH floats, one body per ISA.
 *
 * This is the only place where families differ between ISAs. vf = floats, vi = 32-bit integers, vm
 * = a mask with one truth value per lane. Loads and stores need 4-byte alignment only. Reductions
 * add in a fixed tree, so a result depends on VF_WIDTH but never on threads. On the scalar ISA
 * vf_fma is a multiplication and an addition (no hardware FMA is assumed); formulas allow for it.
 *
 *     for (; i + VF_WIDTH <= n; i += VF_WIDTH) vf_store(y + i, vf_exp(vf_load(x + i)));
 *     if (i < n) vf_store_n(y + i, vf_exp(vf_load_n(x + i, n - i)), n - i);
 */
#ifndef TENON_RUNTIME_KERNELS_SIMD_H
#define TENON_RUNTIME_KERNELS_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(TN_ISA_avx512) || defined(TN_ISA_avx2)
#include <immintrin.h>
#endif

/* vf_load_n and vf_store_n touch exactly the first n floats, 0 <= n <= VF_WIDTH; lanes beyond load
 * as 0. vf_min and vf_max return b when either operand is NaN: vf_max(constant, x) lets NaN
 * through. vf_stream writes whole vectors past the caches, to addresses that are multiples of
 * theirs; other threads may read them after vf_stream_end. vf_round goes to the nearest even
 * integer; vf_to_int expects integral values within int32. */

/* One line per word. */
/* clang-format off */
#if defined(TN_ISA_avx512)

#define VF_WIDTH 16
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

static inline vf vf_set1(float x) { return _mm512_set1_ps(x); }
static inline vf vf_zero(void) { return _mm512_setzero_ps(); }
static inline vm vm_first(int64_t n) { return (vm)((1u << n) - 1); }
static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vf vf_load_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(vm_first(n), p); }
static inline void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline void vf_store_n(float *p, vf x, int64_t n) { _mm512_mask_storeu_ps(p, vm_first(n), x); }
static inline void vf_stream(float *p, vf x) { _mm512_stream_ps(p, x); }
static inline void vf_stream_end(void) { _mm_sfence(); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_floor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline vf vf_ceil(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
static inline vf vf_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
static inline vf vf_neg(vf a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }
/* |magnitude| with the sign of `sign`. */
static inline vf vf_copysign(vf magnitude, vf sign) {
    vf bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}
static inline vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
static inline vm vf_unordered(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
static inline vm vm_and(vm a, vm b) { return a & b; }
static inline vm vm_or(vm a, vm b) { return a | b; }
static inline vm vm_not(vm a) { return (vm)~a; }
static inline int vm_any(vm a) { return a != 0; }
static inline vf vf_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }

static inline vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
/* lane i: p[index[i]] */
static inline vf vf_gather(const float *p, vi index) { return _mm512_i32gather_ps(index, p, 4); }
static inline vi vi_set1(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
#define vi_shl(a, bits) _mm512_slli_epi32(a, bits)
#define vi_sra(a, bits) _mm512_srai_epi32(a, bits)
static inline vi vi_of_bits(vf a) { return _mm512_castps_si512(a); }
static inline vf vf_of_bits(vi a) { return _mm512_castsi512_ps(a); }
static inline vi vf_to_int(vf a) { return _mm512_cvtps_epi32(a); }
static inline vf vf_of_int(vi a) { return _mm512_cvtepi32_ps(a); }
/* Adds to each of 16 sums four products of bytes, unsigned a and signed b (from TN_ISA_AVX512_VNNI
 * on). Not the compiler's builtin: gcc 12 moves the sums through memory around it. */
static inline vi vi_add_dots(vi sum, vi a, vi b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
/* a 2^floor(n), rounded once */
static inline vf vf_ldexp(vf a, vf n) { return _mm512_scalef_ps(a, n); }
/* table[index modulo 16] and table[index modulo 32] */
static inline vf vf_lookup16(const float *table, vi index) { return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table)); }
static inline vf vf_lookup32(const float *table, vi index) {
    return _mm512_permutex2var_ps(_mm512_loadu_ps(table), index, _mm512_loadu_ps(table + 16));
}

static inline __m256 vf_upper_half(vf a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)); }

#elif defined(TN_ISA_avx2)

#define VF_WIDTH        8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

static inline vf vf_set1(float x) { return _mm256_set1_ps(x); }
static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vm vm_first(int64_t n) {
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), lane));
}
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vf vf_load_n(const float *p, int64_t n) {
    return _mm256_maskload_ps(p, _mm256_castps_si256(vm_first(n)));
}
static inline void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline void vf_store_n(float *p, vf x, int64_t n) {
    _mm256_maskstore_ps(p, _mm256_castps_si256(vm_first(n)), x);
}
static inline void vf_stream(float *p, vf x) { _mm256_stream_ps(p, x); }
static inline void vf_stream_end(void) { _mm_sfence(); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_floor(vf a) { return _mm256_floor_ps(a); }
static inline vf vf_ceil(vf a) { return _mm256_ceil_ps(a); }
static inline vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vf vf_neg(vf a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }
static inline vf vf_copysign(vf magnitude, vf sign) {
    vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
static inline vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
static inline vm vf_unordered(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
static inline vm vm_and(vm a, vm b) { return _mm256_and_ps(a, b); }
static inline vm vm_or(vm a, vm b) { return _mm256_or_ps(a, b); }
static inline vm vm_not(vm a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
static inline int vm_any(vm a) { return _mm256_movemask_ps(a) != 0; }
static inline vf vf_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }

static inline vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline vf vf_gather(const float *p, vi index) { return _mm256_i32gather_ps(p, index, 4); }
static inline vi vi_set1(int32_t x) { return _mm256_set1_epi32(x); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
#define vi_shl(a, bits) _mm256_slli_epi32(a, bits)
#define vi_sra(a, bits) _mm256_srai_epi32(a, bits)
static inline vi vi_of_bits(vf a) { return _mm256_castps_si256(a); }
static inline vf vf_of_bits(vi a) { return _mm256_castsi256_ps(a); }
static inline vi vf_to_int(vf a) { return _mm256_cvtps_epi32(a); }
static inline vf vf_of_int(vi a) { return _mm256_cvtepi32_ps(a); }
/* table[index modulo 8] */
static inline vf vf_lookup8(const float *table, vi index) { return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index); }

#else

#define VF_WIDTH 1
typedef float vf;
typedef int32_t vi;
typedef int vm;

static inline vf vf_set1(float x) { return x; }
static inline vf vf_zero(void) { return 0; }
static inline vm vm_first(int64_t n) { return n > 0; }
static inline vf vf_load(const float *p) { return *p; }
static inline vf vf_load_n(const float *p, int64_t n) { return n > 0 ? *p : 0; }
static inline void vf_store(float *p, vf x) { *p = x; }
static inline void vf_store_n(float *p, vf x, int64_t n) {
    if (n > 0) *p = x;
}
static inline void vf_stream(float *p, vf x) { *p = x; }
static inline void vf_stream_end(void) {}
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf vf_fnma(vf a, vf b, vf c) { return c - a * b; }
static inline vf vf_min(vf a, vf b) { return a < b ? a : b; }
static inline vf vf_max(vf a, vf b) { return a > b ? a : b; }
static inline vf vf_sqrt(vf a) { return sqrtf(a); }
static inline vf vf_abs(vf a) { return fabsf(a); }
static inline vf vf_neg(vf a) { return -a; }
static inline vf vf_copysign(vf magnitude, vf sign) { return copysignf(magnitude, sign); }
/* Adding 2^23 leaves no bits below the units; the sign is put back so that -0.3 becomes -0. */
static inline vf vf_round(vf a) {
    float m = fabsf(a);
    return copysignf(m < 0x1p23f ? (m + 0x1p23f) - 0x1p23f : m, a);
}
static inline vf vf_floor(vf a) { return floorf(a); }
static inline vf vf_ceil(vf a) { return ceilf(a); }
static inline vm vf_eq(vf a, vf b) { return a == b; }
static inline vm vf_lt(vf a, vf b) { return a < b; }
static inline vm vf_le(vf a, vf b) { return a <= b; }
static inline vm vf_unordered(vf a, vf b) { return a != a || b != b; }
static inline vm vm_and(vm a, vm b) { return a & b; }
static inline vm vm_or(vm a, vm b) { return a | b; }
static inline vm vm_not(vm a) { return !a; }
static inline int vm_any(vm a) { return a; }
static inline vf vf_select(vm m, vf yes, vf no) { return m ? yes : no; }

static inline vi vi_load(const int32_t *p) { return *p; }
static inline vf vf_gather(const float *p, vi index) { return p[index]; }
static inline vi vi_set1(int32_t x) { return x; }
static inline vi vi_add(vi a, vi b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
static inline vi vi_sub(vi a, vi b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
static inline vi vi_and(vi a, vi b) { return a & b; }
static inline vi vi_shl(vi a, int bits) { return (int32_t)((uint32_t)a << bits); }
static inline vi vi_sra(vi a, int bits) { return a >> bits; }
static inline vi vi_of_bits(vf a) {
    vi bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
static inline vf vf_of_bits(vi a) {
    vf x;
    memcpy(&x, &a, sizeof x);
    return x;
}
/* Out of range and NaN give INT32_MIN, as on x86. */
static inline vi vf_to_int(vf a) { return fabsf(a) < 0x1p31f ? (int32_t)a : INT32_MIN; }
static inline vf vf_of_int(vi a) { return (float)a; }
static inline vf vf_lookup8(const float *table, vi index) { return table[index & 7]; }

#endif

/* clang-format on */

/* What follows from the words above. */

#if !defined(TN_ISA_avx512)
/* The factor is split in two because 2^n alone may be out of range; the first product is exact for
 * results that matter. */
static inline vf vf_ldexp(vf a, vf n) {
    vi whole = vf_to_int(n), half = vi_sra(whole, 1), bias = vi_set1(127);
    vf first = vf_of_bits(vi_shl(vi_add(half, bias), 23));
    vf second = vf_of_bits(vi_shl(vi_add(vi_sub(whole, half), bias), 23));
    return vf_mul(vf_mul(a, first), second);
}
#endif

/* Sum and maximum over lanes: upper half onto lower half until one lane is left. */
#if VF_WIDTH == 1
static inline float vf_sum(vf a) {
    return a;
}
static inline float vf_max_lane(vf a) {
    return a;
}
#else
#define VF_FOLD(name, op256, op128, op1)                                          \
    static inline float name##_256(__m256 a) {                                    \
        __m128 b = op128(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)); \
        b = op128(b, _mm_movehl_ps(b, b));                                        \
        return _mm_cvtss_f32(op1(b, _mm_shuffle_ps(b, b, 1)));                    \
    }
VF_FOLD(vf_fold_sum, _mm256_add_ps, _mm_add_ps, _mm_add_ss)
VF_FOLD(vf_fold_max, _mm256_max_ps, _mm_max_ps, _mm_max_ss)
#undef VF_FOLD
#if VF_WIDTH == 16
static inline float vf_sum(vf a) {
    return vf_fold_sum_256(_mm256_add_ps(_mm512_castps512_ps256(a), vf_upper_half(a)));
}
static inline float vf_max_lane(vf a) {
    return vf_fold_max_256(_mm256_max_ps(_mm512_castps512_ps256(a), vf_upper_half(a)));
}
#else
static inline float vf_sum(vf a) {
    return vf_fold_sum_256(a);
}
static inline float vf_max_lane(vf a) {
    return vf_fold_max_256(a);
}
#endif
#endif

/* vf_sum of x[0..3], for a third of the work, each in some lanes, and number k of them in all.
 * Where there is but one lane, only the first. */
static inline vf vf_sums4(const vf *x) {
#if VF_WIDTH == 16
    vf ab = vf_add(_mm512_shuffle_f32x4(x[0], x[1], 0x44), _mm512_shuffle_f32x4(x[0], x[1], 0xee));
    vf cd = vf_add(_mm512_shuffle_f32x4(x[2], x[3], 0x44), _mm512_shuffle_f32x4(x[2], x[3], 0xee));
    vf y = vf_add(_mm512_shuffle_f32x4(ab, cd, 0x88), /* one in each 128 bits */
                  _mm512_shuffle_f32x4(ab, cd, 0xdd));
    y = vf_add(y, _mm512_permute_ps(y, 0x4e));
    return vf_add(y, _mm512_permute_ps(y, 0xb1));
#elif VF_WIDTH == 8
    vf ab =
        vf_add(_mm256_permute2f128_ps(x[0], x[1], 0x20), _mm256_permute2f128_ps(x[0], x[1], 0x31));
    vf cd =
        vf_add(_mm256_permute2f128_ps(x[2], x[3], 0x20), _mm256_permute2f128_ps(x[2], x[3], 0x31));
    ab = vf_add(ab, _mm256_permute_ps(ab, 0x4e));
    cd = vf_add(cd, _mm256_permute_ps(cd, 0x4e));
    vf y = _mm256_shuffle_ps(ab, cd, 0x44); /* a a c c, b b d d */
    return vf_add(y, _mm256_permute_ps(y, 0xb1));
#else
    return x[0];
#endif
}

static inline vf vf_spread4(vf sums, int k) {
#if VF_WIDTH == 16
    return _mm512_permutexvar_ps(_mm512_set1_epi32(4 * k), sums);
#elif VF_WIDTH == 8
    return _mm256_permutevar8x32_ps(sums, _mm256_set1_epi32(k / 2 * 2 + k % 2 * 4));
#else
    (void)k;
    return sums;
#endif
}

/* p[0..3] = vf_sum of a, b, c and d. */
static inline void vf_store_sums(float *p, vf a, vf b, vf c, vf d) {
#if VF_WIDTH == 16
    __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    __m512 sums = vf_sums4((vf[]){a, b, c, d});
    _mm_storeu_ps(p, _mm512_castps512_ps128(_mm512_permutexvar_ps(first, sums)));
#elif VF_WIDTH == 8
    vf x = vf_sums4((vf[]){a, b, c, d});
    __m128 ac = _mm256_castps256_ps128(x), bd = _mm256_extractf128_ps(x, 1);
    _mm_storeu_ps(p, _mm_movelh_ps(_mm_unpacklo_ps(ac, bd), _mm_unpackhi_ps(ac, bd)));
#else
    p[0] = a, p[1] = b, p[2] = c, p[3] = d;
#endif
}

/* Every lane of x[0..3] := the largest of that vector. */
static inline void vf_spread_max(vf x[4]) {
#if VF_WIDTH == 16
    __m512 ab = _mm512_max_ps(_mm512_shuffle_f32x4(x[0], x[1], 0x44),
                              _mm512_shuffle_f32x4(x[0], x[1], 0xee));
    __m512 cd = _mm512_max_ps(_mm512_shuffle_f32x4(x[2], x[3], 0x44),
                              _mm512_shuffle_f32x4(x[2], x[3], 0xee));
    __m512 y = _mm512_max_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), /* one in each 128 bits */
                             _mm512_shuffle_f32x4(ab, cd, 0xdd));
    y = _mm512_max_ps(y, _mm512_permute_ps(y, 0x4e));
    y = _mm512_max_ps(y, _mm512_permute_ps(y, 0xb1));
    x[0] = _mm512_shuffle_f32x4(y, y, 0x00);
    x[1] = _mm512_shuffle_f32x4(y, y, 0x55);
    x[2] = _mm512_shuffle_f32x4(y, y, 0xaa);
    x[3] = _mm512_shuffle_f32x4(y, y, 0xff);
#else
    for (int i = 0; i < 4; i++) x[i] = vf_set1(vf_max_lane(x[i]));
#endif
}

#include "runtime/kernels/simd_math.h"

#endif
