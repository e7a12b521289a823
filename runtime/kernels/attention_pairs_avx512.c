/* What attention does on CPUs with AVX512-BF16 where its operands lie: scores of few queries with
 * the rows of k, sums of the rows of v, and the weights of these sums.
 *
 *     32 of 64 columns of two rows of v, interleaved:     0 0' 1 1' 2 2' 3 3' | 8 8' ..     low
 *                                                   4 4' 5 5' 6 6' 7 7' | 12 12' ..   high
 *
 * The columns of sums are in that order, too, until they are stored. */
#include <immintrin.h>
#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/simd.h"

ALWAYS_INLINE void exponentials_of(uint16_t *to, const float *x, int n, vf top, vf factor,
                                   vf *sum) {
    vf y[4];
    UNROLL for (int i = 0; i < n; i++) {
        y[i] = vf_mul(vf_sub(vf_load(x + i * VF_WIDTH), top), factor);
    }
    vf_exp2_below(y, n, vf_exp2_degree3, 3);
    UNROLL for (int i = 0; i < n; i++) {
        _mm256_storeu_si256((__m256i *)(void *)(to + i * VF_WIDTH),
                            (__m256i)_mm512_cvtneps_pbh(y[i]));
        sum[i % 2] = vf_add(sum[i % 2], y[i]);
    }
}

static void exponentials(uint16_t *to, const float *x, int64_t n, float factor, float top,
                         float *lanes) {
    const vf scale = vf_set1(factor), shift = vf_set1(top);
    vf sum[2] = {vf_zero(), vf_zero()};
    int64_t i = 0;
    for (; i + 3 * VF_WIDTH < n; i += 4 * VF_WIDTH)
        exponentials_of(to + i, x + i, 4, shift, scale, sum);
    for (; i < n; i += VF_WIDTH) exponentials_of(to + i, x + i, 1, shift, scale, sum);
    vf_store(lanes, vf_add(sum[0], sum[1]));
}

enum { STEP = 32, ROWS = PAIRS_IN_PLACE_ROWS, KEYS = 4 };

ALWAYS_INLINE __m512bh load(const uint16_t *p, __mmask32 columns) {
    return (__m512bh)_mm512_maskz_loadu_epi16(columns, p);
}

/* c[i, j] of `rows` rows of A and 4 of B, all of t->k elements. */
ALWAYS_INLINE void dots_of(const Tile *t, const uint16_t *a, const uint16_t *b, int64_t b_row,
                           float *c, int rows) {
    vf sum[ROWS][KEYS];
    UNROLL for (int i = 0; i < rows * KEYS; i++) {
        sum[i / KEYS][i % KEYS] = vf_zero();
    }
    for (int64_t d = 0; d < t->k; d += STEP) {
        const __mmask32 columns = t->k - d < STEP ? (1u << (t->k - d)) - 1 : UINT32_MAX;
        __m512bh key[KEYS];
        UNROLL for (int j = 0; j < KEYS; j++) {
            key[j] = load(b + j * b_row + d, columns);
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const __m512bh query = load(a + i * t->a_row + d, columns);
            UNROLL for (int j = 0; j < KEYS; j++) {
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], query, key[j]);
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        vf_store_sums(c + i * t->c_row, sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
    }
}

/* As scores_by_dots of attention_products.c: rows of B 16 at a time, to stay in L1 for all of A. */
static void dots(const Tile *t, int64_t n, int64_t rows) {
    const int64_t step = rows < ROWS ? 1 : ROWS, next = n < KEYS ? 1 : KEYS,
                  apart = n < KEYS ? 0 : t->b_row;
    for (int64_t start = 0; start < n; start += TN_PANEL)
        for (int64_t i = 0; i < rows; i += step)
            for (int64_t j = start; j < n && j < start + TN_PANEL; j += next) {
                int64_t row = i + step < rows ? i : rows - step, key = j + next < n ? j : n - next;
                const uint16_t *a = (const uint16_t *)t->a + row * t->a_row,
                               *b = (const uint16_t *)t->b + key * t->b_row;
                float *c = t->c + row * t->c_row + key;
                if (step == 1)
                    dots_of(t, a, b, apart, c, 1);
                else
                    dots_of(t, a, b, apart, c, ROWS);
            }
}

ALWAYS_INLINE void sum_pair(__m512 acc[ROWS][4], const uint16_t *a, int64_t a_row,
                            const uint16_t *even, const uint16_t *odd, int rows) {
    __m512bh b[4];
    UNROLL for (int h = 0; h < 2; h++) {
        __m512i x = _mm512_loadu_si512(even + h * STEP), y = _mm512_setzero_si512();
        if (odd) y = _mm512_loadu_si512(odd + h * STEP);
        b[2 * h] = (__m512bh)_mm512_unpacklo_epi16(x, y);
        b[2 * h + 1] = (__m512bh)_mm512_unpackhi_epi16(x, y);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        int32_t pair;
        memcpy(&pair, a + i * a_row, sizeof pair);
        UNROLL for (int j = 0; j < 4; j++) {
            acc[i][j] = _mm512_dpbf16_ps(acc[i][j], (__m512bh)_mm512_set1_epi32(pair), b[j]);
        }
    }
}

ALWAYS_INLINE void sums(const Tile *t, int rows) {
    const __m512i front = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
                  back = _mm512_add_epi32(front, _mm512_set1_epi32(8));
    const uint16_t *a = t->a, *b = t->b;
    __m512 acc[ROWS][4];
    UNROLL for (int i = 0; i < 4 * rows; i++) acc[i / 4][i % 4] = _mm512_setzero_ps();
    int64_t k = 0;
    for (; k + 2 <= t->k; k += 2, b += 2 * t->b_row)
        sum_pair(acc, a + k, t->a_row, b, b + t->b_row, rows);
    if (k < t->k) sum_pair(acc, a + k, t->a_row, b, NULL, rows);
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int h = 0; h < 2; h++) {
            __m512 low = acc[i][2 * h], high = acc[i][2 * h + 1];
            float *c = t->c + i * t->c_row + h * STEP;
            _mm512_storeu_ps(c, _mm512_permutex2var_ps(low, front, high));
            _mm512_storeu_ps(c + TN_PANEL, _mm512_permutex2var_ps(low, back, high));
        }
    }
}

static void sums_1(const Tile *t) {
    sums(t, 1);
}

static void sums_4(const Tile *t) {
    sums(t, 4);
}

const PairsInPlace pairs_in_place_avx512 = {
    .exponentials = exponentials,
    .dots = dots,
    .sums = {NULL, sums_1, sums_4, sums_4, sums_4},
};
