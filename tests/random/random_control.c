/* Steps with bodies: branches and loops, with captures, carried values of constant and changing
 * lengths, stacked results, and control flow within control flow. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/symbols.h"
#include "tests/random/random_steps.h"

enum { MAX_DEPTH = 2, BODY_STEPS = 4, MAX_RESULTS = 3 };

static int depth_of(const Maker *k) {
    int depth = 0;
    for (; k->outer; k = k->outer) depth++;
    return depth;
}

static Maker *body_new(Maker *k) {
    Maker *top = k, *b = ARENA_NEW(&k->g->module->cx->arena, Maker);
    while (top->outer) top = top->outer;
    *b = (Maker){.g = ir_body_new(k->g, random_name(k, "main.body")),
                 .x = k->x,
                 .numbers = k->numbers,
                 .outer = k,
                 .rng = {rng_next(&k->rng) * 2654435761u + 1},
                 .first_name = top->names};
    return b;
}

/* Some values of the caller's and some steps on them. */
static void body_fill(Maker *b) {
    for (int i = rng_below(&b->rng, 3); i >= 0; i--)
        if (b->captures < RANDOM_CAPTURES) random_capture(b, random_any(b->outer));
    random_steps(b, BODY_STEPS);
}

/* --- what leaves a body --- */

typedef struct Search {
    const Maker *k;
    bool hidden;
} Search;

static void find_hidden(void *user, int symbol) {
    Search *s = user;
    const Symbol *m = ex_symbol_at(s->k->x, symbol);
    if (m->measured && atoi(m->name + 1) >= s->k->first_name) s->hidden = true;
}

/* The length outside of a body, measured there if the body alone knows it, or to see that this
 * does no harm. */
static const Expr *length_outside(Maker *k, const Maker *b, const Expr *e, bool same) {
    Search s = {b, false};
    e = ex_norm(k->x, e);
    ir_each_symbol(e, find_hidden, &s);
    if (same && !s.hidden && !random_often(k, 15)) return e;
    return random_measured(k, INT64_MAX);
}

static bool is_hidden(const Maker *b, const Type *t) {
    Search s = {b, false};
    for (int i = 0; i < t->rank; i++) ir_each_symbol(ex_norm(b->x, t->dims[i]), find_hidden, &s);
    return s.hidden;
}

/* --- if --- */

static Value *random_condition(Maker *k) {
    if (random_often(k, 10)) return ir_scalar_int(k->g, TN_BOOL, random_often(k, 50));
    Item x = random_often(k, 50) ? random_input(k, TN_I64, 0, NULL) : random_exact(k, 100);
    int64_t axes[TN_MAX_RANK];
    Value *v = x.v;
    for (int i = 0; i < v->type.rank; i++) axes[i] = i;
    if (v->type.rank) v = ir_reduce(k->g, OP_reduce_max, v, v->type.rank, axes, false);
    TnDType t = v->type.dtype;
    return ir_binary(k->g, OP_lt, v,
                     tn_is_float(t) ? ir_scalar(k->g, t, 1) : ir_scalar_int(k->g, t, 1));
}

/* A result of the other branch for y: of its type and rank, mostly of its dims. */
static Item other_result(Maker *b, const Maker *first, Item y) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < b->count; i++) {
        Item p = b->pool[rng_below(&b->rng, b->count)];
        if (p.v->type.dtype == y.v->type.dtype && p.v->type.rank == y.v->type.rank) return p;
    }
    for (int i = 0; i < y.v->type.rank; i++) {
        Search s = {first, false};
        dims[i] = ex_norm(b->x, y.v->type.dims[i]);
        ir_each_symbol(dims[i], find_hidden, &s);
        if (s.hidden || random_often(b, 15)) dims[i] = ex_int(b->x, 2);
    }
    return random_source(b, y.v->type.dtype, y.v->type.rank, dims);
}

/* The branches take the same. */
static void share_captures(Maker *a, Maker *b) {
    for (int i = 0; i < a->captures; i++) {
        int j = 0;
        while (j < b->captures && b->captured[j].v != a->captured[i].v) j++;
        if (j == b->captures) random_capture(b, a->captured[i]);
    }
}

static void order_captures(const Maker *a, const Maker *b, int count) {
    Value **order = ARENA_ARRAY(&a->g->module->cx->arena, Value *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++)
            if (b->captured[j].v == a->captured[i].v) order[i] = b->g->inputs[j];
    ir_order_inputs(b->g, order);
}

bool make_if(Maker *k, OpKind op) {
    if (depth_of(k) >= MAX_DEPTH || k->captures > RANDOM_CAPTURES / 2) return false;
    Value *condition = random_condition(k);
    Maker *then = body_new(k), *other;
    body_fill(then);
    int results = 1 + rng_below(&k->rng, MAX_RESULTS), count = 0;
    Item kept[MAX_RESULTS], made[MAX_RESULTS];
    for (int i = 0; i < results; i++) kept[i] = random_movable(then);
    other = body_new(k);
    other->first_name = then->first_name;
    body_fill(other);
    const Expr *dims[MAX_RESULTS * TN_MAX_RANK];
    for (int i = 0; i < results; i++) made[i] = other_result(other, then, kept[i]);
    if (then->captures + other->captures > RANDOM_CAPTURES) return false; /* no caller, then */
    share_captures(then, other);
    share_captures(other, then);
    order_captures(then, other, then->captures);
    for (int i = 0; i < results; i++) {
        const Type *a = &kept[i].v->type, *b = &made[i].v->type;
        ir_output(then->g, random_name(k, "t"), kept[i].v);
        ir_output(other->g, random_name(k, "e"), made[i].v);
        for (int d = 0; d < a->rank; d++)
            dims[count++] = length_outside(k, then, a->dims[d],
                                           ex_norm(k->x, a->dims[d]) == ex_norm(k->x, b->dims[d]));
    }
    Value *in[1 + RANDOM_CAPTURES] = {condition};
    for (int i = 0; i < then->captures; i++) in[1 + i] = then->captured[i].v;
    Node *n = ir_node(k->g, op, 1 + then->captures, in);
    ir_set_graph(n, "then", then->g);
    ir_set_graph(n, "else", other->g);
    ir_set_exprs(n, "dims", count, dims);
    ir_insert(n);
    for (int i = 0; i < results; i++)
        random_add(k, n->outputs[i], fmax(kept[i].bound, made[i].bound),
                   kept[i].exact && made[i].exact);
    return true;
}

/* --- loop --- */

/* What a loop carries: a sum of floats, a counter, or a tensor that grows along its first axis. */
typedef enum Carry { CARRY_SUM, CARRY_COUNT, CARRY_GROWING } Carry;

typedef struct Carried {
    Carry kind;
    Item start, inner;
    bool grows;
} Carried;

static Carried carried_new(Maker *k, Maker *b) {
    Carried c = {.kind = rng_below(&k->rng, 3)};
    if (c.kind == CARRY_COUNT) {
        c.start = random_input(k, TN_I64, 0, NULL);
    } else {
        c.start = random_small(k, random_float(k));
        if (!c.start.v->type.rank) c.kind = CARRY_SUM;
    }
    Type t = c.start.v->type;
    if (c.kind == CARRY_GROWING) t.dims[0] = random_measured(b, INT64_MAX);
    Value *v = ir_input(b->g, random_name(k, "v"), t.dtype, t.rank, t.dims, INPUT_REQUIRED);
    c.inner = random_add(b, v, fmax(c.start.bound, c.kind == CARRY_COUNT ? 10 : 1),
                         c.kind == CARRY_COUNT);
    return c;
}

static Value *carried_next(Maker *b, const Carried *c) {
    const Expr *dims[TN_MAX_RANK];
    Value *v = c->inner.v;
    const Type *t = &v->type;
    if (c->kind == CARRY_COUNT)
        return ir_binary(b->g, OP_add, v,
                         random_often(b, 50) ? b->g->inputs[0] : ir_scalar_int(b->g, TN_I64, 1));
    if (c->kind == CARRY_SUM) {
        Item y = random_partner(b, t, t->dtype);
        Value *sum = ir_binary(b->g, OP_add, v, y.v);
        if (!ir_same_dims(&sum->type, t)) sum = v;
        return ir_unary(b->g, OP_tanh, sum);
    }
    memcpy(dims, t->dims, sizeof dims);
    dims[0] = random_often(b, 50) ? ex_int(b->x, 1) : random_dim(b);
    Item more = random_input(b, t->dtype, t->rank, dims);
    return ir_concat(b->g, 2, (Value *[]){v, ir_unary(b->g, OP_tanh, more.v)}, 0);
}

/* The node with its captures; the results' lengths where iterations decide them are measured. */
static void loop_insert(Maker *k, Maker *b, OpKind op, int carried, const Carried *c, int scans,
                        const Item *scan) {
    Value *in[2 + MAX_RESULTS + RANDOM_CAPTURES] = {NULL};
    const Expr *dims[(2 * MAX_RESULTS) * TN_MAX_RANK], *trips = NULL;
    int count = 0;
    if (random_often(k, 80)) {
        int64_t n = rng_below(&k->rng, 4);
        in[0] = random_often(k, 50) ? random_input(k, TN_I64, 0, NULL).v
                                    : ir_scalar_int(k->g, TN_I64, n);
    }
    if (random_often(k, 50)) in[1] = random_input(k, TN_BOOL, 0, NULL).v;
    for (int i = 0; i < carried; i++) {
        const Type *t = &c[i].start.v->type;
        in[2 + i] = c[i].start.v;
        for (int d = 0; d < t->rank; d++)
            dims[count++] = length_outside(k, b, t->dims[d], c[i].kind != CARRY_GROWING || d);
    }
    for (int i = 0; i < scans; i++) {
        if (!trips || random_often(k, 50)) trips = random_measured(k, INT64_MAX);
        dims[count++] = trips;
        for (int d = 0; d < scan[i].v->type.rank; d++)
            dims[count++] = random_measured(k, INT64_MAX);
    }
    for (int i = 0; i < b->captures; i++) in[2 + carried + i] = b->captured[i].v;
    Node *n = ir_node(k->g, op, 2 + carried + b->captures, in);
    ir_set_graph(n, "body", b->g);
    ir_set_int(n, "carried", carried);
    ir_set_exprs(n, "dims", count, dims);
    ir_insert(n);
    for (int i = 0; i < carried; i++)
        random_add(k, n->outputs[i], c[i].inner.bound, c[i].inner.exact);
    for (int i = 0; i < scans; i++)
        random_add(k, n->outputs[carried + i], scan[i].bound, scan[i].exact);
}

bool make_loop(Maker *k, OpKind op) {
    if (depth_of(k) >= MAX_DEPTH) return false;
    Carried c[MAX_RESULTS];
    Item scan[MAX_RESULTS];
    int carried = 1 + rng_below(&k->rng, MAX_RESULTS - 1), scans = 0;
    Maker *b = body_new(k);
    Value *i = ir_input(b->g, random_name(k, "i"), TN_I64, 0, NULL, INPUT_REQUIRED);
    ir_input(b->g, random_name(k, "go"), TN_BOOL, 0, NULL, INPUT_REQUIRED);
    for (int j = 0; j < carried; j++) c[j] = carried_new(k, b);
    b->own_inputs = 2 + carried;
    random_add(b, i, 4, true);
    body_fill(b);
    Value *next[MAX_RESULTS];
    for (int j = 0; j < carried; j++) next[j] = carried_next(b, &c[j]);
    Value *last = ir_scalar_int(b->g, TN_I64, 1 + rng_below(&k->rng, 3));
    Value *results[] = {ir_binary(b->g, OP_lt, i, last)}; /* at most four iterations */
    ir_output(b->g, random_name(k, "more"), results[0]);
    for (int j = 0; j < carried; j++) ir_output(b->g, random_name(k, "n"), next[j]);
    for (int j = 0; j < 5 && scans < MAX_RESULTS - 1; j++) {
        Item y = random_movable(b);
        if (is_hidden(b, &y.v->type) || y.v->type.rank >= RANDOM_RANK || random_often(k, 50))
            continue;
        ir_output(b->g, random_name(k, "s"), y.v);
        scan[scans++] = y;
    }
    loop_insert(k, b, op, carried, c, scans, scan);
    return true;
}
