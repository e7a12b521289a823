/* Folding is bounded: a small file over one large constant makes neither a huge plan nor a huge
 * compiler. */
#include "tests/unit/ir/fixture.h"

#include "passes/pass.h"

/* 60 multiples of 2 MiB: 16 times the weights and 64 MiB are 48 of them, and less with the time. */
static void multiples_of_one_constant(void **state) {
    (void)state;
    GUARD();
    enum { COUNT = 60, KEPT = 44, ELEMENTS = 1 << 19 };
    static float data[ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++) data[i] = (float)(i % 7);
    const int64_t dims[] = {ELEMENTS};
    Value *w = ir_constant(fx.g, ir_constant_new(fx.m, "w", TN_F32, 1, dims, data));
    for (int i = 0; i < COUNT; i++)
        ir_output(fx.g, "y", ir_binary(fx.g, OP_mul, w, ir_scalar(fx.g, TN_F32, i + 2)));
    Report report;
    report_init(&report, &fx.cx);
    pass_canon(fx.g, &report);
    int left = 0;
    IR_FOR_NODES(n, fx.g) left++;
    assert_int_equal(left, COUNT - KEPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(multiples_of_one_constant, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
