/* Reductions and running sums along axes that only a run knows.
 *
 * Every axis j of length d is seen as two, keep * red == d, where one of the two is 1; the operand
 * is reduced over all the `red`:
 *
 *     [n, 6, 4] over axes {1}    [n, 1, 1, 6, 4, 1] over axes 1, 3, 5    [n, 1, 4]
 *
 * Where that makes too many axes they are reduced one after another. */
#include <string.h>
#include "frontend/onnx/measured.h"

#define AXES (3 * TN_MAX_RANK) /* number of the first axis that is measured; dims come before */

typedef struct Split {
    const Expr *const *keep, *const *red; /* per axis */
    const Expr *const *left;              /* dims of the axes that are not reduced */
    int left_count;
} Split;

/* Asking again gives the same symbols. */
static Split split_axes(OnnxNode *n, const Type *t) {
    int rank = t->rank, left = rank - onnx_count(n, 1, "axes");
    Value *mask = axis_mask(n, axis_hits(n, 1, rank, AXES));
    Value *lengths = int_dims(n, rank, t->dims), *one = int_scalar(n, 1);
    Value *reduced = int_op_const(n, OP_eq, mask, 1);
    Value *parts[] = {int_where(n, reduced, one, lengths), int_where(n, reduced, lengths, one),
                      squeezed_dims(n, lengths, mask, left)};
    const Expr *const *e =
        onnx_measure(n, "dims that are kept and reduced", int_join(n, 3, parts), 0, 0, INT64_MAX);
    return (Split){e, e + rank, e + 2 * rank, left};
}

static Value *reduce_at_once(OnnxNode *n, OpKind op, Value *x, const Split *s) {
    const Expr *dims[TN_MAX_RANK];
    int64_t axes[TN_MAX_RANK];
    int rank = x->type.rank;
    for (int i = 0; i < rank; i++) {
        dims[2 * i] = s->keep[i];
        dims[2 * i + 1] = s->red[i];
        axes[i] = 2 * i + 1;
    }
    return ir_reduce(n->g, op, ir_view(n->g, x, 2 * rank, dims), rank, axes, false);
}

/* x as [before, keep, red, after] of axis i */
static Value *split_axis(OnnxNode *n, Value *x, int i, const Expr *keep, const Expr *red) {
    const Type *t = &x->type;
    const Expr *dims[] = {ex_product(n->x, t->dims, i), keep, red,
                          ex_product(n->x, t->dims + i + 1, t->rank - i - 1)};
    return ir_view(n->g, x, 4, dims);
}

/* x with the dims of `t`, but for axis i */
static Value *with_axis(OnnxNode *n, Value *x, const Type *t, int i, const Expr *length) {
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    dims[i] = length;
    return ir_view(n->g, x, t->rank, dims);
}

static Value *reduce_one_by_one(OnnxNode *n, OpKind op, Value *x, const Split *s) {
    int64_t axis = 2;
    for (int i = 0; i < x->type.rank; i++) {
        Value *y = split_axis(n, x, i, s->keep[i], s->red[i]);
        x = with_axis(n, ir_reduce(n->g, op, y, 1, &axis, false), &x->type, i, s->keep[i]);
    }
    return x;
}

Value *measured_reduce(OnnxNode *n, OpKind op, Value *x, bool keep) {
    Split s = split_axes(n, &x->type);
    bool few = 2 * x->type.rank <= TN_MAX_RANK;
    Value *y = few ? reduce_at_once(n, op, x, &s) : reduce_one_by_one(n, op, x, &s);
    return keep ? y : ir_view(n->g, y, s.left_count, s.left);
}

Value *measured_spread(OnnxNode *n, Value *y, const Type *t) {
    Split s = split_axes(n, t);
    const Expr *one = ex_int(n->x, 1);
    for (int i = 0; i < t->rank; i++) {
        Value *x = split_axis(n, y, i, s.keep[i], one);
        const Expr *dims[] = {x->type.dims[0], s.keep[i], s.red[i], x->type.dims[3]};
        y = with_axis(n, ir_expand(n->g, x, 4, dims), &y->type, i, t->dims[i]);
    }
    return y;
}

/* [before, d, after], d the length of the axis */
void measured_cumsum(OnnxNode *n) {
    Value *x = n->inputs[0];
    Type t = x->type;
    Value *axis = onnx_vector(n, 1, "axis"), *one = int_scalar(n, 1);
    if (onnx_count(n, 1, "axis") != 1 || t.rank == 0)
        tn_fail(n->cx, TN_E_MODEL, "an axis of %s", ir_type_text(n->m, &t));
    axis = int_from_end(n, axis, int_scalar(n, t.rank));
    onnx_measure(n, "axis", axis, 3, 0, t.rank - 1);
    Value *lengths = int_dims(n, t.rank, t.dims), *i = int_iota(n, t.rank);
    Value *parts[3] = {int_op(n, OP_lt, i, axis), int_op(n, OP_eq, i, axis),
                       int_op(n, OP_lt, axis, i)};
    for (int k = 0; k < 3; k++) {
        Value *product = int_reduce(n, OP_reduce_prod, int_where(n, parts[k], lengths, one));
        parts[k] = ir_unsqueeze(n->g, product, 0);
    }
    const Expr *const *dims = onnx_measure(n, "dims before, at and after the axis",
                                           int_join(n, 3, parts), 0, 0, INT64_MAX);
    x = ir_view(n->g, x, 3, dims);
    Node *node = ir_node(n->g, n->row->op, 1, &x);
    ir_set_int(node, "axis", 1);
    ir_set_bool(node, "exclusive", onnx_flag(n, "exclusive"));
    ir_set_bool(node, "reverse", onnx_flag(n, "reverse"));
    n->outputs[0] = ir_view(n->g, ir_insert(node), t.rank, t.dims);
}
