/* The symbolic algebra: one case per rewrite, proof rule and error. Requirements:
 * test_expr_require.c. */
#include "tests/unit/ir/expr_testing.h"

#include <stdio.h>

/* `text` prints as `expected`, and that parses to the same expression. */
static void prints(ExprCx *x, const char *text, const char *expected) {
    const Expr *e = parse(x, text);
    assert_string_equal(ex_text(x, e), expected);
    assert_ptr_equal(parse(x, expected), e);
}

static void test_polynomials(void **state) {
    same(X, "a + b", "b + a");
    same(X, "(a + b)*(a - b)", "a*a - b*b");
    same(X, "a - a", "0");
    same(X, "2*(a/2)", "a");
    same(X, "3*(a + 1) - 3", "a*3");
    assert_ptr_equal(ex_add(X, ex_symbol(X, "a"), ex_int(X, 0)), ex_symbol(X, "a"));
    assert_true(ex_is(parse(X, "7 - 7"), 0));
    assert_true(ex_is_integral(parse(X, "3*a")));
    assert_false(ex_is_integral(parse(X, "a/3")));
    assert_null(ex_exact_div(X, parse(X, "a*b + a"), parse(X, "b")));
    assert_ptr_equal(ex_exact_div(X, parse(X, "a*b + a + b + 1"), parse(X, "b + 1")),
                     parse(X, "a + 1"));
    assert_null(ex_exact_div(X, parse(X, "3*a"), parse(X, "2")));
    const Expr *dims[3] = {parse(X, "a"), parse(X, "b"), parse(X, "12")};
    assert_ptr_equal(ex_product(X, dims, 3), parse(X, "12*a*b"));
}

static void test_text(void **state) {
    prints(X, "s*b", "b*s");
    prints(X, "1 + s + s*b*3", "3*b*s + s + 1");
    prints(X, "(s + 2)//3 - 1", "(s + 2)//3 - 1");
    prints(X, "min(512, s)", "min(512, s)");
    prints(X, "2*(s//3)", "2*(s//3)");
    prints(X, "-(s//3)", "-(s//3)");
    prints(X, "b - s//3", "b - s//3");
    prints(X, "s % 3 + 1", "s % 3 + 1");
    prints(X, "(s*b)//t", "(b*s)//t");
    prints(X, "s/2 - 1/3", "1/2*s - 1/3");
    prints(X, "-s", "-s");
    prints(X, "abs(s - t)", "abs(s - t)");
    prints(X, "max(s - 3, t)", "max(s - 3, t)");
    prints(X, "where(s - t >= 0, s, 2*t)", "where(s - t >= 0, s, 2*t)");
    prints(X, "bit(s == t and (b >= 2 or s != 7))",
           "bit((b - 2 >= 0 or s - 7 != 0) and s - t == 0)");
    prints(X, "bit((s >= 2) xor (t >= 2))", "bit(s - 2 >= 0 xor t - 2 >= 0)");
    prints(X, "(s//t)//b", "(s//t)//b");
    prints(X, "s//(t//b)", "s//(t//b)");
    prints(X, "trunc((s - t)/2)", "trunc(1/2*s - 1/2*t)");
    const char *rest = "past + 3, seq";
    ex_parse(X, &rest);
    assert_string_equal(rest, ", seq");
}

static void test_text_does_not_depend_on_creation_order(void **state) {
    const char *text = "min(b, a)*c + a//(c + 7) + max(z, y, x)";
    char first[200];
    snprintf(first, sizeof first, "%s", ex_text(X, parse(X, text)));
    ExprCx *other = ex_new(&((Fixture *)*state)->cx);
    parse(other, "z + y + x + c + b + a");
    assert_string_equal(ex_text(other, parse(other, text)), first);
}

static void test_bad_text(void **state) {
    static const char *const bad[] = {"",       "3 +",   "(a",
                                      "foo(a)", "-",     "+ a",
                                      "min(a,", "a / b", "where(a, b, c)",
                                      "bit(a)", "a//0",  "99999999999999999999"};
    Fixture *f = *state;
    for (volatile size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *s = bad[i];
        assert_raises(f, TN_E_MODEL, ex_parse(f->x, &s));
    }
    char deep[1000];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    const char *s = deep;
    assert_raises(f, TN_E_MODEL, ex_parse(f->x, &s));
}

static void test_floordiv(void **state) {
    same(X, "7//2", "3");
    same(X, "(0 - 7)//2", "0 - 4");
    same(X, "7//(0 - 2)", "0 - 4");
    same(X, "(6*s)//3", "2*s");
    same(X, "(s*b)//b", "s");
    same(X, "(s*b + b)//b", "s + 1");
    same(X, "(4*s + 5)//4", "s + 1");
    same(X, "(5*s)//3", "s + (2*s)//3");
    same(X, "(6*s + 3)//8", "(3*s + 1)//4");
    same(X, "(s*b)//(t*b)", "s//t");
    same(X, "(s + t + 3)//(s + t)", "1 + 3//(s + t)");
    same(X, "((s//80 - 3)//2 - 1)//2 + 1", "(s + 240)//320 - 1");
    same(X, "(s//2)//3", "s//6");
    same(X, "-((0 - s)//3)", "(s + 2)//3");
    same(X, "(s % 12)//3", "(s//3) % 4");
    const Expr *s = ex_symbol(X, "s");
    assert_ptr_equal(ex_ceildiv(X, s, ex_int(X, 3)), parse(X, "(s + 2)//3"));
    assert_ptr_equal(ex_floor(X, ex_scale(X, s, 1, 32)), parse(X, "s//32"));
    assert_ptr_equal(ex_ceil(X, ex_scale(X, s, 1, 32)), parse(X, "(s + 31)//32"));
    assert_ptr_equal(ex_trunc(X, ex_scale(X, s, 1, 32)), parse(X, "s//32"));
    assert_ptr_equal(ex_trunc(X, ex_scale(X, s, -1, 32)), parse(X, "-(s//32)"));
    assert_ptr_equal(ex_trunc(X, ex_rational(X, -7, 2)), ex_int(X, -3));
    assert_raises((Fixture *)*state, TN_E_MODEL, ex_floordiv(X, s, ex_int(X, 0)));
    assert_raises((Fixture *)*state, TN_E_MODEL, ex_mod(X, s, ex_int(X, 0)));
}

static void test_mod(void **state) {
    same(X, "(0 - 7) % 3", "2");
    same(X, "7 % (0 - 3)", "0 - 2");
    same(X, "(3*s) % 3", "0");
    same(X, "(4*s + 6) % 4", "2");
    same(X, "(2*s) % 4", "2*(s % 2)");
    same(X, "(s*b) % (t*b)", "b*(s % t)");
    same(X, "(s % 12) % 3", "s % 3");
    same(X, "3*(s//3) + s % 3", "s");
    same(X, "b*t*(s//t) + b*(s % t)", "b*s");
    same(X, "768*(s//768) + 64*((s//64) % 12) + s % 64", "s");
}

static void test_coordinates(void **state) {
    const Expr *s = ex_symbol(X, "S"), *t = ex_symbol(X, "T"), *b = ex_symbol(X, "B");
    const Expr *i0 = ex_coord(X, 0, b), *i1 = ex_coord(X, 1, s), *i2 = ex_coord(X, 2, t);
    assert_ptr_equal(ex_coord(X, 0, ex_int(X, 1)), ex_int(X, 0));
    const Expr *two = ex_add(X, ex_mul(X, i0, s), i1);
    assert_ptr_equal(ex_floordiv(X, two, s), i0);
    assert_ptr_equal(ex_mod(X, two, s), i1);
    const Expr *three = ex_add(X, ex_mul(X, two, t), i2), *st = ex_mul(X, s, t);
    assert_ptr_equal(ex_floordiv(X, three, st), i0);
    assert_ptr_equal(ex_mod(X, ex_floordiv(X, three, t), s), i1);
    assert_ptr_equal(ex_mod(X, three, t), i2);
    assert_ptr_equal(ex_mod(X, three, st), ex_add(X, ex_mul(X, i1, t), i2));
    assert_ptr_equal(ex_floordiv(X, three, ex_mul(X, b, st)), ex_int(X, 0));
    /* Extents that are sums. */
    const Expr *total = ex_add(X, s, t), *j = ex_coord(X, 3, total);
    const Expr *flat = ex_add(X, ex_mul(X, i0, total), j);
    assert_ptr_equal(ex_floordiv(X, flat, total), i0);
    assert_ptr_equal(ex_mod(X, flat, total), j);
    /* Heads: [B, S, 768] seen as [B, S, 12, 64]. */
    const Expr *h = ex_coord(X, 2, ex_int(X, 12)), *d = ex_coord(X, 3, ex_int(X, 64));
    const Expr *c = ex_add(X, ex_scale(X, h, 64, 1), d);
    assert_ptr_equal(ex_floordiv(X, c, ex_int(X, 64)), h);
    assert_ptr_equal(ex_mod(X, c, ex_int(X, 64)), d);
    assert_ptr_equal(ex_floordiv(X, c, ex_int(X, 768)), ex_int(X, 0));
    assert_ptr_equal(ex_floordiv(X, c, ex_int(X, 128)), ex_floordiv(X, h, ex_int(X, 2)));
    /* There and back. */
    const Expr *k = ex_coord(X, 0, ex_mul(X, b, s));
    const Expr *back = ex_add(X, ex_mul(X, ex_floordiv(X, k, s), s), ex_mod(X, k, s));
    assert_ptr_equal(back, k);
}

static void test_choices(void **state) {
    same(X, "min(s, min(600, 512))", "min(512, s)");
    same(X, "min(s, s + 1)", "s");
    same(X, "max(s, 0)", "s");
    same(X, "max(s, s - 3, 0)", "s");
    same(X, "max(0, min(s, t))", "min(t, s)");
    same(X, "min(s, max(s, t))", "s");
    same(X, "abs(s)", "s");
    same(X, "abs(0 - s)", "s");
    same(X, "abs(6 - 2*s)", "2*abs(s - 3)");
    same(X, "abs(t - s)", "abs(s - t)");
    same(X, "where(s >= 0, a, b)", "a");
    same(X, "where(s >= t, a, a)", "a");
    same(X, "where(s >= t, where(s >= t, a, b), c)", "where(s >= t, a, c)");
    same(X, "where(s >= t, 1, 0)", "bit(s >= t)");
    same(X, "where(s >= t, 0, 1)", "bit(t >= s + 1)");
    same(X, "bit(s == t)*bit(s == t)", "bit(s == t)");
    assert_ptr_equal(ex_min(X, ex_symbol(X, "s"), ex_int(X, INT64_MAX)), ex_symbol(X, "s"));
    assert_ptr_equal(ex_min(X, parse(X, "s - 5"), ex_int(X, INT64_MAX)), parse(X, "s - 5"));
    assert_ptr_equal(ex_max(X, parse(X, "s - 5"), ex_int(X, INT64_MIN)), parse(X, "s - 5"));
}

static void test_predicates(void **state) {
    const Expr *s = ex_symbol(X, "s"), *t = ex_symbol(X, "t");
    const Pred *p = pr_ge(X, s, t), *q = pr_eq(X, s, ex_int(X, 3)), *yes = pr_bool(X, true),
               *no = pr_bool(X, false);
    assert_ptr_equal(pr_ge(X, s, ex_int(X, 0)), yes);
    assert_ptr_equal(pr_ge(X, ex_int(X, -1), s), no);
    assert_ptr_equal(pr_eq(X, s, ex_int(X, -1)), no);
    assert_ptr_equal(pr_eq(X, parse(X, "2*s"), parse(X, "2*t + 1")), no);
    assert_ptr_equal(pr_eq(X, s, t), pr_eq(X, t, s));
    assert_ptr_equal(pr_ge(X, parse(X, "2*s"), parse(X, "2*t + 1")),
                     pr_ge(X, s, parse(X, "t + 1")));
    assert_ptr_equal(pr_not(X, p), pr_ge(X, t, parse(X, "s + 1")));
    assert_ptr_equal(pr_not(X, pr_not(X, pr_and(X, p, q))), pr_and(X, q, p));
    assert_ptr_equal(pr_and(X, p, yes), p);
    assert_ptr_equal(pr_and(X, p, no), no);
    assert_ptr_equal(pr_and(X, p, pr_not(X, p)), no);
    assert_ptr_equal(pr_or(X, q, pr_not(X, q)), yes);
    assert_ptr_equal(pr_or(X, p, no), p);
    assert_ptr_equal(pr_and(X, p, pr_or(X, p, q)), p);
    assert_ptr_equal(pr_or(X, p, pr_and(X, p, q)), p);
    assert_ptr_equal(pr_and(X, p, pr_and(X, q, p)), pr_and(X, p, q));
    assert_ptr_equal(pr_and(X, p, pr_ge(X, s, parse(X, "t - 4"))), p);
    assert_ptr_equal(pr_or(X, p, pr_ge(X, parse(X, "t + 5"), s)), yes);
    assert_ptr_equal(pr_and(X, p, pr_ge(X, t, parse(X, "s + 2"))), no);
    assert_ptr_equal(pr_nonzero(X, ex_bit(X, p)), p);
    assert_ptr_equal(pr_nonzero(X, ex_sub(X, ex_int(X, 1), ex_bit(X, p))), pr_not(X, p));
    assert_ptr_equal(pr_eq(X, ex_bit(X, p), ex_int(X, 0)), pr_not(X, p));
    assert_ptr_equal(pr_ge(X, ex_bit(X, p), ex_int(X, 1)), p);
    assert_ptr_equal(pr_nonzero(X, ex_mul(X, ex_bit(X, p), ex_bit(X, q))), pr_and(X, p, q));
    assert_ptr_equal(pr_xor(X, p, p), no);
    assert_ptr_equal(pr_xor(X, p, pr_not(X, p)), yes);
    assert_ptr_equal(pr_xor(X, p, no), p);
    assert_ptr_equal(pr_xor(X, p, yes), pr_not(X, p));
    assert_ptr_equal(pr_xor(X, pr_not(X, p), q), pr_not(X, pr_xor(X, q, p)));
    assert_ptr_equal(ex_bit(X, pr_not(X, pr_xor(X, p, q))),
                     ex_sub(X, ex_int(X, 1), ex_bit(X, pr_xor(X, p, q))));
}

static const char *leaf_name(void *user, const void *leaf) {
    (void)user;
    return leaf;
}

static void test_at(void **state) {
    const Expr *b = ex_symbol(X, "b"), *s = ex_symbol(X, "s");
    const Expr *i0 = ex_coord(X, 0, b), *i1 = ex_coord(X, 1, s);
    const Expr *index[2] = {i0, i1}, *mask = ex_load(X, "mask", index, 2);
    const Pred *key = pr_nonzero(X, mask), *causal = pr_ge(X, i0, i1);
    const Pred *both = pr_and(X, key, causal);
    assert_string_equal(pr_text_with(X, both, leaf_name, NULL),
                        "i0 - i1 >= 0 and mask[i0, i1] != 0");
    const Expr *map[3] = {NULL, ex_coord(X, 3, s), NULL};
    assert_string_equal(pr_text_with(X, pr_at(X, both, map, 3), leaf_name, NULL),
                        "i0 - i3 >= 0 and mask[i0, i3] != 0");
    assert_string_equal(ex_text_with(X, ex_at(X, mask, map, 2), leaf_name, NULL), "mask[i0, i3]");
    const Expr *zero[2] = {ex_int(X, 0), ex_int(X, 0)};
    assert_ptr_equal(pr_at(X, causal, zero, 2), pr_bool(X, true));
    assert_ptr_equal(pr_at(X, both, zero, 2), pr_at(X, key, zero, 2));
    assert_true(pr_mentions(both, ATOM_LOAD));
    assert_false(pr_mentions(causal, ATOM_LOAD));
    assert_true(pr_mentions_coord(both, 1));
    assert_false(pr_mentions_coord(both, 2));
    assert_true(ex_mentions_coord(mask, 0));
    assert_false(ex_mentions(mask, ATOM_SYMBOL)); /* extents are not counted */
    assert_int_equal(ex_size(mask), 3);
}

static void test_proofs(void **state) {
    proves(X, "s", "0", true);
    proves(X, "s", "1", false);
    proves(X, "s*t + 3", "3", true);
    proves(X, "s", "min(s, t)", true);
    proves(X, "max(s, t)", "t", true);
    proves(X, "t", "s % t + 1", true);
    proves(X, "s", "s//3", true);
    proves(X, "s", "3*(s//3)", true);
    proves(X, "3*(s//3) + 2", "s", true);
    proves(X, "s", "t*(s//t)", true);
    proves(X, "t*(s//t) + t - 1", "s", true);
    proves(X, "s", "s//t", true);
    proves(X, "abs(s - t)", "s - t", true);
    proves(X, "s + t", "abs(s - t)", true);
    proves(X, "where(s >= t, 2, 3)", "2", true);
    proves(X, "s", "where(s >= t, 2, 3)", false);
    proves(X, "max(s, t)", "min(s, t)", true);
    proves(X, "s*(s - t) + t*t", "0", false);
    ex_set_range(X, "n", 1, 64);
    proves(X, "64*s", "n*s", true);
    proves(X, "n*s", "s", true);
    proves(X, "n*n", "n", true);
    int64_t lo, hi;
    assert_true(ex_bounds(X, parse(X, "2*n - 3"), &lo, &hi));
    assert_int_equal(lo, -1);
    assert_int_equal(hi, 125);
    assert_true(ex_bounds(X, parse(X, "s + 4"), &lo, &hi));
    assert_int_equal(lo, 4);
    assert_int_equal(hi, INT64_MAX);
    assert_false(ex_bounds(X, parse(X, "s - t"), &lo, &hi));
    assert_int_equal(ex_ge(X, parse(X, "n"), parse(X, "65")), NO);
    assert_int_equal(ex_equal(X, parse(X, "n"), parse(X, "65")), NO);
    assert_int_equal(ex_equal(X, parse(X, "n"), parse(X, "s")), UNKNOWN);
    assert_int_equal(ex_equal(X, parse(X, "s"), parse(X, "s")), YES);
}

static void test_ranges(void **state) {
    const Expr *s = ex_symbol(X, "s"), *e = parse(X, "min(s, 512)");
    uint32_t before = ex_generation(X);
    ex_set_range(X, "s", 1, 512);
    assert_true(ex_generation(X) > before);
    assert_ptr_equal(ex_norm(X, e), s);
    ex_set_range(X, "s", 0, 1000); /* never widens */
    assert_int_equal(ex_find_symbol(X, "s")->max, 512);
    assert_int_equal(ex_find_symbol(X, "s")->min, 1);
    ex_set_range(X, "s", 8, 8);
    assert_ptr_equal(ex_norm(X, s), ex_int(X, 8));
    assert_raises((Fixture *)*state, TN_E_MODEL, ex_set_range(X, "s", 9, 10));
    assert_null(ex_find_symbol(X, "nobody"));
    const Expr *t = ex_symbol(X, "t");
    assert_ptr_equal(ex_as_symbol(X, t), ex_find_symbol(X, "t"));
    assert_null(ex_as_symbol(X, parse(X, "t + 1")));
    assert_int_equal(ex_symbol_count(X), 2);
    assert_string_equal(ex_symbol_at(X, 1)->name, "t");
}

static void test_limits(void **state) {
    Fixture *f = *state;
    const Expr *big = ex_int(f->x, INT64_MAX), *s = ex_symbol(f->x, "s");
    assert_raises(f, TN_E_LIMIT, ex_add(f->x, big, ex_int(f->x, 1)));
    assert_raises(f, TN_E_LIMIT,
                  ex_mul(f->x, ex_scale(f->x, s, 1 << 30, 1), ex_int(f->x, INT64_C(1) << 40)));
    assert_raises(f, TN_E_LIMIT, ex_neg(f->x, ex_int(f->x, INT64_MIN)));
    const Expr *volatile e = ex_add(f->x, s, ex_symbol(f->x, "t"));
    assert_raises(f, TN_E_LIMIT, for (;;) e = ex_mul(f->x, e, e));
    e = s;
    assert_raises(
        f, TN_E_LIMIT, for (int i = 0;; i++) {
            char name[20];
            snprintf(name, sizeof name, "d%d", i);
            e = ex_floordiv(f->x, e, ex_symbol(f->x, name));
        });
    e = s;
    assert_raises(
        f, TN_E_LIMIT, for (int i = 0;; i++) {
            char name[20];
            snprintf(name, sizeof name, "t%d", i);
            e = ex_add(f->x, e, ex_symbol(f->x, name));
        });
    /* A proof does not raise. */
    ex_set_range(f->x, "m", 0, INT64_MAX / 2);
    assert_false(ex_provably_ge(f->x, parse(f->x, "7*s"), parse(f->x, "m*m*m*m")));
    assert_int_equal(ex_ge(f->x, ex_int(f->x, INT64_MAX), parse(f->x, "s - 5")), YES);
}

static void test_eval(void **state) {
    const Expr *e = parse(X, "min(a, b)*3 + a//b - where(a >= b, 1, 0)");
    int64_t v, symbols[2] = {7, 2}, zero[2] = {7, 0};
    assert_true(ex_eval(X, e, symbols, &v));
    assert_int_equal(v, 8);
    assert_false(ex_eval(X, e, zero, &v));
    assert_false(ex_eval(X, parse(X, "a/2"), symbols, &v));
    assert_false(ex_eval(X, ex_coord(X, 0, parse(X, "a")), symbols, &v));
    symbols[0] = INT64_MAX;
    assert_false(ex_eval(X, parse(X, "a*b"), symbols, &v));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_polynomials),
        CASE(test_text),
        CASE(test_text_does_not_depend_on_creation_order),
        CASE(test_bad_text),
        CASE(test_floordiv),
        CASE(test_mod),
        CASE(test_coordinates),
        CASE(test_choices),
        CASE(test_predicates),
        CASE(test_at),
        CASE(test_proofs),
        CASE(test_ranges),
        CASE(test_limits),
        CASE(test_eval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
