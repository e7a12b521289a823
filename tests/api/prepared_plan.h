/* A plan of one function from x[n] to y[n] to which a test adds what prepare has to judge: it
 * opens, and is run or refused with one exact message once n is known.
 *
 *     copy(x, slice(y, n, zero, zero));
 *     expect(TENON_E_INVALID, 4, -1, "node 'c' (copy): operand 1 is written to itself twice");
 *
 * TEST registers a test of one plan; a test of several calls set_up before each of them itself. */
#ifndef TENON_TESTS_API_PREPARED_PLAN_H
#define TENON_TESTS_API_PREPARED_PLAN_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/tenon.h"
#include "tests/support/plan_builder.h"

static PlanBuilder b;
static uint32_t n, one, zero, x, y; /* x[n] and y[n] in f32 */
static float data[64];
static tenon_error err;

static inline int set_up(void **state) {
    (void)state;
    b = (PlanBuilder){0};
    pb_begin(&b, "main");
    n = pb_symbol(&b, "n", 0, INT64_MAX);
    one = pb_const(&b, 1);
    zero = pb_const(&b, 0);
    x = pb_input(&b, "x", TN_F32, 1, &n, TN_DEFAULT_NONE);
    y = pb_output(&b, "y", TN_F32, 1, &n);
    return 0;
}

static inline void copy(uint32_t from, uint32_t to) {
    pb_instruction(&b, TN_OP_copy, 1, &from, 1, &to, NULL, 0, NULL, 0, "c");
}

static inline uint32_t minus(uint32_t e, int64_t k) {
    return pb_expr(&b, TN_EXPR_ADD, e, pb_const(&b, -k));
}

static inline uint32_t buffer_of(uint32_t view) {
    return ((const PlanView *)b.section[TN_SECTION_VIEWS].data)[view].buffer;
}

static inline uint32_t slice(uint32_t of, uint32_t dim, uint32_t stride, uint32_t offset) {
    return pb_view(&b, buffer_of(of), TN_F32, TN_LAYOUT_STRIDED, 1, &dim, &stride, offset);
}

static inline tenon_status bind(tenon_session *s, const char *name, int64_t length) {
    tenon_tensor t = {.dtype = TENON_F32, .rank = 1, .dims = {length}, .data = data};
    return tenon_session_bind(s, name, &t, &err);
}

/* Finishes the plan, binds x[length] and, if not negative, z[other], and runs. */
static inline tenon_status run(int64_t length, int64_t other) {
    size_t size;
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    pb_end(&b);
    unsigned char *bytes = pb_finish(&b, &size);
    tenon_status status = tenon_plan_open_memory(bytes, size, NULL, &plan, &err);
    if (status) fail_msg("%s", err.text);
    assert_int_equal(tenon_session_create(plan, NULL, &s, &err), TENON_OK);
    status = bind(s, "x", length);
    if (!status && other >= 0) status = bind(s, "z", other);
    if (!status) status = tenon_session_run(s, &err);
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    free(bytes);
    return status;
}

static inline void expect(tenon_status status, int64_t length, int64_t other, const char *text) {
    assert_int_equal(run(length, other), status);
    assert_string_equal(err.text, text);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

#endif
