/* Steps that read and write at places from data, and that order. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

static const char *random_reduction(Maker *k, const Item *x, double *bound, double u, int times) {
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    TnDType t = x->v->type.dtype;
    int i = t == TN_BOOL || tn_is_narrow(t) ? 0 : rng_below(&k->rng, 5);
    double grown = i == 1   ? x->bound + u * times
                   : i == 2 ? x->bound * pow(fmax(u, 1), times)
                            : fmax(x->bound, u);
    if (grown > 100) i = 0, grown = fmax(x->bound, u);
    *bound = grown;
    return names[i];
}

static TnDType index_type(Maker *k) {
    return random_often(k, 30) ? TN_I32 : TN_I64;
}

bool make_scatter_elements(Maker *k, OpKind op) {
    Item x = random_movable(k);
    int axis = random_axis(k, &x), rank = x.v->type.rank;
    int64_t dims[TN_MAX_RANK], length;
    const Expr *d[TN_MAX_RANK];
    if (axis < 0 || !ir_static_dims(&x.v->type, dims) || dims[axis] < 1) return false;
    length = dims[axis];
    for (int i = 0; i < rank; i++) {
        int most = i == axis ? 5 : (int)dims[i];
        if (most > 0 && random_often(k, 50)) dims[i] = 1 + rng_below(&k->rng, most);
        if (i == axis && dims[i] > 5) dims[i] = 5;
        d[i] = ex_int(k->x, dims[i]);
    }
    bool negative = random_often(k, 30);
    Value *index = random_integers(k, index_type(k), negative ? -(int)length : 0,
                                   (int)length * (1 + negative), rank, dims);
    if (length >= 3 && random_often(k, 30)) index = random_input(k, TN_I64, rank, d).v;
    Item u = random_source(k, x.v->type.dtype, rank, d);
    double bound;
    const char *reduction = random_reduction(k, &x, &bound, u.bound, (int)dims[axis]);
    Node *n = ir_node(k->g, op, 3, (Value *[]){x.v, index, u.v});
    ir_set_int(n, "axis", axis);
    ir_set_string(n, "reduction", reduction);
    random_add(k, ir_insert(n), bound,
               x.exact && strcmp(reduction, "mul") != 0 && x.v->type.dtype != TN_BF16);
    return true;
}

bool make_scatter_nd(Maker *k, OpKind op) {
    Item x = random_movable(k);
    int rank = x.v->type.rank, depth = rank ? 1 + rng_below(&k->rng, rank) : 0;
    int points = 1 + rng_below(&k->rng, 2);
    int64_t dims[TN_MAX_RANK], length, smallest = 100;
    const Expr *d[TN_MAX_RANK];
    if (!rank || points + rank - depth > RANDOM_RANK) return false;
    for (int i = 0; i < depth; i++) {
        if (!ex_const(x.v->type.dims[i], &length) || length < 1) return false;
        if (length < smallest) smallest = length;
    }
    for (int i = 0; i < points; i++) {
        dims[i] = 1 + rng_below(&k->rng, 3);
        d[i] = ex_int(k->x, dims[i]);
    }
    dims[points] = depth;
    Value *index = random_integers(k, index_type(k), 0, (int)smallest, points + 1, dims);
    for (int i = depth; i < rank; i++) d[points + i - depth] = x.v->type.dims[i];
    Item u = random_source(k, x.v->type.dtype, points + rank - depth, d);
    double bound;
    const char *reduction = random_reduction(k, &x, &bound, u.bound, 9);
    Node *n = ir_node(k->g, op, 3, (Value *[]){x.v, index, u.v});
    ir_set_string(n, "reduction", reduction);
    random_add(k, ir_insert(n), bound,
               x.exact && strcmp(reduction, "mul") != 0 && x.v->type.dtype != TN_BF16);
    return true;
}

bool make_gather_nd(Maker *k, OpKind op) {
    Item x = random_movable(k);
    int rank = x.v->type.rank;
    if (!rank) return false;
    int batch = rng_below(&k->rng, rank), depth = 1 + rng_below(&k->rng, rank - batch);
    int64_t dims[TN_MAX_RANK], length, smallest = 100;
    const Expr *d[TN_MAX_RANK];
    bool fixed = true;
    for (int i = 0; i < batch + depth; i++) {
        bool known = ex_const(x.v->type.dims[i], &length);
        if (i >= batch && (!known || length < 1)) return false;
        if (i >= batch && length < smallest) smallest = length;
        if (i < batch) dims[i] = length, d[i] = x.v->type.dims[i], fixed = fixed && known;
    }
    int64_t places = 1 + rng_below(&k->rng, 4);
    int last = batch + random_often(k, 70);
    dims[batch] = places;
    d[batch] = ex_int(k->x, places);
    if (last == 0) return false;
    dims[last] = depth;
    d[last] = ex_int(k->x, depth);
    if (last == batch) return false;
    Value *index =
        fixed ? random_integers(k, index_type(k), -(int)smallest, 2 * (int)smallest, last + 1, dims)
        : smallest >= 3 ? random_input(k, TN_I64, last + 1, d).v
                        : NULL;
    if (!index) return false;
    Node *n = ir_node(k->g, op, 2, (Value *[]){x.v, index});
    ir_set_int(n, "batch", batch);
    random_add(k, ir_insert(n), x.bound, x.exact);
    return true;
}

/* The places are used too: gathered, they give the values again. */
bool make_topk(Maker *k, OpKind op) {
    Item x = random_exact(k, 1e4);
    int axis = random_axis(k, &x);
    int64_t length;
    if (axis < 0) return false;
    const Expr *dim = x.v->type.dims[axis];
    bool known = ex_const(dim, &length);
    if (!x.exact || (known && length < 1)) return false;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    ir_set_bool(n, "smallest", random_often(k, 50));
    ir_set_dim(n, "k",
               known                 ? ex_int(k->x, 1 + rng_below(&k->rng, (int)length))
               : random_often(k, 50) ? dim
                                     : ex_int(k->x, 1));
    Value *y = ir_insert(n), *places = y->node->outputs[1];
    random_add(k, y, x.bound, true);
    random_add(k, places, 20, true);
    if (random_often(k, 30)) {
        n = ir_node(k->g, OP_gather_elements, 2, (Value *[]){x.v, places});
        ir_set_int(n, "axis", axis);
        random_add(k, ir_insert(n), x.bound, true);
    }
    return true;
}

/* y[start : start + n] = v along an axis, as exporters write it: through places from an iota. */
bool make_assignment(Maker *k, OpKind op) {
    Item x = random_movable(k);
    int rank = x.v->type.rank;
    int64_t length;
    (void)op;
    if (!rank) return false;
    const Expr *dim = x.v->type.dims[0], *dims[TN_MAX_RANK], *one = ex_int(k->x, 1);
    if (random_often(k, 40)) { /* where a mask holds, elements of another tensor or one number */
        Item mask = random_partner(k, &x.v->type, TN_BOOL);
        Item v = random_partner(k, &x.v->type, x.v->type.dtype);
        Type t = {0};
        ir_broadcast(k->g->module, &mask.v->type, &x.v->type, &t);
        random_add(k, ir_where(k->g, ir_expand(k->g, mask.v, t.rank, t.dims), v.v, x.v),
                   fmax(x.bound, v.bound), x.exact && v.exact);
        return true;
    }
    bool known = ex_const(dim, &length);
    if (known && length < 2) return false;
    memcpy(dims, x.v->type.dims, sizeof dims);
    dims[0] =
        known ? ex_int(k->x, 1 + rng_below(&k->rng, (int)length - 1)) : ex_sub(k->x, dim, one);
    Value *at = ir_iota(k->g, TN_I64, dims[0], random_often(k, 50) ? one : ex_int(k->x, 0), one);
    Item u = random_source(k, x.v->type.dtype, rank, dims);
    Node *n = ir_node(k->g, OP_scatter_nd, 3, (Value *[]){x.v, ir_unsqueeze(k->g, at, 1), u.v});
    random_add(k, ir_insert(n), fmax(x.bound, u.bound), x.exact);
    return true;
}
