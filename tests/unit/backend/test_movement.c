/* What instructions cost at given lengths, counted on the plan in the making. */
#include "tests/unit/ir/fixture.h"

#include "backend/compile.h"
#include "backend/movement.h"
#include "ir/text.h"

/* Operations of a module's plan, its inputs' symbols being as long as sample_lengths makes them. */
static double operations(const char *text) {
    Report report;
    report_init(&report, &fx.cx);
    Image *im = compile_module(ir_parse(&fx.cx, text, NULL), &report, 0);
    PlanTables p = sample_tables(im);
    int64_t *lengths = ARENA_ARRAY(&fx.cx.arena, int64_t, im->symbols.count + 1);
    for (size_t i = 0; i < im->symbols.count; i++) lengths[i] = TN_UNKNOWN;
    sample_lengths(&fx.cx.arena, &p, (const PlanFunction *)im->functions.data, 0, lengths);
    Movement m = movement_at(im, sample_values(&fx.cx.arena, &p, lengths));
    assert_int_equal(m.unknown, 0);
    return m.flops;
}

/* Of a band only its keys count, and those first ones that every query sees: a scalar says how
 * many. */
static void attention_in_a_band(void **state) {
    (void)state;
    GUARD();
    assert_float_equal(operations("module {\n"
                                  "  graph main(%q: f32[1, 64, 2, 3], %k: f32[1, 64, 2, 3]) {\n"
                                  "    %0: f32[1, 64, 2, 3] = attention %q, %k, %k {left=2, "
                                  "right=4, band=1, sinks=3}\n"
                                  "    return %0 as \"y\"\n"
                                  "  }\n"
                                  "}\n"),
                       2 * 64 * 2 * (1 + 2 + 4 + 3) * (3 + 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(attention_in_a_band, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
