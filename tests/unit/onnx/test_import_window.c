/* Operators of ONNX that slide a window over spatial axes: what the importer makes of them,
 * evaluated by the reference kernels, and what it refuses. */
#include "tests/support/onnx_values.h"

static void refuse_code(TnStatus code, const char *model, const char *text) {
    refuse_model(model, code, "node 'y' (", text);
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
           "MaxPool): the kernel is longer than the input: 7 > 5");
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

/* --- convolutions --- */

static void test_conv_forms(void **state) {
    (void)state;
    VALUES("const x f64 [1,1,3] 1 2 4\nconst w f64 [1,1,2] 1 10\ny = Conv x w\nout y",
           "f64[1, 1, 2]", 21, 42);
    VALUES("const x f32 [1,1,5] 1 2 3 4 5\nconst w f32 [1,1,2] 1 10\n"
           "y = Conv x w {auto_pad=SAME_UPPER strides=[3]}\nout y",
           "f32[1, 1, 2]", 21, 54);
    VALUES("const x u8 [1,1,3] 2 3 4\nconst w u8 [2,1,2] 1 2 3 4\nconst a u8 [] 1\n"
           "const b u8 [2] 1 2\ny = ConvInteger x w a b {pads=[1,0]}\nout y",
           "i32[1, 2, 3]", 1, 2, 3, 2, 5, 8);
    /* 300 products: two channels, then one */
    VALUES("const s i64 [3] 1 3 100\nx = ConstantOfShape s {value=u8[2]}\n"
           "w = ConstantOfShape s {value=u8[200]}\nconst b u8 [] 1\ny = ConvInteger x w b\nout y",
           "i32[1, 1, 1]", 60000);
    VALUES("const x i8 [1,1,2] 10 -10\nconst w i8 [2,1,1] 2 3\nconst s f32 [] 0.5\n"
           "const t f32 [2] 1 0.5\nconst z i8 [] 0\nconst u f32 [] 0.1\nconst v i8 [] 1\n"
           "const b i32 [2] 1 0\ny = QLinearConv x s z w t z u v b\nout y",
           "i8[1, 2, 2]", 106, -94, 76, -74);
}

static void test_transposed(void **state) {
    (void)state;
    const char *line = "const x f32 [1,1,2] 1 2\nconst w f32 [1,1,3] 1 10 100\nout y\n";
    char model[512];
#define TRANSPOSED(attributes, type, ...)                                            \
    snprintf(model, sizeof model, "%sy = ConvTranspose x w {" attributes "}", line); \
    VALUES(model, type, __VA_ARGS__)
    TRANSPOSED("group=1", "f32[1, 1, 4]", 1, 12, 120, 200);
    TRANSPOSED("strides=[2] pads=[1,1]", "f32[1, 1, 3]", 10, 102, 20);
    TRANSPOSED("strides=[2] output_padding=[1]", "f32[1, 1, 6]", 1, 10, 102, 20, 200, 0);
    TRANSPOSED("dilations=[2]", "f32[1, 1, 6]", 1, 2, 10, 20, 100, 200);
    TRANSPOSED("strides=[2] auto_pad=SAME_UPPER", "f32[1, 1, 4]", 1, 10, 102, 20);
    TRANSPOSED("strides=[2] auto_pad=SAME_LOWER", "f32[1, 1, 4]", 10, 102, 20, 200);
    TRANSPOSED("output_shape=[3]", "f32[1, 1, 3]", 12, 120, 200);
    TRANSPOSED("output_shape=[1,1,3] auto_pad=SAME_UPPER", "f32[1, 1, 3]", 1, 12, 120);
    VALUES("opset 10\nconst x f32 [1,1,2] 1 2\nconst w f32 [1,1,3] 1 10 100\n"
           "y = ConvTranspose x w {output_shape=[3]}\nout y",
           "f32[1, 1, 3]", 1, 12, 120);
    VALUES("const x f32 [1,2,1] 1 2\nconst w f32 [2,1,2] 1 2 3 4\nconst b f32 [2] 100 200\n"
           "y = ConvTranspose x w b {group=2}\nout y",
           "f32[1, 2, 2]", 101, 102, 206, 208);
    VALUES(
        "const x f32 [1,1,1] 2\nconst w f32 [1,1,2] 1 3\na = Cast x {to=10}\nb = Cast w {to=10}\n"
        "y = ConvTranspose a b\nout y",
        "f16[1, 1, 2]", 2, 6);
}

static void test_columns(void **state) {
    (void)state;
    VALUES("const x f32 [1,2,3] 1 2 3 10 20 30\nconst i i64 [1] 4\nconst b i64 [1] 2\n"
           "y = Col2Im x i b\nout y",
           "f32[1, 1, 4]", 1, 12, 23, 30);
    VALUES("const x u8 [1,2,2] 1 2 3 4\nconst i i64 [2] 2 1\nconst b i64 [2] 2 1\n"
           "y = Col2Im x i b {pads=[1,0,0,0]}\nout y",
           "u8[1, 1, 2, 1]", 5, 4);
    VALUES("const x f32 [1,1,2,2] 1 2 3 4\nconst w f32 [1,1,1,1] 10\n"
           "const o f32 [1,2,2,2] 0.5 0.5 0.5 0.5 -1 -1 -1 -1\nconst b f32 [1] 1\n"
           "y = DeformConv x w o b\nout y",
           "f32[1, 1, 2, 2]", 1, 21, 1, 16);
}

static void test_batch_norm(void **state) {
    (void)state;
    const char *rest = "const x f32 [2,1,2] 1 2 3 6\nconst s f32 [1] 2\nconst b f32 [1] 1\n"
                       "const m f32 [1] 1\nconst v f32 [1] 4\nout y\n";
    char model[512];
#define NORMALISED(head, tail, ...)                                             \
    snprintf(model, sizeof model, "%s%s%s", head, rest, tail " {epsilon=0.0}"); \
    VALUES(model, __VA_ARGS__)
    NORMALISED("", "y = BatchNormalization x s b m v", "f32[2, 1, 2]", 1, 2, 3, 6);
    NORMALISED("opset 6\n", "y = BatchNormalization x s b m v", "f32[2, 1, 2]", 1, 2, 3, 6);
    snprintf(model, sizeof model, "%s%s", rest,
             "z, y, w = BatchNormalization x s b m v {training_mode=1 momentum=0.5}");
    VALUES(model, "f32[1]", 2);
    snprintf(model, sizeof model, "%s%s", rest,
             "z, w, y = BatchNormalization x s b m v {training_mode=1 momentum=0.5}");
    VALUES(model, "f32[1]", 3.75);
    VALUES("opset 7\nconst x f32 [1,2] 1 2\nconst s f32 [2] 1 2\n"
           "y = BatchNormalization x s s s s {spatial=0 epsilon=0.0}\nout y",
           "f32[1, 2]", 1, 2);
}

static void test_conv_errors(void **state) {
    (void)state;
    const char *const transposed = "in x f32 [1,4,2]\nin w f32 [4,1,3]\nout y\n";
    char model[512];
#define REFUSED(attributes, text)                                                          \
    snprintf(model, sizeof model, "%sy = ConvTranspose x w {" attributes "}", transposed); \
    refuse(model, "ConvTranspose): " text)
    REFUSED("group=0", "0 parts of a dimension");
    REFUSED("group=3", "equal parts and the dimension they make up differ, 3 and 4");
    REFUSED("strides=[0]", "attribute 'strides' contains 0");
    REFUSED("dilations=[4611686018427387904]",
            "attribute 'dilations' contains 4611686018427387904");
    REFUSED("pads=[4611686018427387904,0]", "attribute 'pads' contains 4611686018427387904");
    REFUSED("pads=[3,3]", "more padding than result: 6 > 4");
    REFUSED("output_padding=[-1]", "attribute 'output_padding' contains -1");
    REFUSED("output_shape=[-9]", "output_shape contains -9");
    REFUSED("output_shape=[1,2]", "output_shape has 2 entries, wanted 1");
    refuse("in x f32 [1,2,3]\nconst i i64 [1] 4\nconst b i64 [1] 0\ny = Col2Im x i b\nout y",
           "Col2Im): an empty block: 1 > 0");
    refuse("in x f32 [1,2,3]\nconst i i64 [1] 4\nconst b i64 [1] 7\ny = Col2Im x i b\nout y",
           "Col2Im): the block is larger than the image: 7 > 4");
    refuse("in x f32 [1,2,5]\nconst i i64 [1] 4\nconst b i64 [1] 2\ny = Col2Im x i b\nout y",
           "Col2Im): columns and windows differ, 5 and 3");
    refuse("in x u8 [1,1,3]\nin w i32 [1,1,1]\ny = ConvInteger x w\nout y",
           "ConvInteger): input 1 is i32, not i8 or u8");
    refuse("in x f32 [1,1,2,2]\nin w f32 [1,1,1,1]\nin o f32 [1,3,2,2]\n"
           "y = DeformConv x w o\nout y",
           "DeformConv): offsets and kernel differ, 3 and 2");
    refuse("in x f32 [2,3,2]\nin s f32 [4]\nin t f32 [3]\n"
           "y = BatchNormalization x s t t t\nout y",
           "BatchNormalization): f32[4, 1] and f32[3, 1] do not broadcast, dimensions 4 and 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_pool),    cmocka_unit_test(test_other_pools),
        cmocka_unit_test(test_pool_errors), cmocka_unit_test(test_conv_forms),
        cmocka_unit_test(test_transposed),  cmocka_unit_test(test_columns),
        cmocka_unit_test(test_batch_norm),  cmocka_unit_test(test_conv_errors),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
