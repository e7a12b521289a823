/* One case: rounds of the kernel right after looks at the machine.
 *
 * A round is short, so that a look is of the same moment: about a millisecond each, the best of
 * three tries, which have as many runs as take as long as a look's. Rounds go on for some time if
 * nearly all of them are disturbed, in the hope that it ends. Kernels are called as the interpreter
 * calls them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bench/kernels/bench.h"

static const double TRY = 3e-4, ROUND = 2e-3; /* a round of long runs ends after */
enum {
    TRIES = 3,
    LEAST_ROUNDS = 3,
    WANTED_CALM = 12,
    MIN_PARALLEL_NS = 5000 /* prepare.c */,
    LINE = 64
};

static double read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

/* What one thread takes is the time that it has a processor: a kernel of 50 ms never has one to
 * itself on a busy machine. Several threads wait for each other. */
static double kernel_now(const Bench *b) {
    return read_clock(b->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
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
    tn_scratch_begin(&r->call, r->scratch, r->stride, r->pool ? tn_pool_threads(r->pool) : 1);
    if (r->pool)
        tn_pool_run(r->pool, r->call.tasks, run_task, r, false);
    else
        for (int64_t task = 0; task < r->call.tasks; task++)
            r->call.run(&r->call, task, r->scratch);
}

static void look(Bench *b, const Case *c, Round *now) {
    size_t span = c->span ? c->span : b->probe.bytes;
    now->clock = roofline_clock();
    now->flops = roofline_flops(&b->probe, c->type);
    if (c->bytes > 0)
        now->bytes = c->copies ? roofline_copy(&b->probe, span) : roofline_read(&b->probe, span);
}

static bool is_in_memory(const Bench *b, const Case *c) {
    return !c->span || c->span >= b->probe.bytes / 4;
}

static void remember(Bench *b, const Case *c, const Round *now) {
    b->flops[c->type] = fmax(b->flops[c->type], now->flops);
    if (is_in_memory(b, c)) b->memory[c->copies] = fmax(b->memory[c->copies], now->bytes);
}

/* Looks that were disturbed throughout would make a row look good: the machine can do no less than
 * what other rows saw, and caches no less than memory. */
static void correct(const Bench *b, const Case *c, Measured *m) {
    if (m->calm >= LEAST_CALM) return;
    m->flops = fmax(m->flops, b->flops[c->type]);
    if (c->bytes > 0) m->bytes = fmax(m->bytes, b->memory[c->copies]);
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

static double time_batch(const Bench *b, Region *r, const Case *c, Places *places, int64_t batch) {
    double start = kernel_now(b);
    for (int64_t i = 0; i < batch; i++) {
        move_on(c, r->call.operands, places);
        run_region(r);
    }
    return (kernel_now(b) - start) / (double)batch;
}

/* Looks take from the caches what a model would just have written or read: what stays in its place
 * is read, unless memory is what the case is about. */
static void bring_back(const Bench *b, const Case *c) {
    if (c->bytes > 0 && !c->cold && is_in_memory(b, c)) return;
    for (int i = 0; i < c->inputs + c->outputs; i++) {
        const volatile char *line = c->operands[i].data;
        if (!line || c->cold >> i & 1) continue;
        for (double left = bench_bytes(&c->operands[i]); left > 0; left -= LINE, line += LINE)
            (void)*line;
    }
}

/* The best of some tries; the first of short runs only brings back what a look took from caches. */
static double time_round(const Bench *b, Region *r, const Case *c, Places *places, double once) {
    int64_t batch = (int64_t)(TRY / once) + 1;
    if (once < TRY)
        time_batch(b, r, c, places, 1);
    else
        bring_back(b, c);
    double best = 1e9, start = bench_now();
    for (int i = 0; i < TRIES && (i == 0 || bench_now() - start < ROUND); i++)
        best = fmin(best, time_batch(b, r, c, places, batch));
    return best;
}

static double issue(Bench *b) {
    double rate = roofline_issue(&b->probe);
    b->issue = fmax(b->issue, rate);
    return rate;
}

/* A pass takes its share of the time, the last one more if need be. */
static bool goes_on(const Bench *b, const Rounds *rounds, int done, double share, double end) {
    if (done < LEAST_ROUNDS || bench_now() < end) return true;
    return b->pass == PASSES - 1 && bench_now() < end + share &&
           rounds_calm(rounds, b->issue) < WANTED_CALM;
}

static bool add_rounds(Bench *b, const Case *c, Region *r, Rounds *rounds) {
    Places places = {.count = c->cold ? WEIGHT_BYTES / c->cold_bytes : 0};
    for (int i = 0; i < c->inputs; i++) places.first[i] = c->operands[i].data;
    double share = b->seconds / PASSES, end = bench_now() + share;
    double once = time_batch(b, r, c, &places, 1), before = issue(b);
    for (int done = 0; goes_on(b, rounds, done, share, end); done++) {
        Round now = {0};
        look(b, c, &now);
        remember(b, c, &now);
        now.seconds = once = time_round(b, r, c, &places, once);
        double after = issue(b);
        now.issue = fmin(before, after);
        before = after;
        if (!rounds_add(rounds, &now)) return false;
    }
    return true;
}

void bench_case(Bench *b, Case *c) {
    Region r;
    if (!bench_wants(b, c->name) || !region_open(&r, b, c)) return;
    Rounds *rounds = rounds_of_next(b);
    if (rounds && add_rounds(b, c, &r, rounds) && b->pass == PASSES - 1) {
        Measured m = rounds_measured(rounds, b->issue);
        correct(b, c, &m);
        bench_print(b, c, &m);
    }
    free(r.scratch);
}

static const double REGION = 5e-6; /* of each of its tasks */

static void run_waiting(void *user, int64_t task, int lane) {
    (void)user, (void)task, (void)lane;
    for (double end = bench_now() + REGION; bench_now() < end;) continue;
}

void bench_region(Bench *b) {
    enum { REGIONS = 100 };
    Case c = {
        .name = "region, beyond its tasks", .figure = FIGURE_MICROSECONDS, .target = {0, 0.6}};
    if (!b->pool || !bench_wants(b, c.name)) return;
    Measured m = {.seconds = 1e9};
    for (double end = bench_now() + b->seconds; bench_now() < end;) {
        double start = bench_now();
        for (int i = 0; i < REGIONS; i++)
            tn_pool_run(b->pool, b->threads, run_waiting, NULL, false);
        m.seconds = fmin(m.seconds, (bench_now() - start) / REGIONS - REGION);
    }
    m.least = m.seconds;
    bench_print(b, &c, &m);
}
