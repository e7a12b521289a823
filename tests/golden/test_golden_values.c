/* Passes keep values: every module of tests/golden/passes is evaluated by the reference kernels on
 * random inputs before and after the steps of its RUN: line.
 *
 * Symbols get small distinct lengths that fit the requirements; constants that a text gives by hash
 * only are random here. Masks (bool and integer inputs) are zeros and ones.
 *
 * What bf16 rounds, after the pass bfloat, is held against the size of all elements together: a few
 * units of 2^-8, for sums that cancel are far from their own size. */
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/ir.h"
#include "ir/text.h"
#include "passes/pass.h"

/* What fused operators do not round on the way. */
static double tolerance(TnDType t) {
    return t == TN_F16 ? 4e-3 : t == TN_BF16 ? 3e-2 : 2e-5;
}

typedef struct Rng {
    uint64_t state;
} Rng;

static uint32_t next(Rng *r) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 33);
}

static double uniform(Rng *r) { /* -1 .. 1 */
    return next(r) / 1073741824.0 - 1;
}

/* --- inputs --- */

static void fill(Rng *r, TnDType t, void *data, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (tn_is_float(t))
            ir_store_f64(t, data, i, 2 * uniform(r));
        else
            ir_store_i64(t, data, i, next(r) % 3 != 0);
    }
}

/* Constants printed by hash were read as zeros. */
static void fill_constants(Module *m, Rng *r) {
    for (Constant *c = m->constants; c; c = c->next) {
        int64_t n = (int64_t)(c->bytes / tn_dtype_size(c->dtype));
        if (n > 16 && tn_is_float(c->dtype)) fill(r, c->dtype, (void *)(uintptr_t)c->data, n);
    }
}

/* The value of e if the symbols are 1, 2, 3, .. within their ranges, more in later rounds. */
static int64_t length_of(ExprCx *x, const Expr *e, int round) {
    int64_t symbols[64], v = 0;
    for (int i = 0; i < ex_symbol_count(x) && i < 64; i++) {
        const Symbol *s = ex_symbol_at(x, i);
        symbols[i] = i + round + 1;
        if (symbols[i] > s->max) symbols[i] = s->max;
        if (symbols[i] < s->min) symbols[i] = s->min;
    }
    return ex_eval(x, e, symbols, &v) ? v : 1;
}

static const Tensor **make_inputs(Graph *g, Rng *r, int round) {
    Arena *a = &g->module->cx->arena;
    const Tensor **in = ARENA_ARRAY(a, const Tensor *, (size_t)g->input_count + 1);
    for (int i = 0; i < g->input_count; i++) {
        const Type *t = &g->inputs[i]->type;
        Tensor *x = ARENA_NEW(a, Tensor);
        *x = (Tensor){.dtype = t->dtype, .rank = t->rank};
        int64_t n = 1;
        for (int k = 0; k < t->rank; k++)
            n *= x->dims[k] = length_of(g->module->ex, t->dims[k], round);
        x->bytes = (size_t)n * tn_dtype_size(t->dtype);
        x->data = arena_alloc(a, x->bytes + 1);
        fill(r, t->dtype, x->data, n);
        in[i] = x;
    }
    return in;
}

static Tensor *evaluate(Graph *g, const Tensor *const *in) {
    Tensor *out = ARENA_ARRAY(&g->module->cx->arena, Tensor, (size_t)g->output_count + 1);
    ir_eval(g, in, out, &g->module->cx->arena, NULL, NULL);
    return out;
}

/* --- comparing --- */

static bool close_to(TnDType t, double a, double b) {
    if (isnan(a) || isinf(a)) return a == b || (isnan(a) && isnan(b));
    return fabs(a - b) <= tolerance(t) * fmax(1, fabs(a));
}

/* The mean square of the difference against that of what is wanted. */
static bool same_by_size(const Tensor *a, const Tensor *b, int64_t n) {
    double size = 0, gap = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = ir_element_f64(a->dtype, a->data, i), y = ir_element_f64(b->dtype, b->data, i);
        if ((isnan(x) && isnan(y)) || (isinf(x) && x == y)) continue;
        size += x * x;
        gap += (x - y) * (x - y);
    }
    return gap <= 0.02 * 0.02 * fmax(size, 1e-12); /* not if it is NaN */
}

static bool same(const Tensor *a, const Tensor *b, bool bf16) {
    if (a->dtype != b->dtype || a->bytes != b->bytes) return false;
    int64_t n = (int64_t)(a->bytes / tn_dtype_size(a->dtype));
    if (bf16 && tn_is_float(a->dtype)) return same_by_size(a, b, n);
    for (int64_t i = 0; i < n; i++)
        if (!close_to(a->dtype, ir_element_f64(a->dtype, a->data, i),
                      ir_element_f64(b->dtype, b->data, i)))
            return false;
    return true;
}

/* NULL, or what differs. */
static const char *check_graph(Graph *g, char *steps) {
    Report r;
    Rng rng = {42};
    char *rest;
    enum { ROUNDS = 3 };
    bool bf16 = false;
    const Tensor **in[ROUNDS];
    Tensor *before[ROUNDS];
    report_init(&r, g->module->cx);
    for (int k = 0; k < ROUNDS; k++) {
        in[k] = make_inputs(g, &rng, k);
        before[k] = evaluate(g, in[k]);
    }
    for (char *s = strtok_r(steps, " ", &rest); s; s = strtok_r(NULL, " ", &rest)) {
        const PassInfo *pass = pass_find(s);
        g->module->bf16 |= !strcmp(s, "bf16");
        if (!pass) continue;
        pass->run(g, &r);
        bf16 |= pass->run == pass_bfloat;
        for (int k = 0; k < ROUNDS; k++) {
            Tensor *after = evaluate(g, in[k]);
            for (int i = 0; i < g->output_count; i++)
                if (!same(&before[k][i], &after[i], bf16))
                    return arena_printf(&g->module->cx->arena, "output %s differs after %s\n%s",
                                        g->output_names[i], s, ir_print_graph(g));
        }
    }
    return NULL;
}

/* --- files --- */

/* The module of one case, up to its expectation, and its steps. Returns false if it has none. */
static bool take_case(char *text, char **steps, char **module) {
    char *run = strstr(text, "RUN:"), *start = run ? strstr(run, "\nmodule {") : NULL;
    char *end = start ? strstr(start, "\n}\n") : NULL;
    if (!end) return false;
    *steps = run + 4;
    *start = 0;
    *module = start + 1;
    end[2] = 0;
    return true;
}

static bool run_case(char *text, const char *path) {
    Cx cx;
    jmp_buf failed;
    char *steps = NULL, *module = NULL;
    volatile bool ok = false;
    if (!take_case(text, &steps, &module)) {
        printf("%s: a case without module\n", path);
        return false;
    }
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed) == 0) {
        Module *m = ir_parse(&cx, module, NULL);
        Rng rng = {7};
        fill_constants(m, &rng);
        const char *why = check_graph(m->graphs, steps);
        if (why) printf("%s: %s%s\n", path, text, why);
        ok = !why;
    } else {
        printf("%s: %s%s\n", path, text, cx.message);
    }
    cx_free(&cx);
    return ok;
}

static int run_file(const char *path, int *cases) {
    Arena arena = {.alloc = tn_default_alloc()};
    TextBuffer t = {.arena = &arena};
    char piece[4096];
    int failed = 0;
    FILE *f = fopen(path, "rb");
    if (!f) return 1;
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) text_add_bytes(&t, piece, n);
    fclose(f);
    char *text = (char *)(uintptr_t)text_end(&t);
    for (char *next_case; text; text = next_case, (*cases)++) {
        next_case = strstr(text, "\n---\n");
        if (next_case) {
            next_case[1] = 0;
            next_case += 5;
        }
        if (!run_case(text, path)) failed++;
    }
    arena_free(&arena);
    return failed;
}

int main(void) {
    glob_t found;
    int failed = 0, cases = 0;
    if (glob(TENON_SOURCE_DIR "/tests/golden/passes/*.txt", 0, NULL, &found)) return 1;
    for (size_t i = 0; i < found.gl_pathc; i++) failed += run_file(found.gl_pathv[i], &cases);
    globfree(&found);
    printf("%d cases, %d failed\n", cases, failed);
    return failed || !cases;
}
