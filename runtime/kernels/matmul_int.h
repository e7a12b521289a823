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
    const uint8_t *a; /* 4 k of a row side by side ... */
    uint32_t flip;    /* ... QUADS_FLIP if they are i8, or 0 */
    int64_t a_row, quads;
    const int8_t *b, *b_next; /* a panel, and another: the next, or the same again */
    const char *prefetch;     /* fetched into L2 meanwhile ... */
    int64_t prefetch_step;    /* ... this many bytes per quad, at most 128 */
    int32_t y[QUADS_MAX_ROWS * QUADS_MAX_PANELS * TN_PANEL]; /* the result, by rows */
} QuadsTile;

typedef void QuadsTileFn(QuadsTile *t);

typedef struct QuadsKernels {
    int panels;                            /* of every tile */
    QuadsTileFn *tile[QUADS_MAX_ROWS + 1]; /* [rows], with gaps */
} QuadsKernels;

/* The best for a CPU level, among those compiled with this file's flags. */
const QuadsKernels *TN_FN(quads_kernels)(TnIsa isa);

/* Makes a panel with its sums of b[k, n], n <= 16, of any strides; flip as above if it is u8. */
void TN_FN(quads_pack)(int8_t *panel, const uint8_t *b, int64_t b_k, int64_t b_n, int64_t k,
                       int64_t n, uint32_t flip);

/* y[j] = y[j] - za sum[j] + rest zero[j] for whole panels of at least `columns` j. */
void TN_FN(quads_end)(int32_t *y, int64_t columns, uint32_t za, const uint32_t *sum, uint32_t rest,
                      const uint32_t *zero);

#endif
