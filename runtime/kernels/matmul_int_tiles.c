/* The tiles of matmul_int.h, and what comes before and after them. Sums wrap modulo 2^32, in
 * whatever order they are taken. Loops of a fixed length are there to become vectors. */
#include "runtime/kernels/matmul_int.h"

#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/simd.h"

/* The quad of column j: b[0 .. count - 1, j], zeros behind. */
static uint32_t gather_quad(const uint8_t *b, int64_t b_k, int64_t count) {
    uint32_t quad = 0;
    for (int64_t i = 0; i < count; i++) quad |= (uint32_t)b[i * b_k] << 8 * i;
    return quad;
}

static void pack(int8_t *panel, const uint8_t *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n,
                 uint32_t flip) {
    uint32_t sum[TN_PANEL] = {0};
    for (int64_t i = 0; i < k; i += 4, panel += 4 * TN_PANEL, b += 4 * b_k) {
        uint32_t quad[TN_PANEL] = {0}, used = flip;
        const int64_t count = k - i < 4 ? k - i : 4;
        if (count == 4 && b_n == 1 && n == TN_PANEL) {
            const uint8_t *r[4] = {b, b + b_k, b + 2 * b_k, b + 3 * b_k};
            for (int j = 0; j < TN_PANEL; j++)
                quad[j] = (uint32_t)r[0][j] | (uint32_t)r[1][j] << 8 | (uint32_t)r[2][j] << 16 |
                          (uint32_t)r[3][j] << 24;
        } else if (count == 4 && b_k == 1) {
            for (int64_t j = 0; j < n; j++) memcpy(&quad[j], b + j * b_n, sizeof *quad);
        } else {
            for (int64_t j = 0; j < n; j++) quad[j] = gather_quad(b + j * b_n, b_k, count);
            used = count == 4 ? flip : flip & ((1u << 8 * count) - 1);
        }
        for (int j = 0; j < TN_PANEL; j++) quad[j] ^= j < n ? used : 0;
        for (int j = 0; j < TN_PANEL; j++)
            sum[j] += (uint32_t)((int8_t)quad[j] + (int8_t)(quad[j] >> 8) +
                                 (int8_t)(quad[j] >> 16) + (int8_t)(quad[j] >> 24));
        memcpy(panel, quad, sizeof quad);
    }
    memcpy(panel, sum, sizeof sum);
}

static void row(uint8_t *to, const uint8_t *from, int64_t from_k, int64_t k, uint32_t flip) {
    int64_t i = 0;
    for (; from_k == 1 && i + 64 <= k; i += 64) {
        uint32_t some[16];
        memcpy(some, from + i, sizeof some);
        for (int j = 0; j < 16; j++) some[j] ^= flip;
        memcpy(to + i, some, sizeof some);
    }
    for (; i < k; i++) to[i] = from[i * from_k] ^ (uint8_t)flip;
    for (; i % 4; i++) to[i] = 0;
}

static uint32_t sum(const uint8_t *a, int64_t k) {
    uint32_t lane[16] = {0}, all = 0;
    int64_t i = 0;
    for (; i + 64 <= k; i += 64) {
        uint32_t some[16];
        memcpy(some, a + i, sizeof some);
        for (int j = 0; j < 16; j++)
            lane[j] +=
                (some[j] & 255) + (some[j] >> 8 & 255) + (some[j] >> 16 & 255) + (some[j] >> 24);
    }
    for (int j = 0; j < 16; j++) all += lane[j];
    for (; i < k; i++) all += a[i];
    return all;
}

/* The last term. */
static void add_rest(const QuadsTile *t, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += TN_PANEL) {
            int32_t *c = t->c + i * t->c_row + j;
            uint32_t sum[TN_PANEL], zero[TN_PANEL], rest = t->rest[i];
            memcpy(sum, c, sizeof sum);
            memcpy(zero, t->zero + j, sizeof zero);
            for (int k = 0; k < TN_PANEL; k++) sum[k] += rest * zero[k];
            memcpy(c, sum, sizeof sum);
        }
}

#if defined(TN_ISA_scalar)
static void tile_1(QuadsTile *t) {
    uint32_t sum[TN_PANEL];
    memcpy(sum, t->b + t->quads * 4 * TN_PANEL, sizeof sum);
    for (int j = 0; j < TN_PANEL; j++) sum[j] *= t->minus_zero[0];
    for (int64_t k = 0; k < t->quads; k++) {
        const int8_t *b = t->b + k * 4 * TN_PANEL;
        const uint8_t *x = t->a + 4 * k;
        for (int j = 0; j < TN_PANEL; j++)
            for (int i = 0; i < 4; i++) sum[j] += (uint32_t)(x[i] * b[4 * j + i]);
    }
    memcpy(t->c, sum, sizeof sum);
    if (t->zero) add_rest(t, 1, TN_PANEL);
}

const QuadsKernels quads_kernels_scalar = {1, {[1] = tile_1}, pack, row, sum};

#else
static inline int quad_at(const uint8_t *a) {
    int quad;
    memcpy(&quad, a, sizeof quad);
    return quad;
}

#if defined(TN_ISA_avx2)
/* Widened to 16 bits, two products at a time fit 32 without saturation: columns 4 j .. 4 j + 3 of a
 * panel are a register of 4 numbers each, and give two sums each, which are added at the end. */
ALWAYS_INLINE void tile_by_pairs(QuadsTile *t, int rows) {
    __m256i sum[2][4];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < 4; j++) sum[i][j] = _mm256_setzero_si256();
    }
    const int8_t *b = t->b;
    for (int64_t k = 0; k < t->quads; k++, b += 4 * TN_PANEL) {
        __m256i column[4];
        UNROLL for (int j = 0; j < 4; j++) {
            column[j] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(b + 16 * j)));
        }
        _mm_prefetch((const char *)b + 2048, _MM_HINT_T0);
        UNROLL for (int i = 0; i < rows; i++) {
            __m128i quad = _mm_cvtsi32_si128(quad_at(t->a + i * t->a_row + 4 * k));
            __m256i a = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(quad));
            UNROLL for (int j = 0; j < 4; j++) {
                sum[i][j] = _mm256_add_epi32(sum[i][j], _mm256_madd_epi16(a, column[j]));
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < 4; j += 2) { /* b is at the panel's sums */
            __m256i y = _mm256_hadd_epi32(sum[i][j], sum[i][j + 1]);
            y = _mm256_permute4x64_epi64(y, 0xd8);
            __m256i total = _mm256_loadu_si256((const __m256i *)(b + 16 * j));
            total = _mm256_mullo_epi32(total, _mm256_set1_epi32((int)t->minus_zero[i]));
            y = _mm256_add_epi32(y, total);
            _mm256_storeu_si256((__m256i *)(t->c + i * t->c_row + 4 * j), y);
        }
    }
    if (t->zero) add_rest(t, rows, TN_PANEL);
}

static void pairs_1(QuadsTile *t) {
    tile_by_pairs(t, 1);
}
static void pairs_2(QuadsTile *t) {
    tile_by_pairs(t, 2);
}

const QuadsKernels quads_kernels_avx2 = {1, {[1] = pairs_1, [2] = pairs_2}, pack, row, sum};

#else
ALWAYS_INLINE void tile_by_dots(QuadsTile *t, int rows) {
    __m512i sum[QUADS_MAX_ROWS][2];
    const __m512i sums0 = _mm512_loadu_si512(t->b + t->quads * 4 * TN_PANEL),
                  sums1 = _mm512_loadu_si512(t->b_next + t->quads * 4 * TN_PANEL);
    UNROLL for (int i = 0; i < rows; i++) {
        const __m512i minus_zero = _mm512_set1_epi32((int)t->minus_zero[i]);
        sum[i][0] = _mm512_mullo_epi32(sums0, minus_zero);
        sum[i][1] = _mm512_mullo_epi32(sums1, minus_zero);
    }
    const int64_t a_row = t->a_row;
    const uint8_t *a[4] = {t->a, t->a + 3 * a_row, t->a + 6 * a_row, t->a + 9 * a_row};
    const int8_t *b = t->b;
    const int64_t b_panel = t->b_next - b;
    /* As tiles of floats do (gemm_tile_avx512.h). */
    const int64_t next_step = t->prefetch_step, every = t->claim_every;
    const bool in_time = next_step >= 8 && 5 * next_step <= 32 * rows;
    const char *next = t->prefetch, *near = in_time ? next : (const char *)b, *claimed = t->claim;
    const int64_t near_step = in_time ? next_step : 0;
    for (int64_t left = t->quads; left > 0; left -= every) {
        __builtin_prefetch(claimed, 1);
        __builtin_prefetch(claimed + 64, 1);
        claimed += t->claim_row;
        for (int64_t k = left < every ? left : every; k > 0; k--, b += 4 * TN_PANEL) {
            _mm_prefetch(near, _MM_HINT_T0);
            _mm_prefetch(next, _MM_HINT_T1);
            _mm_prefetch(next + 64, _MM_HINT_T1);
            near += near_step;
            next += next_step;
            const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + b_panel);
            UNROLL for (int i = 0; i < rows; i++) {
                const __m512i x = _mm512_set1_epi32(quad_at(a[i / 3] + i % 3 * a_row));
                sum[i][0] = vi_add_dots(sum[i][0], x, b0);
                sum[i][1] = vi_add_dots(sum[i][1], x, b1);
            }
            UNROLL for (int i = 0; i < 4; i++) a[i] += 4;
        }
    }
    int32_t *c = t->c;
    const int64_t c_row = t->c_row;
    UNROLL for (int i = 0; i < rows; i++, c += c_row) {
        _mm512_storeu_si512(c, sum[i][0]);
        _mm512_storeu_si512(c + TN_PANEL, sum[i][1]);
    }
    if (t->zero) add_rest(t, rows, 2 * TN_PANEL);
}

#define ROW_COUNTS(X) X(1) X(2) X(4) X(8) X(11) X(12)
#define TILE(rows)                          \
    static void dots_##rows(QuadsTile *t) { \
        tile_by_dots(t, rows);              \
    }
#define ENTRY(rows) [rows] = dots_##rows,
ROW_COUNTS(TILE)

/* From TN_ISA_AVX512_VNNI on. */
const QuadsKernels quads_kernels_avx512 = {2, {ROW_COUNTS(ENTRY)}, pack, row, sum};
#endif
#endif
