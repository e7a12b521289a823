/* Identities of operators that only move elements, and products that take them up.
 *
 *     view(view(x)) -> view(x)                       transpose(transpose(x)) -> transpose(x)
 *     slice(slice(x)) -> slice(x)                    gather(x, known index) -> view(slice(x))
 *     matmul(a, transpose(b)) -> matmul{tb}(a, b)    transpose(view(transpose(x))) -> one of each
 *     roll(roll(x)) -> roll(x)                       along different axes
 *     view(matmul(view(x), constant)) -> matmul(view(x), constant)     rows split as they were
 *     transpose(f(transpose(x), m)) -> f(transpose(x), transpose(m))   where m is smaller than x
 */
#include "passes/canon.h"

static bool swaps_last(const Node *n) {
    const IntList *perm = attr_ints(n, "perm");
    int r = perm->count;
    for (int i = 0; i < r - 2; i++)
        if (perm->v[i] != i) return false;
    return r >= 2 && perm->v[r - 1] == r - 2;
}

/* [b, h, n, d] -> [b h, n, d] -> [b h, d, n] -> [b, h, d, n]: heads that are merged only to swap
 * the last two axes and split again, maybe otherwise, are swapped as they are; or NULL. */
static Value *merged_for_swap(const Node *split) {
    Node *swap = ir_producer(split->inputs[0], OP_transpose);
    Node *merge = swap && swaps_last(swap) ? ir_producer(swap->inputs[0], OP_view) : NULL;
    if (!merge) return NULL;
    const Type *mid = &merge->outputs[0]->type, *to = &split->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    int r = to->rank, perm[TN_MAX_RANK];
    if (r < 2 || mid->dims[mid->rank - 1] != to->dims[r - 2] ||
        mid->dims[mid->rank - 2] != to->dims[r - 1])
        return NULL;
    for (int i = 0; i < r; i++) {
        perm[i] = i < r - 2 ? i : 2 * r - 3 - i;
        dims[i] = to->dims[perm[i]];
    }
    return ir_transpose(split->graph, ir_view(split->graph, merge->inputs[0], r, dims), perm);
}

/* Rows that are merged only for a product with a constant and split again, as einsum has it: the
 * product of the rows as they are. Merged, rows in another order would have to be moved. */
static Value *rows_merged_for_product(const Node *split) {
    Graph *g = split->graph;
    const Node *product = ir_producer(split->inputs[0], OP_matmul);
    const Node *merge = product ? ir_producer(product->inputs[0], OP_view) : NULL;
    const Type *t = &split->outputs[0]->type;
    if (!merge || attr_bool(product, "ta") || !ir_single_use(split->inputs[0])) return NULL;
    const Value *w = product->inputs[1];
    const Type *from = &merge->inputs[0]->type, *rows = &merge->outputs[0]->type;
    if (!w->constant || w->type.rank != 2 || t->rank < 3 || from->rank < t->rank) return NULL;
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < t->rank - 1; i++)
        if ((dims[i] = t->dims[i]) != from->dims[i]) return NULL;
    if (product->outputs[0]->type.dims[rows->rank - 1] != t->dims[t->rank - 1]) return NULL;
    dims[t->rank - 1] = rows->dims[rows->rank - 1];
    Value *x = ir_view(g, merge->inputs[0], t->rank, dims);
    return ir_matmul_like(product, x, product->inputs[1], false, attr_bool(product, "tb"));
}

static Value *simplify_view(Node *n) {
    Value *x = n->inputs[0];
    const Type *t = &n->outputs[0]->type;
    if (ir_same_dims(&x->type, t)) return x;
    Value *product = rows_merged_for_product(n);
    if (product) return product;
    Node *inner = ir_producer(x, OP_view);
    if (inner) return ir_view(n->graph, inner->inputs[0], t->rank, t->dims);
    return merged_for_swap(n);
}

bool canon_merges(const Node *n, int *from) {
    ExprCx *ex = n->graph->module->ex;
    const Type *x = &n->inputs[0]->type, *view = &n->outputs[0]->type;
    int i = 0;
    for (int j = 0; j < view->rank; j++) {
        if (i == x->rank) return false;
        from[j] = i;
        const Expr *d = x->dims[i++];
        while (d != view->dims[j] && i < x->rank) d = ex_mul(ex, d, x->dims[i++]);
        if (d != view->dims[j]) return false;
    }
    from[view->rank] = i;
    return i == x->rank;
}

/* transpose(view(transpose(x))) = transpose(view(x)) if the axes that the view merges lie side by
 * side in x, too: x, the view's dims and the permutation `both`. */
typedef struct Merged {
    Value *x;
    int rank, both[TN_MAX_RANK];
    const Expr *dims[TN_MAX_RANK];
} Merged;

static bool merge_before_transpose(const Node *view, const int64_t *last, Merged *m) {
    const Node *first = ir_producer(view->inputs[0], OP_transpose);
    if (!first) return false;
    const Type *merged = &view->outputs[0]->type;
    const IntList *perm = attr_ints(first, "perm");
    int from[TN_MAX_RANK + 1], place[TN_MAX_RANK];
    *m = (Merged){.x = first->inputs[0]};
    if (!canon_merges(view, from)) return false;
    for (int j = 0; j < merged->rank; j++)
        for (int i = from[j] + 1; i < from[j + 1]; i++)
            if (perm->v[i] != perm->v[i - 1] + 1) return false;
    for (int axis = 0; axis < m->x->type.rank; axis++) /* the merged axes in the order of x */
        for (int j = 0; j < merged->rank; j++)
            if (perm->v[from[j]] == axis) {
                place[j] = m->rank;
                m->dims[m->rank++] = merged->dims[j];
            }
    for (int j = 0; j < m->rank; j++) m->both[j] = place[last[j]];
    return true;
}

static bool is_smaller(const Type *t, const Type *than) {
    for (int i = 0; i < than->rank; i++) {
        int k = i - (than->rank - t->rank);
        if (!ex_is(than->dims[i], 1) && (k < 0 || ex_is(t->dims[k], 1))) return true;
    }
    return false;
}

/* What broadcasts against a tensor of this rank, its axes permuted with that one's. */
static Value *permuted(Graph *g, Value *v, const IntList *perm) {
    const Expr *dims[TN_MAX_RANK];
    int order[TN_MAX_RANK], missing = perm->count - v->type.rank;
    if (v->type.rank == 0) return v;
    for (int i = 0; i < perm->count; i++) {
        dims[i] = i < missing ? ex_int(g->module->ex, 1) : v->type.dims[i - missing];
        order[i] = (int)perm->v[i];
    }
    return ir_transpose(g, ir_view(g, v, perm->count, dims), order);
}

/* transpose(f(transpose(x), m)) = f(transpose(transpose(x)), transpose(m)), where m is smaller than
 * x: a mask in an order of axes of its own. The result, or NULL. */
static Value *order_before(Node *n, Node *f) {
    Value *inputs[3];
    const IntList *perm = attr_ints(n, "perm");
    Node *inner = NULL;
    if (f->input_count < 2 || f->input_count > 3 || !ir_single_use(f->outputs[0])) return NULL;
    for (int i = 0; i < f->input_count; i++) {
        Value *v = inputs[i] = f->inputs[i];
        Node *t = ir_producer(v, OP_transpose);
        if (t && !inner && ir_single_use(v) && ir_same_dims(&v->type, &f->outputs[0]->type))
            inner = t;
        else if (!is_smaller(&v->type, &f->outputs[0]->type))
            return NULL;
    }
    if (!inner) return NULL;
    for (int i = 0; i < f->input_count; i++) inputs[i] = permuted(n->graph, inputs[i], perm);
    Node *ordered = ir_node(n->graph, f->op, f->input_count, inputs);
    ir_copy_attrs(ordered, f);
    return ir_insert(ordered);
}

static Value *simplify_transpose(Node *n) {
    Value *x = n->inputs[0];
    const IntList *perm = attr_ints(n, "perm");
    const Type *t = &n->outputs[0]->type;
    if (ir_keeps_order(n)) return ir_view(n->graph, x, t->rank, t->dims);
    if (x->node && (ir_op_info(x->node->op)->flags & OPF_ELEMENTWISE))
        return order_before(n, x->node);
    Node *view = ir_producer(x, OP_view), *inner = ir_producer(x, OP_transpose);
    Merged m;
    if (view && merge_before_transpose(view, perm->v, &m))
        return ir_transpose(n->graph, ir_view(n->graph, m.x, m.rank, m.dims), m.both);
    if (!inner) return canon_transpose_of_concat(n);
    const IntList *first = attr_ints(inner, "perm");
    int both[TN_MAX_RANK];
    for (int i = 0; i < perm->count; i++) both[i] = (int)first->v[perm->v[i]];
    return ir_transpose(n->graph, inner->inputs[0], both);
}

static Value *simplify_expand(Node *n) {
    Value *x = n->inputs[0];
    const Type *t = &n->outputs[0]->type;
    if (ir_same_dims(&x->type, t)) return x;
    Node *inner = ir_producer(x, OP_expand);
    return inner ? ir_expand(n->graph, inner->inputs[0], t->rank, t->dims) : NULL;
}

static Value *simplify_slice(Node *n) {
    Value *x = n->inputs[0];
    Module *m = n->graph->module;
    int axis = (int)attr_int(n, "axis");
    const Expr *start = attr_dim(n, "start"), *length = attr_dim(n, "length");
    int64_t step = attr_int(n, "step");
    if (step == 1 && ex_norm(m->ex, length) == x->type.dims[axis]) return x;
    Node *inner = ir_producer(x, OP_slice);
    if (!inner || attr_int(inner, "axis") != axis) return canon_slice_of_concat(n);
    int64_t inner_step = attr_int(inner, "step"), total;
    /* nothing of every second one may begin further behind than the axis is long */
    if (inner_step != 1 && !ex_provably_ge(m->ex, length, ex_int(m->ex, 1))) return NULL;
    if (__builtin_mul_overflow(step, inner_step, &total)) return NULL;
    const Expr *offset = ex_scale(m->ex, start, inner_step, 1);
    return ir_slice(n->graph, inner->inputs[0], axis,
                    ex_add(m->ex, attr_dim(inner, "start"), offset), length, total);
}

static Value *simplify_pad(Node *n) {
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    for (int i = 0; i < before->count; i++)
        if (!ex_is(before->e[i], 0) || !ex_is(after->e[i], 0)) return NULL;
    return n->inputs[0];
}

/* Two shifts along different axes are one. */
static Value *simplify_roll(Node *n) {
    const DimList *starts = attr_dims(n, "starts");
    bool nothing = true;
    for (int i = 0; i < starts->count; i++) nothing &= ex_is(starts->e[i], 0);
    if (nothing) return n->inputs[0];
    Node *inner = ir_producer(n->inputs[0], OP_roll);
    const Expr *both[TN_MAX_RANK];
    for (int i = 0; inner && i < starts->count; i++) {
        const Expr *first = attr_dims(inner, "starts")->e[i];
        if (!ex_is(first, 0) && !ex_is(starts->e[i], 0)) return NULL;
        both[i] = ex_is(first, 0) ? starts->e[i] : first;
    }
    if (!inner) return NULL;
    Node *roll = ir_node(n->graph, OP_roll, 1, inner->inputs);
    ir_set_dims(roll, "starts", starts->count, both);
    return ir_insert(roll);
}

static Value *simplify_reduce(Node *n) {
    const IntList *axes = attr_ints(n, "axes");
    const Type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    for (int i = 0; i < axes->count; i++)
        if (!ex_is(x->dims[ir_axis(n->graph->module, axes->v[i], x->rank)], 1)) return NULL;
    return ir_view(n->graph, n->inputs[0], y->rank, y->dims);
}

/* The last axis is called -1, whatever the rank. */
static Value *simplify_softmax(Node *n) {
    if (attr_int(n, "axis") != n->inputs[0]->type.rank - 1) return NULL;
    Node *last = ir_node(n->graph, n->op, 1, n->inputs);
    ir_set_int(last, "axis", -1);
    return ir_insert(last);
}

/* One element picked at a known place is a slice. */
static Value *simplify_gather(Node *n) {
    Value *x = n->inputs[0], *index = n->inputs[1];
    ExprCx *ex = n->graph->module->ex;
    int axis = (int)attr_int(n, "axis");
    if (index->facts.count != 1 || !index->facts.values) return NULL;
    const Expr *start = index->facts.values[0];
    if (ex_mentions(start, ATOM_LOAD)) return NULL;
    if (ex_provably_ge(ex, ex_int(ex, -1), start))
        start = ex_add(ex, start, x->type.dims[axis]);
    else if (!ex_nonneg(ex, start))
        return NULL;
    Value *s = ir_slice(n->graph, x, axis, start, ex_int(ex, 1), 1);
    return ir_view(n->graph, s, n->outputs[0]->type.rank, n->outputs[0]->type.dims);
}

/* v with its last two axes swapped, if that is only a view of what v is a view of a transpose of.
 */
static Value *swapped_is_view(Value *v) {
    Node *view = ir_producer(v, OP_view);
    int64_t swap[TN_MAX_RANK];
    int r = v->type.rank;
    Merged m;
    for (int i = 0; i < r; i++) swap[i] = i < r - 2 ? i : 2 * r - 3 - i;
    if (!view || r < 2 || !merge_before_transpose(view, swap, &m)) return NULL;
    for (int i = 0; i < m.rank; i++)
        if (m.both[i] != i) return NULL;
    return ir_view(v->graph, m.x, m.rank, m.dims);
}

/* What is viewed as one column, [.., k, 1], as a row: of a single key its transpose is a view. */
static Value *column_as_row(Value *v) {
    const Type *t = &v->type;
    const Expr *dims[TN_MAX_RANK];
    int r = t->rank;
    if (!ir_producer(v, OP_view) || r < 2 || !ex_is(t->dims[r - 1], 1) || ex_is(t->dims[r - 2], 1))
        return NULL;
    for (int i = 0; i < r; i++) dims[i] = t->dims[i < r - 2 ? i : 2 * r - 3 - i];
    return ir_view(v->graph, v, r, dims);
}

/* Rows that meet a constant matrix stay rows: the product becomes a linear one. */
static bool keeps_transpose(const Node *n, int i) {
    const Value *b = n->inputs[1];
    return i == 0 && !attr_bool(n, "ta") && b->constant && b->type.rank == 2 &&
           n->inputs[0]->type.rank > 2;
}

static Value *simplify_matmul(Node *n) {
    Graph *g = n->graph;
    Value *operand[2] = {n->inputs[0], n->inputs[1]};
    bool flag[2] = {attr_bool(n, "ta"), attr_bool(n, "tb")}, changed = false;
    for (int i = 0; i < 2; i++) {
        Node *t = ir_producer(operand[i], OP_transpose);
        Value *v = t && swaps_last(t) ? t->inputs[0] : flag[i] ? swapped_is_view(operand[i]) : NULL;
        if (!v && i == 1 && !flag[i]) v = column_as_row(operand[i]);
        if (!v || keeps_transpose(n, i)) continue;
        operand[i] = v;
        flag[i] = !flag[i];
        changed = true;
    }
    if (changed) return ir_matmul_like(n, operand[0], operand[1], flag[0], flag[1]);
    Node *view = ir_producer(operand[0], OP_view);
    if (!view || flag[0] || operand[1]->type.rank != 2 || !operand[1]->constant ||
        !canon_keeps_rows(view))
        return NULL;
    Value *y = ir_matmul_like(n, view->inputs[0], operand[1], false, flag[1]);
    return ir_view(g, y, n->outputs[0]->type.rank, n->outputs[0]->type.dims);
}

Value *canon_simplify_move(Node *n) {
    switch (n->op) {
    case OP_view: return simplify_view(n);
    case OP_transpose: return simplify_transpose(n);
    case OP_expand: return simplify_expand(n);
    case OP_slice: return simplify_slice(n);
    case OP_concat: return canon_concat(n);
    case OP_pad: return simplify_pad(n);
    case OP_roll: return simplify_roll(n);
    case OP_reduce_sum:
    case OP_reduce_mean:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_reduce_prod: return simplify_reduce(n);
    case OP_softmax:
    case OP_log_softmax: return simplify_softmax(n);
    case OP_gather: return simplify_gather(n);
    case OP_matmul: return simplify_matmul(n);
    default: return NULL;
    }
}
