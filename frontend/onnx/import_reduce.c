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

void import_cumsum(OnnxNode *n) {
    Value *x = n->inputs[0];
    Node *node = ir_node(n->g, OP_cumsum, 1, &x);
    ir_set_int(node, "axis", ir_axis(n->m, onnx_number(n, 1, "axis"), x->type.rank));
    ir_set_bool(node, "exclusive", onnx_flag(n, "exclusive"));
    ir_set_bool(node, "reverse", onnx_flag(n, "reverse"));
    n->outputs[0] = ir_insert(node);
}
