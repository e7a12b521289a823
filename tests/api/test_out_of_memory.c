/* Every allocation of open, session, prepare and run fails in turn, once or for good: an error
 * comes back, nothing leaks, and what succeeded before stays usable. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/tenon.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/flow_plan.h"
#include "tests/support/scratch.h"
#include "tests/support/state_plan.h"
#include "tests/support/tiny_plan.h"

/* Two runs of different shapes. Returns the first status that is not TENON_OK. */
static tenon_status scenario(Counter *c, int read_into_memory) {
    tenon_allocator allocator = {count_allocate, count_release, c};
    tenon_plan_options o = {
        .struct_size = sizeof o, .allocator = &allocator, .read_into_memory = read_into_memory};
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    tenon_error err = {0};
    int64_t ids[300] = {0};
    tenon_status status = tenon_plan_open("m.plan", &o, &plan, &err);
    if (!status) status = tenon_session_create(plan, NULL, &s, &err);
    for (int64_t n = 1; !status && n <= 100; n += 99) {
        tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {3, n}, .data = ids};
        status = tenon_session_bind(s, "ids", &t, &err);
        if (!status) status = tenon_session_run(s, &err);
    }
    if (status) {
        assert_int_equal(status, TENON_E_MEMORY);
        assert_true(err.text[0] != 0);
        c->fail_at = 0;
        if (s) { /* the session is still good */
            tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {1, 2}, .data = ids};
            assert_int_equal(tenon_session_bind(s, "ids", &t, &err), TENON_OK);
            assert_int_equal(tenon_session_run(s, &err), TENON_OK);
        }
    }
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    return status;
}

static void fails_everywhere(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes = tiny_plan(16, 16, &size);
    write_file("m.plan", bytes, size);
    free(bytes);
    for (int mode = 0; mode < 4; mode++) {
        Counter all = {0};
        assert_int_equal(scenario(&all, mode & 1), TENON_OK);
        assert_int_equal(all.live, 0);
        assert_true(all.calls >= 5);
        for (int n = 1; n <= all.calls; n++) {
            Counter c = {.fail_at = n, .for_good = mode >> 1};
            assert_int_equal(scenario(&c, mode & 1), TENON_E_MEMORY);
            assert_int_equal(c.live, 0);
        }
    }
    scratch_empty();
}

/* Runs of which each needs more memory in its stages, branches and loop than the one before. */
static tenon_status flow_scenario(Counter *c, const unsigned char *bytes, size_t size) {
    tenon_allocator allocator = {count_allocate, count_release, c};
    tenon_plan_options o = {.struct_size = sizeof o, .allocator = &allocator};
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    tenon_error err = {0};
    int64_t x[300] = {0}, number = 0;
    tenon_port port;
    tenon_status status = tenon_plan_open_memory(bytes, size, &o, &plan, &err);
    if (!status) status = tenon_session_create(plan, NULL, &s, &err);
    for (int run = 0; !status && run < 3; run++) {
        number = run + 1;
        for (int i = 0; !tenon_plan_port(plan, NULL, i, &port, NULL) && !port.is_output; i++) {
            tenon_tensor t = {.dtype = port.dtype, .rank = port.rank, .data = &number};
            if (!strcmp(port.name, "x")) t.data = x;
            if (port.rank) t.dims[0] = port.dims[0] == 1 ? 1 : 5 + 30 * run;
            if (!status) status = tenon_session_bind(s, port.name, &t, &err);
        }
        if (!status) status = tenon_session_run(s, &err);
        if (status && s) {
            assert_int_equal(status, TENON_E_MEMORY);
            c->fail_at = 0;
            assert_int_equal(tenon_session_run(s, &err), TENON_OK); /* it is still good */
        }
    }
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    return status;
}

static void fails_everywhere_in_flow(void **state) {
    (void)state;
    unsigned char *(*const plans[])(size_t *) = {flow_measured, flow_control};
    for (int p = 0; p < 2; p++) {
        size_t size;
        unsigned char *bytes = plans[p](&size);
        Counter all = {0};
        assert_int_equal(flow_scenario(&all, bytes, size), TENON_OK);
        assert_int_equal(all.live, 0);
        for (int n = 1; n <= all.calls; n++)
            for (int for_good = 0; for_good < 2; for_good++) {
                Counter c = {.fail_at = n, .for_good = for_good};
                tenon_status status = flow_scenario(&c, bytes, size);
                assert_true(status == TENON_E_MEMORY || status == TENON_OK);
                assert_int_equal(c.live, 0);
            }
        free(bytes);
    }
}

/* A prompt, steps that use up the room, choosing sequences, contents put in. A call that fails has
 * changed no length. */
static tenon_status state_scenario(Counter *c, const unsigned char *bytes, size_t size) {
    tenon_allocator allocator = {count_allocate, count_release, c};
    tenon_plan_options o = {.struct_size = sizeof o, .allocator = &allocator};
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    tenon_error err = {0};
    static float x[2 * 2 * 40 * 3];
    tenon_tensor t = {.dtype = TENON_F32, .rank = 4, .dims = {2, 2, 30, 3}, .data = x}, kv = {0};
    tenon_status status = tenon_plan_open_memory(bytes, size, &o, &plan, &err);
    if (!status) status = tenon_session_create(plan, NULL, &s, &err);
    int64_t length = 0;
    for (int run = 0; !status && run < 2; run++, length += t.dims[2]) {
        t.dims[2] = run ? 10 : 30;
        status = tenon_session_bind(s, "x", &t, &err);
        if (!status) status = tenon_session_run(s, &err);
        if (status) break;
    }
    if (!status) status = tenon_session_reorder(s, (int64_t[]){1, 0}, 2, &err);
    t.dims[2] = 40;
    if (!status) status = tenon_session_bind(s, "kv", &t, &err);
    if (status && s) {
        assert_int_equal(status, TENON_E_MEMORY);
        c->fail_at = 0;
        assert_int_equal(tenon_session_export(s, "kv", &kv, &err), TENON_OK);
        assert_int_equal(kv.dims[2], length);
        t.dims[2] = 1;
        assert_int_equal(tenon_session_bind(s, "x", &t, &err), TENON_OK);
        assert_int_equal(tenon_session_run(s, &err), TENON_OK); /* it is still good */
    }
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    return status;
}

static void fails_everywhere_with_states(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes = state_plan(&size);
    Counter all = {0};
    assert_int_equal(state_scenario(&all, bytes, size), TENON_OK);
    assert_int_equal(all.live, 0);
    for (int n = 1; n <= all.calls; n++)
        for (int for_good = 0; for_good < 2; for_good++) {
            Counter c = {.fail_at = n, .for_good = for_good};
            assert_int_equal(state_scenario(&c, bytes, size), TENON_E_MEMORY);
            assert_int_equal(c.live, 0);
        }
    free(bytes);
}

static void repeated_runs_do_not_allocate(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes = tiny_plan(16, 16, &size);
    Counter c = {0};
    tenon_allocator allocator = {count_allocate, count_release, &c};
    tenon_plan_options o = {.struct_size = sizeof o, .allocator = &allocator};
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    int64_t ids[2][40] = {{0}};
    assert_int_equal(tenon_plan_open_memory(bytes, size, &o, &plan, NULL), TENON_OK);
    assert_int_equal(tenon_session_create(plan, NULL, &s, NULL), TENON_OK);
    int calls = 0;
    for (int i = 0; i < 10; i++) {
        tenon_tensor t = {.dtype = TENON_I64,
                          .rank = 2,
                          .dims = {4, i < 5 ? 10 : 10 - i % 3},
                          .data = ids[i % 2]};
        assert_int_equal(tenon_session_bind(s, "ids", &t, NULL), TENON_OK);
        assert_int_equal(tenon_session_run(s, NULL), TENON_OK);
        if (i == 0) calls = c.calls;
        assert_int_equal(c.calls, calls); /* smaller shapes fit into the arena there is */
    }
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    assert_int_equal(c.live, 0);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fails_everywhere),
                                       cmocka_unit_test(fails_everywhere_in_flow),
                                       cmocka_unit_test(fails_everywhere_with_states),
                                       cmocka_unit_test(repeated_runs_do_not_allocate)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
