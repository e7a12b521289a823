/* Indices that a run or the model gives are checked before anything is read or written there: the
 * error names the input, the index, the table and the node. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "runtime/runtime.h"

/* Operators over %x: f32[3, 4] and an index tensor of these dims; the last looks up what is picked
 * from it. */
static const struct {
    const char *dims, *node;
} readers[] = {
    {"2", "%0: f32[2, 4] = gather %x, %i"},
    {"1, 2", "%0: f32[1, 2] = gather_elements %x, %i"},
    {"2, 1", "%0: f32[2, 4] = gather_nd %x, %i"},
    {"2, 1", "%0: f32[3, 4] = scatter_nd %x, %i, %u"},
    {"1, 2", "%0: f32[3, 4] = scatter_elements %x, %i, %v"},
    {"1, 2", "%0: f32[3, 4] = scatter_elements %x, %i, %v {reduction=add}"},
    {"2", "%1: i64[2] = gather %i, %w\n    %0: f32[2, 4] = gather %x, %1"},
};

enum { READERS = sizeof readers / sizeof *readers };

/* Runs one operator on these two indices, constants or not; the status, and the error's text. */
static tenon_status run_reader(int k, const int64_t *index, bool constant, char *text) {
    static const float x[12] = {0};
    static const int64_t w[2] = {0, 1};
    char graph[1024], given[128], input[128];
    snprintf(given, sizeof given, "  const %%i: i64[%s] = {%lld, %lld}\n", readers[k].dims,
             (long long)index[0], (long long)index[1]);
    snprintf(input, sizeof input, ", %%i: i64[%s]", readers[k].dims);
    snprintf(graph, sizeof graph,
             "module {\n%s  graph main(%%x: f32[3, 4], %%u: f32[2, 4], %%v: f32[1, 2], %%w: "
             "i64[2]%s) {\n"
             "    %s // look_up\n    return %%0 as \"y\"\n  }\n}\n",
             constant ? given : "", constant ? "" : input, readers[k].node);
    Cx cx;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    tenon_plan *volatile plan = NULL;
    tenon_session *volatile s = NULL;
    volatile tenon_status status = TENON_E_MODEL;
    tenon_error err = {0};
    if (setjmp(failed)) {
        snprintf(text, 512, "%.500s", cx.message);
    } else {
        Report r;
        size_t size;
        tenon_plan *opened;
        tenon_session *made;
        report_init(&r, &cx);
        Module *m = ir_parse(&cx, graph, NULL);
        const void *bytes = plan_write_memory(compile_module(m, &r, false), &size);
        assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &opened, &err), TENON_OK);
        plan = opened;
        assert_int_equal(tenon_session_create(plan, NULL, &made, &err), TENON_OK);
        s = made;
        const struct {
            const char *name;
            tenon_tensor t;
        } inputs[] = {
            {"x", {.dtype = TENON_F32, .rank = 2, .dims = {3, 4}, .data = (void *)x}},
            {"u", {.dtype = TENON_F32, .rank = 2, .dims = {2, 4}, .data = (void *)x}},
            {"v", {.dtype = TENON_F32, .rank = 2, .dims = {1, 2}, .data = (void *)x}},
            {"w", {.dtype = TENON_I64, .rank = 1, .dims = {2}, .data = (void *)w}},
        };
        for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
            assert_int_equal(tenon_session_bind(s, inputs[i].name, &inputs[i].t, &err), TENON_OK);
        tenon_tensor i = {.dtype = TENON_I64, .rank = 1, .dims = {2}, .data = (void *)index};
        if (sscanf(readers[k].dims, "%lld, %lld", (long long *)&i.dims[0],
                   (long long *)&i.dims[1]) == 2)
            i.rank = 2;
        if (!constant) assert_int_equal(tenon_session_bind(s, "i", &i, &err), TENON_OK);
        status = tenon_session_run(s, &err);
        snprintf(text, 512, "%s", err.text);
    }
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    cx_free(&cx);
    return status;
}

static void good_indices(void **state) {
    (void)state;
    char text[512];
    for (int k = 0; k < READERS; k++)
        for (int constant = 0; constant < 2; constant++)
            assert_int_equal(run_reader(k, (const int64_t[]){-3, 2}, constant, text), TENON_OK);
}

static void bad_indices(void **state) {
    (void)state;
    static const int64_t bad[] = {3, -4, (int64_t)1 << 40, INT64_MAX, INT64_MIN};
    char text[512], want[512];
    for (int k = 0; k < READERS; k++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            const int64_t index[] = {1, bad[i]};
            assert_int_equal(run_reader(k, index, false, text), TENON_E_RANGE);
            snprintf(want, sizeof want,
                     "input 'i' holds %lld, outside the table of 3 rows (node 'look_up')",
                     (long long)bad[i]);
            assert_string_equal(text, want);
        }
}

/* What the model itself gets wrong fails when it is compiled, or else when it runs. */
static void bad_constants(void **state) {
    (void)state;
    static const int64_t bad[] = {3, -4, (int64_t)1 << 40};
    char text[512], want[64];
    for (int k = 0; k < READERS; k++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            const int64_t index[] = {1, bad[i]};
            assert_int_not_equal(run_reader(k, index, true, text), TENON_OK);
            snprintf(want, sizeof want, "%lld", (long long)bad[i]);
            if (!strstr(text, want)) fail_msg("%s: %s", readers[k].node, text);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_indices),
        cmocka_unit_test(bad_indices),
        cmocka_unit_test(bad_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
