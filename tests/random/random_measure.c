/* Steps whose results have a length that only a run knows. */
#include "tests/random/random_steps.h"

static Item random_mask(Maker *k, int rank, const Expr *const *dims) {
    return random_source(k, TN_BOOL, rank, dims);
}

/* How many elements of the mask are true, as a symbol. */
static const Expr *count_true(Maker *k, Value *mask) {
    int64_t axes[TN_MAX_RANK];
    for (int i = 0; i < mask->type.rank; i++) axes[i] = i;
    Value *n = ir_cast(k->g, mask, TN_I64);
    if (mask->type.rank) n = ir_reduce(k->g, OP_reduce_sum, n, mask->type.rank, axes, false);
    const Expr *e = random_measured(k, INT64_MAX);
    ir_measure(k->g, n, 1, &e);
    return e;
}

static Value *nonzero(Maker *k, Value *mask, const Expr *count) {
    Node *n = ir_node(k->g, OP_nonzero, 1, &mask);
    ir_set_dim(n, "count", count);
    return ir_insert(n);
}

/* Coordinates, and what a tensor of the mask's shape has there; or rows where a vector holds. */
bool make_nonzero(Maker *k, OpKind op) {
    Item x = random_movable(k);
    const Type *t = &x.v->type;
    static const int perm[] = {1, 0};
    (void)op;
    if (!t->rank) return false;
    if (random_often(k, 40)) { /* compress along an axis */
        int axis = random_axis(k, &x);
        Item mask = random_mask(k, 1, &t->dims[axis]);
        const Expr *m = count_true(k, mask.v);
        Value *at = ir_view(k->g, nonzero(k, mask.v, m), 1, &m);
        random_add(k, at, 20, true);
        random_add(k, ir_gather(k->g, x.v, at, axis), x.bound, x.exact);
        return true;
    }
    Item mask = random_mask(k, t->rank, t->dims);
    Value *at = nonzero(k, mask.v, count_true(k, mask.v));
    random_add(k, at, 20, true);
    Value *y =
        ir_insert(ir_node(k->g, OP_gather_nd, 2, (Value *[]){x.v, ir_transpose(k->g, at, perm)}));
    random_add(k, y, x.bound, x.exact);
    if (random_often(k, 30)) { /* written back */
        y = ir_insert(
            ir_node(k->g, OP_scatter_nd, 3, (Value *[]){x.v, ir_transpose(k->g, at, perm), y}));
        random_add(k, y, x.bound, x.exact);
    }
    return true;
}

bool make_unique(Maker *k, OpKind op) {
    Item x = random_exact(k, 1e4);
    int axis = random_axis(k, &x);
    if (axis < 0 || !x.exact) return false;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    ir_set_bool(n, "unsorted", random_often(k, 50));
    Value *first = ir_insert(n);
    n = first->node;
    const Expr *m = random_measured(k, INT64_MAX), *zero = ex_int(k->x, 0);
    ir_measure(k->g, n->outputs[3], 1, &m);
    Value *at = ir_slice(k->g, first, 0, zero, m, 1);
    random_add(k, n->outputs[1], 20, true);
    random_add(k, ir_slice(k->g, n->outputs[2], 0, zero, m, 1), 20, true);
    random_add(k, ir_gather(k->g, x.v, at, axis), x.bound, true);
    return true;
}

bool make_nms(Maker *k, OpKind op) {
    ExprCx *x = k->x;
    const Expr *boxes[] = {random_dim(k), random_dim(k), ex_int(x, 4)}, *one = ex_int(x, 1);
    const Expr *scores[] = {boxes[0], random_dim(k), boxes[1]};
    Value *most = ir_view(k->g, ir_scalar_int(k->g, TN_I64, 1 + rng_below(&k->rng, 3)), 1, &one);
    Value *above = ir_view(k->g, ir_scalar(k->g, TN_F32, 0.3), 1, &one);
    Value *least = ir_view(k->g, ir_scalar(k->g, TN_F32, -0.3), 1, &one);
    Value *in[] = {random_input(k, TN_F32, 3, boxes).v, random_input(k, TN_F32, 3, scores).v, most,
                   above, least};
    Node *n = ir_node(k->g, op, random_often(k, 50) ? 5 : 4, in);
    ir_set_dim(n, "limit", random_often(k, 50) ? boxes[1] : ex_int(x, 2));
    ir_set_bool(n, "center", random_often(k, 50));
    Value *rows = ir_insert(n);
    const Expr *m = random_measured(k, INT64_MAX);
    ir_measure(k->g, rows->node->outputs[1], 1, &m);
    random_add(k, ir_slice(k->g, rows, 0, ex_int(x, 0), m, 1), 20, true);
    return true;
}

/* Numbers from data as start, length and dims. */
bool make_measure(Maker *k, OpKind op) {
    Item x = random_movable(k);
    int axis = random_axis(k, &x);
    (void)op;
    if (axis < 0 || x.v->type.rank >= RANDOM_RANK) return false;
    const Expr *dim = x.v->type.dims[axis], *two = ex_int(k->x, 2);
    const Expr *e[] = {random_measured(k, 2), random_measured(k, 2)};
    Item n = random_input(k, TN_I64, 1, &two);
    random_add(k, ir_measure(k->g, n.v, 2, e), 2, true);
    const Expr *start = ex_min(k->x, ex_norm(k->x, e[0]), dim);
    const Expr *length = ex_sub(k->x, dim, start);
    if (random_often(k, 50)) length = ex_min(k->x, length, ex_norm(k->x, e[1]));
    Value *y = ir_slice(k->g, x.v, axis, start, length, 1);
    Item part = random_add(k, y, x.bound, x.exact);
    if (random_often(k, 40)) {
        const Expr *dims[TN_MAX_RANK] = {ex_norm(k->x, e[1])};
        for (int i = 0; i < y->type.rank; i++) dims[i + 1] = y->type.dims[i];
        random_add(k, ir_expand(k->g, part.v, y->type.rank + 1, dims), x.bound, x.exact);
    }
    return true;
}
