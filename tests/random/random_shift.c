/* Steps that shift tensors, and images that are cut into windows and put together again. */
#include "tests/random/random_steps.h"

static Value *roll(Maker *k, Value *x, const Expr *const *starts) {
    Node *n = ir_node(k->g, OP_roll, 1, &x);
    ir_set_dims(n, "starts", x->type.rank, starts);
    return ir_insert(n);
}

/* As models write it. */
static Value *roll_axis(Maker *k, Value *x, int axis, const Expr *start) {
    const Expr *dim = x->type.dims[axis], *zero = ex_int(k->x, 0);
    Value *parts[] = {ir_slice(k->g, x, axis, start, ex_sub(k->x, dim, start), 1),
                      ir_slice(k->g, x, axis, zero, start, 1)};
    return ir_concat(k->g, 2, parts, axis);
}

/* Anywhere in an axis of known length, else at its first, second or last element or behind it. */
static const Expr *random_start(Maker *k, const Expr *dim) {
    int64_t length;
    if (ex_const(dim, &length)) return ex_int(k->x, rng_below(&k->rng, (int)length + 1));
    const Expr *some[] = {ex_int(k->x, 0), ex_int(k->x, 1), ex_sub(k->x, dim, ex_int(k->x, 1)),
                          dim};
    return some[rng_below(&k->rng, 4)];
}

bool make_roll(Maker *k, OpKind op) {
    (void)op;
    Item in = random_movable(k);
    Value *x = in.v;
    const Expr *starts[TN_MAX_RANK];
    if (!x->type.rank) return false;
    for (int i = 0; i < x->type.rank; i++)
        starts[i] = random_often(k, 50) ? random_start(k, x->type.dims[i]) : ex_int(k->x, 0);
    if (random_often(k, 50)) {
        x = roll(k, x, starts);
    } else {
        for (int i = 0; i < x->type.rank; i++)
            if (!ex_is(starts[i], 0)) x = roll_axis(k, x, i, starts[i]);
    }
    random_add(k, x, in.bound, in.exact);
    return true;
}

/* An image [b, h p, w q, c] whose windows are p x q. */
typedef struct Windows {
    const Expr *b, *h, *p, *w, *q, *c;
} Windows;

static Value *shifted(Maker *k, Value *x, const Expr *row, const Expr *column) {
    if (!ex_is(row, 0)) x = roll_axis(k, x, 1, row);
    return ex_is(column, 0) ? x : roll_axis(k, x, 2, column);
}

static Value *partition(Maker *k, const Windows *s, Value *x) {
    static const int perm[] = {0, 1, 3, 2, 4, 5};
    const Expr *split[] = {s->b, s->h, s->p, s->w, s->q, s->c};
    const Expr *rows[] = {ex_product(k->x, (const Expr *[]){s->b, s->h, s->w}, 3),
                          ex_mul(k->x, s->p, s->q), s->c};
    return ir_view(k->g, ir_transpose(k->g, ir_view(k->g, x, 6, split), perm), 3, rows);
}

static Value *reverse(Maker *k, const Windows *s, Value *x, const Type *image) {
    static const int perm[] = {0, 1, 3, 2, 4, 5};
    const Expr *split[] = {s->b, s->h, s->w, s->p, s->q, s->c};
    return ir_view(k->g, ir_transpose(k->g, ir_view(k->g, x, 6, split), perm), 4, image->dims);
}

static Value *padded(Maker *k, Value *x, const Expr *rows, const Expr *columns) {
    const Expr *zero = ex_int(k->x, 0), *before[] = {zero, zero, zero, zero},
               *after[] = {zero, rows, columns, zero};
    Node *n = ir_node(k->g, OP_pad, 1, &x);
    ir_set_dims(n, "before", 4, before);
    ir_set_dims(n, "after", 4, after);
    return ir_insert(n);
}

static const Expr *few(Maker *k, int most) {
    return ex_int(k->x, 1 + rng_below(&k->rng, most));
}

/* What happens to the rows of windows. */
static Value *sublayer(Maker *k, const Windows *s, Value *x) {
    const Expr *square[] = {s->c, s->c};
    if (random_often(k, 20)) return x;
    if (random_often(k, 30)) return ir_unary(k->g, OP_tanh, x);
    return ir_matmul(k->g, x, random_source(k, TN_F32, 2, square).v, false, false);
}

/* A block of a Swin transformer, more or less. */
bool make_windows(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    Windows s = {random_dim(k), few(k, 3), few(k, 3), few(k, 3), few(k, 3), few(k, 9)};
    const Expr *high = ex_mul(k->x, s.h, s.p), *wide = ex_mul(k->x, s.w, s.q),
               *zero = ex_int(k->x, 0);
    bool pads = random_often(k, 30);
    const Expr *cut[2] = {pads && !ex_is(high, 1) ? ex_int(k->x, 1) : zero,
                          pads && !ex_is(wide, 1) ? ex_int(k->x, 1) : zero};
    const Expr *dims[] = {s.b, ex_sub(k->x, high, cut[0]), ex_sub(k->x, wide, cut[1]), s.c};
    const Expr *tokens[] = {s.b, ex_mul(k->x, dims[1], dims[2]), s.c};
    Value *x = random_input(k, TN_F32, 3, tokens).v, *y = x;
    if (random_often(k, 70)) y = ir_layer_norm(g, y, NULL, NULL, 0.125);
    if (random_often(k, 20)) random_add(k, y, 12, false);
    y = ir_view(g, y, 4, dims);
    if (pads) y = padded(k, y, cut[0], cut[1]);
    Type image = y->type;
    const Expr *row = random_often(k, 60) ? random_start(k, high) : zero,
               *column = random_often(k, 60) ? random_start(k, wide) : zero;
    y = partition(k, &s, shifted(k, y, row, column));
    if (random_often(k, 20)) random_add(k, y, 12, false);
    y = reverse(k, &s, sublayer(k, &s, y), &image);
    y = shifted(k, y, ex_sub(k->x, high, row), ex_sub(k->x, wide, column));
    if (random_often(k, 20)) random_add(k, y, 300, false);
    for (int i = 0; i < 2; i++) y = ir_slice(g, y, 1 + i, zero, dims[1 + i], 1);
    y = ir_binary(g, OP_add, ir_view(g, y, 3, tokens), x);
    if (random_often(k, 50)) random_add(k, y, 300, false);
    if (random_often(k, 50)) y = ir_layer_norm(g, y, NULL, NULL, 0.125);
    random_add(k, y, 300, false);
    return true;
}
