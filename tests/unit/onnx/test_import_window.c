/* Operators of ONNX that slide a window over spatial axes: what the importer makes of them,
 * evaluated by the reference kernels, and what it refuses. */
#include <math.h>
#include "frontend/frontend.h"
#include "tests/support/expect_fail.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/scratch.h"

#define FILE_NAME "m.onnx"

typedef struct Expected {
    const char *model, *type;
    const double *values; /* of the first output */
} Expected;

static Graph *import(Cx *cx, const char *text) {
    write_model(FILE_NAME, text);
    Graph *g = onnx_import(ir_module_new(cx), FILE_NAME, NULL);
    const char *wrong = ir_verify(g);
    if (wrong) tn_fail(cx, TN_E_MODEL, "the graph is not sound: %s", wrong);
    return g;
}

static void check_values(Cx *cx, const void *arg) {
    const Expected *e = arg;
    Graph *g = import(cx, e->model);
    Tensor out[8];
    ir_eval(g, NULL, out, &cx->arena, NULL, NULL);
    assert_string_equal(ir_type_text(g->module, &g->outputs[0]->type), e->type);
    for (int64_t i = 0; i < tensor_count(out); i++) {
        double found = ir_element_f64(out->dtype, out->data, i), want = e->values[i];
        if (fabs(found - want) > 1e-5 * fmax(1, fabs(want)))
            tn_fail(cx, TN_E_MODEL, "element %d is %.9g, not %.9g", (int)i, found, want);
    }
}

#define VALUES(model, type, ...) \
    expect_ok(check_values, &(Expected){model, type, (const double[]){__VA_ARGS__}})

static void import_only(Cx *cx, const void *text) {
    import(cx, text);
}

static void refuse_code(TnStatus code, const char *model, const char *text) {
    char message[1024];
    snprintf(message, sizeof message, "m.onnx: node 'y' (%s", text);
    expect_fail(import_only, model, code, message);
}

static void refuse(const char *model, const char *text) {
    refuse_code(TN_E_MODEL, model, text);
}

/* --- pooling --- */

#define LINE  "const x f32 [1,1,5] 1 2 3 4 5\nout y\n"
#define IMAGE "const x f32 [1,1,3,3] 1 2 3 4 5 6 7 8 9\nout y\n"

static void test_max_pool(void **state) {
    (void)state;
    VALUES(LINE "y = MaxPool x {kernel_shape=[2]}", "f32[1, 1, 4]", 2, 3, 4, 5);
    VALUES(LINE "y = MaxPool x {kernel_shape=[2] strides=[2]}", "f32[1, 1, 2]", 2, 4);
    VALUES(LINE "y = MaxPool x {kernel_shape=[2] strides=[2] ceil_mode=1}", "f32[1, 1, 3]", 2, 4,
           5);
    /* a third window would start in the padding */
    VALUES(LINE "y = MaxPool x {kernel_shape=[1] strides=[3] ceil_mode=1 pads=[0,1]}",
           "f32[1, 1, 2]", 1, 4);
    VALUES(LINE "y = MaxPool x {kernel_shape=[2] dilations=[3] pads=[1,1]}", "f32[1, 1, 4]", 3, 4,
           5, 3);
    VALUES(LINE "y = MaxPool x {kernel_shape=[3] auto_pad=SAME_UPPER strides=[2]}", "f32[1, 1, 3]",
           2, 4, 5);
    VALUES(LINE "y = MaxPool x {kernel_shape=[2] auto_pad=SAME_LOWER strides=[2]}", "f32[1, 1, 3]",
           1, 3, 5);
    VALUES(LINE "y = MaxPool x {kernel_shape=[2] auto_pad=VALID strides=[2] ceil_mode=1}",
           "f32[1, 1, 2]", 2, 4);
    VALUES(IMAGE "v, y = MaxPool x {kernel_shape=[2,2]}", "i64[1, 1, 2, 2]", 4, 5, 7, 8);
    VALUES(IMAGE "v, y = MaxPool x {kernel_shape=[2,2] storage_order=1}", "i64[1, 1, 2, 2]", 4, 7,
           5, 8);
    VALUES("const x u8 [1,1,2] 200 3\ny = MaxPool x {kernel_shape=[2]}\nout y", "u8[1, 1, 1]", 200);
}

static void test_other_pools(void **state) {
    (void)state;
    VALUES(LINE "y = AveragePool x {kernel_shape=[3] pads=[1,1] strides=[2]}", "f32[1, 1, 3]", 1.5,
           3, 4.5);
    VALUES(LINE "y = AveragePool x {kernel_shape=[3] pads=[1,1] strides=[2] count_include_pad=1}",
           "f32[1, 1, 3]", 1, 3, 3);
    VALUES("opset 1\n" LINE "y = LpPool x {kernel_shape=[2] strides=[3] p=1.0}", "f32[1, 1, 2]", 3,
           9);
    VALUES("const x f32 [1,1,2] 3 -4\ny = LpPool x {kernel_shape=[2]}\nout y", "f32[1, 1, 1]", 5);
    VALUES(IMAGE "y = GlobalMaxPool x", "f32[1, 1, 1, 1]", 9);
    VALUES(IMAGE "y = GlobalAveragePool x", "f32[1, 1, 1, 1]", 5);
    VALUES("const x f32 [1,1,2] 3 -4\ny = GlobalLpPool x\nout y", "f32[1, 1, 1]", 5);
    VALUES("const x f32 [1,1,2] 3 -4\ny = GlobalLpPool x {p=1}\nout y", "f32[1, 1, 1]", 7);
    VALUES("const x f32 [1,3,1] 1 2 3\ny = LRN x {size=2 alpha=2.0 beta=1.0}\nout y",
           "f32[1, 3, 1]", 1 / 6.0, 2 / 14.0, 3 / 10.0);
    VALUES("const x f32 [1,1,2] 7 8\nconst i i64 [1,1,2] 1 2\n"
           "y = MaxUnpool x i {kernel_shape=[2] strides=[2]}\nout y",
           "f32[1, 1, 4]", 0, 7, 8, 0);
    VALUES("const x f32 [1,1,2] 7 8\nconst i i64 [1,1,2] 1 2\nconst s i64 [3] 1 1 5\n"
           "y = MaxUnpool x i s {kernel_shape=[2] strides=[2]}\nout y",
           "f32[1, 1, 5]", 0, 7, 8, 0, 0);
}

static void test_pool_errors(void **state) {
    (void)state;
    refuse(LINE "y = MaxPool x", "MaxPool): attribute 'kernel_shape' is missing");
    refuse(LINE "y = MaxPool x {kernel_shape=[0]}",
           "MaxPool): attribute 'kernel_shape' contains 0");
    refuse(LINE "y = MaxPool x {kernel_shape=[2,2]}",
           "MaxPool): attribute 'kernel_shape' has 2 entries, wanted 1");
    refuse(LINE "y = MaxPool x {kernel_shape=[2] strides=[-1]}",
           "MaxPool): attribute 'strides' contains -1");
    refuse(LINE "y = AveragePool x {kernel_shape=[2] dilations=[4611686018427387904]}",
           "AveragePool): attribute 'dilations' contains 4611686018427387904");
    refuse(LINE "y = AveragePool x {kernel_shape=[2] pads=[4611686018427387904,0]}",
           "AveragePool): attribute 'pads' contains 4611686018427387904");
    refuse(LINE "y = MaxPool x {kernel_shape=[7]}",
           "MaxPool): the kernel is longer than the input: 0 > -2");
    refuse(LINE "y = MaxPool x {kernel_shape=[2] auto_pad=SAME}",
           "MaxPool): attribute 'auto_pad' is 'SAME', not one of NOTSET, VALID, SAME_UPPER, "
           "SAME_LOWER");
    refuse(LINE "y = LpPool x {kernel_shape=[2] p=0}", "LpPool): p is 0, wanted more than 0");
    refuse(LINE "y = LRN x {size=0}", "LRN): attribute 'size' is 0");
    refuse("in x f32 [2,2]\ny = MaxPool x {kernel_shape=[2]}\nout y",
           "MaxPool): input 0 is f32[2, 2], without spatial axes");
    refuse_code(TN_E_UNSUPPORTED,
                "in x f32 [1,1,2,2,2,2]\ny = MaxPool x {kernel_shape=[1,1,1,1]}\nout y",
                "MaxPool): input 0 is f32[1, 1, 2, 2, 2, 2]: more than 3 spatial axes are "
                "unsupported");
    refuse(LINE "const i i64 [1,1,4] 1 2 3 4\ny = MaxUnpool x i {kernel_shape=[2]}",
           "MaxUnpool): dims differ, 5 and 4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_pool),
        cmocka_unit_test(test_other_pools),
        cmocka_unit_test(test_pool_errors),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
