/* What operators do when a list of integers is known only during a run: the variants of import
 * functions for operands that are measured, and the integer arithmetic they are written in.
 *
 * Vectors are i64[n] and booleans [n]; a scalar broadcasts. */
#ifndef TENON_FRONTEND_ONNX_MEASURED_H
#define TENON_FRONTEND_ONNX_MEASURED_H

#include "frontend/onnx/import.h"

/* --- arithmetic --- */
static inline Value *int_scalar(const OnnxNode *n, int64_t v) {
    return ir_scalar_int(n->g, TN_I64, v);
}
static inline Value *int_dims(const OnnxNode *n, int count, const Expr *const *e) {
    return ir_scalars(n->g, TN_I64, count, e);
}
static inline Value *int_op(const OnnxNode *n, OpKind op, Value *a, Value *b) {
    return ir_binary(n->g, op, a, b);
}
static inline Value *int_op_const(const OnnxNode *n, OpKind op, Value *a, int64_t b) {
    return ir_binary(n->g, op, a, int_scalar(n, b));
}
static inline Value *int_where(const OnnxNode *n, Value *c, Value *a, Value *b) {
    return ir_where(n->g, c, a, b);
}
Value *int_iota(const OnnxNode *n, int count);             /* 0, 1, .. */
Value *int_column(const OnnxNode *n, Value *v);            /* [n] -> [n, 1] */
Value *int_reduce(const OnnxNode *n, OpKind op, Value *v); /* over the last axis */
Value *int_join(const OnnxNode *n, int count, Value *const *v);
Value *int_clamp(const OnnxNode *n, Value *v, Value *low, Value *high);
/* v, or v + length where v is negative: it counts from the end. */
Value *int_from_end(const OnnxNode *n, Value *v, Value *length);

/* --- axes --- */
/* bool[rank, count]: whether entry k of the list of axes, operand i, is axis j. Entries are checked
 * and measured as `first`.., and that none comes twice. */
Value *axis_hits(OnnxNode *n, int i, int rank, int first);
/* i64[rank]: 1 for an axis of the list, else 0 */
Value *axis_mask(OnnxNode *n, Value *hits);
/* i64[rank]: per axis the entry of `list` that belongs to it, `rest` where there is none. Without
 * hits (NULL) entry j belongs to axis j. */
Value *along_axes(OnnxNode *n, Value *hits, Value *list, Value *rest);

/* --- operators --- */
int measured_reshape(OnnxNode *n, bool allow_zero, const Expr **dims);
void measured_expand(OnnxNode *n);
/* i64[left]: the lengths without those of the mask's axes */
Value *squeezed_dims(OnnxNode *n, Value *lengths, Value *mask, int left);
void measured_squeeze(OnnxNode *n);
void measured_unsqueeze(OnnxNode *n);
void measured_slice(OnnxNode *n);
Value *measured_reduce(OnnxNode *n, OpKind op, Value *x, bool keep);
/* What the reduction of a tensor of type t left, axes kept, expanded to its dims again. */
Value *measured_spread(OnnxNode *n, Value *y, const Type *t);
void measured_cumsum(OnnxNode *n);

#endif
