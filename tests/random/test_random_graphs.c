/* Differential test: random graphs, evaluated by the reference kernels as they are, by the
 * reference kernels after all passes, and as a compiled plan on every instruction set, with one
 * thread and two, again with other lengths and again with the first.
 *
 *     test_random_graphs FIRST COUNT     the graphs of the seeds FIRST .. FIRST + COUNT - 1
 *     test_random_graphs SEED            one graph, printed before and after the passes */
#include <stdio.h>
#include <stdlib.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "frontend/frontend.h"
#include "tests/random/random_trial.h"

static void build(Graph *g, void *user) {
    random_graph(g, *(uint64_t *)user);
}

static bool uses(const Module *m, TnDType type) {
    for (const Graph *g = m->graphs; g; g = g->next) {
        for (const Node *n = g->first; n; n = n->next)
            for (int i = 0; i < n->output_count; i++)
                if (n->outputs[i]->type.dtype == type) return true;
        for (int i = 0; i < g->input_count; i++)
            if (g->inputs[i]->type.dtype == type) return true;
    }
    return false;
}

static double tolerance(const Module *m) {
    return uses(m, TN_BF16) ? 0.1 : uses(m, TN_F16) ? 0.02 : 2e-4;
}

static void run_passes(Trial *t) {
    Tensor got[RANDOM_OUTPUTS];
    Report r;
    report_init(&r, &t->cx);
    passes_run(t->m, &r, NULL);
    if (t->verbose) printf("%s\n", ir_print(t->m));
    const char *broken = ir_verify_canonical(t->g);
    if (broken) tn_fail(&t->cx, TN_E_MODEL, "after the passes: %s", broken);
    for (int s = 0; s < t->sample_count; s++) {
        ir_eval(t->g, t->samples[s].inputs, got, &t->cx.arena, NULL, NULL);
        for (int i = 0; i < t->g->output_count; i++)
            random_compare(t, "after the passes", &t->samples[s], i, &got[i]);
    }
}

static void run_compiled(Trial *t) {
    Module *m = ir_module_new(&t->cx); /* the compiler runs the passes itself */
    frontend_build(m, "main", build, &t->seed);
    Report r;
    report_init(&r, &t->cx);
    size_t size;
    const void *bytes = plan_write_memory(compile_module(m, &r, false), &size);
    random_run_plan(t, bytes, size);
}

/* The same graph in bf16: the plan against the reference kernels on the graph that the passes
 * leave, which says itself where it rounds. */
static void run_bf16(Trial *t) {
    Module *m[2];
    Graph *g[2];
    Report r;
    for (int i = 0; i < 2; i++) {
        m[i] = ir_module_new(&t->cx);
        m[i]->bf16 = true;
        g[i] = frontend_build(m[i], "main", build, &t->seed);
    }
    report_init(&r, &t->cx);
    passes_run(m[0], &r, NULL);
    if (t->verbose) printf("%s\n", ir_print(m[0]));
    const char *broken = ir_verify_canonical(g[0]);
    if (broken) tn_fail(&t->cx, TN_E_MODEL, "after the passes in bf16: %s", broken);
    for (int s = 0; s < t->sample_count; s++)
        ir_eval(g[0], t->samples[s].inputs, t->samples[s].wanted, &t->cx.arena, NULL, NULL);
    t->tolerance = 0.1;
    size_t size;
    const void *bytes = plan_write_memory(compile_module(m[1], &r, false), &size);
    random_run_plan(t, bytes, size);
}

/* --- one graph --- */

typedef struct Totals {
    int right, wrong, skipped;
} Totals;

static void try_graph(uint64_t seed, bool verbose, tenon_pool *pool, Totals *total) {
    Trial *t = calloc(1, sizeof *t);
    if (!t) return;
    cx_init(&t->cx, tn_default_alloc());
    t->cx.on_fail = &t->failed;
    t->seed = seed;
    t->verbose = verbose;
    t->pool = pool;
    volatile bool built = false;
    if (setjmp(t->failed) == 0) {
        t->m = ir_module_new(&t->cx);
        t->g = frontend_build(t->m, "main", build, &t->seed);
        if (verbose) printf("%s\n", ir_print(t->m));
        built = true;
        random_samples(t);
        if (t->sample_count) {
            t->tolerance = tolerance(t->m);
            run_passes(t);
            run_compiled(t);
            run_bf16(t);
            total->right++;
        } else {
            total->skipped++;
        }
    } else if (!built) { /* its lengths contradict each other */
        total->skipped++;
        if (verbose) printf("%s\n", t->cx.message);
    } else {
        total->wrong++;
        printf("FAIL seed %llu: %s\n", (unsigned long long)seed, t->cx.message);
        fflush(stdout);
    }
    cx_free(&t->cx);
    free(t);
}

/* Operators that no graph has and nobody excused. */
static int count_forgotten(void) {
    int forgotten = 0;
    for (int op = 0; op < OP_COUNT; op++) {
        const char *why_not;
        if (random_covers((OpKind)op, &why_not) || why_not) continue;
        printf("FAIL no random graph has the operator '%s': tests/random/random_graph.c\n",
               ir_op_info((OpKind)op)->name);
        forgotten++;
    }
    return forgotten;
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    Totals total = {0};
    tenon_pool *pool;
    tenon_error err;
    if (tenon_pool_create(2, &pool, &err)) return 1;
    for (uint64_t i = 0; i < count; i++) try_graph(first + i, argc == 2, pool, &total);
    tenon_pool_destroy(pool);
    int forgotten = count_forgotten();
    printf("%d graphs right, %d wrong, %d without valid lengths\n", total.right, total.wrong,
           total.skipped);
    bool enough = argc == 2 || total.right * 2 > total.skipped;
    return total.wrong || forgotten || !enough;
}
