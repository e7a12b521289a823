/* Plans whose branches and loops do not fit the functions they run are refused when opened, each
 * with its message; and what the functions' dims get wrong is refused when they run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/flow_plan.h"

static unsigned char *bytes;
static size_t size;

static int set_up(void **state) {
    (void)state;
    bytes = flow_control(&size);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(bytes);
    return 0;
}

static void *records(uint32_t kind) {
    const PlanSection *s = plan_sections(bytes);
    while (s->kind != kind) s++;
    return bytes + s->offset;
}

static PlanInstruction *instruction(int i) {
    return (PlanInstruction *)records(TN_SECTION_INSTRUCTIONS) + i;
}

static void *params(int i) {
    return (unsigned char *)records(TN_SECTION_PARAMS) + instruction(i)->params;
}

static PlanView *port_view(uint32_t port) {
    const PlanPort *p = (PlanPort *)records(TN_SECTION_PORTS) + port;
    return (PlanView *)records(TN_SECTION_VIEWS) + p->view;
}

static PlanFunction *function(int i) {
    return (PlanFunction *)records(TN_SECTION_FUNCTIONS) + i;
}

static void refused(const char *text) {
    tenon_plan *plan = NULL;
    tenon_error err;
    char wanted[300];
    snprintf(wanted, sizeof wanted, "plan in memory: %s", text);
    plan_rehash(bytes, size);
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &plan, &err), TENON_E_INVALID);
    assert_string_equal(err.text, wanted);
}

enum { IF = 0, LOOP = 2 };

static void callees(void **state) {
    (void)state;
    ParamsIf *branches = params(IF);
    branches->else_function = 4;
    refused("function 'main': instruction 0: if runs function 4, which is not internal");
    branches->else_function = 0;
    refused("function 'main': instruction 0: if runs function 0, which is not internal");
    branches->else_function = 3;
    refused("function 'main': instruction 0: if: function 'body' has 4 inputs and 3 outputs, "
            "wanted are 1 and 1");
    branches->else_function = 2;
    function(2)->flags = 0;
    refused("function 'main': instruction 0: if runs function 2, which is not internal");
    function(2)->flags = 2;
    refused("function 'else': flags 0x2");
    function(2)->flags = TN_FUNCTION_INTERNAL;
    function(0)->flags = TN_FUNCTION_INTERNAL;
    refused("function 'main': flags 0x1");
}

static void counts(void **state) {
    (void)state;
    ParamsLoop *loop = params(LOOP);
    loop->carried = 3;
    refused("function 'main': instruction 2: loop: 3 carried values, 4 inputs and 2 outputs");
    loop->carried = 2;
    refused(
        "function 'main': instruction 2: loop: operand 5 is i64 of rank 2, the function has i64 "
        "of rank 1");
    loop->carried = 1;
    instruction(LOOP)->scalar_count = 2;
    refused("function 'main': instruction 2: loop: 2 scalars for 3 dims of results");
}

static void bodies(void **state) {
    (void)state;
    const PlanFunction *body = function(3);
    uint32_t first = body->first_input;
    PlanView *number = port_view(first);
    number->rank = 1; /* its dims are whatever ids are there */
    refused("function 'main': instruction 2: loop: the body's first inputs and output are no i64, "
            "bool and bool");
    number->rank = 0;
    PlanView *x = port_view(first + 3);
    x->rank = 0;
    refused(
        "function 'main': instruction 2: loop: operand 3 is i64 of rank 1, the function has i64 "
        "of rank 0");
}

/* A function that runs the next one, and so on. */
static unsigned char *chain(int functions) {
    PlanBuilder builder = {0}, *b = &builder;
    uint32_t n = pb_symbol(b, "n", 0, 1000);
    for (int i = 0; i < functions; i++) {
        if (i)
            pb_begin_internal(b, "f");
        else
            pb_begin(b, "main");
        uint32_t cond = pb_input(b, "cond", TN_BOOL, 0, NULL, TN_DEFAULT_NONE),
                 x = pb_input(b, "x", TN_I64, 1, &n, TN_DEFAULT_NONE),
                 y = pb_output(b, "y", TN_I64, 1, &n), next = (uint32_t)i + 1;
        if (i + 1 < functions)
            pb_instruction(b, TN_OP_if, 3, (uint32_t[]){cond, cond, x}, 1, &y,
                           &(ParamsIf){next, next}, sizeof(ParamsIf), &n, 1, "/if");
        else
            flow_binary(b, TN_MAP_ADD, TN_I64, x, x, y, "/add");
        pb_end(b);
    }
    return pb_finish(b, &size);
}

static void depth(void **state) {
    (void)state;
    free(bytes);
    bytes = chain(TN_MAX_CALL_DEPTH + 2);
    refused("function 'f': instruction 0: more than 32 functions run within one another");
    free(bytes);
    bytes = chain(TN_MAX_CALL_DEPTH + 1);
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    tenon_error err;
    unsigned char yes = 1;
    int64_t x[2] = {4, 5};
    tenon_tensor cond = {.dtype = TENON_BOOL, .data = &yes},
                 in = {.dtype = TENON_I64, .rank = 1, .dims = {2}, .data = x}, y;
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &plan, &err), TENON_OK);
    assert_int_equal(tenon_session_create(plan, NULL, &s, &err), TENON_OK);
    assert_int_equal(tenon_session_bind(s, "cond", &cond, &err), TENON_OK);
    assert_int_equal(tenon_session_bind(s, "x", &in, &err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "y", &y, &err), TENON_OK);
    assert_int_equal(((int64_t *)y.data)[1], 10);
    tenon_session_destroy(s);
    tenon_session_options o = {.struct_size = sizeof o, .function = "f"};
    assert_int_equal(tenon_session_create(plan, &o, &s, &err), TENON_E_ARGUMENT);
    assert_string_equal(err.text, "the plan has no function 'f'; its first is 'main'");
    tenon_plan_close(plan);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(callees), TEST(counts), TEST(bodies), TEST(depth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
