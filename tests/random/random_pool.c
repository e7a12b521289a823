/* The values that a random graph is made of so far. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

#define LARGE 4.0 /* values beyond it are squashed before an operator that lets them grow */

uint32_t rng_next(Rng *r) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 33);
}

int rng_below(Rng *r, int n) {
    return (int)(rng_next(r) % (uint32_t)n);
}

const char *random_name(Maker *k, const char *prefix) {
    Maker *top = k;
    while (top->outer) top = top->outer;
    return arena_printf(&k->g->module->cx->arena, "%s%d", prefix, top->names++);
}

const Expr *random_measured(Maker *k, int64_t max) {
    return ex_measured(k->x, random_name(k, "m"), 0, max);
}

bool random_often(Maker *k, int percent) {
    return rng_below(&k->rng, 100) < percent;
}

Item random_add(Maker *k, Value *v, double bound, bool exact) {
    Item item = {v, bound, exact};
    k->pool[k->count < RANDOM_POOL ? k->count++ : rng_below(&k->rng, RANDOM_POOL)] = item;
    return item;
}

const char *const random_symbols[RANDOM_SYMBOLS] = {"a", "b", "c"};

const Expr *random_dim(Maker *k) {
    if (random_often(k, 50)) {
        int i = rng_below(&k->rng, RANDOM_SYMBOLS);
        if (!k->numbers) return ex_symbol(k->x, random_symbols[i]);
        return ex_int(k->x, i == 0   ? k->numbers / 100
                            : i == 1 ? k->numbers / 10 % 10
                                     : k->numbers % 10);
    }
    static const int lengths[] = {1, 2, 3, 4, 5, 8, 16, 17};
    return ex_int(k->x, lengths[rng_below(&k->rng, 8)]);
}

TnDType random_type(Maker *k) {
    static const TnDType others[] = {TN_F16, TN_BF16, TN_F64, TN_I64, TN_I32, TN_I16,
                                     TN_I8,  TN_U8,   TN_U16, TN_U32, TN_U64, TN_BOOL};
    return random_often(k, 70) ? TN_F32 : others[rng_below(&k->rng, 12)];
}

static double input_bound(TnDType t) {
    return t == TN_BOOL ? 1 : 2;
}

/* A value of the caller's, in a body. */
Item random_capture(Maker *k, Item from) {
    for (int i = 0; i < k->captures; i++)
        if (k->captured[i].v == from.v) return random_captured(k, i);
    k->captured[k->captures++] = from;
    const Type *t = &from.v->type;
    ir_input(k->g, random_name(k, "c"), t->dtype, t->rank, t->dims, INPUT_REQUIRED);
    Item inner = random_captured(k, k->captures - 1);
    return random_add(k, inner.v, inner.bound, inner.exact);
}

Item random_captured(const Maker *k, int i) {
    Item inner = k->captured[i];
    inner.v = k->g->inputs[k->own_inputs + i];
    return inner;
}

/* Nobody passes in a value of a length that is measured: one of length 1 there, expanded. */
static Item expanded_input(Maker *k, TnDType t, int rank, const Expr *const *dims) {
    const Expr *known[TN_MAX_RANK];
    for (int i = 0; i < rank; i++)
        known[i] = ex_mentions_measured(dims[i]) ? ex_int(k->x, 1) : dims[i];
    Item x = random_source(k, t, rank, known);
    return random_add(k, ir_expand(k->g, x.v, rank, dims), x.bound, true);
}

Item random_input(Maker *k, TnDType t, int rank, const Expr *const *dims) {
    for (int i = 0; i < rank; i++)
        if (ex_mentions_measured(ex_norm(k->x, dims[i]))) return expanded_input(k, t, rank, dims);
    if (k->outer && k->captures == RANDOM_CAPTURES) {
        Value *one = tn_is_float(t) ? ir_scalar(k->g, t, 1) : ir_scalar_int(k->g, t, 1);
        return random_add(k, ir_expand(k->g, one, rank, dims), 1, true);
    }
    if (k->outer) return random_capture(k, random_input(k->outer, t, rank, dims));
    const char *name = arena_printf(&k->g->module->cx->arena, "x%d", k->inputs++);
    Value *v = ir_input(k->g, name, t, rank, dims, INPUT_REQUIRED);
    return random_add(k, v, input_bound(t), true);
}

Item random_constant(Maker *k, TnDType t, int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    void *data = arena_array(&k->g->module->cx->arena, (size_t)count + 1, tn_dtype_size(t));
    for (int64_t i = 0; i < count; i++) {
        if (tn_is_float(t))
            ir_store_f64(t, data, i, (rng_below(&k->rng, 33) - 16) / 8.0);
        else
            ir_store_i64(t, data, i, rng_below(&k->rng, t == TN_BOOL ? 2 : 3));
    }
    return random_add(k, ir_tensor(k->g, NULL, t, rank, dims, data), input_bound(t), true);
}

Item random_source(Maker *k, TnDType t, int rank, const Expr *const *dims) {
    int64_t n[TN_MAX_RANK];
    Type type = {.dtype = t, .rank = rank};
    memcpy(type.dims, dims, (size_t)rank * sizeof *dims);
    if (!ir_static_dims(&type, n) || random_often(k, 40)) return random_input(k, t, rank, dims);
    return random_constant(k, t, rank, n);
}

/* Constant integers from low to low + n - 1. */
Value *random_integers(Maker *k, TnDType t, int low, int n, int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    void *data = arena_array(&k->g->module->cx->arena, (size_t)count + 1, tn_dtype_size(t));
    for (int64_t i = 0; i < count; i++) ir_store_i64(t, data, i, low + rng_below(&k->rng, n));
    return ir_tensor(k->g, NULL, t, rank, dims, data);
}

Item random_movable(Maker *k) {
    if (!k->count || random_often(k, 10)) {
        const Expr *dims[TN_MAX_RANK];
        int rank = rng_below(&k->rng, 5);
        for (int i = 0; i < rank; i++) dims[i] = random_dim(k);
        return random_source(k, random_type(k), rank, dims);
    }
    /* later values more often: graphs grow deep */
    int back = rng_below(&k->rng, random_often(k, 60) && k->count > 3 ? 3 : k->count);
    return k->pool[k->count - 1 - back];
}

Item random_any(Maker *k) {
    Item x = random_movable(k);
    TnDType t = x.v->type.dtype;
    return tn_is_narrow(t) ? random_cast(k, x, tn_is_float(t) ? TN_F32 : TN_I32) : x;
}

/* A value of this type whose shape broadcasts with x's. */
Item random_partner(Maker *k, const Type *x, TnDType t) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < k->count && random_often(k, 70); i++) {
        Item *p = &k->pool[rng_below(&k->rng, k->count)];
        if (p->v->type.dtype == t && ir_same_dims(&p->v->type, x)) return *p;
    }
    int skip = rng_below(&k->rng, x->rank + 1);
    if (random_often(k, 60)) skip = 0;
    for (int i = skip; i < x->rank; i++)
        dims[i - skip] = random_often(k, 20) ? ex_int(k->x, 1) : x->dims[i];
    return random_source(k, t, x->rank - skip, dims);
}

Item random_cast(Maker *k, Item x, TnDType t) {
    if (x.v->type.dtype == t) return x;
    bool narrow = tn_is_narrow(t) || (!tn_is_float(t) && tn_is_float(x.v->type.dtype));
    if (narrow && !x.exact) return random_partner(k, &x.v->type, t);
    double bound = t == TN_BOOL ? 1 : x.bound;
    if (t == TN_U8 && x.bound > 0) return random_partner(k, &x.v->type, t); /* may be negative */
    return random_add(k, ir_cast(k->g, x.v, t), bound, x.exact && t != TN_BF16 && t != TN_F16);
}

Item random_float(Maker *k) {
    Item x = random_any(k);
    return tn_is_float(x.v->type.dtype) ? x : random_cast(k, x, TN_F32);
}

Item random_exact(Maker *k, double bound) {
    Item x = random_any(k);
    const Type *t = &x.v->type;
    if (t->dtype != TN_BOOL && x.exact && x.bound <= bound) return x;
    x = random_partner(k, t, TN_F32);
    return x.exact && x.bound <= bound ? x : random_source(k, TN_F32, t->rank, t->dims);
}

/* x itself where it is small, else tanh(x). */
Item random_small(Maker *k, Item x) {
    if (x.bound <= LARGE || !tn_is_float(x.v->type.dtype)) return x;
    return random_add(k, ir_unary(k->g, OP_tanh, x.v), 1, false);
}

/* |x| + 0.5: safe to divide by and to take roots and logarithms of */
Value *random_positive(Maker *k, Item x) {
    Value *half = ir_scalar(k->g, x.v->type.dtype, 0.5);
    return ir_binary(k->g, OP_add, ir_unary(k->g, OP_abs, x.v), half);
}

/* Any axis, or -1 if there is none. */
int random_axis(Maker *k, const Item *x) {
    return x->v->type.rank ? rng_below(&k->rng, x->v->type.rank) : -1;
}
