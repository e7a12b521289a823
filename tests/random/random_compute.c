/* Steps that reduce, multiply and normalise, and those that make values out of nothing. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

bool make_reduction(Maker *k, OpKind op) {
    Item x = random_small(k, random_any(k));
    TnDType t = x.v->type.dtype;
    bool picks = op == OP_reduce_max || op == OP_reduce_min;
    int64_t axes[TN_MAX_RANK], length, reach = 1;
    int n = 0;
    if (t == TN_BOOL || (!tn_is_float(t) && !picks)) return false;
    for (int i = 0; i < x.v->type.rank; i++) {
        if (random_often(k, 50)) continue;
        axes[n++] = i;
        reach *= ex_const(x.v->type.dims[i], &length) ? length : 8;
    }
    if (!n || (op == OP_reduce_prod && reach > 8)) return false;
    Value *y = ir_reduce(k->g, op, x.v, n, axes, random_often(k, 50));
    bool mean = picks || op == OP_reduce_mean;
    double bound = mean                   ? x.bound
                   : op == OP_reduce_prod ? pow(fmax(x.bound, 1), (double)reach)
                                          : x.bound * (double)reach;
    if (bound > 1e4) return false;
    random_add(k, y, bound, picks && x.exact);
    return true;
}

bool make_cumsum(Maker *k, OpKind op) {
    Item x = random_small(k, random_float(k));
    int axis = random_axis(k, &x);
    double bound = op == OP_cumsum ? x.bound * 20 : 1;
    if (axis < 0 || bound > 1e3) return false;
    if (op == OP_cumprod) x = random_add(k, ir_unary(k->g, OP_tanh, x.v), 1, false);
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    ir_set_bool(n, "exclusive", random_often(k, 50));
    ir_set_bool(n, "reverse", random_often(k, 50));
    random_add(k, ir_insert(n), bound, false);
    return true;
}

bool make_softmax(Maker *k, OpKind op) {
    Item x = random_small(k, random_float(k));
    int axis = random_axis(k, &x);
    if (axis < 0) return false;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    random_add(k, ir_insert(n), op == OP_softmax ? 1 : 2 * x.bound + 6, false);
    return true;
}

bool make_norm(Maker *k, OpKind op) {
    Item x = random_small(k, random_float(k));
    const Type *t = &x.v->type;
    if (!t->rank) return false;
    const Expr *last = t->dims[t->rank - 1];
    Item gamma = random_source(k, t->dtype, 1, &last), beta = random_source(k, t->dtype, 1, &last);
    Value *y = op == OP_rms_norm ? ir_rms_norm(k->g, x.v, gamma.v, 0.125)
                                 : ir_layer_norm(k->g, x.v, gamma.v, beta.v, 0.125);
    random_add(k, y, 12, false);
    return true;
}

/* x w, with what often surrounds it: a bias, an activation, a residual */
bool make_matmul(Maker *k, OpKind op) {
    static const OpKind activations[] = {OP_relu, OP_gelu, OP_gelu_tanh,
                                         OP_silu, OP_tanh, OP_sigmoid};
    (void)op;
    Item x = random_small(k, random_float(k));
    const Type *t = &x.v->type;
    bool transposed = random_often(k, 30);
    const Expr *dims[TN_MAX_RANK];
    int rank = t->rank > 2 && random_often(k, 30) ? t->rank : 2;
    if (t->rank < 2) return false;
    memcpy(dims, t->dims, sizeof dims);
    const Expr *inner = t->dims[t->rank - 1], *outer = random_dim(k);
    dims[rank - 2] = transposed ? outer : inner;
    dims[rank - 1] = transposed ? inner : outer;
    Item w = random_small(k, random_source(k, t->dtype, rank, dims));
    Item y =
        random_add(k, ir_matmul(k->g, x.v, w.v, false, transposed), x.bound * w.bound * 20, false);
    if (random_often(k, 50)) {
        Item bias = random_source(k, t->dtype, 1, &outer);
        y = random_add(k, ir_binary(k->g, OP_add, y.v, bias.v), y.bound + bias.bound, false);
    }
    if (random_often(k, 50))
        y = random_add(k, ir_unary(k->g, activations[rng_below(&k->rng, 6)], y.v), y.bound, false);
    if (random_often(k, 30)) {
        Item r = random_partner(k, &y.v->type, t->dtype);
        random_add(k, ir_binary(k->g, OP_add, y.v, r.v), y.bound + r.bound, false);
    }
    return true;
}

/* Scores, a mask of some sort, softmax and values: [b, h, s, d] as exporters write it. */
bool make_attention(Maker *k, OpKind op) {
    (void)op;
    ExprCx *x = k->x;
    Graph *g = k->g;
    const Expr *b = random_dim(k), *s = random_dim(k), *t = random_often(k, 60) ? s : random_dim(k);
    const Expr *h = ex_int(x, 1 + rng_below(&k->rng, 3)),
               *d = ex_int(x, 4 << rng_below(&k->rng, 3));
    const Expr *q_dims[] = {b, h, s, d}, *k_dims[] = {b, h, t, d},
               *mask_dims[] = {b, ex_int(x, 1), ex_int(x, 1), t};
    Item q = random_input(k, TN_F32, 4, q_dims), keys = random_input(k, TN_F32, 4, k_dims),
         v = random_input(k, TN_F32, 4, k_dims);
    Value *scores = ir_matmul(g, q.v, keys.v, false, true);
    scores = ir_binary(g, OP_mul, scores, ir_scalar(g, TN_F32, 0.25));
    if (random_often(k, 50)) { /* causal */
        const Expr *zero = ex_int(x, 0), *one = ex_int(x, 1);
        Value *row = ir_unsqueeze(g, ir_iota(g, TN_I64, s, zero, one), 1);
        Value *allowed = ir_binary(g, OP_le, ir_iota(g, TN_I64, t, zero, one), row);
        scores = ir_where(g, allowed, scores, ir_scalar(g, TN_F32, -1e9));
    }
    if (random_often(k, 50)) { /* padding, as zeros and ones that are added */
        Item mask = random_input(k, random_often(k, 50) ? TN_I64 : TN_BOOL, 4, mask_dims);
        Value *f = ir_binary(g, OP_sub, ir_scalar(g, TN_F32, 1),
                             ir_cast(g, ir_cast(g, mask.v, TN_BOOL), TN_F32));
        scores =
            ir_binary(g, OP_add, scores, ir_binary(g, OP_mul, f, ir_scalar(g, TN_F32, -10000)));
    }
    Value *y = ir_matmul(g, ir_softmax(g, scores, -1), v.v, false, false);
    static const int perm[] = {0, 2, 1, 3};
    const Expr *merged[] = {b, s, ex_mul(x, h, d)};
    if (random_often(k, 70)) y = ir_view(g, ir_transpose(g, y, perm), 3, merged);
    random_add(k, y, v.bound, false);
    return true;
}

bool make_iota(Maker *k, OpKind op) {
    (void)op;
    const Expr *length = random_dim(k);
    TnDType t = random_often(k, 50) ? TN_I64 : TN_F32;
    random_add(k, ir_iota(k->g, t, length, ex_int(k->x, rng_below(&k->rng, 3)), ex_int(k->x, 1)),
               20, true);
    return true;
}

bool make_splat(Maker *k, OpKind op) {
    (void)op;
    const Expr *dims[] = {random_dim(k), random_dim(k)};
    random_add(k, ir_splat(k->g, random_often(k, 70) ? TN_F32 : TN_I64, 2, dims, 2), 2, true);
    return true;
}

bool make_scalars(Maker *k, OpKind op) {
    (void)op;
    const Expr *e[] = {random_dim(k), random_dim(k)};
    random_add(k, ir_scalars(k->g, TN_I64, 2, e), 20, true);
    return true;
}
