/* Operators of ONNX that write at positions from data, order and select: what the importer makes of
 * them, evaluated by the reference kernels, and what it refuses. Numbers are those of the ONNX
 * specification's reference implementation or, for special values, ONNX Runtime's. */
#include "tests/support/onnx_values.h"

static void refuse(const char *model, const char *text) {
    refuse_model(model, TN_E_MODEL, "node 'y' (", text);
}

/* --- scatters --- */

#define LINE5 "const x f32 [5] 1 2 3 4 5\nout y\n"

static void test_scatters(void **state) {
    (void)state;
    VALUES("opset 9\n" LINE5 "const i i64 [2] 1 3\nconst u f32 [2] 7 8\ny = Scatter x i u",
           "f32[5]", 1, 7, 3, 8, 5);
    VALUES(LINE5 "const i i32 [2] -1 -5\nconst u f32 [2] 7 8\ny = ScatterElements x i u", "f32[5]",
           8, 2, 3, 4, 7);
    VALUES(LINE5 "const i i64 [2] 1 1\nconst u f32 [2] 7 8\n"
                 "y = ScatterElements x i u {reduction=mul}",
           "f32[5]", 1, 112, 3, 4, 5);
    VALUES(LINE5 "const i i64 [2,1] 4 4\nconst u f32 [2] 7 8\ny = ScatterND x i u", "f32[5]", 1, 2,
           3, 4, 8);
    VALUES("const x i8 [2,2] 1 2 3 4\nconst i i64 [1] 1\nconst u i8 [2] 0 9\n"
           "y = ScatterND x i u {reduction=min}\nout y",
           "i8[2, 2]", 1, 2, 0, 4);
    refuse(LINE5 "const i i64 [1] 1\nconst u f32 [1] 7\ny = ScatterElements x i u {reduction=xor}",
           "ScatterElements): attribute 'reduction' is 'xor', not one of none, add, mul, min, max");
    refuse(LINE5 "const i i64 [1] 1\nconst u f32 [2] 7 8\ny = ScatterElements x i u",
           "ScatterElements): dimensions of indices and updates differ, 1 and 2");
    refuse(LINE5 "const i i64 [1] 1\nconst u f64 [1] 7\ny = ScatterElements x i u",
           "ScatterElements): operands have types f32 and f64");
    refuse(LINE5 "const i f32 [1] 1\nconst u f32 [1] 7\ny = ScatterElements x i u",
           "ScatterElements): operand 1 has type f32, not i32 or i64");
    refuse(LINE5 "const i i64 [2] 1 1\nconst u f32 [1] 7\ny = ScatterND x i u",
           "ScatterND): indices i64[2] and updates f32[1] for f32[5]");
    refuse("in x f32 [2,3]\nconst i i64 [3,1] 0 1 2\nconst u f32 [3,1] 7 8 9\n"
           "y = ScatterElements x i u {axis=1}\nout y",
           "ScatterElements): more indices than the tensor has: 3 > 2");
}

#define CACHE "const x f32 [1,4,2] 1 2 3 4 5 6 7 8\nconst u f32 [1,2,2] 20 30 40 50\nout y\n"

static void test_tensor_scatter(void **state) {
    (void)state;
    VALUES("opset 24\n" CACHE "const i i64 [1] 1\ny = TensorScatter x u i", "f32[1, 4, 2]", 1, 2,
           20, 30, 40, 50, 7, 8);
    VALUES("opset 24\n" CACHE "const i i64 [1] 3\ny = TensorScatter x u i {mode=circular}",
           "f32[1, 4, 2]", 40, 50, 3, 4, 5, 6, 20, 30);
    VALUES("opset 24\n" CACHE "y = TensorScatter x u", "f32[1, 4, 2]", 20, 30, 40, 50, 5, 6, 7, 8);
    refuse("opset 24\n" CACHE "y = TensorScatter x u {axis=0}",
           "TensorScatter): axis is that of the batch");
    refuse("opset 24\n" CACHE "const i i64 [2] 0 0\ny = TensorScatter x u i",
           "TensorScatter): write_indices and the batch differ, 2 and 1");
}

/* --- orders --- */

#define MIXED "const x f32 [5] 1 3 nan 3 -2\n"

static void test_topk(void **state) {
    (void)state;
    VALUES("opset 1\n" MIXED "v, y = TopK x {k=3}\nout y", "i64[3]", 2, 1, 3);
    VALUES("opset 10\n" MIXED "const k i64 [1] 2\ny, i = TopK x k {axis=0}\nout y", "f32[2]", NAN,
           3);
    VALUES(MIXED "const k i64 [1] 5\nv, y = TopK x k {largest=0}\nout y", "i64[5]", 4, 0, 1, 3, 2);
    VALUES(MIXED "const k i64 [1] 0\ny, i = TopK x k\nout y", "f32[0]", 0);
    refuse(MIXED "const k i64 [1] 6\ny, i = TopK x k\nout y",
           "TopK): more elements wanted than there are: 6 > 5");
    refuse(MIXED "const k i64 [1] -1\ny, i = TopK x k\nout y",
           "TopK): negative number of elements: -1 < 0");
    refuse(MIXED "const k i64 [2] 1 1\ny, i = TopK x k\nout y", "TopK): k has 2 elements, not one");
    refuse(MIXED "const k i64 [1] 1\ny, i = TopK x k {largest=2}\nout y",
           "TopK): attribute 'largest' is 2, not 0 or 1");
}

static void test_extremes(void **state) {
    (void)state;
    VALUES(MIXED "y = ArgMax x\nout y", "i64[1]", 2);
    VALUES(MIXED "y = ArgMin x {keepdims=0}\nout y", "i64[]", 2);
    VALUES("const x f32 [4] 1 3 3 1\ny = ArgMax x {select_last_index=1}\nout y", "i64[1]", 2);
    VALUES("const x f32 [2,3] 1 3 3 0 0 0\ny = Hardmax x\nout y", "f32[2, 3]", 0, 1, 0, 1, 0, 0);
    VALUES("opset 12\nconst x f32 [1,2,2] 1 3 3 0\ny = Hardmax x\nout y", "f32[1, 2, 2]", 0, 1, 0,
           0);
}

static void test_runs(void **state) {
    (void)state;
    VALUES("opset 26\nconst x f32 [4] 1 2 3 4\nconst a i64 [] 0\ny = CumProd x a\nout y", "f32[4]",
           1, 2, 6, 24);
    VALUES("opset 26\nconst x i8 [4] 1 2 3 100\nconst a i64 [] -1\n"
           "y = CumProd x a {exclusive=1 reverse=1}\nout y",
           "i8[4]", 88, 44, 100, 1);
    VALUES("const x f32 [4,2] 1 2 3 4 5 6 7 8\nconst n i64 [2] 4 1\n"
           "y = ReverseSequence x n\nout y",
           "f32[4, 2]", 7, 2, 5, 4, 3, 6, 1, 8);
    VALUES("const x f32 [2,4] 1 2 3 4 5 6 7 8\nconst n i64 [2] 0 3\n"
           "y = ReverseSequence x n {batch_axis=0 time_axis=1}\nout y",
           "f32[2, 4]", 1, 2, 3, 4, 7, 6, 5, 8);
    refuse("const x f32 [2,4] 1 2 3 4 5 6 7 8\nconst n i64 [2] 0 3\n"
           "y = ReverseSequence x n {batch_axis=0 time_axis=0}\nout y",
           "ReverseSequence): batch_axis 0 and time_axis 0 of f32[2, 4], not 0 and 1");
}

/* --- selections --- */

static void test_selections(void **state) {
    (void)state;
    VALUES("const x f32 [2,2] 0 -1 nan 0\ny = NonZero x\nout y", "i64[2, y.0]", 0, 1, 1, 0);
    VALUES("const s i64 [1] 3\nx = ConstantOfShape s {value=i64[1]}\ny = NonZero x\nout y",
           "i64[1, 3]", 0, 1, 2);
    VALUES("const x f32 [2,3] 1 2 3 4 5 6\nconst c bool [2] 0 1\ny = Compress x c {axis=1}\nout y",
           "f32[2, 1]", 2, 5);
    VALUES("const x f32 [2,2] 1 2 3 4\nconst c bool [6] 1 0 0 1 1 1\ny = Compress x c\nout y",
           "f32[2]", 1, 4);
    VALUES("const x f32 [6] 2 1 1 3 4 3\ny, i, r, n = Unique x\nout y\nout i\nout r\nout n",
           "f32[y.0]", 1, 2, 3, 4);
    VALUES("const x f32 [6] 2 1 1 3 4 3\ny, n, r, i = Unique x {sorted=0}\nout r", "i64[6]", 0, 1,
           1, 2, 3, 2);
    VALUES("const x i8 [3,2] 5 6 1 2 5 6\ny, n = Unique x {axis=0}\nout n", "i64[y.0]", 1, 0);
    refuse("in x f32 [2]\nconst c f32 [2] 0 1\ny = Compress x c\nout y",
           "Compress): the condition is f32[2], not a vector of bool");
}

#define BOXES                                             \
    "const b f32 [1,3,4] 0 0 1 1 0 0.1 1 1.1 0 10 1 11\n" \
    "const s f32 [1,1,3] 0.9 0.75 0.6\nout y\n"

static void test_nms(void **state) {
    (void)state;
    VALUES(BOXES "const m i64 [1] 3\nconst o f32 [1] 0.5\ny = NonMaxSuppression b s m o",
           "i64[y.0, 3]", 0, 0, 0, 0, 0, 2);
    VALUES(BOXES "const m i64 [] 2\nconst o f32 [] 0.9\nconst t f32 [] 0.7\n"
                 "y = NonMaxSuppression b s m o t",
           "i64[y.0, 3]", 0, 0, 0, 0, 0, 1);
    VALUES(BOXES "y = NonMaxSuppression b s", "i64[0, 3]", 0);
    VALUES(BOXES "const m i64 [1] -4\ny = NonMaxSuppression b s m", "i64[0, 3]", 0);
    refuse(BOXES "const m i64 [2] 1 1\ny = NonMaxSuppression b s m",
           "NonMaxSuppression): element counts of i64[2] and i64[1] differ, 2 and 1");
    refuse(BOXES "const m i32 [1] 1\ny = NonMaxSuppression b s m",
           "NonMaxSuppression): max_output_boxes_per_class is i32[1], not one element of i64");
    refuse("const b f32 [1,3,5] 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nconst s f32 [1,1,3] 0 0 0\n"
           "y = NonMaxSuppression b s\nout y",
           "NonMaxSuppression): coordinates of a box and 4 differ, 5 and 4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scatters), cmocka_unit_test(test_tensor_scatter),
        cmocka_unit_test(test_topk),     cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_runs),     cmocka_unit_test(test_selections),
        cmocka_unit_test(test_nms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
