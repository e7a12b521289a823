/* Micro-kernels of matrix products for AVX-512: tiles of up to 12 x 2 and 6 x 4 panels, and
 * streams of few rows. Those of pairs of bf16 are in gemm_pairs_avx512.c. */
#include <immintrin.h>
#include "runtime/kernels/gemm.h"

typedef float Element;
enum { STEP = 1 };

ALWAYS_INLINE __m512 broadcast(const float *a) {
    return _mm512_set1_ps(*a);
}

ALWAYS_INLINE __m512 load(const float *b) {
    return _mm512_loadu_ps(b);
}

ALWAYS_INLINE __m512 load_floats(const float *p) {
    return _mm512_loadu_ps(p);
}

ALWAYS_INLINE __m512 multiply_add(__m512 sum, __m512 a, __m512 b) {
    return _mm512_fmadd_ps(a, b, sum);
}

#include "runtime/kernels/gemm_tile_avx512.h"

ALWAYS_INLINE void end(const Tile *t, __m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS], int rows,
                       int panels) {
    store_floats(t, acc, rows, panels);
}

/* Row k of some panels, each prefetched `ahead` bytes ahead of itself, for the sums of set s. */
ALWAYS_INLINE void stream_row(__m512 acc[STREAM_MAX_ROWS][TILE_MAX_PANELS], const Tile *t,
                              int64_t k, int64_t ahead, int rows, int panels, int s) {
    const float *a = (const float *)t->a + k, *b = (const float *)t->b + k * TN_PANEL;
    __m512 bv[TILE_MAX_PANELS];
    UNROLL for (int j = 0; j < panels; j++) {
        const float *at = b + j * t->b_panel;
        if (panels > 1)
            _mm_prefetch((const char *)at + ahead, _MM_HINT_T1);
        else
            _mm_prefetch((const char *)at + ahead, _MM_HINT_T0);
        bv[j] = _mm512_loadu_ps(at);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        const __m512 av = _mm512_set1_ps(a[i * t->a_row]);
        UNROLL for (int j = 0; j < panels; j++) {
            acc[i][j + s] = _mm512_fmadd_ps(av, bv[j], acc[i][j + s]);
        }
    }
}

/* Rows `from`..`to`. One panel has few accumulators, too few to hide the latency of a
 * multiplication, so its rows are dealt out to `sets` of them. */
ALWAYS_INLINE void stream_rows(__m512 acc[STREAM_MAX_ROWS][TILE_MAX_PANELS], const Tile *t,
                               int64_t from, int64_t to, int64_t ahead, int rows, int panels,
                               int sets) {
    if (sets == 1) { /* a loop over one s would leave its UNROLL to that over k */
        for (int64_t k = from; k < to; k++) stream_row(acc, t, k, ahead, rows, panels, 0);
        return;
    }
    for (int64_t k = from; k < to; k += sets) {
        UNROLL for (int s = 0; s < sets; s++) {
            stream_row(acc, t, k + s, ahead, rows, panels, s);
        }
    }
}

/* Few rows. Memory reads four places at once faster than one; towards their ends the panels that
 * come next are fetched. */
ALWAYS_INLINE void stream(const Tile *t, int rows, int panels) {
    const int64_t ahead = panels == 1 ? 4096 : rows > 2 ? 2048 : 1024;
    const int sets = panels > 1 ? 1 : rows < 4 ? 4 : 2;
    const int64_t depth = t->k, row = TN_PANEL * (int64_t)sizeof(float);
    __m512 acc[STREAM_MAX_ROWS][TILE_MAX_PANELS];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < panels * sets; j++) {
            acc[i][j] = j < panels ? start(t, j) : _mm512_setzero_ps();
        }
    }
    if (panels > 1) {
        const int64_t turn = depth > ahead / row ? depth - ahead / row : 0;
        stream_rows(acc, t, 0, turn, ahead, rows, panels, 1);
        const int64_t skipped = t->prefetch - ((const char *)t->b + depth * row);
        stream_rows(acc, t, turn, depth, ahead + skipped, rows, panels, 1);
    } else {
        stream_rows(acc, t, 0, depth - depth % sets, ahead, rows, 1, sets);
        stream_rows(acc, t, depth - depth % sets, depth, ahead, rows, 1, 1);
    }
    float *c = t->c;
    const int64_t c_row = t->c_row, c_panel = t->c_panel;
    UNROLL for (int i = 0; i < rows; i++, c += c_row) {
        UNROLL for (int s = 1; s < sets; s++) {
            acc[i][0] = _mm512_add_ps(acc[i][0], acc[i][s]);
        }
        UNROLL for (int j = 0; j < panels; j++) {
            _mm512_storeu_ps(c + j * c_panel, acc[i][j]);
        }
    }
}

/* A block of 16 x 16 in registers: pairs of rows are interleaved by 1, 2, 4 and 8 elements. */
static void transpose(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                      int64_t cols, int64_t width) {
    const __mmask16 stored = (__mmask16)((1u << width) - 1);
    for (int64_t j = 0; j < cols; j += 16, from += 16, to += 16 * to_row) {
        int64_t n = cols - j < 16 ? cols - j : 16;
        const __mmask16 loaded = (__mmask16)((1u << n) - 1);
        __m512 r[16], t[16];
        UNROLL for (int i = 0; i < 16; i++) {
            r[i] = _mm512_setzero_ps();
            if (i < rows) r[i] = _mm512_maskz_loadu_ps(loaded, from + i * from_row);
        }
        UNROLL for (int i = 0; i < 16; i += 2) {
            t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
            t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
        }
        UNROLL for (int i = 0; i < 16; i++) {
            /* r[4 q + c], 128-bit lane l: column 4 l + c of rows 4 q .. 4 q + 3 */
            int q = i / 4 * 4, c = i % 4;
            __m512d x = _mm512_castps_pd(t[q + c / 2]), y = _mm512_castps_pd(t[q + c / 2 + 2]);
            r[i] = _mm512_castpd_ps(c % 2 ? _mm512_unpackhi_pd(x, y) : _mm512_unpacklo_pd(x, y));
        }
        UNROLL for (int c = 0; c < 4; c++) {
            t[c] = _mm512_shuffle_f32x4(r[c], r[c + 4], 0x88);
            t[c + 4] = _mm512_shuffle_f32x4(r[c], r[c + 4], 0xdd);
            t[c + 8] = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0x88);
            t[c + 12] = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0xdd);
        }
        UNROLL for (int c = 0; c < 8; c++) {
            r[c] = _mm512_shuffle_f32x4(t[c], t[c + 8], 0x88);
            r[c + 8] = _mm512_shuffle_f32x4(t[c], t[c + 8], 0xdd);
        }
        UNROLL for (int i = 0; i < 16; i++) {
            if (i < n) _mm512_mask_storeu_ps(to + i * to_row, stored, r[i]);
        }
    }
}

#define TILES_12(X, p) TILES_6(X, p) X(7, p) X(8, p) X(9, p) X(10, p) X(11, p) X(12, p)
#define STREAMS(X, p)  X(1, p) X(2, p) X(3, p) X(4, p)

#define STREAM(m, p)                              \
    static void stream_##m##x##p(const Tile *t) { \
        stream(t, m, p);                          \
    }
#define STREAM_ENTRY(m, p) [p][m] = stream_##m##x##p,

TILES_12(TILE, 1)
TILES_12(TILE, 2)
TILES_6(TILE, 4)
STREAMS(STREAM, 1)
STREAMS(STREAM, 4)

const TileKernels tile_kernels_avx512 = {
    .tall = {12, 2},
    .wide = {6, 4},
    .flat = {6, 4},
    .end_vectors = END_VECTORS,
    .stream_rows = STREAM_MAX_ROWS,
    .tile = {TILES_12(TILE_ENTRY, 1) TILES_12(TILE_ENTRY, 2) TILES_6(TILE_ENTRY, 4)},
    .stream = {STREAMS(STREAM_ENTRY, 1) STREAMS(STREAM_ENTRY, 4)},
    .transpose = transpose,
    .pack = tile_pack_avx512,
    .end = tile_end_avx512,
    .scale = tile_scale_avx512,
};
