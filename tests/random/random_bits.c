/* Steps on the bits of integers, and on types that are stored but not computed with. */
#include <math.h>
#include "tests/random/random_steps.h"

static Item random_int(Maker *k, double bound) {
    static const TnDType types[] = {TN_I8, TN_U8, TN_I16, TN_U16, TN_I32, TN_U32, TN_I64, TN_U64};
    Item x = random_any(k);
    if (tn_is_int(x.v->type.dtype) && x.bound <= bound) return x;
    return random_partner(k, &x.v->type, types[rng_below(&k->rng, 8)]);
}

bool make_bits(Maker *k, OpKind op) { /* and, or, xor */
    Item x = random_int(k, 50), y = random_partner(k, &x.v->type, x.v->type.dtype);
    if (y.bound > 50) return false;
    double bound = 2 * fmax(x.bound, y.bound) + 1;
    random_add(k, ir_binary(k->g, op, x.v, y.v), bound, true);
    return true;
}

bool make_bit_not(Maker *k, OpKind op) { /* of unsigned types large: taken apart again */
    Item x = random_int(k, 50);
    Value *y = ir_unary(k->g, op, x.v);
    if (tn_dtype_class(x.v->type.dtype) == TN_CLASS_UINT)
        y = ir_binary(k->g, OP_bit_and, y, ir_scalar_int(k->g, x.v->type.dtype, 7));
    random_add(k, y, fmax(x.bound + 1, 7), true);
    return true;
}

bool make_shift(Maker *k, OpKind op) { /* by a constant, too large or negative now and then */
    static const int by[] = {0, 1, 2, 3, 1, 70, -1};
    Item x = random_int(k, 12);
    TnDType t = x.v->type.dtype;
    int n = by[rng_below(&k->rng, tn_dtype_class(t) == TN_CLASS_UINT ? 6 : 7)];
    Value *y = ir_binary(k->g, op, x.v, ir_scalar_int(k->g, t, n));
    random_add(k, y, x.bound * 8 + 1, true);
    return true;
}

/* To a type of the same width, moved, and back. */
bool make_bitcast(Maker *k, OpKind op) {
    static const TnDType of_width[][3] = {{TN_I8, TN_U8, TN_F8E5M2},
                                          {TN_I16, TN_U16, TN_F16},
                                          {TN_I32, TN_U32, TN_F32},
                                          {TN_I64, TN_U64, TN_F64}};
    Item x = random_int(k, 100);
    TnDType t = x.v->type.dtype;
    int row = tn_dtype_size(t) == 1 ? 0 : tn_dtype_size(t) == 2 ? 1 : tn_dtype_size(t) == 4 ? 2 : 3;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_dtype(n, "to", of_width[row][rng_below(&k->rng, 3)]);
    Value *y = ir_insert(n);
    if (y->type.rank > 1 && random_often(k, 50)) {
        int perm[TN_MAX_RANK];
        for (int i = 0; i < y->type.rank; i++) perm[i] = y->type.rank - 1 - i;
        y = ir_transpose(k->g, y, perm);
    }
    n = ir_node(k->g, op, 1, &y);
    ir_set_dtype(n, "to", t);
    random_add(k, ir_insert(n), x.bound, true);
    return true;
}

/* Into a narrow type; whoever computes with it widens it again. */
bool make_narrow(Maker *k, OpKind op) {
    static const TnDType types[] = {TN_F8E4M3FN, TN_F8E4M3FNUZ, TN_F8E5M2, TN_F8E5M2FNUZ,
                                    TN_F4E2M1,   TN_I4,         TN_U4,     TN_I2,
                                    TN_U2,       TN_F8E8M0};
    TnDType t = types[rng_below(&k->rng, 10)];
    Item x = random_exact(k, 60);
    (void)op;
    if (t == TN_F8E8M0) x = random_add(k, random_positive(k, random_cast(k, x, TN_F32)), 60, true);
    Value *y = ir_cast(k->g, x.v, t);
    random_add(k, y, fmax(x.bound * 2, 4), true);
    return true;
}

static Item random_bytes(Maker *k, int rank, const Expr *const *dims) {
    return random_source(k, random_often(k, 50) ? TN_U8 : TN_I8, rank, dims);
}

static Value *random_zero(Maker *k, TnDType t, int rank, const Expr *const *dims, int axis) {
    if (random_often(k, 40)) return NULL;
    const Expr *d[TN_MAX_RANK];
    for (int i = 0; i < rank; i++) d[i] = i == axis ? dims[i] : ex_int(k->x, 1);
    return random_source(k, t, random_often(k, 50) ? 0 : rank, d).v;
}

bool make_matmul_int(Maker *k, OpKind op) {
    const Expr *b = random_dim(k), *m = random_dim(k), *inner = random_dim(k), *n = random_dim(k);
    const Expr *left[] = {b, m, inner}, *right[] = {b, inner, n};
    int batched = random_often(k, 30);
    Item x = random_bytes(k, 3, left), w = random_bytes(k, 2 + batched, right + 1 - batched);
    Value *in[] = {x.v, w.v, random_zero(k, x.v->type.dtype, 3, left, 1),
                   random_zero(k, w.v->type.dtype, 2, right + 1, 1)};
    Value *y = ir_insert(ir_node(k->g, op, in[3] ? 4 : in[2] ? 3 : 2, in));
    random_add(k, y, 4 * 4 * 20, true);
    if (random_often(k, 60))
        random_add(
            k, ir_binary(k->g, OP_mul, ir_cast(k->g, y, TN_F32), ir_scalar(k->g, TN_F32, 0.0625)),
            20, false);
    return true;
}

/* Quantised to bytes and back: the chain around operators in quantised models. */
bool make_quantized(Maker *k, OpKind op) {
    static const TnDType types[] = {TN_U8, TN_I8, TN_U16, TN_I16};
    Item x = random_cast(k, random_exact(k, 30), TN_F32);
    if (!x.exact) return false;
    TnDType t = types[rng_below(&k->rng, 4)];
    Graph *g = k->g;
    int zero = tn_dtype_class(t) == TN_CLASS_UINT ? 120 : rng_below(&k->rng, 5);
    Value *scale = ir_scalar(g, TN_F32, 0.25), *y = ir_binary(g, OP_div, x.v, scale);
    (void)op;
    y = ir_binary(g, OP_add, ir_unary(g, OP_round, y), ir_scalar(g, TN_F32, zero));
    if (random_often(k, 50)) {
        y = ir_binary(g, OP_max, y,
                      ir_scalar(g, TN_F32, tn_dtype_class(t) == TN_CLASS_UINT ? 0 : -128));
        y = ir_binary(g, OP_min, y, ir_scalar(g, TN_F32, 127 + zero));
    }
    y = ir_cast(g, y, t);
    Item q = random_add(k, y, 255, true);
    y = ir_cast(g, q.v, random_often(k, 50) ? TN_I32 : TN_F32);
    y = ir_binary(g, OP_sub, y,
                  tn_is_float(y->type.dtype) ? ir_scalar(g, TN_F32, zero)
                                             : ir_scalar_int(g, TN_I32, zero));
    y = ir_cast(g, y, TN_F32);
    random_add(k, ir_binary(g, OP_mul, y, scale), 70, true);
    return true;
}
