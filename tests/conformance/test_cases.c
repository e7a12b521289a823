/* The operators' semantics against others' answers: ONNX's own test cases (cases.safetensors, which
 * make_cases.py wrote) and ONNX Runtime's results (microsoft.safetensors). Each case is compiled,
 * and run on every instruction set.
 *
 *     test_cases [NAME]      the cases whose name contains NAME */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backend/tenonc.h"
#include "frontend/hf/safetensors.h"
#include "ir/ir.h"

#define BF16_TOLERANCE 0x1p-6 /* what ONNX's own runner grants, at least */

typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    const SafeTensors *cases;
    const char *name;
    tenon_plan *plan;
    tenon_session *session;
    tenon_error err;
} Trial;

static const StTensor *find(Trial *t, const char *part, const char *name) {
    return st_find(t->cases, arena_printf(&t->cx.arena, "%s/%s%s", t->name, part, name));
}

/* A copy at a multiple of 64 bytes; never NULL. */
static void *aligned_copy(Trial *t, const void *data, size_t bytes) {
    uintptr_t at = ((uintptr_t)arena_alloc(&t->cx.arena, bytes + 64) + 63) / 64 * 64;
    if (bytes) memcpy((void *)at, data, bytes);
    return (void *)at;
}

/* --- compiling --- */

/* Models are read from files. */
static const char *write_model(Trial *t) {
    const StTensor *model = find(t, "model", "");
    const char *path =
        arena_printf(&t->cx.arena, "%s/case-%ld.onnx", TENON_BINARY_DIR, (long)getpid());
    FILE *f = fopen(path, "wb");
    bool written = f && fwrite(model->data, 1, model->bytes, f) == model->bytes;
    if (!f || fclose(f) || !written) tn_fail(&t->cx, TN_E_IO, "cannot write %s", path);
    return path;
}

static void *compile(Trial *t, size_t *size) {
    const char *path = write_model(t);
    tenonc *c = tenonc_create(NULL);
    const void *plan;
    void *copy = NULL;
    const char *wrong = NULL;
    if (tenonc_add(c, path, NULL) || tenonc_compile_memory(c, &plan, size))
        wrong = arena_strdup(&t->cx.arena, tenonc_error(c)->text);
    else
        copy = aligned_copy(t, plan, *size);
    tenonc_destroy(c);
    unlink(path);
    if (wrong) tn_fail(&t->cx, TN_E_MODEL, "%s", wrong);
    return copy;
}

/* --- running --- */

static void check(Trial *t, tenon_status status) {
    if (status) tn_fail(&t->cx, TN_E_MODEL, "%s", t->err.text);
}

static void stop(void *trial) {
    Trial *t = trial;
    tenon_session_destroy(t->session);
    tenon_plan_close(t->plan);
    t->session = NULL;
    t->plan = NULL;
}

static void bind_inputs(Trial *t) {
    tenon_port port;
    for (int i = 0; !tenon_plan_port(t->plan, NULL, i, &port, NULL); i++) {
        const StTensor *w = port.is_output ? NULL : find(t, "in/", port.name);
        if (!w) continue;
        tenon_tensor x = {.dtype = (tenon_dtype)w->dtype, .rank = w->rank};
        x.data = aligned_copy(t, w->data, w->bytes);
        memcpy(x.dims, w->dims, sizeof x.dims);
        check(t, tenon_session_bind(t->session, port.name, &x, &t->err));
    }
}

static bool is_close(double got, double want, double rtol, double atol) {
    return got == want || (isnan(got) && isnan(want)) ||
           fabs(got - want) <= atol + rtol * fabs(want);
}

static void compare(Trial *t, const char *isa, const char *name, const tenon_tensor *got) {
    const StTensor *want = find(t, "out/", name);
    const double *tolerance = find(t, "tolerance", "")->data;
    double rtol = tolerance[0];
    if (!want) return;
    if ((TnDType)got->dtype != want->dtype || got->rank != want->rank ||
        memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims) != 0)
        tn_fail(&t->cx, TN_E_MODEL, "%s: output '%s' is %s%s, wanted %s%s", isa, name,
                tn_dtype_name((TnDType)got->dtype),
                weights_shape_text(&t->cx, got->rank, got->dims), tn_dtype_name(want->dtype),
                weights_shape_text(&t->cx, want->rank, want->dims));
    if (want->dtype == TN_BF16) rtol = fmax(rtol, BF16_TOLERANCE);
    int64_t n = (int64_t)(want->bytes / tn_dtype_size(want->dtype));
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64(want->dtype, got->data, i),
               b = ir_element_f64(want->dtype, want->data, i);
        if (!is_close(a, b, rtol, tolerance[1]))
            tn_fail(&t->cx, TN_E_MODEL, "%s: element %lld of output '%s' is %.9g, wanted %.9g", isa,
                    (long long)i, name, a, b);
    }
}

static void run_on(Trial *t, const void *plan, size_t size, tenon_isa isa, const char *name) {
    tenon_plan_options o = {.struct_size = sizeof o, .isa = isa};
    tenon_status opened = tenon_plan_open_memory(plan, size, &o, &t->plan, &t->err);
    if (opened == TENON_E_ARGUMENT) return; /* not on this machine */
    check(t, opened);
    check(t, tenon_session_create(t->plan, NULL, &t->session, &t->err));
    bind_inputs(t);
    check(t, tenon_session_run(t->session, &t->err));
    tenon_port port;
    for (int i = 0; !tenon_plan_port(t->plan, NULL, i, &port, NULL); i++) {
        tenon_tensor got;
        if (!port.is_output) continue;
        check(t, tenon_session_tensor(t->session, port.name, &got, &t->err));
        compare(t, name, port.name, &got);
    }
    stop(t);
}

static bool try_case(const SafeTensors *cases, const char *name) {
    Trial *t = calloc(1, sizeof *t);
    volatile bool ok = false;
    if (!t) return false;
    cx_init(&t->cx, tn_default_alloc());
    t->cx.on_fail = &t->failed;
    t->cases = cases;
    t->name = name;
    if (setjmp(t->failed) == 0) {
        size_t size;
        void *plan = compile(t, &size);
        tn_defer(&t->cx, stop, t);
        run_on(t, plan, size, TENON_ISA_SCALAR, "scalar");
        run_on(t, plan, size, TENON_ISA_AVX2, "avx2");
        run_on(t, plan, size, TENON_ISA_AVX512, "avx512");
        ok = true;
    } else {
        printf("FAIL %s: %s\n", name, t->cx.message);
    }
    cx_free(&t->cx);
    free(t);
    return ok;
}

typedef struct Totals {
    int count, wrong;
} Totals;

static void try_file(Cx *cx, const char *file, const char *wanted, Totals *total) {
    const SafeTensors *cases =
        st_open(cx, arena_printf(&cx->arena, "%s/tests/conformance/%s", TENON_SOURCE_DIR, file));
    for (size_t i = 0; i < st_count(cases); i++) {
        const char *name = st_at(cases, i)->name, *slash = strrchr(name, '/');
        if (strcmp(slash, "/model") != 0 || !strstr(name, wanted)) continue;
        total->count++;
        name = arena_strndup(&cx->arena, name, (size_t)(slash - name));
        if (!try_case(cases, name)) total->wrong++;
    }
}

int main(int argc, char **argv) {
    static Cx cx;
    static Totals total;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed) == 0) {
        try_file(&cx, "cases.safetensors", argc > 1 ? argv[1] : "", &total);
        try_file(&cx, "microsoft.safetensors", argc > 1 ? argv[1] : "", &total);
    } else {
        printf("%s\n", cx.message);
        total.wrong++;
    }
    printf("%d cases, %d failed\n", total.count, total.wrong);
    cx_free(&cx);
    return total.wrong || !total.count;
}
