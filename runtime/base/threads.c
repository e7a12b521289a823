/* The pool of threads.h over pthreadpool.
 *
 * pthreadpool starts its threads when it is created, so it is created at the first region with more
 * than one task. It is asked for one item per lane; a lane then takes tasks from its share, then
 * from the others'. The counters are acquired and released by every lane, which orders the caller's
 * writes before the tasks and the tasks' writes before the return. */
#include "runtime/base/threads.h"

#include <pthread.h>
#include <pthreadpool.h>
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

typedef struct Region {
    Share *shares; /* [lanes] */
    size_t lanes;
    _Atomic(unsigned) finished; /* lanes that are through */
    TnTaskFn *fn;
    void *user;
} Region;

struct TnPool {
    int threads;
    pid_t owner;                 /* the process whose threads these are */
    unsigned char *mark;         /* 1 in it, 0 in its children; NULL if the kernel cannot do that */
    pthread_mutex_t lock;        /* held during a region */
    struct pthreadpool *workers; /* NULL before the first region */
    Region region;               /* the present one */
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

TnPool *tn_pool_new(int threads) {
    TnPool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    if (threads <= 0) threads = tn_cpu_count();
    p->threads = threads < MAX_THREADS ? threads : MAX_THREADS;
    p->owner = getpid();
    p->region.shares = aligned_alloc(_Alignof(Share), (size_t)p->threads * sizeof(Share));
    if (!p->region.shares || pthread_mutex_init(&p->lock, NULL) != 0) {
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
        pthread_mutex_destroy(&p->lock);
    }
    if (p->mark) munmap(p->mark, 1);
    free(p->region.shares);
    free(p);
}

int tn_pool_threads(const TnPool *p) {
    return p ? p->threads : 1;
}

static void run_lane(void *context, size_t lane) {
    Region *r = context;
    for (size_t i = 0; i < r->lanes; i++) {
        Share *s = &r->shares[(lane + i) % r->lanes];
        for (;;) {
            int64_t task = atomic_fetch_add_explicit(&s->next, 1, memory_order_acq_rel);
            if (task >= s->end) break;
            r->fn(r->user, task, (int)lane);
        }
    }
    atomic_fetch_add_explicit(&r->finished, 1, memory_order_release);
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

static void run_region(TnPool *p, int64_t tasks, TnTaskFn *fn, void *user, bool last) {
    Region *r = &p->region;
    r->lanes = tasks < p->threads ? (size_t)tasks : (size_t)p->threads;
    r->fn = fn;
    r->user = user;
    deal_out(r, tasks);
    pthreadpool_parallelize_1d(p->workers, run_lane, r, r->lanes,
                               last ? PTHREADPOOL_FLAG_YIELD_WORKERS : 0);
    (void)atomic_load_explicit(&r->finished, memory_order_acquire);
}

void tn_pool_run(TnPool *p, int64_t tasks, TnTaskFn *fn, void *user, bool last) {
    bool alone = !p || p->threads == 1 || tasks <= 1 || !is_owner(p);
    if (!alone) {
        pthread_mutex_lock(&p->lock);
        if (!p->workers) p->workers = pthreadpool_create(startable(p->threads));
        alone = !p->workers;
        if (!alone) run_region(p, tasks, fn, user, last);
        pthread_mutex_unlock(&p->lock);
    }
    if (alone)
        for (int64_t task = 0; task < tasks; task++) fn(user, task, 0);
}
