/* Layers of which few rows are read, as by classifiers, and now and then all of them. */
#include "tests/random/random_steps.h"

static Value *product(Maker *k, Value *x, const Expr *in, const Expr *out) {
    const Expr *dims[] = {in, out};
    Value *w = random_source(k, TN_F32, 2, dims).v;
    return ir_matmul(k->g, x, ir_binary(k->g, OP_mul, w, ir_scalar(k->g, TN_F32, 0.1)), false,
                     false);
}

static Value *residual_norm(Maker *k, Value *x, Value *y, const Expr *width) {
    Value *s = ir_binary(k->g, OP_add, x, y);
    Value *gain = random_source(k, TN_F32, 1, &width).v;
    return random_often(k, 50) ? ir_rms_norm(k->g, s, gain, 0.125) : ir_unary(k->g, OP_tanh, s);
}

/* Heads of width 4 whose queries, keys and values are x itself. */
static Value *attention(Maker *k, Value *x, const Expr *const *dims) {
    static const int swap[] = {0, 2, 1, 3};
    Graph *g = k->g;
    const Expr *split[] = {dims[0], dims[1], ex_int(k->x, 2), ex_int(k->x, 4)};
    Value *h = ir_transpose(g, ir_view(g, x, 4, split), swap);
    Value *scores = ir_matmul(g, h, h, false, true);
    if (random_often(k, 50)) { /* causal */
        Value *place = ir_iota(g, TN_I64, dims[1], ex_int(k->x, 0), ex_int(k->x, 1));
        Value *seen = ir_binary(g, OP_le, place, ir_unsqueeze(g, place, 1));
        scores = ir_where(g, seen, scores, ir_scalar(g, TN_F32, -1e4));
    }
    Value *y = ir_matmul(g, ir_softmax(g, scores, -1), h, false, false);
    return ir_view(g, ir_transpose(g, y, swap), 3, dims);
}

bool make_rows(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    const Expr *width = ex_int(k->x, 8), *inner = ex_int(k->x, 12),
               *rows = ex_int(k->x, 4 + rng_below(&k->rng, 30));
    const Expr *dims[] = {random_dim(k), rows, width};
    Value *x = random_small(k, random_input(k, TN_F32, 3, dims)).v;
    if (random_often(k, 60)) {
        Value *y = product(k, attention(k, x, dims), width, width);
        x = residual_norm(k, x, y, width);
    }
    Value *h = ir_unary(g, OP_gelu, product(k, x, width, inner));
    Value *y = residual_norm(k, x, product(k, h, inner, width), width);
    if (random_often(k, 10)) random_add(k, h, 40, false);
    if (random_often(k, 10)) random_add(k, x, 40, false);
    const Expr *first = ex_int(k->x, rng_below(&k->rng, 2)), *one = ex_int(k->x, 1);
    random_add(k, ir_slice(g, y, 1, first, one, 1), 20, false);
    if (random_often(k, 10)) random_add(k, y, 20, false);
    return true;
}
