/* Micro-kernels of matrix products for any CPU: tiles of up to 3 rows x 1 panel in the compiler's
 * 16-byte vectors, which are the baseline's registers (SSE2, NEON) or plain floats. Products and
 * sums are rounded one by one, so sums are taken over blocks of BLOCK products first: the rounding
 * error then grows with K / BLOCK + BLOCK instead of K. */
#include <string.h>
#include "runtime/kernels/gemm.h"

enum { ROWS = 3, QUADS = TN_PANEL / 4, BLOCK = 64 };

typedef float Quad __attribute__((vector_size(16)));

/* acc[i] += A[i, ..] B over `count` consecutive k. */
ALWAYS_INLINE void block(Quad acc[ROWS][QUADS], const Tile *t, const float *a, const float *b,
                         int64_t count, int rows) {
    const int64_t a_row = t->a_row, b_row = t->b_row;
    for (int64_t k = 0; k < count; k++, a++, b += b_row) {
        Quad bv[QUADS];
        memcpy(bv, b, sizeof bv);
        UNROLL for (int i = 0; i < rows; i++) {
            UNROLL for (int j = 0; j < QUADS; j++) {
                acc[i][j] += a[i * a_row] * bv[j];
            }
        }
    }
}

ALWAYS_INLINE void tile(const Tile *t, int rows) {
    Quad sum[ROWS][QUADS] = {{{0}}};
    for (int i = 0; i < rows && t->start; i++) memcpy(sum[i], t->start, sizeof sum[i]);
    int64_t r = 0;
    do {
        const TileRun at = t->run ? t->run[r] : (TileRun){0, 0};
        const float *a = (const float *)t->a + at.a, *b = (const float *)t->b + at.b;
        for (int64_t k = 0; k < t->k; k += BLOCK) {
            int64_t count = k + BLOCK < t->k ? BLOCK : t->k - k;
            Quad acc[ROWS][QUADS] = {{{0}}};
            block(acc, t, a + k, b, count, rows);
            b += count * t->b_row;
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < QUADS; j++) sum[i][j] += acc[i][j];
        }
    } while (++r < t->runs);
    for (int i = 0; i < rows; i++) memcpy(t->c + i * t->c_row, sum[i], sizeof sum[i]);
}

static void transpose(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                      int64_t cols, int64_t width) {
    for (int64_t j = 0; j < cols; j++) {
        for (int64_t i = 0; i < width; i++)
            to[j * to_row + i] = i < rows ? from[i * from_row + j] : 0;
    }
}

#define TILES(X) X(1) X(2) X(3)
#define TILE(m)                           \
    static void tile_##m(const Tile *t) { \
        tile(t, m);                       \
    }
#define TILE_ENTRY(m) [m] = tile_##m,

TILES(TILE)

const TileKernels tile_kernels_scalar = {
    .tall = {ROWS, 1},
    .wide = {ROWS, 1},
    .flat = {ROWS, 1},
    .end_vectors = ROWS + 1,
    .tile = {[1] = {TILES(TILE_ENTRY)}},
    .transpose = transpose,
    .pack = tile_pack_scalar,
    .end = tile_end_scalar,
    .scale = tile_scale_scalar,
};
