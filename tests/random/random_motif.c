/* Patterns that passes look for, at the edges of their conditions. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

static Item random_rows(Maker *k, int width) { /* [.., width] in f32 */
    const Expr *dims[] = {random_dim(k), random_dim(k), ex_int(k->x, width)};
    int skip = random_often(k, 20);
    return random_input(k, random_often(k, 90) ? TN_F32 : TN_F64, 3 - skip, dims + skip);
}

/* Projections of one value by weights of several widths, with biases or not, split or not. */
bool make_qkv(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    int width = 4 << rng_below(&k->rng, 3), n = 2 + rng_below(&k->rng, 3);
    Item x = random_rows(k, width);
    TnDType t = x.v->type.dtype;
    bool biased = random_often(k, 50), same = random_often(k, 50), tb = random_often(k, 40);
    Value *gate = NULL;
    for (int i = 0; i < n; i++) {
        const Expr *out = ex_int(k->x, same ? width : 1 + rng_below(&k->rng, 20));
        const Expr *in = ex_int(k->x, width), *dims[] = {tb ? out : in, tb ? in : out};
        Item w = random_source(k, t, 2, dims);
        Value *y = ir_matmul(g, x.v, w.v, false, tb);
        if (random_often(k, 10)) biased = !biased;
        if (biased) y = ir_binary(g, OP_add, y, random_source(k, t, 1, &out).v);
        if (random_often(k, 10)) y = ir_unary(g, OP_gelu, y);
        if (random_often(k, 5)) x = random_add(k, ir_unary(g, OP_tanh, x.v), 1, false);
        random_add(k, y, 2.0 * 2 * width + 2, false);
        if (gate && same && random_often(k, 30))
            random_add(k, ir_binary(g, OP_mul, gate, y), 2.0 * 2 * width + 2, false);
        gate = ir_unary(g, random_often(k, 50) ? OP_tanh : OP_sigmoid, y);
        int64_t even;
        if (!ex_const(out, &even) || even % 2 || random_often(k, 60)) continue;
        const Expr *half = ex_int(k->x, even / 2);
        int axis = y->type.rank - 1;
        for (int part = 0; part < 2; part++)
            random_add(k, ir_slice(g, y, axis, part ? half : ex_int(k->x, 0), half, 1),
                       2.0 * 2 * width + 2, false);
    }
    return true;
}

/* Normalisation spelled out, as exporters of old opsets do. */
static Value *spelled_norm(Maker *k, Value *x, bool rms) {
    Graph *g = k->g;
    TnDType t = x->type.dtype;
    int64_t last = random_often(k, 50) ? x->type.rank - 1 : x->type.rank - 1;
    Value *d = x;
    if (!rms) d = ir_binary(g, OP_sub, x, ir_reduce(g, OP_reduce_mean, x, 1, &last, true));
    Value *square = random_often(k, 50) ? ir_binary(g, OP_mul, d, d)
                                        : ir_binary(g, OP_pow, d, ir_scalar(g, t, 2));
    Value *variance = ir_reduce(g, OP_reduce_mean, square, 1, &last, true);
    Value *root = ir_unary(g, OP_sqrt, ir_binary(g, OP_add, variance, ir_scalar(g, t, 0.25)));
    if (random_often(k, 50)) return ir_binary(g, OP_div, d, root);
    return ir_binary(g, OP_mul, d, ir_unary(g, OP_reciprocal, root));
}

/* Residuals of many shapes, summed, normalised, and used again. */
bool make_residual(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    Item x = random_often(k, 50) ? random_small(k, random_float(k)) : random_rows(k, 16);
    if (!x.v->type.rank) return false;
    TnDType t = x.v->type.dtype;
    for (int turn = rng_below(&k->rng, 2); turn >= 0; turn--) {
        Item r = random_partner(k, &x.v->type, t);
        if (r.bound > 100) return false;
        Value *s =
            random_often(k, 50) ? ir_binary(g, OP_add, x.v, r.v) : ir_binary(g, OP_add, r.v, x.v);
        if (random_often(k, 60)) random_add(k, s, x.bound + r.bound, false);
        const Expr *last = s->type.dims[s->type.rank - 1];
        bool rms = random_often(k, 40);
        Item gamma = random_source(k, t, 1, &last), beta = random_source(k, t, 1, &last);
        Value *y;
        if (random_often(k, 50)) {
            y = rms ? ir_rms_norm(g, s, gamma.v, 0.125)
                    : ir_layer_norm(g, s, gamma.v, beta.v, 0.125);
        } else {
            y = spelled_norm(k, s, rms);
            if (random_often(k, 80)) y = ir_binary(g, OP_mul, y, gamma.v);
            if (random_often(k, 60)) y = ir_binary(g, OP_add, y, beta.v);
        }
        x = random_add(k, y, 12, false);
    }
    return true;
}

bool make_gelu(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    Item in = random_small(k, random_float(k));
    Value *x = in.v, *y;
    TnDType t = x->type.dtype;
    Value *half = ir_scalar(g, t, 0.5), *one = ir_scalar(g, t, 1);
    int kind = rng_below(&k->rng, 4);
    if (kind == 0) {
        Value *z = random_often(k, 50)
                       ? ir_binary(g, OP_div, x, ir_scalar(g, t, 1.4142135381698608))
                       : ir_binary(g, OP_mul, x, ir_scalar(g, t, 0.7071067690849304));
        y = ir_binary(g, OP_add, ir_unary(g, OP_erf, z), one);
    } else if (kind == 1) {
        Value *cube = random_often(k, 50) ? ir_binary(g, OP_mul, ir_binary(g, OP_mul, x, x), x)
                                          : ir_binary(g, OP_pow, x, ir_scalar(g, t, 3));
        Value *z = ir_binary(g, OP_add, x, ir_binary(g, OP_mul, ir_scalar(g, t, 0.044715), cube));
        z = ir_binary(g, OP_mul, z, ir_scalar(g, t, 0.7978845608028654));
        y = ir_binary(g, OP_add, ir_unary(g, OP_tanh, z), one);
    } else {
        Value *z = kind == 2 ? ir_binary(g, OP_mul, x, ir_scalar(g, t, 1.702)) : x;
        y = ir_binary(g, OP_mul, ir_unary(g, OP_sigmoid, z), x);
        random_add(k, y, in.bound, false);
        return true;
    }
    if (random_often(k, 50))
        y = ir_binary(g, OP_mul, ir_binary(g, OP_mul, x, y), half);
    else if (random_often(k, 50))
        y = ir_binary(g, OP_mul, x, ir_binary(g, OP_mul, half, y));
    else
        y = ir_binary(g, OP_mul, ir_binary(g, OP_mul, half, x), y);
    random_add(k, y, in.bound + 1, false);
    return true;
}

/* One table: looked up, multiplied with, and multiplied with transposed. */
bool make_shared(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    static const int perm[] = {1, 0};
    const Expr *wide = ex_int(k->x, 8),
               *table[] = {ex_int(k->x, random_often(k, 50) ? 8 : 12), wide};
    const Expr *ids[] = {random_dim(k), random_dim(k)};
    Item w = random_source(k, TN_F32, 2, table);
    Value *x = ir_gather(g, w.v, random_input(k, TN_I64, 2, ids).v, 0);
    x = random_add(k, x, 2, true).v;
    Value *wt = random_often(k, 50) ? NULL : ir_transpose(g, w.v, perm);
    Value *y = wt ? ir_matmul(g, x, wt, false, false) : ir_matmul(g, x, w.v, false, true);
    random_add(k, y, 32, false);
    if (random_often(k, 60)) random_add(k, ir_matmul(g, y, w.v, false, false), 800, false);
    if (random_often(k, 40)) random_add(k, ir_unary(g, OP_tanh, w.v), 1, false);
    return true;
}

/* Views, slices and transposes of one buffer while others write beside it. */
bool make_hazard(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    Item in = random_small(k, random_float(k));
    int rank = in.v->type.rank, perm[TN_MAX_RANK];
    if (!rank) return false;
    TnDType t = in.v->type.dtype;
    Value *x = ir_binary(g, OP_add, in.v, ir_scalar(g, t, 1)), *y = x;
    const Expr *flat = ir_elements(g->module, &x->type);
    for (int i = 0; i < rank; i++) perm[i] = rank - 1 - i;
    Value *v = ir_view(g, x, 1, &flat);
    for (int i = 1 + rng_below(&k->rng, 3); i > 0; i--) {
        y = ir_binary(g, random_often(k, 50) ? OP_sub : OP_add, y, random_often(k, 50) ? x : in.v);
        if (random_often(k, 30)) y = ir_unary(g, OP_relu, y);
    }
    random_add(k, y, 4 * in.bound + 3, false);
    random_add(k, ir_unary(g, OP_neg, v), in.bound + 1, false);
    if (random_often(k, 50)) random_add(k, x, in.bound + 1, false);
    Value *z = ir_transpose(g, y, perm);
    random_add(k, z, 4 * in.bound + 3, false);
    int axis = rng_below(&k->rng, rank);
    int64_t length;
    if (!ex_const(x->type.dims[axis], &length) || length < 3) return true;
    Value *s = ir_slice(g, x, axis, ex_int(k->x, 1), ex_int(k->x, length - 1), 1);
    s = ir_slice(g, s, axis, ex_int(k->x, random_often(k, 50)), ex_int(k->x, length - 2), 1);
    random_add(k, s, in.bound + 1, false);
    Value *parts[] = {s, x, s};
    random_add(k, ir_concat(g, 3, parts, axis), in.bound + 1, false);
    return true;
}
