/* Masks that are computed again from their element functions. */
#include "passes/emit.h"
#include "tests/unit/ir/fixture.h"

/* What v is a slice or view of, up to `mask`. */
static const Value *moved(const Value *v, const Value *mask) {
    while (v != mask && v->node && (v->node->op == OP_slice || v->node->op == OP_view))
        v = v->node->inputs[0];
    return v;
}

/* A tensor that was loaded from is gone; what stands in the graph is the mask, or its opposite. */
static void test_opposite(void **state) {
    (void)state;
    GUARD();
    Value *f = input("f", TN_F32, "b, t"), *other = input("m", TN_BOOL, "b, t");
    Value *low = ir_binary(fx.g, OP_lt, f, ir_scalar(fx.g, TN_F32, 0));
    const Expr *dims[] = {f->type.dims[0], ex_int(fx.x, 1), f->type.dims[1]};
    const Expr *const wanted[] = {dims[0], dims[2]};
    Value *mask = ir_view(fx.g, low, 3, dims);
    const Pred *p = mask->facts.pred;
    const Expr *at[] = {ex_coord(fx.x, 0, dims[0]), NULL, ex_coord(fx.x, 1, dims[2])};
    p = pr_at(fx.x, p, at, 3);
    ir_set_operand(mask->node, 0, other);
    ir_remove(low->node);
    Value *same = emit_pred(fx.g, p, 2, (int[]){0, 1}, wanted);
    assert_non_null(same);
    assert_ptr_equal(moved(same, mask), mask);
    Value *opposite = emit_pred(fx.g, pr_not(fx.x, p), 2, (int[]){0, 1}, wanted);
    assert_non_null(opposite);
    assert_int_equal(opposite->node->op, OP_not);
    assert_ptr_equal(moved(opposite->node->inputs[0], mask), mask);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_opposite)};
    return cmocka_run_group_tests_name("emit", tests, NULL, NULL);
}
