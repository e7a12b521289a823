/* ONNX operators that write at positions from data, order and select. */
#include "frontend/onnx/import.h"
#include "ir/infer.h"

/* --- scatters --- */

static Value *scatter(OnnxNode *n, OpKind op, Value *const *operands, const char *reduction) {
    Node *node = ir_node(n->g, op, 3, operands);
    if (op == OP_scatter_elements) ir_set_int(node, "axis", onnx_axis(n, 0));
    ir_set_string(node, "reduction", reduction);
    return ir_insert(node);
}

static const char *reduction_of(const OnnxNode *n) {
    static const char *const words[] = {"none", "add", "mul", "min", "max", NULL};
    return onnx_has(n, "reduction") ? words[onnx_word(n, "reduction", words)] : "none";
}

void import_scatter_elements(OnnxNode *n) {
    n->outputs[0] = scatter(n, OP_scatter_elements, n->inputs, reduction_of(n));
}

void import_scatter_nd(OnnxNode *n) {
    n->outputs[0] = scatter(n, OP_scatter_nd, n->inputs, reduction_of(n));
}

/* A vector along one axis of a tensor of this rank. */
static Value *along(OnnxNode *n, Value *v, int axis, int rank) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? v->type.dims[0] : ex_int(n->x, 1);
    return ir_view(n->g, v, rank, dims);
}

/* Where in the cache each row of the update goes: start[batch] + row, [batch, 1, .., rows, 1, ..].
 */
static Value *cache_positions(OnnxNode *n, int axis, bool circular) {
    const Type *cache = &n->inputs[0]->type, *update = &n->inputs[1]->type;
    Value *start = n->inputs[2];
    if (!tn_is_int(start->type.dtype) || start->type.rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "write_indices are %s, not a vector of integers",
                ir_type_text(n->m, &start->type));
    ir_same_dim(n->m, start->type.dims[0], update->dims[0], "write_indices and the batch");
    TnDType t = start->type.dtype;
    Value *row = ir_iota(n->g, t, update->dims[axis], ex_int(n->x, 0), ex_int(n->x, 1));
    Value *at = ir_binary(n->g, OP_add, along(n, start, 0, update->rank),
                          along(n, row, axis, update->rank));
    if (!circular) return at;
    Value *length = ir_view(n->g, ir_scalars(n->g, t, 1, &cache->dims[axis]), 0, NULL);
    return ir_binary(n->g, OP_mod, at, length);
}

/* Without write_indices the update is the cache's beginning. */
void import_tensor_scatter(OnnxNode *n) {
    static const char *const words[] = {"linear", "circular", NULL};
    Value *cache = n->inputs[0], *update = n->inputs[1];
    int axis = onnx_axis(n, 0);
    bool circular = onnx_word(n, "mode", words) == 1;
    if (axis == 0) tn_fail(n->cx, TN_E_MODEL, "axis is that of the batch");
    if (update->type.rank != cache->type.rank)
        tn_fail(n->cx, TN_E_MODEL, "an update %s for %s", ir_type_text(n->m, &update->type),
                ir_type_text(n->m, &cache->type));
    const Expr *rows = update->type.dims[axis], *all = cache->type.dims[axis];
    infer_require_le(n->m, rows, all, "the update is longer than the cache");
    if (onnx_given(n, 2)) {
        Value *at = cache_positions(n, axis, circular);
        Value *index = ir_expand(n->g, at, update->type.rank, update->type.dims);
        n->outputs[0] = scatter(n, OP_scatter_elements, (Value *[]){cache, index, update}, "none");
        return;
    }
    Value *rest = onnx_slice(n, cache, axis, rows, ex_sub(n->x, all, rows), 1);
    n->outputs[0] = ir_concat(n->g, 2, (Value *[]){update, rest}, axis);
}

/* --- orders --- */

void import_topk(OnnxNode *n) {
    Node *node = ir_node(n->g, OP_topk, 1, n->inputs);
    bool given = onnx_has(n, "k");
    ir_set_int(node, "axis", onnx_axis(n, 0));
    ir_set_dim(node, "k", given ? ex_int(n->x, onnx_int(n, "k")) : onnx_value(n, 1, "k"));
    if (!given) ir_set_bool(node, "smallest", !onnx_flag(n, "largest"));
    n->outputs[0] = ir_insert(node);
    if (n->output_count > 1) n->outputs[1] = node->outputs[1];
}
