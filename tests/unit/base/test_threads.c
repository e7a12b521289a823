/* The pool: every task runs once, on lanes within bounds, from any number of callers; CPU facts and
 * element types. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runtime/base/cpu.h"
#include "runtime/base/dtype.h"
#include "runtime/base/threads.h"

typedef struct Count {
    _Atomic(int) runs[1000];
    _Atomic(int) bad_lanes;
    int lanes;
} Count;

static void count(void *user, int64_t task, int lane) {
    Count *c = user;
    atomic_fetch_add(&c->runs[task], 1);
    if (lane < 0 || lane >= c->lanes) atomic_fetch_add(&c->bad_lanes, 1);
}

static int run_and_check(TnPool *p, int64_t tasks, bool last) {
    Count *c = calloc(1, sizeof *c);
    int ok = 1;
    c->lanes = tn_pool_threads(p);
    tn_pool_run(p, tasks, count, c, last);
    for (int64_t i = 0; i < 1000; i++) ok &= c->runs[i] == (i < tasks);
    ok &= c->bad_lanes == 0;
    free(c);
    return ok;
}

static void every_task_once(void **state) {
    (void)state;
    for (int threads = 0; threads <= 3; threads++) {
        TnPool *p = tn_pool_new(threads);
        assert_non_null(p);
        assert_int_equal(tn_pool_threads(p), threads ? threads : tn_cpu_count());
        for (int64_t tasks = 0; tasks <= 1000; tasks = tasks * 2 + 1)
            assert_true(run_and_check(p, tasks, tasks % 2));
        tn_pool_free(p);
    }
    assert_true(run_and_check(NULL, 10, true));
    tn_pool_free(NULL);
}

typedef struct Firsts {
    _Atomic(int) seen[4];      /* tasks that began */
    _Atomic(int64_t) first[2]; /* of each lane, plus one */
} Firsts;

/* Tasks 0 and 2 wait for each other, so two lanes are at work. */
static void meet(void *user, int64_t task, int lane) {
    Firsts *f = user;
    int64_t none = 0;
    atomic_compare_exchange_strong(&f->first[lane], &none, task + 1);
    f->seen[task] = 1;
    for (int i = 0; task % 2 == 0 && !f->seen[2 - task] && i < 5000; i++) usleep(1000);
}

static void lanes_begin_with_their_shares(void **state) {
    (void)state;
    TnPool *p = tn_pool_new(2);
    Firsts f = {0};
    tn_pool_run(p, 4, meet, &f, true);
    assert_int_equal(f.first[0], 1);
    assert_int_equal(f.first[1], 3);
    tn_pool_free(p);
}

typedef struct Body {
    TnPool *pool;
    int depth; /* bodies that it enters in turn */
    int ok, bodies;
} Body;

static void body(void *user) {
    Body *b = user;
    b->bodies++;
    for (int64_t tasks = 0; tasks <= 1000; tasks = tasks * 2 + 1)
        b->ok &= run_and_check(b->pool, tasks, false);
    if (b->depth-- > 0) tn_pool_enter(b->pool, body, b);
    b->ok &= run_and_check(b->pool, 100, true); /* the others may leave */
    for (int i = 0; i < 3; i++) b->ok &= run_and_check(b->pool, 100, i == 1);
}

static void bodies_run_regions(void **state) {
    (void)state;
    for (int threads = 0; threads <= 3; threads++) {
        Body b = {threads ? tn_pool_new(threads) : NULL, 2, 1, 0};
        for (int i = 1; i <= 20; i++) {
            b.depth = 2;
            tn_pool_enter(b.pool, body, &b);
            assert_true(b.ok && b.bodies == 3 * i);
        }
        tn_pool_free(b.pool);
    }
}

static void meets(void *user) {
    void **to = user;
    tn_pool_run(to[0], 4, meet, to[1], false);
}

static void lanes_stand_by(void **state) {
    (void)state;
    TnPool *p = tn_pool_new(2);
    Firsts f = {0};
    tn_pool_enter(p, meets, (void *[]){p, &f});
    assert_int_equal(f.first[0], 1);
    assert_int_equal(f.first[1], 3);
    tn_pool_free(p);
}

typedef struct Door {
    TnPool *pool;
    _Atomic(int) at, in; /* somebody is about to enter, or has */
} Door;

static void come_in(void *user) {
    Door *d = user;
    d->in = 1;
}

static void *wait_and_come_in(void *user) {
    Door *d = user;
    d->at = 1;
    tn_pool_enter(d->pool, come_in, d);
    return NULL;
}

static void hold_the_door(void *user) {
    Door *d = user;
    while (!d->at) usleep(100);
    usleep(20000);
}

static void look_back(void *user) {
    Door *d = user;
    d->at = d->in ? 2 : 1;
}

/* Who waits is let in before who has just been. It may come late to the queue: then once more. */
static void in_the_order_of_asking(void **state) {
    (void)state;
    Door d = {.pool = tn_pool_new(2)};
    for (int tries = 0; tries < 50 && d.at != 2; tries++) {
        pthread_t thread;
        d.at = d.in = 0;
        assert_int_equal(pthread_create(&thread, NULL, wait_and_come_in, &d), 0);
        tn_pool_enter(d.pool, hold_the_door, &d);
        tn_pool_enter(d.pool, look_back, &d);
        pthread_join(thread, NULL);
    }
    assert_int_equal(d.at, 2);
    tn_pool_free(d.pool);
}

static void *call(void *pool) {
    intptr_t ok = 1;
    for (int i = 0; i < 50; i++) ok &= run_and_check(pool, 20, i % 2);
    return (void *)ok;
}

static void several_callers(void **state) {
    (void)state;
    TnPool *p = tn_pool_new(2);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, call, p), 0);
    for (int i = 0; i < 4; i++) {
        void *ok = NULL;
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    tn_pool_free(p);
}

static void after_fork(void **state) {
    (void)state;
    TnPool *p = tn_pool_new(2);
    assert_true(run_and_check(p, 100, false));
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        int ok = run_and_check(p, 100, false);
        tn_pool_free(p);
        TnPool *own = tn_pool_new(1);
        ok &= run_and_check(own, 5, true);
        tn_pool_free(own);
        _exit(!ok);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(run_and_check(p, 100, true));
    tn_pool_free(p);
}

/* With no room for the stacks of eight threads, the pool makes do with fewer. */
static void threads_that_do_not_start(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they need address space of their own */
#endif
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        struct rlimit limit = {.rlim_cur = (rlim_t)64 << 20, .rlim_max = (rlim_t)64 << 20};
        TnPool *p = tn_pool_new(60);
        int ok = p && setrlimit(RLIMIT_AS, &limit) == 0 && run_and_check(p, 100, true);
        tn_pool_free(p);
        _exit(!ok);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void cpu_facts(void **state) {
    (void)state;
    TnIsa isa;
    assert_true(tn_cpu_count() >= 1);
    assert_true(tn_cpu_isa() < TN_ISA_COUNT);
    for (int i = 0; i < TN_ISA_COUNT; i++) {
        assert_true(tn_isa_parse(tn_isa_name((TnIsa)i), &isa));
        assert_int_equal(isa, i);
    }
    assert_false(tn_isa_parse("sse", &isa));
    assert_string_equal(tn_isa_name((TnIsa)17), "unknown");
}

static void element_types(void **state) {
    (void)state;
    assert_int_equal(tn_dtype_parse("bf16"), TN_BF16);
    assert_int_equal(tn_dtype_parse("float"), TN_NONE);
    assert_string_equal(tn_dtype_name(TN_BOOL), "bool");
    assert_string_equal(tn_dtype_name((TnDType)200), "none");
    assert_string_equal(tn_dtype_name(TN_NONE), "none");
    assert_int_equal(tn_dtype_size(TN_F64), 8);
    assert_int_equal(tn_dtype_size(TN_BOOL), 1);
    assert_int_equal(tn_dtype_size((TnDType)-1), 0);
    assert_true(tn_is_float(TN_F16) && !tn_is_float(TN_I8));
    assert_true(tn_is_int(TN_U64) && !tn_is_int(TN_BOOL));
    for (int t = 1; t < TN_DTYPE_COUNT; t++)
        assert_int_equal(tn_dtype_parse(tn_dtype_name((TnDType)t)), t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_once),
        cmocka_unit_test(lanes_begin_with_their_shares),
        cmocka_unit_test(bodies_run_regions),
        cmocka_unit_test(lanes_stand_by),
        cmocka_unit_test(in_the_order_of_asking),
        cmocka_unit_test(several_callers),
        cmocka_unit_test(after_fork),
        cmocka_unit_test(threads_that_do_not_start),
        cmocka_unit_test(cpu_facts),
        cmocka_unit_test(element_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
