/* A pool of threads that run one parallel region at a time (over pthreadpool).
 *
 * A region has `tasks` independent tasks. Each participating lane has a share of them side by side,
 * so that what one task leaves in its caches, or fetches ahead, serves the next. A lane that is
 * through with its own takes tasks of the others': a stalled thread delays only its own task. Which
 * lane runs a task never changes a result. */
#ifndef TENON_RUNTIME_BASE_THREADS_H
#define TENON_RUNTIME_BASE_THREADS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct TnPool TnPool;
typedef void TnTaskFn(void *user, int64_t task, int lane);
typedef void TnBodyFn(void *user);

/* threads = 0 means tn_cpu_count(). Starts no thread before the first region that needs one. NULL
 * when out of memory. */
TnPool *tn_pool_new(int threads);
void tn_pool_free(TnPool *p);
int tn_pool_threads(const TnPool *p);
/* Runs body(user) on the caller while the pool's threads stand by for the regions that it runs;
 * then they block. One caller is in at a time, others wait in the order in which they came; body
 * may enter again. p == NULL, and in a child process after fork(), where the pool's threads do not
 * exist: everything runs on the caller. */
void tn_pool_enter(TnPool *p, TnBodyFn *body, void *user);
/* Runs fn(user, 0..tasks-1) and returns when all are done. From a body: by the threads that stand
 * by; `last` lets them go, what follows runs on the caller. From elsewhere: enters for this region;
 * `last` tells the threads to block instead of spin afterwards. */
void tn_pool_run(TnPool *p, int64_t tasks, TnTaskFn *fn, void *user, bool last);

#endif
