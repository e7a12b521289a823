/* Random expressions that know their operations, and worlds to compute them in: what
 * test_expr_random.c compares.
 *
 * A pool holds expressions and predicates made by random operations on earlier ones, with the
 * operation next to the normal form. A world gives values to symbols, coordinates and loads within
 * their ranges, and to every item as its operation says.
 */
#ifndef TENON_TESTS_UNIT_IR_EXPR_POOL_H
#define TENON_TESTS_UNIT_IR_EXPR_POOL_H

#include "tests/unit/ir/expr_testing.h"

#include <stdio.h>
#include <stdlib.h>

enum { SYMBOLS = 5, COORDS = 3, POOL = 70, PREDS = 40, WORLDS = 40, LIMIT = 100000 };

typedef enum Op {
    INTEGER,
    SYMBOL,
    COORD,
    LOAD,
    ADD,
    SUB,
    MUL,
    SCALE,
    FLOORDIV,
    MOD,
    CEILDIV,
    MIN,
    MAX,
    ABS,
    FLOOR,
    CEIL,
    TRUNC,
    WHERE,
    BIT,
    OPS
} Op;
typedef enum PredOp { GE, EQ, NONZERO, NOT, AND, OR, XOR, PRED_OPS } PredOp;

/* An operation on earlier entries of the pools, and the normal form of its result. */
typedef struct Item {
    Op op;
    int a, b, p;
    int64_t number, denominator;
    const Expr *e;
} Item;

typedef struct PredItem {
    PredOp op;
    int a, b;
    const Pred *p;
} PredItem;

typedef struct Pool {
    ExprCx *x;
    int order[POOL + PREDS]; /* of creation: i for items[i], ~i for preds[i] */
    Item items[POOL];
    PredItem preds[PREDS];
    int count, pred_count;
    const Expr *extents[COORDS];
    uint64_t random;
} Pool;

/* Values: `known` is false where the direct computation divides by zero or grows large. */
typedef struct Value {
    bool known;
    Rational r;
} Value;

typedef struct World {
    int64_t symbols[SYMBOLS], coords[COORDS];
    bool has_coord[COORDS];
    Value items[POOL];
    Value preds[PREDS];
} World;

static uint64_t next(Pool *p) {
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return p->random >> 16;
}

static int below(Pool *p, int n) {
    return (int)(next(p) % (uint64_t)n);
}

static const char *const symbol_names[SYMBOLS] = {"a", "b", "n", "s", "t"};
static const int64_t symbol_ranges[SYMBOLS][2] = {
    {0, INT64_MAX}, {1, 6}, {1, 64}, {0, INT64_MAX}, {2, INT64_MAX}};

/* --- the direct computation --- */

static int64_t loaded(const int64_t *index, int n) {
    int64_t h = 7;
    for (int i = 0; i < n; i++) h = (h * 31 + index[i]) % 1009;
    return h % 7 - 3;
}

static bool load(void *user, const void *leaf, const int64_t *index, int n, int64_t *v) {
    (void)user;
    (void)leaf;
    *v = loaded(index, n);
    return true;
}

static int64_t floored(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

static Value rational(int64_t num, int64_t den) {
    if (den == 0) return (Value){.known = false};
    if (den < 0) {
        num = -num;
        den = -den;
    }
    int64_t g = gcd_i64(num, den);
    Value v = {true, {num / g, den / g}};
    v.known = llabs(v.r.num) < LIMIT && v.r.den < 1000;
    return v;
}

static Value round_down(Value v) {
    return rational(floored(v.r.num, v.r.den), 1);
}

static Value negated(Value v) {
    v.r.num = -v.r.num;
    return v;
}

/* Both known; `num` of the comparison is < 0, 0, > 0. */
static int64_t compare(Value a, Value b) {
    return a.r.num * b.r.den - b.r.num * a.r.den;
}

static Value arithmetic(const Item *i, Value a, Value b) {
    int64_t n = a.r.num, d = a.r.den, m = b.r.num, c = b.r.den;
    switch (i->op) {
    case ADD: return rational(n * c + m * d, d * c);
    case SUB: return rational(n * c - m * d, d * c);
    case MUL: return rational(n * m, d * c);
    case MIN: return compare(a, b) <= 0 ? a : b;
    case MAX: return compare(a, b) >= 0 ? a : b;
    default: break;
    }
    if (m == 0) return (Value){.known = false};
    int64_t q = i->op == CEILDIV ? -floored(-n * c, d * m) : floored(n * c, d * m);
    if (i->op != MOD) return rational(q, 1);
    return rational(n * c - q * m * d, d * c);
}

static Value direct(const Item *i, const World *w) {
    Value unknown = {.known = false};
    switch (i->op) {
    case INTEGER: return rational(i->number, 1);
    case SYMBOL: return rational(w->symbols[i->number], 1);
    case COORD: return w->has_coord[i->number] ? rational(w->coords[i->number], 1) : unknown;
    case BIT: return w->preds[i->p];
    default: break;
    }
    Value a = w->items[i->a], b = w->items[i->b];
    if (i->op == WHERE) return w->preds[i->p].known ? (w->preds[i->p].r.num ? a : b) : unknown;
    if (!a.known) return unknown;
    switch (i->op) {
    case LOAD: return rational(loaded(&a.r.num, 1), 1);
    case SCALE: return rational(a.r.num * i->number, a.r.den * i->denominator);
    case ABS: return a.r.num < 0 ? negated(a) : a;
    case FLOOR: return round_down(a);
    case CEIL: return negated(round_down(negated(a)));
    case TRUNC: return a.r.num < 0 ? negated(round_down(negated(a))) : round_down(a);
    default: return b.known ? arithmetic(i, a, b) : unknown;
    }
}

static Value direct_pred(const PredItem *p, const World *w) {
    Value unknown = {.known = false};
    bool of_exprs = p->op <= NONZERO;
    Value a = of_exprs ? w->items[p->a] : w->preds[p->a];
    Value b = of_exprs ? w->items[p->b] : w->preds[p->b];
    if (!a.known || !b.known) return unknown;
    bool v = false, l = a.r.num != 0, r = b.r.num != 0;
    switch (p->op) {
    case GE: v = compare(a, b) >= 0; break;
    case EQ: v = compare(a, b) == 0; break;
    case NONZERO: v = l; break;
    case NOT: v = !l; break;
    case AND: v = l && r; break;
    case OR: v = l || r; break;
    default: v = l != r; break;
    }
    return (Value){true, {v, 1}};
}

/* --- building --- */

static const Expr *build(Pool *p, const Item *i) {
    ExprCx *x = p->x;
    const Expr *a = i->a >= 0 ? p->items[i->a].e : NULL, *b = i->b >= 0 ? p->items[i->b].e : NULL;
    const Pred *c = i->p >= 0 ? p->preds[i->p].p : NULL;
    switch (i->op) {
    case INTEGER: return ex_int(x, i->number);
    case SYMBOL: return ex_symbol(x, symbol_names[i->number]);
    case COORD: return ex_coord(x, (int)i->number, p->extents[i->number]);
    case LOAD: return ex_load(x, "leaf", &a, 1);
    case ADD: return ex_add(x, a, b);
    case SUB: return ex_sub(x, a, b);
    case MUL: return ex_mul(x, a, b);
    case SCALE: return ex_scale(x, a, i->number, i->denominator);
    case FLOORDIV: return ex_floordiv(x, a, b);
    case MOD: return ex_mod(x, a, b);
    case CEILDIV: return ex_ceildiv(x, a, b);
    case MIN: return ex_min(x, a, b);
    case MAX: return ex_max(x, a, b);
    case ABS: return ex_abs(x, a);
    case FLOOR: return ex_floor(x, a);
    case CEIL: return ex_ceil(x, a);
    case TRUNC: return ex_trunc(x, a);
    case WHERE: return ex_where(x, c, a, b);
    case BIT: return ex_bit(x, c);
    case OPS: break;
    }
    return NULL;
}

static const Pred *build_pred(Pool *p, const PredItem *i) {
    const Expr *a = NULL, *b = NULL;
    const Pred *l = NULL, *r = NULL;
    if (i->op <= NONZERO) {
        a = p->items[i->a].e;
        b = p->items[i->b].e;
    } else {
        l = p->preds[i->a].p;
        r = p->preds[i->b].p;
    }
    switch (i->op) {
    case GE: return pr_ge(p->x, a, b);
    case EQ: return pr_eq(p->x, a, b);
    case NONZERO: return pr_nonzero(p->x, a);
    case NOT: return pr_not(p->x, l);
    case AND: return pr_and(p->x, l, r);
    case OR: return pr_or(p->x, l, r);
    default: return pr_xor(p->x, l, r);
    }
}

static void add_item(Pool *p, Item i) {
    i.e = build(p, &i);
    p->order[p->count + p->pred_count] = p->count;
    p->items[p->count++] = i;
}

/* Integer operations get integer operands: only SCALE makes rationals, only roundings take them. */
static int operand(Pool *p, bool integral) {
    for (;;) {
        int i = below(p, p->count);
        const Expr *e = p->items[i].e;
        if (ex_size(e) > 25 || e->count > 8) continue;
        if (!integral || ex_is_integral(e)) return i;
    }
}

static void add_random_item(Pool *p) {
    Item i = {.op = (Op)(ADD + below(p, OPS - ADD))};
    if (below(p, 30) == 0) i.op = LOAD;
    if ((i.op == WHERE || i.op == BIT) && !p->pred_count) return;
    bool integral = i.op < ADD || i.op > TRUNC || i.op == FLOORDIV || i.op == MOD;
    i.a = operand(p, integral);
    i.b = operand(p, integral);
    i.p = p->pred_count ? below(p, p->pred_count) : -1;
    i.number = below(p, 9) - 4;
    i.denominator = 1 + below(p, 4);
    bool divides = i.op == FLOORDIV || i.op == MOD || i.op == CEILDIV;
    if (divides && ex_is(p->items[i.b].e, 0)) return;
    add_item(p, i);
}

static void add_random_pred(Pool *p) {
    PredItem i = {.op = (PredOp)below(p, p->pred_count ? PRED_OPS : NOT)};
    int n = i.op <= NONZERO ? p->count : p->pred_count;
    i.a = i.op <= NONZERO ? operand(p, true) : below(p, n);
    i.b = i.op <= NONZERO ? operand(p, true) : below(p, n);
    i.p = build_pred(p, &i);
    if (pr_size(i.p) > 60) return;
    p->order[p->count + p->pred_count] = ~p->pred_count;
    p->preds[p->pred_count++] = i;
}

static void fill(Pool *p, ExprCx *x, int coords) {
    p->x = x;
    p->count = p->pred_count = 0;
    memset(p->extents, 0, sizeof p->extents);
    for (int i = 0; i < SYMBOLS; i++) {
        ex_symbol(x, symbol_names[i]);
        ex_set_range(x, symbol_names[i], symbol_ranges[i][0], symbol_ranges[i][1]);
        add_item(p, (Item){.op = SYMBOL, .a = -1, .b = -1, .p = -1, .number = i});
    }
    const Expr *a = ex_symbol(x, "a"), *b = ex_symbol(x, "b"), *n = ex_symbol(x, "n");
    const Expr *extents[5] = {b, n, ex_int(x, 12), ex_mul(x, a, b), ex_add(x, a, n)};
    for (int i = 0; i < coords; i++) {
        p->extents[i] = extents[below(p, 5)];
        add_item(p, (Item){.op = COORD, .a = -1, .b = -1, .p = -1, .number = i});
    }
    static const int64_t numbers[] = {-3, -1, 0, 1, 2, 3, 12};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        add_item(p, (Item){.op = INTEGER, .a = -1, .b = -1, .p = -1, .number = numbers[i]});
    for (int k = 0; k < 400 && (p->count < POOL || p->pred_count < PREDS); k++) {
        if (p->count < POOL) add_random_item(p);
        if (p->pred_count < PREDS && k % 2) add_random_pred(p);
    }
}

/* --- worlds --- */

static ExprEnv env_of(const World *w) {
    return (ExprEnv){
        .symbols = w->symbols, .coords = w->coords, .coord_count = COORDS, .load = load};
}

static void draw(Pool *p, World *w, int spread) {
    memset(w, 0, sizeof *w);
    for (int i = 0; i < SYMBOLS; i++) {
        int64_t lo = symbol_ranges[i][0], hi = symbol_ranges[i][1];
        if (hi > lo + spread) hi = lo + spread;
        w->symbols[i] = lo + below(p, (int)(hi - lo + 1));
    }
    ExprEnv env = env_of(w);
    for (int i = 0; i < COORDS; i++) {
        Rational extent = {0, 1};
        if (!p->extents[i] || !ex_eval_in(&env, p->extents[i], &extent) || extent.num < 1) continue;
        w->has_coord[i] = true;
        w->coords[i] = below(p, 3) ? below(p, (int)extent.num) : extent.num - 1;
    }
    for (int i = 0; i < p->count + p->pred_count; i++) {
        int at = p->order[i];
        if (at >= 0)
            w->items[at] = direct(&p->items[at], w);
        else
            w->preds[~at] = direct_pred(&p->preds[~at], w);
    }
}

#endif
