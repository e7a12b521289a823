/* Steps that move elements. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

bool make_view(Maker *k, OpKind op) {
    (void)op;
    Item x = random_movable(k);
    const Type *t = &x.v->type;
    const Expr *dims[TN_MAX_RANK];
    int rank = t->rank;
    if (!rank) return false;
    int at = rng_below(&k->rng, rank);
    memcpy(dims, t->dims, (size_t)rank * sizeof *dims);
    int64_t length;
    if (random_often(k, 50) && at + 1 < rank) { /* merge two axes */
        dims[at] = ex_mul(k->x, dims[at], dims[at + 1]);
        memmove(&dims[at + 1], &dims[at + 2], (size_t)(rank - at - 2) * sizeof *dims);
        rank--;
    } else if (ex_const(dims[at], &length) && length % 2 == 0 &&
               rank < RANDOM_RANK) { /* split one */
        memmove(&dims[at + 1], &dims[at], (size_t)(rank - at) * sizeof *dims);
        dims[at] = ex_int(k->x, 2);
        dims[at + 1] = ex_int(k->x, length / 2);
        rank++;
    } else if (rank < RANDOM_RANK) { /* a new one of length 1 */
        memmove(&dims[at + 1], &dims[at], (size_t)(rank - at) * sizeof *dims);
        dims[at] = ex_int(k->x, 1);
        rank++;
    }
    random_add(k, ir_view(k->g, x.v, rank, dims), x.bound, x.exact);
    return true;
}

bool make_transpose(Maker *k, OpKind op) {
    (void)op;
    Item x = random_movable(k);
    int perm[TN_MAX_RANK], rank = x.v->type.rank;
    for (int i = 0; i < rank; i++) {
        int j = rng_below(&k->rng, i + 1);
        perm[i] = perm[j];
        perm[j] = i;
    }
    if (rank < 2) return false;
    random_add(k, ir_transpose(k->g, x.v, perm), x.bound, x.exact);
    return true;
}

bool make_expand(Maker *k, OpKind op) {
    (void)op;
    Item x = random_movable(k);
    const Type *t = &x.v->type;
    const Expr *dims[TN_MAX_RANK];
    int more = t->rank < RANDOM_RANK ? rng_below(&k->rng, 2) : 0;
    if (more) dims[0] = random_dim(k);
    for (int i = 0; i < t->rank; i++)
        dims[more + i] = ex_is(t->dims[i], 1) && random_often(k, 60) ? random_dim(k) : t->dims[i];
    random_add(k, ir_expand(k->g, x.v, t->rank + more, dims), x.bound, x.exact);
    return true;
}

bool make_slice(Maker *k, OpKind op) {
    (void)op;
    Item x = random_movable(k);
    int axis = random_axis(k, &x);
    int64_t length;
    if (axis < 0) return false;
    const Expr *dim = x.v->type.dims[axis];
    if (!ex_const(dim, &length)) { /* all but the first or the last */
        const Expr *less = ex_sub(k->x, dim, ex_int(k->x, 1)), *zero = ex_int(k->x, 0);
        bool backwards = random_often(k, 30);
        const Expr *at = backwards ? less : random_often(k, 50) ? zero : ex_int(k->x, 1);
        random_add(k, ir_slice(k->g, x.v, axis, at, less, backwards ? -1 : 1), x.bound, x.exact);
        return true;
    }
    if (length < 1) return false;
    int64_t start = rng_below(&k->rng, (int)length);
    bool backwards = random_often(k, 25);
    int64_t step = backwards ? -1 - rng_below(&k->rng, 2) : 1 + rng_below(&k->rng, 2);
    int64_t most = (backwards ? start : length - 1 - start) / (backwards ? -step : step) + 1;
    const Expr *taken = ex_int(k->x, 1 + rng_below(&k->rng, (int)most));
    random_add(k, ir_slice(k->g, x.v, axis, ex_int(k->x, start), taken, step), x.bound, x.exact);
    return true;
}

bool make_concat(Maker *k, OpKind op) {
    (void)op;
    Item x = random_movable(k);
    int axis = random_axis(k, &x);
    if (axis < 0) return false;
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, x.v->type.dims, sizeof dims);
    dims[axis] = random_dim(k);
    Item y = random_source(k, x.v->type.dtype, x.v->type.rank, dims);
    Value *const parts[] = {x.v, random_often(k, 20) ? x.v : y.v, x.v, y.v};
    int n = 2 + random_often(k, 30) + random_often(k, 20);
    random_add(k, ir_concat(k->g, n, parts, axis), fmax(x.bound, y.bound), x.exact && y.exact);
    return true;
}

/* By a constant; importers write the other modes and computed values with other operators. */
bool make_pad(Maker *k, OpKind op) {
    Item x = random_movable(k);
    const Type *t = &x.v->type;
    int rank = t->rank;
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK];
    bool cut = random_often(k, 20);
    for (int i = 0; i < rank; i++) {
        before[i] = ex_int(k->x, rng_below(&k->rng, 3) - cut);
        after[i] = ex_int(k->x, rng_below(&k->rng, 3) - cut);
    }
    if (!rank) return false;
    int64_t none = 0;
    Value *in[] = {x.v, NULL};
    if (random_often(k, 50)) in[1] = random_constant(k, t->dtype, 0, &none).v;
    Node *n = ir_node(k->g, op, in[1] ? 2 : 1, in);
    ir_set_dims(n, "before", rank, before);
    ir_set_dims(n, "after", rank, after);
    random_add(k, ir_insert(n), fmax(x.bound, 2), x.exact);
    return true;
}

/* Indices below `length`: a constant vector. */
static Value *indices(Maker *k, int64_t length, int rank, const int64_t *dims) {
    int64_t count = 1, *data;
    for (int i = 0; i < rank; i++) count *= dims[i];
    data = arena_array(&k->g->module->cx->arena, (size_t)count + 1, sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = rng_below(&k->rng, (int)length) - (random_often(k, 30) ? length : 0);
    return ir_tensor(k->g, NULL, TN_I64, rank, dims, data);
}

bool make_gather(Maker *k, OpKind op) {
    Item x = random_movable(k);
    int axis = random_axis(k, &x);
    int64_t length, dims[TN_MAX_RANK];
    if (axis < 0 || !ex_const(x.v->type.dims[axis], &length) || length < 1) return false;
    if (op == OP_gather) {
        int rank = rng_below(&k->rng, 3);
        for (int i = 0; i < rank; i++) dims[i] = 1 + rng_below(&k->rng, 4);
        if (x.v->type.rank - 1 + rank > RANDOM_RANK) return false;
        random_add(k, ir_gather(k->g, x.v, indices(k, length, rank, dims), axis), x.bound, x.exact);
        return true;
    }
    if (!ir_static_dims(&x.v->type, dims)) return false;
    dims[axis] = 1 + rng_below(&k->rng, 5);
    Node *n = ir_node(k->g, op, 2, (Value *[]){x.v, indices(k, length, x.v->type.rank, dims)});
    ir_set_int(n, "axis", axis);
    random_add(k, ir_insert(n), x.bound, x.exact);
    return true;
}
