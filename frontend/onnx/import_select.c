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
    ir_set_dim(node, "k", given ? ex_int(n->x, onnx_int(n, "k")) : onnx_length(n, 1, "k", 0));
    if (!given) ir_set_bool(node, "smallest", !onnx_flag(n, "largest"));
    n->outputs[0] = ir_insert(node);
    if (n->output_count > 1) n->outputs[1] = node->outputs[1];
}

/* --- selections --- */

static Value *flat(OnnxNode *n, Value *x) {
    const Expr *count = ir_elements(n->m, &x->type);
    return ir_view(n->g, x, 1, &count);
}

/* i64[rank, count]: coordinates of every element, row by row of the result. */
static Value *all_coordinates(OnnxNode *n, const Type *t) {
    const Expr *count = ir_elements(n->m, t), *dims[] = {ex_int(n->x, 1), count};
    Value *rows[TN_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        Value *at = ir_iota(n->g, TN_I64, t->dims[i], ex_int(n->x, 0), ex_int(n->x, 1));
        at = ir_expand(n->g, along(n, at, i, t->rank), t->rank, t->dims);
        rows[i] = ir_view(n->g, at, 2, dims);
    }
    return ir_concat(n->g, t->rank, rows, 0);
}

/* Coordinates of the true elements, [rank, their number], which is measured. */
static Value *true_elements(OnnxNode *n, Value *mask, int first) {
    const Facts *f = &mask->facts;
    if (f->pred && f->pred->kind == PRED_TRUE && mask->type.rank > 0)
        return all_coordinates(n, &mask->type);
    int64_t axis = 0;
    Value *ones = ir_cast(n->g, flat(n, mask), TN_I64);
    Value *sum = ir_reduce(n->g, OP_reduce_sum, ones, 1, &axis, true);
    const Expr *count = *onnx_measure(n, "the number of true elements", sum, first, 0, INT64_MAX);
    Node *node = ir_node(n->g, OP_nonzero, 1, &mask);
    ir_set_dim(node, "count", count);
    return ir_insert(node);
}

void import_non_zero(OnnxNode *n) {
    n->outputs[0] = true_elements(n, ir_cast(n->g, n->inputs[0], TN_BOOL), 0);
}

/* A condition shorter than the axis leaves out the rest; what is behind the axis does not count. */
void import_compress(OnnxNode *n) {
    Value *x = onnx_has(n, "axis") ? n->inputs[0] : flat(n, n->inputs[0]), *c = n->inputs[1];
    int axis = onnx_has(n, "axis") ? onnx_axis(n, 0) : 0;
    if (c->type.rank != 1 || c->type.dtype != TN_BOOL)
        tn_fail(n->cx, TN_E_MODEL, "the condition is %s, not a vector of bool",
                ir_type_text(n->m, &c->type));
    const Expr *length = ex_min(n->x, c->type.dims[0], x->type.dims[axis]);
    c = onnx_slice(n, c, 0, ex_int(n->x, 0), length, 1);
    Value *places = true_elements(n, c, 0);
    n->outputs[0] = ir_gather(n->g, x, ir_squeeze(n->g, places, 0), axis);
}

void import_unique(OnnxNode *n) {
    bool given = onnx_has(n, "axis");
    Value *x = given ? n->inputs[0] : flat(n, n->inputs[0]);
    int axis = given ? onnx_axis(n, 0) : 0;
    Node *node = ir_node(n->g, OP_unique, 1, &x);
    ir_set_int(node, "axis", axis);
    ir_set_bool(node, "unsorted", !onnx_flag(n, "sorted"));
    ir_insert(node);
    const Expr *zero = ex_int(n->x, 0), *length = x->type.dims[axis];
    const Expr *groups =
        *onnx_measure(n, "the number of unique elements", node->outputs[3], 0, 0, INT64_MAX);
    infer_require_le(n->m, groups, length, "more groups than elements");
    Value *places = ir_slice(n->g, node->outputs[0], 0, zero, groups, 1);
    n->outputs[0] = ir_gather(n->g, x, places, axis);
    if (n->output_count > 1) n->outputs[1] = places;
    if (n->output_count > 2) n->outputs[2] = node->outputs[1];
    if (n->output_count > 3) n->outputs[3] = ir_slice(n->g, node->outputs[2], 0, zero, groups, 1);
}

/* --- NonMaxSuppression --- */

/* Operand i, one element, as a vector; NULL if it is left out. */
static Value *single(OnnxNode *n, int i, TnDType t, const char *what) {
    const Expr *one = ex_int(n->x, 1);
    if (!onnx_given(n, i)) return NULL;
    Value *v = n->inputs[i];
    if (v->type.dtype != t || v->type.rank > 1)
        tn_fail(n->cx, TN_E_MODEL, "%s is %s, not one element of %s", what,
                ir_type_text(n->m, &v->type), tn_dtype_name(t));
    return ir_view(n->g, v, 1, &one);
}

/* How many boxes of a class may be kept: all, or fewer if the model says how many. */
static const Expr *box_limit(OnnxNode *n, const Expr *boxes, const Value *wanted) {
    int64_t most;
    if (!wanted->facts.values || !ex_const(wanted->facts.values[0], &most)) return boxes;
    return ex_min(n->x, boxes, ex_int(n->x, most > 0 ? most : 0));
}

void import_non_max_suppression(OnnxNode *n) {
    static const double zero = 0;
    const Expr *one = ex_int(n->x, 1);
    Value *wanted = single(n, 2, TN_I64, "max_output_boxes_per_class"),
          *iou = single(n, 3, TN_F32, "iou_threshold"),
          *score = single(n, 4, TN_F32, "score_threshold");
    if (!wanted) wanted = ir_view(n->g, ir_scalar_int(n->g, TN_I64, 0), 1, &one);
    if (!iou) iou = ir_view(n->g, ir_scalar(n->g, TN_F32, zero), 1, &one);
    if (n->inputs[1]->type.rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "scores are %s, not [batch, class, box]",
                ir_type_text(n->m, &n->inputs[1]->type));
    Value *operands[] = {n->inputs[0], n->inputs[1], wanted, iou, score};
    Node *node = ir_node(n->g, OP_nms, score ? 5 : 4, operands);
    ir_set_dim(node, "limit", box_limit(n, n->inputs[1]->type.dims[2], wanted));
    ir_set_bool(node, "center", onnx_flag(n, "center_point_box"));
    Value *rows = ir_insert(node);
    const Expr *count =
        *onnx_measure(n, "the number of selected boxes", node->outputs[1], 0, 0, INT64_MAX);
    infer_require_le(n->m, count, rows->type.dims[0], "more boxes than there are");
    n->outputs[0] = ir_slice(n->g, rows, 0, ex_int(n->x, 0), count, 1);
}

/* --- Hardmax, ReverseSequence --- */

/* The smallest (or largest) position at which there is the largest (or smallest) element; positions
 * of others count as one behind the end (or before the start). A NaN is both. */
static Value *arg_extreme(OnnxNode *n, OpKind reduction, Value *x, int axis, bool last, bool keep) {
    Graph *g = n->g;
    int64_t axes = axis;
    const Expr *length = x->type.dims[axis], *outside = last ? ex_int(n->x, -1) : length;
    Value *position = ir_iota(g, TN_I64, length, ex_int(n->x, 0), ex_int(n->x, 1));
    position = along(n, position, 0, x->type.rank - axis);
    Value *none = ir_view(g, ir_scalars(g, TN_I64, 1, &outside), 0, NULL);
    Value *extreme = ir_reduce(g, reduction, x, 1, &axes, true);
    Value *hit = ir_binary(g, OP_eq, x, extreme);
    if (tn_is_float(x->type.dtype)) {
        Value *is_nan = ir_unary(g, OP_not, ir_binary(g, OP_eq, x, x));
        hit = ir_binary(g, OP_or, hit, is_nan);
    }
    Value *found = ir_where(g, hit, position, none);
    return ir_reduce(g, last ? OP_reduce_max : OP_reduce_min, found, 1, &axes, keep);
}

void import_arg_extreme(OnnxNode *n) {
    n->outputs[0] = arg_extreme(n, n->row->op, n->inputs[0], onnx_axis(n, 0),
                                onnx_flag(n, "select_last_index"), onnx_flag(n, "keepdims"));
}

/* 1 at the first largest element along the axis, 0 elsewhere. */
static Value *hardmax(OnnxNode *n, Value *x, int axis) {
    Value *best = arg_extreme(n, OP_reduce_max, x, axis, false, true);
    Value *position = ir_iota(n->g, TN_I64, x->type.dims[axis], ex_int(n->x, 0), ex_int(n->x, 1));
    Value *hit = ir_binary(n->g, OP_eq, best, along(n, position, axis, x->type.rank));
    return ir_cast(n->g, hit, x->type.dtype);
}

void import_hardmax(OnnxNode *n) {
    n->outputs[0] = hardmax(n, n->inputs[0], onnx_axis(n, 0));
}

/* Up to opset 12 the axes from `axis` on are one. */
void import_hardmax_flat(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    int rank = t->rank;
    int axis = onnx_int(n, "axis") == rank ? rank : onnx_axis(n, 0);
    Value *y = hardmax(n, onnx_as_matrix(n, n->inputs[0], axis), 1);
    n->outputs[0] = ir_view(n->g, y, rank, t->dims);
}

/* y[b, t] = x[b, lengths[b] - 1 - t] for t < lengths[b], else x[b, t] */
void import_reverse_sequence(OnnxNode *n) {
    Value *x = n->inputs[0], *lengths = n->inputs[1];
    int rank = x->type.rank, swap[TN_MAX_RANK];
    int64_t batch = onnx_int(n, "batch_axis"), time = onnx_int(n, "time_axis");
    if (rank < 2 || batch < 0 || batch > 1 || time != 1 - batch)
        tn_fail(n->cx, TN_E_MODEL, "batch_axis %lld and time_axis %lld of %s, not 0 and 1",
                (long long)batch, (long long)time, ir_type_text(n->m, &x->type));
    if (lengths->type.rank != 1 || !tn_is_int(lengths->type.dtype))
        tn_fail(n->cx, TN_E_MODEL, "sequence_lens are %s, not a vector of integers",
                ir_type_text(n->m, &lengths->type));
    for (int i = 0; i < rank; i++) swap[i] = i > 1 ? i : 1 - i;
    if (batch == 1) x = ir_transpose(n->g, x, swap);
    const Expr *const *d = x->type.dims, *dims[] = {d[0], d[1], ex_int(n->x, 1)};
    ir_same_dim(n->m, lengths->type.dims[0], d[0], "sequence_lens and the batch");
    lengths = along(n, ir_cast(n->g, lengths, TN_I64), 0, 2);
    Value *t = ir_iota(n->g, TN_I64, d[1], ex_int(n->x, 0), ex_int(n->x, 1));
    Value *last = ir_binary(n->g, OP_sub, lengths, ir_scalar_int(n->g, TN_I64, 1));
    Value *inside = ir_binary(n->g, OP_lt, t, lengths);
    Value *from = ir_where(n->g, inside, ir_binary(n->g, OP_sub, last, t), t);
    Node *node = ir_node(n->g, OP_gather_nd, 2, (Value *[]){x, ir_view(n->g, from, 3, dims)});
    ir_set_int(node, "batch", 1);
    Value *y = ir_insert(node);
    n->outputs[0] = batch == 1 ? ir_transpose(n->g, y, swap) : y;
}
