/* A bias of attention whose keys are as many as those of k only where a requirement holds is one of
 * pairs of a query and a key, not of their distances: all queries read the same row of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "runtime/runtime.h"

enum { QUERIES = 3, KEYS = 6, CHOSEN = 4 };

static const char module[] =
    "module {\n"
    "  graph main(%q: f32[1, s, 1, 1], %k: f32[1, m*n, 1, 1], %v: f32[1, m*n, 1, 1],\n"
    "             %bias: f32[1, 1, 1, p*r], %x: f32[m, n, p, r]) {\n"
    "    %0: f32[1, s, 1, 1] = attention %q, %k, %v, _, _, %bias\n"
    "    return %0 as \"y\"\n"
    "  }\n"
    "}\n";

static void bind(tenon_session *s, const char *name, const float *data, const int64_t *dims) {
    tenon_error err = {0};
    tenon_tensor t = {.dtype = TENON_F32, .rank = 4, .data = (void *)(uintptr_t)data};
    memcpy(t.dims, dims, 4 * sizeof *dims);
    if (tenon_session_bind(s, name, &t, &err)) fail_msg("%s", err.text);
}

static void equal_by_requirement(void **state) {
    (void)state;
    static const float zeros[KEYS * KEYS] = {0}, v[KEYS] = {1, 2, 3, 4, 5, 6};
    static const float bias[KEYS] = {[CHOSEN] = 1000};
    Cx cx;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed)) fail_msg("%s", cx.message);
    Report r;
    size_t size;
    tenon_plan *plan;
    tenon_session *s;
    tenon_error err = {0};
    report_init(&r, &cx);
    const void *bytes =
        plan_write_memory(compile_module(ir_parse(&cx, module, NULL), &r, false), &size);
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &plan, &err), TENON_OK);
    assert_int_equal(tenon_session_create(plan, NULL, &s, &err), TENON_OK);
    bind(s, "q", zeros, (int64_t[]){1, QUERIES, 1, 1});
    bind(s, "k", zeros, (int64_t[]){1, KEYS, 1, 1});
    bind(s, "v", v, (int64_t[]){1, KEYS, 1, 1});
    bind(s, "bias", bias, (int64_t[]){1, 1, 1, KEYS});
    bind(s, "x", zeros, (int64_t[]){2, 3, 3, 2});
    if (tenon_session_run(s, &err)) fail_msg("%s", err.text);
    tenon_tensor y;
    assert_int_equal(tenon_session_tensor(s, "y", &y, &err), TENON_OK);
    for (int i = 0; i < QUERIES; i++) assert_true(((const float *)y.data)[i] == v[CHOSEN]);
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    cx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_by_requirement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
