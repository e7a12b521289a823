/* Casts to narrow types and quantisation as the importer composes them, evaluated by the reference
 * kernels. Numbers follow the tables and formulas of the ONNX specification. */
#include "tests/support/onnx_values.h"

enum { F8E4M3FN = 17, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 = 24 };

#define EDGES "const x f32 [6] 1 0.3 464 465 -1e9 -0.0001\n"
#define BACK  "\nz = Cast y {to=1}\nout z"

static void test_float8(void **state) {
    (void)state;
    VALUES(EDGES "y = Cast x {to=17}" BACK, "f32[6]", 1, 0.3125, 448, 448, -448, 0);
    VALUES(EDGES "y = Cast x {to=17 saturate=0}" BACK, "f32[6]", 1, 0.3125, 448, NAN, NAN, 0);
    VALUES(EDGES "y = Cast x {to=18}" BACK, "f32[6]", 1, 0.3125, 240, 240, -240, 0);
    VALUES(EDGES "y = Cast x {to=18 saturate=0}" BACK, "f32[6]", 1, 0.3125, NAN, NAN, NAN, 0);
    VALUES(EDGES "y = Cast x {to=19}" BACK, "f32[6]", 1, 0.3125, 448, 448, -57344, -0.000106811523);
    VALUES(EDGES "y = Cast x {to=19 saturate=0}" BACK, "f32[6]", 1, 0.3125, 448, 448, -INFINITY,
           -0.000106811523);
    VALUES(EDGES "y = Cast x {to=20}" BACK, "f32[6]", 1, 0.3125, 448, 448, -57344, -9.91821289e-05);
    VALUES(EDGES "y = Cast x {to=23}" BACK, "f32[6]", 1, 0.5, 6, 6, -6, 0);
    VALUES("const x i32 [3] 5 1000 -3\ny = Cast x {to=17}" BACK, "f32[3]", 5, 448, -3);
}

/* Above, below and at 1.5 times a power of two. */
static void test_power_of_two(void **state) {
    (void)state;
#define SCALES "const x f32 [5] 0 1.25 1.5 2 3e38\nopset 24\n"
    VALUES(SCALES "y = Cast x {to=24}" BACK, "f32[5]", 0x1p-127, 2, 2, 2, 0x1p127);
    VALUES(SCALES "y = Cast x {to=24 round_mode=down}" BACK, "f32[5]", 0x1p-127, 1, 1, 2, 0x1p127);
    VALUES(SCALES "y = Cast x {to=24 round_mode=nearest}" BACK, "f32[5]", 0x1p-127, 1, 2, 2,
           0x1p127);
    VALUES(SCALES "y = Cast x {to=24 saturate=0}" BACK, "f32[5]", NAN, 2, 2, 2, NAN);
}

static void test_small_integers(void **state) {
    (void)state;
#define NUMBERS "const x f32 [5] 3.7 -1.5 9 16 -8\n"
    VALUES(NUMBERS "y = Cast x {to=22}" BACK, "f32[5]", 3, -1, -7, 0, -8);
    VALUES(NUMBERS "y = Cast x {to=21}" BACK, "f32[5]", 3, 15, 9, 0, 8);
    VALUES(NUMBERS "y = Cast x {to=26}" BACK, "f32[5]", -1, -1, 1, 0, 0);
    VALUES(NUMBERS "y = Cast x {to=25}" BACK, "f32[5]", 3, 3, 1, 0, 0);
}

static void test_quantize(void **state) {
    (void)state;
#define X "const x f32 [2,3] 0 1 2.5 -1 1000 -3\n"
    VALUES(X "const s f32 [] 2\nconst z u8 [] 10\ny = QuantizeLinear x s z\nout y", "u8[2, 3]", 10,
           10, 11, 10, 255, 8);
    VALUES(X "const s f32 [] 2\ny = QuantizeLinear x s\nout y", "u8[2, 3]", 0, 0, 1, 0, 255, 0);
    VALUES(X "const s f32 [3] 1 2 4\nconst z i8 [3] 0 1 2\ny = QuantizeLinear x s z\nout y",
           "i8[2, 3]", 0, 1, 3, -1, 127, 1);
    VALUES(X "const s f32 [2] 1 2\ny = QuantizeLinear x s {axis=0 output_dtype=5}\nout y",
           "i16[2, 3]", 0, 1, 2, 0, 500, -2);
    VALUES("const x f32 [5] 1 2 3 4 5\nconst s f32 [3] 1 0.5 0.25\n"
           "y = QuantizeLinear x s {axis=0 block_size=2}\nout y",
           "u8[5]", 1, 2, 6, 8, 20);
    VALUES(X "const s f32 [] 0.5\ny = QuantizeLinear x s {output_dtype=17}" BACK, "f32[2, 3]", 0, 2,
           5, -2, 448, -6);
}

/* 4.5 / 0.9 of f32 is 5.0000004: rounded to 5 either way; 0.35 / 0.1 is 3.5 exactly, times the
 * reciprocal it is below. */
static void test_division_is_exact(void **state) {
    (void)state;
    VALUES("const x f32 [1] 0.35\nconst s f32 [] 0.1\ny = QuantizeLinear x s\nout y", "u8[1]", 4);
}

static void test_dequantize(void **state) {
    (void)state;
#define Q "const q i8 [2,3] 0 1 2 -1 -128 127\n"
    VALUES(Q "const s f32 [] 0.5\nconst z i8 [] 2\ny = DequantizeLinear q s z\nout y", "f32[2, 3]",
           -1, -0.5, 0, -1.5, -65, 62.5);
    VALUES(Q "const s f32 [2] 1 2\ny = DequantizeLinear q s {axis=0}\nout y", "f32[2, 3]", 0, 1, 2,
           -2, -256, 254);
    VALUES(Q "const s f32 [2,2] 1 2 3 4\ny = DequantizeLinear q s {axis=1 block_size=2}\nout y",
           "f32[2, 3]", 0, 1, 4, -3, -384, 508);
    VALUES(Q "const s f16 [] 14336\ny = DequantizeLinear q s\nout y", "f16[2, 3]", 0, 0.5, 1, -0.5,
           -64, 63.5);
}

static void test_dynamic(void **state) {
    (void)state;
    VALUES("const x f32 [3] 0 2.55 -2.55\ny,s,z = DynamicQuantizeLinear x\nout y", "u8[3]", 128,
           255, 0);
    VALUES("const x f32 [2] 0 0\ny,s,z = DynamicQuantizeLinear x\nout s", "f32[]", 1);
}

static void test_products(void **state) {
    (void)state;
#define AB "const a u8 [2,2] 1 2 255 4\nconst b i8 [2,2] 1 -1 -128 2\n"
    VALUES(AB "y = MatMulInteger a b\nout y", "i32[2, 2]", -255, 3, -257, -247);
    VALUES(AB "const z u8 [2] 1 2\nconst w i8 [2] 0 1\ny = MatMulInteger a b z w\nout y",
           "i32[2, 2]", -128, 1, -3, -504);
    VALUES(AB "const r u8 [2] 3 5\ny = MatMulInteger r b\nout y", "i32[2]", -637, 7);
    VALUES(AB "const c f32 [] 0.5\nconst d f32 [2] 1 2\nconst e f32 [] 2\nconst z u8 [] 0\n"
              "const w i8 [] 0\nconst v u8 [] 100\ny = QLinearMatMul a c z b d w e v\nout y",
           "u8[2, 2]", 36, 102, 36, 0);
}

/* Scale 0.5 and zero point 10 on the way in, 1 and 20 on the way out. */
#define IN(x)  x " h t "
#define OUT    " o u\nout y"
#define SCALED "const h f32 [] 0.5\nconst t u8 [] 10\nconst o f32 [] 1\nconst u u8 [] 20\n"
#define BYTES  "const a u8 [1,4] 10 12 6 255\n" SCALED

static void test_microsoft_elementwise(void **state) {
    (void)state;
    VALUES(BYTES "y = com.microsoft::QLinearAdd " IN("a") IN("a") OUT, "u8[1, 4]", 20, 22, 16, 255);
    VALUES(BYTES "y = com.microsoft::QLinearMul " IN("a") IN("a") OUT, "u8[1, 4]", 20, 21, 24, 255);
    VALUES(BYTES
           "const c bool [1,4] 1 0 1 0\nconst d u8 [] 30\ny = com.microsoft::QLinearWhere c " IN(
               "a") IN("d") OUT,
           "u8[1, 4]", 20, 30, 18, 30);
    VALUES(BYTES "y = com.microsoft::QLinearLeakyRelu " IN("a") OUT, "u8[1, 4]", 20, 21, 20, 142);
    VALUES(BYTES "y = com.microsoft::QLinearSigmoid " IN("a") OUT, "u8[1, 4]", 20, 21, 20, 21);
    VALUES(BYTES "y = com.microsoft::QLinearSoftmax a h t o u {opset=13}\nout y", "u8[1, 4]", 20,
           20, 20, 21);
    VALUES(BYTES "y = com.microsoft::QLinearConcat o u " IN("a") IN("a") "{axis=0}\nout y",
           "u8[2, 4]", 20, 21, 18, 142, 20, 21, 18, 142);
    VALUES("const a u8 [1,1,4] 10 12 6 252\n" SCALED
           "y = com.microsoft::QLinearGlobalAveragePool " IN("a") OUT,
           "u8[1, 1, 1]", 50);
}

static void test_microsoft_products(void **state) {
    (void)state;
    VALUES(AB "const s f32 [] 0.5\nconst t f32 [2] 1 2\nconst r f32 [2] 0.25 0\n"
              "y = com.microsoft::MatMulIntegerToFloat a b s t - - r\nout y",
           "f32[2, 2]", -127.25, 3, -128.25, -247);
    VALUES("const a f32 [1,2] 0 2.55\nconst b i8 [2,1] 1 3\nconst s f32 [] 2\n"
           "y = com.microsoft::DynamicQuantizeMatMul a b s\nout y",
           "f32[1, 1]", 15.3);
    VALUES(AB "const s f32 [] 0.5\nconst z u8 [] 0\nconst w i8 [] 0\nconst c i32 [2] 1 5\n"
              "y = com.microsoft::QGemm a s z b s w c {transA=1}\nout y",
           "f32[2, 2]", -8159.5, 128.5, -127.25, 2.75);
    /* 16 numbers of 4 bits: 1 in every place, zero point 0: 16 times the scale */
    VALUES("const a f32 [1,16] 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
           "const b u8 [2,1,8] 17 17 17 17 17 17 17 17 33 33 33 33 33 33 33 33\n"
           "const s f32 [2] 0.5 1\nconst z u8 [2] 0 1\n"
           "y = com.microsoft::MatMulNBits a b s z {K=16 N=2 bits=4 block_size=16}\nout y",
           "f32[1, 2]", 8, 8);
    /* of 2 bits: 0 1 2 3 in each byte, without zero points 2 less; times 1 2 3 4 .. */
    VALUES("const a f32 [1,16] 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4\nconst b u8 [1,1,4] 228 228 228 0\n"
           "const s f32 [1] 0.5\n"
           "y = com.microsoft::MatMulNBits a b s {K=16 N=1 bits=2 block_size=16}\nout y",
           "f32[1, 1]", -10);
}

static void refuse(const char *text, TnStatus code, const char *message) {
    expect_fail(import_model, text, code, message);
}

static void test_errors(void **state) {
    (void)state;
#define AT(op) "m.onnx: node 'y' (" op "): "
    refuse(X "const s f32 [2] 1 2\ny = QuantizeLinear x s {axis=1}\nout y", TN_E_MODEL,
           AT("QuantizeLinear") "scales and length of the axis differ, 2 and 3");
    refuse(X "const s f32 [2,1] 1 2\ny = QuantizeLinear x s\nout y", TN_E_MODEL,
           AT("QuantizeLinear") "the scale is f32[2, 1], wanted a scalar or a vector");
    refuse(X "const s f32 [2,1] 1 2\ny = QuantizeLinear x s {block_size=-1}\nout y", TN_E_MODEL,
           AT("QuantizeLinear") "block_size is -1, wanted 0 or more");
    refuse(X "const s f32 [2,1] 1 2\ny = QuantizeLinear x s {block_size=2}\nout y", TN_E_MODEL,
           AT("QuantizeLinear") "scales and blocks differ, 1 and 2");
    refuse(X "const s f32 [] 1\ny = QuantizeLinear x s {output_dtype=1}\nout y", TN_E_MODEL,
           AT("QuantizeLinear") "f32 is no type of quantised numbers");
    refuse(X "const s f32 [] 1\nconst z i8 [] 1\ny = QuantizeLinear x s z {output_dtype=2}\nout y",
           TN_E_MODEL, AT("QuantizeLinear") "output_dtype is u8, but the zero point is i8");
    refuse(X "const s i64 [] 1\ny = QuantizeLinear x s\nout y", TN_E_MODEL,
           AT("QuantizeLinear") "a scale of type i64");
    refuse(X "const s f32 [] 1\ny = DequantizeLinear x s\nout y", TN_E_MODEL,
           AT("DequantizeLinear") "f32 is no type of quantised numbers");
    refuse(X "y = MatMulInteger x x\nout y", TN_E_MODEL,
           AT("MatMulInteger") "operand 0 has type f32, not i8 or u8");
    refuse(AB "const z i8 [] 1\ny = MatMulInteger a b z\nout y", TN_E_MODEL,
           AT("MatMulInteger") "operands have types u8 and i8");
    refuse(AB "const z u8 [3] 1 1 1\ny = MatMulInteger a b z\nout y", TN_E_MODEL,
           AT("MatMulInteger") "u8[3, 1] and u8[2, 1] do not broadcast, dimensions 3 and 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float8),
        cmocka_unit_test(test_power_of_two),
        cmocka_unit_test(test_small_integers),
        cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_dequantize),
        cmocka_unit_test(test_division_is_exact),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_microsoft_elementwise),
        cmocka_unit_test(test_microsoft_products),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
