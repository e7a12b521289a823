#include "tests/random/random_graph.h"
#include <math.h>
#include <string.h>
#include "ir/build.h"

enum { MAX_POOL = 64, MIN_STEPS = 4, MAX_STEPS = 24, SYMBOLS = 3, HUGE_RANK = 5, MAX_OUTPUTS = 3 };
#define LARGE 4.0 /* values beyond it are squashed before an operator that lets them grow */

/* A value to build on, and what is known of its elements. */
typedef struct Item {
    Value *v;
    double bound; /* no element is larger */
    bool exact;   /* computed without rounding */
} Item;

typedef struct Maker {
    Rng rng;
    Graph *g;
    ExprCx *x;
    Item pool[MAX_POOL];
    int count;
    int inputs;
} Maker;

uint32_t rng_next(Rng *r) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 33);
}

int rng_below(Rng *r, int n) {
    return (int)(rng_next(r) % (uint32_t)n);
}

static bool often(Maker *k, int percent) {
    return rng_below(&k->rng, 100) < percent;
}

/* --- the pool --- */

static Item add(Maker *k, Value *v, double bound, bool exact) {
    Item item = {v, bound, exact};
    k->pool[k->count < MAX_POOL ? k->count++ : rng_below(&k->rng, MAX_POOL)] = item;
    return item;
}

static const char *const symbols[SYMBOLS] = {"a", "b", "c"};

static const Expr *random_dim(Maker *k) {
    if (often(k, 50)) return ex_symbol(k->x, symbols[rng_below(&k->rng, SYMBOLS)]);
    static const int lengths[] = {1, 2, 3, 4, 5, 8, 16, 17};
    return ex_int(k->x, lengths[rng_below(&k->rng, 8)]);
}

static TnDType random_type(Maker *k) {
    static const TnDType others[] = {TN_F16, TN_BF16, TN_F64, TN_I64, TN_I32,
                                     TN_I16, TN_I8,   TN_U8,  TN_BOOL};
    return often(k, 70) ? TN_F32 : others[rng_below(&k->rng, 9)];
}

static double input_bound(TnDType t) {
    return t == TN_BOOL ? 1 : 2;
}

static Item new_input(Maker *k, TnDType t, int rank, const Expr *const *dims) {
    const char *name = arena_printf(&k->g->module->cx->arena, "x%d", k->inputs++);
    Value *v = ir_input(k->g, name, t, rank, dims, INPUT_REQUIRED);
    return add(k, v, input_bound(t), true);
}

/* A constant where all dims are numbers, else an input. */
static Item new_source(Maker *k, TnDType t, int rank, const Expr *const *dims) {
    int64_t n[TN_MAX_RANK], count = 1;
    Type type = {.dtype = t, .rank = rank};
    memcpy(type.dims, dims, (size_t)rank * sizeof *dims);
    if (!ir_static_dims(&type, n) || often(k, 40)) return new_input(k, t, rank, dims);
    for (int i = 0; i < rank; i++) count *= n[i];
    void *data = arena_array(&k->g->module->cx->arena, (size_t)count + 1, tn_dtype_size(t));
    for (int64_t i = 0; i < count; i++) {
        if (tn_is_float(t))
            ir_store_f64(t, data, i, (rng_below(&k->rng, 33) - 16) / 8.0);
        else
            ir_store_i64(t, data, i, rng_below(&k->rng, t == TN_BOOL ? 2 : 3));
    }
    return add(k, ir_tensor(k->g, NULL, t, rank, n, data), input_bound(t), true);
}

static Item any(Maker *k) {
    if (!k->count || often(k, 10)) {
        const Expr *dims[TN_MAX_RANK];
        int rank = rng_below(&k->rng, 5);
        for (int i = 0; i < rank; i++) dims[i] = random_dim(k);
        return new_source(k, random_type(k), rank, dims);
    }
    /* later values more often: graphs grow deep */
    int back = rng_below(&k->rng, often(k, 60) && k->count > 3 ? 3 : k->count);
    return k->pool[k->count - 1 - back];
}

/* A value of this type whose shape broadcasts with x's. */
static Item partner(Maker *k, const Type *x, TnDType t) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < k->count && often(k, 70); i++) {
        Item *p = &k->pool[rng_below(&k->rng, k->count)];
        if (p->v->type.dtype == t && ir_same_dims(&p->v->type, x)) return *p;
    }
    int skip = rng_below(&k->rng, x->rank + 1);
    if (often(k, 60)) skip = 0;
    for (int i = skip; i < x->rank; i++)
        dims[i - skip] = often(k, 20) ? ex_int(k->x, 1) : x->dims[i];
    return new_source(k, t, x->rank - skip, dims);
}

static Item as_type(Maker *k, Item x, TnDType t) {
    if (x.v->type.dtype == t) return x;
    bool narrow = !tn_is_float(t) && tn_is_float(x.v->type.dtype);
    if (narrow && !x.exact) return partner(k, &x.v->type, t);
    double bound = t == TN_BOOL ? 1 : x.bound;
    if (t == TN_U8 && x.bound > 0) return partner(k, &x.v->type, t); /* may be negative */
    return add(k, ir_cast(k->g, x.v, t), bound, x.exact && t != TN_BF16 && t != TN_F16);
}

static Item floating(Maker *k) {
    Item x = any(k);
    return tn_is_float(x.v->type.dtype) ? x : as_type(k, x, TN_F32);
}

/* x itself where it is small, else tanh(x). */
static Item small(Maker *k, Item x) {
    if (x.bound <= LARGE || !tn_is_float(x.v->type.dtype)) return x;
    return add(k, ir_unary(k->g, OP_tanh, x.v), 1, false);
}

/* |x| + 0.5: safe to divide by and to take roots and logarithms of */
static Value *positive(Maker *k, Item x) {
    Value *half = ir_scalar(k->g, x.v->type.dtype, 0.5);
    return ir_binary(k->g, OP_add, ir_unary(k->g, OP_abs, x.v), half);
}

/* --- one step each: false if nothing fits --- */

typedef bool Step(Maker *k, OpKind op);

static bool make_smooth(Maker *k, OpKind op) { /* bounded by its argument or by 1 */
    Item x = small(k, floating(k));
    add(k, ir_unary(k->g, op, x.v), x.bound + 1, false);
    return true;
}

static bool make_exp(Maker *k, OpKind op) {
    Item x = small(k, floating(k));
    Value *y = ir_unary(k->g, op, x.v);
    add(k, ir_unary(k->g, OP_tanh, y), 1, false);
    add(k, y, exp(x.bound), false);
    return true;
}

static bool make_of_positive(Maker *k, OpKind op) {
    Item x = small(k, floating(k));
    add(k, ir_unary(k->g, op, positive(k, x)), x.bound + 2, false);
    return true;
}

static bool make_exact_unary(Maker *k, OpKind op) { /* neg, abs, relu */
    Item x = any(k);
    TnDType t = x.v->type.dtype;
    if (t == TN_BOOL || (op == OP_relu && !tn_is_float(t))) x = as_type(k, x, TN_F32);
    if (tn_dtype_size(x.v->type.dtype) == 1) return false; /* unsigned, or -(-128) */
    add(k, ir_unary(k->g, op, x.v), x.bound, x.exact);
    return true;
}

static bool make_jump(Maker *k, OpKind op) { /* floor, ceil, round, sign */
    Item x = floating(k);
    if (!x.exact) return false;
    add(k, ir_unary(k->g, op, x.v), x.bound + 1, true);
    return true;
}

static bool make_sum(Maker *k, OpKind op) { /* add, sub, min, max */
    Item x = any(k);
    TnDType t = x.v->type.dtype;
    if (t == TN_BOOL || (t == TN_U8 && op == OP_sub)) return false;
    Item y = partner(k, &x.v->type, t);
    bool picks = op == OP_min || op == OP_max,
         exact = x.exact && y.exact && (picks || t != TN_BF16);
    double bound = picks ? fmax(x.bound, y.bound) : x.bound + y.bound;
    if (!tn_is_float(t) && bound > 100) return false;
    add(k, ir_binary(k->g, op, x.v, y.v), bound, exact && bound < 64);
    return true;
}

static bool make_product(Maker *k, OpKind op) {
    Item x = small(k, any(k));
    TnDType t = x.v->type.dtype;
    if (t == TN_BOOL || (!tn_is_float(t) && x.bound > 10)) return false;
    Item y = small(k, partner(k, &x.v->type, t));
    if (!tn_is_float(t) && y.bound > 10) return false;
    add(k, ir_binary(k->g, op, x.v, y.v), x.bound * y.bound, false);
    return true;
}

static bool make_quotient(Maker *k, OpKind op) {
    Item x = small(k, floating(k)), y = small(k, partner(k, &x.v->type, x.v->type.dtype));
    add(k, ir_binary(k->g, op, x.v, positive(k, y)), x.bound * 2, false);
    return true;
}

static bool make_power(Maker *k, OpKind op) {
    static const double exponents[] = {2, 3, 0.5, -1, 1.5};
    Item x = small(k, floating(k));
    Value *e = ir_scalar(k->g, x.v->type.dtype, exponents[rng_below(&k->rng, 5)]);
    Value *y = ir_binary(k->g, op, positive(k, x), e);
    add(k, ir_unary(k->g, OP_tanh, y), 1, false);
    return true;
}

static bool make_remainder(Maker *k, OpKind op) { /* of integers by a positive number */
    Item x = any(k);
    TnDType t = x.v->type.dtype;
    if (tn_is_float(t) || t == TN_BOOL) return false;
    add(k, ir_binary(k->g, op, x.v, ir_scalar_int(k->g, t, 3)), fmax(x.bound, 3), true);
    return true;
}

static bool make_comparison(Maker *k, OpKind op) {
    Item x = any(k);
    if (x.v->type.dtype == TN_BOOL && op != OP_eq) return false;
    if (!x.exact) return false;
    Item y = partner(k, &x.v->type, x.v->type.dtype);
    if (!y.exact) return false;
    add(k, ir_binary(k->g, op, x.v, y.v), 1, true);
    return true;
}

static bool make_logic(Maker *k, OpKind op) {
    Item x = as_type(k, any(k), TN_BOOL), y = partner(k, &x.v->type, TN_BOOL);
    add(k, op == OP_not ? ir_unary(k->g, op, x.v) : ir_binary(k->g, op, x.v, y.v), 1, true);
    return true;
}

static bool make_where(Maker *k, OpKind op) {
    (void)op;
    Item x = any(k), y = partner(k, &x.v->type, x.v->type.dtype);
    Item c = partner(k, &x.v->type, TN_BOOL);
    add(k, ir_where(k->g, c.v, x.v, y.v), fmax(x.bound, y.bound), x.exact && y.exact);
    return true;
}

static bool make_cast(Maker *k, OpKind op) {
    (void)op;
    as_type(k, any(k), random_type(k));
    return true;
}

/* --- moving elements --- */

static bool make_view(Maker *k, OpKind op) {
    (void)op;
    Item x = any(k);
    const Type *t = &x.v->type;
    const Expr *dims[TN_MAX_RANK];
    int rank = t->rank;
    if (!rank) return false;
    int at = rng_below(&k->rng, rank);
    memcpy(dims, t->dims, (size_t)rank * sizeof *dims);
    int64_t length;
    if (often(k, 50) && at + 1 < rank) { /* merge two axes */
        dims[at] = ex_mul(k->x, dims[at], dims[at + 1]);
        memmove(&dims[at + 1], &dims[at + 2], (size_t)(rank - at - 2) * sizeof *dims);
        rank--;
    } else if (ex_const(dims[at], &length) && length % 2 == 0 && rank < HUGE_RANK) { /* split one */
        memmove(&dims[at + 1], &dims[at], (size_t)(rank - at) * sizeof *dims);
        dims[at] = ex_int(k->x, 2);
        dims[at + 1] = ex_int(k->x, length / 2);
        rank++;
    } else if (rank < HUGE_RANK) { /* a new one of length 1 */
        memmove(&dims[at + 1], &dims[at], (size_t)(rank - at) * sizeof *dims);
        dims[at] = ex_int(k->x, 1);
        rank++;
    }
    add(k, ir_view(k->g, x.v, rank, dims), x.bound, x.exact);
    return true;
}

static bool make_transpose(Maker *k, OpKind op) {
    (void)op;
    Item x = any(k);
    int perm[TN_MAX_RANK], rank = x.v->type.rank;
    for (int i = 0; i < rank; i++) {
        int j = rng_below(&k->rng, i + 1);
        perm[i] = perm[j];
        perm[j] = i;
    }
    if (rank < 2) return false;
    add(k, ir_transpose(k->g, x.v, perm), x.bound, x.exact);
    return true;
}

static bool make_expand(Maker *k, OpKind op) {
    (void)op;
    Item x = any(k);
    const Type *t = &x.v->type;
    const Expr *dims[TN_MAX_RANK];
    int more = t->rank < HUGE_RANK ? rng_below(&k->rng, 2) : 0;
    if (more) dims[0] = random_dim(k);
    for (int i = 0; i < t->rank; i++)
        dims[more + i] = ex_is(t->dims[i], 1) && often(k, 60) ? random_dim(k) : t->dims[i];
    add(k, ir_expand(k->g, x.v, t->rank + more, dims), x.bound, x.exact);
    return true;
}

/* Any axis, or -1 if there is none. */
static int random_axis(Maker *k, const Item *x) {
    return x->v->type.rank ? rng_below(&k->rng, x->v->type.rank) : -1;
}

static bool make_slice(Maker *k, OpKind op) {
    (void)op;
    Item x = any(k);
    int axis = random_axis(k, &x);
    int64_t length;
    if (axis < 0 || !ex_const(x.v->type.dims[axis], &length) || length < 1) return false;
    int64_t start = rng_below(&k->rng, (int)length);
    bool backwards = often(k, 25);
    int64_t step = backwards ? -1 - rng_below(&k->rng, 2) : 1 + rng_below(&k->rng, 2);
    int64_t most = (backwards ? start : length - 1 - start) / (backwards ? -step : step) + 1;
    const Expr *taken = ex_int(k->x, 1 + rng_below(&k->rng, (int)most));
    add(k, ir_slice(k->g, x.v, axis, ex_int(k->x, start), taken, step), x.bound, x.exact);
    return true;
}

static bool make_concat(Maker *k, OpKind op) {
    (void)op;
    Item x = any(k);
    int axis = random_axis(k, &x);
    if (axis < 0) return false;
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, x.v->type.dims, sizeof dims);
    dims[axis] = random_dim(k);
    Item y = new_source(k, x.v->type.dtype, x.v->type.rank, dims);
    Value *const parts[] = {x.v, y.v, x.v};
    int n = 2 + often(k, 30);
    add(k, ir_concat(k->g, n, parts, axis), fmax(x.bound, y.bound), x.exact && y.exact);
    return true;
}

static bool make_pad(Maker *k, OpKind op) {
    Item x = any(k);
    int rank = x.v->type.rank;
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        before[i] = ex_int(k->x, rng_below(&k->rng, 3));
        after[i] = ex_int(k->x, rng_below(&k->rng, 3));
    }
    if (!rank) return false;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_dims(n, "before", rank, before);
    ir_set_dims(n, "after", rank, after);
    add(k, ir_insert(n), x.bound, x.exact);
    return true;
}

/* Indices below `length`: a constant vector. */
static Value *indices(Maker *k, int64_t length, int rank, const int64_t *dims) {
    int64_t count = 1, *data;
    for (int i = 0; i < rank; i++) count *= dims[i];
    data = arena_array(&k->g->module->cx->arena, (size_t)count + 1, sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = rng_below(&k->rng, (int)length) - (often(k, 30) ? length : 0);
    return ir_tensor(k->g, NULL, TN_I64, rank, dims, data);
}

static bool make_gather(Maker *k, OpKind op) {
    Item x = any(k);
    int axis = random_axis(k, &x);
    int64_t length, dims[TN_MAX_RANK];
    if (axis < 0 || !ex_const(x.v->type.dims[axis], &length) || length < 1) return false;
    if (op == OP_gather) {
        int rank = rng_below(&k->rng, 3);
        for (int i = 0; i < rank; i++) dims[i] = 1 + rng_below(&k->rng, 4);
        if (x.v->type.rank - 1 + rank > HUGE_RANK) return false;
        add(k, ir_gather(k->g, x.v, indices(k, length, rank, dims), axis), x.bound, x.exact);
        return true;
    }
    if (!ir_static_dims(&x.v->type, dims)) return false;
    dims[axis] = 1 + rng_below(&k->rng, 5);
    Node *n = ir_node(k->g, op, 2, (Value *[]){x.v, indices(k, length, x.v->type.rank, dims)});
    ir_set_int(n, "axis", axis);
    add(k, ir_insert(n), x.bound, x.exact);
    return true;
}

/* --- reductions, scans, products --- */

static bool make_reduction(Maker *k, OpKind op) {
    Item x = small(k, any(k));
    TnDType t = x.v->type.dtype;
    bool picks = op == OP_reduce_max || op == OP_reduce_min;
    int64_t axes[TN_MAX_RANK], length, reach = 1;
    int n = 0;
    if (t == TN_BOOL || (!tn_is_float(t) && !picks)) return false;
    for (int i = 0; i < x.v->type.rank; i++) {
        if (often(k, 50)) continue;
        axes[n++] = i;
        reach *= ex_const(x.v->type.dims[i], &length) ? length : 8;
    }
    if (!n || (op == OP_reduce_prod && reach > 8)) return false;
    Value *y = ir_reduce(k->g, op, x.v, n, axes, often(k, 50));
    bool mean = picks || op == OP_reduce_mean;
    double bound = mean                   ? x.bound
                   : op == OP_reduce_prod ? pow(fmax(x.bound, 1), (double)reach)
                                          : x.bound * (double)reach;
    if (bound > 1e4) return false;
    add(k, y, bound, picks && x.exact);
    return true;
}

static bool make_cumsum(Maker *k, OpKind op) {
    Item x = small(k, floating(k));
    int axis = random_axis(k, &x);
    if (axis < 0 || x.v->type.dtype == TN_BF16 || x.v->type.dtype == TN_F16) return false;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    ir_set_bool(n, "exclusive", often(k, 50));
    ir_set_bool(n, "reverse", often(k, 50));
    add(k, ir_insert(n), x.bound * 20, false);
    return true;
}

static bool make_softmax(Maker *k, OpKind op) {
    Item x = small(k, floating(k));
    int axis = random_axis(k, &x);
    if (axis < 0) return false;
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    add(k, ir_insert(n), op == OP_softmax ? 1 : 2 * x.bound + 6, false);
    return true;
}

static bool make_norm(Maker *k, OpKind op) {
    Item x = small(k, floating(k));
    const Type *t = &x.v->type;
    if (!t->rank || t->dtype != TN_F32) return false;
    const Expr *last = t->dims[t->rank - 1];
    Item gamma = new_source(k, t->dtype, 1, &last), beta = new_source(k, t->dtype, 1, &last);
    Value *y = op == OP_rms_norm ? ir_rms_norm(k->g, x.v, gamma.v, 0.125)
                                 : ir_layer_norm(k->g, x.v, gamma.v, beta.v, 0.125);
    add(k, y, 12, false);
    return true;
}

/* x w, with what often surrounds it: a bias, an activation, a residual */
static bool make_matmul(Maker *k, OpKind op) {
    static const OpKind activations[] = {OP_relu, OP_gelu, OP_gelu_tanh,
                                         OP_silu, OP_tanh, OP_sigmoid};
    (void)op;
    Item x = small(k, floating(k));
    const Type *t = &x.v->type;
    bool transposed = often(k, 30);
    const Expr *dims[TN_MAX_RANK];
    int rank = t->rank > 2 && often(k, 30) ? t->rank : 2;
    if (t->rank < 2 || t->dtype == TN_BF16 || t->dtype == TN_F16) return false;
    memcpy(dims, t->dims, sizeof dims);
    const Expr *inner = t->dims[t->rank - 1], *outer = random_dim(k);
    dims[rank - 2] = transposed ? outer : inner;
    dims[rank - 1] = transposed ? inner : outer;
    Item w = small(k, new_source(k, t->dtype, rank, dims));
    Item y = add(k, ir_matmul(k->g, x.v, w.v, false, transposed), x.bound * w.bound * 20, false);
    if (often(k, 50)) {
        Item bias = new_source(k, t->dtype, 1, &outer);
        y = add(k, ir_binary(k->g, OP_add, y.v, bias.v), y.bound + bias.bound, false);
    }
    if (often(k, 50))
        y = add(k, ir_unary(k->g, activations[rng_below(&k->rng, 6)], y.v), y.bound, false);
    if (often(k, 30)) {
        Item r = partner(k, &y.v->type, t->dtype);
        add(k, ir_binary(k->g, OP_add, y.v, r.v), y.bound + r.bound, false);
    }
    return true;
}

/* Scores, a mask of some sort, softmax and values: [b, h, s, d] as exporters write it. */
static bool make_attention(Maker *k, OpKind op) {
    (void)op;
    ExprCx *x = k->x;
    Graph *g = k->g;
    const Expr *b = random_dim(k), *s = random_dim(k), *t = often(k, 60) ? s : random_dim(k);
    const Expr *h = ex_int(x, 1 + rng_below(&k->rng, 3)),
               *d = ex_int(x, 4 << rng_below(&k->rng, 3));
    const Expr *q_dims[] = {b, h, s, d}, *k_dims[] = {b, h, t, d},
               *mask_dims[] = {b, ex_int(x, 1), ex_int(x, 1), t};
    Item q = new_input(k, TN_F32, 4, q_dims), keys = new_input(k, TN_F32, 4, k_dims),
         v = new_input(k, TN_F32, 4, k_dims);
    Value *scores = ir_matmul(g, q.v, keys.v, false, true);
    scores = ir_binary(g, OP_mul, scores, ir_scalar(g, TN_F32, 0.25));
    if (often(k, 50)) { /* causal */
        const Expr *zero = ex_int(x, 0), *one = ex_int(x, 1);
        Value *row = ir_unsqueeze(g, ir_iota(g, TN_I64, s, zero, one), 1);
        Value *allowed = ir_binary(g, OP_le, ir_iota(g, TN_I64, t, zero, one), row);
        scores = ir_where(g, allowed, scores, ir_scalar(g, TN_F32, -1e9));
    }
    if (often(k, 50)) { /* padding, as zeros and ones that are added */
        Item mask = new_input(k, often(k, 50) ? TN_I64 : TN_BOOL, 4, mask_dims);
        Value *f = ir_binary(g, OP_sub, ir_scalar(g, TN_F32, 1),
                             ir_cast(g, ir_cast(g, mask.v, TN_BOOL), TN_F32));
        scores =
            ir_binary(g, OP_add, scores, ir_binary(g, OP_mul, f, ir_scalar(g, TN_F32, -10000)));
    }
    Value *y = ir_matmul(g, ir_softmax(g, scores, -1), v.v, false, false);
    static const int perm[] = {0, 2, 1, 3};
    const Expr *merged[] = {b, s, ex_mul(x, h, d)};
    if (often(k, 70)) y = ir_view(g, ir_transpose(g, y, perm), 3, merged);
    add(k, y, v.bound, false);
    return true;
}

static bool make_iota(Maker *k, OpKind op) {
    (void)op;
    const Expr *length = random_dim(k);
    TnDType t = often(k, 50) ? TN_I64 : TN_F32;
    add(k, ir_iota(k->g, t, length, ex_int(k->x, rng_below(&k->rng, 3)), ex_int(k->x, 1)), 20,
        true);
    return true;
}

static bool make_splat(Maker *k, OpKind op) {
    (void)op;
    const Expr *dims[] = {random_dim(k), random_dim(k)};
    add(k, ir_splat(k->g, often(k, 70) ? TN_F32 : TN_I64, 2, dims, 2), 2, true);
    return true;
}

static bool make_scalars(Maker *k, OpKind op) {
    (void)op;
    const Expr *e[] = {random_dim(k), random_dim(k)};
    add(k, ir_scalars(k->g, TN_I64, 2, e), 20, true);
    return true;
}

static bool make_conv(Maker *k, OpKind op) {
    ExprCx *x = k->x;
    const Expr *channels = ex_int(x, 4),
               *image[] = {random_dim(k), channels, ex_int(x, 5 + rng_below(&k->rng, 6)),
                           ex_int(x, 5 + rng_below(&k->rng, 6))};
    int groups = 1 << rng_below(&k->rng, 3), size = 1 + rng_below(&k->rng, 3);
    const Expr *kernel[] = {ex_int(x, 8), ex_int(x, 4 / groups), ex_int(x, size), ex_int(x, size)};
    Item in = new_input(k, TN_F32, 4, image), w = new_source(k, TN_F32, 4, kernel);
    Node *n = ir_node(k->g, op, 2, (Value *[]){in.v, w.v});
    int64_t stride = 1 + rng_below(&k->rng, 2), pad = rng_below(&k->rng, 2);
    ir_set_ints(n, "strides", 2, (int64_t[]){stride, stride});
    ir_set_ints(n, "pads", 4, (int64_t[]){pad, pad, pad, pad});
    ir_set_ints(n, "dilations", 2, (int64_t[]){1, 1});
    ir_set_int(n, "groups", groups);
    add(k, ir_insert(n), 100, false);
    return true;
}

/* --- the table --- */

typedef struct Row {
    OpKind op;
    Step *make;
    int weight;
    const char *why_not; /* where make is NULL */
} Row;

static const Row rows[] = {
    {OP_add, make_sum, 4, NULL},
    {OP_sub, make_sum, 2, NULL},
    {OP_min, make_sum, 1, NULL},
    {OP_max, make_sum, 1, NULL},
    {OP_mul, make_product, 4, NULL},
    {OP_div, make_quotient, 2, NULL},
    {OP_mod, make_remainder, 1, NULL},
    {OP_fmod, make_remainder, 1, NULL},
    {OP_pow, make_power, 1, NULL},
    {OP_neg, make_exact_unary, 1, NULL},
    {OP_abs, make_exact_unary, 1, NULL},
    {OP_relu, make_exact_unary, 1, NULL},
    {OP_sqrt, make_of_positive, 1, NULL},
    {OP_reciprocal, make_of_positive, 1, NULL},
    {OP_log, make_of_positive, 1, NULL},
    {OP_exp, make_exp, 1, NULL},
    {OP_erf, make_smooth, 1, NULL},
    {OP_tanh, make_smooth, 1, NULL},
    {OP_sigmoid, make_smooth, 1, NULL},
    {OP_sin, make_smooth, 1, NULL},
    {OP_cos, make_smooth, 1, NULL},
    {OP_gelu, make_smooth, 1, NULL},
    {OP_gelu_tanh, make_smooth, 1, NULL},
    {OP_gelu_quick, make_smooth, 1, NULL},
    {OP_silu, make_smooth, 1, NULL},
    {OP_floor, make_jump, 1, NULL},
    {OP_ceil, make_jump, 1, NULL},
    {OP_round, make_jump, 1, NULL},
    {OP_sign, make_jump, 1, NULL},
    {OP_eq, make_comparison, 1, NULL},
    {OP_lt, make_comparison, 1, NULL},
    {OP_le, make_comparison, 1, NULL},
    {OP_and, make_logic, 1, NULL},
    {OP_or, make_logic, 1, NULL},
    {OP_xor, make_logic, 1, NULL},
    {OP_not, make_logic, 1, NULL},
    {OP_where, make_where, 2, NULL},
    {OP_cast, make_cast, 2, NULL},
    {OP_splat, make_splat, 1, NULL},
    {OP_iota, make_iota, 1, NULL},
    {OP_scalars, make_scalars, 1, NULL},
    {OP_view, make_view, 3, NULL},
    {OP_transpose, make_transpose, 3, NULL},
    {OP_expand, make_expand, 2, NULL},
    {OP_slice, make_slice, 2, NULL},
    {OP_concat, make_concat, 2, NULL},
    {OP_pad, make_pad, 1, NULL},
    {OP_gather, make_gather, 2, NULL},
    {OP_gather_elements, make_gather, 1, NULL},
    {OP_gather_nd, NULL, 0, "a gather of several axes; tests/kernels sweeps it"},
    {OP_reduce_sum, make_reduction, 1, NULL},
    {OP_reduce_mean, make_reduction, 1, NULL},
    {OP_reduce_max, make_reduction, 1, NULL},
    {OP_reduce_min, make_reduction, 1, NULL},
    {OP_reduce_prod, make_reduction, 1, NULL},
    {OP_cumsum, make_cumsum, 1, NULL},
    {OP_matmul, make_matmul, 5, NULL},
    {OP_conv, make_conv, 1, NULL},
    {OP_softmax, make_softmax, 2, NULL},
    {OP_log_softmax, make_softmax, 1, NULL},
    {OP_layer_norm, make_norm, 2, NULL},
    {OP_rms_norm, make_norm, 2, NULL},
    {OP_attention, make_attention, 2, NULL},
};
enum { ROWS = sizeof rows / sizeof *rows };

bool random_covers(OpKind op, const char **why_not) {
    *why_not = ir_op_info(op)->flags & OPF_FUSED ? "made by passes" : NULL;
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].op != op) continue;
        *why_not = rows[i].why_not;
        return rows[i].make != NULL;
    }
    return false;
}

static const Row *random_row(Maker *k) {
    int total = 0, at;
    for (int i = 0; i < ROWS; i++) total += rows[i].weight;
    at = rng_below(&k->rng, total);
    for (int i = 0; i < ROWS; i++)
        if ((at -= rows[i].weight) < 0) return &rows[i];
    return &rows[0];
}

/* The last values that nothing reads. */
static void add_outputs(Maker *k) {
    for (int i = k->count - 1; i >= 0 && k->g->output_count < MAX_OUTPUTS; i--) {
        Value *v = k->pool[i].v;
        if (!v->node || v->use_count || ir_is_output(v)) continue;
        ir_output(k->g, arena_printf(&k->g->module->cx->arena, "y%d", k->g->output_count), v);
    }
    if (!k->g->output_count) ir_output(k->g, "y0", k->pool[k->count - 1].v);
}

void random_graph(Graph *g, uint64_t seed) {
    Maker k = {.rng = {seed * 0x9e3779b97f4a7c15u + 1}, .g = g, .x = g->module->ex};
    int steps = MIN_STEPS + rng_below(&k.rng, MAX_STEPS - MIN_STEPS + 1);
    const Expr *lengths[SYMBOLS]; /* of an input, so that every symbol has a value */
    for (int i = 0; i < SYMBOLS; i++) lengths[i] = ex_symbol(k.x, symbols[i]);
    new_input(&k, TN_F32, SYMBOLS, lengths);
    for (int i = 0; i < 4; i++) rng_next(&k.rng);
    for (int i = 0; i < steps; i++) {
        const Row *row = random_row(&k);
        row->make(&k, row->op);
    }
    add_outputs(&k);
}
