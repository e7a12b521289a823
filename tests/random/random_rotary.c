/* Rotary positions as exporters spell them, and what nearly is one. */
#include <string.h>
#include "tests/random/random_steps.h"

typedef struct Spelling {
    Graph *g;
    ExprCx *x;
    Value *v; /* [.., d] */
    int width;
    bool neighbours, columns; /* columns: neighbours through [.., n, 2] */
} Spelling;

static Value *part(const Spelling *s, Value *v, int which) {
    int last = v->type.rank - 1, half = s->width / 2;
    ExprCx *x = s->x;
    if (!s->neighbours) return ir_slice(s->g, v, last, ex_int(x, which * half), ex_int(x, half), 1);
    if (!s->columns) return ir_slice(s->g, v, last, ex_int(x, which), ex_int(x, half), 2);
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, v->type.dims, sizeof dims);
    dims[last] = ex_int(x, half);
    dims[last + 1] = ex_int(x, 2);
    Value *pairs = ir_view(s->g, ir_slice(s->g, v, last, ex_int(x, 0), ex_int(x, s->width), 1),
                           last + 2, dims);
    return ir_squeeze(s->g, ir_slice(s->g, pairs, last + 1, ex_int(x, which), ex_int(x, 1), 1),
                      last + 1);
}

static Value *join(const Spelling *s, Value *a, Value *b) {
    int last = a->type.rank - 1;
    if (!s->neighbours) return ir_concat(s->g, 2, (Value *[]){a, b}, last);
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, a->type.dims, sizeof dims);
    dims[last] = ex_int(s->x, s->width);
    Value *columns[] = {ir_unsqueeze(s->g, a, last + 1), ir_unsqueeze(s->g, b, last + 1)};
    return ir_view(s->g, ir_concat(s->g, 2, columns, last + 1), last + 1, dims);
}

/* x cos + turned sin; `wrong` takes some other factor. */
static Value *as_sum(Maker *k, const Spelling *s, Value *cos, Value *sin, bool wrong) {
    Graph *g = s->g;
    int last = s->v->type.rank - 1;
    Value *a = part(s, s->v, 0), *b = part(s, s->v, 1);
    bool back = random_often(k, 30), minus = random_often(k, 20);
    Value *turned = back ? join(s, b, ir_unary(g, OP_neg, a)) : join(s, ir_unary(g, OP_neg, b), a);
    Value *whole = ir_slice(g, s->v, last, ex_int(s->x, 0), ex_int(s->x, s->width), 1);
    Value *first = ir_binary(g, OP_mul, wrong ? turned : whole, cos);
    Value *second = ir_binary(g, OP_mul, turned, sin);
    if (minus) return ir_binary(g, OP_sub, first, second);
    return random_often(k, 50) ? ir_binary(g, OP_add, first, second)
                               : ir_binary(g, OP_add, second, first);
}

static Value *as_halves(Maker *k, const Spelling *s, Value *cos, Value *sin, bool wrong) {
    Graph *g = s->g;
    Value *a = part(s, s->v, 0), *b = part(s, s->v, 1);
    bool back = random_often(k, 30);
    OpKind first = back ? OP_add : OP_sub, second = back ? OP_sub : OP_add;
    Value *y1 = ir_binary(g, first, ir_binary(g, OP_mul, a, cos), ir_binary(g, OP_mul, b, sin));
    Value *y2 = ir_binary(g, wrong ? first : second, ir_binary(g, OP_mul, b, cos),
                          ir_binary(g, OP_mul, a, sin));
    return random_often(k, 90) ? join(s, y1, y2) : join(s, y2, y1);
}

bool make_rotary(Maker *k, OpKind op) {
    (void)op;
    static const TnDType types[] = {TN_F32, TN_F32, TN_F32, TN_F64};
    int rest = random_often(k, 40) ? 1 + rng_below(&k->rng, 5) : 0;
    TnDType t = types[rng_below(&k->rng, 4)];
    Spelling s = {.g = k->g, .x = k->x, .width = 2 + 2 * rng_below(&k->rng, 9)};
    s.neighbours = random_often(k, 40);
    s.columns = random_often(k, 50);
    bool halves = random_often(k, 50), wrong = random_often(k, 10);
    const Expr *rows = random_dim(k),
               *dims[] = {random_dim(k), ex_int(k->x, 2), rows, ex_int(k->x, s.width + rest)};
    int skip = rng_below(&k->rng, 3);
    Item v = random_small(k, random_input(k, t, 4 - skip, dims + skip));
    const Expr *table[] = {rows, ex_int(k->x, halves ? s.width / 2 : s.width)};
    Item angle = random_small(k, random_source(k, t, 2, table));
    Value *cos = ir_unary(k->g, OP_cos, angle.v), *sin = ir_unary(k->g, OP_sin, angle.v);
    s.v = v.v;
    Value *y = halves ? as_halves(k, &s, cos, sin, wrong) : as_sum(k, &s, cos, sin, wrong);
    if (rest && random_often(k, 80)) {
        int last = s.v->type.rank - 1;
        Value *behind = ir_slice(k->g, s.v, last, ex_int(k->x, s.width), ex_int(k->x, rest), 1);
        y = ir_concat(k->g, 2, (Value *[]){y, behind}, last);
    }
    random_add(k, y, 2 * v.bound, false);
    return true;
}
