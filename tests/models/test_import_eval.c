/* Imports every ONNX export of the fixtures, checks the graph and compares its reference evaluation
 * with the recorded outputs.
 *
 * The fixtures are those of tests/fixtures, or those of the folder given as an argument; then each
 * export's requirements are printed too. With a second argument only folders whose name contains it
 * are tried, and the graph is printed. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "frontend/frontend.h"
#include "frontend/hf/safetensors.h"
#include "ir/print.h"

/* Of outputs of this type. */
static double tolerance(TnDType t) {
    return t == TN_F16 ? 4e-3 : t == TN_BF16 ? 2e-2 : 2e-5;
}

typedef struct Report {
    int exports, failures;
    bool verbose, print;
} Report;

/* --- one export --- */

static Tensor tensor_of(const StTensor *t) {
    Tensor r = {.dtype = t->dtype, .rank = t->rank, .data = (void *)t->data, .bytes = t->bytes};
    memcpy(r.dims, t->dims, sizeof r.dims);
    return r;
}

static const StTensor *case_tensor(Cx *cx, const SafeTensors *io, int k, const char *way,
                                   const char *name) {
    return st_find(io, arena_printf(&cx->arena, "%d/%s/%s", k, way, name));
}

/* Largest difference relative to the largest reference value or 1; infinite if anything else
 * differs. */
static double difference(const Tensor *t, const StTensor *want) {
    if (t->dtype != want->dtype || t->rank != want->rank || t->bytes != want->bytes)
        return INFINITY;
    if (t->rank && memcmp(t->dims, want->dims, (size_t)t->rank * sizeof t->dims[0]) != 0)
        return INFINITY;
    double largest = 1, worst = 0;
    for (int64_t i = 0; i < tensor_count(t); i++) {
        double a = ir_element_f64(t->dtype, t->data, i);
        double b = ir_element_f64(want->dtype, want->data, i);
        if (isfinite(b)) largest = fmax(largest, fabs(b));
        double gap = a == b || (isnan(a) && isnan(b)) ? 0 : fabs(a - b);
        worst = isnan(gap) ? INFINITY : fmax(worst, gap);
    }
    return worst / largest;
}

static double check_case(Cx *cx, Graph *g, const SafeTensors *io, int k) {
    const Tensor **in = ARENA_ARRAY(&cx->arena, const Tensor *, (size_t)g->input_count);
    Tensor *out = ARENA_ARRAY(&cx->arena, Tensor, (size_t)g->output_count);
    double worst = 0;
    for (int i = 0; i < g->input_count; i++) {
        const StTensor *t = case_tensor(cx, io, k, "in", g->inputs[i]->name);
        if (!t) tn_fail(cx, TN_E_ARGUMENT, "case %d has no input '%s'", k, g->inputs[i]->name);
        Tensor *copy = ARENA_NEW(&cx->arena, Tensor);
        *copy = tensor_of(t);
        in[i] = copy;
    }
    ir_eval(g, in, out, &cx->arena, NULL, NULL);
    for (int i = 0; i < g->output_count; i++) {
        const StTensor *want = case_tensor(cx, io, k, "out", g->output_names[i]);
        if (!want) tn_fail(cx, TN_E_ARGUMENT, "case %d has no output '%s'", k, g->output_names[i]);
        worst = fmax(worst, difference(&out[i], want));
    }
    return worst;
}

static void check_export(Cx *cx, const char *folder, const char *file, Report *r) {
    Module *m = ir_module_new(cx);
    Graph *g = onnx_import(m, arena_printf(&cx->arena, "%s/%s", folder, file), NULL);
    const SafeTensors *io = st_open(cx, arena_printf(&cx->arena, "%s/io.safetensors", folder));
    const char *wrong = ir_verify(g);
    if (r->print) printf("%s", ir_print(m));
    if (wrong) tn_fail(cx, TN_E_MODEL, "the graph is not sound: %s", wrong);
    double worst = 0;
    int cases = 0;
    for (; case_tensor(cx, io, cases, "in", g->inputs[0]->name); cases++)
        worst = fmax(worst, check_case(cx, g, io, cases));
    if (cases == 0) tn_fail(cx, TN_E_ARGUMENT, "no cases");
    if (r->verbose)
        printf("ok   %s/%s: %d nodes, %d cases, difference %.1e\n", folder, file, g->node_count,
               cases, worst);
    for (const Requirement *q = ex_requirements(m->ex); q && r->verbose; q = q->next)
        printf("     requires %s %s %s (%s)\n", ex_text(m->ex, q->left),
               q->kind == REL_EQ ? "==" : "<=", ex_text(m->ex, q->right),
               q->origin ? q->origin : "?");
    if (!(worst <= tolerance(g->outputs[0]->type.dtype)))
        tn_fail(cx, TN_E_MODEL, "outputs differ by %.3g", worst);
}

static void try_export(const char *folder, const char *file, Report *r) {
    char path[1024];
    jmp_buf on_fail;
    Cx cx;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (access(path, R_OK) != 0) return;
    r->exports++;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &on_fail;
    if (setjmp(on_fail) == 0) {
        check_export(&cx, folder, file, r);
    } else {
        r->failures++;
        printf("FAIL %s: %s\n", path, cx.message);
    }
    cx_free(&cx);
    fflush(stdout);
}

/* --- all of them --- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folders(const char *root, char **names, int max) {
    int count = 0;
    DIR *d = opendir(root);
    for (struct dirent *e; d && (e = readdir(d)) && count < max;)
        if (e->d_name[0] != '.') names[count++] = strdup(e->d_name);
    if (d) closedir(d);
    qsort(names, (size_t)count, sizeof *names, by_name);
    return count;
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : TENON_SOURCE_DIR "/tests/fixtures";
    Report r = {.verbose = argc > 1, .print = argc > 2};
    char *names[2048], folder[1024];
    int count = list_folders(root, names, 2048);
    for (int i = 0; i < count; i++) {
        snprintf(folder, sizeof folder, "%s/%s", root, names[i]);
        bool wanted = argc < 3 || strstr(names[i], argv[2]);
        free(names[i]);
        if (!wanted) continue;
        try_export(folder, "model.onnx", &r);
        try_export(folder, "model_ts.onnx", &r);
    }
    printf("%d exports, %d failed\n", r.exports, r.failures);
    return r.exports == 0 || r.failures > 0;
}
