/* Lengths that only a run can tell: stages, their memory, their contract, what a caller sees. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/flow_plan.h"

static tenon_plan *plan;
static tenon_session *s;
static tenon_error err;
static unsigned char *bytes;
static int64_t count, x[1000];

static void open_session(uint64_t limit) {
    tenon_session_options o = {.struct_size = sizeof o, .memory_limit = limit};
    assert_int_equal(tenon_session_create(plan, &o, &s, &err), TENON_OK);
}

static int set_up(void **state) {
    (void)state;
    size_t size;
    bytes = flow_measured(&size);
    if (tenon_plan_open_memory(bytes, size, NULL, &plan, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < 1000; i++) x[i] = 10 * i;
    s = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    free(bytes);
    return 0;
}

static void bind(const char *name, int64_t length, void *data, size_t size) {
    tenon_tensor t = {.dtype = TENON_I64, .rank = 1, .dims = {length}, .data = data, .bytes = size};
    if (tenon_session_bind(s, name, &t, &err)) fail_msg("%s", err.text);
}

static tenon_status run(int64_t wanted, int64_t n) {
    count = wanted;
    bind("count", 1, &count, 0);
    bind("x", n, x, 0);
    return tenon_session_run(s, &err);
}

static void check_results(int64_t wanted, int64_t n) {
    tenon_tensor y, z, w;
    assert_int_equal(tenon_session_tensor(s, "y", &y, &err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "z", &z, &err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "w", &w, &err), TENON_OK);
    assert_int_equal(y.dims[0], wanted);
    assert_int_equal(z.dims[0], wanted);
    assert_int_equal(z.dims[1], n);
    assert_int_equal(w.dims[0], wanted * (wanted + 1) / 2);
    for (int64_t i = 0; i < wanted; i++) {
        assert_int_equal(((int64_t *)y.data)[i], i + 1);
        for (int64_t k = 0; k < n; k++)
            assert_int_equal(((int64_t *)z.data)[i * n + k], (i + 1) * 10 * k);
    }
    for (int64_t i = 0; i < w.dims[0]; i++) assert_int_equal(((int64_t *)w.data)[i], wanted + i);
}

static void sizes_follow_the_data(void **state) {
    (void)state;
    static const int64_t counts[] = {3, 3, 5, 0, 1, 39, 3, 3};
    open_session(0);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (run(counts[i], 40 + (int64_t)i % 2)) fail_msg("%s", err.text);
        check_results(counts[i], 40 + (int64_t)i % 2);
    }
    /* other data under the same binding: nothing is prepared anew before the run */
    count = 7;
    assert_int_equal(tenon_session_run(s, &err), TENON_OK);
    check_results(7, 41);
}

static void unknown_before_the_run(void **state) {
    (void)state;
    tenon_tensor y;
    open_session(0);
    count = 2;
    bind("count", 1, &count, 0);
    bind("x", 4, x, 0);
    assert_int_equal(tenon_session_prepare(s, &err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "y", &y, &err), TENON_E_ARGUMENT);
    assert_string_equal(err.text, "the dims of output 'y' depend on data: run the session first");
    assert_int_equal(tenon_session_tensor(s, "x", &y, &err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "y", &y, &err), TENON_OK);
    bind("count", 1, &count, 0);
    assert_int_equal(tenon_session_prepare(s, &err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "y", &y, &err), TENON_E_ARGUMENT);
}

static void expect(int64_t wanted, int64_t n, tenon_status status, const char *text) {
    assert_int_equal(run(wanted, n), status);
    assert_string_equal(err.text, text);
}

static void contracts_of_stages(void **state) {
    (void)state;
    open_session(0);
    expect(501, 600, TENON_E_SHAPE, "s is 501, the model wants it from 0 to 500 (node '/count')");
    expect(-1, 600, TENON_E_SHAPE, "s is -1, the model wants it from 0 to 500 (node '/count')");
    expect(INT64_MIN, 9, TENON_E_SHAPE,
           "s is -9223372036854775807, the model wants it from 0 to 500 (node '/count')");
    expect(10, 9, TENON_E_SHAPE, "s is 10, more than n (node '/count')");
    assert_string_equal(err.node, "/count");
    expect(41, 100, TENON_E_SHAPE, "s <= 40 does not hold: s = 41 (needed by node '/upto40')");
    assert_string_equal(err.node, "/upto40");
    expect(40, 100, TENON_E_SHAPE,
           "t <= 20 * s does not hold: t = 820, s = 40 (needed by node '/upto20s')");
    assert_int_equal(run(6, 8), TENON_OK); /* the session is still good */
    check_results(6, 8);
}

static void bound_outputs(void **state) {
    (void)state;
    int64_t memory[10];
    open_session(0);
    bind("y", -1, memory, sizeof memory);
    assert_int_equal(run(4, 8), TENON_OK);
    check_results(4, 8);
    for (int64_t i = 0; i < 4; i++) assert_int_equal(memory[i], i + 1);
    expect(11, 20, TENON_E_ARGUMENT, "output 'y' needs 88 bytes, 80 are given");
    bind("y", 5, memory, sizeof memory);
    expect(4, 8, TENON_E_SHAPE, "output 'y' axis 0 is 5, the model gives 4");
    bind("y", -1, x + 2, sizeof memory);
    expect(4, 8, TENON_E_ARGUMENT, "memory of output 'y' overlaps input 'x'");
    bind("y", -1, memory, sizeof memory);
    bind("w", -1, memory + 3, 7 * sizeof *memory);
    expect(3, 8, TENON_OK, err.text);
    expect(4, 8, TENON_E_ARGUMENT, "output 'w' needs 80 bytes, 56 are given");
    bind("w", -1, memory + 2, 8 * sizeof *memory);
    expect(3, 8, TENON_E_ARGUMENT, "memory of output 'w' overlaps output 'y'");
}

static uint64_t arena(void) {
    tenon_memory m = {.struct_size = sizeof m};
    assert_int_equal(tenon_session_memory(s, &m, &err), TENON_OK);
    return m.arena;
}

static void limits_count_all_stages(void **state) {
    (void)state;
    open_session(0);
    assert_int_equal(run(20, 50), TENON_OK);
    uint64_t needed = arena(), before = needed - 1728; /* w */
    tenon_session_destroy(s);
    open_session(needed);
    assert_int_equal(run(20, 50), TENON_OK);
    assert_int_equal(arena(), needed);
    assert_int_equal(run(20, 53), TENON_E_LIMIT);
    assert_int_equal(run(5, 8), TENON_OK);
    check_results(5, 8);
    tenon_session_destroy(s);
    char text[100]; /* y and z fit, w does not */
    snprintf(text, sizeof text, "the arena needs %d bytes, the limit is %d", (int)needed,
             (int)before);
    open_session(before);
    expect(20, 50, TENON_E_LIMIT, text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(sizes_follow_the_data), TEST(unknown_before_the_run),
                                       TEST(contracts_of_stages), TEST(bound_outputs),
                                       TEST(limits_count_all_stages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
