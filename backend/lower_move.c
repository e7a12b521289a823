/* Lowering of operators that move elements or make them out of nothing. */
#include "backend/lower_ops.h"
#include "backend/place.h"

#include <string.h>

void lower_splat(Lower *lo, Node *n) {
    View out = lower_result(lo, n->outputs[0]);
    ParamsFill p = {.value = attr_float(n, "value"), .integer = attr_int(n, "integer")};
    lower_emit(lo, TN_OP_fill, 0, NULL, 1, &out, &p, sizeof p);
}

static void emit_iota(Lower *lo, const View *out, const Expr *start, const Expr *step) {
    ParamsNone none = {0};
    const Expr *scalars[2] = {start, step};
    LInstr *i = lower_emit(lo, TN_OP_iota, 0, NULL, 1, out, &none, sizeof none);
    i->scalars = arena_copy(&lo->cx->arena, scalars, sizeof scalars);
    i->scalar_count = 2;
}

void lower_iota(Lower *lo, Node *n) {
    View out = lower_result(lo, n->outputs[0]);
    emit_iota(lo, &out, attr_dim(n, "start"), attr_dim(n, "step"));
}

void lower_scalars(Lower *lo, Node *n) {
    View out = lower_result(lo, n->outputs[0]);
    const ExprList *values = attr_exprs(n, "values");
    ParamsNone none = {0};
    LInstr *i = lower_emit(lo, TN_OP_scalars, 0, NULL, 1, &out, &none, sizeof none);
    i->scalars = values->e;
    i->scalar_count = values->count;
}

/* What cannot be said under the new dims stays under the old ones. */
void lower_view(Lower *lo, Node *n) {
    View x = lower_as_is(lo, n->inputs[0]), y;
    const Type *t = &n->outputs[0]->type;
    if (x.layout != TN_LAYOUT_STRIDED) x = lower_copy(lo, &x);
    bool said = view_reshape(lo, &x, t->rank, t->dims, &y);
    lower_set(lo, n->outputs[0], said ? y : x);
}

void lower_transpose(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]);
    lower_set(lo, n->outputs[0], view_permute(&x, attr_ints(n, "perm")));
}

void lower_roll(Lower *lo, Node *n) {
    const Value *x = n->inputs[0];
    View from = lower_as_is(lo, x), to;
    const DimList *starts = attr_dims(n, "starts");
    if (!view_has_dims(&from, &x->type) || !view_roll(lo, &from, starts, false, &to)) {
        from = lower_operand(lo, x);
        view_roll(lo, &from, starts, false, &to);
    }
    lower_set(lo, n->outputs[0], to);
}

void lower_expand(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]);
    const Type *t = &n->outputs[0]->type;
    lower_set(lo, n->outputs[0], view_broadcast(lo, &x, t->rank, t->dims));
}

/* Elements of the same width are moved, whatever their types. */
void lower_bitcast(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    lower_emit_copy(lo, &x, &out);
}

static void emit_gather(Lower *lo, const View *x, const View *index, const View *out, int axis) {
    ParamsGather p = {.axis = (uint32_t)axis};
    View in[2] = {*x, *index};
    lower_emit(lo, TN_OP_gather, 2, in, 1, out, &p, sizeof p);
}

/* Strides of the format are not negative, so a reversing slice looks its elements up. */
static void lower_reversing_slice(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    Type t = {.dtype = TN_I64, .rank = 1, .dims = {attr_dim(n, "length")}};
    View index = view_dense(lo, lower_buffer(lo, TN_BUFFER_ARENA, 0, t.dims[0], TN_I64), &t);
    emit_iota(lo, &index, attr_dim(n, "start"), ex_int(lo->x, attr_int(n, "step")));
    emit_gather(lo, &x, &index, &out, (int)attr_int(n, "axis"));
}

void lower_slice(Lower *lo, Node *n) {
    int64_t step = attr_int(n, "step");
    if (step <= 0) {
        lower_reversing_slice(lo, n);
        return;
    }
    View x = lower_as_is(lo, n->inputs[0]), y;
    int axis = (int)attr_int(n, "axis");
    const Expr *start = attr_dim(n, "start"), *length = attr_dim(n, "length");
    if (!view_has_dims(&x, &n->inputs[0]->type) ||
        !view_slice_ring(lo, &x, axis, start, length, step, &y)) {
        x = lower_operand(lo, n->inputs[0]);
        y = view_slice(lo, &x, axis, start, length, step);
    }
    lower_set(lo, n->outputs[0], y);
}

/* Unless it is there already, because its producer wrote it there. */
static void lower_part(Lower *lo, const Node *n, int i, const Expr *start, const View *out) {
    View from = lower_as_is(lo, n->inputs[i]), to = place_slice(lo, n, i, start, out), slice = to;
    if (!view_reshape(lo, &slice, from.rank, from.dims, &to)) {
        from = lower_operand(lo, n->inputs[i]);
        to = slice;
    }
    if (!view_is_same(&from, &to)) lower_emit_copy(lo, &from, &to);
}

/* What is appended to a state finds the first operand there already. */
void lower_concat(Lower *lo, Node *n) {
    View out = place_joined(lo, n);
    int64_t axis = attr_int(n, "axis");
    const Expr *at = ex_int(lo->x, 0);
    for (int i = 0; i < n->input_count; i++) {
        lower_part(lo, n, i, at, &out);
        at = ex_add(lo->x, at, n->inputs[i]->type.dims[axis]);
    }
}

/* What is left of x where borders are negative, and its place in the result: either may be empty,
 * and starts stay inside then. */
static void lower_border(Lower *lo, View *from, View *to, int axis, const Expr *before,
                         const Expr *after) {
    ExprCx *x = lo->x;
    const Expr *zero = ex_int(x, 0), *d = from->dims[axis], *out = to->dims[axis];
    const Expr *cut = ex_min(x, ex_max(x, ex_neg(x, before), zero), d);
    const Expr *end = ex_max(x, ex_neg(x, after), zero);
    const Expr *length = ex_max(x, ex_sub(x, ex_sub(x, d, cut), end), zero);
    const Expr *at = ex_min(x, ex_max(x, before, zero), out);
    *from = view_slice(lo, from, axis, cut, length, 1);
    *to = view_slice(lo, to, axis, at, length, 1);
}

static void emit_fill(Lower *lo, const Node *n, const View *out) {
    const Value *v = n->input_count > 1 ? n->inputs[1] : NULL;
    ParamsFill p = {0};
    if (v && !(tn_is_float(v->type.dtype) ? ir_constant_float(v, &p.value)
                                          : ir_constant_int(v, &p.integer)))
        tn_fail(lo->cx, TN_E_UNSUPPORTED, "padding with a computed value is unsupported");
    lower_emit_boxes(lo, TN_OP_fill, 0, NULL, 1, out, 1, &p, sizeof p);
}

bool lower_pad_has_borders(Lower *lo, const Node *n) {
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    const Value *v = n->input_count > 1 ? n->inputs[1] : NULL;
    if (strcmp(attr_string(n, "mode"), "constant") || (v && !v->constant)) return false;
    for (int i = 0; i < before->count; i++)
        if (!ex_nonneg(lo->x, before->e[i]) || !ex_nonneg(lo->x, after->e[i])) return false;
    return true;
}

/* Axis by axis what lies before and after x, of what the axes so far have left; at last x. */
bool lower_pad_cut(Lower *lo, const Node *n, const View *out, PadCut *cut) {
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    View rest = *out;
    cut->borders = 0;
    for (int i = 0; i < before->count; i++) {
        const Expr *at = ex_int(lo->x, 0), *length = n->inputs[0]->type.dims[i];
        const Expr *lengths[] = {before->e[i], length, after->e[i]};
        View part[3];
        for (int k = 0; k < 3; at = ex_add(lo->x, at, lengths[k++]))
            if (!view_slice_ring(lo, &rest, i, at, lengths[k], 1, &part[k])) return false;
        if (!ex_is(lengths[0], 0)) cut->border[cut->borders++] = part[0];
        if (!ex_is(lengths[2], 0)) cut->border[cut->borders++] = part[2];
        rest = part[1];
    }
    cut->inner = rest;
    return true;
}

void lower_pad_borders(Lower *lo, const Node *n, const View *out) {
    PadCut cut;
    lower_pad_cut(lo, n, out, &cut);
    for (int i = 0; i < cut.borders; i++) emit_fill(lo, n, &cut.border[i]);
}

void lower_pad(Lower *lo, Node *n) {
    if (strcmp(attr_string(n, "mode"), "constant"))
        tn_fail(lo->cx, TN_E_UNSUPPORTED, "padding mode '%s' is unsupported",
                attr_string(n, "mode"));
    View out = place_joined(lo, n), inner = out;
    if (lower_pad_has_borders(lo, n)) {
        lower_part(lo, n, 0, NULL, &out);
        return;
    }
    View from = lower_operand(lo, n->inputs[0]);
    emit_fill(lo, n, &out);
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    for (int i = 0; i < before->count; i++)
        lower_border(lo, &from, &inner, i, before->e[i], after->e[i]);
    lower_emit_copy(lo, &from, &inner);
}

void lower_gather(Lower *lo, Node *n) {
    const Constant *c = n->inputs[0]->constant;
    int axis = (int)attr_int(n, "axis");
    const ConstantLayout *l = c && axis == 0 ? &lo->layouts[c->id] : NULL;
    View x = l && layout_packed_only(l) ? lower_weight(lo, l->layout, 1, &c, true)
                                        : lower_operand(lo, n->inputs[0]);
    View index = lower_operand(lo, n->inputs[1]), out = lower_result(lo, n->outputs[0]);
    emit_gather(lo, &x, &index, &out, axis);
}

void lower_gather_elements(Lower *lo, Node *n) {
    View in[2] = {lower_operand(lo, n->inputs[0]), lower_operand(lo, n->inputs[1])},
         out = lower_result(lo, n->outputs[0]);
    ParamsGather p = {.axis = (uint32_t)attr_int(n, "axis")};
    lower_emit(lo, TN_OP_gather_elements, 2, in, 1, &out, &p, sizeof p);
}

void lower_gather_nd(Lower *lo, Node *n) {
    View in[2] = {lower_operand(lo, n->inputs[0]), lower_operand(lo, n->inputs[1])},
         out = lower_result(lo, n->outputs[0]);
    ParamsGather p = {.batch_dims = (uint32_t)attr_int(n, "batch")};
    lower_emit(lo, TN_OP_gather_nd, 2, in, 1, &out, &p, sizeof p);
}
