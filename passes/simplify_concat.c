/* Identities of concatenations.
 *
 *     concat(concat(a, b), c) -> concat(a, b, c)
 *     slice(concat(a, b)) -> slice(a)                       of one operand
 *     slice(concat(a, b, c)) -> concat(a, b)                of whole operands
 *     transpose(concat(transpose(a), transpose(b))) -> concat(..)
 */
#include "passes/canon.h"

static Node *inner_concat(const Value *v, int axis) {
    Node *n = ir_producer(v, OP_concat);
    return n && ir_single_use(v) && attr_int(n, "axis") == axis ? n : NULL;
}

/* Empty operands go; a concatenation that only this one reads is taken apart. */
Value *canon_concat(Node *n) {
    int axis = (int)attr_int(n, "axis"), total = n->input_count, count = 0;
    for (int i = 0; i < n->input_count; i++) {
        Node *inner = inner_concat(n->inputs[i], axis);
        if (inner) total += inner->input_count;
    }
    Value **kept = ARENA_ARRAY(&n->graph->module->cx->arena, Value *, (size_t)total);
    for (int i = 0; i < n->input_count; i++) {
        Node *inner = inner_concat(n->inputs[i], axis);
        for (int k = 0; inner && k < inner->input_count; k++) kept[count++] = inner->inputs[k];
        if (!inner && !ex_is(n->inputs[i]->type.dims[axis], 0)) kept[count++] = n->inputs[i];
    }
    if (count == 1) return kept[0];
    bool changed = count != n->input_count || total != n->input_count;
    return count && changed ? ir_concat(n->graph, count, kept, axis) : NULL;
}

/* The slice is of one operand; or of several whole ones, if nothing else reads them all. */
Value *canon_slice_of_concat(Node *n) {
    int axis = (int)attr_int(n, "axis");
    ExprCx *x = n->graph->module->ex;
    const Node *concat = ir_producer(n->inputs[0], OP_concat);
    const Expr *start = ex_norm(x, attr_dim(n, "start")),
               *length = ex_norm(x, attr_dim(n, "length"));
    const Expr *end = ex_add(x, start, length), *at = ex_int(x, 0);
    int64_t step = attr_int(n, "step");
    int first = -1;
    if (!concat || step < 1 || attr_int(concat, "axis") != axis) return NULL;
    if (step > 1 && !ex_provably_ge(x, length, ex_int(x, 1))) return NULL;
    if (step > 1) /* behind the last element */
        end =
            ex_add(x, start,
                   ex_add(x, ex_scale(x, ex_sub(x, length, ex_int(x, 1)), step, 1), ex_int(x, 1)));
    for (int i = 0; i < concat->input_count; i++) {
        Value *part = concat->inputs[i];
        const Expr *next = ex_add(x, at, part->type.dims[axis]);
        if (ex_provably_ge(x, start, at) && ex_provably_ge(x, next, end))
            return ir_slice(n->graph, part, axis, ex_sub(x, start, at), attr_dim(n, "length"),
                            step);
        if (at == start) first = i;
        if (first >= 0 && next == end && step == 1 && ir_single_use(n->inputs[0]))
            return ir_concat(n->graph, i + 1 - first, concat->inputs + first, axis);
        at = next;
    }
    return NULL;
}

/* Operands that are transposes lose them, or have them changed. */
Value *canon_transpose_of_concat(Node *n) {
    const Node *concat = ir_producer(n->inputs[0], OP_concat);
    const IntList *order = attr_ints(n, "perm");
    int perm[TN_MAX_RANK], axis = 0;
    if (!concat || !ir_single_use(n->inputs[0])) return NULL;
    for (int i = 0; i < concat->input_count; i++)
        if (!ir_producer(concat->inputs[i], OP_transpose)) return NULL;
    for (int i = 0; i < order->count; i++) {
        perm[i] = (int)order->v[i];
        if (perm[i] == attr_int(concat, "axis")) axis = i;
    }
    Value **part = ARENA_ARRAY(&n->graph->module->cx->arena, Value *, (size_t)concat->input_count);
    for (int i = 0; i < concat->input_count; i++)
        part[i] = ir_transpose(n->graph, concat->inputs[i], perm);
    return ir_concat(n->graph, concat->input_count, part, axis);
}
