/* Facts against the reference evaluator: random graphs over integer, boolean and float tensors are
 * run on random data, and every element of every value is compared with what its facts say. */
#include <math.h>
#include "tests/unit/ir/facts_graph.h"

enum { GRAPHS = 400, NODES = 30, MAX_VALUES = 4096, MAX_COUNT = 4096 };

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
