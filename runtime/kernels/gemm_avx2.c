/* Micro-kernels of matrix products for AVX2: tiles of up to 6 rows x 1 panel, a panel being two
 * vectors, or 1 x 4.
 *
 * 12 accumulators, two vectors of B and a broadcast of A use 15 of 16 registers. */
#include <immintrin.h>
#include <stdbool.h>
#include "runtime/kernels/gemm.h"

enum { ROWS = 6, HALF = TN_PANEL / 2, END_VECTORS = 4 };

/* acc[i] += A[i, k] B[k, ..] for all rows i, or acc[j] for all panels j of one row; then on to the
 * next k. */
ALWAYS_INLINE void step(__m256 acc[ROWS][2], const float *a[2], int64_t a_row, const float *b,
                        int64_t b_panel, int rows, int panels) {
    __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + HALF);
    UNROLL for (int i = 0; i < rows; i++) {
        __m256 av = _mm256_broadcast_ss(a[i / 3] + i % 3 * a_row);
        acc[i][0] = _mm256_fmadd_ps(av, low, acc[i][0]);
        acc[i][1] = _mm256_fmadd_ps(av, high, acc[i][1]);
        UNROLL for (int j = 1; j < panels; j++) {
            const float *at = b + j * b_panel;
            acc[j][0] = _mm256_fmadd_ps(av, _mm256_loadu_ps(at), acc[j][0]);
            acc[j][1] = _mm256_fmadd_ps(av, _mm256_loadu_ps(at + HALF), acc[j][1]);
        }
    }
    a[0]++, a[1]++;
}

/* What the sums of half a panel begin with. */
ALWAYS_INLINE __m256 start(const Tile *t, int half) {
    return t->start ? _mm256_loadu_ps(t->start + HALF * half) : _mm256_setzero_ps();
}

/* The residual and ReLU of a tile that ends itself. */
ALWAYS_INLINE void finish(const TileEnd *e, __m256 acc[ROWS][2], int count, int64_t step) {
    if (e->residual) {
        const float *residual = e->residual;
        UNROLL for (int i = 0; i < count; i++, residual += step) {
            acc[i][0] = _mm256_add_ps(acc[i][0], _mm256_loadu_ps(residual));
            acc[i][1] = _mm256_add_ps(acc[i][1], _mm256_loadu_ps(residual + HALF));
        }
    }
    if (e->activation == TN_ACT_RELU) {
        UNROLL for (int i = 0; i < count; i++) {
            acc[i][0] = _mm256_max_ps(_mm256_setzero_ps(), acc[i][0]); /* of NaN: NaN */
            acc[i][1] = _mm256_max_ps(_mm256_setzero_ps(), acc[i][1]);
        }
    }
}

/* Of several rows or several panels. */
ALWAYS_INLINE void tile(const Tile *t, int rows, int panels) {
    const int64_t a_row = t->a_row, b_row = t->b_row, depth = t->k;
    const int count = rows > 1 ? rows : panels;
    const char *next = t->prefetch;
    __m256 acc[ROWS][2];
    UNROLL for (int i = 0; i < count; i++) {
        const int half = rows > 1 ? 0 : 2 * i;
        acc[i][0] = start(t, half);
        acc[i][1] = start(t, half + 1);
    }
    int64_t r = 0;
    do {
        const TileRun at = t->run ? t->run[r] : (TileRun){0, 0};
        const float *from = (const float *)t->a + at.a, *b = (const float *)t->b + at.b;
        const float *a[2] = {from, from + 3 * a_row};
        for (int64_t k = 0; k < depth; k++, b += b_row, next += t->prefetch_step) {
            _mm_prefetch(next, _MM_HINT_T1);
            step(acc, a, a_row, b, t->b_panel, rows, panels);
        }
    } while (++r < t->runs);
    if (count >= END_VECTORS && t->end)
        finish(t->end, acc, count, rows > 1 ? t->end->residual_row : TN_PANEL);
    UNROLL for (int i = 0; i < count; i++) {
        float *c = t->c + i * (rows > 1 ? t->c_row : TN_PANEL);
        _mm256_storeu_ps(c, acc[i][0]);
        _mm256_storeu_ps(c + HALF, acc[i][1]);
    }
}

/* One panel, prefetched 4 KiB ahead of itself; k is dealt out to `sets` accumulators per row. */
ALWAYS_INLINE void stream(const Tile *t, int rows, int sets) {
    const float *a = t->a, *b = t->b;
    const int64_t a_row = t->a_row, b_row = t->b_row, depth = t->k;
    __m256 acc[STREAM_MAX_ROWS][4][2];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int s = 0; s < sets; s++) {
            acc[i][s][0] = s ? _mm256_setzero_ps() : start(t, 0);
            acc[i][s][1] = s ? _mm256_setzero_ps() : start(t, 1);
        }
    }
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4) {
        UNROLL for (int u = 0; u < 4; u++, b += b_row) {
            _mm_prefetch((const char *)b + 4096, _MM_HINT_T0);
            __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + HALF);
            UNROLL for (int i = 0; i < rows; i++) {
                __m256 av = _mm256_broadcast_ss(a + i * a_row + k + u);
                acc[i][u % sets][0] = _mm256_fmadd_ps(av, low, acc[i][u % sets][0]);
                acc[i][u % sets][1] = _mm256_fmadd_ps(av, high, acc[i][u % sets][1]);
            }
        }
    }
    for (; k < depth; k++, b += b_row) {
        __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + HALF);
        UNROLL for (int i = 0; i < rows; i++) {
            __m256 av = _mm256_broadcast_ss(a + i * a_row + k);
            acc[i][0][0] = _mm256_fmadd_ps(av, low, acc[i][0][0]);
            acc[i][0][1] = _mm256_fmadd_ps(av, high, acc[i][0][1]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int s = 1; s < sets; s++) {
            acc[i][0][0] = _mm256_add_ps(acc[i][0][0], acc[i][s][0]);
            acc[i][0][1] = _mm256_add_ps(acc[i][0][1], acc[i][s][1]);
        }
        _mm256_storeu_ps(t->c + i * t->c_row, acc[i][0][0]);
        _mm256_storeu_ps(t->c + i * t->c_row + HALF, acc[i][0][1]);
    }
}

/* Lanes 0..n-1 of 8; n may be anything. */
static __m256i first(int64_t n) {
    int32_t bounded = n > 8 ? 8 : (int32_t)n;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(bounded),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* A block of 8 x 8 in registers: rows are interleaved by 1, 2 and 4 elements. Masked accesses are
 * slow, so `whole` blocks (8 rows, 8 columns, 8 wide) do without. */
ALWAYS_INLINE void transpose_8(float *to, int64_t to_row, const float *from, int64_t from_row,
                               int64_t rows, int64_t cols, int64_t width, bool whole) {
    const __m256i loaded = first(cols), stored = first(width);
    __m256 r[8], t[8];
    UNROLL for (int i = 0; i < 8; i++) {
        r[i] = _mm256_setzero_ps();
        if (whole)
            r[i] = _mm256_loadu_ps(from + i * from_row);
        else if (i < rows)
            r[i] = _mm256_maskload_ps(from + i * from_row, loaded);
    }
    UNROLL for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i++) {
        /* r[4 q + c], 128-bit lane l: column 4 l + c of rows 4 q .. 4 q + 3 */
        int q = i / 4 * 4, c = i % 4;
        __m256d x = _mm256_castps_pd(t[q + c / 2]), y = _mm256_castps_pd(t[q + c / 2 + 2]);
        r[i] = _mm256_castpd_ps(c % 2 ? _mm256_unpackhi_pd(x, y) : _mm256_unpacklo_pd(x, y));
    }
    UNROLL for (int c = 0; c < 4; c++) {
        t[c] = _mm256_permute2f128_ps(r[c], r[c + 4], 0x20);
        t[c + 4] = _mm256_permute2f128_ps(r[c], r[c + 4], 0x31);
    }
    UNROLL for (int i = 0; i < 8; i++) {
        if (whole)
            _mm256_storeu_ps(to + i * to_row, t[i]);
        else if (i < cols)
            _mm256_maskstore_ps(to + i * to_row, stored, t[i]);
    }
}

static void transpose(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                      int64_t cols, int64_t width) {
    for (int64_t i = 0; i < width; i += 8) {
        int64_t j = 0;
        float *block = to + i;
        const float *source = from + i * from_row;
        for (; j + 8 <= cols && i + 8 <= rows; j += 8)
            transpose_8(block + j * to_row, to_row, source + j, from_row, 8, 8, 8, true);
        for (; j < cols; j += 8)
            transpose_8(block + j * to_row, to_row, source + j, from_row, rows - i, cols - j,
                        width - i, false);
    }
}

#define TILES(X)   X(1) X(2) X(3) X(4) X(5) X(6)
#define WIDE(X)    X(2) X(4)
#define STREAMS(X) X(1, 4) X(2, 2) X(3, 2) X(4, 1)

#define TILE(m)                           \
    static void tile_##m(const Tile *t) { \
        tile(t, m, 1);                    \
    }
#define WIDE_TILE(p)                      \
    static void wide_##p(const Tile *t) { \
        tile(t, 1, p);                    \
    }
#define STREAM(m, sets)                     \
    static void stream_##m(const Tile *t) { \
        stream(t, m, sets);                 \
    }
#define TILE_ENTRY(m)         [m] = tile_##m,
#define WIDE_ENTRY(p)         [p] = {[1] = wide_##p},
#define STREAM_ENTRY(m, sets) [1][m] = stream_##m,

TILES(TILE)
WIDE(WIDE_TILE)
STREAMS(STREAM)

const TileKernels tile_kernels_avx2 = {
    .tall = {ROWS, 1},
    .wide = {ROWS, 1},
    .flat = {1, TILE_MAX_PANELS},
    .end_vectors = END_VECTORS,
    .stream_rows = STREAM_MAX_ROWS,
    .tile = {[1] = {TILES(TILE_ENTRY)}, WIDE(WIDE_ENTRY)},
    .stream = {STREAMS(STREAM_ENTRY)},
    .transpose = transpose,
    .pack = tile_pack_avx2,
    .end = tile_end_avx2,
    .scale = tile_scale_avx2,
};
