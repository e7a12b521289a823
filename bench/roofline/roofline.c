/* The looks of roofline.h: a region on the pool, and the time it takes. */
#include "bench/roofline/roofline.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include "bench/roofline/peak.h"

enum { PEAK_REPEATS = 2, TRIES = 3, CHAIN = 100000, ISSUES = 40000 };
static const size_t TASK_BYTES = 1u << 20, LOOK_BYTES = 8u << 20, LINE = 64;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef void ReadFn(const char *from, size_t bytes, bool ahead);

/* A region with as many tasks as threads: task i is the i-th thread's share. */
typedef struct Look {
    PeakFn *peak;
    ReadFn *read;
    double flops;    /* of one task */
    char *from, *to; /* `to` NULL: read only */
    size_t part;     /* bytes of one task at a time */
    size_t step;     /* from one task's to the next one's */
    int64_t repeats; /* of a task over its part */
} Look;

static void run_peak(void *user, int64_t task, int lane) {
    Look *l = user;
    (void)lane;
    double flops = 0;
    for (int i = 0; i < PEAK_REPEATS; i++) flops += l->peak();
    if (task == 0) l->flops = flops;
}

double roofline_flops(const RooflineProbe *p, RooflineType type) {
    Look l = {.peak = peak_fn(p->isa, type)};
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = now();
        tn_pool_run(p->pool, p->threads, run_peak, &l, false);
        best = fmax(best, l.flops * p->threads / (now() - start));
    }
    return best;
}

/* Sums whole cache lines, so that the loads are what takes time. From memory they are asked for
 * ahead of time; in a cache, that would only take the place of loads. */
typedef uint64_t Line __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) void read_lines(const char *from, size_t bytes,
                                                             bool ahead) {
    enum { STREAMS = 8, DISTANCE = 1024 };
    Line sum[STREAMS] = {{0}};
    size_t part = bytes / STREAMS / sizeof(Line);
    const Line *at = (const Line *)(const void *)from;
    for (size_t i = 0; i < part; i++) {
#pragma GCC unroll 8
        for (size_t j = 0; j < STREAMS; j++) {
            if (ahead) __builtin_prefetch((const char *)(at + j * part + i) + DISTANCE);
            sum[j] += at[j * part + i];
        }
    }
    for (int j = 1; j < STREAMS; j++) sum[0] += sum[j];
    volatile uint64_t keep = sum[0][0];
    (void)keep;
}

#define READ(name)                                                 \
    static void name(const char *from, size_t bytes, bool ahead) { \
        if (ahead)                                                 \
            read_lines(from, bytes, true);                         \
        else                                                       \
            read_lines(from, bytes, false);                        \
    }

READ(read_plain)
#if defined(__x86_64__)
__attribute__((target("avx2"))) READ(read_avx2) __attribute__((target("avx512f"))) READ(read_avx512)
#endif

    static ReadFn *read_fn(TnIsa isa) {
#if defined(__x86_64__)
    if (isa >= TN_ISA_AVX512) return read_avx512;
    if (isa == TN_ISA_AVX2) return read_avx2;
#else
    (void)isa;
#endif
    return read_plain;
}

static void run_memory(void *user, int64_t task, int lane) {
    const Look *l = user;
    (void)lane;
    size_t at = (size_t)task * l->step;
    for (int64_t i = 0; i < l->repeats; i++) {
        if (l->to)
            memcpy(l->to + at, l->from + at, l->part);
        else
            l->read(l->from + at, l->part, l->repeats == 1);
    }
}

static bool is_large(size_t span) {
    return span >= LOOK_BYTES;
}

/* Large spans: pieces in turn, which idle threads take. Small ones: each thread its own share,
 * several times over. */
static double look(RooflineProbe *p, Look *l, size_t span) {
    l->read = read_fn(p->isa);
    int64_t tasks = p->threads;
    l->repeats = 1;
    if (is_large(span)) {
        l->part = l->step = TASK_BYTES;
        tasks = (int64_t)(LOOK_BYTES / TASK_BYTES) * p->threads;
    } else {
        l->part = l->step = span / (size_t)p->threads / LINE * LINE;
        if (l->part < 8 * LINE) l->part = l->step = 8 * LINE;
        l->repeats = (int64_t)(LOOK_BYTES / l->part);
    }
    double bytes = (double)tasks * (double)l->repeats * (double)l->part;
    double start = now();
    tn_pool_run(p->pool, tasks, run_memory, l, false);
    return bytes / (now() - start);
}

/* Where a try begins: a large one behind the one before, as long as that leaves `room`. */
static char *next_place(RooflineProbe *p, size_t span, size_t room) {
    size_t bytes = LOOK_BYTES * (size_t)p->threads;
    if (!is_large(span) || p->at + bytes + room > p->bytes) p->at = 0;
    char *place = p->memory + p->at;
    if (is_large(span)) p->at += bytes;
    return place;
}

double roofline_read(RooflineProbe *p, size_t span) {
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        Look l = {.from = next_place(p, span, 0)};
        best = fmax(best, look(p, &l, span));
    }
    return best;
}

/* The distance is no multiple of a page: stores to where a load of the same place in a page is on
 * its way would wait for it. */
double roofline_copy(RooflineProbe *p, size_t span) {
    size_t distance = (is_large(span) ? p->bytes : span) / 2 / 4096 * 4096 + 8 * LINE;
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        Look l = {.from = next_place(p, span, distance)};
        l.to = l.from + distance;
        best = fmax(best, 2 * look(p, &l, is_large(span) ? span : span / 2));
    }
    return best;
}

/* Eight additions that wait for nothing but their own last one. */
static void run_issue(void *user, int64_t task, int lane) {
    uint64_t a = 0, b = 1, c = 2, d = 3, e = 4, f = 5, g = 6, h = 7;
    (void)user, (void)task, (void)lane;
    for (int i = 0; i < ISSUES; i++) {
        a++, b++, c++, d++, e++, f++, g++, h++;
        __asm__ volatile(""
                         : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h));
    }
}

double roofline_issue(const RooflineProbe *p) {
    double start = now();
    tn_pool_run(p->pool, p->threads, run_issue, NULL, false);
    return 8.0 * ISSUES * p->threads / (now() - start);
}

double roofline_clock(void) {
#if defined(__x86_64__)
    double best = 0;
    for (int try = 0; try < TRIES; try++) {
        uint64_t x = 1, y = 3;
        double start = now();
        for (int i = 0; i < CHAIN / 16; i++) {
#define FOUR "add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\t"
            __asm__ volatile(FOUR FOUR FOUR FOUR : "+r"(x) : "r"(y));
#undef FOUR
        }
        best = fmax(best, CHAIN / (now() - start));
    }
    return best;
#else
    return 0;
#endif
}
