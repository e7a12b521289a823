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
 */
#ifndef TENON_RUNTIME_PACK_H
#define TENON_RUNTIME_PACK_H

#include <stdint.h>

typedef enum TnLayout {
    TN_LAYOUT_STRIDED = 0,  /* plain elements under the view's strides */
    TN_LAYOUT_PANELS16 = 1, /* view dims are [K, N] */
} TnLayout;

#define TN_PANEL 16

/* Elements of a packed K x N matrix. */
static inline int64_t tn_panels_elements(int64_t k, int64_t n) {
    return (n + TN_PANEL - 1) / TN_PANEL * TN_PANEL * k;
}

/* Where element (k, n) of a matrix with `big_k` rows is. */
static inline int64_t tn_panels_index(int64_t big_k, int64_t k, int64_t n) {
    return ((n / TN_PANEL) * big_k + k) * TN_PANEL + n % TN_PANEL;
}

/* Weights w[O, C, 3, 3] of a convolution by Winograd's filtering with tiles of m x m results
 * (kernels/conv_winograd.c) are G w[o, c] G', a matrix of (m + 2)^2 elements for each pair. They
 * are stored as a matrix of C rows, element after element: element (i, j) of output o is column
 *
 *     (i (m + 2) + j) O + o        with O rounded up to whole panels
 *
 * C is a multiple of TN_PANEL. How many columns there are: */
static inline int64_t tn_winograd_columns(int64_t m, int64_t outputs) {
    return (m + 2) * (m + 2) * ((outputs + TN_PANEL - 1) / TN_PANEL * TN_PANEL);
}

/* Whether a convolution is a product with its weights as a matrix [kernel C, O], rather than a sum
 * over taps of a few channels: groups with few outputs would leave most of a panel's columns
 * unused. */
static inline int tn_conv_is_product(int64_t groups, int64_t outputs_per_group) {
    return groups == 1 || outputs_per_group >= TN_PANEL / 2;
}

#endif
