/* Encoders of sequences of unequal length: a mask of keys for all attentions, operators of rows
 * between them, and an end that reads all rows, or has no need of padding. */
#include <float.h>
#include "tests/random/random_steps.h"

typedef struct Sequences {
    Maker *k;
    const Expr *batch, *length, *heads, *depth;
    Value *mask; /* bool[b, s] */
    double bound;
} Sequences;

static const Expr *width(const Sequences *z) {
    return ex_mul(z->k->x, z->heads, z->depth);
}

static Value *product(const Sequences *z, Value *x) {
    Maker *k = z->k;
    Item w = random_small(k, random_source(k, TN_F32, 2, (const Expr *[]){width(z), width(z)}));
    return ir_matmul(k->g, x, w.v, false, false);
}

/* Rows as [b, s, h, d], now and then by way of [b s, ..] or with the heads in front. */
static Value *as_heads(const Sequences *z, Value *x) {
    Maker *k = z->k;
    Graph *g = k->g;
    const Expr *dims[] = {z->batch, z->length, z->heads, z->depth};
    const Expr *rows[] = {ex_mul(k->x, z->batch, z->length), width(z)};
    static const int swap[] = {0, 2, 1, 3};
    if (random_often(k, 30)) x = ir_unary(g, OP_neg, ir_view(g, x, 2, rows));
    x = ir_view(g, x, 4, dims);
    if (random_often(k, 70)) return x;
    return ir_transpose(g, ir_unary(g, OP_tanh, ir_transpose(g, x, swap)), swap);
}

static Value *attention(const Sequences *z, Value *q, Value *keys, Value *v, bool own) {
    Maker *k = z->k;
    Value *bias = NULL;
    if (own && random_often(k, 20)) { /* of numbers, or of anything */
        const Expr *one = ex_int(k->x, 1), *dims[] = {one, z->heads, one, one};
        bias = random_often(k, 60) ? random_source(k, TN_F32, 4, dims).v
                                   : random_input(k, TN_F32, 4, dims).v;
    }
    Node *n =
        ir_node(k->g, OP_attention, bias ? 6 : 4, (Value *[]){q, keys, v, z->mask, NULL, bias});
    ir_set_float(n, "scale", 0.25);
    ir_set_float(n, "mask_value", random_often(k, 90) ? -FLT_MAX : -1e4);
    if (random_often(k, 30)) ir_set_string(n, "mode", "select");
    if (own && random_often(k, 20)) ir_set_bool(n, "causal", true);
    if (own && random_often(k, 20)) ir_set_int(n, "left", rng_below(&k->rng, 4));
    return ir_insert(n);
}

/* What stands beside the rows: for each position, each entry, or each row. */
static Value *embedded(const Sequences *z, Value *x) {
    Maker *k = z->k;
    const Expr *one = ex_int(k->x, 1), *dims[] = {z->batch, z->length, width(z)};
    if (random_often(k, 50)) dims[0] = one;
    if (random_often(k, 30)) dims[1] = one;
    bool missing = dims[0] == one && random_often(k, 50);
    Item beside = random_input(k, TN_F32, missing ? 2 : 3, dims + missing);
    return ir_binary(k->g, OP_add, x, beside.v);
}

static Value *layer(const Sequences *z, Value *x) {
    Graph *g = z->k->g;
    const Expr *dims[] = {z->batch, z->length, width(z)};
    Value *y = attention(z, as_heads(z, product(z, x)), as_heads(z, product(z, x)),
                         as_heads(z, product(z, x)), true);
    y = ir_binary(g, OP_add, product(z, ir_view(g, y, 3, dims)), x);
    return ir_layer_norm(g, y, NULL, NULL, 0.125);
}

/* Rows [b, s, e] and what is made of them in the end. */
static Value *end(const Sequences *z, Value *x) {
    Maker *k = z->k;
    Graph *g = k->g;
    const Expr *one = ex_int(k->x, 1), *zero = ex_int(k->x, 0);
    const Expr *dims[] = {z->batch, z->length, one};
    Value *mask = ir_view(g, z->mask, 3, dims);
    int64_t axis = 1;
    switch (rng_below(&k->rng, 5)) {
    case 0: return ir_slice(g, x, 1, zero, one, 1);
    case 1:
        x = ir_binary(g, OP_mul, x, ir_cast(g, mask, TN_F32));
        return ir_reduce(g, OP_reduce_sum, x, 1, &axis, false);
    case 2:
        x = ir_where(g, mask, x, ir_scalar(g, TN_F32, -2));
        return ir_reduce(g, OP_reduce_max, x, 1, &axis, false);
    case 3: {
        const Expr *other[] = {z->batch, random_dim(k), z->heads, z->depth};
        Value *q = random_input(k, TN_F32, 4, other).v, *keys = as_heads(z, x);
        return attention(z, q, keys, as_heads(z, product(z, x)), false);
    }
    default: return x;
    }
}

bool make_sequences(Maker *k, OpKind op) {
    (void)op;
    Sequences z = {.k = k, .batch = random_dim(k), .length = random_dim(k)};
    z.heads = ex_int(k->x, 1 + rng_below(&k->rng, 2));
    z.depth = ex_int(k->x, 4);
    const Expr *dims[] = {z.batch, z.length, width(&z)};
    Value *x = random_input(k, TN_F32, 3, dims).v;
    z.mask = random_input(k, random_often(k, 50) ? TN_BOOL : TN_I64, 2, dims).v;
    z.mask = ir_cast(k->g, z.mask, TN_BOOL);
    if (random_often(k, 60)) x = embedded(&z, x);
    for (int i = rng_below(&k->rng, 2); i >= 0; i--) x = layer(&z, x);
    random_add(k, end(&z, x), 400, false);
    return true;
}
