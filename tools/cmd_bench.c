/* tenon bench: how long a plan takes, and where.
 *
 * Every figure is of whole runs after the warm-up: minimum, percentiles, mean. With --profile the
 * runs are traced (profile.c), which costs a few clock readings per instruction. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ir/text.h"
#include "runtime/base/cpu.h"
#include "tools/profile.h"
#include "tools/tool.h"

typedef struct Bench {
    const char *plan, *function, *json, *trace;
    TensorSource source;
    int threads, runs, warmup;
    bool profile;
} Bench;

static void parse(Tool *t, Bench *b) {
    const char *name, *value;
    while (tool_next(t, &name, &value)) {
        if (!name && !b->plan)
            b->plan = value;
        else if (!name)
            tool_usage(t, "one plan is wanted");
        else if (!strcmp(name, "--inputs"))
            b->source.file = st_open(&t->cx, tool_value(t, name, value));
        else if (!strcmp(name, "--dim"))
            tool_add_dim(t, &b->source, tool_value(t, name, value));
        else if (!strcmp(name, "--function"))
            b->function = tool_value(t, name, value);
        else if (!strcmp(name, "--threads"))
            b->threads = (int)tool_int(t, name, tool_value(t, name, value), 0, 1024);
        else if (!strcmp(name, "--runs"))
            b->runs = (int)tool_int(t, name, tool_value(t, name, value), 1, 1000000);
        else if (!strcmp(name, "--warmup"))
            b->warmup = (int)tool_int(t, name, tool_value(t, name, value), 0, 1000000);
        else if (!strcmp(name, "--profile"))
            b->profile = true;
        else if (!strcmp(name, "--trace"))
            b->trace = tool_value(t, name, value);
        else if (!strcmp(name, "--json"))
            b->json = tool_value(t, name, value);
        else
            tool_usage(t, "unknown option '%s'", name);
    }
    if (!b->plan) tool_usage(t, "a plan is wanted");
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *sorted, int n, double p) {
    return sorted[(int)(p * (n - 1) + 0.5)];
}

static void run_once(Tool *t, const Bench *b, const PlanRun *r) {
    tenon_error err;
    if (tenon_session_run(r->session, &err)) tool_fail(t, b->plan, &err);
}

/* Every run finds states as the first one did. */
static void rewind_states(Tool *t, const Bench *b, const PlanRun *r, int64_t length) {
    tenon_error err;
    if (tenon_session_truncate(r->session, length, &err)) tool_fail(t, b->plan, &err);
}

static double *measure(Tool *t, const Bench *b, const PlanRun *r, Profile *p) {
    double *ms = ARENA_ARRAY(&t->cx.arena, double, (size_t)b->runs);
    int64_t length = tool_state_length(t, r);
    for (int i = 0; i < b->warmup; i++) {
        run_once(t, b, r);
        rewind_states(t, b, r, length);
    }
    if (p) profile_start(t, p, r); /* runs once */
    rewind_states(t, b, r, length);
    for (int i = 0; i < b->runs; i++) {
        if (p) profile_begin(p);
        double start = tool_now_ms();
        run_once(t, b, r);
        ms[i] = tool_now_ms() - start;
        if (p) profile_end(p);
        rewind_states(t, b, r, length);
    }
    if (p) profile_stop(p);
    qsort(ms, (size_t)b->runs, sizeof *ms, by_value);
    return ms;
}

static double mean(const double *ms, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += ms[i];
    return sum / n;
}

static const char *json(Tool *t, const Bench *b, const PlanRun *r, const double *ms,
                        const tenon_memory *m, const Profile *p) {
    TextBuffer x = {.arena = &t->cx.arena};
    int n = b->runs;
    text_format(
        &x, "{\"latency_ms\":{\"min\":%.6f,\"p50\":%.6f,\"p90\":%.6f,\"p99\":%.6f,\"mean\":%.6f},",
        ms[0], percentile(ms, n, 0.5), percentile(ms, n, 0.9), percentile(ms, n, 0.99),
        mean(ms, n));
    text_format(&x,
                "\"runs\":%d,\"threads\":%d,\"isa\":\"%s\",\"arena_bytes\":%" PRIu64
                ",\"live_bytes\":%" PRIu64 ",\"scratch_bytes\":%" PRIu64
                ",\"weight_bytes\":%" PRIu64 ",\"load_ms\":%.6f",
                n, b->threads, tool_isa_name(t), m->arena, m->live, m->scratch, m->weights,
                r->load_ms);
    if (p) profile_json(&x, p);
    text_add(&x, p ? "}\n" : ",\"profile\":[]}\n");
    return text_end(&x);
}

int cmd_bench(Tool *t) {
    Bench b = {.runs = 20, .warmup = 3};
    parse(t, &b);
    if (!b.threads) b.threads = tn_cpu_count();
    PlanRun r = tool_open(t, b.plan, b.function, b.threads);
    Profile profile, *p = b.profile || b.trace ? &profile : NULL;
    tenon_memory m = {.struct_size = sizeof m};
    tenon_error err;
    tool_bind(t, &r, &b.source, b.function, true);
    double *ms = measure(t, &b, &r, p);
    if (tenon_session_memory(r.session, &m, &err)) tool_fail(t, b.plan, &err);
    if (b.trace) tool_write(t, b.trace, profile_trace(p));
    if (b.json) tool_write(t, b.json, json(t, &b, &r, ms, &m, p));
    if (b.json && !strcmp(b.json, "-")) return EXIT_DONE;
    tool_printf(t, "latency  min %.3f  p50 %.3f  p90 %.3f  p99 %.3f  mean %.3f ms over %d runs\n",
                ms[0], percentile(ms, b.runs, 0.5), percentile(ms, b.runs, 0.9),
                percentile(ms, b.runs, 0.99), mean(ms, b.runs), b.runs);
    tool_printf(t,
                "threads %d, %s; opened in %.2f ms; weights %.1f MiB, arena %.1f KiB (largest live "
                "set %.1f KiB, scratch %.1f KiB)\n",
                b.threads, tool_isa_name(t), r.load_ms, (double)m.weights / 1048576,
                (double)(m.arena - m.scratch) / 1024, (double)m.live / 1024,
                (double)m.scratch / 1024);
    if (b.profile) profile_print(t, p);
    return EXIT_DONE;
}
