/* Facts against the reference evaluator: random graphs over integer, boolean and float tensors are
 * run on random data, and every element of every value is compared with what its facts say. */
#include "tests/unit/ir/fixture.h"

#include <math.h>

enum { GRAPHS = 400, NODES = 30, MAX_VALUES = 4096, MAX_COUNT = 4096 };

static uint64_t seed;

static int below(int n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)n);
}

/* --- the value of an expression on a run --- */

static Tensor known[MAX_VALUES]; /* by value id; dtype TN_NONE = not computed */
static int64_t symbols[8], coords[TN_MAX_RANK];

/* num / den, or undefined: a load out of range. */
typedef struct Number {
    __int128 num, den;
} Number;
static const Number undefined = {0, 0};

static Number number(__int128 num, __int128 den) {
    __int128 a = num < 0 ? -num : num, b = den;
    while (b) {
        __int128 r = a % b;
        a = b;
        b = r;
    }
    return a ? (Number){num / a, den / a} : (Number){0, 1};
}

static __int128 floor_of(Number v) {
    __int128 q = v.num / v.den;
    return v.num % v.den < 0 ? q - 1 : q;
}

static int pred_value(const Pred *p); /* 0, 1, or -1: undefined */
static Number expr_value(const Expr *e);

static Number load_value(const Atom *a) {
    const Tensor *t = &known[((const Value *)a->leaf)->id];
    int64_t at = 0;
    if (t->dtype == TN_NONE) fail_msg("a load of a value not computed yet");
    for (int i = 0; i < a->arity; i++) {
        Number k = expr_value(a->args[i]);
        if (!k.den || k.num < 0 || k.num >= t->dims[i] || k.den != 1) return undefined;
        at = at * t->dims[i] + (int64_t)k.num;
    }
    return number(ir_element_i64(t->dtype, t->data, at), 1);
}

static Number extreme(const Atom *a, int sign) {
    Number best = expr_value(a->args[0]);
    for (int i = 1; i < a->arity; i++) {
        Number v = expr_value(a->args[i]);
        if (!v.den || !best.den) return undefined;
        if (sign * (v.num * best.den - best.num * v.den) > 0) best = v;
    }
    return best;
}

static Number atom_value(const Atom *a) {
    if (a->kind == ATOM_SYMBOL) return number(symbols[a->number], 1);
    if (a->kind == ATOM_COORD) return number(coords[a->number], 1);
    if (a->kind == ATOM_LOAD) return load_value(a);
    if (a->kind == ATOM_MIN || a->kind == ATOM_MAX) return extreme(a, a->kind == ATOM_MIN ? -1 : 1);
    if (a->pred) {
        int p = pred_value(a->pred);
        if (p < 0) return undefined;
        return a->kind == ATOM_BIT ? number(p, 1) : expr_value(a->args[p ? 0 : 1]);
    }
    Number v = expr_value(a->args[0]);
    if (!v.den) return undefined;
    if (a->kind == ATOM_ABS) return number(v.num < 0 ? -v.num : v.num, v.den);
    if (a->kind == ATOM_TRUNC) return number(v.num / v.den, 1);
    Number d = expr_value(a->args[1]);
    if (!d.den || !d.num) return undefined;
    Number q =
        d.num < 0 ? number(-v.num * d.den, -v.den * d.num) : number(v.num * d.den, v.den * d.num);
    __int128 down = floor_of(q);
    if (a->kind == ATOM_FLOORDIV) return number(down, 1);
    return number(v.num * d.den - down * d.num * v.den, v.den * d.den);
}

static Number expr_value(const Expr *e) {
    Number sum = {0, 1};
    for (int i = 0; i < e->count; i++) {
        const Term *t = &e->terms[i];
        Number product = {t->coef.num, t->coef.den};
        for (int k = 0; k < t->degree; k++) {
            Number v = atom_value(t->atoms[k]);
            if (!v.den) return undefined;
            product = number(product.num * v.num, product.den * v.den);
        }
        sum = number(sum.num * product.den + product.num * sum.den, sum.den * product.den);
    }
    return sum;
}

static int pred_value(const Pred *p) {
    int open = 0, yes = 0, no = 0;
    if (p->kind == PRED_TRUE || p->kind == PRED_FALSE) return p->kind == PRED_TRUE;
    if (p->expr) {
        Number v = expr_value(p->expr);
        if (!v.den) return -1;
        return p->kind == PRED_GE0 ? v.num >= 0 : (v.num == 0) == (p->kind == PRED_EQ0);
    }
    for (int i = 0; i < p->count; i++) {
        int v = pred_value(p->args[i]);
        open += v < 0;
        yes += v > 0;
        no += v == 0;
    }
    if (p->kind == PRED_AND) return no ? 0 : open ? -1 : 1;
    if (p->kind == PRED_OR) return yes ? 1 : open ? -1 : 0;
    if (open) return -1;
    return p->kind == PRED_NOT ? no : yes == 1;
}

/* --- checking --- */

static int compared, skipped;

static void wrong(const Value *v, const char *what, double fact, double found) {
    fail_msg("%s of %s (%s): %g, but the element is %g\n  elem %s\n  pred %s\n  choice %s", what,
             v->node ? ir_op_info(v->node->op)->name : "source", type_of(v), fact, found,
             elem_text(v), pred_text(v), choice_text(v));
}

static void compare(const Value *v, const char *what, bool defined, double fact, double found) {
    if (!defined) {
        skipped++;
        return;
    }
    compared++;
    bool close = tn_is_float(v->type.dtype) && fabs(fact - found) <= 1e-5 * fabs(found);
    if (fact != found && !close && !(isnan(fact) && isnan(found))) wrong(v, what, fact, found);
}

static void check_element(const Value *v, int64_t i, double found) {
    const Facts *f = &v->facts;
    if (f->elem) {
        Number e = expr_value(f->elem);
        compare(v, "elem", e.den != 0, (double)e.num / (double)e.den, found);
    }
    if (f->values) {
        Number e = expr_value(f->values[i]);
        compare(v, "value", e.den != 0, (double)e.num / (double)e.den, found);
    }
    if (f->pred) {
        int p = pred_value(f->pred);
        compare(v, "pred", p >= 0, p, found);
    }
    if (f->choice) {
        int p = pred_value(f->choice);
        compare(v, "choice", p >= 0, p ? f->yes : f->no, found);
    }
}

static void check_value(const Value *v, const Tensor *t) {
    int64_t count = tensor_count(t);
    if (v->facts.values) assert_int_equal(v->facts.count, count);
    if (!tn_is_float(t->dtype)) assert_true(v->facts.elem || v->facts.pred);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        for (int k = t->rank - 1; k >= 0; rest /= t->dims[k--]) coords[k] = rest % t->dims[k];
        check_element(v, i, ir_element_f64(t->dtype, t->data, i));
    }
}

/* Facts take numbers to stay within their type; a run whose products grow past that says nothing.
 */
static bool grew;

static void watch(void *user, const Value *v, const Tensor *t) {
    (void)user;
    assert_true(v->id < MAX_VALUES);
    known[v->id] = *t;
    for (int64_t i = 0, n = tensor_count(t); i < n; i++)
        grew = grew || fabs(ir_element_f64(t->dtype, t->data, i)) > 1e7;
}

/* --- random graphs --- */

static Value *pool[256];
static int pool_count;

static void keep(Value *v) {
    if (pool_count < 256) pool[pool_count++] = v;
}

static Value *any(void) {
    return pool[below(pool_count)];
}

/* A value of this type, or NULL. */
static Value *any_of(TnDType t) {
    for (int tries = 0; tries < 20; tries++) {
        Value *v = any();
        if (v->type.dtype == t) return v;
    }
    return NULL;
}

static bool fits(const Value *a, const Value *b) {
    for (int i = 1; i <= a->type.rank && i <= b->type.rank; i++) {
        const Expr *d = a->type.dims[a->type.rank - i], *e = b->type.dims[b->type.rank - i];
        if (d != e && !ex_is(d, 1) && !ex_is(e, 1)) return false;
    }
    return true;
}

/* Something of v's type that broadcasts with it. */
static Value *partner(const Value *v) {
    for (int tries = 0; tries < 30; tries++) {
        Value *w = any();
        if (w->type.dtype == v->type.dtype && fits(v, w)) return w;
    }
    return NULL;
}

static Value *make_binary(void) {
    static const OpKind numbers[] = {OP_add, OP_sub, OP_mul, OP_div, OP_mod, OP_min,
                                     OP_max, OP_eq,  OP_lt,  OP_le,  OP_add, OP_sub};
    static const OpKind logic[] = {OP_and, OP_or, OP_xor, OP_eq};
    Value *a = any(), *b = partner(a);
    if (!b) return NULL;
    OpKind op = a->type.dtype == TN_BOOL ? logic[below(4)] : numbers[below(12)];
    return ir_binary(fx.g, op, a, b);
}

static Value *make_unary(void) {
    static const TnDType types[] = {TN_I64, TN_F32, TN_BOOL, TN_I32, TN_U8, TN_I64};
    Value *a = any();
    if (below(2)) return ir_cast(fx.g, a, types[below(6)]);
    if (a->type.dtype == TN_BOOL) return ir_unary(fx.g, OP_not, a);
    if (tn_is_float(a->type.dtype)) return ir_unary(fx.g, below(2) ? OP_floor : OP_ceil, a);
    return ir_unary(fx.g, below(2) ? OP_neg : OP_abs, a);
}

static Value *make_where(void) {
    Value *a = any(), *b = partner(a), *c = any_of(TN_BOOL);
    return b && c && fits(a, c) && fits(b, c) ? ir_where(fx.g, c, a, b) : NULL;
}

static Value *make_view(void) {
    Value *v = any();
    int rank = v->type.rank;
    if (below(3) == 0 && rank < 4) return ir_unsqueeze(fx.g, v, below(rank + 1));
    if (rank < 1) return NULL;
    if (v->node && v->node->op == OP_view && below(2))
        return ir_view(fx.g, v, v->node->inputs[0]->type.rank, v->node->inputs[0]->type.dims);
    const Expr *flat = ir_elements(fx.m, &v->type);
    if (rank < 3 || below(2)) return ir_view(fx.g, v, 1, &flat);
    const Expr *dims[] = {ex_mul(fx.x, v->type.dims[0], v->type.dims[1]),
                          ex_exact_div(fx.x, flat, ex_mul(fx.x, v->type.dims[0], v->type.dims[1]))};
    return dims[1] ? ir_view(fx.g, v, 2, dims) : NULL;
}

static Value *make_transpose(void) {
    Value *v = any();
    int perm[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) perm[i] = i;
    for (int i = v->type.rank - 1; i > 0; i--) {
        int j = below(i + 1), p = perm[i];
        perm[i] = perm[j];
        perm[j] = p;
    }
    return ir_transpose(fx.g, v, perm);
}

static Value *make_expand(void) {
    static const char *const lengths[] = {"a", "b", "2", "3"};
    Value *v = any();
    const Expr *dims[TN_MAX_RANK];
    int more = v->type.rank < 3 && below(3) == 0, rank = v->type.rank + more;
    for (int i = 0; i < rank; i++) {
        const Expr *d = i < more ? num(1) : v->type.dims[i - more];
        dims[i] = ex_is(d, 1) && below(2) ? dim(lengths[below(4)]) : d;
    }
    return ir_expand(fx.g, v, rank, dims);
}

static Value *make_slice(void) {
    Value *v = any();
    if (v->type.rank < 1) return NULL;
    int axis = below(v->type.rank);
    const Expr *d = v->type.dims[axis], *one = num(1);
    if (!ex_provably_ge(fx.x, d, one)) return NULL;
    if (below(3) == 0) return ir_slice(fx.g, v, axis, ex_sub(fx.x, d, one), d, -1);
    if (below(2)) return ir_slice(fx.g, v, axis, num(0), ex_ceildiv(fx.x, d, num(2)), 2);
    return ir_slice(fx.g, v, axis, one, ex_sub(fx.x, d, one), 1);
}

static Value *make_concat(void) {
    Value *a = any(), *b = any();
    if (a->type.dtype != b->type.dtype || a->type.rank != b->type.rank || a->type.rank < 1)
        return NULL;
    int axis = below(a->type.rank);
    for (int i = 0; i < a->type.rank; i++)
        if (i != axis && a->type.dims[i] != b->type.dims[i]) return NULL;
    return ir_concat(fx.g, 2, (Value *[]){a, b}, axis);
}

static Value *make_pad(void) {
    Value *v = any();
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) {
        before[i] = num(below(2));
        after[i] = num(below(2));
    }
    Node *n = ir_node(fx.g, OP_pad, 1, &v);
    ir_set_dims(n, "before", v->type.rank, before);
    ir_set_dims(n, "after", v->type.rank, after);
    return ir_insert(n);
}

/* Indices that stay in range: something reduced modulo the length, or a range. */
static Value *make_gather(void) {
    Value *v = any(), *index;
    if (v->type.rank < 1) return NULL;
    int axis = below(v->type.rank);
    const Expr *d = v->type.dims[axis];
    if (!ex_provably_ge(fx.x, d, num(1))) return NULL;
    if (below(2)) {
        index = any_of(TN_I64);
        if (!index || index->type.rank > 2 || v->type.rank + index->type.rank > 4) return NULL;
        Value *length = ir_view(fx.g, ir_scalars(fx.g, TN_I64, 1, &d), 0, NULL);
        index = ir_binary(fx.g, OP_mod, index, length);
    } else {
        index = ir_iota(fx.g, TN_I64, d, below(2) ? num(0) : ex_sub(fx.x, d, num(1)), num(0));
    }
    return ir_gather(fx.g, v, index, axis);
}

/* mask[b, j] by its flat index, as TorchScript writes it. */
static Value *make_flat_gather(void) {
    Value *v = any();
    if (v->type.rank != 2) return NULL;
    const Expr *flat = ir_elements(fx.m, &v->type), *zero = num(0), *one = num(1);
    Value *rows = ir_iota(fx.g, TN_I64, v->type.dims[0], zero, v->type.dims[1]);
    Value *columns = ir_iota(fx.g, TN_I64, v->type.dims[1], zero, one);
    Value *index = ir_binary(fx.g, OP_add, ir_unsqueeze(fx.g, rows, 1), columns);
    return ir_gather(fx.g, ir_view(fx.g, v, 1, &flat), index, 0);
}

static Value *make_gather_nd(void) {
    Value *v = any();
    if (v->type.rank != 2) return NULL;
    const Expr *dims[] = {v->type.dims[0], v->type.dims[1], num(1)};
    Value *i = ir_iota(fx.g, TN_I64, dims[0], num(0), num(1));
    Value *j = ir_iota(fx.g, TN_I64, dims[1], num(0), num(1));
    i = ir_expand(fx.g, ir_view(fx.g, i, 3, (const Expr *[]){dims[0], num(1), num(1)}), 3, dims);
    j = ir_expand(fx.g, ir_view(fx.g, j, 3, (const Expr *[]){num(1), dims[1], num(1)}), 3, dims);
    Value *index = ir_concat(fx.g, 2, (Value *[]){i, j}, 2);
    return ir_insert(ir_node(fx.g, OP_gather_nd, 2, (Value *[]){v, index}));
}

static Value *make_reduce(void) {
    static const OpKind ops[] = {OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_reduce_prod};
    Value *v = any_of(TN_I64);
    if (!v || v->type.rank < 1) return NULL;
    int64_t axis = below(v->type.rank);
    return ir_reduce(fx.g, ops[below(4)], v, 1, &axis, below(2));
}

static Value *make_source(void) {
    static const TnDType types[] = {TN_I64, TN_F32, TN_BOOL};
    static const char *const lengths[] = {"a", "b", "1", "3"};
    const Expr *d = dim(lengths[below(4)]);
    int64_t table[6];
    for (int i = 0; i < 6; i++) table[i] = below(7) - 3;
    switch (below(4)) {
    case 0: return ir_splat(fx.g, types[below(3)], 1, &d, below(3));
    case 1: return ir_iota(fx.g, TN_I64, d, num(below(3) - 1), num(below(3) - 1));
    case 2: return ir_scalars(fx.g, TN_I64, 2, (const Expr *[]){d, dim("a - b")});
    default: return ir_tensor(fx.g, NULL, TN_I64, 2, (int64_t[]){2, 3}, table);
    }
}

static Value *make_any(void) {
    static Value *(*const makers[])(void) = {
        make_binary,      make_binary,    make_unary,  make_where,  make_view, make_view,
        make_transpose,   make_expand,    make_slice,  make_concat, make_pad,  make_gather,
        make_flat_gather, make_gather_nd, make_reduce, make_source,
    };
    return makers[below((int)(sizeof makers / sizeof *makers))]();
}

/* --- one round --- */

static void fill_random(Tensor *t, const Value *v, Arena *a) {
    *t = (Tensor){.dtype = v->type.dtype, .rank = v->type.rank};
    for (int i = 0; i < t->rank; i++) ex_eval(fx.x, v->type.dims[i], symbols, &t->dims[i]);
    int64_t count = tensor_count(t);
    t->bytes = (size_t)count * tn_dtype_size(t->dtype);
    t->data = arena_alloc(a, t->bytes);
    for (int64_t i = 0; i < count; i++) ir_store_i64(t->dtype, t->data, i, below(9) - 3);
}

static void build(void) {
    pool_count = 0;
    memset(known, 0, sizeof known);
    keep(input("x", TN_I64, "a, b"));
    keep(input("m", TN_BOOL, "a, b"));
    keep(input("y", TN_I64, "b"));
    keep(input("k", TN_BOOL, "a, 1, b"));
    keep(input("f", TN_F32, "b"));
    for (int i = 0; i < NODES; i++) {
        Value *v = make_any();
        int64_t count = 1, d;
        for (int k = 0; v && k < v->type.rank; k++)
            count *= ex_eval(fx.x, v->type.dims[k], symbols, &d) ? d : MAX_COUNT;
        if (v && count < MAX_COUNT) keep(v);
    }
    for (int i = 0; i < pool_count; i++) ir_output(fx.g, "out", pool[i]);
}

static void run(Arena *a) {
    Tensor inputs[5], outputs[256];
    const Tensor *pointers[5];
    for (int i = 0; i < 5; i++) {
        fill_random(&inputs[i], fx.g->inputs[i], a);
        pointers[i] = &inputs[i];
        known[fx.g->inputs[i]->id] = inputs[i];
    }
    for (size_t i = 0; i < fx.g->constant_capacity; i++) {
        const Value *v = fx.g->constant_values[i];
        if (!v) continue;
        Tensor t = {.dtype = v->constant->dtype,
                    .rank = v->constant->rank,
                    .data = (void *)v->constant->data};
        memcpy(t.dims, v->constant->dims, sizeof t.dims);
        known[v->id] = t;
    }
    grew = false;
    ir_eval(fx.g, pointers, outputs, a, watch, NULL);
    for (int i = 0; i < pool_count; i++) known[pool[i]->id] = outputs[i];
}

/* Returns whether the graph could be built and run; requirements may rule these lengths out. */
static bool attempt(int round, Arena *a) {
    jmp_buf failed;
    fixture_setup(NULL);
    fx.cx.on_fail = &failed;
    if (setjmp(failed)) return false;
    seed = (uint64_t)round * 7919 + 1;
    symbols[0] = 1 + below(4);
    symbols[1] = 1 + below(4);
    dim("a + b");
    ex_set_range(fx.x, "a", 1, 100);
    ex_set_range(fx.x, "b", 1, 100);
    build();
    run(a);
    return !grew;
}

static void test_facts_hold(void **state) {
    (void)state;
    int ran = 0;
    for (int round = 0; round < GRAPHS; round++) {
        Arena a = {.alloc = tn_default_alloc()};
        if (attempt(round, &a)) {
            ran++;
            for (const Node *n = fx.g->first; n; n = n->next)
                for (int i = 0; i < n->output_count; i++)
                    if (known[n->outputs[i]->id].dtype)
                        check_value(n->outputs[i], &known[n->outputs[i]->id]);
        } else if (getenv("SHOW"))
            print_message("round %d: %s\n", round, fx.cx.message);
        arena_free(&a);
        fixture_teardown(NULL);
    }
    print_message("%d of %d graphs ran, %d elements compared, %d undefined\n", ran, GRAPHS,
                  compared, skipped);
    assert_true(ran > GRAPHS / 4 && compared > 20000);
    assert_true(skipped < compared / 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_facts_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
