/* Micro-kernels for products of bf16 on CPUs with AVX512-BF16: tiles of up to 6 rows and 4 panels,
 * or one, of pairs (pack.h). An instruction adds two products to each of 16 floats. It takes and
 * gives denormal numbers as 0. */
#include <immintrin.h>
#include <string.h>
#include "runtime/kernels/gemm.h"

typedef uint16_t Element;
enum { STEP = 2 };

ALWAYS_INLINE __m512 broadcast(const uint16_t *a) {
    int32_t pair;
    memcpy(&pair, a, sizeof pair);
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
}

ALWAYS_INLINE __m512 load(const uint16_t *b) {
    return _mm512_loadu_ps(b);
}

ALWAYS_INLINE __m512 multiply_add(__m512 sum, __m512 a, __m512 b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#include "runtime/kernels/gemm_tile_avx512.h"

TILES_6(TILE, 1)
TILES_6(TILE, 4)

const TilePairs tile_pairs_avx512 = {
    .shape = {6, 4},
    .tile = {TILES_6(TILE_ENTRY, 1) TILES_6(TILE_ENTRY, 4)},
};
