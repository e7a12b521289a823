/* Folded axes and repeated elements behind what is computed from them, where they meet what undoes
 * them.
 *
 *     f(view(x))          -> view(f(x))             where the view keeps rows, f row by row
 *     f(view(x), view(y)) -> view(f(x, y))          where both fold the same ones
 *     sum(view(x))        -> view(sum(x))           over axes that the view does not fold
 *     sum(expand(x))      -> expand(sum(x))         over axes that are not repeated
 *     view(expand(x))     -> expand(view(x))        where the view only has other axes of length 1
 */
#include "passes/canon.h"

/* Equal dims but for axes of length 1. */
static bool same_but_ones(const Type *a, int rank, const Expr *const *dims) {
    int i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a->rank && ex_is(a->dims[i], 1)) i++;
        while (j < rank && ex_is(dims[j], 1)) j++;
        if (i == a->rank || j == rank) return i == a->rank && j == rank;
        if (a->dims[i] != dims[j]) return false;
    }
}

/* --- row by row --- */

bool canon_keeps_rows(const Node *view) {
    const Type *from = &view->inputs[0]->type, *to = &view->outputs[0]->type;
    return from->rank >= 2 && to->rank >= 2 && from->dims[from->rank - 1] == to->dims[to->rank - 1];
}

/* Whether operand `v` is the same for every row: a vector over the last axis, or one number. */
static bool per_column(const Value *v) {
    for (int i = 0; i + 1 < v->type.rank; i++)
        if (!ex_is(v->type.dims[i], 1)) return false;
    return v->type.rank <= 1;
}

/* An operand before the axes were folded as `view` folds them. */
typedef struct Unfolded {
    Value *value;
    int rank;
    const Expr *dims[TN_MAX_RANK];
} Unfolded;

/* False if v is no view that folds as `view` does, broadcast or not; from as in canon_merges. */
static bool unfold(const Node *view, const int *from, Value *v, Unfolded *u) {
    const Type *wide = &view->inputs[0]->type, *folded = &view->outputs[0]->type;
    Node *own = ir_producer(v, OP_view);
    if (!own || v->type.rank != folded->rank) return false;
    *u = (Unfolded){.value = own->inputs[0], .rank = wide->rank};
    for (int i = 0; i < folded->rank; i++) {
        bool one = ex_is(v->type.dims[i], 1);
        if (!one && v->type.dims[i] != folded->dims[i]) return false;
        for (int k = from[i]; k < from[i + 1]; k++)
            u->dims[k] = one ? ex_int(v->graph->module->ex, 1) : wide->dims[k];
    }
    return same_but_ones(&own->inputs[0]->type, u->rank, u->dims);
}

static bool merges(const Node *view) {
    return view->inputs[0]->type.rank >= view->outputs[0]->type.rank;
}

/* A product, with what may belong to it. */
static bool shows_product(const Node *view) {
    const Node *n = view->inputs[0]->node;
    if (n && n->op == OP_add) n = n->inputs[0]->node;
    return n && n->op == OP_matmul && n->inputs[1]->constant;
}

/* Row-wise operators commute with views that keep rows; afterwards the views meet and cancel, or
 * bias and activation meet their product. */
static Value *sink_view(Node *n) {
    bool rowwise = (ir_op_info(n->op)->flags & OPF_ELEMENTWISE) || n->op == OP_layer_norm ||
                   n->op == OP_rms_norm;
    if (!rowwise || !n->input_count || n->input_count > 3) return NULL;
    Unfolded u[3];
    int from[TN_MAX_RANK + 1];
    Node *view = NULL;
    for (int i = 0; i < n->input_count; i++) {
        Value *v = n->inputs[i];
        Node *own = v ? ir_producer(v, OP_view) : NULL;
        u[i] = (Unfolded){.value = v};
        if (own && !view && canon_keeps_rows(own) && (merges(own) || shows_product(own))) {
            view = own;
            u[i].value = own->inputs[0];
            if (!canon_merges(own, from)) from[0] = -1; /* it does more than fold */
        } else if (v && !per_column(v)) {
            if (!view || from[0] < 0 || !unfold(view, from, v, &u[i])) return NULL;
        }
    }
    if (!view || !ir_same_dims(&view->outputs[0]->type, &n->outputs[0]->type)) return NULL;
    Value *inputs[3];
    for (int i = 0; i < n->input_count; i++)
        inputs[i] = u[i].rank ? ir_view(n->graph, u[i].value, u[i].rank, u[i].dims) : u[i].value;
    Node *inner = ir_node(n->graph, n->op, n->input_count, inputs);
    ir_copy_attrs(inner, n);
    return ir_view(n->graph, ir_insert(inner), n->outputs[0]->type.rank, n->outputs[0]->type.dims);
}

/* --- reductions --- */

static Value *reduce_before(Node *n, Value *x, const int64_t *axes) {
    return ir_reduce(n->graph, n->op, x, attr_ints(n, "axes")->count, axes, attr_bool(n, "keep"));
}

static Value *reduce_unfolded(Node *n) {
    Node *view = ir_producer(n->inputs[0], OP_view);
    const IntList *axes = attr_ints(n, "axes");
    int from[TN_MAX_RANK + 1];
    int64_t before[TN_MAX_RANK];
    if (!view || view->inputs[0]->type.rank <= view->outputs[0]->type.rank ||
        !canon_merges(view, from))
        return NULL;
    for (int i = 0; i < axes->count; i++) {
        before[i] = from[axes->v[i]];
        if (from[axes->v[i] + 1] != before[i] + 1) return NULL;
    }
    return ir_view(n->graph, reduce_before(n, view->inputs[0], before), n->outputs[0]->type.rank,
                   n->outputs[0]->type.dims);
}

static Value *reduce_unexpanded(Node *n) {
    Node *e = ir_producer(n->inputs[0], OP_expand);
    const IntList *axes = attr_ints(n, "axes");
    int64_t before[TN_MAX_RANK];
    if (!e) return NULL;
    const Type *x = &e->inputs[0]->type, *wide = &e->outputs[0]->type;
    for (int i = 0; i < axes->count; i++) {
        before[i] = axes->v[i] - (wide->rank - x->rank);
        if (before[i] < 0 || x->dims[before[i]] != wide->dims[axes->v[i]]) return NULL;
    }
    return ir_expand(n->graph, reduce_before(n, e->inputs[0], before), n->outputs[0]->type.rank,
                     n->outputs[0]->type.dims);
}

/* --- views of repeated elements --- */

static Value *view_unexpanded(Node *n) {
    Node *e = ir_producer(n->inputs[0], OP_expand);
    if (!e) return NULL;
    const Type *x = &e->inputs[0]->type, *wide = &e->outputs[0]->type, *to = &n->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    if (!same_but_ones(wide, to->rank, to->dims)) return NULL;
    for (int i = 0, k = 0; i < to->rank; i++) {
        dims[i] = to->dims[i];
        if (ex_is(dims[i], 1)) continue;
        while (ex_is(wide->dims[k], 1)) k++;
        int axis = k++ - (wide->rank - x->rank);
        if (axis < 0 || ex_is(x->dims[axis], 1)) dims[i] = ex_int(n->graph->module->ex, 1);
    }
    return ir_expand(n->graph, ir_view(n->graph, e->inputs[0], to->rank, dims), to->rank, to->dims);
}

Value *canon_unfold(Node *n) {
    switch (n->op) {
    case OP_view: return view_unexpanded(n);
    case OP_reduce_sum:
    case OP_reduce_mean:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_reduce_prod: {
        Value *v = reduce_unfolded(n);
        return v ? v : reduce_unexpanded(n);
    }
    default: return sink_view(n);
    }
}
