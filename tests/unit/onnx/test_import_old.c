/* Operators as the first opsets had them: what has changed since, evaluated by the reference
 * kernels. */
#include "tests/support/onnx_values.h"

#define SIX "const x f32 [2,3] 1 2 3 4 5 6\n"

static void test_alignment(void **state) {
    (void)state;
    VALUES("opset 6\n" SIX "const b f32 [3] 1 2 3\ny = Sub x b {broadcast=1}\nout y", "f32[2, 3]",
           0, 0, 0, 3, 3, 3);
    VALUES("opset 6\n" SIX "const b f32 [2] 1 2\ny = Sub x b {broadcast=1 axis=0}\nout y",
           "f32[2, 3]", 0, 1, 2, 2, 3, 4);
    VALUES("opset 1\n" SIX "const b f32 [] 3\ny = Greater x b {broadcast=1}\nout y", "bool[2, 3]",
           0, 0, 0, 1, 1, 1);
    VALUES("opset 5\n" SIX "const b f32 [2] 3 5\ny = Less x b {broadcast=1 axis=-2}\nout y",
           "bool[2, 3]", 1, 1, 0, 1, 0, 0);
    VALUES("opset 1\n" SIX "y = Mul x x {consumed_inputs=[0,0]}\nout y", "f32[2, 3]", 1, 4, 9, 16,
           25, 36);
    VALUES("opset 6\n" SIX "const s f32 [3] 2 2 2\nn = Neg x\ny = PRelu n s\nout y", "f32[2, 3]",
           -2, -4, -6, -8, -10, -12);
    VALUES("opset 6\nconst a f32 [1,2] 1 2\nconst b f32 [2,1] 3 4\nconst c f32 [1] 5\n"
           "y = Gemm a b c {broadcast=1}\nout y",
           "f32[1, 1]", 16);
}

static void test_attributes(void **state) {
    (void)state;
    VALUES("opset 4\n" SIX "y = Reshape x {shape=[0,-1,1]}\nout y", "f32[2, 3, 1]", 1, 2, 3, 4, 5,
           6);
    VALUES("opset 5\n" SIX "y = Cast x {to=INT32}\nout y i32", "i32[2, 3]", 1, 2, 3, 4, 5, 6);
    VALUES("opset 3\n" SIX "y = Concat x x\nout y", "f32[2, 6]", 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5,
           6);
    VALUES("opset 1\nconst x f32 [1,2] 1 2\ny = Pad x {paddings=[0,1,0,0] value=7.0}\nout y",
           "f32[1, 3]", 7, 1, 2);
    VALUES("opset 1\n" SIX "const s i64 [2] 1 2\na, y = Split x s {axis=1}\nout y", "f32[2, 2]", 2,
           3, 5, 6);
    VALUES("opset 1\nconst x f32 [1,2] 1 2\nconst n i64 [] 2\nconst a i64 [] 1\ny = Tile x n a\n"
           "out y",
           "f32[1, 4]", 1, 2, 1, 2);
    VALUES("opset 5\nconst x f32 [1] 1\ny = Selu x\nout y", "f32[1]", 1.0507);
    VALUES("opset 6\nconst x f32 [2] inf -inf\ny = Clip x\nout y", "f32[2]", 3.4028234663852886e38,
           -3.4028234663852886e38);
    VALUES("opset 5\nconst x f32 [2] inf -inf\ny = Clip x\nout y", "f32[2]", INFINITY, -INFINITY);
    VALUES("opset 6\n" SIX "y, m = Dropout x {is_test=1}\nout m", "f32[2, 3]", 1, 1, 1, 1, 1, 1);
}

static void refuse(const char *model, TnStatus code, const char *text) {
    refuse_model(model, code, "node 'y' ", text);
}

static void test_refused(void **state) {
    (void)state;
    refuse("opset 6\n" SIX "const b f32 [3] 1 2 3\ny = Add x b\nout y", TN_E_MODEL,
           "(Add): f32[2, 3] and f32[3] do not have the same dims");
    refuse("opset 6\n" SIX "const b f32 [3] 1 2 3\ny = Add x b {broadcast=1 axis=0}\nout y",
           TN_E_MODEL, "(Add): f32[2, 3] and f32[3, 1] do not broadcast, dimensions 2 and 3");
    refuse("opset 6\n" SIX "const b f32 [3] 1 2 3\ny = Add b x {broadcast=1 axis=0}\nout y",
           TN_E_MODEL, "(Add): f32[2, 3] does not fit into f32[3] from axis 0 on");
    refuse("opset 5\n" SIX "y = Cast x {to=INT33}\nout y", TN_E_MODEL,
           "(Cast): attribute 'to' is 'INT33', no element type");
    refuse("opset 6\n" SIX "y = Neg x {consumed_inputs=[0]}\nout y", TN_E_MODEL,
           "(Neg): unknown attribute 'consumed_inputs'");
    refuse("opset 6\n" SIX "y = Dropout x\nout y", TN_E_UNSUPPORTED,
           "(Dropout): is_test=0, training, is unsupported");
    refuse("opset 7\n" SIX "const b f32 [3] 1 2 3\ny = Max x b\nout y", TN_E_MODEL,
           "(Max): f32[2, 3] and f32[3] do not have the same dims");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
