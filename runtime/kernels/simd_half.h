/* Words for 16-bit floats beside simd.h: VF_WIDTH of them to and from floats. The results, of NaNs
 * too, are those of half.h on every ISA. */
#ifndef TENON_RUNTIME_KERNELS_SIMD_HALF_H
#define TENON_RUNTIME_KERNELS_SIMD_HALF_H

#include "runtime/kernels/half.h"
#include "runtime/kernels/simd.h"

/* clang-format off */
#if defined(TN_ISA_avx512)

static inline vf vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline void vf_store_f16(uint16_t *p, vf x) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
static inline vf vf_load_bf16(const uint16_t *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
static inline void vf_store_bf16(uint16_t *p, vf x) {
    __m512i bits = _mm512_castps_si512(x), high = _mm512_srli_epi32(bits, 16);
    __m512i half = _mm512_add_epi32(_mm512_and_si512(high, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(rounded));
}

#elif defined(TN_ISA_avx2)

static inline vf vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline void vf_store_f16(uint16_t *p, vf x) { _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }
static inline vf vf_load_bf16(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline void vf_store_bf16(uint16_t *p, vf x) {
    __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
    __m256i half = _mm256_add_epi32(_mm256_and_si256(high, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan);
    __m256i packed = _mm256_packus_epi32(rounded, rounded); /* by halves of 128 bits */
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}

#else

#define HALF_LOAD(name, convert)                              \
    static inline vf name(const uint16_t *p) {                \
        float x[VF_WIDTH];                                    \
        for (int i = 0; i < VF_WIDTH; i++) x[i] = convert(p[i]); \
        return vf_load(x);                                    \
    }
#define HALF_STORE(name, convert)                             \
    static inline void name(uint16_t *p, vf v) {              \
        float x[VF_WIDTH];                                    \
        vf_store(x, v);                                       \
        for (int i = 0; i < VF_WIDTH; i++) p[i] = convert(x[i]); \
    }
HALF_LOAD(vf_load_f16, float_of_f16)
HALF_LOAD(vf_load_bf16, float_of_bf16)
HALF_STORE(vf_store_f16, f16_of_float)
HALF_STORE(vf_store_bf16, bf16_of_float)
#undef HALF_LOAD
#undef HALF_STORE

#endif
/* clang-format on */

#endif
