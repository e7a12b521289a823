/* The bytes of a small plan, which a test changes and opens. */
#ifndef TENON_TESTS_API_OPENED_PLAN_H
#define TENON_TESTS_API_OPENED_PLAN_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/tiny_plan.h"

static unsigned char *bytes;
static size_t size;
static tenon_error err;

static inline int set_up(void **state) {
    (void)state;
    bytes = tiny_plan(8, 4, &size);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    free(bytes);
    return 0;
}

static inline tenon_status open_bytes(const void *data, size_t n) {
    tenon_plan *plan = NULL;
    tenon_status status = tenon_plan_open_memory(data, n, NULL, &plan, &err);
    assert_true((status == TENON_OK) == (plan != NULL));
    if (status) assert_int_equal(err.code, status);
    tenon_plan_close(plan);
    return status;
}

static inline void expect(tenon_status status, const char *text) {
    assert_int_equal(open_bytes(bytes, size), status);
    char wanted[600];
    snprintf(wanted, sizeof wanted, "plan in memory: %s", text);
    assert_string_equal(err.text, wanted);
}

static inline PlanSection *section(uint32_t kind) {
    PlanSection *s = plan_sections(bytes);
    while (s->kind != kind) s++;
    return s;
}

static inline void *records(uint32_t kind) {
    return bytes + section(kind)->offset;
}

static inline void expect_after_rehash(tenon_status status, const char *text) {
    plan_rehash(bytes, size);
    expect(status, text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
