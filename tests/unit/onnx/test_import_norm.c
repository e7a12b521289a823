/* ONNX normalisation, losses and reductions that are functions, evaluated by the reference kernels.
 *
 * Numbers were computed by hand or by the formulas of the ONNX specification. */
#include "tests/support/onnx_values.h"

#define ROWS "const x f32 [2,2] 1 3 2 8\nconst g f32 [2] 1 2\n"

static void test_layer_norm(void **state) {
    (void)state;
    VALUES(ROWS "y = LayerNormalization x g {epsilon=0.0}\nout y", "f32[2, 2]", -1, 2, -1, 2);
    VALUES(ROWS "y, m = LayerNormalization x g {epsilon=0.0}\nout m", "f32[2, 1]", 2, 5);
    VALUES(ROWS "y, m, d = LayerNormalization x g {epsilon=0.0}\nout d", "f32[2, 1]", 1,
           0.333333333);
    VALUES("const x f32 [2,1,2] 1 3 2 8\nconst g f32 [2] 1 1\n"
           "y, m, d = LayerNormalization x g {axis=0 epsilon=0.0}\nout m",
           "f32[1, 1, 1]", 3.5);
    VALUES(ROWS "y, m = LayerNormalization x g {stash_type=16}\nout m", "bf16[2, 1]", 2, 5);
    VALUES("opset 23\nconst x f32 [1,2] 3 4\nconst g f32 [2] 1 2\n"
           "y = RMSNormalization x g {epsilon=0.0}\nout y",
           "f32[1, 2]", 0.848528137, 2.26274170);
}

static void test_other_norms(void **state) {
    (void)state;
    VALUES("const x f32 [2,2] 3 4 0 0\ny = LpNormalization x\nout y", "f32[2, 2]", 0.6, 0.8, 0, 0);
    VALUES("const x f32 [2,2] 3 -1 0 0\ny = LpNormalization x {p=1}\nout y", "f32[2, 2]", 0.75,
           -0.25, 0, 0);
    VALUES("const x f32 [2,2] 3 0 4 0\ny = LpNormalization x {axis=0}\nout y", "f32[2, 2]", 0.6, 0,
           0.8, 0);
    VALUES("const x f32 [1,2,1,2] 1 3 2 8\ny = MeanVarianceNormalization x\nout y",
           "f32[1, 2, 1, 2]", -1, 1, -1, 1);
    VALUES("const x f32 [2,2] 1 3 2 8\ny = MeanVarianceNormalization x {axes=[0]}\nout y",
           "f32[2, 2]", -1, -1, 1, 1);
}

#define SCORES "const x f32 [2,3] 1 2 3 4 5 6\nconst t i64 [2] 2 0\nconst w f32 [3] 1 2 4\n"

static void test_losses(void **state) {
    (void)state;
#define NLL "y = NegativeLogLikelihoodLoss "
    VALUES(SCORES NLL "x t {reduction=none}\nout y", "f32[2]", -3, -4);
    VALUES(SCORES NLL "x t {reduction=sum}\nout y", "f32[]", -7);
    VALUES(SCORES NLL "x t\nout y", "f32[]", -3.5);
    VALUES(SCORES NLL "x t w\nout y", "f32[]", -3.2);
    VALUES(SCORES NLL "x t w {ignore_index=2}\nout y", "f32[]", -4);
    VALUES(SCORES NLL "x t {ignore_index=0}\nout y", "f32[]", -3);
    VALUES("const x f32 [2,1] 5 inf\nconst t i32 [2] 0 -100\n" NLL
           "x t {ignore_index=-100 reduction=none}\nout y",
           "f32[2]", -5, 0);
    VALUES("const x f32 [1,2,2] 1 2 3 4\nconst t i64 [1,2] 0 1\n" NLL "x t {reduction=none}\nout y",
           "f32[1, 2]", -1, -4);
    VALUES(SCORES "y = SoftmaxCrossEntropyLoss x t {reduction=none}\nout y", "f32[2]", 0.407605964,
           2.40760596);
    VALUES(SCORES "y, p = SoftmaxCrossEntropyLoss x t\nout p", "f32[2, 3]", -2.40760596,
           -1.40760596, -0.407605964, -2.40760596, -1.40760596, -0.407605964);
}

static void test_reductions(void **state) {
    (void)state;
    VALUES("const x f32 [3] 1000 1000 -inf\ny = ReduceLogSumExp x\nout y", "f32[1]", 1000.69315);
    VALUES("const x f32 [2] -inf -inf\ny = ReduceLogSumExp x {keepdims=0}\nout y", "f32[]",
           -INFINITY);
    VALUES("const x f32 [2] inf 1\ny = ReduceLogSumExp x\nout y", "f32[1]", INFINITY);
    VALUES("const x f32 [2] nan 1\ny = ReduceLogSumExp x\nout y", "f32[1]", NAN);
    VALUES("const x f32 [2,0]\nconst a i64 [1] 1\ny = ReduceLogSumExp x a\nout y", "f32[2, 1]",
           -INFINITY, -INFINITY);
    VALUES("const x i32 [2] 3 4\ny = ReduceL2 x\nout y", "i32[1]", 5);
    VALUES("const x i32 [2] -3 -4\ny = ReduceMean x\nout y", "i32[1]", -3);
    VALUES("opset 26\nconst x i32 [3] 2 3 4\nconst a i64 [] 0\n"
           "y = CumProd x a {exclusive=1 reverse=1}\nout y",
           "i32[3]", 12, 4, 1);
    VALUES("const x u8 [2] 255 7\ny = ReduceMax x\nout y", "u8[1]", 255);
}

static void refuse(const char *model, const char *text) {
    refuse_model(model, TN_E_MODEL, "node 'y' ", text);
}

static void test_refused(void **state) {
    (void)state;
    refuse(SCORES NLL "t x\nout y", "(NegativeLogLikelihoodLoss): targets f32[2, 3] for i64[2]");
    refuse(SCORES NLL "x t x\nout y",
           "(NegativeLogLikelihoodLoss): weight is f32[2, 3], not a vector");
    refuse(
        SCORES NLL "x t {reduction=max}\nout y",
        "(NegativeLogLikelihoodLoss): attribute 'reduction' is 'max', not one of none, sum, mean");
    refuse(ROWS "y = LpNormalization x {p=3}\nout y", "(LpNormalization): attribute 'p' is 3");
    refuse(ROWS "y = LayerNormalization x g {stash_type=7}\nout y",
           "(LayerNormalization): attribute 'stash_type' is i64, no float type");
    refuse(ROWS "y = MeanVarianceNormalization x\nout y",
           "(MeanVarianceNormalization): axis 2 of a tensor of rank 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_other_norms),
        cmocka_unit_test(test_losses),     cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
