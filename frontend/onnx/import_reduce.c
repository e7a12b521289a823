/* ONNX reductions and scans. */
#include <math.h>
#include "frontend/onnx/measured.h"

/* Without axes all are reduced, unless noop_with_empty_axes. */
static Value *reduce_axes(OnnxNode *n, OpKind op, Value *x, bool keep) {
    int rank = x->type.rank;
    if (!onnx_known(n, 1)) return measured_reduce(n, op, x, keep);
    OnnxInts axes = onnx_axes(n);
    bool marked[TN_MAX_RANK];
    int64_t list[TN_MAX_RANK];
    int count = 0;
    bool all = axes.count == 0 &&
               !(onnx_has(n, "noop_with_empty_axes") && onnx_flag(n, "noop_with_empty_axes"));
    onnx_mark_axes(n, axes, rank, marked);
    for (int i = 0; i < rank; i++)
        if (all || marked[i]) list[count++] = i;
    return ir_reduce(n->g, op, x, count, list, keep);
}

static Value *reduce(OnnxNode *n, OpKind op, Value *x) {
    return reduce_axes(n, op, x, onnx_flag(n, "keepdims"));
}

static Value *reduce_kept(OnnxNode *n, OpKind op, Value *x) {
    return reduce_axes(n, op, x, true);
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

/* Functions of integers are computed in f64 and truncated. */
static TnDType float_type(TnDType t) {
    return tn_is_float(t) ? t : TN_F64;
}

static Value *function_of(OnnxNode *n, OpKind op, Value *x) {
    TnDType t = x->type.dtype;
    return ir_cast(n->g, ir_unary(n->g, op, ir_cast(n->g, x, float_type(t))), t);
}

void import_reduce_l2(OnnxNode *n) {
    n->outputs[0] = function_of(n, OP_sqrt, reduce(n, OP_reduce_sum, square(n)));
}

void import_reduce_sum_square(OnnxNode *n) {
    n->outputs[0] = reduce(n, OP_reduce_sum, square(n));
}

void import_reduce_log_sum(OnnxNode *n) {
    n->outputs[0] = function_of(n, OP_log, reduce(n, OP_reduce_sum, n->inputs[0]));
}

/* ln sum e^x as m + ln sum e^(x - m), where m is the largest x, or 0 if that is not finite. */
void import_reduce_log_sum_exp(OnnxNode *n) {
    Graph *g = n->g;
    TnDType given = n->inputs[0]->type.dtype, t = float_type(given);
    Value *x = ir_cast(g, n->inputs[0], t), *largest = reduce_kept(n, OP_reduce_max, x);
    Value *infinite = ir_binary(g, OP_eq, ir_unary(g, OP_abs, largest), ir_scalar(g, t, INFINITY));
    largest = ir_where(g, infinite, ir_scalar(g, t, 0), largest);
    Value *beside = onnx_known(n, 1) ? largest : measured_spread(n, largest, &x->type);
    Value *sum = reduce(n, OP_reduce_sum, ir_unary(g, OP_exp, ir_binary(g, OP_sub, x, beside)));
    Value *shift = ir_view(g, largest, sum->type.rank, sum->type.dims);
    n->outputs[0] = ir_cast(g, ir_binary(g, OP_add, ir_unary(g, OP_log, sum), shift), given);
}

void import_cumsum(OnnxNode *n) {
    if (!onnx_known(n, 1)) {
        measured_cumsum(n);
        return;
    }
    Value *x = n->inputs[0];
    Node *node = ir_node(n->g, n->row->op, 1, &x);
    ir_set_int(node, "axis", ir_axis(n->m, onnx_number(n, 1, "axis"), x->type.rank));
    ir_set_bool(node, "exclusive", onnx_flag(n, "exclusive"));
    ir_set_bool(node, "reverse", onnx_flag(n, "reverse"));
    n->outputs[0] = ir_insert(node);
}
