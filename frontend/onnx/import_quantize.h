/* What quantised operators of both domains are made of. */
#ifndef TENON_FRONTEND_ONNX_IMPORT_QUANTIZE_H
#define TENON_FRONTEND_ONNX_IMPORT_QUANTIZE_H

#include "frontend/onnx/import.h"

/* a / b, never as a product with the reciprocal */
Value *quant_divide(Graph *g, Value *a, Value *b);
/* round(x / scale) + zero into type `to`, which saturates; zero may be NULL. */
Value *quant_quantize(Graph *g, Value *x, Value *scale, Value *zero, TnDType to);
/* (y - zero) scale in f32; zero may be NULL. */
Value *quant_dequantize(Graph *g, Value *y, Value *scale, Value *zero);
/* x as u8; its scale and zero point. */
Value *quant_dynamic(OnnxNode *n, Value *x, Value **scale, Value **zero);
/* A vector of zero points or scales stands for the rows of a or the columns of b. */
Value *quant_along(OnnxNode *n, Value *v, bool rows);
/* The i32 product of a and b less their zero points (or NULL); an axis that a vector lacks is
 * there. */
Value *quant_product(OnnxNode *n, Value *a, Value *a_zero, Value *b, Value *b_zero);
/* y a_scale b_scale + bias in f32; bias may be NULL. */
Value *quant_scaled(OnnxNode *n, Value *y, Value *a_scale, Value *b_scale, Value *bias);
/* Drops the axes that quant_product gave to vectors. */
Value *quant_without_added(OnnxNode *n, Value *y, const Value *a, const Value *b);
Value *quant_given(const OnnxNode *n, int i); /* NULL if operand i is left out */

#endif
