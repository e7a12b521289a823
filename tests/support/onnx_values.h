/* What the ONNX importer makes of a model in the text form of onnx_builder.h, evaluated by the
 * reference kernels and compared with the numbers wanted.
 *
 *     VALUES("const x f32 [2] 1 -2\ny = Abs x\nout y", "f32[2]", 1, 2); */
#ifndef TENON_TESTS_SUPPORT_ONNX_VALUES_H
#define TENON_TESTS_SUPPORT_ONNX_VALUES_H

#include <math.h>
#include <stdio.h>
#include "frontend/frontend.h"
#include "tests/support/expect_fail.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/scratch.h"

#define ONNX_FILE "m.onnx"

static inline Graph *import_graph(Cx *cx, const char *text) {
    write_model(ONNX_FILE, text);
    Graph *g = onnx_import(ir_module_new(cx), ONNX_FILE, NULL);
    const char *wrong = ir_verify(g);
    if (wrong) tn_fail(cx, TN_E_MODEL, "the graph is not sound: %s", wrong);
    return g;
}

/* For expect_fail: only imports. */
static inline void import_model(Cx *cx, const void *text) {
    import_graph(cx, text);
}

/* The import fails with the message "m.onnx: <before><text>". */
static inline void refuse_model(const char *model, TnStatus code, const char *before,
                                const char *text) {
    char message[2048];
    snprintf(message, sizeof message, ONNX_FILE ": %s%s", before, text);
    expect_fail(import_model, model, code, message);
}

/* The same of the node whose first output is y: "m.onnx: node 'y' (OP): <text>". */
static inline void refuse_y(const char *model, TnStatus code, const char *op, const char *text) {
    char before[256];
    snprintf(before, sizeof before, "node 'y' (%s): ", op);
    refuse_model(model, code, before, text);
}

typedef struct Expected {
    const char *model, *type;
    const double *values; /* of the first output */
} Expected;

static inline void check_values(Cx *cx, const void *arg) {
    const Expected *e = arg;
    Graph *g = import_graph(cx, e->model);
    Tensor out[8];
    ir_eval(g, NULL, out, &cx->arena, NULL, NULL);
    assert_string_equal(ir_type_text(g->module, &g->outputs[0]->type), e->type);
    for (int64_t i = 0; i < tensor_count(out); i++) {
        double found = ir_element_f64(out->dtype, out->data, i), want = e->values[i];
        if (isnan(found) != isnan(want) ||
            (found != want && fabs(found - want) > 1e-5 * fmax(1, fabs(want))))
            tn_fail(cx, TN_E_MODEL, "element %d is %.9g, not %.9g", (int)i, found, want);
    }
}

static inline void expect_values(const char *model, const char *type, const double *values) {
    expect_ok(check_values, &(Expected){model, type, values});
}

#define VALUES(model, type, ...) expect_values(model, type, (const double[]){__VA_ARGS__})

#endif
