/* Soundness of the symbolic algebra on random expressions.
 *
 * In random worlds the operations of a pool, computed directly, must give what the normal forms
 * give; answers of the prover must never be contradicted; text must parse back to the same
 * expression; normal forms must be stable; and after random requirements everything must still
 * agree in the worlds that meet them. Numbers are from a fixed seed.
 */
#include "tests/unit/ir/expr_pool.h"

enum { ROUNDS = 400 };

static long evaluations;

static void describe(Pool *p, const World *w) {
    for (int i = 0; i < SYMBOLS; i++)
        print_error("%s = %lld\n", symbol_names[i], (long long)w->symbols[i]);
    for (int i = 0; i < COORDS; i++)
        if (w->has_coord[i])
            print_error("i%d = %lld in %s\n", i, (long long)w->coords[i],
                        ex_text(p->x, p->extents[i]));
}

static void check_item(Pool *p, const World *w, int i) {
    const Item *it = &p->items[i];
    Rational r;
    ExprEnv env = env_of(w);
    if (!w->items[i].known) return;
    evaluations++;
    bool ok = ex_eval_in(&env, it->e, &r);
    if (ok && r.num == w->items[i].r.num && r.den == w->items[i].r.den) return;
    describe(p, w);
    if (it->a >= 0) print_error("a: %s\n", ex_text(p->x, p->items[it->a].e));
    if (it->b >= 0) print_error("b: %s\n", ex_text(p->x, p->items[it->b].e));
    if (it->p >= 0) print_error("p: %s\n", pr_text(p->x, p->preds[it->p].p));
    fail_msg("item %d, op %d: %s is %lld/%lld, not %lld/%lld", i, it->op, ex_text(p->x, it->e),
             ok ? (long long)r.num : -1, ok ? (long long)r.den : 0, (long long)w->items[i].r.num,
             (long long)w->items[i].r.den);
}

static void check_pred(Pool *p, const World *w, int i) {
    const PredItem *it = &p->preds[i];
    ExprEnv env = env_of(w);
    bool v;
    if (!w->preds[i].known) return;
    evaluations++;
    if (pr_eval_in(&env, it->p, &v) && v == (w->preds[i].r.num != 0)) return;
    describe(p, w);
    fail_msg("pred %d, op %d: %s", i, it->op, pr_text(p->x, it->p));
}

static void check_world(Pool *p, const World *w) {
    for (int i = 0; i < p->count; i++) check_item(p, w, i);
    for (int i = 0; i < p->pred_count; i++) check_pred(p, w, i);
}

typedef struct Claim {
    int a, b;
    bool ge;
    Ternary equal;
} Claim;

static void check_claims(Pool *p, const World *w, const Claim *claims, int n) {
    for (int i = 0; i < n; i++) {
        Value a = w->items[claims[i].a], b = w->items[claims[i].b];
        if (!a.known || !b.known) continue;
        int64_t sign = compare(a, b);
        bool ok = !(claims[i].ge && sign < 0) && !(claims[i].equal == YES && sign != 0) &&
                  !(claims[i].equal == NO && sign == 0);
        if (ok) continue;
        describe(p, w);
        fail_msg("%s against %s", ex_text(p->x, p->items[claims[i].a].e),
                 ex_text(p->x, p->items[claims[i].b].e));
    }
}

/* --- rounds --- */

typedef void Round(Pool *p);

/* Runs `round` on fresh pools. A substitution may reveal a division by zero: that round ends there.
 */
static void run(Round *round, int rounds, int coords, uint64_t seed) {
    static Pool p;
    static int done, ended;
    p.random = seed;
    ended = 0;
    for (done = 0; done < rounds; done++) {
        void *state;
        assert_int_equal(set_up(&state), 0);
        Fixture *f = state;
        if (setjmp(f->on_fail) == 0) {
            fill(&p, f->x, coords);
            round(&p);
        } else {
            assert_string_equal(f->cx.message, "division by zero in a size");
            ended++;
        }
        cx_free(&f->cx);
    }
    assert_true(ended * 4 < rounds);
}

static void normal_forms_round(Pool *p) {
    static World w;
    Claim claims[60];
    for (int i = 0; i < 60; i++) {
        Claim c = {.a = operand(p, true), .b = operand(p, true)};
        c.ge = ex_provably_ge(p->x, p->items[c.a].e, p->items[c.b].e);
        c.equal = ex_equal(p->x, p->items[c.a].e, p->items[c.b].e);
        claims[i] = c;
    }
    for (int k = 0; k < WORLDS; k++) {
        draw(p, &w, k % 2 ? 7 : 40);
        check_world(p, &w);
        check_claims(p, &w, claims, 60);
    }
}

static void test_normal_forms(void **state) {
    (void)state;
    evaluations = 0;
    run(normal_forms_round, ROUNDS, COORDS, 88172645463325252u);
    assert_true(evaluations > 200000);
}

static void text_round(Pool *p) {
    for (int i = 0; i < p->count; i++) {
        if (ex_mentions(p->items[i].e, ATOM_LOAD)) continue;
        const char *text = ex_text(p->x, p->items[i].e);
        const Expr *back = parse(p->x, text);
        assert_string_equal(ex_text(p->x, back), text);
        assert_ptr_equal(back, p->items[i].e);
    }
}

static void test_text_round_trip(void **state) {
    (void)state;
    run(text_round, ROUNDS, 0, 4242424242u);
}

static void norm_round(Pool *p) {
    ex_new_generation(p->x);
    for (int i = 0; i < p->count; i++)
        assert_ptr_equal(ex_norm(p->x, p->items[i].e), p->items[i].e);
    for (int i = 0; i < p->pred_count; i++)
        assert_ptr_equal(pr_norm(p->x, p->preds[i].p), p->preds[i].p);
}

static void test_norm_is_stable(void **state) {
    (void)state;
    run(norm_round, ROUNDS, COORDS, 99999999977u);
}

/* Whether the world is one that the requirements admit. */
static bool admitted(const Pool *p, const World *w) {
    ExprEnv env = env_of(w);
    for (const Requirement *q = ex_requirements(p->x); q; q = q->next) {
        Rational l, r;
        if (!ex_eval_in(&env, q->left, &l) || !ex_eval_in(&env, q->right, &r)) return false;
        int64_t sign = l.num * r.den - r.num * l.den;
        if (q->kind == REL_EQ ? sign != 0 : sign > 0) return false;
    }
    return true;
}

/* What is refused must not hold in any world. */
static void check_refusal(Pool *p, int a, int b, bool eq) {
    static World w;
    for (int k = 0; k < WORLDS; k++) {
        draw(p, &w, 9);
        if (!admitted(p, &w) || !w.items[a].known || !w.items[b].known) continue;
        int64_t sign = compare(w.items[a], w.items[b]);
        if (eq ? sign != 0 : sign > 0) continue;
        describe(p, &w);
        fail_msg("%s and %s can meet", ex_text(p->x, p->items[a].e), ex_text(p->x, p->items[b].e));
    }
}

static bool require_something(Pool *p) {
    int a = operand(p, true), b = operand(p, true);
    const Expr *l = p->items[a].e, *r = p->items[b].e;
    uint32_t runtime = 1u << ATOM_COORD | 1u << ATOM_LOAD;
    if ((expr_node(l)->has.kinds | expr_node(r)->has.kinds) & runtime) return true;
    bool eq = below(p, 2), ok;
    ok = eq ? ex_require_eq(p->x, l, r, "test") : ex_require_le(p->x, l, r, "test");
    if (!ok) check_refusal(p, a, b, eq);
    return ok;
}

static void requirements_round(Pool *p) {
    static World w;
    for (int n = 0; n < 3; n++) {
        if (!require_something(p)) return;
        for (int i = 0; i < p->count; i++) p->items[i].e = ex_norm(p->x, p->items[i].e);
        for (int i = 0; i < p->pred_count; i++) p->preds[i].p = pr_norm(p->x, p->preds[i].p);
    }
    for (int k = 0; k < 4 * WORLDS; k++) {
        draw(p, &w, 5);
        if (admitted(p, &w)) check_world(p, &w);
    }
}

static void test_requirements(void **state) {
    (void)state;
    evaluations = 0;
    run(requirements_round, 3 * ROUNDS, COORDS, 777777777777u);
    assert_true(evaluations > 100000);
}

/* Substituted coordinates: the value is that of the original where the map leads to. */
static void at_round(Pool *p) {
    static World w, there;
    const Expr *map[COORDS], *at[POOL];
    for (int i = 0; i < COORDS; i++) map[i] = below(p, 3) ? p->items[operand(p, true)].e : NULL;
    for (int i = 0; i < p->count; i++) at[i] = ex_at(p->x, p->items[i].e, map, COORDS);
    for (int k = 0; k < WORLDS; k++) {
        bool inside = true;
        draw(p, &w, 9);
        there = w;
        ExprEnv here = env_of(&w), env = env_of(&there);
        for (int i = 0; i < COORDS; i++) {
            Rational v = {w.coords[i], 1}, extent;
            inside = inside && w.has_coord[i] && ex_eval_in(&here, p->extents[i], &extent) &&
                     (!map[i] || ex_eval_in(&here, map[i], &v)) && v.den == 1 && v.num >= 0 &&
                     v.num < extent.num;
            there.coords[i] = v.num;
        }
        for (int i = 0; i < p->count && inside; i++) {
            Rational u, v;
            if (!ex_eval_in(&env, p->items[i].e, &u)) continue;
            evaluations++;
            assert_true(ex_eval_in(&here, at[i], &v));
            assert_int_equal(u.num, v.num);
            assert_int_equal(u.den, v.den);
        }
    }
}

static void test_at_values(void **state) {
    (void)state;
    evaluations = 0;
    run(at_round, 2 * ROUNDS, COORDS, 1234567u);
    assert_true(evaluations > 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_forms),   cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_norm_is_stable), cmocka_unit_test(test_requirements),
        cmocka_unit_test(test_at_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
