/* Batches of sequences of unequal length: what is computed of kept rows only (pass unpad) is what
 * the model as it is gives, under masks of any kind.
 *
 * Models that return nothing of padding are so by default, in which case nothing shows; others with
 * `padding=skip`, where rows of padding are zeros and nothing else shows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/tenonc.h"
#include "tests/support/counting_allocator.h"

enum { MAX_PORTS = 8, MAX_ROWS = 64, MAX_BATCH = 4, MAX_PIXELS = 512 };

typedef struct Model {
    const char *path;
    bool skip; /* compiled so */
} Model;

static const Model models[] = {
    {"bert-sequence-cls", false},
    {"bert-sequence-cls/model.onnx", false},
    {"bert-sequence-cls/model_ts.onnx", false},
    {"distilbert-sequence-cls/model.onnx", false},
    {"sentence-embedding/model.onnx", false},
    {"sentence-embedding/model_ts.onnx", false},
    {"xlm-roberta-sequence-cls", false},
    {"xlm-roberta-sequence-cls/model_ts.onnx", false},
    {"clip/model.onnx", false}, /* reads the row of each text's largest id */
    {"clip/model_ts.onnx", false},
    {"deberta-cls/model.onnx", false}, /* attention with scores by distance is for all rows */
    {"deberta-cls/model_ts.onnx", false},
    {"deberta-v2-cls/model.onnx", false},
    {"deberta-v2-cls/model_ts.onnx", false},
    {"bert-base/model.onnx", true},
    {"bert-token-cls/model_ts.onnx", true},
    {"bert-qa/model.onnx", true},
    {"t5-encoder/model.onnx", true},
    {"modernbert-masked-lm/model.onnx", true},
    {"xlm-masked-lm/model_ts.onnx", true},
    {"gpt2-lm/model_ts.onnx", true},
    {"llama-lm/model_ts.onnx", true},
    {"mistral-lm/model.onnx", true},
};

typedef enum Kind { RIGHT, LEFT, HOLES, NO_FIRST, SOME_EMPTY, EMPTY, FULL, KINDS } Kind;

static const char *const kind_names[KINDS] = {"right",      "left",  "holes", "no first",
                                              "some empty", "empty", "full"};

static bool allows(Kind kind, int64_t b, int64_t s, int64_t length) {
    int64_t own = 1 + (b * 5 + 3) % length;
    switch (kind) {
    case RIGHT: return s < own;
    case LEFT: return s >= length - own;
    case HOLES: return (s * 7 + b * 3) % 5 < 3;
    case NO_FIRST: return s > 0 && (s + b) % 4;
    case SOME_EMPTY: return b % 2 == 0 && s < own;
    case EMPTY: return false;
    default: return true;
    }
}

/* --- plans --- */

typedef struct Run {
    tenonc *compiler; /* holds the plan */
    tenon_plan *plan;
    tenon_session *session;
} Run;

static Counter counting;

static Run compile(const Model *m, const char *key, const char *value, bool must_fire) {
    Run r = {.compiler = tenonc_create(NULL)};
    tenon_error err;
    const void *bytes = NULL;
    size_t size = 0;
    char path[500];
    snprintf(path, sizeof path, "%s/%s", TENON_SOURCE_DIR "/tests/fixtures", m->path);
    if ((key && tenonc_set(r.compiler, key, value)) ||
        (must_fire && tenonc_set(r.compiler, "require-fusion", "unpad=1")) ||
        tenonc_add(r.compiler, path, NULL) || tenonc_compile_memory(r.compiler, &bytes, &size))
        fail_msg("%s: %s", m->path, tenonc_error(r.compiler)->text);
    tenon_allocator allocator = {count_allocate, count_release, &counting};
    tenon_plan_options options = {.struct_size = sizeof options, .allocator = &allocator};
    if (tenon_plan_open_memory(bytes, size, &options, &r.plan, &err) ||
        tenon_session_create(r.plan, NULL, &r.session, &err))
        fail_msg("%s: %s", m->path, err.text);
    return r;
}

static void release(Run *r) {
    tenon_session_destroy(r->session);
    tenon_plan_close(r->plan);
    tenonc_destroy(r->compiler);
}

/* --- inputs --- */

typedef struct Inputs {
    int64_t batch, length;
    int64_t mask[MAX_ROWS], ids[MAX_ROWS], zeros[MAX_ROWS];
    float image[MAX_PIXELS];
} Inputs;

static Inputs make_inputs(int64_t batch, int64_t length, Kind kind) {
    Inputs x = {.batch = batch, .length = length};
    for (int64_t i = 0; i < batch * length; i++) {
        x.mask[i] = allows(kind, i / length, i % length, length);
        x.ids[i] = 2 + i * 7 % 11;
    }
    return x;
}

static tenon_tensor one_image(const tenon_port *port, Inputs *x) {
    tenon_tensor t = {.dtype = TENON_F32, .rank = port->rank, .data = x->image};
    int64_t count = 1;
    for (int i = 0; i < port->rank; i++) count *= t.dims[i] = port->dims[i] < 0 ? 1 : port->dims[i];
    assert_true(count <= MAX_PIXELS);
    for (int64_t i = 0; i < count; i++) x->image[i] = (float)(i * 5 % 13) / 6 - 1;
    return t;
}

static void bind_inputs(const Run *r, Inputs *x) {
    tenon_port port;
    for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &port, NULL); i++) {
        if (port.is_output) continue;
        bool mask = strstr(port.name, "mask"), ids = !strcmp(port.name, "input_ids");
        tenon_tensor t = {.dtype = TENON_I64,
                          .rank = 2,
                          .dims = {x->batch, x->length},
                          .data = mask  ? x->mask
                                  : ids ? x->ids
                                        : x->zeros};
        tenon_error err;
        if (port.dtype == TENON_F32) t = one_image(&port, x);
        if (tenon_session_bind(r->session, port.name, &t, &err)) fail_msg("%s", err.text);
    }
}

static void run(const Run *r, const char *what) {
    tenon_error err;
    if (tenon_session_run(r->session, &err)) fail_msg("%s: %s", what, err.text);
}

/* --- results --- */

/* Whether t has a row for each of the inputs': of outputs that has one of them. */
static bool is_by_row(const tenon_tensor *t, const Inputs *x) {
    return t->rank >= 2 && t->dims[0] == x->batch && t->dims[1] == x->length &&
           (t->rank > 2 || x->length > 4);
}

static void compare(const char *what, const tenon_tensor *got, const tenon_tensor *want,
                    const Inputs *x, bool skip) {
    int64_t count = 1, row = 1;
    assert_int_equal(got->rank, want->rank);
    for (int i = 0; i < got->rank; i++) {
        assert_int_equal(got->dims[i], want->dims[i]);
        count *= got->dims[i];
        if (i > 1) row *= got->dims[i];
    }
    bool zeros = skip && is_by_row(got, x);
    const float *a = got->data, *b = want->data;
    for (int64_t i = 0; i < count; i++) {
        bool padding = zeros && !x->mask[i / row];
        double expected = padding ? 0 : (double)b[i];
        bool same = isnan(expected) ? isnan(a[i]) : fabs((double)a[i] - expected) <= 5e-5;
        if (!same)
            fail_msg("%s: element %lld is %g, not %g", what, (long long)i, (double)a[i], expected);
    }
}

static void compare_outputs(const char *what, const Run *got, const Run *want, const Inputs *x,
                            bool skip) {
    tenon_port port;
    tenon_error err;
    for (int i = 0; !tenon_plan_port(got->plan, NULL, i, &port, NULL); i++) {
        tenon_tensor a, b;
        if (!port.is_output || port.dtype != TENON_F32) continue;
        if (tenon_session_tensor(got->session, port.name, &a, &err) ||
            tenon_session_tensor(want->session, port.name, &b, &err))
            fail_msg("%s: %s", what, err.text);
        compare(what, &a, &b, x, skip);
    }
}

static void all_masks(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{3, 9}, {1, 9}, {4, 12}, {1, 5}, {2, 7}, {0, 6}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const Model *m = &models[i];
        Run got = compile(m, m->skip ? "padding" : NULL, "skip", true),
            want = compile(m, "unfused", "1", false);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (Kind kind = 0; kind < KINDS; kind++) {
                char what[200];
                Inputs x = make_inputs(sizes[k][0], sizes[k][1], kind);
                snprintf(what, sizeof what, "%s, %lld x %lld, mask %s", m->path, (long long)x.batch,
                         (long long)x.length, kind_names[kind]);
                bind_inputs(&got, &x);
                bind_inputs(&want, &x);
                run(&got, what);
                run(&want, what);
                compare_outputs(what, &got, &want, &x, m->skip);
            }
        release(&got);
        release(&want);
    }
}

/* Prepare makes room for all rows, and says where outputs will be; runs of other masks allocate
 * nothing. */
static void nothing_allocated(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        Run r = compile(&models[i], models[i].skip ? "padding" : NULL, "skip", true);
        Inputs x = make_inputs(3, 9, RIGHT);
        tenon_error err;
        tenon_port port;
        tenon_tensor t;
        bind_inputs(&r, &x);
        assert_int_equal(tenon_session_prepare(r.session, &err), TENON_OK);
        for (int k = 0; !tenon_plan_port(r.plan, NULL, k, &port, NULL); k++)
            assert_int_equal(tenon_session_tensor(r.session, port.name, &t, &err), TENON_OK);
        int before = counting.calls;
        for (Kind kind = 0; kind < KINDS; kind++) {
            Inputs other = make_inputs(3, 9, kind);
            memcpy(x.mask, other.mask, sizeof x.mask);
            run(&r, models[i].path);
        }
        assert_int_equal(counting.calls, before);
        release(&r);
    }
}

/* By default no row that is returned is zeroed. */
static void kept_by_default(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (!models[i].skip) continue;
        Run got = compile(&models[i], "padding", "keep", false),
            want = compile(&models[i], "unfused", "1", false);
        Inputs x = make_inputs(3, 9, RIGHT);
        bind_inputs(&got, &x);
        bind_inputs(&want, &x);
        run(&got, models[i].path);
        run(&want, models[i].path);
        compare_outputs(models[i].path, &got, &want, &x, false);
        release(&got);
        release(&want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_masks),
        cmocka_unit_test(nothing_allocated),
        cmocka_unit_test(kept_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
