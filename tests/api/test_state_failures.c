/* States of sessions: what failures leave behind, limits, and who may not touch them when. */
#include "tests/api/states.h"

static void wrong_batch(void **state) {
    World *w = *state;
    must_step(w, w->step, 2, 3, 0);
    assert_int_equal(step(w, w->step, 3, 1, 3), TENON_E_SHAPE);
    assert_string_equal(
        w->err.text, "input 'x' axis 0 is 3, the model wants batch = 2 (set by state 'kv' axis 0)");
    check_state(w, 2, 3, NULL);
    assert_int_equal(tenon_session_truncate(w->step, 0, &w->err), TENON_OK);
    must_step(w, w->step, 3, 1, 0); /* an empty state takes any */
    check_output(w, w->step, 3, 1);
}

static void states_that_disagree(void **state) {
    World *w = *state;
    static float m[8];
    tenon_tensor t = {.dtype = TENON_F32, .rank = 2, .dims = {4, 2}, .data = m};
    must_step(w, w->step, 2, 3, 0);
    assert_int_equal(tenon_session_bind(w->step, "memory", &t, &w->err), TENON_OK);
    assert_int_equal(step(w, w->step, 2, 1, 3), TENON_E_SHAPE);
    assert_string_equal(w->err.text, "state 'memory' axis 0 is 4, the model wants batch = 2");
}

static void too_long(void **state) {
    World *w = *state;
    for (int i = 0; i < 4; i++) must_step(w, w->step, 1, 300, 300 * i);
    assert_int_equal(step(w, w->step, 1, 1, 1200), TENON_E_SHAPE);
    assert_string_equal(w->err.text,
                        "state 'kv' axis 2 is 1200, the model wants past from 0 to 1000");
    check_state(w, 1, 1200, NULL);
}

static void cancel(void *user, const tenon_event *event) {
    if (event->instruction == 0 || event->instruction == 3) tenon_session_cancel(user);
}

static void cancelled_runs(void **state) {
    World *w = *state;
    assert_int_equal(fill(w, 2, 3, 2), TENON_OK);
    must_step(w, w->step, 2, 2, 3);
    tenon_session_trace(w->step, cancel, w->step, NULL);
    assert_int_equal(step(w, w->step, 2, 4, 77), TENON_E_CANCELLED);
    check_state(w, 2, 5, NULL);
    tenon_session_trace(w->step, NULL, NULL, NULL);
    must_step(w, w->step, 2, 1, 5);
    check_output(w, w->step, 2, 6);
    tenon_session_trace(w->fill, cancel, w->fill, NULL);
    assert_int_equal(fill(w, 2, 3, 2), TENON_E_CANCELLED); /* was to be made anew */
    assert_int_equal(length_of(w, "kv", 2), 0);
    assert_int_equal(length_of(w, "memory", 1), 0);
}

static void limits(void **state) {
    World *w = *state;
    tenon_session *s = session_of(w, NULL, NULL, 0, 6000);
    int64_t t = 0;
    while (t < 400 && !step(w, s, 1, 1, t)) t++;
    assert_int_equal(w->err.code, TENON_E_LIMIT);
    assert_true(t >= 32 && t < 200);
    assert_int_equal(tenon_session_truncate(s, 5, &w->err), TENON_OK);
    must_step(w, s, 1, 1, 5);
    check_output(w, s, 1, 6);
    tenon_session_destroy(s);
}

typedef struct Intruder {
    tenon_session *other;
    tenon_status status[4];
} Intruder;

static void intrude(void *user, const tenon_event *event) {
    Intruder *i = user;
    (void)event;
    i->status[0] = tenon_session_run(i->other, NULL);
    i->status[1] = tenon_session_truncate(i->other, 0, NULL);
    i->status[2] = tenon_session_bind(i->other, "kv", NULL, NULL);
    i->status[3] = tenon_session_export(i->other, "kv", &(tenon_tensor){0}, NULL);
}

static void shared_states_are_one_threads(void **state) {
    World *w = *state;
    Intruder i = {.other = w->fill};
    assert_int_equal(fill(w, 2, 3, 2), TENON_OK);
    tenon_session_trace(w->step, intrude, &i, NULL);
    must_step(w, w->step, 2, 2, 3);
    tenon_session_trace(w->step, NULL, NULL, NULL);
    for (int k = 0; k < 4; k++) assert_int_equal(i.status[k], TENON_E_BUSY);
    check_output(w, w->step, 2, 5);
}

static void options(void **state) {
    World *w = *state;
    size_t size;
    unsigned char *bytes = state_plan(&size);
    tenon_plan *copy = NULL;
    tenon_session *s = NULL;
    tenon_session_options o = {.struct_size = sizeof o, .share_state = w->step};
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &copy, &w->err), TENON_OK);
    assert_int_equal(tenon_session_create(copy, &o, &s, &w->err), TENON_E_ARGUMENT);
    assert_string_equal(w->err.text, "share_state is a session of another plan");
    o = (tenon_session_options){.struct_size = sizeof o, .state_capacity = -1};
    assert_int_equal(tenon_session_create(copy, &o, &s, &w->err), TENON_E_ARGUMENT);
    tenon_plan_close(copy);
    free(bytes);
}

/* A function without states is not held up by them. */
static void plain_functions(void **state) {
    World *w = *state;
    tenon_session *s = session_of(w, "plain", w->step, 0, 0);
    tenon_tensor t = {.dtype = TENON_F32, .rank = 1, .dims = {3}, .data = x};
    assert_int_equal(tenon_session_bind(s, "x", &t, &w->err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &w->err), TENON_OK);
    must_step(w, w->step, 1, 2, 0);
    assert_int_equal(tenon_session_truncate(s, 1, &w->err), TENON_OK);
    check_state(w, 1, 1, NULL);
    tenon_session_destroy(s);
}

static void *records(unsigned char *bytes, uint32_t kind) {
    PlanSection *s = plan_sections(bytes);
    while (s->kind != kind) s++;
    return bytes + s->offset;
}

/* A buffer that is not the memory of its state could let views reach behind it. */
static void buffer_is_the_memory(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes = state_plan(&size);
    const PlanState *r = records(bytes, TN_SECTION_STATES);
    PlanBuffer *b = (PlanBuffer *)records(bytes, TN_SECTION_BUFFERS) + r[1].buffer;
    b->elements = ((const PlanBuffer *)records(bytes, TN_SECTION_BUFFERS))[r[0].buffer].elements;
    plan_rehash(bytes, size);
    World w = {.bytes = bytes};
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &w.plan, &w.err), TENON_OK);
    tenon_session *s = session_of(&w, NULL, NULL, 0, 0);
    assert_int_equal(step(&w, s, 1, 1, 0), TENON_E_INVALID);
    assert_string_equal(w.err.text, "the buffer of state 'memory' is not what it is made of");
    tenon_session_destroy(s);
    tenon_plan_close(w.plan);
    free(bytes);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(wrong_batch),
        CASE(states_that_disagree),
        CASE(too_long),
        CASE(cancelled_runs),
        CASE(limits),
        CASE(shared_states_are_one_threads),
        CASE(options),
        CASE(plain_functions),
        cmocka_unit_test(buffer_is_the_memory),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
