/* Sessions of the hand-made plan of state_plan.h, two of which share their states, and what their
 * states hold. */
#ifndef TENON_TESTS_API_STATES_H
#define TENON_TESTS_API_STATES_H

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

static inline tenon_session *session_of(World *w, const char *function, tenon_session *share,
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

static inline int setup(void **state) {
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

static inline int teardown(void **state) {
    World *w = *state;
    tenon_session_destroy(w->step);
    tenon_session_destroy(w->fill); /* the last to hold the states */
    tenon_plan_close(w->plan);
    free(w->bytes);
    free(w);
    return 0;
}

/* Element of row t of sequence b. */
static inline float element(int64_t b, int64_t head, int64_t t, int64_t k) {
    return (float)(1000 * b + 100 * head + 3 * t + k);
}

static float x[1 << 16]; /* the rows bound last: what sequence `from + b` has at time `at + t` */

static inline void fill_rows(int64_t batch, int64_t n, int64_t from, int64_t at) {
    int64_t i = 0;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t head = 0; head < 2; head++)
            for (int64_t t = 0; t < n; t++)
                for (int64_t k = 0; k < 3; k++) x[i++] = element(from + b, head, at + t, k);
}

static inline tenon_status step(World *w, tenon_session *s, int64_t batch, int64_t n, int64_t at) {
    tenon_tensor t = {.dtype = TENON_F32, .rank = 4, .dims = {batch, 2, n, 3}, .data = x};
    fill_rows(batch, n, 0, at);
    assert_int_equal(tenon_session_bind(s, "x", &t, &w->err), TENON_OK);
    return tenon_session_run(s, &w->err);
}

static inline void must_step(World *w, tenon_session *s, int64_t batch, int64_t n, int64_t at) {
    if (step(w, s, batch, n, at)) fail_msg("%s", w->err.text);
}

/* fill: kv = rows 0..n, memory = 0.5, 1.5, ... */
static inline tenon_status fill(World *w, int64_t batch, int64_t n, int64_t length) {
    static float m[4096];
    tenon_tensor t = {.dtype = TENON_F32, .rank = 2, .dims = {batch, length}, .data = m};
    for (int64_t i = 0; i < batch * length; i++) m[i] = (float)i + 0.5f;
    assert_int_equal(tenon_session_bind(w->fill, "m", &t, &w->err), TENON_OK);
    return step(w, w->fill, batch, n, 0);
}

/* The tensor holds rows 0..n of sequences rows[0], ... */
static inline void check_kv(const tenon_tensor *t, int64_t batch, int64_t n, const int64_t *rows) {
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

static inline void check_output(World *w, tenon_session *s, int64_t batch, int64_t n) {
    tenon_tensor t;
    assert_int_equal(tenon_session_tensor(s, "all", &t, &w->err), TENON_OK);
    check_kv(&t, batch, n, NULL);
}

static inline void check_state(World *w, int64_t batch, int64_t n, const int64_t *rows) {
    tenon_tensor t = {0};
    assert_int_equal(tenon_session_export(w->step, "kv", &t, &w->err), TENON_OK);
    assert_int_equal(t.bytes, (size_t)(batch * 2 * n * 3) * sizeof(float));
    t.data = malloc(t.bytes + 1);
    assert_int_equal(tenon_session_export(w->step, "kv", &t, &w->err), TENON_OK);
    if (n) check_kv(&t, batch, n, rows);
    free(t.data);
}

static inline int64_t length_of(World *w, const char *name, int axis) {
    tenon_tensor t = {0};
    assert_int_equal(tenon_session_export(w->step, name, &t, &w->err), TENON_OK);
    return t.dims[axis];
}

static inline uint64_t state_bytes(tenon_session *s) {
    tenon_memory m = {.struct_size = sizeof m};
    assert_int_equal(tenon_session_memory(s, &m, NULL), TENON_OK);
    return m.states;
}

#endif
