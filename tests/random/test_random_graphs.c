/* Differential test: random graphs, evaluated by the reference kernels as they are, by the
 * reference kernels after all passes, and as a compiled plan on every instruction set.
 *
 *     test_random_graphs FIRST COUNT     the graphs of the seeds FIRST .. FIRST + COUNT - 1
 *     test_random_graphs SEED            one graph, printed before and after the passes */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "frontend/frontend.h"
#include "runtime/tenon.h"
#include "tests/random/random_graph.h"

enum { MAX_LENGTH = 6, MAX_OUTPUTS = 3 };

typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    uint64_t seed;
    bool verbose;
    Module *m;
    Graph *g;
    int64_t lengths[64]; /* of symbols, by number */
    const Tensor **inputs;
    Tensor wanted[MAX_OUTPUTS];
    tenon_plan *plan;
    tenon_session *session;
} Trial;

static void build(Graph *g, void *user) {
    random_graph(g, *(uint64_t *)user);
}

/* --- inputs --- */

/* Multiples of 1/8 between -2 and 2: their sums and products are exact for a while. */
static void fill(Rng *r, Tensor *x) {
    int64_t n = tensor_count(x);
    for (int64_t i = 0; i < n; i++) {
        if (tn_is_float(x->dtype))
            ir_store_f64(x->dtype, x->data, i, (rng_below(r, 33) - 16) / 8.0);
        else
            ir_store_i64(x->dtype, x->data, i, rng_below(r, x->dtype == TN_BOOL ? 2 : 3));
    }
}

static void choose_lengths(Trial *t, Rng *r) {
    for (int i = 0; i < ex_symbol_count(t->m->ex) && i < 64; i++) {
        const Symbol *s = ex_symbol_at(t->m->ex, i);
        int64_t n = rng_below(r, 30) == 0 ? 0 : 1 + rng_below(r, MAX_LENGTH);
        t->lengths[i] = n < s->min ? s->min : n > s->max ? s->max : n;
    }
}

static bool make_inputs(Trial *t, Rng *r) {
    t->inputs = ARENA_ARRAY(&t->cx.arena, const Tensor *, (size_t)t->g->input_count + 1);
    for (int i = 0; i < t->g->input_count; i++) {
        const Type *type = &t->g->inputs[i]->type;
        Tensor *x = ARENA_NEW(&t->cx.arena, Tensor);
        *x = (Tensor){.dtype = type->dtype, .rank = type->rank};
        int64_t n = 1;
        for (int k = 0; k < type->rank; k++) {
            if (!ex_eval(t->m->ex, type->dims[k], t->lengths, &x->dims[k]) || x->dims[k] < 0)
                return false;
            n *= x->dims[k];
        }
        x->bytes = (size_t)n * tn_dtype_size(type->dtype);
        x->data = (void *)(((uintptr_t)arena_alloc(&t->cx.arena, x->bytes + 64) + 63) / 64 * 64);
        fill(r, x);
        t->inputs[i] = x;
    }
    return true;
}

/* --- comparing --- */

static bool uses(const Graph *g, TnDType type) {
    for (const Node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]->type.dtype == type) return true;
    for (int i = 0; i < g->input_count; i++)
        if (g->inputs[i]->type.dtype == type) return true;
    return false;
}

static double tolerance(const Graph *g) {
    return uses(g, TN_BF16) ? 0.1 : uses(g, TN_F16) ? 0.02 : 2e-4;
}

static void compare(Trial *t, const char *how, int output, const Tensor *got, double limit) {
    const Tensor *want = &t->wanted[output];
    if (got->dtype != want->dtype || got->rank != want->rank || got->bytes != want->bytes ||
        memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims) != 0)
        tn_fail(&t->cx, TN_E_MODEL, "%s: output %d has another type or shape", how, output);
    int64_t n = tensor_count(want);
    double largest = 1;
    for (int64_t i = 0; i < n; i++) {
        double b = ir_element_f64(want->dtype, want->data, i);
        if (isfinite(b)) largest = fmax(largest, fabs(b));
    }
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64(got->dtype, got->data, i),
               b = ir_element_f64(want->dtype, want->data, i);
        bool same = a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= limit * largest;
        if (!same)
            tn_fail(&t->cx, TN_E_MODEL, "%s: element %lld of output %d is %.9g, wanted %.9g", how,
                    (long long)i, output, a, b);
    }
}

/* --- the ways of computing it --- */

static void run_passes(Trial *t, double limit) {
    Tensor got[MAX_OUTPUTS];
    Report r;
    report_init(&r, &t->cx);
    passes_run(t->m, &r, NULL);
    if (t->verbose) printf("%s\n", ir_print(t->m));
    const char *broken = ir_verify_canonical(t->g);
    if (broken) tn_fail(&t->cx, TN_E_MODEL, "after the passes: %s", broken);
    ir_eval(t->g, t->inputs, got, &t->cx.arena, NULL, NULL);
    for (int i = 0; i < t->g->output_count; i++) compare(t, "after the passes", i, &got[i], limit);
}

static void stop(void *trial) {
    Trial *t = trial;
    tenon_session_destroy(t->session);
    tenon_plan_close(t->plan);
    t->session = NULL;
    t->plan = NULL;
}

static void check(Trial *t, const char *how, tenon_status status, const tenon_error *err) {
    if (status) tn_fail(&t->cx, TN_E_MODEL, "%s: %s", how, err->text);
}

static void run_plan(Trial *t, const void *bytes, size_t size, tenon_isa isa, const char *how,
                     double limit) {
    tenon_plan_options o = {.struct_size = sizeof o, .isa = isa};
    tenon_error err;
    tenon_status opened = tenon_plan_open_memory(bytes, size, &o, &t->plan, &err);
    if (opened == TENON_E_ARGUMENT) return; /* not on this machine */
    check(t, how, opened, &err);
    check(t, how, tenon_session_create(t->plan, NULL, &t->session, &err), &err);
    for (int i = 0; i < t->g->input_count; i++) {
        const Tensor *in = t->inputs[i];
        tenon_tensor x = {.dtype = (tenon_dtype)in->dtype, .rank = in->rank, .data = in->data};
        memcpy(x.dims, in->dims, sizeof x.dims);
        check(t, how, tenon_session_bind(t->session, t->g->inputs[i]->name, &x, &err), &err);
    }
    check(t, how, tenon_session_run(t->session, &err), &err);
    for (int i = 0; i < t->g->output_count; i++) {
        tenon_tensor y;
        check(t, how, tenon_session_tensor(t->session, t->g->output_names[i], &y, &err), &err);
        Tensor got = {.dtype = (TnDType)y.dtype, .rank = y.rank, .data = y.data, .bytes = y.bytes};
        memcpy(got.dims, y.dims, sizeof got.dims);
        compare(t, how, i, &got, limit);
    }
    stop(t);
}

static void run_compiled(Trial *t, double limit) {
    Module *m = ir_module_new(&t->cx); /* the compiler runs the passes itself */
    frontend_build(m, "main", build, &t->seed);
    Report r;
    report_init(&r, &t->cx);
    size_t size;
    const void *bytes = plan_write_memory(compile_module(m, &r, false), &size);
    tn_defer(&t->cx, stop, t);
    run_plan(t, bytes, size, TENON_ISA_SCALAR, "scalar", limit);
    run_plan(t, bytes, size, TENON_ISA_AVX2, "avx2", limit);
    run_plan(t, bytes, size, TENON_ISA_AVX512, "avx512", limit);
}

/* --- one graph --- */

typedef struct Totals {
    int right, wrong, skipped;
} Totals;

/* Lengths for which the graph has values; false if none were found. */
static bool evaluate(Trial *t) {
    jmp_buf *outer = t->cx.on_fail, refused;
    static int attempt; /* survives the jump */
    Rng r = {t->seed};
    for (attempt = 0; attempt < 8; attempt++) {
        int depth = t->cx.depth;
        choose_lengths(t, &r);
        if (!make_inputs(t, &r)) continue;
        t->cx.on_fail = &refused;
        if (setjmp(refused) == 0) {
            ir_eval(t->g, t->inputs, t->wanted, &t->cx.arena, NULL, NULL);
            t->cx.on_fail = outer;
            return true;
        }
        t->cx.on_fail = outer;
        t->cx.depth = depth;
    }
    return false;
}

static void try_graph(uint64_t seed, bool verbose, Totals *total) {
    Trial *t = calloc(1, sizeof *t);
    if (!t) return;
    cx_init(&t->cx, tn_default_alloc());
    t->cx.on_fail = &t->failed;
    t->seed = seed;
    t->verbose = verbose;
    volatile bool built = false;
    if (setjmp(t->failed) == 0) {
        t->m = ir_module_new(&t->cx);
        t->g = frontend_build(t->m, "main", build, &t->seed);
        if (verbose) printf("%s\n", ir_print(t->m));
        built = true;
        if (evaluate(t)) {
            double limit = tolerance(t->g);
            run_passes(t, limit);
            run_compiled(t, limit);
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
        printf("no random graph has the operator '%s'\n", ir_op_info((OpKind)op)->name);
        forgotten++;
    }
    return forgotten;
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    Totals total = {0};
    for (uint64_t i = 0; i < count; i++) try_graph(first + i, argc == 2, &total);
    if (argc != 2) count_forgotten();
    printf("%d graphs right, %d wrong, %d without valid lengths\n", total.right, total.wrong,
           total.skipped);
    bool enough = argc == 2 || total.right * 2 > total.skipped;
    return total.wrong || !enough;
}
