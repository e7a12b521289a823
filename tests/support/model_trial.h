/* Whole models against what was recorded of them: shared by the tests over all fixtures.
 *
 * A fixture is a folder with io.safetensors ("0/in/input_ids", "0/out/logits", one group per case)
 * and the same model as a checkpoint (config.json), as model.onnx and as model_ts.onnx, as far as
 * there are such. A trial is one of these models; what fails in it is printed, and the next begins.
 *
 *     static void try_it(Trial *t) { trial_compile(t, "f32"); ... CHECK(t, ok, "what is wrong"); }
 *     int main(int argc, char **argv) { return trials(argc, argv, try_it); } */
#ifndef TENON_TESTS_SUPPORT_MODEL_TRIAL_H
#define TENON_TESTS_SUPPORT_MODEL_TRIAL_H

#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend/tenonc.h"
#include "frontend/hf/safetensors.h"

typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    const char *folder, *model; /* paths; the model of a checkpoint is its folder */
    bool given;                 /* the folder was an argument: models may be unsupported */
    const SafeTensors *io;
    const void *bytes; /* the plan */
    size_t size;
    double error; /* the largest so far, in whatever the test measures */
} Trial;

#define CHECK(t, condition, ...)                                      \
    do {                                                              \
        if (!(condition)) tn_fail(&(t)->cx, TN_E_MODEL, __VA_ARGS__); \
    } while (0)

static const struct {
    tenon_isa isa;
    const char *name;
} trial_isas[] = {{TENON_ISA_SCALAR, "scalar"},
                  {TENON_ISA_AVX2, "avx2"},
                  {TENON_ISA_AVX512, "avx512"},
                  {TENON_ISA_AVX512_VNNI, "avx512_vnni"},
                  {TENON_ISA_AVX512_BF16, "avx512_bf16"}};
enum { TRIAL_ISAS = sizeof trial_isas / sizeof *trial_isas };

static inline const StTensor *recorded(Trial *t, int k, const char *way, const char *name) {
    return st_find(t->io, arena_printf(&t->cx.arena, "%d/%s/%s", k, way, name));
}

static inline bool has_case(Trial *t, int k) {
    const char *prefix = arena_printf(&t->cx.arena, "%d/", k);
    for (size_t i = 0; i < st_count(t->io); i++)
        if (!strncmp(st_at(t->io, i)->name, prefix, strlen(prefix))) return true;
    return false;
}

static inline void trial_compile(Trial *t, const char *precision) {
    tenonc *c = tenonc_create(NULL);
    const void *plan;
    if (tenonc_set(c, "precision", precision) || tenonc_add(c, t->model, NULL) ||
        tenonc_compile_memory(c, &plan, &t->size)) {
        const char *text = arena_strdup(&t->cx.arena, tenonc_error(c)->text);
        TnStatus code = (TnStatus)tenonc_error(c)->code;
        tenonc_destroy(c);
        tn_fail(&t->cx, code, "%s", text);
    }
    char *bytes = arena_alloc(&t->cx.arena, t->size + 64);
    bytes += (64 - (uintptr_t)bytes % 64) % 64;
    memcpy(bytes, plan, t->size);
    t->bytes = bytes;
    tenonc_destroy(c);
}

/* --- running --- */

typedef struct Running {
    tenon_plan *plan;
    tenon_pool *pool;
    tenon_session *session;
    tenon_error err;
} Running;

static inline void stop(void *running) {
    Running *r = running;
    tenon_session_destroy(r->session);
    tenon_pool_destroy(r->pool);
    tenon_plan_close(r->plan);
    *r = (Running){0};
}

/* A session of the plan, stopped with the trial at the latest; NULL if this machine has no such
 * instruction set. */
static inline Running *start(Trial *t, tenon_isa isa, int threads) {
    Running *r = ARENA_NEW(&t->cx.arena, Running);
    tenon_plan_options o = {.struct_size = sizeof o, .isa = isa};
    tenon_status s = tenon_plan_open_memory(t->bytes, t->size, &o, &r->plan, &r->err);
    if (s == TENON_E_ARGUMENT) return NULL;
    tn_defer(&t->cx, stop, r);
    if (!s && threads > 1) s = tenon_pool_create(threads, &r->pool, &r->err);
    tenon_session_options so = {.struct_size = sizeof so, .pool = r->pool};
    if (!s) s = tenon_session_create(r->plan, &so, &r->session, &r->err);
    if (s) tn_fail(&t->cx, (TnStatus)s, "%s", r->err.text);
    return r;
}

static inline tenon_status bind_case(Trial *t, Running *r, int k) {
    tenon_port port;
    static unsigned char nothing[64];
    for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &port, NULL) && !port.is_output; i++) {
        const StTensor *w = recorded(t, k, "in", port.name);
        if (!w && port.is_optional) continue;
        CHECK(t, w, "input '%s' is not recorded", port.name);
        tenon_tensor x = {.dtype = (tenon_dtype)w->dtype,
                          .rank = w->rank,
                          .data = (void *)(uintptr_t)(w->data ? w->data : nothing)};
        memcpy(x.dims, w->dims, sizeof x.dims);
        tenon_status s = tenon_session_bind(r->session, port.name, &x, &r->err);
        if (s) return s;
    }
    return TENON_OK;
}

static inline void run_case(Trial *t, Running *r, const char *what, int k) {
    if (bind_case(t, r, k) || tenon_session_run(r->session, &r->err))
        tn_fail(&t->cx, TN_E_MODEL, "%s: %s", what, r->err.text);
}

/* --- all of them --- */

typedef void TrialFn(Trial *t);

typedef struct Trials {
    TrialFn *run;
    bool given;
    int models, failed, unsupported;
    double error;
} Trials;

static inline void try_model(Trials *all, const char *folder, const char *name, const char *file) {
    Trial *t = calloc(1, sizeof *t);
    if (!t) return;
    cx_init(&t->cx, tn_default_alloc());
    t->cx.on_fail = &t->failed;
    t->folder = folder;
    t->given = all->given;
    all->models++;
    if (setjmp(t->failed) == 0) {
        t->model = *file ? arena_printf(&t->cx.arena, "%s/%s", folder, file) : folder;
        t->io = st_open(&t->cx, arena_printf(&t->cx.arena, "%s/io.safetensors", folder));
        all->run(t);
    } else if (all->given && t->cx.code == TN_E_UNSUPPORTED) {
        all->unsupported++;
        printf("unsupported %s/%s: %s\n", name, file, t->cx.message);
    } else {
        all->failed++;
        printf("FAIL %s/%s: %s\n", name, file, t->cx.message);
    }
    if (t->error > all->error) all->error = t->error;
    fflush(stdout);
    cx_free(&t->cx);
    free(t);
}

static inline void try_fixture(Trials *all, const char *root, const char *name) {
    static const char *const files[][2] = {
        {"config.json", ""}, {"model.onnx", "model.onnx"}, {"model_ts.onnx", "model_ts.onnx"}};
    char folder[1024], path[2048];
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    if (access(path, R_OK)) return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        if (!access(path, R_OK)) try_model(all, folder, name, files[i][1]);
    }
}

static inline int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Arguments: [FOLDER [NAME]], the fixtures of a folder whose name contains NAME; else the project's
 * own. The exit status of the test. */
static inline int trials(int argc, char **argv, TrialFn *run) {
    const char *root = argc > 1 ? argv[1] : TENON_SOURCE_DIR "/tests/fixtures";
    Trials all = {.run = run, .given = argc > 1};
    char *names[1024];
    int count = 0;
    DIR *d = opendir(root);
    for (struct dirent *e; d && (e = readdir(d)) && count < 1024;)
        if (e->d_name[0] != '.' && (argc < 3 || strstr(e->d_name, argv[2])))
            names[count++] = strdup(e->d_name);
    if (d) closedir(d);
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        try_fixture(&all, root, names[i]);
        free(names[i]);
    }
    printf("%d models, %d failed, %d unsupported, largest error %.3g\n", all.models, all.failed,
           all.unsupported, all.error);
    return !all.models || all.failed;
}

#endif
