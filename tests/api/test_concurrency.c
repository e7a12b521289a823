/* Threads, cancelling and fork: results never depend on the number of threads, a session serves one
 * caller at a time, a child of fork can run what its parent opened. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runtime/tenon.h"
#include "tests/support/tiny_plan.h"

enum { HIDDEN = 64, OUT = 96, BATCH = 16, SEQUENCE = 60, IDS = BATCH * SEQUENCE };

static unsigned char *bytes;
static tenon_plan *plan;
static int64_t ids[IDS];

static int set_up(void **state) {
    (void)state;
    size_t size;
    bytes = tiny_plan(HIDDEN, OUT, &size);
    for (int i = 0; i < IDS; i++) ids[i] = i * 7 % TINY_ROWS;
    return tenon_plan_open_memory(bytes, size, NULL, &plan, NULL);
}

static int tear_down(void **state) {
    (void)state;
    tenon_plan_close(plan);
    free(bytes);
    return 0;
}

static tenon_session *new_session(tenon_pool *pool) {
    tenon_session *s = NULL;
    tenon_session_options o = {.struct_size = sizeof o, .pool = pool};
    tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {BATCH, SEQUENCE}, .data = ids};
    if (tenon_session_create(plan, &o, &s, NULL) || tenon_session_bind(s, "ids", &t, NULL)) abort();
    return s;
}

/* Hash of both outputs after a run; 0 if it failed. */
static uint64_t run_hash(tenon_session *s) {
    tenon_tensor y, pooled;
    if (tenon_session_run(s, NULL) || tenon_session_tensor(s, "y", &y, NULL) ||
        tenon_session_tensor(s, "pooled", &pooled, NULL))
        return 0;
    return XXH3_64bits(y.data, y.bytes) ^ (XXH3_64bits(pooled.data, pooled.bytes) << 1);
}

static uint64_t hash_with_threads(int32_t threads) {
    tenon_pool *pool = NULL;
    assert_int_equal(tenon_pool_create(threads, &pool, NULL), TENON_OK);
    tenon_session *s = new_session(pool);
    uint64_t hash = run_hash(s);
    for (int i = 0; i < 8; i++) assert_true(run_hash(s) == hash);
    tenon_session_destroy(s);
    tenon_pool_destroy(pool);
    return hash;
}

static void same_bits_for_any_threads(void **state) {
    (void)state;
    tenon_session *s = new_session(NULL);
    uint64_t hash = run_hash(s);
    assert_true(hash != 0);
    tenon_session_destroy(s);
    for (int32_t threads = 1; threads <= 3; threads++)
        assert_true(hash_with_threads(threads) == hash);
}

typedef struct Worker {
    pthread_t thread;
    tenon_pool *pool;
    uint64_t hash;
    int same;
} Worker;

static void *work(void *user) {
    Worker *w = user;
    tenon_session *s = new_session(w->pool);
    w->same = 1;
    for (int i = 0; i < 5; i++) w->same &= run_hash(s) == w->hash;
    tenon_session_destroy(s);
    return NULL;
}

static void many_sessions_on_one_plan(void **state) {
    (void)state;
    enum { WORKERS = 8 };
    Worker workers[WORKERS];
    tenon_pool *pool = NULL;
    tenon_session *s = new_session(NULL);
    uint64_t hash = run_hash(s);
    tenon_session_destroy(s);
    assert_int_equal(tenon_pool_create(2, &pool, NULL), TENON_OK);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (Worker){.pool = i % 2 ? pool : NULL, .hash = hash};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_true(workers[i].same);
    }
    tenon_pool_destroy(pool);
}

/* Called in the middle of a run: another thread tries to use the session. */
static void *intrude(void *user) {
    tenon_error err;
    tenon_session *s = user;
    tenon_tensor t;
    intptr_t all = tenon_session_run(s, &err) == TENON_E_BUSY;
    all &= strcmp(err.text, "the session is in use by another thread") == 0;
    all &= tenon_session_bind(s, "mask", NULL, NULL) == TENON_E_BUSY;
    all &= tenon_session_prepare(s, NULL) == TENON_E_BUSY;
    all &= tenon_session_tensor(s, "y", &t, NULL) == TENON_E_BUSY;
    all &= tenon_session_trace(s, NULL, NULL, NULL) == TENON_E_BUSY;
    all &= tenon_session_memory(s, &(tenon_memory){.struct_size = sizeof(tenon_memory)}, NULL) ==
           TENON_E_BUSY;
    return (void *)all;
}

typedef struct Intrusion {
    tenon_session *session;
    int refused;
} Intrusion;

static void let_intrude(void *user, const tenon_event *event) {
    Intrusion *i = user;
    pthread_t thread;
    void *all = NULL;
    if (event->instruction != 1) return;
    pthread_create(&thread, NULL, intrude, i->session);
    pthread_join(thread, &all);
    i->refused = all != NULL;
}

static void second_thread_is_refused(void **state) {
    (void)state;
    Intrusion i = {.session = new_session(NULL)};
    assert_int_equal(tenon_session_trace(i.session, let_intrude, &i, NULL), TENON_OK);
    assert_int_equal(tenon_session_run(i.session, NULL), TENON_OK);
    assert_true(i.refused);
    tenon_session_destroy(i.session);
}

typedef struct Guest {
    tenon_session *session;
    uint64_t hash;
    int runs;
} Guest;

static void *visit(void *user) {
    Guest *g = user;
    for (int i = 0; i < 3; i++) g->runs += run_hash(g->session) == g->hash;
    return NULL;
}

static void let_visit(void *user, const tenon_event *event) {
    pthread_t thread;
    if (event->instruction != 1) return;
    visit(user);
    pthread_create(&thread, NULL, visit, user);
    pthread_join(thread, NULL);
}

/* Who looks on may run another session of the same pool and wait for it. */
static void pool_is_free_between_traced_calls(void **state) {
    (void)state;
    tenon_pool *pool = NULL;
    assert_int_equal(tenon_pool_create(2, &pool, NULL), TENON_OK);
    Guest g = {.session = new_session(pool)};
    tenon_session *s = new_session(pool);
    g.hash = run_hash(s);
    alarm(60);
    assert_int_equal(tenon_session_trace(s, let_visit, &g, NULL), TENON_OK);
    assert_true(run_hash(s) == g.hash);
    alarm(0);
    assert_int_equal(g.runs, 6);
    tenon_session_destroy(g.session);
    tenon_session_destroy(s);
    tenon_pool_destroy(pool);
}

static void cancel_at_third(void *user, const tenon_event *event) {
    if (event->instruction == 2) tenon_session_cancel(user);
}

static void cancels(void **state) {
    (void)state;
    tenon_error err;
    tenon_session *s = new_session(NULL);
    tenon_session_cancel(s); /* no run in progress: no effect */
    assert_int_equal(tenon_session_run(s, &err), TENON_OK);
    assert_int_equal(tenon_session_trace(s, cancel_at_third, s, &err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &err), TENON_E_CANCELLED);
    assert_string_equal(err.text, "cancelled after instruction 3 of 5");
    assert_int_equal(tenon_session_trace(s, NULL, NULL, &err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &err), TENON_OK);
    tenon_session_destroy(s);
}

static void child_runs(void **state) {
    (void)state;
    tenon_pool *pool = NULL;
    assert_int_equal(tenon_pool_create(2, &pool, NULL), TENON_OK);
    tenon_session *s = new_session(pool);
    uint64_t hash = run_hash(s); /* the pool has threads now */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(30);
        int same = run_hash(s) == hash;
        tenon_session *own = new_session(pool);
        same &= run_hash(own) == hash;
        tenon_session_destroy(own);
        tenon_session_destroy(s);
        tenon_pool_destroy(pool);
        _exit(same ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(run_hash(s) == hash);
    tenon_session_destroy(s);
    tenon_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(many_sessions_on_one_plan),
        cmocka_unit_test(second_thread_is_refused),
        cmocka_unit_test(pool_is_free_between_traced_calls),
        cmocka_unit_test(cancels),
        cmocka_unit_test(child_runs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
