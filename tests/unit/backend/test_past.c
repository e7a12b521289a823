/* Pasts that are returned with rows behind them: where attention reads them, and which copies are
 * marked as read by nobody. */
#include "tests/unit/ir/fixture.h"

#include "backend/compile.h"
#include "passes/pass.h"
#include "runtime/params.h"

#define HEAD                                                                         \
    "module {\n"                                                                     \
    "  graph main(%q: f32[b, s, 2, 8], %new: f32[b, 2, s, 8], %k: f32[b, 2, p, 8], " \
    "%v: f32[b, 2, p, 8], %w: f32[b, 2, m, 8]) {\n"                                  \
    "    %0: f32[b, 2, p + s, 8] = concat %k, %new {axis=2}\n"                       \
    "    %1: f32[b, 2, p + s, 8] = concat %v, %new {axis=2}\n"                       \
    "    %2: f32[b, p + s, 2, 8] = transpose %0 {perm=[0, 2, 1, 3]}\n"               \
    "    %3: f32[b, p + s, 2, 8] = transpose %1 {perm=[0, 2, 1, 3]}\n"               \
    "    %4: f32[b, s, 2, 8] = attention %q, %2, %3\n"

/* The plan has one attention with so many operands; of its copies those in `streams` (1 or 0 each,
 * in order) are marked. */
static void expect_plan(const char *text, int inputs, const char *streams) {
    fx.m = ir_parse(&fx.cx, text, NULL);
    Report report;
    report_init(&report, &fx.cx);
    const Image *im = compile_module(fx.m, &report, 0);
    char found[16] = "";
    for (uint32_t i = 0, copies = 0; i < im->instructions.count; i++) {
        const PlanInstruction *in = (const PlanInstruction *)im->instructions.data + i;
        const ParamsCopy *p = (const void *)(im->params.data + in->params);
        if (in->opcode == TN_OP_attention) assert_int_equal(in->inputs, inputs);
        if (in->opcode == TN_OP_copy) found[copies++] = p->stream ? '1' : '0';
    }
    assert_string_equal(found, streams);
}

/* Each concat is two copies, of the past and of what is behind it. */
static void returned(void **state) {
    (void)state;
    GUARD();
    expect_plan(HEAD "    return %4 as \"y\", %0 as \"present.k\", %1 as \"present.v\"\n  }\n}\n",
                10, "1010");
}

static void kept_inside(void **state) {
    (void)state;
    GUARD();
    expect_plan(HEAD "    return %4 as \"y\"\n  }\n}\n", 3, "0000");
    expect_plan(HEAD "    return %4 as \"y\", %0 as \"present.k\"\n  }\n}\n", 3, "0000");
}

/* Attention reads keys elsewhere, but another instruction does not. */
static void read_by_others(void **state) {
    (void)state;
    GUARD();
    expect_plan(HEAD
                "    %5: f32[b, 2, p + s, 8] = neg %0\n"
                "    return %4 as \"y\", %0 as \"present.k\", %1 as \"present.v\", %5 as \"z\"\n"
                "  }\n}\n",
                10, "0010");
}

/* A cache that goes out as it came in. */
static void passed_through(void **state) {
    (void)state;
    GUARD();
    expect_plan(HEAD "    return %4 as \"y\", %w as \"present.w\"\n  }\n}\n", 3, "00001");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(returned, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(kept_inside, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(read_by_others, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(passed_through, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
