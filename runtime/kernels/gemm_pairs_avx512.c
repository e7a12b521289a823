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

ALWAYS_INLINE __m512 load_floats(const uint16_t *p) {
    __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

ALWAYS_INLINE __m512 multiply_add(__m512 sum, __m512 a, __m512 b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#include "runtime/kernels/gemm_tile_avx512.h"

ALWAYS_INLINE void end(const Tile *t, __m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS], int rows,
                       int panels) {
    if (!t->c_bf16) {
        store_floats(t, acc, rows, panels);
        return;
    }
    uint16_t *c = (uint16_t *)(void *)t->c;
    const int64_t c_row = t->c_row;
    UNROLL for (int i = 0; i < rows; i++, c += c_row) {
        UNROLL for (int j = 0; j < panels; j++) {
            __m256i rounded = (__m256i)_mm512_cvtneps_pbh(acc[i][j]);
            _mm256_storeu_si256((__m256i *)(void *)(c + TN_PANEL * j), rounded);
        }
    }
}

TILES_6(TILE, 1)
TILES_6(TILE, 4)

/* Two rows, side by side. */
static void pack_rows(uint16_t *to, const uint16_t *b, int64_t b_k, int64_t k, int64_t n) {
    const __mmask16 columns = (__mmask16)((1u << n) - 1);
    for (int64_t i = 0; i < k; i += 2, b += 2 * b_k, to += 2 * TN_PANEL) {
        __m256i even = _mm256_maskz_loadu_epi16(columns, b), odd = _mm256_setzero_si256();
        if (i + 1 < k) odd = _mm256_maskz_loadu_epi16(columns, b + b_k);
        __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
        _mm512_storeu_si512(to, _mm512_or_si512(_mm512_cvtepu16_epi32(even), high));
    }
}

static void pack(uint16_t *to, const uint16_t *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n) {
    if (b_n == 1) {
        pack_rows(to, b, b_k, k, n);
    } else if (b_k == 1 && b_n % 2 == 0 && k % 2 == 0) { /* columns of pairs */
        tile_kernels_avx512.transpose((float *)(void *)to, TN_PANEL, (const float *)(const void *)b,
                                      b_n / 2, n, k / 2, TN_PANEL);
    } else {
        memset(to, 0, (size_t)(tn_pairs_rows(k) * TN_PANEL) * sizeof *to);
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < n; j++) to[tn_pairs_index(k, i, j)] = b[i * b_k + j * b_n];
    }
}

const TilePairs tile_pairs_avx512 = {
    .shape = {6, 4},
    .tile = {TILES_6(TILE_ENTRY, 1) TILES_6(TILE_ENTRY, 4)},
    .pack = pack,
    .in_place = &pairs_in_place_avx512,
};
