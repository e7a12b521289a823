/* Plans whose program repeats itself: what is stored once must stay what the loader takes. */
#include "tests/unit/ir/fixture.h"

#include "backend/compile.h"
#include "backend/plan_write.h"
#include "passes/pass.h"
#include "runtime/tenon.h"

/* In place, every step of a chain has the operands of the one before. */
static void chain_in_place(void **state) {
    (void)state;
    GUARD();
    enum { STEPS = 3000 };
    Value *x = input("x", TN_F32, "n, 8");
    for (int i = 0; i < STEPS; i++) x = ir_softmax(fx.g, x, -1);
    ir_output(fx.g, "y", x);
    Report report;
    report_init(&report, &fx.cx);
    Image *im = compile_module(fx.m, &report, 0);
    assert_int_equal(im->instructions.count, STEPS);
    assert_true(im->ids.count < STEPS); /* of 6000 */
    size_t size;
    const void *bytes = plan_write_memory(im, &size);
    tenon_plan *plan = NULL;
    tenon_error err;
    if (tenon_plan_open_memory(bytes, size, NULL, &plan, &err)) fail_msg("%s", err.text);
    tenon_plan_close(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chain_in_place, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
