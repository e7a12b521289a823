/* ONNX loss functions, in terms of gathers and reductions.
 *
 *     loss[n, d..] = -x[n, target[n, d..], d..] * weight[target[n, d..]]
 *
 * Positions whose target is ignore_index count as nothing: their target is read as class 0 and what
 * that gives is replaced, so the ignored number need not be a class. */
#include "frontend/onnx/import.h"

typedef enum Reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN } Reduction;

typedef struct Loss {
    Value *x, *target;
    Value *counts; /* bool: the target is not ignore_index; NULL: all count */
    Value *weight; /* of each position; NULL: all 1 */
} Loss;

static void check_operands(OnnxNode *n) {
    const Type *x = &n->inputs[0]->type, *target = &n->inputs[1]->type;
    if (x->rank < 2 || target->rank != x->rank - 1)
        tn_fail(n->cx, TN_E_MODEL, "targets %s for %s", ir_type_text(n->m, target),
                ir_type_text(n->m, x));
    for (int i = 0; i < target->rank; i++)
        ir_same_dim(n->m, target->dims[i], x->dims[i ? i + 1 : 0], "dims of input and target");
    if (!onnx_given(n, 2)) return;
    const Type *weight = &n->inputs[2]->type;
    if (weight->rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "weight is %s, not a vector", ir_type_text(n->m, weight));
    ir_same_dim(n->m, weight->dims[0], x->dims[1], "weights and classes");
}

static Loss read_operands(OnnxNode *n) {
    Graph *g = n->g;
    Loss l = {.x = n->inputs[0], .target = n->inputs[1]};
    TnDType index = l.target->type.dtype;
    check_operands(n);
    if (onnx_has(n, "ignore_index")) {
        Value *ignored = ir_scalar_int(g, index, onnx_int(n, "ignore_index"));
        l.counts = ir_unary(g, OP_not, ir_binary(g, OP_eq, l.target, ignored));
        l.target = ir_where(g, l.counts, l.target, ir_scalar_int(g, index, 0));
    }
    if (onnx_given(n, 2)) l.weight = ir_gather(g, n->inputs[2], l.target, 0);
    return l;
}

static Value *only_counting(OnnxNode *n, const Loss *l, Value *v) {
    return l->counts ? ir_where(n->g, l->counts, v, ir_scalar(n->g, v->type.dtype, 0)) : v;
}

static Value *sum_of_all(OnnxNode *n, OpKind op, Value *v) {
    int64_t axes[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) axes[i] = i;
    return ir_reduce(n->g, op, v, v->type.rank, axes, false);
}

/* -x at the target classes, times their weights */
static Value *each_loss(OnnxNode *n, const Loss *l) {
    Graph *g = n->g;
    Value *operands[] = {l->x, ir_unsqueeze(g, l->target, 1)};
    Node *node = ir_node(g, OP_gather_elements, 2, operands);
    ir_set_int(node, "axis", 1);
    Value *y = ir_unary(g, OP_neg, ir_squeeze(g, ir_insert(node), 1));
    if (l->weight) y = ir_binary(g, OP_mul, y, l->weight);
    return only_counting(n, l, y);
}

/* The mean is over the weights of what counts. */
static Value *mean_loss(OnnxNode *n, const Loss *l, Value *loss) {
    if (!l->weight && !l->counts) return sum_of_all(n, OP_reduce_mean, loss);
    Value *weight =
        l->weight ? only_counting(n, l, l->weight) : ir_cast(n->g, l->counts, loss->type.dtype);
    return ir_binary(n->g, OP_div, sum_of_all(n, OP_reduce_sum, loss),
                     sum_of_all(n, OP_reduce_sum, weight));
}

static void loss_of(OnnxNode *n, const Loss *l) {
    static const char *const words[] = {"none", "sum", "mean", NULL};
    Value *loss = each_loss(n, l);
    switch ((Reduction)onnx_word(n, "reduction", words)) {
    case REDUCE_NONE: break;
    case REDUCE_SUM: loss = sum_of_all(n, OP_reduce_sum, loss); break;
    case REDUCE_MEAN: loss = mean_loss(n, l, loss); break;
    }
    n->outputs[0] = loss;
}

void import_nll_loss(OnnxNode *n) {
    Loss l = read_operands(n);
    loss_of(n, &l);
}

void import_softmax_loss(OnnxNode *n) {
    Loss l = read_operands(n);
    Node *node = ir_node(n->g, OP_log_softmax, 1, &l.x);
    ir_set_int(node, "axis", 1);
    l.x = ir_insert(node);
    if (n->output_count > 1) n->outputs[1] = l.x;
    loss_of(n, &l);
}
