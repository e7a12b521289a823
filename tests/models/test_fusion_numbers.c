/* Fusions do not depend on whether a length is a symbol or a number: every ONNX export of the
 * fixtures is taken through the passes as it is and with the lengths of each recorded case instead
 * of its symbols, and every rule must fire as often.
 *
 * Not compared are rules that count what is left or found equal, not patterns: with numbers more is
 * known, so fewer maps remain, other constants are equal, assignments to places are slices, of one
 * row none is left out, one query's biases are a line already, and constants are resized at once.
 * The fixtures are those of tests/fixtures, or of the folder given as an argument. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "frontend/frontend.h"
#include "frontend/hf/safetensors.h"
#include "passes/pass.h"

static const char *const counts_of_values[] = {"map",    "share", "index",         "update",
                                               "narrow", "unpad", "relative_bias", "resize_plane"};

static bool is_compared(const char *rule) {
    for (size_t i = 0; i < sizeof counts_of_values / sizeof *counts_of_values; i++)
        if (!strcmp(rule, counts_of_values[i])) return false;
    return true;
}

/* --- one export --- */

static const StTensor *case_input(Cx *cx, const SafeTensors *io, int k, const char *name) {
    return st_find(io, arena_printf(&cx->arena, "%d/in/%s", k, name));
}

/* The axes of the inputs that are no numbers, as numbers of case k; NULL if there is no such case.
 */
static DimOption *numbers_of_case(Cx *cx, const Graph *g, const SafeTensors *io, int k) {
    DimOption *dims = NULL;
    for (int i = 0; i < g->input_count; i++) {
        const Value *v = g->inputs[i];
        const StTensor *t = case_input(cx, io, k, v->name);
        for (int a = 0; t && a < t->rank; a++) {
            int64_t n;
            if (ex_const(v->type.dims[a], &n)) continue;
            DimOption *d = ARENA_NEW(&cx->arena, DimOption);
            *d = (DimOption){.name = arena_printf(&cx->arena, "%s.%d", v->name, a),
                             .min = t->dims[a],
                             .max = t->dims[a],
                             .next = dims};
            dims = d;
        }
    }
    return dims;
}

static Graph *fuse(Cx *cx, const char *path, DimOption *dims, Report *r) {
    Module *m = ir_module_new(cx);
    ImportOptions o = {.dims = dims};
    Graph *g = onnx_import(m, path, &o);
    report_init(r, cx);
    passes_run(m, r, NULL);
    return g;
}

/* Rules that fired more often in a than in b, or (shown already) less often. */
static int differences(const char *path, int k, const Report *a, const Report *b, bool less) {
    int found = 0;
    for (const Fired *f = a->fired; f; f = f->next) {
        int other = report_count(b, f->rule);
        if (!is_compared(f->rule) || f->count == other || (less && other)) continue;
        printf("FAIL %s: case %d: %s %d with symbols, %d with numbers\n", path, k, f->rule,
               less ? other : f->count, less ? f->count : other);
        found++;
    }
    return found;
}

static int check_export(Cx *cx, const char *folder, const char *path) {
    Report symbols, numbers;
    const SafeTensors *io = st_open(cx, arena_printf(&cx->arena, "%s/io.safetensors", folder));
    Graph *g = fuse(cx, path, NULL, &symbols);
    int found = 0;
    DimOption *dims;
    for (int k = 0; (dims = numbers_of_case(cx, g, io, k)); k++) {
        fuse(cx, path, dims, &numbers);
        found += differences(path, k, &symbols, &numbers, false);
        found += differences(path, k, &numbers, &symbols, true);
    }
    return found;
}

static int try_export(const char *folder, const char *file, int *exports) {
    char path[1024];
    jmp_buf on_fail;
    Cx cx;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (access(path, R_OK) != 0) return 0;
    volatile int found = 1;
    ++*exports;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &on_fail;
    if (setjmp(on_fail) == 0)
        found = check_export(&cx, folder, path);
    else
        printf("FAIL %s: %s\n", path, cx.message);
    cx_free(&cx);
    return found;
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : TENON_SOURCE_DIR "/tests/fixtures";
    int exports = 0, found = 0;
    DIR *d = opendir(root);
    for (struct dirent *e; d && (e = readdir(d));) {
        char folder[1024];
        if (e->d_name[0] == '.') continue;
        snprintf(folder, sizeof folder, "%s/%s", root, e->d_name);
        found += try_export(folder, "model.onnx", &exports);
        found += try_export(folder, "model_ts.onnx", &exports);
    }
    if (d) closedir(d);
    printf("%d exports, %d differences\n", exports, found);
    return exports == 0 || found > 0;
}
