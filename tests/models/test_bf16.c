/* Whole models in bf16: every model of every fixture is compiled with precision bf16, run on every
 * instruction set and held against PyTorch's results in f32.
 *
 * bf16 has 8 bits, so a number is rounded by at most 2^-9 of itself, by 2^-9 / sqrt(3) on the
 * average (as a root of the mean square). The roundings of a layer - a few values and every weight
 * - add up like noise: some ten of them per layer, over the layers and heads of these models, are
 * sqrt(100) 2^-9 or 2 %, and more where a norm or a small head enlarges what is left of numbers
 * that cancel, with so few channels to average over. The bound is 5 %, root mean square against
 * root mean square of what the output varies by, as that of `tenon diff`. Where a case gives scores
 * of classes, the best class is the same wherever it leads by more than what rounding moves.
 *
 *     test_bf16 [FOLDER [NAME]]     fixtures of FOLDER, those whose name contains NAME */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend/tenonc.h"
#include "frontend/hf/safetensors.h"
#include "ir/ir.h"

#define MOST 0.05

typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    const SafeTensors *io;
    const void *bytes;
    size_t size;
    double worst; /* error of an output so far, of its size */
} Trial;

#define CHECK(t, condition, ...)                                      \
    do {                                                              \
        if (!(condition)) tn_fail(&(t)->cx, TN_E_MODEL, __VA_ARGS__); \
    } while (0)

static const StTensor *recorded(Trial *t, int k, const char *way, const char *name) {
    return st_find(t->io, arena_printf(&t->cx.arena, "%d/%s/%s", k, way, name));
}

static bool has_case(Trial *t, int k) {
    const char *prefix = arena_printf(&t->cx.arena, "%d/", k);
    for (size_t i = 0; i < st_count(t->io); i++)
        if (!strncmp(st_at(t->io, i)->name, prefix, strlen(prefix))) return true;
    return false;
}

static void compile(Trial *t, const char *model) {
    tenonc *c = tenonc_create(NULL);
    const void *plan;
    if (tenonc_set(c, "precision", "bf16") || tenonc_add(c, model, NULL) ||
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

/* --- comparing --- */

typedef struct Error {
    double gap, size; /* root mean squares, the second around the mean */
} Error;

static Error error_of(const tenon_tensor *got, const StTensor *want, int64_t n) {
    double gap = 0, sum = 0, squares = 0, count = 0;
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64((TnDType)got->dtype, got->data, i),
               b = ir_element_f64(want->dtype, want->data, i);
        if (a == b && fabs(b) > 1e30) continue; /* of masks */
        gap += (a - b) * (a - b);
        sum += b;
        squares += b * b;
        count++;
    }
    if (count == 0) return (Error){0};
    double mean = sum / count, variance = squares / count - mean * mean;
    /* an output that hardly varies is held against its own size */
    return (Error){sqrt(gap / count), sqrt(fmax(variance, squares / count / 16))};
}

static int64_t best(TnDType t, const void *data, int64_t first, int64_t n, double *lead) {
    double most = -INFINITY, second = -INFINITY;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = ir_element_f64(t, data, first + i);
        if (v > most) {
            second = most;
            most = v;
            at = i;
        } else {
            second = fmax(second, v);
        }
    }
    *lead = most - second;
    return at;
}

static void check_labels(Trial *t, const char *what, const tenon_tensor *got, const StTensor *want,
                         int64_t n, double gap) {
    int64_t classes = want->dims[want->rank - 1];
    double lead, ignored;
    for (int64_t i = 0; i < n; i += classes) {
        int64_t wanted = best(want->dtype, want->data, i, classes, &lead);
        bool same = best((TnDType)got->dtype, got->data, i, classes, &ignored) == wanted;
        CHECK(t, same || lead <= 6 * gap, "%s: row %d has another label", what, (int)(i / classes));
    }
}

static void check_output(Trial *t, const char *what, const char *name, const tenon_tensor *got,
                         const StTensor *want) {
    CHECK(t, want, "%s: output '%s' is not recorded", what, name);
    CHECK(t, (TnDType)got->dtype == want->dtype && got->bytes == want->bytes,
          "%s: output '%s' has type %s and %d bytes, recorded %s and %d", what, name,
          tn_dtype_name((TnDType)got->dtype), (int)got->bytes, tn_dtype_name(want->dtype),
          (int)want->bytes);
    int64_t n = (int64_t)(want->bytes / tn_dtype_size(want->dtype));
    if (!tn_is_float(want->dtype) || n == 0) return;
    Error e = error_of(got, want, n);
    if (!(e.gap / fmax(e.size, 1e-30) <= t->worst)) t->worst = e.gap / fmax(e.size, 1e-30);
    CHECK(t, e.gap <= MOST * e.size, "%s: output '%s' is off by %.3g of its size %.3g", what, name,
          e.gap, e.size);
    if (strstr(name, "logits")) check_labels(t, what, got, want, n, e.gap);
}

/* --- running --- */

typedef struct Running {
    tenon_plan *plan;
    tenon_session *session;
    tenon_error err;
} Running;

static void stop(void *running) {
    Running *r = running;
    tenon_session_destroy(r->session);
    tenon_plan_close(r->plan);
    *r = (Running){0};
}

static void bind_case(Trial *t, Running *r, int k) {
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
        if (tenon_session_bind(r->session, port.name, &x, &r->err))
            tn_fail(&t->cx, TN_E_MODEL, "%s", r->err.text);
    }
}

static void run_cases(Trial *t, Running *r, const char *isa) {
    tenon_port port;
    for (int k = 0; has_case(t, k); k++) {
        const char *what = arena_printf(&t->cx.arena, "%s, case %d", isa, k);
        bind_case(t, r, k);
        if (tenon_session_run(r->session, &r->err))
            tn_fail(&t->cx, TN_E_MODEL, "%s: %s", what, r->err.text);
        for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &port, NULL); i++) {
            tenon_tensor y;
            if (!port.is_output) continue;
            if (tenon_session_tensor(r->session, port.name, &y, &r->err))
                tn_fail(&t->cx, TN_E_MODEL, "%s: %s", what, r->err.text);
            check_output(t, what, port.name, &y, recorded(t, k, "out", port.name));
        }
    }
}

/* ISAs that this machine does not have are left out. */
static void run_everywhere(Trial *t) {
    static const struct {
        tenon_isa isa;
        const char *name;
    } isas[] = {{TENON_ISA_SCALAR, "scalar"},
                {TENON_ISA_AVX2, "avx2"},
                {TENON_ISA_AVX512, "avx512"},
                {TENON_ISA_AVX512_BF16, "avx512_bf16"}};
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        tenon_plan_options o = {.struct_size = sizeof o, .isa = isas[i].isa};
        Running *r = ARENA_NEW(&t->cx.arena, Running);
        tenon_status s = tenon_plan_open_memory(t->bytes, t->size, &o, &r->plan, &r->err);
        if (s == TENON_E_ARGUMENT) continue;
        tn_defer(&t->cx, stop, r);
        tenon_session_options so = {.struct_size = sizeof so};
        if (!s) s = tenon_session_create(r->plan, &so, &r->session, &r->err);
        if (s) tn_fail(&t->cx, (TnStatus)s, "%s", r->err.text);
        run_cases(t, r, isas[i].name);
    }
}

/* --- all of them --- */

typedef struct Totals {
    int models, failed, unsupported;
    double worst;
} Totals;

static void try_model(const char *folder, const char *name, const char *file, Totals *total) {
    Trial *t = calloc(1, sizeof *t);
    if (!t) return;
    cx_init(&t->cx, tn_default_alloc());
    t->cx.on_fail = &t->failed;
    total->models++;
    if (setjmp(t->failed) == 0) {
        const char *model = *file ? arena_printf(&t->cx.arena, "%s/%s", folder, file) : folder;
        t->io = st_open(&t->cx, arena_printf(&t->cx.arena, "%s/io.safetensors", folder));
        compile(t, model);
        run_everywhere(t);
    } else if (t->cx.code == TN_E_UNSUPPORTED) {
        total->unsupported++;
        printf("unsupported %s/%s: %s\n", name, file, t->cx.message);
    } else {
        total->failed++;
        printf("FAIL %s/%s: %s\n", name, file, t->cx.message);
    }
    total->worst = fmax(total->worst, t->worst);
    printf("%s/%s: %.2g\n", name, file, t->worst);
    fflush(stdout);
    cx_free(&t->cx);
    free(t);
}

static void try_fixture(const char *root, const char *name, Totals *total) {
    static const char *const files[][2] = {
        {"config.json", ""}, {"model.onnx", "model.onnx"}, {"model_ts.onnx", "model_ts.onnx"}};
    char folder[1024], path[2048];
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    if (access(path, R_OK)) return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        if (!access(path, R_OK)) try_model(folder, name, files[i][1], total);
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : TENON_SOURCE_DIR "/tests/fixtures";
    Totals total = {0};
    char *names[1024];
    int count = 0;
    DIR *d = opendir(root);
    for (struct dirent *e; d && (e = readdir(d)) && count < 1024;)
        if (e->d_name[0] != '.' && (argc < 3 || strstr(e->d_name, argv[2])))
            names[count++] = strdup(e->d_name);
    if (d) closedir(d);
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        try_fixture(root, names[i], &total);
        free(names[i]);
    }
    printf("%d models, %d failed, %d unsupported, largest error %.3g\n", total.models, total.failed,
           total.unsupported, total.worst);
    return !total.models || total.failed || (argc < 2 && total.unsupported);
}
