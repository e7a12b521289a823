/* Short forms for building nodes: one call per operator, named like it. All insert before the
 * graph's cursor and return output 0. */
#ifndef TENON_IR_BUILD_H
#define TENON_IR_BUILD_H

#include "ir/ir.h"

Value *ir_unary(Graph *g, OpKind op, Value *x);
Value *ir_binary(Graph *g, OpKind op, Value *a, Value *b);
Value *ir_where(Graph *g, Value *c, Value *a, Value *b);
Value *ir_cast(Graph *g, Value *x, TnDType to); /* x itself if it has that type */
Value *ir_splat(Graph *g, TnDType dtype, int rank, const Expr *const *dims, double v);
Value *ir_iota(Graph *g, TnDType dtype, const Expr *length, const Expr *start, const Expr *step);
Value *ir_scalars(Graph *g, TnDType dtype, int n, const Expr *const *e);
/* x, an i64 vector or scalar, whose elements are e from here on (docs/ir.md, measured symbols). */
Value *ir_measure(Graph *g, Value *x, int n, const Expr *const *e);
Value *ir_view(Graph *g, Value *x, int rank,
               const Expr *const *dims);                  /* x itself if nothing changes */
Value *ir_transpose(Graph *g, Value *x, const int *perm); /* likewise */
Value *ir_expand(Graph *g, Value *x, int rank, const Expr *const *dims);
Value *ir_slice(Graph *g, Value *x, int axis, const Expr *start, const Expr *length, int64_t step);
Value *ir_concat(Graph *g, int n, Value *const *x, int axis);
Value *ir_gather(Graph *g, Value *x, Value *index, int axis);
Value *ir_reduce(Graph *g, OpKind op, Value *x, int n, const int64_t *axes, bool keep);
Value *ir_matmul(Graph *g, Value *a, Value *b, bool ta, bool tb);
/* Of other operands, with the type of the result that `product` says, if it does. */
Value *ir_matmul_like(const Node *product, Value *a, Value *b, bool ta, bool tb);
Value *ir_softmax(Graph *g, Value *x, int axis);
Value *ir_layer_norm(Graph *g, Value *x, Value *gamma, Value *beta, double eps);
Value *ir_rms_norm(Graph *g, Value *x, Value *gamma, double eps);
Value *ir_unsqueeze(Graph *g, Value *x, int axis); /* a view with an axis of 1 inserted */
Value *ir_squeeze(Graph *g, Value *x, int axis);

#endif
