/* Packed layouts of constants: written by the backend, read by kernels, the same on every ISA.
 *
 * TN_LAYOUT_PANELS16 holds a matrix B[K, N] for C = A B as panels of 16 columns:
 *
 *     element (k, n)  at  ((n / 16) * K + k) * 16 + n % 16
 *
 * where columns from N on, in the last panel, are zero. So a panel is K consecutive 64-byte rows
 * (f32) and a group of panels is one linear stream. A table whose *rows* are looked up (an
 * embedding that is also the output projection) is stored as B = table^T: row r of the table is
 * column n = r.
 *
 * TN_LAYOUT_PAIRS16 holds B of bf16 as panels of pairs of rows, which is what an instruction takes
 * that adds two products of bf16 to a float:
 *
 *     element (k, n)  at  ((n / 16) * ceil(K / 2) + k / 2) * 32 + (n % 16) * 2 + k % 2
 *
 * Beyond K and N are zeros. A panel is ceil(K / 2) 64-byte rows, in each of which column n has the
 * elements of two neighbouring k side by side.
 *
 * TN_LAYOUT_QUADS16 holds B of i8, or of u8 less 128, as panels of quads of rows, for instructions
 * that add four products of 8 bits to an integer:
 *
 *     element (k, n)  at  ((n / 16) * (ceil(K / 4) + 1) + k / 4) * 64 + (n % 16) * 4 + k % 4
 *
 * with zeros beyond K and N. Behind the quads of a panel are the sums of its columns, 16 i32.
 *
 * TN_LAYOUT_RECORDS8 and TN_LAYOUT_RECORDS4 hold B of f32, rounded to 8 or 4 bits: an integer times
 * the scale, a bf16, of its group, which is 32 rows of one column. A panel is a linear stream of
 * records, each with 64 rows of 16 columns in lines of 64 bytes; element (k, n) of a record is at
 *
 *     scale     line 0:             number  k / 32 * 16 + n                          of 32 bf16
 *     RECORDS8  line 1 + k / 4:     number  n * 4 + k % 4                            of 64 i8
 *     RECORDS4  line 1 + k / 8:     number  n * 4 + k % 4, its low half if k % 8 < 4  of 64 bytes
 *
 * Halves of a byte are integers -8 .. 7 in two's complement. Beyond K and N are zeros.
 *
 * TN_LAYOUT_RECORDS8F and TN_LAYOUT_RECORDS4F hold B that is integers times scales of f32 to begin
 * with. A line of 32 i16 behind the integers, in the order of the scales, is added to their bits:
 * f32 = (bf16 << 16) + i16. */
#ifndef TENON_RUNTIME_PACK_H
#define TENON_RUNTIME_PACK_H

#include <stdint.h>

/* All but the first are packed: of rank 2, without strides, read as a whole. */
typedef enum TnLayout {
    TN_LAYOUT_STRIDED = 0,   /* plain elements under the view's strides */
    TN_LAYOUT_PANELS16 = 1,  /* view dims are [K, N] */
    TN_LAYOUT_PAIRS16 = 2,   /* the same, bf16 */
    TN_LAYOUT_QUADS16 = 5,   /* the same, i8 and u8 */
    TN_LAYOUT_RECORDS8 = 6,  /* the same, f32 in 8 bits */
    TN_LAYOUT_RECORDS4 = 7,  /* and in 4 */
    TN_LAYOUT_RECORDS8F = 8, /* the same with scales of f32 */
    TN_LAYOUT_RECORDS4F = 9,
    TN_LAYOUT_COUNT
} TnLayout;

#define TN_PANEL 16

/* Elements of a matrix K x N in panels. */
static inline int64_t tn_panels_elements(int64_t k, int64_t n) {
    return (n + TN_PANEL - 1) / TN_PANEL * TN_PANEL * k;
}

/* Where element (k, n) of a matrix with `big_k` rows is. */
static inline int64_t tn_panels_index(int64_t big_k, int64_t k, int64_t n) {
    return ((n / TN_PANEL) * big_k + k) * TN_PANEL + n % TN_PANEL;
}

/* Weights w[O, C, 3, 3] of a convolution by Winograd's filtering with tiles of l x m results
 * (kernels/common/conv_winograd.c) are H w[o, c] G', a matrix of (l + 2) (m + 2) elements for each
 * pair. The rows of G, and of H with l for m, are, by taps:
 *
 *     m = 2, stride 1    1 0 0    1/2 1/2 1/2    1/2 -1/2 1/2    0 0 1
 *     m = 2, stride 2    1 0 0    1 0 1          0 0 1           0 1 0
 *     m = 4              1/(a^2 b^2) (1 0 0)    (1 a a^2) and (1 -a a^2), over 2 a^2 (a^2 - b^2)
 *                        0 0 1                  (1 b b^2) and (1 -b b^2), over 2 b^2 (b^2 - a^2)
 *
 * with a = 3/4 and b = 13/8, in the order 0, a, -a, b, -b and 0 0 1.
 *
 * They are stored as a matrix of C rows, element after element: element (i, j) of output o is
 * column
 *
 *     (i (m + 2) + j) O + o        with O rounded up to whole panels
 *
 * C is a multiple of TN_PANEL. How many columns there are: */
static inline int64_t tn_winograd_columns(int64_t elements, int64_t outputs) {
    return elements * ((outputs + TN_PANEL - 1) / TN_PANEL * TN_PANEL);
}

/* Rows that K rows take in pairs. */
static inline int64_t tn_pairs_rows(int64_t k) {
    return k + k % 2;
}

static inline int64_t tn_pairs_index(int64_t big_k, int64_t k, int64_t n) {
    return (n / TN_PANEL * tn_pairs_rows(big_k) + k - k % 2) * TN_PANEL + n % TN_PANEL * 2 + k % 2;
}

/* Rows of quads, the last of which is the sums. */
static inline int64_t tn_quads_rows(int64_t k) {
    return (k + 3) / 4 * 4 + 4;
}

#define TN_GROUP  32 /* rows with a scale of their own */
#define TN_RECORD 64 /* rows */

static inline int tn_is_records(TnLayout layout) {
    return layout >= TN_LAYOUT_RECORDS8 && layout <= TN_LAYOUT_RECORDS4F;
}

/* Of an integer. */
static inline int tn_record_bits(TnLayout layout) {
    return layout == TN_LAYOUT_RECORDS8 || layout == TN_LAYOUT_RECORDS8F ? 8 : 4;
}

/* Lines of 64 bytes that scales take: the first and, if there are two, the last. */
static inline int tn_record_scales(TnLayout layout) {
    return layout >= TN_LAYOUT_RECORDS8F ? 2 : 1;
}

/* Lines in all: as many rows of f32 as a record takes the room of. */
static inline int64_t tn_record_lines(TnLayout layout) {
    static const unsigned char lines[] = {17, 9, 18, 10};
    return lines[layout - TN_LAYOUT_RECORDS8];
}

/* Rows that a matrix of K rows has in a layout of matrices, and its elements. */
static inline int64_t tn_packed_rows(TnLayout layout, int64_t k) {
    switch (layout) {
    case TN_LAYOUT_PAIRS16: return tn_pairs_rows(k);
    case TN_LAYOUT_QUADS16: return tn_quads_rows(k);
    case TN_LAYOUT_RECORDS8:
    case TN_LAYOUT_RECORDS4:
    case TN_LAYOUT_RECORDS8F:
    case TN_LAYOUT_RECORDS4F: return (k + TN_RECORD - 1) / TN_RECORD * tn_record_lines(layout);
    default: return k;
    }
}

static inline int64_t tn_packed_elements(TnLayout layout, int64_t k, int64_t n) {
    return tn_panels_elements(tn_packed_rows(layout, k), n);
}

/* Weights w[O, C, kernel] of a convolution are the matrix [kernel C, O]. In pairs, what lies side
 * by side in an image is to begin with a pair: the channels of all taps along the last axis, a run.
 * Where that is an odd number of rows, a row of zeros follows each run but the last. How many rows
 * there are instead of k: */
static inline int64_t tn_conv_rows(TnLayout layout, int64_t k, int64_t run) {
    return layout == TN_LAYOUT_PAIRS16 && run % 2 ? k + k / run - 1 : k;
}

/* Weights w[O, C, kernel] of few outputs are stored as the matrix [C, kernel O] where each place is
 * multiplied with all taps at once (kernels/common/conv_places.c): tap t of output o is column o
 * kernel + t. Whether that fills panels better than a matrix [kernel C, O]: */
static inline int tn_conv_by_places(int64_t taps, int64_t channels, int64_t outputs) {
    return outputs <= TN_PANEL / 2 && channels >= TN_PANEL &&
           2 * ((taps * outputs + TN_PANEL - 1) / TN_PANEL) <= taps;
}

/* Whether a convolution is a product with its weights as a matrix [kernel C, O], rather than a sum
 * over taps of a few channels: groups with few outputs would leave most of a panel's columns
 * unused. */
static inline int tn_conv_is_product(int64_t groups, int64_t outputs_per_group) {
    return groups == 1 || outputs_per_group >= TN_PANEL / 2;
}

#endif
