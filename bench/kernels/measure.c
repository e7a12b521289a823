/* One case: rounds of the kernel between looks at the machine.
 *
 * A round is 6 ms of runs; short ones are timed several at once, so that reading the clock does
 * not count. Memory is looked at as long as the kernel runs: what drifts most has to have as many
 * chances of a good moment. While something else takes the processors, rounds go on for some time
 * in the hope that it ends. Kernels are called as the interpreter calls them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bench/kernels/bench.h"

static const double ROUND = 0.006, BATCH = 1e-3; /* a batch takes as long as a look */
enum { LEAST_ROUNDS = 4, MIN_PARALLEL_NS = 5000 /* as in runtime/prepare.c */ };

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct Region {
    TnCall call;
    TnFault fault;
    TnPool *pool;
    char *scratch;
    size_t stride;
} Region;

static void run_task(void *user, int64_t task, int lane) {
    Region *r = user;
    r->call.run(&r->call, task, r->scratch + (size_t)lane * r->stride);
}

static bool region_open(Region *r, const Bench *b, Case *c) {
    const TnKernel *kernel = tn_kernel(b->isa, c->opcode);
    if (!kernel) return false;
    *r = (Region){.call = {.run = kernel->run,
                           .params = c->params,
                           .operands = c->operands,
                           .inputs = c->inputs,
                           .outputs = c->outputs,
                           .scalars = c->scalars,
                           .scalar_count = c->scalar_count,
                           .opcode = c->opcode,
                           .isa = b->isa}};
    r->call.fault = &r->fault;
    kernel->plan(&r->call);
    r->pool = r->call.tasks > 1 && r->call.work >= MIN_PARALLEL_NS ? b->pool : NULL;
    r->stride = (r->call.scratch_bytes + 63) / 64 * 64;
    r->scratch = r->stride ? aligned_alloc(64, r->stride * (size_t)b->threads) : NULL;
    return !r->stride || r->scratch;
}

static void run_region(Region *r) {
    if (r->pool)
        tn_pool_run(r->pool, r->call.tasks, run_task, r, false);
    else
        for (int64_t task = 0; task < r->call.tasks; task++)
            r->call.run(&r->call, task, r->scratch);
}

static void better(double *best, double seen) {
    *best = fmax(*best, seen);
}

static void look(Bench *b, const Case *c, Measured *m) {
    size_t span = c->span ? c->span : b->probe.bytes;
    if (c->figure == FIGURE_MICROSECONDS) return;
    better(&m->clock, roofline_clock());
    better(&m->flops, roofline_flops(&b->probe, c->type));
    for (double start = bench_now(); c->bytes && bench_now() - start < ROUND;)
        better(&m->bytes,
               c->copies ? roofline_copy(&b->probe, span) : roofline_read(&b->probe, span));
}

/* The places that cold operands have in turn. */
typedef struct Places {
    void *first[MAX_CASE_OPERANDS];
    size_t count, next;
} Places;

static void move_on(const Case *c, TnTensor *operands, Places *p) {
    if (!p->count) return;
    for (int i = 0; i < c->inputs; i++)
        if (c->cold >> i & 1) operands[i].data = (char *)p->first[i] + p->next * c->cold_bytes;
    p->next = p->next + 1 < p->count ? p->next + 1 : 0;
}

/* For as long as a case takes undisturbed, several times over. */
static bool is_disturbed(const Bench *b, const Case *c, const Measured *m, double end) {
    return c->flops > 0 && m->flops < 0.9 * b->peak[c->type] &&
           bench_now() < end + 4 * b->seconds + 0.1;
}

void bench_case(Bench *b, Case *c) {
    Region r;
    if (!bench_wants(b, c->name) || !region_open(&r, b, c)) return;
    Places places = {.count = c->cold ? WEIGHT_BYTES / c->cold_bytes : 0};
    for (int i = 0; i < c->inputs; i++) places.first[i] = c->operands[i].data;
    Measured m = {.seconds = 1e9};
    double end = bench_now() + b->seconds, once = 1e-3;
    for (int round = 0; round < LEAST_ROUNDS || bench_now() < end || is_disturbed(b, c, &m, end);
         round++) {
        look(b, c, &m);
        int64_t batch = (int64_t)(BATCH / once) + 1;
        for (double start = bench_now(), t = start; t - start < ROUND;) {
            for (int64_t i = 0; i < batch; i++) {
                move_on(c, r.call.operands, &places);
                run_region(&r);
            }
            double after = bench_now();
            once = (after - t) / (double)batch;
            if (round) m.seconds = fmin(m.seconds, once);
            t = after;
        }
    }
    free(r.scratch);
    b->peak[c->type] = fmax(m.flops, 0.98 * b->peak[c->type]); /* clocks sink, too */
    bench_print(b, c, &m);
}

static void run_nothing(void *user, int64_t task, int lane) {
    (void)user, (void)task, (void)lane;
}

void bench_region(Bench *b) {
    enum { REGIONS = 100 };
    Case c = {.name = "region of nothing", .figure = FIGURE_MICROSECONDS, .target = {0, 0.6}};
    if (!b->pool || !bench_wants(b, c.name)) return;
    Measured m = {.seconds = 1e9};
    for (double end = bench_now() + b->seconds; bench_now() < end;) {
        double start = bench_now();
        for (int i = 0; i < REGIONS; i++)
            tn_pool_run(b->pool, b->threads, run_nothing, NULL, false);
        m.seconds = fmin(m.seconds, (bench_now() - start) / REGIONS);
    }
    bench_print(b, &c, &m);
}
