/* ONNX operators that give the same elements other dims, or repeat them. */
#include <string.h>
#include "frontend/onnx/measured.h"

/* --- Reshape --- */

/* What -1 stands for: the number of elements divided by the product of the other entries. */
static const Expr *remaining(OnnxNode *n, const Expr *const *dims, int rank, int open) {
    const Type *t = &n->inputs[0]->type;
    const Expr *all = ir_elements(n->m, t), *others = ex_int(n->x, 1);
    for (int i = 0; i < rank; i++)
        if (i != open) others = ex_mul(n->x, others, dims[i]);
    if (ex_is(others, 0))
        tn_fail(n->cx, TN_E_MODEL, "entry %d of the target shape is -1 beside a 0", open);
    const Expr *exact = ex_exact_div(n->x, all, others);
    return exact ? exact : ex_floordiv(n->x, all, others);
}

/* Entry 0 copies the dim, unless allowzero. An entry that is a length is taken as that length, also
 * where it could be 0. */
static const Expr *target_dim(OnnxNode *n, int i, const Expr *entry, bool allow_zero) {
    const Type *t = &n->inputs[0]->type;
    int64_t v;
    if (!ex_const(entry, &v) || v > 0 || (v == 0 && allow_zero)) return entry;
    if (v < 0) tn_fail(n->cx, TN_E_MODEL, "entry %d of the target shape is %lld", i, (long long)v);
    if (i >= t->rank)
        tn_fail(n->cx, TN_E_MODEL, "entry %d of the target shape is 0, but the operand is %s", i,
                ir_type_text(n->m, t));
    return t->dims[i];
}

/* An attribute before opset 5. */
static int target_shape(OnnxNode *n, const Expr *const **entries) {
    OnnxInts list = onnx_ints(n, "shape");
    if (!list.given) return onnx_values(n, 1, "target shape", entries);
    *entries = onnx_exprs(n, list);
    return list.count;
}

void import_reshape(OnnxNode *n) {
    const Expr *const *entries, *dims[TN_MAX_RANK];
    bool allow_zero = onnx_flag(n, "allowzero");
    if (!onnx_known(n, 1)) {
        int axes = measured_reshape(n, allow_zero, dims);
        n->outputs[0] = ir_view(n->g, n->inputs[0], axes, dims);
        return;
    }
    int rank = target_shape(n, &entries), open = -1;
    if (rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "a target shape of %d axes, at most %d", rank, TN_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (!ex_is(entries[i], -1)) {
            dims[i] = target_dim(n, i, entries[i], allow_zero);
            continue;
        }
        if (open >= 0)
            tn_fail(n->cx, TN_E_MODEL, "entries %d and %d of the target shape are both -1", open,
                    i);
        open = i;
    }
    if (open >= 0) dims[open] = remaining(n, dims, rank, open);
    n->outputs[0] = ir_view(n->g, n->inputs[0], rank, dims);
}

void import_flatten(OnnxNode *n) {
    int rank = n->inputs[0]->type.rank;
    int64_t axis = onnx_int(n, "axis");
    n->outputs[0] = onnx_as_matrix(n, n->inputs[0], axis == rank ? rank : onnx_axis(n, 0));
}

/* --- axes of length 1 --- */

void import_squeeze(OnnxNode *n) {
    if (!onnx_known(n, 1)) {
        measured_squeeze(n);
        return;
    }
    const Type *t = &n->inputs[0]->type;
    OnnxInts axes = onnx_axes(n);
    bool drop[TN_MAX_RANK];
    const Expr *dims[TN_MAX_RANK], *one = ex_int(n->x, 1);
    int rank = 0;
    onnx_mark_axes(n, axes, t->rank, drop);
    for (int i = 0; i < t->rank; i++) {
        if (!axes.given) drop[i] = ex_is(t->dims[i], 1);
        if (drop[i])
            ir_same_dim(n->m, t->dims[i], one, "the squeezed dimension and 1");
        else
            dims[rank++] = t->dims[i];
    }
    n->outputs[0] = ir_view(n->g, n->inputs[0], rank, dims);
}

void import_unsqueeze(OnnxNode *n) {
    if (!onnx_known(n, 1)) {
        measured_unsqueeze(n);
        return;
    }
    const Type *t = &n->inputs[0]->type;
    OnnxInts axes = onnx_axes(n);
    bool made[TN_MAX_RANK];
    const Expr *dims[TN_MAX_RANK];
    int rank = axes.count > TN_MAX_RANK ? TN_MAX_RANK + 1 : t->rank + axes.count;
    onnx_mark_axes(n, axes, rank, made);
    for (int i = 0, from = 0; i < rank; i++) dims[i] = made[i] ? ex_int(n->x, 1) : t->dims[from++];
    n->outputs[0] = ir_view(n->g, n->inputs[0], rank, dims);
}

/* --- Transpose --- */

void import_transpose(OnnxNode *n) {
    int rank = n->inputs[0]->type.rank, perm[TN_MAX_RANK];
    OnnxInts given = onnx_ints(n, "perm");
    if (given.given && given.count != rank)
        tn_fail(n->cx, TN_E_MODEL, "perm has %d entries, the operand is %s", given.count,
                ir_type_text(n->m, &n->inputs[0]->type));
    bool seen[TN_MAX_RANK] = {false};
    for (int i = 0; i < rank; i++) {
        int64_t axis = given.given ? given.v[i] : rank - 1 - i;
        if (axis < 0 || axis >= rank || seen[axis])
            tn_fail(n->cx, TN_E_MODEL, "entry %d of perm is %lld, %s", i, (long long)axis,
                    axis < 0 || axis >= rank ? "which is no axis" : "for the second time");
        seen[axis] = true;
        perm[i] = (int)axis;
    }
    n->outputs[0] = ir_transpose(n->g, n->inputs[0], perm);
}

/* --- repeating --- */

static void check_not_negative(OnnxNode *n, const char *what, int i, const Expr *e) {
    int64_t v;
    if (ex_const(e, &v) && v < 0)
        tn_fail(n->cx, TN_E_MODEL, "entry %d of the %s is %lld", i, what, (long long)v);
}

/* Dims and target broadcast against each other. */
void import_expand(OnnxNode *n) {
    const Expr *const *entries;
    Type target = {0}, out = {0};
    if (!onnx_known(n, 1)) {
        measured_expand(n);
        return;
    }
    target.rank = onnx_values(n, 1, "target shape", &entries);
    if (target.rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "a target shape of %d axes, at most %d", target.rank,
                TN_MAX_RANK);
    for (int i = 0; i < target.rank; i++) {
        check_not_negative(n, "target shape", i, entries[i]);
        target.dims[i] = entries[i];
    }
    target.dtype = n->inputs[0]->type.dtype;
    ir_broadcast(n->m, &n->inputs[0]->type, &target, &out);
    n->outputs[0] = ir_expand(n->g, n->inputs[0], out.rank, out.dims);
}

/* As the next function, for an operand that cannot have one more axis: [before, r, d, after]. */
static Value *repeat_of_full_rank(OnnxNode *n, Value *x, int axis, const Expr *repeats) {
    const Expr *dims[TN_MAX_RANK], *d = x->type.dims[axis];
    int rank = x->type.rank;
    memcpy(dims, x->type.dims, sizeof dims);
    const Expr *split[] = {ex_product(n->x, dims, axis), ex_int(n->x, 1), d,
                           ex_product(n->x, dims + axis + 1, rank - axis - 1)};
    x = ir_view(n->g, x, 4, split);
    split[1] = repeats;
    dims[axis] = ex_mul(n->x, repeats, d);
    return ir_view(n->g, ir_expand(n->g, x, 4, split), rank, dims);
}

/* [.., d, ..] -> [.., 1, d, ..] -> [.., r, d, ..] -> [.., r d, ..] */
static Value *repeat_axis(OnnxNode *n, Value *x, int axis, const Expr *repeats) {
    const Expr *dims[TN_MAX_RANK];
    int rank = x->type.rank;
    if (rank == TN_MAX_RANK) return repeat_of_full_rank(n, x, axis, repeats);
    if (!ex_is(x->type.dims[axis], 1)) x = ir_unsqueeze(n->g, x, axis);
    memcpy(dims, x->type.dims, sizeof dims);
    dims[axis] = repeats;
    x = ir_expand(n->g, x, x->type.rank, dims);
    if (x->type.rank == rank) return x;
    const Expr *length = ex_mul(n->x, repeats, dims[axis + 1]);
    for (int i = axis + 1; i < rank; i++) dims[i] = dims[i + 1];
    dims[axis] = length;
    return ir_view(n->g, x, rank, dims);
}

void import_tile(OnnxNode *n) {
    Value *x = n->inputs[0];
    const Expr *const *repeats;
    int count;
    repeats = onnx_lengths(n, 1, "number of repeats", 0, &count);
    if (count != x->type.rank)
        tn_fail(n->cx, TN_E_MODEL, "%d repeats for %s", count, ir_type_text(n->m, &x->type));
    for (int i = 0; i < count; i++) {
        check_not_negative(n, "repeats", i, repeats[i]);
        if (!ex_is(repeats[i], 1)) x = repeat_axis(n, x, i, repeats[i]);
    }
    n->outputs[0] = x;
}

/* Before opset 6: so often along one axis. */
void import_tile_axis(OnnxNode *n) {
    Value *x = n->inputs[0];
    const Expr *repeats = onnx_length(n, 1, "number of repeats", 0);
    int axis = ir_axis(n->m, onnx_number(n, 2, "axis"), x->type.rank);
    check_not_negative(n, "repeats", 0, repeats);
    n->outputs[0] = ex_is(repeats, 1) ? x : repeat_axis(n, x, axis, repeats);
}
