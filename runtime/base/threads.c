/* The pool of threads.h over pthreadpool.
 *
 * pthreadpool starts its threads when it is created, so it is created when it is first entered. It
 * is asked once for one item per lane: the caller's runs the body, the others stand by for the
 * regions that it opens, which costs less than to call them for each. Nobody waits for a lane that
 * has not come: the others take its tasks.
 *
 * A lane takes tasks from its share, then from the others'. What `turn` and `inside` are acquired
 * and released with orders the caller's writes before the tasks and these before the return. */
#include "runtime/base/threads.h"

#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/base/cpu.h"

#define MAX_THREADS 1024

/* A lane's tasks, on a cache line of their own. */
typedef struct Share {
    _Alignas(64) _Atomic(int64_t) next; /* first task not yet taken */
    int64_t end;
} Share;

/* The present one. */
typedef struct Region {
    _Alignas(64) _Atomic(uint64_t) turn; /* rises by 1 as it opens, to an odd number, and closes */
    Share *shares;                       /* [lanes] */
    size_t lanes;
    TnTaskFn *fn;
    void *user;
    _Alignas(64) _Atomic(unsigned) inside; /* lanes that stood by and may be in it */
} Region;

enum { OVER = 0, BEGIN = 2 }; /* turns: those who stand by may leave; no region was open yet */
enum { SPINS = 1 << 14 };     /* a tenth of a millisecond or two */

/* Callers by the order in which they came. */
typedef struct Queue {
    pthread_mutex_t lock;
    pthread_cond_t next;
    uint64_t tickets, serving;
} Queue;

struct TnPool {
    Region region;
    int threads;
    pid_t owner;                 /* the process whose threads these are */
    unsigned char *mark;         /* 1 in it, 0 in its children; NULL if the kernel cannot do that */
    struct pthreadpool *workers; /* NULL before it is entered */
    Queue queue;
    _Atomic(const void *) holder; /* who_am_i() of the caller inside, or NULL */
    TnBodyFn *body;
    void *user;
};

/* Asking the kernel who one is would take a third of the time of a small region: a child finds the
 * page wiped instead. */
static unsigned char *mark_process(void) {
#ifdef MADV_WIPEONFORK
    unsigned char *mark = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark == MAP_FAILED) return NULL;
    if (madvise(mark, 1, MADV_WIPEONFORK) == 0) {
        *mark = 1;
        return mark;
    }
    munmap(mark, 1);
#endif
    return NULL;
}

/* Whether the pool's threads are those of this process. */
static bool is_owner(const TnPool *p) {
    return p->mark ? *p->mark : p->owner == getpid();
}

static const void *who_am_i(void) {
    static _Thread_local char self;
    return &self;
}

static bool queue_init(Queue *q) {
    if (pthread_mutex_init(&q->lock, NULL) != 0) return false;
    if (pthread_cond_init(&q->next, NULL) == 0) return true;
    pthread_mutex_destroy(&q->lock);
    return false;
}

static void queue_destroy(Queue *q) {
    pthread_cond_destroy(&q->next);
    pthread_mutex_destroy(&q->lock);
}

static void queue_enter(Queue *q) {
    pthread_mutex_lock(&q->lock);
    for (uint64_t ticket = q->tickets++; q->serving != ticket;)
        pthread_cond_wait(&q->next, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

static void queue_leave(Queue *q) {
    pthread_mutex_lock(&q->lock);
    q->serving++;
    pthread_cond_broadcast(&q->next);
    pthread_mutex_unlock(&q->lock);
}

TnPool *tn_pool_new(int threads) {
    TnPool *p = aligned_alloc(_Alignof(TnPool), sizeof *p);
    if (!p) return NULL;
    if (threads <= 0) threads = tn_cpu_count();
    *p = (TnPool){.threads = threads < MAX_THREADS ? threads : MAX_THREADS, .owner = getpid()};
    p->region.shares = aligned_alloc(_Alignof(Share), (size_t)p->threads * sizeof(Share));
    if (!p->region.shares || !queue_init(&p->queue)) {
        free(p->region.shares);
        free(p);
        return NULL;
    }
    p->mark = mark_process();
    return p;
}

void tn_pool_free(TnPool *p) {
    if (!p) return;
    if (is_owner(p)) { /* a child cannot join threads that it does not have */
        if (p->workers) pthreadpool_destroy(p->workers);
        queue_destroy(&p->queue);
    }
    if (p->mark) munmap(p->mark, 1);
    free(p->region.shares);
    free(p);
}

int tn_pool_threads(const TnPool *p) {
    return p ? p->threads : 1;
}

static void work(const Region *r, size_t lane) {
    for (size_t i = 0; i < r->lanes; i++) {
        Share *s = &r->shares[(lane + i) % r->lanes];
        for (;;) {
            int64_t task = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (task >= s->end) break;
            r->fn(r->user, task, (int)lane);
        }
    }
}

/* Waits a moment, longer if there were `spins` before: what is waited for may need this CPU. */
static void pause_after(unsigned spins) {
#if defined(__x86_64__)
    if (spins < SPINS) {
        __builtin_ia32_pause();
        return;
    }
#endif
    (void)spins;
    sched_yield();
}

/* The turn of the next region after `seen`, or OVER. */
static uint64_t next_turn(Region *r, uint64_t seen) {
    uint64_t turn;
    for (unsigned spins = 0;; spins++) {
        turn = atomic_load_explicit(&r->turn, memory_order_acquire);
        if (turn == OVER || (turn % 2 && turn != seen)) return turn;
        pause_after(spins);
    }
}

/* A region that is closed in between is left alone: the caller waits for those inside after it has
 * closed it, and one who is not counted yet sees that it is. */
static void stand_by(Region *r, size_t lane) {
    uint64_t turn = BEGIN;
    while ((turn = next_turn(r, turn)) != OVER) {
        atomic_fetch_add(&r->inside, 1);
        if (atomic_load(&r->turn) == turn && lane < r->lanes) work(r, lane);
        atomic_fetch_sub_explicit(&r->inside, 1, memory_order_release);
    }
}

static void *wait_for(void *mutex) {
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    return NULL;
}

/* How many of `wanted` threads, the caller among them, the system lets this process have at once.
 * pthreadpool does not notice a thread that could not be started and would wait for it forever. */
static size_t startable(int wanted) {
    pthread_t threads[MAX_THREADS];
    pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    int started = 0;
    pthread_mutex_lock(&hold);
    while (started < wanted - 1 && pthread_create(&threads[started], NULL, wait_for, &hold) == 0)
        started++;
    pthread_mutex_unlock(&hold);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    return (size_t)started + 1;
}

/* As evenly as possible. */
static void deal_out(Region *r, int64_t tasks) {
    int64_t first = 0, lanes = (int64_t)r->lanes;
    for (int64_t i = 0; i < lanes; i++) {
        Share *s = &r->shares[i];
        s->end = first + tasks / lanes + (i < tasks % lanes);
        atomic_store_explicit(&s->next, first, memory_order_release);
        first = s->end;
    }
}

static void run_region(Region *r, int64_t tasks, int64_t threads, TnTaskFn *fn, void *user) {
    const uint64_t turn = atomic_load_explicit(&r->turn, memory_order_relaxed) + 1;
    r->lanes = (size_t)(tasks < threads ? tasks : threads);
    r->fn = fn;
    r->user = user;
    deal_out(r, tasks);
    atomic_store_explicit(&r->turn, turn, memory_order_release);
    work(r, 0);
    atomic_store(&r->turn, turn + 1);
    for (unsigned spins = 0; atomic_load(&r->inside); spins++) pause_after(spins);
}

static void take_part(void *pool, size_t lane) {
    TnPool *p = pool;
    if (lane > 0) {
        stand_by(&p->region, lane);
        return;
    }
    p->holder = who_am_i();
    p->body(p->user);
    p->holder = NULL;
    p->region.turn = OVER;
}

static bool is_alone(const TnPool *p) {
    return !p || p->threads == 1 || !is_owner(p);
}

static void enter(TnPool *p, TnBodyFn *body, void *user, bool last) {
    queue_enter(&p->queue);
    if (!p->workers) p->workers = pthreadpool_create(startable(p->threads));
    p->body = body;
    p->user = user;
    if (p->workers) {
        p->region.turn = BEGIN;
        pthreadpool_parallelize_1d(p->workers, take_part, p,
                                   pthreadpool_get_threads_count(p->workers),
                                   last ? PTHREADPOOL_FLAG_YIELD_WORKERS : 0);
    } else {
        take_part(p, 0);
    }
    queue_leave(&p->queue);
}

void tn_pool_enter(TnPool *p, TnBodyFn *body, void *user) {
    if (is_alone(p) || p->holder == who_am_i())
        body(user);
    else
        enter(p, body, user, true);
}

/* One region. */
typedef struct Single {
    TnPool *pool;
    int64_t tasks;
    TnTaskFn *fn;
    void *user;
} Single;

static void run_single(void *user) {
    const Single *s = user;
    tn_pool_run(s->pool, s->tasks, s->fn, s->user, false);
}

void tn_pool_run(TnPool *p, int64_t tasks, TnTaskFn *fn, void *user, bool last) {
    const bool together = tasks > 1 && !is_alone(p);
    if (together && p->holder != who_am_i()) {
        enter(p, run_single, &(Single){p, tasks, fn, user}, last);
    } else if (together && p->region.turn != OVER) {
        run_region(&p->region, tasks, p->threads, fn, user);
        if (last) p->region.turn = OVER;
    } else {
        for (int64_t task = 0; task < tasks; task++) fn(user, task, 0);
    }
}
