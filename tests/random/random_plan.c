/* Runs of the compiled plan of a random graph. */
#include <string.h>
#include "tests/random/random_trial.h"

static void check(Trial *t, const char *how, tenon_status status, const tenon_error *err) {
    if (status) tn_fail(&t->cx, TN_E_MODEL, "%s: %s", how, err->text);
}

static void create(Trial *t, const char *how, tenon_pool *pool) {
    tenon_session_options o = {.struct_size = sizeof o, .pool = pool};
    tenon_error err;
    tenon_session_destroy(t->session);
    t->session = NULL;
    check(t, how, tenon_session_create(t->plan, &o, &t->session, &err), &err);
}

/* The results of a run, views into the session. */
static void run(Trial *t, const char *how, const Sample *s, Tensor *got) {
    tenon_error err;
    for (int i = 0; i < t->g->input_count; i++) {
        const Tensor *in = s->inputs[i];
        tenon_tensor x = {.dtype = (tenon_dtype)in->dtype, .rank = in->rank, .data = in->data};
        memcpy(x.dims, in->dims, sizeof x.dims);
        check(t, how, tenon_session_bind(t->session, t->g->inputs[i]->name, &x, &err), &err);
    }
    check(t, how, tenon_session_run(t->session, &err), &err);
    for (int i = 0; i < t->g->output_count; i++) {
        tenon_tensor y;
        check(t, how, tenon_session_tensor(t->session, t->g->output_names[i], &y, &err), &err);
        got[i] =
            (Tensor){.dtype = (TnDType)y.dtype, .rank = y.rank, .data = y.data, .bytes = y.bytes};
        memcpy(got[i].dims, y.dims, sizeof got[i].dims);
    }
}

static void run_right(Trial *t, const char *how, const Sample *s, Tensor *got) {
    run(t, how, s, got);
    for (int i = 0; i < t->g->output_count; i++) random_compare(t, how, s, i, &got[i]);
}

/* The first sample gives the same bits as before. */
static void run_same(Trial *t, const char *how, const char *what, const Tensor *first) {
    Tensor got[RANDOM_OUTPUTS];
    const char *name = arena_printf(&t->cx.arena, "%s, %s", how, what);
    run(t, name, &t->samples[0], got);
    for (int i = 0; i < t->g->output_count; i++)
        if (got[i].bytes != first[i].bytes ||
            (got[i].bytes && memcmp(got[i].data, first[i].data, got[i].bytes)))
            tn_fail(&t->cx, TN_E_MODEL, "%s: output %d differs from the first run", name, i);
}

static void run_isa(Trial *t, const char *how) {
    Tensor first[RANDOM_OUTPUTS], got[RANDOM_OUTPUTS];
    create(t, how, NULL);
    run_right(t, how, &t->samples[0], first);
    for (int i = 0; i < t->g->output_count; i++) {
        void *copy = arena_alloc(&t->cx.arena, first[i].bytes + 1);
        if (first[i].bytes) memcpy(copy, first[i].data, first[i].bytes);
        first[i].data = copy;
    }
    if (t->sample_count > 1)
        run_right(t, arena_printf(&t->cx.arena, "%s, other lengths", how), &t->samples[1], got);
    run_same(t, how, "once more", first);
    create(t, how, t->pool);
    run_same(t, how, "two threads", first);
}

static void stop(void *trial) {
    Trial *t = trial;
    tenon_session_destroy(t->session);
    tenon_plan_close(t->plan);
    t->session = NULL;
    t->plan = NULL;
}

void random_run_plan(Trial *t, const void *bytes, size_t size) {
    static const char *const names[] = {"scalar", "avx2", "avx512"};
    static const tenon_isa isas[] = {TENON_ISA_SCALAR, TENON_ISA_AVX2, TENON_ISA_AVX512};
    tenon_error err;
    tn_defer(&t->cx, stop, t);
    for (int i = 0; i < 3; i++) {
        tenon_plan_options o = {.struct_size = sizeof o, .isa = isas[i]};
        tenon_status opened = tenon_plan_open_memory(bytes, size, &o, &t->plan, &err);
        if (opened == TENON_E_ARGUMENT) continue; /* not on this machine */
        check(t, names[i], opened, &err);
        run_isa(t, names[i]);
        stop(t);
    }
}
