/* Chains in which the memory order of values matters: operators that have one of their own between
 * transposes, views, concatenations and borders. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

static void random_perm(Maker *k, int rank, int *perm) {
    for (int i = 0; i < rank; i++) {
        int j = rng_below(&k->rng, i + 1);
        perm[i] = perm[j];
        perm[j] = i;
    }
}

/* x beside others of its shape: computed from it, moved, or the same again. */
static Value *beside(Maker *k, Value *x) {
    Graph *g = k->g;
    int axis = rng_below(&k->rng, x->type.rank);
    Value *parts[3] = {x, ir_unary(g, OP_tanh, x),
                       random_often(k, 30) ? x : ir_unary(g, OP_neg, x)};
    int n = 2 + random_often(k, 40), shift = rng_below(&k->rng, n);
    Value *turned[3];
    for (int i = 0; i < n; i++) turned[i] = parts[(i + shift) % n];
    return ir_concat(g, n, turned, axis);
}

static Value *bordered(Maker *k, Value *x) {
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) {
        before[i] = ex_int(k->x, random_often(k, 40));
        after[i] = ex_int(k->x, random_often(k, 40) ? 2 : 0);
    }
    Node *n = ir_node(k->g, OP_pad, 1, &x);
    ir_set_dims(n, "before", x->type.rank, before);
    ir_set_dims(n, "after", x->type.rank, after);
    return ir_insert(n);
}

static Value *times_matrix(Maker *k, Value *x) {
    int64_t width;
    const Expr *last = x->type.dims[x->type.rank - 1];
    if (!ex_const(last, &width) || width < 1 || width > 32) return x;
    const Expr *dims[] = {last, ex_int(k->x, 4)};
    return ir_unary(k->g, OP_tanh,
                    ir_matmul(k->g, x, random_source(k, x->type.dtype, 2, dims).v, 0, 0));
}

static Value *resampled(Maker *k, Value *x) {
    int axis = 1 + rng_below(&k->rng, x->type.rank - 1);
    Node *n = ir_node(k->g, OP_resize, 1, &x);
    ir_set_int(n, "axis", axis);
    ir_set_dim(n, "length", ex_add(k->x, x->type.dims[axis], ex_int(k->x, 2)));
    return ir_insert(n);
}

static Value *normed(Maker *k, Value *x) {
    const Expr *last = x->type.dims[x->type.rank - 1];
    Value *gamma = random_source(k, x->type.dtype, 1, &last).v;
    Value *beta = random_source(k, x->type.dtype, 1, &last).v;
    return ir_layer_norm(k->g, x, gamma, beta, 0.125);
}

/* Channels first: a convolution of 1 or 3 taps along each of the other axes. */
static Value *convolved(Maker *k, Value *x) {
    int64_t channels;
    int spatial = x->type.rank - 2, taps = random_often(k, 50) ? 3 : 1;
    const Expr *dims[TN_MAX_RANK];
    int64_t ones[2 * TN_MAX_RANK], pads[2 * TN_MAX_RANK];
    if (spatial < 1 || spatial > 3 || !ex_const(x->type.dims[1], &channels)) return x;
    if (channels < 1 || channels > 16) return x;
    bool each = random_often(k, 40); /* a channel by itself */
    dims[0] = ex_int(k->x, each ? channels : 4);
    dims[1] = ex_int(k->x, each ? 1 : channels);
    for (int i = 0; i < spatial; i++) dims[2 + i] = ex_int(k->x, taps);
    for (int i = 0; i < 2 * spatial; i++) pads[i] = taps / 2, ones[i] = 1;
    Value *in[] = {x, random_source(k, x->type.dtype, x->type.rank, dims).v};
    Node *n = ir_node(k->g, OP_conv, 2, in);
    ir_set_ints(n, "strides", spatial, ones);
    ir_set_ints(n, "pads", 2 * spatial, pads);
    ir_set_ints(n, "dilations", spatial, ones);
    ir_set_int(n, "groups", each ? channels : 1);
    return ir_unary(k->g, OP_tanh, ir_insert(n));
}

/* Channels first: windows of 2 that leave the lengths as they are. */
static Value *pooled(Maker *k, Value *x) {
    int spatial = x->type.rank - 2;
    const Expr *begins[TN_MAX_RANK], *ends[TN_MAX_RANK];
    int64_t ones[TN_MAX_RANK], twos[TN_MAX_RANK];
    if (spatial < 1 || spatial > 3) return x;
    for (int i = 0; i < spatial; i++) {
        begins[i] = ex_int(k->x, 1);
        ends[i] = ex_int(k->x, 0);
        ones[i] = 1;
        twos[i] = 2;
    }
    Node *n = ir_node(k->g, OP_pool, 1, &x);
    ir_set_string(n, "mode", random_often(k, 50) ? "max" : "avg");
    ir_set_bool(n, "count_pads", random_often(k, 50));
    ir_set_dims(n, "dims", spatial, &x->type.dims[2]);
    ir_set_dims(n, "begins", spatial, begins);
    ir_set_dims(n, "ends", spatial, ends);
    ir_set_ints(n, "kernel", spatial, twos);
    ir_set_ints(n, "strides", spatial, ones);
    ir_set_ints(n, "dilations", spatial, ones);
    return ir_insert(n);
}

static Value *turned(Maker *k, Value *x) {
    const Type *t = &x->type;
    const Expr *dims[TN_MAX_RANK];
    int perm[TN_MAX_RANK], rank = t->rank;
    if (random_often(k, 70) || rank < 3) {
        random_perm(k, rank, perm);
        bool channels_last = rank > 2 && random_often(k, 60);
        for (int i = 1; i < rank && channels_last; i++) perm[i] = i + 1 < rank ? i + 1 : 1;
        if (channels_last) perm[0] = 0;
        return ir_transpose(k->g, x, perm);
    }
    int at = rng_below(&k->rng, rank - 1);
    memcpy(dims, t->dims, (size_t)rank * sizeof *dims);
    dims[at] = ex_mul(k->x, dims[at], dims[at + 1]);
    memmove(&dims[at + 1], &dims[at + 2], (size_t)(rank - at - 2) * sizeof *dims);
    return ir_view(k->g, x, rank - 1, dims);
}

bool make_layout(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    const Expr *dims[] = {random_dim(k), ex_int(k->x, 2 + rng_below(&k->rng, 3)), random_dim(k),
                          ex_int(k->x, 1 + rng_below(&k->rng, 5))};
    TnDType t = random_often(k, 90) ? TN_F32 : TN_F64;
    Value *x = random_input(k, t, 4, dims).v;
    for (int step = 2 + rng_below(&k->rng, 6); step > 0; step--) {
        switch (rng_below(&k->rng, 10)) {
        case 0: x = beside(k, x); break;
        case 1: x = bordered(k, x); break;
        case 2: x = times_matrix(k, x); break;
        case 3: x = x->type.rank > 1 ? resampled(k, x) : x; break;
        case 4: x = convolved(k, x); break;
        case 5: x = normed(k, x); break;
        case 6: x = pooled(k, x); break;
        case 7: x = ir_unary(g, OP_tanh, ir_binary(g, OP_add, x, x)); break;
        default: x = turned(k, x); break;
        }
        if (random_often(k, 20)) random_add(k, x, 12, false);
    }
    random_add(k, ir_unary(g, OP_tanh, x), 1, false);
    return true;
}
