/* Attention as exporters write it, with every kind of mask. */
#include <math.h>
#include "tests/random/random_steps.h"

typedef struct Shape {
    const Expr *b, *h, *groups, *s, *t, *d;
    int64_t ratio;
} Shape;

static Shape random_shape(Maker *k) {
    ExprCx *x = k->x;
    int64_t groups = 1 + rng_below(&k->rng, 3),
            ratio = random_often(k, 60) ? 1 : 1 + rng_below(&k->rng, 3);
    Shape a = {.b = random_dim(k), .s = random_dim(k), .ratio = ratio};
    a.groups = ex_int(x, groups);
    a.h = ex_int(x, groups * ratio);
    a.t = random_often(k, 60) ? a.s : random_dim(k);
    a.d = ex_int(x, random_often(k, 80) ? 4 << rng_below(&k->rng, 3) : 5);
    return a;
}

/* [b, heads, length, d] where the keys of a group serve several heads. */
static Value *random_heads(Maker *k, const Shape *a, const Expr *heads, const Expr *length,
                           TnDType t) {
    static const int perm[] = {0, 2, 1, 3};
    Graph *g = k->g;
    const Expr *dims[] = {a->b, heads, length, a->d}, *rows[] = {a->b, length, heads, a->d};
    Value *x = random_often(k, 50) ? random_input(k, t, 4, dims).v
                                   : ir_transpose(g, random_input(k, t, 4, rows).v, perm);
    if (heads == a->h || a->ratio == 1) return x;
    const Expr *wide[] = {a->b, heads, ex_int(k->x, a->ratio), length, a->d};
    const Expr *merged[] = {a->b, a->h, length, a->d};
    return ir_view(g, ir_expand(g, ir_unsqueeze(g, x, 2), 5, wide), 4, merged);
}

static Value *masked(Maker *k, Value *allowed, Value *scores) {
    static const double low[] = {-1e9, -10000, -3.4028234663852886e38, -INFINITY};
    Graph *g = k->g;
    TnDType t = scores->type.dtype;
    double value = low[rng_below(&k->rng, t == TN_F32 ? 4 : 2)];
    Value *least = ir_scalar(g, t, t == TN_F16 ? -60000 : value);
    /* f16 knows no difference between a score and another beside the least of numbers */
    if (t == TN_F16 || random_often(k, 50)) return ir_where(g, allowed, scores, least);
    return ir_binary(g, OP_add, scores, ir_where(g, allowed, ir_scalar(g, t, 0), least));
}

static Value *position_mask(Maker *k, const Shape *a) {
    Graph *g = k->g;
    ExprCx *x = k->x;
    const Expr *zero = ex_int(x, 0), *one = ex_int(x, 1), *from = zero;
    if (random_often(k, 40)) from = random_often(k, 50) ? one : ex_sub(x, a->t, a->s);
    Value *row = ir_unsqueeze(g, ir_iota(g, TN_I64, a->s, from, one), 1);
    Value *column = ir_iota(g, TN_I64, a->t, zero, one);
    Value *m =
        random_often(k, 80) ? ir_binary(g, OP_le, column, row) : ir_binary(g, OP_lt, column, row);
    if (random_often(k, 40)) { /* and no further back */
        Value *back = ir_binary(g, OP_sub, row, ir_scalar_int(g, TN_I64, 2));
        m = ir_binary(g, OP_and, m, ir_binary(g, OP_lt, back, column));
    }
    return m;
}

static Value *data_mask(Maker *k, const Shape *a) {
    Graph *g = k->g;
    const Expr *one = ex_int(k->x, 1), *keys[] = {a->b, one, one, a->t},
               *queries[] = {a->b, one, a->s, one};
    const Expr *whole[] = {random_often(k, 50) ? a->b : one, random_often(k, 50) ? a->h : one, a->s,
                           a->t};
    const Expr *const *dims[] = {keys, keys, queries, whole};
    Value *m =
        random_input(k, random_often(k, 50) ? TN_I64 : TN_BOOL, 4, dims[rng_below(&k->rng, 4)]).v;
    return ir_cast(g, m, TN_BOOL);
}

/* [rows, columns]: a bucket of 2 span for the distance of column and row. */
static Value *bucket(Maker *k, const Expr *rows, const Expr *columns, int64_t span) {
    Graph *g = k->g;
    const Expr *one = ex_int(k->x, 1), *zero = ex_int(k->x, 0);
    Value *row = ir_unsqueeze(g, ir_iota(g, TN_I64, rows, zero, one), 1);
    Value *d = ir_binary(g, OP_sub, row, ir_iota(g, TN_I64, columns, zero, one));
    if (random_often(k, 30)) d = ir_unary(g, random_often(k, 50) ? OP_abs : OP_neg, d);
    d = ir_binary(g, OP_add, d, ir_scalar_int(g, TN_I64, span));
    d = ir_binary(g, OP_max, d, ir_scalar_int(g, TN_I64, 0));
    return ir_binary(g, OP_min, d, ir_scalar_int(g, TN_I64, 2 * span - 1));
}

/* A bias looked up by the distance of query and key, or the distance times a slope per head. */
static Value *by_distance(Maker *k, const Shape *a, TnDType t) {
    Graph *g = k->g;
    int64_t span = 1 + rng_below(&k->rng, 4);
    Value *index = bucket(k, a->s, a->t, span);
    const Expr *table[] = {ex_int(k->x, 2 * span), a->h}, *slopes[] = {a->h, table[0], table[0]};
    if (random_often(k, 30)) {
        slopes[1] = slopes[2] = ex_int(k->x, 1);
        return ir_binary(g, OP_mul, random_input(k, t, 3, slopes).v, ir_cast(g, index, t));
    }
    Value *rows = ir_gather(g, random_input(k, t, 2, table).v, index, 0);
    return ir_unsqueeze(g, ir_transpose(g, rows, (int[]){2, 0, 1}), 0);
}

/* Relative positions: queries (or keys) with a table, looked up by the distance of query and key.
 */
static Value *relative(Maker *k, const Shape *a, Value *x, TnDType t, bool of_keys) {
    Graph *g = k->g;
    int64_t span = 1 + rng_below(&k->rng, 4);
    const Expr *rows = of_keys ? a->t : a->s, *columns = of_keys ? a->s : a->t;
    const Expr *table[] = {ex_int(k->x, 1), a->h, ex_int(k->x, 2 * span), a->d},
               *all[] = {a->b, a->h, rows, columns};
    Value *p = ir_matmul(g, x, random_input(k, t, 4, table).v, false, true);
    Value *d = ir_expand(g, bucket(k, rows, columns, span), 4, all);
    Node *look = ir_node(g, OP_gather_elements, 2, (Value *[]){p, d});
    ir_set_int(look, "axis", 3);
    Value *y = ir_insert(look);
    return of_keys ? ir_transpose(g, y, (int[]){0, 1, 3, 2}) : y;
}

/* Relative positions as in Transformer-XL: a table of as many rows as there are keys, and the
 * scores shifted by a column of zeros. */
static Value *shifted(Maker *k, const Shape *a, Value *q, TnDType t) {
    Graph *g = k->g;
    const Expr *one = ex_int(k->x, 1), *zero = ex_int(k->x, 0);
    const Expr *table[] = {one, a->h, a->t, a->d}, *wider = ex_add(k->x, a->t, one);
    Value *p = ir_matmul(g, q, random_input(k, t, 4, table).v, false, true);
    const Expr *column[] = {a->b, a->h, a->s, one}, *before[] = {zero, zero, zero, one};
    const Expr *after[] = {zero, zero, zero, zero};
    if (random_often(k, 50)) {
        Node *pad = ir_node(g, OP_pad, 1, &p);
        ir_set_dims(pad, "before", 4, before);
        ir_set_dims(pad, "after", 4, after);
        p = ir_insert(pad);
    } else {
        p = ir_concat(g, 2, (Value *[]){ir_splat(g, t, 4, column, 0), p}, 3);
    }
    const Expr *turned[] = {a->b, a->h, wider, a->s}, *back[] = {a->b, a->h, a->s, a->t};
    return ir_view(g, ir_slice(g, ir_view(g, p, 4, turned), 2, one, a->t, 1), 4, back);
}

bool make_masked(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    Shape a = random_shape(k);
    TnDType t = random_often(k, 85) ? TN_F32 : random_often(k, 50) ? TN_F16 : TN_F64;
    Value *q = random_heads(k, &a, a.h, a.s, t), *keys = random_heads(k, &a, a.groups, a.t, t);
    Value *v = random_heads(k, &a, a.groups, a.t, t), *scale = ir_scalar(g, t, 0.25);
    bool before = random_often(k, 40);
    if (before) q = ir_binary(g, OP_mul, q, scale);
    Value *scores = ir_matmul(g, q, keys, false, true);
    if (!before && random_often(k, 80))
        scores = random_often(k, 50) ? ir_binary(g, OP_mul, scores, scale)
                                     : ir_binary(g, OP_div, scores, ir_scalar(g, t, 4));
    if (random_often(k, 20)) { /* a soft cap */
        Value *cap = ir_scalar(g, t, 4);
        scores = ir_binary(g, OP_mul, ir_unary(g, OP_tanh, ir_binary(g, OP_div, scores, cap)), cap);
    }
    const Expr *one = ex_int(k->x, 1), *bias[] = {random_often(k, 50) ? a.b : one, a.h, a.s, a.t};
    if (random_often(k, 30)) scores = ir_binary(g, OP_add, scores, random_input(k, t, 4, bias).v);
    if (random_often(k, 30)) scores = ir_binary(g, OP_add, scores, by_distance(k, &a, t));
    if (random_often(k, 30)) scores = ir_binary(g, OP_add, scores, relative(k, &a, q, t, false));
    if (random_often(k, 20)) scores = ir_binary(g, OP_add, scores, shifted(k, &a, q, t));
    if (a.ratio == 1 && random_often(k, 30))
        scores = ir_binary(g, OP_add, scores, relative(k, &a, keys, t, true));
    if (random_often(k, 50)) scores = masked(k, position_mask(k, &a), scores);
    if (random_often(k, 50)) scores = masked(k, data_mask(k, &a), scores);
    Value *p;
    if (random_often(k, 15)) { /* in another order of axes */
        scores = ir_transpose(g, scores, (int[]){2, 3, 0, 1});
        p = ir_transpose(g, ir_softmax(g, scores, 1), (int[]){2, 3, 0, 1});
    } else {
        p = ir_softmax(g, scores, -1);
    }
    if (random_often(k, 15)) random_add(k, p, 1, false);
    Value *y = ir_matmul(g, p, v, false, false);
    static const int perm[] = {0, 2, 1, 3};
    const Expr *merged[] = {a.b, a.s, ex_mul(k->x, a.h, a.d)};
    if (random_often(k, 70)) y = ir_view(g, ir_transpose(g, y, perm), 3, merged);
    random_add(k, y, 2, false);
    return true;
}

enum { LEVELS = 3 };

typedef struct Levels {
    int count;
    const Expr *b, *q, *h, *p, *d; /* batch, queries, heads, points of a level, channels */
    const Expr *height[LEVELS], *width[LEVELS], *cells;
} Levels;

static Levels random_levels(Maker *k) {
    ExprCx *x = k->x;
    Levels a = {.count = 1 + rng_below(&k->rng, LEVELS), .b = random_dim(k), .q = random_dim(k)};
    a.h = ex_int(x, 1 + rng_below(&k->rng, 3));
    a.p = ex_int(x, 1 + rng_below(&k->rng, 4));
    a.d = ex_int(x, 1 + rng_below(&k->rng, 9));
    a.cells = ex_int(x, 0);
    for (int l = 0; l < a.count; l++) {
        a.height[l] = random_often(k, 70) ? ex_int(x, 1 + rng_below(&k->rng, 5)) : random_dim(k);
        a.width[l] = ex_int(x, 1 + rng_below(&k->rng, 5));
        a.cells = ex_add(x, a.cells, ex_mul(x, a.height[l], a.width[l]));
    }
    return a;
}

/* Level l of grid[b, q, h, l, p, 2] as [b h, q, p, 2]. */
static Value *grid_of_level(Maker *k, const Levels *a, Value *grid, int l) {
    Graph *g = k->g;
    const Expr *one = ex_int(k->x, 1), *two = ex_int(k->x, 2);
    const Expr *heads[] = {a->b, a->q, a->h, a->p, two},
               *folded[] = {ex_mul(k->x, a->b, a->h), a->q, a->p, two};
    Value *v = ir_view(g, ir_slice(g, grid, 3, ex_int(k->x, l), one, 1), 5, heads);
    return ir_view(g, ir_transpose(g, v, (int[]){0, 2, 1, 3, 4}), 4, folded);
}

/* Samples of all levels, joined in the order of levels or, what must not fuse, of points. */
static Value *random_samples_of(Maker *k, const Levels *a, Value *value, Value *grid) {
    Graph *g = k->g;
    ExprCx *x = k->x;
    const Expr *start = ex_int(x, 0), *one = ex_int(x, 1), *folded = ex_mul(x, a->b, a->h);
    bool stacked = random_often(k, 50), points_first = random_often(k, 10);
    Value *part[LEVELS];
    for (int l = 0; l < a->count; l++) {
        const Expr *cells = ex_mul(x, a->height[l], a->width[l]);
        const Expr *rows[] = {a->b, cells, ex_mul(x, a->h, a->d)},
                   *map[] = {folded, a->d, a->height[l], a->width[l]},
                   *behind[] = {folded, a->d, a->q, a->p, one},
                   *before[] = {folded, a->d, a->q, one, a->p};
        Value *v = ir_view(g, ir_slice(g, value, 1, start, cells, 1), 3, rows);
        v = ir_view(g, ir_transpose(g, v, (int[]){0, 2, 1}), 4, map);
        v = ir_insert(ir_node(g, OP_grid_sample, 2, (Value *[]){v, grid_of_level(k, a, grid, l)}));
        part[l] = points_first ? ir_view(g, v, 5, behind) : stacked ? ir_view(g, v, 5, before) : v;
        start = ex_add(x, start, cells);
    }
    const Expr *all[] = {folded, a->d, a->q, ex_scale(x, a->p, a->count, 1)};
    return ir_view(g, ir_concat(g, a->count, part, points_first ? 4 : 3), 4, all);
}

bool make_deformable(Maker *k, OpKind op) {
    (void)op;
    Graph *g = k->g;
    ExprCx *x = k->x;
    Levels a = random_levels(k);
    const Expr *all = ex_scale(x, a.p, a.count, 1), *folded = ex_mul(x, a.b, a.h);
    const Expr *maps[] = {a.b, a.cells, a.h, a.d}, *terms[] = {a.b, a.q, a.h, all},
               *places[] = {a.b, a.q, a.h, ex_int(x, a.count), a.p, ex_int(x, 2)},
               *wide[] = {folded, ex_int(x, 1), a.q, all}, *y[] = {a.b, ex_mul(x, a.h, a.d), a.q};
    Value *value = random_input(k, TN_F32, 4, maps).v, *grid = random_input(k, TN_F32, 6, places).v,
          *w = random_input(k, TN_F32, 4, terms).v;
    if (random_often(k, 60)) w = ir_softmax(g, w, -1);
    w = ir_view(g, ir_transpose(g, w, (int[]){0, 2, 1, 3}), 4, wide);
    Value *sum = ir_binary(g, OP_mul, random_samples_of(k, &a, value, grid), w);
    sum = ir_reduce(g, OP_reduce_sum, sum, 1, (int64_t[]){3}, random_often(k, 20));
    random_add(k, ir_transpose(g, ir_view(g, sum, 3, y), (int[]){0, 2, 1}), 50, false);
    return true;
}
