/* Rows that are equal are computed once: what is broadcast stays so.
 *
 *     matmul(expand(x), w) -> expand(matmul(x, w))      for a matrix of weights
 *     layer_norm(expand(x), ..) -> expand(layer_norm(x, ..))
 *     transpose(expand(x)) -> expand(transpose(x))
 *
 * A splat counts as one row, broadcast, and so do equal rows of a constant. Elementwise operators
 * do the same in simplify.c. So what a decoder makes of its learned queries before they have seen
 * anything is a constant for any batch.
 */
#include "passes/canon.h"

Value *canon_distinct(Value *v, int axes) {
    Graph *g = v->graph;
    ExprCx *x = g->module->ex;
    Value *one = v;
    for (int i = 0; i < axes; i++)
        if (ir_constant_repeats(v->constant, i))
            one = ir_slice(g, one, i, ex_int(x, 0), ex_int(x, 1), 1);
    return one;
}

/* The rows of v that differ: v broadcast no further than it must be to have whole rows. NULL if all
 * may differ. */
static Value *distinct_rows(Value *v) {
    Node *e = v->node;
    if (v->constant) {
        Value *one = canon_distinct(v, v->type.rank - 1);
        return one != v ? one : NULL;
    }
    if (!e || (e->op != OP_expand && e->op != OP_splat) || v->type.rank < 1) return NULL;
    const Type *from = e->op == OP_expand ? &e->inputs[0]->type : NULL;
    Type t = v->type;
    int last = t.rank - 1, missing = from ? t.rank - from->rank : t.rank;
    for (int i = 0; i < last; i++)
        t.dims[i] = i < missing ? ex_int(v->graph->module->ex, 1) : from->dims[i - missing];
    if (ir_same_dims(&t, &v->type)) return NULL;
    if (e->op == OP_expand) return ir_expand(v->graph, e->inputs[0], t.rank, t.dims);
    Node *row = ir_node(v->graph, OP_splat, 0, NULL);
    ir_copy_attrs(row, e);
    ir_set_dims(row, "dims", t.rank, t.dims);
    return ir_insert(row);
}

/* For an f that makes a row of each row of operand 0. */
static Value *sink_rows(Node *n) {
    Value *x = distinct_rows(n->inputs[0]), *inputs[3];
    const Type *t = &n->outputs[0]->type;
    if (!x || n->input_count > 3) return NULL;
    for (int i = 0; i < n->input_count; i++) inputs[i] = i ? n->inputs[i] : x;
    Node *once = ir_node(n->graph, n->op, n->input_count, inputs);
    ir_copy_attrs(once, n);
    return ir_expand(n->graph, ir_insert(once), t->rank, t->dims);
}

static bool is_weight_product(const Node *n) {
    const Value *w = n->inputs[1];
    return w->constant && w->type.rank == 2 && !attr_bool(n, "ta");
}

/* For operands of one rank. */
static Value *transpose_once(Node *n) {
    Node *e = n->inputs[0]->node;
    const Type *t = &n->outputs[0]->type;
    int perm[TN_MAX_RANK];
    if (!e || e->op != OP_expand || e->inputs[0]->type.rank != t->rank) return NULL;
    for (int i = 0; i < t->rank; i++) perm[i] = (int)attr_ints(n, "perm")->v[i];
    return ir_expand(n->graph, ir_transpose(n->graph, e->inputs[0], perm), t->rank, t->dims);
}

Value *canon_simplify_expand(Node *n) {
    switch (n->op) {
    case OP_matmul: return is_weight_product(n) ? sink_rows(n) : NULL;
    case OP_layer_norm:
    case OP_rms_norm: return sink_rows(n);
    case OP_transpose: return transpose_once(n);
    default: return NULL;
    }
}
