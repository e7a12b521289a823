/* States of sessions, by the hand-made plan of state_plan.h: what a run finds and leaves, sharing,
 * truncating, choosing sequences, contents in and out, and what failures leave behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/state_plan.h"

typedef struct World {
    unsigned char *bytes;
    tenon_plan *plan;
    tenon_session *step, *fill; /* share their states */
    tenon_error err;
} World;

static tenon_session *session_of(World *w, const char *function, tenon_session *share,
                                 int64_t capacity, uint64_t limit) {
    tenon_session_options o = {.struct_size = sizeof o,
                               .function = function,
                               .memory_limit = limit,
                               .share_state = share,
                               .state_capacity = capacity};
    tenon_session *s = NULL;
    assert_int_equal(tenon_session_create(w->plan, &o, &s, &w->err), TENON_OK);
    return s;
}

static int setup(void **state) {
    size_t size;
    World *w = calloc(1, sizeof *w);
    w->bytes = state_plan(&size);
    if (tenon_plan_open_memory(w->bytes, size, NULL, &w->plan, &w->err))
        fail_msg("%s", w->err.text);
    w->step = session_of(w, NULL, NULL, 0, 0);
    w->fill = session_of(w, "fill", w->step, 0, 0);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    World *w = *state;
    tenon_session_destroy(w->step);
    tenon_session_destroy(w->fill); /* the last to hold the states */
    tenon_plan_close(w->plan);
    free(w->bytes);
    free(w);
    return 0;
}

/* Element of row t of sequence b. */
static float element(int64_t b, int64_t head, int64_t t, int64_t k) {
    return (float)(1000 * b + 100 * head + 3 * t + k);
}

static float x[1 << 16]; /* the rows bound last: what sequence `from + b` has at time `at + t` */

static void fill_rows(int64_t batch, int64_t n, int64_t from, int64_t at) {
    int64_t i = 0;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t head = 0; head < 2; head++)
            for (int64_t t = 0; t < n; t++)
                for (int64_t k = 0; k < 3; k++) x[i++] = element(from + b, head, at + t, k);
}

static tenon_status step(World *w, tenon_session *s, int64_t batch, int64_t n, int64_t at) {
    tenon_tensor t = {.dtype = TENON_F32, .rank = 4, .dims = {batch, 2, n, 3}, .data = x};
    fill_rows(batch, n, 0, at);
    assert_int_equal(tenon_session_bind(s, "x", &t, &w->err), TENON_OK);
    return tenon_session_run(s, &w->err);
}

static void must_step(World *w, tenon_session *s, int64_t batch, int64_t n, int64_t at) {
    if (step(w, s, batch, n, at)) fail_msg("%s", w->err.text);
}

/* fill: kv = rows 0..n, memory = 0.5, 1.5, ... */
static tenon_status fill(World *w, int64_t batch, int64_t n, int64_t length) {
    static float m[4096];
    tenon_tensor t = {.dtype = TENON_F32, .rank = 2, .dims = {batch, length}, .data = m};
    for (int64_t i = 0; i < batch * length; i++) m[i] = (float)i + 0.5f;
    assert_int_equal(tenon_session_bind(w->fill, "m", &t, &w->err), TENON_OK);
    return step(w, w->fill, batch, n, 0);
}

/* The tensor holds rows 0..n of sequences rows[0], ... */
static void check_kv(const tenon_tensor *t, int64_t batch, int64_t n, const int64_t *rows) {
    const float *at = t->data;
    assert_int_equal(t->rank, 4);
    assert_int_equal(t->dims[0], batch);
    assert_int_equal(t->dims[2], n);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t head = 0; head < 2; head++)
            for (int64_t i = 0; i < n; i++)
                for (int64_t k = 0; k < 3; k++, at++)
                    if (*at != element(rows ? rows[b] : b, head, i, k))
                        fail_msg("sequence %d, row %d: %g", (int)b, (int)i, (double)*at);
}

static void check_output(World *w, tenon_session *s, int64_t batch, int64_t n) {
    tenon_tensor t;
    assert_int_equal(tenon_session_tensor(s, "all", &t, &w->err), TENON_OK);
    check_kv(&t, batch, n, NULL);
}

static void check_state(World *w, int64_t batch, int64_t n, const int64_t *rows) {
    tenon_tensor t = {0};
    assert_int_equal(tenon_session_export(w->step, "kv", &t, &w->err), TENON_OK);
    assert_int_equal(t.bytes, (size_t)(batch * 2 * n * 3) * sizeof(float));
    t.data = malloc(t.bytes + 1);
    assert_int_equal(tenon_session_export(w->step, "kv", &t, &w->err), TENON_OK);
    if (n) check_kv(&t, batch, n, rows);
    free(t.data);
}

static int64_t length_of(World *w, const char *name, int axis) {
    tenon_tensor t = {0};
    assert_int_equal(tenon_session_export(w->step, name, &t, &w->err), TENON_OK);
    return t.dims[axis];
}

static uint64_t state_bytes(tenon_session *s) {
    tenon_memory m = {.struct_size = sizeof m};
    assert_int_equal(tenon_session_memory(s, &m, NULL), TENON_OK);
    return m.states;
}

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

/* --- failures --- */

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
    const struct CMUnitTest tests[] = {CASE(runs_append),
                                       CASE(memory_grows_and_contents_stay),
                                       CASE(reserved_memory_stays),
                                       CASE(functions_share),
                                       CASE(two_sessions_append_in_turn),
                                       CASE(others_have_their_own),
                                       CASE(truncating),
                                       CASE(sequences_are_chosen),
                                       CASE(contents_go_out_and_in),
                                       CASE(wrong_contents),
                                       CASE(wrong_batch),
                                       CASE(states_that_disagree),
                                       CASE(too_long),
                                       CASE(cancelled_runs),
                                       CASE(limits),
                                       CASE(shared_states_are_one_threads),
                                       CASE(options),
                                       CASE(plain_functions),
                                       cmocka_unit_test(buffer_is_the_memory)};
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
