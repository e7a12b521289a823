/* Pad: borders that are known or that only a run knows.
 *
 * Negative borders cut. A constant border whose value is computed is joined to the tensor; borders
 * of the tensor's own elements are gathered: position i before the tensor is negative,
 *
 *     edge     min(max(i, 0), d - 1)
 *     reflect  min(j, p - j) with p = 2 (d - 1), j = i mod p
 *     wrap     i mod d */
#include <string.h>
#include "frontend/onnx/measured.h"

typedef enum Mode { CONSTANT, REFLECT, EDGE, WRAP } Mode;

static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};

#define PADS "widths of the borders"

/* --- padding by widths that are not negative --- */

static Value *pad_constant(OnnxNode *n, Value *x, const Expr *const *before,
                           const Expr *const *after, Value *value) {
    Node *node = ir_node(n->g, OP_pad, value ? 2 : 1, (Value *[]){x, value});
    ir_set_dims(node, "before", x->type.rank, before);
    ir_set_dims(node, "after", x->type.rank, after);
    return ir_insert(node);
}

static Value *border(OnnxNode *n, Value *x, int axis, const Expr *width, Value *value) {
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, x->type.dims, sizeof dims);
    dims[axis] = width;
    return ir_expand(n->g, value, x->type.rank, dims);
}

static Value *join_borders(OnnxNode *n, Value *x, int axis, const Expr *before, const Expr *after,
                           Value *value) {
    Value *parts[] = {border(n, x, axis, before, value), x, border(n, x, axis, after, value)};
    return ir_concat(n->g, 3, parts, axis);
}

static Value *border_index(OnnxNode *n, Mode mode, const Expr *d, const Expr *before,
                           const Expr *after) {
    ExprCx *x = n->x;
    const Expr *one = ex_int(x, 1), *last = ex_sub(x, d, one), *period = ex_scale(x, last, 2, 1);
    const Expr *length = ex_add(x, ex_add(x, before, d), after);
    Value *i = ir_iota(n->g, TN_I64, length, ex_neg(x, before), one);
    if (mode == EDGE) return int_clamp(n, i, int_scalar(n, 0), int_dims(n, 1, &last));
    const Expr *divisor = ex_max(x, mode == REFLECT ? period : d, one);
    Value *j = int_op(n, OP_mod, i, int_dims(n, 1, &divisor));
    if (mode == WRAP) return j;
    return int_op(n, OP_min, j, int_op(n, OP_sub, int_dims(n, 1, &period), j));
}

static Value *pad_by(OnnxNode *n, Value *x, const Expr *const *before, const Expr *const *after,
                     Mode mode, Value *value) {
    if (mode == CONSTANT && (!value || value->constant))
        return pad_constant(n, x, before, after, value);
    for (int i = 0; i < x->type.rank; i++) {
        if (ex_is(before[i], 0) && ex_is(after[i], 0)) continue;
        if (mode == CONSTANT)
            x = join_borders(n, x, i, before[i], after[i], value);
        else
            x = ir_gather(n->g, x, border_index(n, mode, x->type.dims[i], before[i], after[i]), i);
    }
    return x;
}

/* --- cutting first --- */

static bool all_known(const Value *v) {
    for (int i = 0; i < v->facts.count; i++)
        if (ex_mentions(v->facts.values[i], ATOM_LOAD)) return false;
    return v->facts.values != NULL;
}

/* Borders of all axes as vectors. Known ones of a constant may stay of unknown sign. */
static Value *cut_and_pad(OnnxNode *n, Value *before, Value *after, Mode mode, Value *value) {
    Value *x = n->inputs[0], *zero = int_scalar(n, 0);
    int rank = x->type.rank;
    if (mode == CONSTANT && (!value || value->constant) && all_known(before) && all_known(after))
        return pad_constant(n, x, before->facts.values, after->facts.values, value);
    Value *start = int_op(n, OP_max, ir_unary(n->g, OP_neg, before), zero);
    Value *end = int_op(n, OP_max, ir_unary(n->g, OP_neg, after), zero);
    Value *length = int_op(n, OP_sub, int_dims(n, rank, x->type.dims), start);
    Value *parts[] = {int_op(n, OP_sub, length, end), start, int_op(n, OP_max, before, zero),
                      int_op(n, OP_max, after, zero)};
    const Expr *const *e =
        onnx_measure(n, "what borders leave, cut and add", int_join(n, 4, parts), 0, 0, INT64_MAX);
    for (int i = 0; i < rank; i++) x = onnx_slice(n, x, i, e[rank + i], e[i], 1);
    return pad_by(n, x, e + 2 * rank, e + 3 * rank, mode, value);
}

/* --- Pad --- */

static Value *border_value(OnnxNode *n) {
    Value *x = n->inputs[0], *v = onnx_given(n, 2) ? n->inputs[2] : NULL;
    if (!v && onnx_float(n, "value") != 0)
        return ir_scalar(n->g, x->type.dtype, onnx_float(n, "value"));
    return v && v->type.rank == 1 ? ir_squeeze(n->g, v, 0) : v;
}

/* All befores, then all afters, of the axes given or of all. */
static Value *border_list(OnnxNode *n, int *count) {
    const char *name = onnx_has(n, "pads") ? "pads" : "paddings";
    OnnxInts list = onnx_ints(n, name);
    *count = list.given ? list.count : onnx_count(n, 1, PADS);
    return list.given ? int_dims(n, list.count, onnx_exprs(n, list)) : onnx_vector(n, 1, PADS);
}

void import_pad(OnnxNode *n) {
    Value *value = border_value(n);
    Mode mode = (Mode)onnx_word(n, "mode", modes);
    int rank = n->inputs[0]->type.rank, count;
    int covered = onnx_given(n, 3) ? onnx_count(n, 3, "axes") : rank;
    Value *list = border_list(n, &count);
    if (count != 2 * covered) tn_fail(n->cx, TN_E_MODEL, "%d borders for %d axes", count, covered);
    if (rank == 0 || count == 0) {
        n->outputs[0] = n->inputs[0];
        return;
    }
    const Expr *none = ex_int(n->x, 0), *length = ex_int(n->x, covered);
    Value *zero = int_scalar(n, 0);
    Value *hits = onnx_given(n, 3) ? axis_hits(n, 3, rank, 4 * TN_MAX_RANK) : NULL;
    Value *before = along_axes(n, hits, ir_slice(n->g, list, 0, none, length, 1), zero);
    Value *after = along_axes(n, hits, ir_slice(n->g, list, 0, length, length, 1), zero);
    n->outputs[0] = cut_and_pad(n, before, after, mode, value);
}
