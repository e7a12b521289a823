/* ONNX reductions and scans. */
#include "frontend/onnx/import.h"

/* Without axes all are reduced, unless noop_with_empty_axes. */
static Value *reduce(OnnxNode *n, OpKind op, Value *x) {
    int rank = x->type.rank;
    OnnxInts axes = onnx_axes(n);
    bool marked[TN_MAX_RANK], keep = onnx_flag(n, "keepdims");
    int64_t list[TN_MAX_RANK];
    int count = 0;
    bool all = axes.count == 0 &&
               !(onnx_has(n, "noop_with_empty_axes") && onnx_flag(n, "noop_with_empty_axes"));
    onnx_mark_axes(n, axes, rank, marked);
    for (int i = 0; i < rank; i++)
        if (all || marked[i]) list[count++] = i;
    return ir_reduce(n->g, op, x, count, list, keep);
}

/* Booleans have a largest and a smallest: as numbers 0 and 1. */
void import_reduce(OnnxNode *n) {
    Value *x = n->inputs[0];
    bool logical = x->type.dtype == TN_BOOL;
    Value *y = reduce(n, n->row->op, logical ? ir_cast(n->g, x, TN_U8) : x);
    n->outputs[0] = logical ? ir_cast(n->g, y, TN_BOOL) : y;
}

static Value *square(OnnxNode *n) {
    return ir_binary(n->g, OP_mul, n->inputs[0], n->inputs[0]);
}

void import_reduce_l1(OnnxNode *n) {
    n->outputs[0] = reduce(n, OP_reduce_sum, ir_unary(n->g, OP_abs, n->inputs[0]));
}

void import_reduce_l2(OnnxNode *n) {
    n->outputs[0] = ir_unary(n->g, OP_sqrt, reduce(n, OP_reduce_sum, square(n)));
}

void import_reduce_sum_square(OnnxNode *n) {
    n->outputs[0] = reduce(n, OP_reduce_sum, square(n));
}

void import_reduce_log_sum(OnnxNode *n) {
    n->outputs[0] = ir_unary(n->g, OP_log, reduce(n, OP_reduce_sum, n->inputs[0]));
}

/* The smallest (or largest) position at which there is the largest (or smallest) element; positions
 * of others count as one behind the end (or before the start). */
void import_arg_extreme(OnnxNode *n) {
    Graph *g = n->g;
    Value *x = n->inputs[0];
    int64_t axis = onnx_axis(n, 0);
    bool last = onnx_flag(n, "select_last_index");
    const Expr *length = x->type.dims[axis], *dims[TN_MAX_RANK];
    int rank = x->type.rank - (int)axis;
    for (int i = 0; i < rank; i++) dims[i] = i ? ex_int(n->x, 1) : length;
    Value *position = ir_iota(g, TN_I64, length, ex_int(n->x, 0), ex_int(n->x, 1));
    position = ir_view(g, position, rank, dims);
    const Expr *outside = last ? ex_int(n->x, -1) : length;
    Value *none = ir_view(g, ir_scalars(g, TN_I64, 1, &outside), 0, NULL);
    Value *extreme = ir_reduce(g, n->row->op, x, 1, &axis, true);
    Value *found = ir_where(g, ir_binary(g, OP_eq, x, extreme), position, none);
    n->outputs[0] = ir_reduce(g, last ? OP_reduce_max : OP_reduce_min, found, 1, &axis,
                              onnx_flag(n, "keepdims"));
}

void import_cumsum(OnnxNode *n) {
    Value *x = n->inputs[0];
    Node *node = ir_node(n->g, OP_cumsum, 1, &x);
    ir_set_int(node, "axis", ir_axis(n->m, onnx_number(n, 1, "axis"), x->type.rank));
    ir_set_bool(node, "exclusive", onnx_flag(n, "exclusive"));
    ir_set_bool(node, "reverse", onnx_flag(n, "reverse"));
    n->outputs[0] = ir_insert(node);
}
