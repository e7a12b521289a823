/* Shapes and axes that only a run knows: Reshape, Expand, Squeeze, Unsqueeze.
 *
 *     target  -1  0  4   operand [n, 3, 8]     0 copies 3, -1 is 24 n / (3 * 4)
 *     y.0 = 2 n, y.1 = 3, y.2 = 4              as far as the run says so
 *
 * The number of elements of a target shape or of a list of axes is the rank, so it must be known.
 */
#include "frontend/onnx/measured.h"

#define TARGET "target shape"

/* --- arithmetic --- */

Value *int_iota(const OnnxNode *n, int count) {
    return ir_iota(n->g, TN_I64, ex_int(n->x, count), ex_int(n->x, 0), ex_int(n->x, 1));
}

Value *int_column(const OnnxNode *n, Value *v) {
    return ir_unsqueeze(n->g, v, 1);
}

Value *int_reduce(const OnnxNode *n, OpKind op, Value *v) {
    int64_t axis = v->type.rank - 1;
    return ir_reduce(n->g, op, v, 1, &axis, false);
}

Value *int_join(const OnnxNode *n, int count, Value *const *v) {
    return ir_concat(n->g, count, v, 0);
}

Value *int_clamp(const OnnxNode *n, Value *v, Value *low, Value *high) {
    return int_op(n, OP_max, int_op(n, OP_min, v, high), low);
}

Value *int_from_end(const OnnxNode *n, Value *v, Value *length) {
    Value *negative = int_op_const(n, OP_lt, v, 0);
    return int_where(n, negative, int_op(n, OP_add, v, length), v);
}

/* --- axes --- */

Value *axis_hits(OnnxNode *n, int i, int rank, int first) {
    Value *axes = onnx_vector(n, i, "axes");
    int count = onnx_count(n, i, "axes");
    if (count > rank) tn_fail(n->cx, TN_E_MODEL, "%d axes of a tensor of rank %d", count, rank);
    axes = int_from_end(n, axes, int_scalar(n, rank));
    onnx_measure(n, "axes", axes, first, 0, rank - 1);
    Value *hits = int_op(n, OP_eq, int_column(n, int_iota(n, rank)), axes);
    Value *distinct = int_reduce(n, OP_reduce_sum, axis_mask(n, hits));
    onnx_demand(n, "number of different axes", distinct, first + count, count);
    return hits;
}

Value *axis_mask(OnnxNode *n, Value *hits) {
    return int_reduce(n, OP_reduce_max, ir_cast(n->g, hits, TN_I64));
}

/* --- Reshape --- */

/* What -1 stands for; -1 again, which no length may be, if that is not known. */
static Value *remaining_length(OnnxNode *n, Value *target, Value *open) {
    const Expr *all = ir_elements(n->m, &n->inputs[0]->type);
    Value *others = int_reduce(n, OP_reduce_prod, int_where(n, open, int_scalar(n, 1), target));
    Value *opens = int_reduce(n, OP_reduce_sum, ir_cast(n->g, open, TN_I64));
    Value *unclear = int_op(n, OP_or, int_op(n, OP_lt, int_scalar(n, 1), opens),
                            int_op_const(n, OP_eq, others, 0));
    Value *rest = int_op(n, OP_div, int_dims(n, 1, &all), others);
    return int_where(n, unclear, int_scalar(n, -1), rest);
}

/* What an entry of 0 stands for. One that is a length is taken as that, also where it could be 0.
 */
static const Expr *copied_dim(OnnxNode *n, const Value *target, int i) {
    const Type *t = &n->inputs[0]->type;
    const Expr *entry = target->facts.values ? target->facts.values[i] : NULL;
    if (entry && !ex_mentions(entry, ATOM_LOAD) && !ex_is(entry, 0)) return entry;
    return i < t->rank ? t->dims[i] : ex_int(n->x, 0);
}

int measured_reshape(OnnxNode *n, bool allow_zero, const Expr **dims) {
    Value *target = onnx_vector(n, 1, TARGET);
    int rank = onnx_count(n, 1, TARGET);
    if (rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "a target shape of %d axes, at most %d", rank, TN_MAX_RANK);
    for (int i = 0; i < rank; i++) dims[i] = copied_dim(n, target, i);
    if (!allow_zero)
        target = int_where(n, int_op_const(n, OP_eq, target, 0), int_dims(n, rank, dims), target);
    Value *open = int_op_const(n, OP_eq, target, -1);
    target = int_where(n, open, remaining_length(n, target, open), target);
    const Expr *const *e = onnx_measure(n, TARGET, target, 0, 0, INT64_MAX);
    for (int i = 0; i < rank; i++) dims[i] = e[i];
    return rank;
}

/* --- Expand --- */

/* An entry 1 leaves a dim as it is; a dim other than 1 must be the entry. */
void measured_expand(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    Value *target = onnx_vector(n, 1, TARGET);
    int entries = onnx_count(n, 1, TARGET), rank = entries > t->rank ? entries : t->rank;
    const Expr *dims[TN_MAX_RANK];
    if (rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "a target shape of %d axes, at most %d", rank, TN_MAX_RANK);
    for (int i = 0; i < rank; i++)
        dims[i] = i < rank - t->rank ? ex_int(n->x, 1) : t->dims[i - (rank - t->rank)];
    int lead = rank - entries;
    int kept = 0; /* an entry of 1 keeps the length it meets, if that is not 1 as well */
    for (int i = lead; i < rank; i++) kept += !ex_is(dims[i], 1);
    if (kept)
        target = int_where(n, int_op_const(n, OP_eq, target, 1), int_dims(n, entries, dims + lead),
                           target);
    const Expr *const *e = onnx_measure(n, TARGET, target, 0, 0, INT64_MAX);
    for (int i = 0; i < entries; i++)
        dims[lead + i] =
            ex_is(dims[lead + i], 1) ? e[i] : ir_same_dim(n->m, e[i], dims[lead + i], TARGET);
    n->outputs[0] = ir_expand(n->g, n->inputs[0], rank, dims);
}

/* --- Squeeze, Unsqueeze --- */

/* Per axis, how many axes before it are not in the mask. */
static Value *places(OnnxNode *n, Value *mask, int rank) {
    Node *before = ir_node(n->g, OP_cumsum, 1, &mask);
    ir_set_int(before, "axis", 0);
    ir_set_bool(before, "exclusive", true);
    return int_op(n, OP_sub, int_iota(n, rank), ir_insert(before));
}

/* Row by row, the sum of the lengths where the matrix holds. */
static Value *pick(OnnxNode *n, Value *matrix, Value *lengths) {
    return int_reduce(n, OP_reduce_sum, int_where(n, matrix, lengths, int_scalar(n, 0)));
}

Value *squeezed_dims(OnnxNode *n, Value *lengths, Value *mask, int left) {
    int64_t rank = 0;
    ex_const(mask->type.dims[0], &rank);
    Value *kept = int_op_const(n, OP_eq, mask, 0);
    Value *at = int_op(n, OP_eq, int_column(n, int_iota(n, left)), places(n, mask, (int)rank));
    return pick(n, int_op(n, OP_and, at, kept), lengths);
}

void measured_squeeze(OnnxNode *n) {
    Value *x = n->inputs[0], *one = int_scalar(n, 1);
    int rank = x->type.rank, left = rank - onnx_count(n, 1, "axes");
    Value *mask = axis_mask(n, axis_hits(n, 1, rank, rank)), *lengths;
    lengths = int_dims(n, rank, x->type.dims);
    Value *squeezed = int_where(n, int_op_const(n, OP_eq, mask, 1), lengths, one);
    onnx_demand(n, "squeezed dims", squeezed, 3 * TN_MAX_RANK, 1);
    const Expr *const *dims = onnx_measure(n, "dims that are left",
                                           squeezed_dims(n, lengths, mask, left), 0, 0, INT64_MAX);
    n->outputs[0] = ir_view(n->g, x, left, dims);
}

void measured_unsqueeze(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    int rank = t->rank + onnx_count(n, 1, "axes");
    if (rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "a tensor with %d axes, at most %d", rank, TN_MAX_RANK);
    Value *mask = axis_mask(n, axis_hits(n, 1, rank, rank));
    Value *at = int_op(n, OP_eq, int_column(n, places(n, mask, rank)), int_iota(n, t->rank));
    Value *lengths = pick(n, at, int_dims(n, t->rank, t->dims));
    Value *made = int_op_const(n, OP_eq, mask, 1);
    Value *dims = int_where(n, made, int_scalar(n, 1), lengths);
    n->outputs[0] =
        ir_view(n->g, n->inputs[0], rank, onnx_measure(n, "dims", dims, 0, 0, INT64_MAX));
}
