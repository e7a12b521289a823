/* Rules prove themselves: the left side of every row of rules.def is built as a graph and evaluated
 * by the reference kernels; the row must fire on every spelling, give the right side's operator,
 * and leave the values as they were. With one thing wrong it must not fire. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/rules/rule_graph.h"

#define TOLERANCE 1e-5

static const Spelling plain = {.dtype = TN_F32,
                               .rank = 2,
                               .dims = {3, 5},
                               .width = 7,
                               .wrong_number = NONE,
                               .swapped = NONE,
                               .wrong_attr = NONE,
                               .wrong_axis = NONE,
                               .reused = NONE,
                               .odd_variable = NONE};

/* What is tried, for the message of a failure. */
typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    const Rule *rule;
    const char *what;
    int which;
} Trial;

#define CHECK(t, condition, why)                                                        \
    do {                                                                                \
        if (!(condition))                                                               \
            fail_msg("%s (%s %d): %s\n%s", (t)->rule->name, (t)->what, (t)->which, why, \
                     (t)->rule->left_text);                                             \
    } while (0)

/* --- evaluation --- */

/* Values of an input: random, or one special value and its neighbours repeated. */
static Tensor make_input(RuleGraph *r, const Value *v, bool special) {
    static const double values[] = {
        0,     -0.0, 1e-30, -1e-30, 1,     -1,   5,  -5,  30, -30,      1e4,       -1e4, 1e30,
        -1e30, 1e38, -1e38, 1e-3,   0.125, -2.5, 88, -88, 12, INFINITY, -INFINITY, NAN};
    Tensor t = {.dtype = v->type.dtype, .rank = v->type.rank};
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++) {
        if (!ex_const(v->type.dims[i], &t.dims[i])) t.dims[i] = r->s->dims[i];
        n *= t.dims[i];
    }
    t.bytes = (size_t)n * tn_dtype_size(t.dtype);
    t.data = arena_alloc(&r->m->cx->arena, t.bytes + 1);
    for (int64_t i = 0; i < n; i++) {
        double x =
            special ? values[i % (int64_t)(sizeof values / sizeof *values)] : 4 * rule_random(r);
        ir_store_f64(t.dtype, t.data, i, x);
    }
    return t;
}

static const Tensor **make_inputs(RuleGraph *r, bool special) {
    Arena *a = &r->m->cx->arena;
    const Tensor **in = ARENA_ARRAY(a, const Tensor *, (size_t)r->g->input_count + 1);
    for (int i = 0; i < r->g->input_count; i++) {
        Tensor t = make_input(r, r->g->inputs[i], special);
        in[i] = arena_copy(a, &t, sizeof t);
    }
    return in;
}

static Tensor evaluate(RuleGraph *r, const Tensor *const *in) {
    Tensor *out = ARENA_ARRAY(&r->m->cx->arena, Tensor, (size_t)r->g->output_count);
    ir_eval(r->g, in, out, &r->m->cx->arena, NULL, NULL);
    return out[0];
}

/* Where the written-out formula loses its value (inf * 0) the operator may have the limit, 0; so
 * may it where the logarithm is that of a number too small for its type. */
static bool close_to(double before, double after) {
    if (isnan(before)) return isnan(after) || after == 0;
    if (before < -DBL_MAX) return after < log(FLT_MIN);
    if (isinf(before) || isinf(after)) return before == after;
    return fabs(before - after) <= TOLERANCE * fmax(1, fabs(before));
}

static void check_same(const Trial *t, const Tensor *before, const Tensor *after) {
    CHECK(t, before->bytes == after->bytes, "another shape");
    int64_t n = (int64_t)(before->bytes / tn_dtype_size(before->dtype));
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64(before->dtype, before->data, i);
        double b = ir_element_f64(after->dtype, after->data, i);
        if (!close_to(a, b))
            fail_msg("%s (%s %d): element %d was %.9g, is %.9g", t->rule->name, t->what, t->which,
                     (int)i, a, b);
    }
}

/* --- firing --- */

/* Applies the one rule wherever it matches; how often it did. */
static int apply(const Rule *rule, Graph *g) {
    int fired = 0;
    IR_FOR_NODES(n, g) {
        Match m;
        const char *why = NULL;
        if (n->op != rule->left->op || !rule_match(rule, n, &m)) continue;
        if (rule->guard && !rule->guard(rule, &m, &why)) continue;
        if (rule_rewrite(rule, g, &m, &why)) fired++;
        if (n_next && n_next->removed) break;
    }
    return fired;
}

static bool has_op(const Graph *g, OpKind op) {
    IR_FOR_NODES(n, g) if (n->op == op) return true;
    return false;
}

static void expect_fires(Trial *t, const Spelling *s, const char *what, int which, bool special) {
    t->what = what;
    t->which = which;
    RuleGraph r = rule_graph(&t->cx, t->rule, s);
    const Tensor **in = make_inputs(&r, special);
    Tensor before = evaluate(&r, in);
    CHECK(t, apply(t->rule, r.g) == 1, "does not fire");
    const char *broken = ir_verify(r.g);
    CHECK(t, !broken, broken);
    CHECK(t, has_op(r.g, t->rule->right->op), "the right side's operator is not there");
    Tensor after = evaluate(&r, in);
    check_same(t, &before, &after);
}

static RuleGraph expect_refused(Trial *t, const Spelling *s, const char *what, int which) {
    t->what = what;
    t->which = which;
    RuleGraph r = rule_graph(&t->cx, t->rule, s);
    CHECK(t, apply(t->rule, r.g) == 0, "fires");
    const char *broken = ir_verify(r.g);
    CHECK(t, !broken, broken);
    return r;
}

static bool has_optional(const Pattern *p) {
    if (p->optional) return true;
    for (int i = 0; i < p->count; i++)
        if (has_optional(p->args[i])) return true;
    return false;
}

/* Some operator of the pattern converts to a type. */
static bool names_type(const Pattern *p) {
    if (p->op == OP_cast) return true;
    for (int i = 0; i < p->count; i++)
        if (names_type(p->args[i])) return true;
    return false;
}

static bool is_chain(const Rule *rule) {
    unsigned flags = ir_op_info(rule->left->op)->flags;
    return (flags & OPF_ASSOC) && (flags & OPF_COMM);
}

/* --- what must fire --- */

static void fires_on_shapes(Trial *t, const Spelling *s) {
    static const Spelling shapes[] = {
        {.rank = 1, .dims = {9}},          {.rank = 2, .dims = {2, 33}},
        {.rank = 2, .dims = {1, 1}},       {.rank = 3, .dims = {2, 3, 17}},
        {.rank = 4, .dims = {2, 1, 3, 5}}, {.rank = 3, .dims = {1, 25, 2}},
    };
    bool product = rule_has_weight(t->rule);
    for (size_t i = product ? 1 : 0; i < sizeof shapes / sizeof *shapes; i++) {
        Spelling v = *s;
        v.rank = shapes[i].rank;
        memcpy(v.dims, shapes[i].dims, sizeof v.dims);
        expect_fires(t, &v, "shape", (int)i, false);
        v.symbolic = true;
        expect_fires(t, &v, "symbolic shape", (int)i, false);
    }
}

static void fires_on_spellings(Trial *t, Spelling s) {
    for (s.fold = FOLD_LEFT; s.fold <= FOLD_PAIRS; s.fold++)
        for (s.rotate = 0; s.rotate < 4; s.rotate++)
            expect_fires(t, &s, "bracketing", 4 * (int)s.fold + s.rotate, false);
    s.fold = FOLD_LEFT;
    s.rotate = 0;
    for (s.number_rank = 1; s.number_rank <= s.rank; s.number_rank++)
        expect_fires(t, &s, "rank of numbers", s.number_rank, false);
}

static void fires_with_further_operand(Trial *t, Spelling s) {
    if (!is_chain(t->rule)) return;
    s.width = s.dims[s.rank - 1];
    s.further_operand = true;
    for (s.rotate = 0; s.rotate < 4; s.rotate++)
        expect_fires(t, &s, "further operand", s.rotate, false);
}

static void check_fires(Trial *t) {
    Spelling s = plain;
    fires_on_shapes(t, &s);
    fires_on_spellings(t, s);
    fires_with_further_operand(t, s);
    s.transposed = true;
    expect_fires(t, &s, "transposed", 1, false);
    if (has_optional(t->rule->left)) {
        s.without_optional = true;
        expect_fires(t, &s, "without the optional operand", 0, false);
    }
    if (rule_has_weight(t->rule) || names_type(t->rule->left)) return;
    s = plain;
    s.dtype = TN_F64;
    expect_fires(t, &s, "f64", 0, false);
    if (t->rule->var_count > 1) return;
    s.dtype = TN_F32;
    s.dims[1] = 9; /* 27 elements: all special values */
    expect_fires(t, &s, "special values", 0, true);
}

/* --- what must not --- */

static void refuses_wrong_parts(Trial *t) {
    Spelling s = plain;
    s.rank = 2;
    s.dims[0] = s.dims[1] = s.width = 4; /* square: everything that is swapped still has a type */
    RuleGraph r = rule_graph(&t->cx, t->rule, &s);
    for (s.wrong_number = 0; s.wrong_number < r.numbers; s.wrong_number++)
        expect_refused(t, &s, "changed number", s.wrong_number);
    s.wrong_number = NONE;
    for (s.swapped = 0; s.swapped < r.swappable; s.swapped++)
        expect_refused(t, &s, "swapped operands", s.swapped);
    s.swapped = NONE;
    for (s.wrong_attr = 0; s.wrong_attr < r.attrs; s.wrong_attr++)
        expect_refused(t, &s, "changed attribute", s.wrong_attr);
    s.wrong_attr = NONE;
    for (s.wrong_axis = 0; s.wrong_axis < r.axes; s.wrong_axis++)
        expect_refused(t, &s, "reduction over another axis", s.wrong_axis);
}

static void refuses_shared_interiors(Trial *t) {
    Spelling s = plain;
    RuleGraph r = rule_graph(&t->cx, t->rule, &s);
    for (s.reused = 0; s.reused < r.node_count - 1; s.reused++) {
        s.reused_as_output = false;
        expect_refused(t, &s, "inner value read elsewhere", s.reused);
        s.reused_as_output = true;
        expect_refused(t, &s, "inner value returned", s.reused);
    }
}

static bool has_variable(const Rule *rule, const char *name) {
    for (int i = 0; i < rule->var_count; i++)
        if (!strcmp(rule->vars[i], name)) return true;
    return false;
}

static void refuses_other_variables(Trial *t) {
    Spelling s = plain;
    s.dims[0] = s.dims[1] = s.width = 4;
    for (s.odd_variable = 0; s.odd_variable < t->rule->var_count; s.odd_variable++) {
        VarClass class = t->rule->classes[s.odd_variable];
        if (class == VAR_ANY) continue;
        s.odd = ODD_INPUT;
        expect_refused(t, &s, "input instead of a constant", s.odd_variable);
        s.odd = ODD_VARIED;
        if (class == VAR_SCALAR) expect_refused(t, &s, "vector for a scalar", s.odd_variable);
        s.odd = ODD_RANK;
        const char *name = t->rule->vars[s.odd_variable];
        bool taken = name[0] == 'g' && has_variable(t->rule, "b"); /* by a norm: it is a vector */
        if (class == VAR_CONST && name[0] == 'w')
            expect_refused(t, &s, "weight of higher rank", s.odd_variable);
        else if (class == VAR_CONST && !taken)
            expect_fires(t, &s, "vector with an axis of 1 in front", s.odd_variable, false);
        s.odd = ODD_LENGTH;
        if (class == VAR_CONST && name[0] != 'w' && !taken)
            expect_refused(t, &s, "constant that is broadcast", s.odd_variable);
    }
}

/* Numbers of more axes than x has widen the formula's result, which the operator would not. */
static void refuses_wide_numbers(Trial *t) {
    Spelling s = plain;
    RuleGraph r = rule_graph(&t->cx, t->rule, &s);
    s.number_rank = s.rank + 1;
    if (!r.numbers) return;
    RuleGraph wide = expect_refused(t, &s, "numbers of higher rank", s.number_rank);
    CHECK(t, wide.g->node_count == wide.node_count, "nodes of the refused rewrite are left");
}

static void check_refuses(Trial *t) {
    refuses_wrong_parts(t);
    refuses_shared_interiors(t);
    refuses_other_variables(t);
    refuses_wide_numbers(t);
    Spelling s = plain;
    s.dtype = TN_F64;
    if (t->rule->left->op == OP_matmul) expect_refused(t, &s, "f64 product", 0);
}

/* --- all rows --- */

/* Checks row i; the number of rows. */
static int try_rule(int i, void (*check)(Trial *t)) {
    Trial t = {.what = "parsing"};
    int count;
    cx_init(&t.cx, tn_default_alloc());
    t.cx.on_fail = &t.failed;
    if (setjmp(t.failed)) fail_msg("row %d (%s %d): %s", i, t.what, t.which, t.cx.message);
    t.rule = &rules_all(&t.cx, &count)[i];
    check(&t);
    cx_free(&t.cx);
    return count;
}

static void for_every_rule(void (*check)(Trial *t)) {
    for (int i = 0, count = 1; i < count; i++) count = try_rule(i, check);
}

static void test_every_rule_fires(void **state) {
    (void)state;
    for_every_rule(check_fires);
}

static void test_every_rule_refuses(void **state) {
    (void)state;
    for_every_rule(check_refuses);
}

/* The rows of a group together: the formula is found whatever other rows are tried first. */
static void check_group(Trial *t) {
    Report report;
    t->what = "group";
    RuleGraph r = rule_graph(&t->cx, t->rule, &plain);
    const Tensor **in = make_inputs(&r, false);
    Tensor before = evaluate(&r, in);
    report_init(&report, &t->cx);
    CHECK(t, rules_apply(r.g, &report, t->rule->group), "no row fires");
    CHECK(t, report_count(&report, t->rule->name) == 1, "another row fires");
    Tensor after = evaluate(&r, in);
    check_same(t, &before, &after);
    CHECK(t, !rules_apply(r.g, &report, t->rule->group), "fires again on its own result");
}

static void test_groups(void **state) {
    (void)state;
    for_every_rule(check_group);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule_fires),
        cmocka_unit_test(test_every_rule_refuses),
        cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
