/* ONNX operators of neural networks: products, normalisation, softmax. */
#include <string.h>
#include "frontend/onnx/import.h"

static int rank_of(const OnnxNode *n, int i) {
    return n->inputs[i]->type.rank;
}

static void need_rank(OnnxNode *n, int i, int rank) {
    if (rank_of(n, i) != rank)
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, not of rank %d", i,
                ir_type_text(n->m, &n->inputs[i]->type), rank);
}

/* --- products --- */

/* A vector on the left is a row, on the right a column; the axis added goes away again. */
void import_matmul(OnnxNode *n) {
    Value *a = n->inputs[0], *b = n->inputs[1];
    bool row = rank_of(n, 0) == 1, column = rank_of(n, 1) == 1;
    if (row) a = ir_unsqueeze(n->g, a, 0);
    if (column) b = ir_unsqueeze(n->g, b, 1);
    Value *y = ir_matmul(n->g, a, b, false, false);
    if (column) y = ir_squeeze(n->g, y, -1);
    if (row) y = ir_squeeze(n->g, y, column ? -1 : -2);
    n->outputs[0] = y;
}

/* alpha a b + beta c, where c broadcasts to the product */
void import_gemm(OnnxNode *n) {
    double alpha = onnx_float(n, "alpha"), beta = onnx_float(n, "beta");
    need_rank(n, 0, 2);
    need_rank(n, 1, 2);
    Value *y =
        ir_matmul(n->g, n->inputs[0], n->inputs[1], onnx_flag(n, "transA"), onnx_flag(n, "transB"));
    if (alpha != 1) y = onnx_with_scalar(n, OP_mul, y, alpha);
    if (onnx_given(n, 2) && beta != 0) {
        Type product = y->type;
        Value *c = n->inputs[2];
        if (beta != 1) c = onnx_with_scalar(n, OP_mul, c, beta);
        if (n->row->until && n->row->until < 7 && !onnx_flag(n, "broadcast"))
            onnx_need_same_dims(n, y, c);
        y = ir_binary(n->g, OP_add, y, c);
        if (!ir_same_dims(&product, &y->type))
            tn_fail(n->cx, TN_E_MODEL, "%s does not broadcast to the product, %s",
                    ir_type_text(n->m, &c->type), ir_type_text(n->m, &product));
    }
    n->outputs[0] = y;
}

/* --- softmax --- */

static Value *softmax(OnnxNode *n, Value *x, int axis) {
    Node *node = ir_node(n->g, n->row->op, 1, &x);
    ir_set_int(node, "axis", axis);
    return ir_insert(node);
}

void import_softmax(OnnxNode *n) {
    n->outputs[0] = softmax(n, n->inputs[0], onnx_axis(n, 0));
}

/* Before opset 13: over all axes from `axis` on. */
void import_softmax_flat(OnnxNode *n) {
    Value *x = n->inputs[0];
    int axis = onnx_axis(n, 0);
    if (axis == x->type.rank - 1) {
        n->outputs[0] = softmax(n, x, axis);
        return;
    }
    Value *y = softmax(n, onnx_as_matrix(n, x, axis), 1);
    n->outputs[0] = ir_view(n->g, y, x->type.rank, x->type.dims);
}

/* --- normalisation per channel, axis 1 --- */

/* Scale, bias, mean or variance of operand i, in the type that is computed in, so that it
 * broadcasts to x. Before opset 9 there may be one for each element of a sample. */
static Value *statistic(OnnxNode *n, int i, TnDType t) {
    Value *v = ir_cast(n->g, n->inputs[i], t);
    if (!onnx_has(n, "spatial") || onnx_int(n, "spatial") != 0) return onnx_per_channel(n, v);
    if (v->type.rank != rank_of(n, 0) - 1)
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, not of rank %d", i,
                ir_type_text(n->m, &v->type), rank_of(n, 0) - 1);
    return v;
}

/* The mean of x over all axes but 1, [1, C, 1, ...]. */
static Value *channel_mean(OnnxNode *n, Value *x) {
    int64_t axes[TN_MAX_RANK];
    int count = 0;
    for (int i = 0; i < x->type.rank; i++)
        if (i != 1) axes[count++] = i;
    return ir_reduce(n->g, OP_reduce_mean, x, count, axes, true);
}

/* Output i: what operand `from` becomes after this batch. */
static void set_running(OnnxNode *n, int i, int from, Value *batch) {
    if (i >= n->output_count) return;
    Graph *g = n->g;
    double momentum = onnx_float(n, "momentum");
    Value *old = n->inputs[from];
    Value *now = ir_view(g, batch, 1, (const Expr *[]){ir_elements(n->m, &batch->type)});
    old = onnx_with_scalar(n, OP_mul, ir_cast(g, old, now->type.dtype), momentum);
    now = onnx_with_scalar(n, OP_mul, now, 1 - momentum);
    n->outputs[i] = ir_cast(g, ir_binary(g, OP_add, old, now), n->inputs[from]->type.dtype);
}

/* (x - mean) / sqrt(var + eps) * scale + bias, with given statistics or those of the batch. */
void import_batch_norm(OnnxNode *n) {
    Graph *g = n->g;
    const Type *type = &n->inputs[0]->type;
    TnDType t = type->dtype == TN_F64 ? TN_F64 : TN_F32;
    Value *x = ir_cast(g, n->inputs[0], t), *mean = statistic(n, 3, t), *var = statistic(n, 4, t);
    if (onnx_flag(n, "training_mode")) {
        mean = channel_mean(n, x);
        Value *d = ir_binary(g, OP_sub, x, mean);
        var = channel_mean(n, ir_binary(g, OP_mul, d, d));
        set_running(n, 1, 3, mean);
        set_running(n, 2, 4, var);
    }
    Value *deviation =
        ir_unary(g, OP_sqrt, onnx_with_scalar(n, OP_add, var, onnx_float(n, "epsilon")));
    Value *y = ir_binary(g, OP_sub, x, mean);
    y = ir_binary(g, OP_mul, y, ir_binary(g, OP_div, statistic(n, 1, t), deviation));
    y = ir_binary(g, OP_add, y, statistic(n, 2, t));
    if (!ir_same_dims(&y->type, type))
        tn_fail(n->cx, TN_E_MODEL, "scale %s and statistics do not fit %s",
                ir_type_text(n->m, &n->inputs[1]->type), ir_type_text(n->m, type));
    n->outputs[0] = ir_cast(g, y, type->dtype);
}

static void need_spatial(OnnxNode *n) {
    if (rank_of(n, 0) < 3)
        tn_fail(n->cx, TN_E_MODEL, "input 0 is %s, without spatial axes",
                ir_type_text(n->m, &n->inputs[0]->type));
}

/* Every sample's channels in `groups` equal parts, each normalised over all of its elements. */
static Value *normalize_groups(OnnxNode *n, const Expr *groups, const Expr *part) {
    const Type *t = &n->inputs[0]->type;
    const Expr *rest = ex_product(n->x, t->dims + 2, t->rank - 2);
    const Expr *dims[] = {t->dims[0], groups, ex_mul(n->x, part, rest)};
    Value *y = ir_view(n->g, n->inputs[0], 3, dims);
    return ir_layer_norm(n->g, y, NULL, NULL, onnx_float(n, "epsilon"));
}

/* y scale + bias, both vectors along axis 1 */
static Value *per_channel(OnnxNode *n, Value *y, Value *scale, Value *bias) {
    y = ir_binary(n->g, OP_mul, y, onnx_per_channel(n, scale));
    return ir_binary(n->g, OP_add, y, onnx_per_channel(n, bias));
}

void import_instance_norm(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    need_spatial(n);
    Value *y = normalize_groups(n, t->dims[1], ex_int(n->x, 1));
    y = ir_view(n->g, y, t->rank, t->dims);
    n->outputs[0] = per_channel(n, y, n->inputs[1], n->inputs[2]);
}

/* A vector with an entry for each group, repeated for each of its channels. */
static Value *per_group(OnnxNode *n, Value *v, const Expr *part) {
    const Expr *dims[] = {v->type.dims[0], part};
    const Expr *channels = n->inputs[0]->type.dims[1];
    return ir_view(n->g, ir_expand(n->g, ir_unsqueeze(n->g, v, 1), 2, dims), 1, &channels);
}

/* Before opset 21 scale and bias have an entry per group, not per channel. */
void import_group_norm(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    int64_t groups = onnx_int(n, "num_groups");
    Value *scale = n->inputs[1], *bias = n->inputs[2];
    if (t->rank < 2) need_spatial(n);
    const Expr *part = onnx_part(n, t->dims[1], groups);
    Value *y = normalize_groups(n, ex_int(n->x, groups), part);
    y = ir_view(n->g, y, t->rank, t->dims);
    if (n->row->until) {
        scale = per_group(n, scale, part);
        bias = per_group(n, bias, part);
    }
    n->outputs[0] = per_channel(n, y, scale, bias);
}
