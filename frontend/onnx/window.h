/* The sliding window of Conv, ConvTranspose and the pools: their shared attributes, read and
 * checked. Missing strides and dilations are 1, missing pads 0. */
#ifndef TENON_FRONTEND_ONNX_WINDOW_H
#define TENON_FRONTEND_ONNX_WINDOW_H

#include "frontend/onnx/import.h"

#define ONNX_SPATIAL 3 /* axes at most */

typedef enum OnnxAutoPad { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER } OnnxAutoPad;

typedef struct OnnxWindow {
    int spatial;
    OnnxAutoPad auto_pad;
    const Expr *kernel[ONNX_SPATIAL];
    const Expr
        *reach[ONNX_SPATIAL]; /* (kernel - 1) dilation + 1: from a window's start to its end */
    int64_t stride[ONNX_SPATIAL], dilation[ONNX_SPATIAL];
    const Expr *begin[ONNX_SPATIAL], *end[ONNX_SPATIAL]; /* padding */
} OnnxWindow;

/* Number of spatial axes of operand i; raises unless 1 to ONNX_SPATIAL. */
int onnx_spatial(const OnnxNode *n, int i);
/* Copies a list of the node, or `count` times the fallback, which is the least legal entry. */
void onnx_window_list(const OnnxNode *n, const char *name, int count, int64_t fallback, int64_t *v);
/* Everything but the padding of auto_pad. The kernel is `kernel_shape`, or where `weights` is not
 * NULL its last axes, which the attribute must agree with if it is there. */
OnnxWindow onnx_window(const OnnxNode *n, const Type *weights);
/* Sets begin and end as auto_pad says for an input of these lengths. */
void onnx_window_pads(const OnnxNode *n, OnnxWindow *w, const Expr *const *lengths);

#endif
