/* States of sessions: what a run finds and leaves, sharing, truncating, choosing sequences,
 * contents in and out. */
#include "tests/api/states.h"

/* --- runs --- */

static void runs_append(void **state) {
    World *w = *state;
    tenon_port port;
    for (int i = 0; i < 3; i++)
        assert_int_equal(tenon_plan_port(w->plan, "step", i, &port, NULL), 0);
    assert_int_equal(tenon_plan_port(w->plan, "step", 3, &port, NULL), TENON_E_ARGUMENT);
    must_step(w, w->step, 2, 3, 0);
    check_output(w, w->step, 2, 3);
    must_step(w, w->step, 2, 1, 3);
    must_step(w, w->step, 2, 0, 4);
    must_step(w, w->step, 2, 4, 4);
    check_output(w, w->step, 2, 8);
    check_state(w, 2, 8, NULL);
}

static void memory_grows_and_contents_stay(void **state) {
    World *w = *state;
    uint64_t before = 0, grown = 0;
    for (int64_t t = 0; t < 150; t++) {
        must_step(w, w->step, 3, 1, t);
        check_output(w, w->step, 3, t + 1);
        grown += state_bytes(w->step) != before;
        before = state_bytes(w->step);
    }
    assert_true(grown <= 4); /* 32, 64, 128, 256 rows */
    assert_true(before >= 150 * 3 * 2 * 3 * sizeof(float));
}

static void reserved_memory_stays(void **state) {
    World *w = *state;
    tenon_session *s = session_of(w, NULL, NULL, 200, 0);
    must_step(w, s, 1, 1, 0);
    uint64_t bytes = state_bytes(s);
    for (int64_t t = 1; t < 200; t++) must_step(w, s, 1, 1, t);
    assert_int_equal(state_bytes(s), bytes);
    check_output(w, s, 1, 200);
    tenon_session_destroy(s);
}

static void functions_share(void **state) {
    World *w = *state;
    tenon_tensor seen;
    assert_int_equal(fill(w, 2, 5, 4), TENON_OK);
    must_step(w, w->step, 2, 2, 5);
    check_output(w, w->step, 2, 7);
    assert_int_equal(tenon_session_tensor(w->step, "seen", &seen, &w->err), TENON_OK);
    assert_int_equal(seen.dims[1], 4);
    for (int i = 0; i < 8; i++) assert_true(((float *)seen.data)[i] == (float)i + 0.5f);
    assert_int_equal(fill(w, 1, 2, 6), TENON_OK); /* anew, of another batch */
    must_step(w, w->step, 1, 1, 2);
    check_output(w, w->step, 1, 3);
}

static void two_sessions_append_in_turn(void **state) {
    World *w = *state;
    tenon_session *other = session_of(w, "step", w->fill, 0, 0);
    for (int64_t t = 0; t < 80; t++) {
        tenon_session *s = t % 2 ? other : w->step;
        must_step(w, s, 2, 1, t);
        check_output(w, s, 2, t + 1);
    }
    tenon_session_destroy(other);
    check_state(w, 2, 80, NULL);
}

static void others_have_their_own(void **state) {
    World *w = *state;
    tenon_session *alone = session_of(w, NULL, NULL, 0, 0);
    must_step(w, w->step, 2, 3, 0);
    must_step(w, alone, 5, 2, 0);
    check_output(w, alone, 5, 2);
    check_state(w, 2, 3, NULL);
    tenon_session_destroy(alone);
}

/* --- edits --- */

static void truncating(void **state) {
    World *w = *state;
    assert_int_equal(fill(w, 2, 6, 3), TENON_OK);
    assert_int_equal(tenon_session_truncate(w->step, 4, &w->err), TENON_OK);
    check_state(w, 2, 4, NULL);
    assert_int_equal(tenon_session_truncate(w->step, 40, &w->err), TENON_OK);
    must_step(w, w->step, 2, 3, 4); /* again, and one more */
    check_output(w, w->step, 2, 7);
    assert_int_equal(tenon_session_truncate(w->step, -1, &w->err), TENON_E_ARGUMENT);
    assert_int_equal(tenon_session_truncate(w->step, 0, &w->err), TENON_OK);
    check_state(w, 2, 0, NULL);
    assert_int_equal(length_of(w, "memory", 1), 3); /* no one appends to it */
}

static void sequences_are_chosen(void **state) {
    World *w = *state;
    const int64_t rows[] = {2, 0, 2, 1}, bad[] = {0, 3};
    assert_int_equal(fill(w, 3, 4, 5), TENON_OK);
    assert_int_equal(tenon_session_reorder(w->step, bad, 2, &w->err), TENON_E_RANGE);
    assert_string_equal(w->err.text, "row 1 is to be row 3 of state 'kv', which has 3");
    assert_int_equal(tenon_session_reorder(w->step, NULL, 2, &w->err), TENON_E_ARGUMENT);
    assert_int_equal(tenon_session_reorder(w->step, rows, 0, &w->err), TENON_E_ARGUMENT);
    check_state(w, 3, 4, NULL);
    assert_int_equal(tenon_session_reorder(w->step, rows, 4, &w->err), TENON_OK);
    check_state(w, 4, 4, rows);
    float m[20];
    tenon_tensor t = {.data = m, .bytes = sizeof m};
    assert_int_equal(tenon_session_export(w->step, "memory", &t, &w->err), TENON_OK);
    for (int i = 0; i < 20; i++) assert_true(m[i] == (float)(rows[i / 5] * 5 + i % 5) + 0.5f);
    must_step(w, w->step, 4, 1, 4);
}

static void contents_go_out_and_in(void **state) {
    World *w = *state;
    static float data[2 * 2 * 40 * 3];
    tenon_tensor t = {.dtype = TENON_F32, .rank = 4, .dims = {2, 2, 40, 3}, .data = data};
    fill_rows(2, 40, 0, 0);
    memcpy(data, x, sizeof data);
    assert_int_equal(tenon_session_bind(w->step, "kv", &t, &w->err), TENON_OK);
    memset(data, 0, sizeof data); /* it was copied */
    check_state(w, 2, 40, NULL);
    must_step(w, w->step, 2, 1, 40);
    check_output(w, w->step, 2, 41);
    t.bytes = sizeof data - 1;
    assert_int_equal(tenon_session_export(w->step, "kv", &t, &w->err), TENON_E_ARGUMENT);
    assert_string_equal(w->err.text, "state 'kv' needs 1968 bytes, 1919 are given");
    assert_int_equal(tenon_session_export(w->step, "x", &t, &w->err), TENON_E_ARGUMENT);
    assert_string_equal(w->err.text, "the plan has no state 'x'");
    assert_int_equal(tenon_session_bind(w->step, "kv", NULL, &w->err), TENON_OK);
    assert_int_equal(length_of(w, "kv", 2), 0);
}

static void wrong_contents(void **state) {
    World *w = *state;
    static float data[64];
    const struct {
        tenon_tensor t;
        tenon_status status;
        const char *text;
    } cases[] = {
        {{TENON_F16, 4, {1, 2, 1, 3}, data, 0}, TENON_E_DTYPE, "state 'kv' is f32, not f16"},
        {{TENON_F32, 3, {1, 2, 1}, data, 0}, TENON_E_SHAPE, "state 'kv' has rank 4, not 3"},
        {{TENON_F32, 4, {1, 3, 1, 3}, data, 0},
         TENON_E_SHAPE,
         "state 'kv' axis 1 is 3, the model wants 2"},
        {{TENON_F32, 4, {1, 2, -1, 3}, data, 0}, TENON_E_SHAPE, "state 'kv' axis 2 is -1"},
        {{TENON_F32, 4, {1, 2, 1, 3}, NULL, 0}, TENON_E_ARGUMENT, "state 'kv' needs 24 bytes"},
        {{TENON_F32, 4, {1, 2, 2, 3}, data, 47}, TENON_E_ARGUMENT, "state 'kv' needs 48 bytes"},
    };
    must_step(w, w->step, 2, 3, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(tenon_session_bind(w->step, "kv", &cases[i].t, &w->err), cases[i].status);
        assert_string_equal(w->err.text, cases[i].text);
    }
    check_state(w, 2, 3, NULL);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(runs_append),     CASE(memory_grows_and_contents_stay), CASE(reserved_memory_stays),
        CASE(functions_share), CASE(two_sessions_append_in_turn),    CASE(others_have_their_own),
        CASE(truncating),      CASE(sequences_are_chosen),           CASE(contents_go_out_and_in),
        CASE(wrong_contents),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
