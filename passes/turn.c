/* Transposes moved inwards: what elementwise operators, views, slices and concatenations give in
 * another order of axes, they give from operands in that order.
 *
 *     transpose(add(x, transpose(y)))             ->  add(transpose(x), y)
 *     transpose(view(x)) [s, t, b] -> [b, s, t]   ->  view(transpose(x))    where the view only
 *                                                     rearranges s and t
 *     transpose(view(matmul(a, b))) [h, s b, t] -> [h, s, b, t] -> [b, h, s, t]
 *                                                 ->  matmul with b among the batch axes
 *
 * A value that others read, too, stays what it is and is transposed. */
#include "passes/turn.h"

bool axis_runs(ExprCx *x, const Type *in, const Type *out, AxisRuns *r) {
    int i = 0, j = 0;
    *r = (AxisRuns){0};
    while (i < in->rank && j < out->rank) {
        const Expr *a = in->dims[i++], *b = out->dims[j++];
        while (a != b) {
            if (ex_is(a, 0) || ex_is(b, 0)) return false;
            bool more_in = !ex_exact_div(x, a, b), more_out = !ex_exact_div(x, b, a);
            if ((more_in && i == in->rank) || (more_out && j == out->rank)) return false;
            if (more_in) a = ex_mul(x, a, in->dims[i++]);
            if (more_out) b = ex_mul(x, b, out->dims[j++]);
        }
        r->in[++r->count] = i;
        r->out[r->count] = j;
    }
    for (; i < in->rank; i++)
        if (!ex_is(in->dims[i], 1)) return false;
    for (; j < out->rank; j++)
        if (!ex_is(out->dims[j], 1)) return false;
    r->in[r->count] = in->rank;
    r->out[r->count] = out->rank;
    return r->count > 0;
}

static Value *viewed(Graph *g, Value *v, int rank, const Expr *const *dims) {
    while (v->node && v->node->op == OP_view) v = v->node->inputs[0];
    return ir_view(g, v, rank, dims);
}

/* The nodes made next come from where n came from. */
static void from(Graph *g, const Node *n) {
    ir_origins_from(g, (Node *const[]){n->outputs[0]->node}, 1);
}

/* n with other operands, not yet inserted. */
static Node *copied(Graph *g, const Node *n, Value *const *inputs) {
    Node *copy = ir_node(g, n->op, n->input_count, inputs);
    ir_copy_attrs(copy, n);
    return copy;
}

static void permuted_dims(const Type *t, const int *perm, const Expr **dims) {
    for (int i = 0; i < t->rank; i++) dims[i] = t->dims[perm[i]];
}

static int place_of(const int *perm, int rank, int axis) {
    int i = 0;
    while (i < rank && perm[i] != axis) i++;
    return i;
}

/* --- products --- */

/* Whether the view takes nothing but the rows of the product apart, and `perm` leaves one of their
 * axes in place of the rows. */
static bool splits_rows(const Node *product, const Type *split, const AxisRuns *r,
                        const int *perm) {
    int p = product->outputs[0]->type.rank, rows = p - 2;
    const Type *b = &product->inputs[1]->type;
    if (r->count != p || p < 3 || product->inputs[0]->type.rank != p || b->rank != p) return false;
    for (int i = 0; i < p; i++)
        if (i != rows && r->out[i + 1] - r->out[i] != 1) return false;
    for (int i = 0; i < rows; i++)
        if (b->dims[i] != product->outputs[0]->type.dims[i] ||
            product->inputs[0]->type.dims[i] != b->dims[i])
            return false;
    int last = split->rank - 1, row = perm[last - 1];
    return perm[last] == last && row >= r->out[rows] && row < r->out[rows + 1];
}

/* The product of `view` with the axes of its rows that do not stay rows among the batch axes. */
static Value *turned_product(Graph *g, const Node *view, const AxisRuns *r, const int *perm) {
    Node *product = view->inputs[0]->node;
    if (product->op != OP_matmul || attr_bool(product, "ta") || !ir_single_use(view->inputs[0]))
        return NULL;
    const Type *split = &view->outputs[0]->type;
    if (!splits_rows(product, split, r, perm)) return NULL;
    Value *a = product->inputs[0], *b = product->inputs[1];
    int rank = split->rank, rows = a->type.rank - 2, order[TN_MAX_RANK], count = 0;
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < rank; i++) dims[i] = split->dims[i];
    dims[rank - 1] = a->type.dims[rows + 1];
    a = turned(g, viewed(g, a, rank, dims), perm);
    for (int i = 0; i < rank - 2; i++) {
        bool of_rows = perm[i] >= r->out[rows] && perm[i] < r->out[rows + 1];
        dims[i] = of_rows ? ex_int(g->module->ex, 1) : split->dims[perm[i]];
        if (!of_rows) order[count++] = perm[i] < rows ? perm[i] : 0;
    }
    order[count++] = rows;
    order[count++] = rows + 1;
    dims[rank - 2] = b->type.dims[rows];
    dims[rank - 1] = b->type.dims[rows + 1];
    b = viewed(g, turned(g, b, order), rank, dims);
    from(g, product);
    return ir_matmul(g, a, b, false, attr_bool(product, "tb"));
}

/* Batch axes in another order, and rows and columns, too: (a b)' = b' a'. Products with constants
 * stay, they are linear layers. */
static Value *turned_matmul(Graph *g, const Node *n, const int *perm) {
    int rank = n->outputs[0]->type.rank, batch[TN_MAX_RANK];
    Value *a = n->inputs[0], *b = n->inputs[1];
    if (a->constant || b->constant || a->type.rank != rank || b->type.rank != rank) return NULL;
    if (perm[rank - 1] < rank - 2 || perm[rank - 2] < rank - 2) return NULL;
    for (int i = 0; i < rank; i++) batch[i] = i < rank - 2 ? perm[i] : i;
    a = turned(g, a, batch);
    b = turned(g, b, batch);
    from(g, n);
    bool ta = attr_bool(n, "ta"), tb = attr_bool(n, "tb");
    return perm[rank - 1] == rank - 1 ? ir_matmul(g, a, b, ta, tb) : ir_matmul(g, b, a, !tb, !ta);
}

/* --- moves --- */

static Value *turned_view(Graph *g, const Node *view, const int *perm) {
    Value *x = view->inputs[0];
    const Type *t = &view->outputs[0]->type;
    AxisRuns r;
    int before[TN_MAX_RANK], count = 0;
    const Expr *dims[TN_MAX_RANK];
    if (!axis_runs(g->module->ex, &x->type, t, &r)) return NULL;
    permuted_dims(t, perm, dims);
    for (int i = 0; i < t->rank;) {
        int k = 0;
        while (k < r.count && r.out[k] != perm[i]) k++;
        if (k == r.count) return x->node ? turned_product(g, view, &r, perm) : NULL;
        for (int j = r.out[k]; j < r.out[k + 1]; j++, i++)
            if (i == t->rank || perm[i] != j)
                return x->node ? turned_product(g, view, &r, perm) : NULL;
        for (int j = r.in[k]; j < r.in[k + 1]; j++) before[count++] = j;
    }
    x = turned(g, x, before);
    from(g, view);
    return viewed(g, x, t->rank, dims);
}

static Value *turned_transpose(Graph *g, const Node *n, const int *perm) {
    const IntList *first = attr_ints(n, "perm");
    int both[TN_MAX_RANK];
    bool same = true;
    for (int i = 0; i < first->count; i++) {
        both[i] = (int)first->v[perm[i]];
        same = same && both[i] == i;
    }
    return same ? n->inputs[0] : turned(g, n->inputs[0], both);
}

static Value *turned_concat(Graph *g, const Node *n, const int *perm) {
    int rank = n->outputs[0]->type.rank;
    Value **x = ARENA_ARRAY(&g->module->cx->arena, Value *, (size_t)n->input_count);
    for (int i = 0; i < n->input_count; i++) x[i] = turned(g, n->inputs[i], perm);
    from(g, n);
    return ir_concat(g, n->input_count, x, place_of(perm, rank, (int)attr_int(n, "axis")));
}

static Value *turned_slice(Graph *g, const Node *n, const int *perm) {
    int axis = place_of(perm, n->outputs[0]->type.rank, (int)attr_int(n, "axis"));
    Value *x = turned(g, n->inputs[0], perm);
    from(g, n);
    return ir_slice(g, x, axis, attr_dim(n, "start"), attr_dim(n, "length"), attr_int(n, "step"));
}

static Value *turned_pad(Graph *g, const Node *n, const int *perm) {
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    const Expr *b[TN_MAX_RANK], *a[TN_MAX_RANK];
    for (int i = 0; i < before->count; i++) {
        b[i] = before->e[perm[i]];
        a[i] = after->e[perm[i]];
    }
    Value *in[2] = {turned(g, n->inputs[0], perm), n->input_count > 1 ? n->inputs[1] : NULL};
    from(g, n);
    Node *pad = copied(g, n, in);
    ir_set_dims(pad, "before", before->count, b);
    ir_set_dims(pad, "after", after->count, a);
    return ir_insert(pad);
}

static Value *turned_expand(Graph *g, const Node *n, const int *perm) {
    const Type *t = &n->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    if (n->inputs[0]->type.rank != t->rank) return NULL;
    permuted_dims(t, perm, dims);
    Value *x = turned(g, n->inputs[0], perm);
    from(g, n);
    return ir_expand(g, x, t->rank, dims);
}

static Value *turned_splat(Graph *g, const Node *n, const int *perm) {
    const Type *t = &n->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    permuted_dims(t, perm, dims);
    from(g, n);
    Node *splat = copied(g, n, NULL);
    ir_set_dims(splat, "dims", t->rank, dims);
    return ir_insert(splat);
}

/* --- elementwise operators --- */

/* An operand of lower rank gets its missing axes first. */
static Value *turned_operand(Graph *g, Value *x, int rank, const int *perm) {
    const Expr *dims[TN_MAX_RANK], *one = ex_int(g->module->ex, 1);
    bool single = true;
    for (int i = 0; i < rank; i++) {
        int axis = i - (rank - x->type.rank);
        dims[i] = axis < 0 ? one : x->type.dims[axis];
        single = single && dims[i] == one;
    }
    if (single) return x;
    return turned(g, ir_view(g, x, rank, dims), perm);
}

static Value *turned_elementwise(Graph *g, const Node *n, const int *perm) {
    Value *in[3];
    if (n->input_count > 3) return NULL;
    for (int i = 0; i < n->input_count; i++)
        in[i] = turned_operand(g, n->inputs[i], n->outputs[0]->type.rank, perm);
    from(g, n);
    return ir_insert(copied(g, n, in));
}

static Value *turned_node(Graph *g, const Node *n, const int *perm) {
    bool single = ir_single_use(n->outputs[0]);
    if (ir_op_info(n->op)->flags & OPF_ELEMENTWISE)
        return single ? turned_elementwise(g, n, perm) : NULL;
    switch (n->op) {
    case OP_view: return turned_view(g, n, perm);
    case OP_transpose: return turned_transpose(g, n, perm);
    case OP_slice: return turned_slice(g, n, perm);
    case OP_expand: return turned_expand(g, n, perm);
    case OP_splat: return turned_splat(g, n, perm);
    case OP_matmul: return single ? turned_matmul(g, n, perm) : NULL;
    case OP_concat: return single ? turned_concat(g, n, perm) : NULL;
    case OP_pad: return single ? turned_pad(g, n, perm) : NULL;
    default: return NULL;
    }
}

Value *turned(Graph *g, Value *v, const int *perm) {
    Value *y = v->node ? turned_node(g, v->node, perm) : NULL;
    if (y) return y;
    if (v->node) from(g, v->node);
    return ir_transpose(g, v, perm);
}
