/* What matmul_int.c needs of matmul_int_tiles.c: tiles y[rows, panels * 16] = a[rows, 4 quads] b,
 * all of K in one go, with a of u8 and b of i8 in panels of quads (pack.h). There are kernels for
 * some numbers of rows only: a caller with others lets tiles overlap. */
#ifndef TENON_RUNTIME_KERNELS_MATMUL_INT_H
#define TENON_RUNTIME_KERNELS_MATMUL_INT_H

#include "runtime/kernels/family.h"
#include "runtime/pack.h"

#define QUADS_MAX_ROWS   12
#define QUADS_MAX_PANELS 2
#define QUADS_FLIP       0x80808080u /* makes u8 of i8, x + 128, and i8 of u8, x - 128 */

typedef struct QuadsTile {
    const uint8_t *a; /* 4 k of a row side by side */
    int64_t a_row, quads;
    const int8_t *b, *b_next; /* a panel, and another: the next, or the same again */
    const char *prefetch;     /* fetched into L2 meanwhile ... */
    int64_t prefetch_step;    /* ... this many bytes per quad, at most 128 */
    const char *claim;        /* where the result will be, as in gemm.h */
    int64_t claim_every, claim_row;
    int32_t y[QUADS_MAX_ROWS * QUADS_MAX_PANELS * TN_PANEL]; /* the result, by rows */
} QuadsTile;

typedef void QuadsTileFn(QuadsTile *t);

/* What becomes of a tile: c[r, j] = y[r, j] - a_zero[r] sum[j] + rest[r] zero[j]. */
typedef struct QuadsEnd {
    int32_t *c;
    int64_t c_row, c_column;
    uint32_t a_zero[QUADS_MAX_ROWS], rest[QUADS_MAX_ROWS];
    const uint32_t *sum, *zero; /* of whole panels, as y */
} QuadsEnd;

typedef struct QuadsKernels {
    int panels;                            /* of every tile */
    QuadsTileFn *tile[QUADS_MAX_ROWS + 1]; /* [rows], with gaps */
    void (*end)(const QuadsEnd *e, const int32_t *y, int64_t rows, int64_t columns);
    /* Makes a panel with its sums of b[k, n], n <= 16, of any strides; flip as above if it is u8.
     */
    void (*pack)(int8_t *panel, const uint8_t *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n,
                 uint32_t flip);
    /* to[k] = from[k] ^ flip for a row of k bytes, and zeros up to a whole quad. */
    void (*row)(uint8_t *to, const uint8_t *from, int64_t from_k, int64_t k, uint32_t flip);
} QuadsKernels;

extern const QuadsKernels TN_FN(quads_kernels);

#endif
