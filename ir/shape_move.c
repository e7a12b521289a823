/* Shape rules of operators that move elements. */
#include "ir/shape.h"

#include <string.h>
#include "ir/infer.h"

/* --- view --- */

/* Leaves in `rest` the dims that have no equal partner in `others`. */
static int unmatched(const Type *t, const bool *taken, const Expr **rest) {
    int count = 0;
    for (int i = 0; i < t->rank; i++)
        if (!taken[i]) rest[count++] = t->dims[i];
    return count;
}

/* Equal dims cancel, so that the requirement speaks of the others only. */
static void require_same_count(Module *m, const Type *a, const Type *b) {
    if (ir_elements(m, a) == ir_elements(m, b)) return;
    bool in_a[TN_MAX_RANK] = {false}, in_b[TN_MAX_RANK] = {false};
    for (int i = 0; i < a->rank; i++)
        for (int j = 0; j < b->rank && !in_a[i]; j++)
            if (!in_b[j] && a->dims[i] == b->dims[j]) in_a[i] = in_b[j] = true;
    const Expr *left[TN_MAX_RANK], *right[TN_MAX_RANK];
    int nl = unmatched(a, in_a, left), nr = unmatched(b, in_b, right);
    const char *what = arena_printf(&m->cx->arena, "element counts of %s and %s",
                                    ir_type_text(m, a), ir_type_text(m, b));
    ir_same_dim(m, ex_product(m->ex, left, nl), ex_product(m->ex, right, nr), what);
}

void shape_view(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const DimList *dims = attr_dims(n, "dims");
    for (int i = 0; i < dims->count; i++)
        infer_require_le(m, ex_int(m->ex, 0), dims->e[i], "negative dimension");
    infer_output(n, 0, x->dtype, dims->count, dims->e);
    require_same_count(m, x, &n->outputs[0]->type);
}

/* --- transpose, expand, slice, concat, pad --- */

void shape_transpose(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const IntList *perm = attr_ints(n, "perm");
    bool seen[TN_MAX_RANK] = {false};
    const Expr *dims[TN_MAX_RANK];
    if (perm->count != x->rank)
        tn_fail(m->cx, TN_E_MODEL, "a permutation of %d axes for %s", perm->count,
                ir_type_text(m, x));
    for (int i = 0; i < x->rank; i++) {
        int64_t axis = perm->v[i];
        if (axis < 0 || axis >= x->rank || seen[axis])
            tn_fail(m->cx, TN_E_MODEL, "the permutation is not one: axis %lld", (long long)axis);
        seen[axis] = true;
        dims[i] = x->dims[axis];
    }
    infer_output(n, 0, x->dtype, x->rank, dims);
}

void shape_expand(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const DimList *target = attr_dims(n, "dims");
    int shift = target->count - x->rank;
    if (shift < 0)
        tn_fail(m->cx, TN_E_MODEL, "%s cannot expand to rank %d", ir_type_text(m, x),
                target->count);
    for (int i = 0; i < x->rank; i++) {
        if (ex_is(x->dims[i], 1)) continue;
        const char *what =
            arena_printf(&m->cx->arena, "expanding %s: dimensions %d", ir_type_text(m, x), i);
        ir_same_dim(m, x->dims[i], target->e[shift + i], what);
    }
    infer_output(n, 0, x->dtype, target->count, target->e);
}

/* Elements start, start + step, ... must lie in [0, dim). */
static void check_slice(Module *m, const Expr *dim, const Expr *start, const Expr *length,
                        int64_t step) {
    ExprCx *x = m->ex;
    const Expr *zero = ex_int(x, 0), *one = ex_int(x, 1);
    infer_require_le(m, zero, length, "negative length of a slice");
    const Expr *last = ex_add(x, start, ex_scale(x, ex_sub(x, length, one), step, 1));
    bool up = step > 0;
    if (up) infer_require_le(m, zero, start, "slice starts before its axis");
    if (ex_is(length, 0)) {
        if (up) infer_require_le(m, start, dim, "slice starts behind its axis");
        return;
    }
    const Expr *highest = up ? last : start;
    infer_require_le(m, ex_add(x, highest, one), dim, "slice ends behind its axis");
    if (!up) infer_require_le(m, zero, last, "slice ends before its axis");
}

void shape_slice(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
    int64_t step = attr_int(n, "step");
    if (step == 0) tn_fail(m->cx, TN_E_MODEL, "a slice with step 0");
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = attr_dim(n, "length");
    check_slice(m, x->dims[axis], attr_dim(n, "start"), dims[axis], step);
    infer_output(n, 0, x->dtype, x->rank, dims);
}

void shape_concat(Node *n) {
    Module *m = module_of(n);
    const Type *first = infer_input(n, 0);
    int rank = first->rank, axis = ir_axis(m, attr_int(n, "axis"), rank);
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, first->dims, sizeof dims);
    for (int i = 1; i < n->input_count; i++) {
        if (!n->inputs[i]) tn_fail(m->cx, TN_E_MODEL, "operand %d of concat is missing", i);
        const Type *t = infer_input(n, i);
        infer_rank(n, i, rank, rank);
        for (int k = 0; k < rank; k++) {
            if (k == axis)
                dims[k] = ex_add(m->ex, dims[k], t->dims[k]);
            else if (dims[k] != t->dims[k])
                dims[k] = ir_same_dim(m, dims[k], t->dims[k],
                                      arena_printf(&m->cx->arena,
                                                   "concatenating %s and %s: dimensions %d",
                                                   ir_type_text(m, first), ir_type_text(m, t), k));
        }
    }
    infer_output(n, 0, first->dtype, rank, dims);
}

/* How far a border may reach into the tensor it is made of. */
static void check_border(Module *m, const char *mode, const Expr *border, const Expr *dim) {
    const Expr *one = ex_int(m->ex, 1);
    if (ex_is(border, 0)) return;
    if (strcmp(mode, "reflect") == 0)
        infer_require_le(m, ex_add(m->ex, border, one), dim, "reflected border too wide");
    else if (strcmp(mode, "wrap") == 0)
        infer_require_le(m, border, dim, "wrapped border too wide");
    else if (strcmp(mode, "edge") == 0)
        infer_require_le(m, one, dim, "border of an empty axis");
}

void shape_pad(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    const char *mode = attr_string(n, "mode");
    const Expr *dims[TN_MAX_RANK];
    if (before->count != x->rank || after->count != x->rank)
        tn_fail(m->cx, TN_E_MODEL, "borders of %d and %d axes for %s", before->count, after->count,
                ir_type_text(m, x));
    if (n->input_count > 1 && n->inputs[1]) infer_rank(n, 1, 0, 0);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = ex_add(m->ex, ex_add(m->ex, before->e[i], x->dims[i]), after->e[i]);
        infer_require_le(m, ex_int(m->ex, 0), dims[i], "border cuts too much");
        check_border(m, mode, before->e[i], x->dims[i]);
        check_border(m, mode, after->e[i], x->dims[i]);
    }
    infer_output(n, 0, x->dtype, x->rank, dims);
}

void shape_roll(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const DimList *starts = attr_dims(n, "starts");
    if (starts->count != x->rank)
        tn_fail(m->cx, TN_E_MODEL, "%d starts for %s", starts->count, ir_type_text(m, x));
    for (int i = 0; i < x->rank; i++) {
        infer_require_le(m, ex_int(m->ex, 0), starts->e[i], "start before the axis");
        infer_require_le(m, starts->e[i], x->dims[i], "start behind the axis");
    }
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}

/* --- gathers --- */

/* Appends dims; past the limit only the count goes on, for infer_output to refuse. */
static int append(const Expr **dims, int rank, const Expr *const *more, int n) {
    for (int i = 0; i < n; i++, rank++)
        if (rank < TN_MAX_RANK) dims[rank] = more[i];
    return rank;
}

void shape_gather(Node *n) {
    const Type *x = infer_input(n, 0), *index = infer_input(n, 1);
    int axis = ir_axis(module_of(n), attr_int(n, "axis"), x->rank);
    const Expr *dims[TN_MAX_RANK];
    int rank = append(dims, 0, x->dims, axis);
    rank = append(dims, rank, index->dims, index->rank);
    rank = append(dims, rank, x->dims + axis + 1, x->rank - axis - 1);
    infer_output(n, 0, x->dtype, rank, dims);
}

void shape_gather_elements(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *index = infer_input(n, 1);
    ir_axis(m, attr_int(n, "axis"), x->rank);
    if (index->rank != x->rank)
        tn_fail(m->cx, TN_E_MODEL, "indices %s for elements of %s", ir_type_text(m, index),
                ir_type_text(m, x));
    infer_output(n, 0, x->dtype, index->rank, index->dims);
}

void shape_gather_nd(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *index = infer_input(n, 1);
    int64_t batch = attr_int(n, "batch"), depth;
    infer_rank(n, 1, 1, TN_MAX_RANK);
    if (!ex_const(index->dims[index->rank - 1], &depth))
        tn_fail(m->cx, TN_E_MODEL, "the last dimension of the indices is %s, not a number",
                ex_text(m->ex, index->dims[index->rank - 1]));
    if (batch < 0 || batch >= index->rank || depth < 1 || depth > x->rank - batch)
        tn_fail(m->cx, TN_E_MODEL, "indices %s after %lld batch axes for %s",
                ir_type_text(m, index), (long long)batch, ir_type_text(m, x));
    const Expr *dims[TN_MAX_RANK];
    int rank = append(dims, 0, index->dims, index->rank - 1);
    for (int i = 0; i < batch; i++)
        dims[i] = ir_same_dim(m, x->dims[i], index->dims[i], "batch dimensions");
    int used = (int)(batch + depth);
    rank = append(dims, rank, x->dims + used, x->rank - used);
    infer_output(n, 0, x->dtype, rank, dims);
}
