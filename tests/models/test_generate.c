/* Decoders that keep their pasts: the fixtures of decoders.py, compiled with states, generate the
 * tokens that PyTorch does without a cache.
 *
 * Asked of each model, from both exporters: logits and tokens are those recorded, on every
 * instruction set; one and two threads give the same bits; tokens taken back come again; a batch in
 * which sequences change places goes on as they do alone; and what a step copies does not depend on
 * how much there is, and is nothing where projections fill whole panels. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/tenonc.h"
#include "frontend/hf/safetensors.h"
#include "ir/ir.h"
#include "runtime/runtime.h"

enum { TOKENS = 16, MAX_IDS = 64, MAX_BATCH = 4 };

typedef struct Model {
    const char *fixture, *prefill; /* the second: the fixture of the first step, or NULL */
    const char *file;
    bool whole_panels; /* of keys and values: they are computed where they stay */
} Model;

typedef struct Generator {
    Cx cx;
    jmp_buf failed;
    const SafeTensors *io;
    void *bytes;
    tenon_plan *plan;
    tenon_pool *pool;
    tenon_session *first, *next; /* of the first step and the others: one, or two that share */
    tenon_error err;
    int64_t mask[MAX_BATCH * MAX_IDS];
} Generator;

static void must(const Generator *g, tenon_status status) {
    if (status) fail_msg("%s", g->err.text);
}

static const char *path_of(Cx *cx, const char *fixture, const char *file) {
    return arena_printf(&cx->arena, TENON_SOURCE_DIR "/tests/fixtures/%s/%s", fixture, file);
}

static void compile(Generator *g, const Model *m, size_t *size) {
    tenonc *c = tenonc_create(NULL);
    const void *plan;
    const char *prefill = m->prefill ? path_of(&g->cx, m->prefill, m->file) : NULL;
    if (tenonc_set(c, "state", "auto") || (prefill && tenonc_add(c, prefill, "prefill")) ||
        tenonc_add(c, path_of(&g->cx, m->fixture, m->file), "decode") ||
        tenonc_compile_memory(c, &plan, size))
        fail_msg("%s", tenonc_error(c)->text);
    g->bytes = aligned_alloc(64, (*size + 63) / 64 * 64);
    memcpy(g->bytes, plan, *size);
    tenonc_destroy(c);
}

/* False if this machine has no such instruction set. */
static bool start(Generator *g, const Model *m, tenon_isa isa, int threads) {
    size_t size;
    tenon_plan_options o = {.struct_size = sizeof o, .isa = isa};
    cx_init(&g->cx, tn_default_alloc());
    g->cx.on_fail = &g->failed;
    if (setjmp(g->failed)) fail_msg("%s", g->cx.message);
    g->io = st_open(&g->cx, path_of(&g->cx, m->fixture, "io.safetensors"));
    compile(g, m, &size);
    tenon_status status = tenon_plan_open_memory(g->bytes, size, &o, &g->plan, &g->err);
    if (status == TENON_E_ARGUMENT) return false;
    must(g, status);
    if (threads > 1) must(g, tenon_pool_create(threads, &g->pool, &g->err));
    tenon_session_options so = {.struct_size = sizeof so, .function = "decode", .pool = g->pool};
    must(g, tenon_session_create(g->plan, &so, &g->next, &g->err));
    g->first = g->next;
    so.function = "prefill";
    so.share_state = g->next;
    if (m->prefill) must(g, tenon_session_create(g->plan, &so, &g->first, &g->err));
    for (int i = 0; i < MAX_BATCH * MAX_IDS; i++) g->mask[i] = 1;
    return true;
}

static void stop(Generator *g) {
    if (g->first != g->next) tenon_session_destroy(g->first);
    tenon_session_destroy(g->next);
    tenon_pool_destroy(g->pool);
    tenon_plan_close(g->plan);
    free(g->bytes);
    cx_free(&g->cx);
}

static const StTensor *recorded(Generator *g, int prompt, const char *what) {
    return st_find(g->io, arena_printf(&g->cx.arena, "generate/%d/%s", prompt, what));
}

static bool has_port(const tenon_session *s, const char *name) {
    for (uint32_t i = 0; i < s->function->input_count; i++)
        if (!strcmp(plan_string(s->plan, session_port(s, i)->name), name)) return true;
    return false;
}

static void bind(Generator *g, tenon_session *s, const char *name, const tenon_tensor *t) {
    if (has_port(s, name)) must(g, tenon_session_bind(s, name, t, &g->err));
}

static void bind_recorded(Generator *g, tenon_session *s, int prompt, const char *name) {
    const StTensor *w = recorded(g, prompt, arena_printf(&g->cx.arena, "in/%s", name));
    if (!w) return;
    tenon_tensor t = {.dtype = (tenon_dtype)w->dtype, .rank = w->rank, .bytes = w->bytes};
    memcpy(t.dims, w->dims, sizeof t.dims);
    t.data = arena_copy(&g->cx.arena, w->data, w->bytes);
    bind(g, s, name, &t);
}

/* Runs `ids` [batch, n] behind `past`; the logits of each sequence's last token are in *logits. */
static const float *run(Generator *g, tenon_session *s, int64_t batch, int64_t n, int64_t past,
                        int64_t *ids, int64_t *stride) {
    tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {batch, n}, .data = ids}, logits;
    bind(g, s, "input_ids", &t);
    t = (tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {batch, past + n}, .data = g->mask};
    bind(g, s, "attention_mask", &t);
    must(g, tenon_session_run(s, &g->err));
    must(g, tenon_session_tensor(s, "logits", &logits, &g->err));
    *stride = n * logits.dims[2];
    return (const float *)logits.data + (n - 1) * logits.dims[2];
}

static int64_t best(const float *x, int64_t n) {
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[at]) at = i;
    return at;
}

static void check_step(Generator *g, int prompt, int step, const float *logits) {
    const StTensor *want = recorded(g, prompt, "logits"), *tokens = recorded(g, prompt, "tokens");
    int64_t vocabulary = want->dims[1];
    float largest = 1;
    for (int64_t i = 0; i < vocabulary; i++) {
        float w = (float)ir_element_f64(TN_F32, want->data, step * vocabulary + i);
        largest = fmaxf(largest, fabsf(w));
        if (!(fabsf(logits[i] - w) <= 3e-5f * largest))
            fail_msg("prompt %d, step %d: logit %d is %g, not %g", prompt, step, (int)i,
                     (double)logits[i], (double)w);
    }
    assert_int_equal(best(logits, vocabulary), (int64_t)ir_element_f64(TN_I64, tokens->data, step));
}

/* The tokens of a prompt one after another; all logits into `all` unless it is NULL. From `redo`
 * on, they are generated twice. */
static void generate(Generator *g, int prompt, int redo, float *all) {
    const StTensor *start_ids = recorded(g, prompt, "prompt"),
                   *want = recorded(g, prompt, "logits");
    int64_t ids[MAX_IDS], n = start_ids->dims[0], past = 0, stride, vocabulary = want->dims[1];
    for (int64_t i = 0; i < n; i++) ids[i] = (int64_t)ir_element_f64(TN_I64, start_ids->data, i);
    must(g, tenon_session_truncate(g->next, 0, &g->err));
    tenon_session *both[] = {g->first, g->next};
    for (int i = 0; i < 2; i++) {
        bind_recorded(g, both[i], prompt, "encoder_hidden_states");
        bind_recorded(g, both[i], prompt, "encoder_attention_mask");
    }
    for (int step = 0; step < TOKENS; step++) {
        const float *logits = run(g, step ? g->next : g->first, 1, n, past, ids, &stride);
        check_step(g, prompt, step, logits);
        if (all) memcpy(all + step * vocabulary, logits, (size_t)vocabulary * sizeof *all);
        past += n;
        n = 1;
        ids[0] = best(logits, vocabulary);
        if (step + 1 != redo) continue;
        past -= 3; /* takes three tokens back, and gives them again at once */
        must(g, tenon_session_truncate(g->next, past, &g->err));
        const StTensor *tokens = recorded(g, prompt, "tokens");
        for (n = 0; n < 4; n++)
            ids[n] = (int64_t)ir_element_f64(TN_I64, tokens->data, step - 3 + (int)n);
        redo = -1;
    }
}

static int prompts_of(Generator *g) {
    int n = 0;
    while (recorded(g, n, "prompt")) n++;
    assert_true(n > 1);
    return n;
}

static void generates_what_is_recorded(void **state) {
    for (tenon_isa isa = TENON_ISA_SCALAR; isa <= TENON_ISA_AVX512; isa++) {
        Generator g = {.pool = NULL};
        bool has = start(&g, *state, isa, 1);
        for (int prompt = 0; has && prompt < prompts_of(&g); prompt++) {
            generate(&g, prompt, -1, NULL);
            generate(&g, prompt, 7, NULL);
        }
        stop(&g);
    }
}

static void threads_do_not_matter(void **state) {
    static float all[2][TOKENS * 64];
    for (int threads = 1; threads <= 2; threads++) {
        Generator g = {.pool = NULL};
        assert_true(start(&g, *state, TENON_ISA_AUTO, threads));
        generate(&g, 1, -1, all[threads - 1]);
        stop(&g);
    }
    assert_memory_equal(all[0], all[1], sizeof all[0]);
}

/* Two prompts of one length side by side, which then change places, one of them twice. */
static void sequences_change_places(void **state) {
    Generator g = {.pool = NULL};
    assert_true(start(&g, *state, TENON_ISA_AUTO, 1));
    const StTensor *want = recorded(&g, 0, "logits");
    int64_t ids[MAX_IDS], stride, vocabulary = want->dims[1], rows[] = {1, 0, 0};
    float kept[2][64];
    if (g.first == g.next) {
        for (int i = 0; i < 2; i++) ids[i] = 5 + 6 * i;
        run(&g, g.next, 2, 1, 0, ids, &stride);
        const float *logits = run(&g, g.next, 2, 1, 1, (int64_t[]){7, 7}, &stride);
        for (int i = 0; i < 2; i++)
            memcpy(kept[i], logits + i * stride, (size_t)vocabulary * sizeof **kept);
        must(&g, tenon_session_truncate(g.next, 1, &g.err));
        must(&g, tenon_session_reorder(g.next, rows, 3, &g.err));
        logits = run(&g, g.next, 3, 1, 1, (int64_t[]){7, 7, 7}, &stride);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(logits + i * stride, kept[rows[i]],
                                (size_t)vocabulary * sizeof **kept);
    }
    stop(&g);
}

/* Bytes that the copies of the prepared step move. */
static uint64_t copied_bytes(const tenon_session *s) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->function->instruction_count; i++) {
        const TnCall *c = &s->calls[i];
        if (c->opcode != TN_OP_copy) continue;
        uint64_t elements = 1;
        for (int k = 0; k < c->operands[1].rank; k++) elements *= (uint64_t)c->operands[1].dims[k];
        bytes += elements * tn_dtype_size((TnDType)c->operands[1].dtype);
    }
    return bytes;
}

static void steps_copy_new_rows_only(void **state) {
    Generator g = {.pool = NULL};
    const Model *m = *state;
    assert_true(start(&g, m, TENON_ISA_AUTO, 1));
    uint64_t bytes[2];
    int64_t ids[MAX_IDS] = {0}, stride;
    bind_recorded(&g, g.next, 0, "encoder_attention_mask");
    if (g.first != g.next) generate(&g, 0, -1, NULL);
    for (int i = 0; i < 2; i++) {
        int64_t past = i ? 20 : 3;
        must(&g, tenon_session_truncate(g.next, 0, &g.err));
        run(&g, g.next, 1, past, 0, ids, &stride);
        run(&g, g.next, 1, 1, past, ids, &stride);
        bytes[i] = copied_bytes(g.next);
    }
    assert_int_equal(bytes[0], bytes[1]);
    if (m->whole_panels) assert_int_equal(bytes[0], 0);
    stop(&g);
}

#define MODELS(X)                                     \
    X("gpt2-decode", NULL, "model.onnx", true)        \
    X("gpt2-decode", NULL, "model_ts.onnx", true)     \
    X("llama-decode", NULL, "model.onnx", false)      \
    X("llama-decode", NULL, "model_ts.onnx", false)   \
    X("t5-decode", "t5-prefill", "model.onnx", false) \
    X("t5-decode", "t5-prefill", "model_ts.onnx", false)

int main(void) {
#define X(fixture, prefill, file, whole) {fixture, prefill, file, whole},
    static Model models[] = {MODELS(X)};
#undef X
    enum { COUNT = sizeof models / sizeof *models };
    struct CMUnitTest tests[4 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        tests[4 * i] = (struct CMUnitTest){"generates what is recorded", generates_what_is_recorded,
                                           NULL, NULL, &models[i]};
        tests[4 * i + 1] = (struct CMUnitTest){"threads do not matter", threads_do_not_matter, NULL,
                                               NULL, &models[i]};
        tests[4 * i + 2] = (struct CMUnitTest){"sequences change places", sequences_change_places,
                                               NULL, NULL, &models[i]};
        tests[4 * i + 3] = (struct CMUnitTest){"steps copy new rows only", steps_copy_new_rows_only,
                                               NULL, NULL, &models[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
