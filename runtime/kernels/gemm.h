/* Micro-kernels of matrix products: what gemm.c, matmul.c and attention.c share with gemm_<isa>.c.
 *
 * A micro-kernel computes one tile C[m, 16 p] = A[m, K] B[K, 16 p], all of C in registers, K in one
 * go. A is read in place, row by row; B lies in panels of 16 columns; there is one exact kernel for
 * each pair (m, p). It always writes whole panels: a caller whose C ends inside a panel lets it
 * write to a buffer of its own and copies from there.
 *
 *                panel 0   panel 1
 *              +---------+---------+
 *            k |  b_row  |         |     B[k, 16 j + n]  =  b[j * b_panel + k * b_row + n]
 *              |         |         |
 *       k      +---------+---------+
 *     +------+ +---------+---------+
 *   m |  A   | |   acc   |   acc   |     A[i, k]         =  a[i * a_row + k]
 *     +------+ +---------+---------+     C[i, 16 j + n]  =  c[i * c_row + 16 j + n]
 *
 * A convolution's rows of A are windows of an image: several runs of k floats, each somewhere else,
 * A[i, r * k + j] = a[run[r].a + i * a_row + j], and so do those of B, from b + run[r].b on.
 *
 * Where the CPU multiplies bf16, A may be bf16 and B in panels of pairs (pack.h), K even; C is
 * floats or bf16. Steps are in bf16 then, b_row one from pair to pair of rows. Everywhere else bf16
 * becomes floats first (bf16.h), A once per task, B a group of panels at a time.
 *
 * Nothing is assumed about alignment. */
#ifndef TENON_RUNTIME_KERNELS_GEMM_H
#define TENON_RUNTIME_KERNELS_GEMM_H

#include <stdbool.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/unroll.h"
#include "runtime/pack.h"
#include "runtime/params.h"

#define TILE_MAX_ROWS   12
#define TILE_MAX_PANELS 4
#define STREAM_MAX_ROWS 4

/* Tasks for `ns` of work: powers of two, for even shares;
 * 50 us or more each, and finer only to absorb stalls. */
static inline int64_t tile_tasks(double ns) {
    int64_t tasks = 1;
    while (tasks < 8 && ns > 1e5 * (double)tasks) tasks *= 2;
    while (tasks < 64 && ns > 4e5 * (double)tasks) tasks *= 2;
    return tasks;
}

/* What becomes of a tile: c = act(tile + bias) + residual, or act(tile + bias + residual). */
typedef struct TileEnd {
    const float *bias;    /* of the tile's first element, as the next; NULL: none */
    const void *residual; /* float or bf16 */
    void *c;              /* float or bf16; may be the tile itself */
    int64_t residual_row, c_row;
    TnActivation activation;
    bool residual_first; /* added before the activation */
    bool residual_bf16, c_bf16;
} TileEnd;

/* Where k columns of A and rows of B start, in elements. */
typedef struct TileRun {
    int64_t a, b;
} TileRun;

typedef struct Tile {
    int64_t k;
    int64_t runs;       /* of k each, ... */
    const TileRun *run; /* ... which these are; NULL: one, at 0 */
    const void *a, *b;  /* float, or bf16 of pairs */
    float *c;
    int64_t a_row, b_row, b_panel, c_row;
    int64_t c_panel;       /* from panel to panel of a stream's C; a tile's are side by side */
    const float *start;    /* sums begin with, NULL: 0; not for streams of bf16 or of records */
    bool c_bf16;           /* tiles of pairs only: C is */
    const TileEnd *end;    /* NULL, or one of tile_ends: its residual and ReLU come before C */
    const char *prefetch;  /* fetched into L2 meanwhile, for a later tile ... */
    int64_t prefetch_step; /* ... this many bytes per k (pair of k), at most 64 per panel and 128 in
                              all; streams go on with it at the first panel's end */
    const char *claim;     /* where the result will be: a row of it is fetched for writing at first
                              and ... */
    int64_t claim_every;   /* ... every so many k (pairs of k), 0: never again; 64 bytes per panel
                              (pair of panels). All at once they would keep A and B waiting. */
    int64_t claim_row;     /* bytes from one to the next */
} Tile;

typedef void TileFn(const Tile *t);

/* to[j, i] = from[i, j] for i < rows <= 16, j < cols; columns rows..width-1 of `to` become zero,
 * width <= 16. */
typedef void TransposeFn(float *to, int64_t to_row, const float *from, int64_t from_row,
                         int64_t rows, int64_t cols, int64_t width);

/* At most TILE_MAX_ROWS rows of 64 columns; the tile is scratch afterwards. */
typedef void TileEndFn(const TileEnd *e, float *tile, int64_t tile_row, int64_t rows, int64_t cols);

/* Packs B[0..k-1, 0..n-1], n <= 16, of any strides into one panel at `to`: k rows of 16, zeros
 * beyond column n. */
typedef void TilePackFn(float *to, const float *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n);

/* Multiplies whole panels by alpha. */
typedef void TileScaleFn(float *tile, int64_t tile_row, int64_t rows, int panels, float alpha);

/* tile_end.c */
TileEndFn TN_FN(tile_end);
TileScaleFn TN_FN(tile_scale);
TilePackFn TN_FN(tile_pack);

/* Largest tile of one shape. Smaller ones exist of as few rows, and of the panels of tile_panels.
 */
typedef struct TileShape {
    int rows, panels;
} TileShape;

enum { PAIRS_IN_PLACE_ROWS = 4, PAIRS_IN_PLACE_COLUMNS = 64 };

/* The same where both A and B are plain rows of bf16, as attention finds them. */
typedef struct PairsInPlace {
    /* to[i] = 2^((x[i] - top) factor) for i < n and more, up to a multiple of 16; lanes[0..15] sum
     * up to their sum. `to` may be x, or lie before it. Good enough for bf16. */
    void (*exponentials)(uint16_t *to, const float *x, int64_t n, float factor, float top,
                         float *lanes);
    /* C[rows, n] = A[rows, K] B[n, K]'; writes up to 3 columns more */
    void (*dots)(const Tile *t, int64_t n, int64_t rows);
    /* [rows]: C[rows, 64] = A[rows, K] B[K, 64]; an odd K counts A's next column, which is 0. There
     * is room for 4 rows of A and C, unless it is one. */
    TileFn *sums[PAIRS_IN_PLACE_ROWS + 1];
} PairsInPlace;

extern const PairsInPlace pairs_in_place_avx512;

/* Tiles of pairs, for CPUs beyond the level that the family is compiled for: of as many panels as
 * the shape says, or of one. */
typedef struct TilePairs {
    TileShape shape;
    TileFn *tile[TILE_MAX_PANELS + 1][TILE_MAX_ROWS + 1];
    /* Packs B[0..k-1, 0..n-1], n <= 16, of any strides into one panel, as tile_pack. */
    void (*pack)(uint16_t *to, const uint16_t *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n);
    const struct PairsInPlace *in_place;
} TilePairs;

/* How many panels the next tile of a shape takes of those that are left. */
static inline int tile_panels(TileShape shape, int64_t left, bool pairs) {
    if (left >= shape.panels) return shape.panels;
    return pairs ? 1 : left == 3 ? 2 : (int)left;
}

extern const TilePairs tile_pairs_avx512;

/* [panels][rows]: panels that come from memory and are read once, each as a linear stream: one, or
 * where there are such kernels several, which memory gives faster. */
typedef TileFn *Streams[TILE_MAX_PANELS + 1][STREAM_MAX_ROWS + 1];

typedef struct TileKernels {
    TileShape tall;  /* the usual choice */
    TileShape wide;  /* few rows, many columns: B is used in place and its rows are long */
    TileShape flat;  /* the same for rows so few that reading B is all there is to do */
    int stream_rows; /* rows that `stream` can do */
    int end_vectors; /* of a tile, rows times panels, from which on it may have an end of its own */
    TileFn *tile[TILE_MAX_PANELS + 1][TILE_MAX_ROWS + 1]; /* [panels][rows] */
    Streams stream;
    TransposeFn *transpose;
    TilePackFn *pack;
    TileEndFn *end;
    TileScaleFn *scale;
} TileKernels;

extern const TileKernels TN_FN(tile_kernels);

/* Whether tiles of whole panels and of enough vectors do all of this in registers, the bias apart,
 * which is what they begin with: there is at most a residual of the type of A, then ReLU. */
static inline bool tile_ends(const TileEnd *e, bool pairs) {
    const bool relu = e->activation == TN_ACT_RELU;
    return (relu || e->activation == TN_ACT_NONE) && (pairs || !e->c_bf16) &&
           (!e->residual || (e->residual_bf16 == pairs && (e->residual_first || !relu)));
}

/* Rows of A at a multiple of 4 KiB share a set of L1: no more than 8 of them fit the 8 ways that
 * many CPUs have. Not more panels instead: these and the next ones would not fit L2 together. */
enum { CROWDED_ROWS = 8 };

static inline TileShape tile_shape(const TileKernels *kernels, int64_t a_row) {
    TileShape shape = kernels->tall;
    bool crowded = a_row * (int64_t)sizeof(float) % 4096 == 0;
    if (crowded && shape.rows > CROWDED_ROWS) shape.rows = CROWDED_ROWS;
    return shape;
}

static inline int64_t tiles_of(int64_t rows, int64_t most) {
    return rows <= most ? 1 : TN_CEIL_DIV(rows, most);
}

/* Rows `count` are dealt out to as few tiles as possible, as evenly as possible: tile t of `tiles`
 * starts at row ... Larger tiles are spread: threads that take runs of them get even shares. */
static inline int64_t deal(int64_t count, int64_t tiles, int64_t t) {
    if (tiles == 1) return t * count; /* the usual case of small ones, without a division */
    return count / tiles * t + count % tiles * t / tiles;
}

#endif
