/* What is required of lengths, and what is learnt from it: one case per kind of requirement. */
#include "tests/unit/ir/expr_testing.h"

static int count_requirements(ExprCx *x) {
    int n = 0;
    for (const Requirement *r = ex_requirements(x); r; r = r->next) n++;
    return n;
}

static void test_symbol_equals_symbol(void **state) {
    const Expr *ids = ex_symbol(X, "s21"), *mask = ex_symbol(X, "s6");
    const Expr *old = parse(X, "s6*2 + s21");
    ex_note_use(X, "s21");
    ex_note_use(X, "s21");
    ex_note_use(X, "s6");
    assert_true(ex_require_eq(X, mask, ids, "GatherND"));
    assert_ptr_equal(ex_symbol(X, "s6"), ex_symbol(X, "s21"));
    assert_ptr_equal(ex_norm(X, mask), ids);
    assert_ptr_equal(ex_norm(X, old), parse(X, "3*s21"));
    const Requirement *r = ex_requirements(X);
    assert_int_equal(r->kind, REL_EQ);
    assert_ptr_equal(r->left, mask);
    assert_ptr_equal(r->right, ids);
    assert_string_equal(r->origin, "GatherND");
    uint32_t generation = ex_generation(X);
    assert_true(ex_require_eq(X, mask, ids, "again"));
    assert_int_equal(ex_generation(X), generation);
    assert_int_equal(count_requirements(X), 1);
}

static void test_quotient_is_replaced(void **state) {
    assert_true(ex_require_eq(X, parse(X, "(s6*s81)//s33"), ex_symbol(X, "s50"), "Reshape"));
    assert_ptr_equal(parse(X, "(s6*s81)//s33"), ex_symbol(X, "s50"));
    static const char *const names[] = {"s6", "s81", "s33", "s50"};
    for (int i = 0; i < 4; i++) assert_string_equal(ex_text(X, ex_symbol(X, names[i])), names[i]);
    assert_string_equal(ex_text(X, ex_requirements(X)->left), "(s6*s81)//s33");
    /* Once the batches are equal, the quotient is s81, which then is s50. */
    assert_true(ex_require_eq(X, ex_symbol(X, "s6"), ex_symbol(X, "s33"), "Add"));
    assert_ptr_equal(ex_symbol(X, "s81"), ex_symbol(X, "s50"));
}

static void test_upper_bound(void **state) {
    const Expr *seq = ex_symbol(X, "seq"), *table = parse(X, "min(64, seq)");
    assert_true(ex_require_eq(X, table, seq, "Slice"));
    assert_int_equal(ex_find_symbol(X, "seq")->max, 64);
    assert_ptr_equal(ex_norm(X, table), seq);
    const Requirement *r = ex_requirements(X);
    assert_int_equal(r->kind, REL_LE);
    assert_ptr_equal(r->left, seq);
    assert_ptr_equal(r->right, ex_int(X, 64));
    assert_false(ex_require_le(X, ex_int(X, 65), seq, "x"));
    assert_true(ex_require_le(X, seq, ex_int(X, 65), "x"));
    assert_int_equal(count_requirements(X), 1);
    /* numerator >= 0 */
    const Expr *n = parse(X, "h - 7");
    assert_true(ex_require_eq(X, ex_max(X, n, ex_int(X, 0)), n, "Conv"));
    assert_int_equal(ex_find_symbol(X, "h")->min, 7);
}

static void test_facts(void **state) {
    assert_true(ex_require_le(X, parse(X, "past + seq"), parse(X, "total"), "Gather"));
    proves(X, "total", "past + seq", true);
    proves(X, "total", "seq", true);
    proves(X, "b*total", "b*seq", true);
    proves(X, "b*total + 2", "b*seq + b*past", true);
    proves(X, "past + seq", "total", false);
    same(X, "min(total, seq)", "seq");
    assert_true(ex_require_le(X, parse(X, "total"), parse(X, "512"), "Slice"));
    proves(X, "512", "seq", true);
    same(X, "min(512, past + seq)", "past + seq");
    assert_false(ex_require_le(X, parse(X, "total + 1"), parse(X, "seq"), "x"));
    /* Both ways: an equation. */
    assert_true(ex_require_le(X, parse(X, "total"), parse(X, "past + seq"), "x"));
    assert_ptr_equal(parse(X, "total"), parse(X, "past + seq"));
}

static void test_other_equations(void **state) {
    same(X, "s50 - s57 + s66", "s66 + s50 - s57");
    assert_true(ex_require_eq(X, parse(X, "s81"), parse(X, "s50 - s57 + s66"), "Concat"));
    same(X, "s81", "s50 - s57 + s66");
    proves(X, "s50 + s66", "s57", true); /* s81 >= 0 */
    /* Equal quotients: one stays. */
    assert_true(ex_require_eq(X, parse(X, "(h + 15)//16"), parse(X, "2*((h + 31)//32)"), "Add"));
    same(X, "(h + 15)//16", "2*((h + 31)//32)");
    assert_true(ex_require_eq(X, parse(X, "queries % images"), ex_int(X, 0), "Reshape"));
    same(X, "queries % images", "0");
    /* No symbol to solve for: known from now on, but nothing is replaced. */
    const Expr *l = parse(X, "3*a*b"), *r = parse(X, "3*c*d");
    assert_true(ex_require_eq(X, l, r, "Reshape"));
    assert_int_equal(ex_equal(X, l, r), YES);
    int n = count_requirements(X);
    assert_true(ex_require_eq(X, r, l, "Reshape"));
    assert_int_equal(count_requirements(X), n);
    /* A common factor cancels. */
    assert_true(ex_require_eq(X, parse(X, "q*u"), parse(X, "q*v"), "Reshape"));
    assert_ptr_equal(parse(X, "u"), parse(X, "v"));
    /* A product of lengths is 1 only if each is */
    assert_true(ex_require_eq(X, parse(X, "4"), parse(X, "4*p*r*r"), "Reshape"));
    assert_ptr_equal(ex_norm(X, parse(X, "p + 2*r")), ex_int(X, 3));
    assert_true(ex_require_eq(X, parse(X, "2*e*f"), ex_int(X, 4), "Reshape"));
    assert_ptr_not_equal(ex_norm(X, parse(X, "e")), ex_int(X, 1));
    /* So does a common term. */
    assert_true(ex_require_eq(X, parse(X, "past + new"), parse(X, "new + other"), "Concat"));
    same(X, "past", "other");
    const Requirement *last = ex_requirements(X);
    while (last->next) last = last->next;
    assert_string_equal(ex_text(X, last->left), "past");
}

static void test_impossible(void **state) {
    assert_false(ex_require_eq(X, ex_int(X, 3), ex_int(X, 4), "Add"));
    assert_false(ex_require_eq(X, parse(X, "2*s"), parse(X, "7"), "Add"));
    assert_false(ex_require_eq(X, parse(X, "s"), parse(X, "s + 1"), "Add"));
    assert_null(ex_requirements(X));
    assert_true(ex_require_eq(X, parse(X, "s"), parse(X, "3"), "Add"));
    assert_ptr_equal(parse(X, "s"), ex_int(X, 3));
    assert_false(ex_require_eq(X, parse(X, "s"), parse(X, "4"), "Add"));
    const Expr *index = ex_int(X, 0), *load = ex_load(X, "n", &index, 1);
    assert_raises((Fixture *)*state, TN_E_UNSUPPORTED, ex_require_eq(X, load, parse(X, "t"), "x"));
}

/* A cycle of replacements must not recurse for ever. */
static void test_replacements_that_lead_back(void **state) {
    assert_true(ex_require_eq(X, parse(X, "a//b"), parse(X, "c"), "1"));
    assert_true(ex_require_eq(X, parse(X, "c"), parse(X, "a//d"), "2"));
    assert_true(ex_require_eq(X, parse(X, "d"), parse(X, "b"), "3"));
    assert_int_equal(ex_equal(X, parse(X, "a//b"), parse(X, "a//d")), YES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_symbol_equals_symbol),
        CASE(test_quotient_is_replaced),
        CASE(test_upper_bound),
        CASE(test_facts),
        CASE(test_other_equations),
        CASE(test_impossible),
        CASE(test_replacements_that_lead_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
