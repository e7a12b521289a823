/* What matmul_int.c needs of matmul_int_tiles.c: tiles of C[rows, panels * 16], all of K in one go,
 * with a of u8 and b of i8 in panels of quads, their sums behind (pack.h):
 *
 *     c[i, j] = minus_zero[i] sum_k b[k, j] + sum_k a[i, k] b[k, j] + rest[i] zero[j]
 *
 * Sums start at the first term, which costs less than adding it to what is stored. There are
 * kernels for some numbers of rows only: a caller with others lets tiles overlap. */
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
    const uint32_t *zero;     /* of all panels; NULL: all are 0, and rest isn't used */
    uint32_t minus_zero[QUADS_MAX_ROWS], rest[QUADS_MAX_ROWS];
    int32_t *c;
    int64_t c_row;
    const char *prefetch;  /* fetched into L2 meanwhile ... */
    int64_t prefetch_step; /* ... this many bytes per quad, at most 128 */
    const char *claim;     /* where the result will be, as in gemm.h */
    int64_t claim_every, claim_row;
} QuadsTile;

typedef void QuadsTileFn(QuadsTile *t);

typedef struct QuadsKernels {
    int panels;                            /* of every tile */
    QuadsTileFn *tile[QUADS_MAX_ROWS + 1]; /* [rows], with gaps */
    /* Makes a panel with its sums of b[k, n], n <= 16, of any strides; flip as above if it is u8.
     */
    void (*pack)(int8_t *panel, const uint8_t *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n,
                 uint32_t flip);
    /* to[k] = from[k] ^ flip for a row of k bytes, and zeros up to a whole quad. */
    void (*row)(uint8_t *to, const uint8_t *from, int64_t from_k, int64_t k, uint32_t flip);
    uint32_t (*sum)(const uint8_t *a, int64_t k); /* of the k bytes of a row */
} QuadsKernels;

extern const QuadsKernels TN_FN(quads_kernels);

#endif
