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

/* With statistics from training: (x - mean) / sqrt(var + eps) * scale + bias */
void import_batch_norm(OnnxNode *n) {
    Graph *g = n->g;
    if (onnx_int(n, "training_mode"))
        tn_fail(n->cx, TN_E_UNSUPPORTED, "training_mode is unsupported");
    if (onnx_has(n, "spatial") && onnx_int(n, "spatial") != 1)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "statistics that are not per channel are unsupported");
    Value *deviation =
        ir_unary(g, OP_sqrt, onnx_with_scalar(n, OP_add, n->inputs[4], onnx_float(n, "epsilon")));
    Value *factor = ir_binary(g, OP_div, n->inputs[1], deviation);
    Value *y = ir_binary(g, OP_sub, n->inputs[0], onnx_per_channel(n, n->inputs[3]));
    y = ir_binary(g, OP_mul, y, onnx_per_channel(n, factor));
    n->outputs[0] = ir_binary(g, OP_add, y, onnx_per_channel(n, n->inputs[2]));
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
