/* Inner interface of the conv family: what its files share. */
#ifndef TENON_RUNTIME_KERNELS_CONV_H
#define TENON_RUNTIME_KERNELS_CONV_H

#include <stdbool.h>
#include "runtime/kernels/family.h"

enum { DEPTH, HEIGHT, WIDTH, SPATIAL };

typedef struct ConvShape {
    const float *x, *w, *bias;
    float *y;
    int64_t batch, groups, channels, outputs; /* channels and outputs of one group */
    int64_t in[SPATIAL], out[SPATIAL], kernel[SPATIAL];
    int64_t stride[SPATIAL], dilation[SPATIAL], pad[SPATIAL];
    int64_t x_strides[2 + SPATIAL], y_strides[2 + SPATIAL];
    int64_t rows, width; /* of a patch */
    int64_t row_patches, column_patches;
    int64_t input_rows, phase_columns; /* of a patch's input */
    int64_t taps;
    int64_t splits, split_channels; /* tasks per patch and channels of each */
    bool product;                   /* conv_product.c does it */
} ConvShape;

/* Part of the results; its first, and how many there are. */
typedef struct ConvPatch {
    int64_t b, g, depth, row, column;
    int64_t rows, columns;
} ConvPatch;

/* conv_product.c: the results of channels [o, end) of a patch's group. `taps` is where each tap
 * finds its input, `input` the patch's part of x. */
size_t TN_FN(conv_product_scratch)(const ConvShape *s);
void TN_FN(conv_product)(const ConvShape *s, const ConvPatch *p, const int64_t *taps,
                         const float *input, void *scratch, int64_t o, int64_t end);

/* conv_f64.c */
void TN_FN(conv_f64_plan)(TnCall *call); /* of a call that has results */
void TN_FN(conv_f64_run)(const TnCall *call, int64_t task, void *scratch);

#endif
