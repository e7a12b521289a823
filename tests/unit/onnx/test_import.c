/* What the ONNX importer makes of operators, evaluated by the reference kernels.
 *
 * Numbers were computed by hand or by the formulas of the ONNX specification. */
#include "tests/support/onnx_values.h"

#define SIX "const x f32 [2,3] 1 2 3 4 5 6\n"

static void test_elementwise(void **state) {
    (void)state;
    VALUES(SIX "y = Neg x\nout y f32", "f32[2, 3]", -1, -2, -3, -4, -5, -6);
    VALUES(SIX "y = Greater x t\nconst t f32 [1] 3\nout y bool", "bool[2, 3]", 0, 0, 0, 1, 1, 1);
    VALUES(SIX "y = GreaterOrEqual x t\nconst t f32 [1] 3\nout y", "bool[2, 3]", 0, 0, 1, 1, 1, 1);
    VALUES(SIX "y = LessOrEqual x t\nconst t f32 [1] 3\nout y", "bool[2, 3]", 1, 1, 1, 0, 0, 0);
    VALUES(SIX "const t f32 [3] 5 0 2\ny = Max x t x\nout y", "f32[2, 3]", 5, 2, 3, 5, 5, 6);
    VALUES(SIX "const t f32 [3] 5 0 2\ny = Min x t\nout y", "f32[2, 3]", 1, 0, 2, 4, 0, 2);
    VALUES(SIX "y = Sum x x x\nout y", "f32[2, 3]", 3, 6, 9, 12, 15, 18);
    VALUES(SIX "const t f32 [3] 5 0 2\ny = Mean x t\nout y", "f32[2, 3]", 3, 1, 2.5, 4.5, 2.5, 4);
    VALUES(SIX "const c bool [2,1] 1 0\nconst z f32 [] 0\ny = Where c x z\nout y", "f32[2, 3]", 1,
           2, 3, 0, 0, 0);
}

static void test_powers(void **state) {
    (void)state;
    VALUES(SIX "const e i64 [] 2\ny = Pow x e\nout y f32", "f32[2, 3]", 1, 4, 9, 16, 25, 36);
    VALUES("const x i64 [2] 4 9\nconst e f32 [] 0.5\ny = Pow x e\nout y i64", "i64[2]", 2, 3);
    VALUES("const x i64 [1] 16777217\nconst e f32 [] 1\ny = Pow x e\nout y", "i64[1]", 16777217);
    VALUES("const x i32 [2] 4 9\nconst e i64 [] 2\ny = Pow x e\nout y i32", "i32[2]", 16, 81);
}

static void test_division(void **state) {
    (void)state;
    VALUES("const a i64 [4] 7 -7 7 -7\nconst b i64 [4] 2 2 -2 -2\ny = Div a b\nout y", "i64[4]", 3,
           -3, -3, 3);
    VALUES("const a i64 [4] 7 -7 7 -7\nconst b i64 [4] 4 4 -4 -4\ny = Mod a b\nout y", "i64[4]", 3,
           1, -1, -3);
    VALUES("const a i64 [4] 7 -7 7 -7\nconst b i64 [4] 4 4 -4 -4\ny = Mod a b {fmod=1}\nout y",
           "i64[4]", 3, -3, 3, -3);
}

/* Integers by 0 give 0; the smallest by -1 wraps; a float by 0 has no remainder. */
static void test_division_by_zero(void **state) {
    (void)state;
#define BY "const a i32 [3] 7 -7 -2147483648\nconst b i32 [3] 0 0 -1\n"
    VALUES(BY "y = Div a b\nout y", "i32[3]", 0, 0, -2147483648.0);
    VALUES(BY "y = Mod a b\nout y", "i32[3]", 0, 0, 0);
    VALUES(BY "y = Mod a b {fmod=1}\nout y", "i32[3]", 0, 0, 0);
    VALUES("const a f32 [2] 7 -7\nconst b f32 [2] 0 inf\ny = Mod a b\nout y", "f32[2]", NAN,
           INFINITY);
}

static void test_bits(void **state) {
    (void)state;
    VALUES("const a i8 [2] -7 7\nconst b i8 [2] 1 9\ny = BitShift a b {direction=RIGHT}\nout y",
           "i8[2]", -4, 0);
    VALUES("const a i8 [2] -7 7\nconst b i8 [2] 1 9\ny = BitShift a b {direction=LEFT}\nout y",
           "i8[2]", -14, 0);
    VALUES("const a i32 [2] 12 -1\nconst b i32 [2] 10 6\ny = BitwiseXor a b\nout y", "i32[2]", 6,
           -7);
    VALUES("const a u8 [1] 12\ny = BitwiseNot a\nout y", "u8[1]", 243);
    VALUES("opset 26\nconst a f32 [1] 1\ny = BitCast a {to=6}\nout y", "i32[1]", 1065353216);
    VALUES("opset 26\nconst a i8 [3] 1 0 -5\ny = BitCast a {to=9}\nout y", "bool[3]", 1, 0, 1);
}

static void test_casts(void **state) {
    (void)state;
    VALUES("const x f32 [3] -1.7 0 2.9\ny = Cast x {to=7}\nout y i64", "i64[3]", -1, 0, 2);
    VALUES("const x f32 [3] -1.7 0 2.9\ny = Cast x {to=9 saturate=0}\nout y", "bool[3]", 1, 0, 1);
    VALUES("const x f32 [1] 2.5\nconst t i32 [] 0\ny = CastLike x t\nout y", "i32[1]", 2);
}

static void test_activations(void **state) {
    (void)state;
#define FOUR "const x f32 [4] -2 -0.5 0.5 2\n"
    VALUES(FOUR "y = Clip x - h\nconst h f32 [] 1\nout y", "f32[4]", -2, -0.5, 0.5, 1);
    VALUES("opset 7\n" FOUR "y = Clip x {min=-1.0}\nout y", "f32[4]", -1, -0.5, 0.5, 2);
    VALUES(FOUR "y = Gelu x\nout y", "f32[4]", -0.0455002639, -0.154268770, 0.345731230,
           1.95449974);
    VALUES(FOUR "y = Gelu x {approximate=tanh}\nout y", "f32[4]", -0.0454022984, -0.154285988,
           0.345714012, 1.95459770);
    VALUES(FOUR "y = Elu x {alpha=2.0}\nout y", "f32[4]", -1.72932943, -0.786938681, 0.5, 2);
    VALUES(FOUR "y = LeakyRelu x {alpha=0.5}\nout y", "f32[4]", -1, -0.25, 0.5, 2);
    VALUES(FOUR "const s f32 [1] 0.5\ny = PRelu x s\nout y", "f32[4]", -1, -0.25, 0.5, 2);
    VALUES(FOUR "y = HardSigmoid x\nout y", "f32[4]", 0.1, 0.4, 0.6, 0.9);
    VALUES(FOUR "y = HardSwish x\nout y", "f32[4]", -0.333333333, -0.208333333, 0.291666667,
           1.66666667);
    VALUES("const x f32 [2] 0 1000\ny = Softplus x\nout y", "f32[2]", 0.693147181, 1000);
    VALUES(FOUR "y = Softsign x\nout y", "f32[4]", -0.666666667, -0.333333333, 0.333333333,
           0.666666667);
    VALUES("const x f32 [3] 0 1 100\ny = Mish x\nout y", "f32[3]", 0, 0.865098388, 100);
    VALUES("opset 24\nconst x f32 [2] 0 1\ny = Swish x {alpha=2.0}\nout y", "f32[2]", 0,
           0.880797078);
    VALUES("const x f32 [3] nan 1 -inf\ny = IsNaN x\nout y", "bool[3]", 1, 0, 0);
    VALUES("const x f32 [3] nan inf -inf\ny = IsInf x\nout y", "bool[3]", 0, 1, 1);
    VALUES("const x f32 [3] nan inf -inf\ny = IsInf x {detect_negative=0}\nout y", "bool[3]", 0, 1,
           0);
    VALUES("const x f32 [3] nan inf -inf\ny = IsInf x {detect_positive=0 detect_negative=0}\nout y",
           "bool[3]", 0, 0, 0);
    VALUES(FOUR "y = Shrink x {lambd=1.0 bias=0.5}\nout y", "f32[4]", -1.5, 0, 0, 1.5);
    VALUES("opset 28\nconst x f32 [2] 0 1\nconst g f32 [2] 3 3\ny = SwiGLU x g {alpha=2.0}\nout y",
           "f32[2]", 0, 2.64239123);
}

static void test_identities(void **state) {
    (void)state;
    VALUES(SIX "y = Identity x\nout y", "f32[2, 3]", 1, 2, 3, 4, 5, 6);
    VALUES(SIX "y, m = Dropout x\nout y", "f32[2, 3]", 1, 2, 3, 4, 5, 6);
    VALUES("opset 7\n" SIX "y, m = Dropout x {ratio=0.1}\nout y", "f32[2, 3]", 1, 2, 3, 4, 5, 6);
    VALUES(SIX "const t bool [] 0\ny, m = Dropout x - t {seed=3}\nout y", "f32[2, 3]", 1, 2, 3, 4,
           5, 6);
}

static void test_constants(void **state) {
    (void)state;
    VALUES("y = Constant {value=f32[1.5,2]}\nout y", "f32[2]", 1.5, 2);
    VALUES("y = Constant {value_float=1.5}\nout y", "f32[]", 1.5);
    VALUES("y = Constant {value_floats=[1.5,2.5]}\nout y", "f32[2]", 1.5, 2.5);
    VALUES("y = Constant {value_int=-3}\nout y", "i64[]", -3);
    VALUES("y = Constant {value_ints=[4,5]}\nout y", "i64[2]", 4, 5);
    VALUES("const s i64 [2] 2 1\ny = ConstantOfShape s\nout y", "f32[2, 1]", 0, 0);
    VALUES("const s i64 [0]\ny = ConstantOfShape s {value=i32[7]}\nout y", "i32[]", 7);
    VALUES("const s i64 [1] 1\ny = ConstantOfShape s {value=i64[9007199254740993]}\n"
           "const o i64 [] 9007199254740992\nz = Sub y o\nout z",
           "i64[1]", 1);
}

static void test_shapes(void **state) {
    (void)state;
    VALUES("const x f32 [2,0,5]\ny = Shape x\nout y", "i64[3]", 2, 0, 5);
    VALUES("const x f32 [2,0,5]\ny = Shape x {start=-2}\nout y", "i64[2]", 0, 5);
    VALUES("const x f32 [2,0,5]\ny = Shape x {start=-9 end=-1}\nout y", "i64[2]", 2, 0);
    VALUES("const x f32 [2,0,5]\ny = Shape x {start=2 end=1}\nz = Cast y {to=1}\nout z", "f32[0]",
           0);
    VALUES(SIX "y = Size x\nout y", "i64[]", 6);
}

static void test_ranges(void **state) {
    (void)state;
    VALUES("const a i64 [] 2\nconst b i64 [] 9\nconst c i64 [] 3\ny = Range a b c\nout y", "i64[3]",
           2, 5, 8);
    VALUES("const a i64 [] 9\nconst b i64 [] 2\nconst c i64 [] -3\ny = Range a b c\nout y",
           "i64[3]", 9, 6, 3);
    VALUES("const a i64 [] 9\nconst b i64 [] 2\nconst c i64 [] 3\ny = Range a b c\nout y", "i64[0]",
           0);
    VALUES("const a f32 [] 0.5\nconst b f32 [] 2\nconst c f32 [] 0.5\ny = Range a b c\nout y",
           "f32[3]", 0.5, 1, 1.5);
    VALUES("const x f32 [2,3] 0 0 0 0 0 0\ny = EyeLike x {k=1 dtype=7}\nout y", "i64[2, 3]", 0, 1,
           0, 0, 0, 1);
    VALUES("const i i64 [3] 1 -1 5\nconst d i64 [] 3\nconst v f32 [2] 0 7\ny = OneHot i d v\nout y",
           "f32[3, 3]", 0, 7, 0, 0, 0, 7, 0, 0, 0);
    VALUES("const i i64 [2] 1 0\nconst d i64 [1] 2\nconst v f32 [2] 0 7\n"
           "y = OneHot i d v {axis=0}\nout y",
           "f32[2, 2]", 0, 7, 7, 0);
}

static void test_views(void **state) {
    (void)state;
    VALUES(SIX "const s i64 [2] -1 2\ny = Reshape x s\nout y", "f32[3, 2]", 1, 2, 3, 4, 5, 6);
    VALUES(SIX "const s i64 [3] 0 1 -1\ny = Reshape x s\nout y", "f32[2, 1, 3]", 1, 2, 3, 4, 5, 6);
    VALUES("const x f32 [2,0]\nconst s i64 [2] 0 5\ny = Reshape x s {allowzero=1}\nout y",
           "f32[0, 5]", 0);
    VALUES(SIX "y = Flatten x {axis=2}\nout y", "f32[6, 1]", 1, 2, 3, 4, 5, 6);
    VALUES(SIX "y = Flatten x {axis=0}\nout y", "f32[1, 6]", 1, 2, 3, 4, 5, 6);
    VALUES(SIX "y = Transpose x\nout y", "f32[3, 2]", 1, 4, 2, 5, 3, 6);
    VALUES("const x f32 [1,2,1] 1 2\ny = Squeeze x\nout y", "f32[2]", 1, 2);
    VALUES("const x f32 [1,2,1] 1 2\nconst a i64 [1] -1\ny = Squeeze x a\nout y", "f32[1, 2]", 1,
           2);
    VALUES("opset 11\nconst x f32 [1,2,1] 1 2\ny = Squeeze x {axes=[0]}\nout y", "f32[2, 1]", 1, 2);
    VALUES("const x f32 [2] 1 2\nconst a i64 [2] -1 0\ny = Unsqueeze x a\nout y", "f32[1, 2, 1]", 1,
           2);
    VALUES("opset 11\nconst x f32 [2] 1 2\ny = Unsqueeze x {axes=[1]}\nout y", "f32[2, 1]", 1, 2);
}

static void test_repeats(void **state) {
    (void)state;
    VALUES("const x f32 [2,1] 1 2\nconst s i64 [2] 1 3\ny = Expand x s\nout y", "f32[2, 3]", 1, 1,
           1, 2, 2, 2);
    VALUES("const x f32 [2] 1 2\nconst s i64 [2] 2 1\ny = Expand x s\nout y", "f32[2, 2]", 1, 2, 1,
           2);
    VALUES("const x f32 [2,1] 1 2\nconst r i64 [2] 2 2\ny = Tile x r\nout y", "f32[4, 2]", 1, 1, 2,
           2, 1, 1, 2, 2);
    VALUES("const x f32 [2] 1 2\nconst r i64 [1] 0\ny = Tile x r\nout y", "f32[0]", 0);
}

static void test_selection(void **state) {
    (void)state;
    VALUES(SIX "y = Concat x x {axis=-1}\nout y", "f32[2, 6]", 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6);
    VALUES(SIX "const i i64 [2] -1 0\ny = Gather x i {axis=1}\nout y", "f32[2, 2]", 3, 1, 6, 4);
    VALUES(SIX "const i i64 [1,3] 1 0 1\ny = GatherElements x i\nout y", "f32[1, 3]", 4, 2, 6);
    VALUES(SIX "const i i64 [2,2] 0 2 1 0\ny = GatherND x i\nout y", "f32[2]", 3, 4);
    VALUES(SIX "const i i64 [2,1] 2 0\ny = GatherND x i {batch_dims=1}\nout y", "f32[2]", 3, 4);
    VALUES("const x f32 [3,3] 1 2 3 4 5 6 7 8 9\ny = Trilu x\nout y", "f32[3, 3]", 1, 2, 3, 0, 5, 6,
           0, 0, 9);
    VALUES("const x i64 [3,3] 1 2 3 4 5 6 7 8 9\nconst k i64 [] -1\ny = Trilu x k {upper=0}\nout y",
           "i64[3, 3]", 0, 0, 0, 4, 0, 0, 7, 8, 0);
}

static void test_slices(void **state) {
    (void)state;
#define FIVE "const x f32 [5] 0 1 2 3 4\n"
    VALUES(FIVE "const s i64 [1] 1\nconst e i64 [1] -1\ny = Slice x s e\nout y", "f32[3]", 1, 2, 3);
    VALUES(FIVE "const s i64 [1] -2\nconst e i64 [1] 9223372036854775807\ny = Slice x s e\nout y",
           "f32[2]", 3, 4);
    VALUES(FIVE "const s i64 [1] 1\nconst e i64 [1] 9\nconst a i64 [1] 0\nconst p i64 [1] 3\n"
                "y = Slice x s e a p\nout y",
           "f32[2]", 1, 4);
    VALUES(FIVE "const s i64 [1] -1\nconst e i64 [1] -9223372036854775808\nconst a i64 [1] 0\n"
                "const p i64 [1] -2\ny = Slice x s e a p\nout y",
           "f32[3]", 4, 2, 0);
    VALUES(FIVE "const s i64 [1] 4\nconst e i64 [1] 2\ny = Slice x s e\nout y", "f32[0]", 0);
    VALUES(FIVE "const s i64 [1] 0\nconst e i64 [1] 5\nconst a i64 [1] 0\n"
                "const p i64 [1] 9223372036854775807\ny = Slice x s e a p\nout y",
           "f32[1]", 0);
    VALUES("opset 9\n" SIX "y = Slice x {axes=[1] starts=[1] ends=[3]}\nout y", "f32[2, 2]", 2, 3,
           5, 6);
    VALUES(SIX "const s i64 [2] 1 0\nconst e i64 [2] 2 2\ny = Slice x s e\nout y", "f32[1, 2]", 4,
           5);
}

static void test_splits(void **state) {
    (void)state;
    VALUES(SIX "const s i64 [2] 1 2\na, y = Split x s {axis=1}\nout y", "f32[2, 2]", 2, 3, 5, 6);
    VALUES(SIX "a, y = Split x {axis=1 num_outputs=2}\nout y", "f32[2, 1]", 3, 6);
    VALUES("opset 13\n" SIX "a, b, y = Split x {axis=-1}\nout y", "f32[2, 1]", 3, 6);
    VALUES("opset 11\n" SIX "a, y = Split x {axis=1 split=[2,1]}\nout y", "f32[2, 1]", 3, 6);
}

static void test_pads(void **state) {
    (void)state;
    VALUES("const x f32 [2] 1 2\nconst p i64 [2] 1 2\ny = Pad x p\nout y", "f32[5]", 0, 1, 2, 0, 0);
    VALUES("const x f32 [2] 1 2\nconst p i64 [2] 1 -1\nconst v f32 [] 9\ny = Pad x p v\nout y",
           "f32[2]", 9, 1);
    VALUES("const x f32 [3] 1 2 3\nconst p i64 [2] 1 1\ny = Pad x p {mode=reflect}\nout y",
           "f32[5]", 2, 1, 2, 3, 2);
    VALUES("const x f32 [1,2] 1 2\nconst p i64 [2] 1 0\nconst a i64 [1] -1\n"
           "y = Pad x p - a {mode=edge}\nout y",
           "f32[1, 3]", 1, 1, 2);
    VALUES("opset 9\nconst x f32 [2] 1 2\ny = Pad x {pads=[0,1] value=3.0}\nout y", "f32[3]", 1, 2,
           3);
}

static void test_blocks(void **state) {
    (void)state;
    VALUES("const x f32 [1,4,1,2] 0 1 2 3 4 5 6 7\ny = DepthToSpace x {blocksize=2}\nout y",
           "f32[1, 1, 2, 4]", 0, 2, 1, 3, 4, 6, 5, 7);
    VALUES("const x f32 [1,1,2,4] 0 2 1 3 4 6 5 7\ny = SpaceToDepth x {blocksize=2}\nout y",
           "f32[1, 4, 1, 2]", 0, 1, 2, 3, 4, 5, 6, 7);
}

static void test_reductions(void **state) {
    (void)state;
    VALUES(SIX "const a i64 [1] -1\ny = ReduceSum x a\nout y", "f32[2, 1]", 6, 15);
    VALUES(SIX "const a i64 [1] 0\ny = ReduceMax x a {keepdims=0}\nout y", "f32[3]", 4, 5, 6);
    VALUES(SIX "y = ReduceMean x\nout y", "f32[1, 1]", 3.5);
    VALUES(SIX "y = ReduceMin x {keepdims=0}\nout y", "f32[]", 1);
    VALUES(SIX "y = ReduceProd x - {noop_with_empty_axes=1}\nout y", "f32[2, 3]", 1, 2, 3, 4, 5, 6);
    VALUES("opset 11\n" SIX "y = ReduceSum x {axes=[1] keepdims=0}\nout y", "f32[2]", 6, 15);
    VALUES("opset 17\n" SIX "y = ReduceMean x {axes=[-2]}\nout y", "f32[1, 3]", 2.5, 3.5, 4.5);
    VALUES("const x f32 [2] 3 -4\ny = ReduceL2 x\nout y", "f32[1]", 5);
    VALUES("const x f32 [2] 3 -4\ny = ReduceL1 x\nout y", "f32[1]", 7);
    VALUES("const x f32 [2] 3 -4\ny = ReduceSumSquare x\nout y", "f32[1]", 25);
    VALUES("const x bool [2] 1 0\ny = ReduceMax x\nout y", "bool[1]", 1);
    VALUES(SIX "const a i64 [] 1\ny = CumSum x a\nout y", "f32[2, 3]", 1, 3, 6, 4, 9, 15);
    VALUES(SIX "const a i64 [] -1\ny = CumSum x a {exclusive=1 reverse=1}\nout y", "f32[2, 3]", 5,
           3, 0, 11, 6, 0);
}

static void test_products(void **state) {
    (void)state;
    VALUES(SIX "const v f32 [3] 1 0 1\ny = MatMul x v\nout y", "f32[2]", 4, 10);
    VALUES(SIX "const v f32 [2] 1 2\ny = MatMul v x\nout y", "f32[3]", 9, 12, 15);
    VALUES("const v f32 [2] 1 2\ny = MatMul v v\nout y", "f32[]", 5);
    VALUES(SIX "const c f32 [2] 1 2\ny = Gemm x x c {transB=1 alpha=0.5 beta=2.0}\nout y",
           "f32[2, 2]", 9, 20, 18, 42.5);
    VALUES(SIX "y = Gemm x x {transA=1}\nout y", "f32[3, 3]", 17, 22, 27, 22, 29, 36, 27, 36, 45);
}

static void test_convolution(void **state) {
    (void)state;
#define LINE "const x f32 [1,1,5] 1 2 3 4 5\nconst w f32 [1,1,3] 1 1 1\n"
    VALUES(LINE "y = Conv x w\nout y", "f32[1, 1, 3]", 6, 9, 12);
    VALUES(LINE
           "const b f32 [1] 1\ny = Conv x w b {pads=[1,1] strides=[2] kernel_shape=[3]}\nout y",
           "f32[1, 1, 3]", 4, 10, 10);
    VALUES(LINE "y = Conv x w {auto_pad=SAME_UPPER}\nout y", "f32[1, 1, 5]", 3, 6, 9, 12, 9);
    VALUES(LINE "y = Conv x w {auto_pad=SAME_LOWER strides=[4]}\nout y", "f32[1, 1, 2]", 3, 9);
    VALUES(LINE "y = Conv x w {auto_pad=VALID dilations=[2]}\nout y", "f32[1, 1, 1]", 9);
}

static void test_softmax(void **state) {
    (void)state;
    VALUES("const x f32 [2,2] 0 0 0 0\ny = Softmax x {axis=0}\nout y", "f32[2, 2]", 0.5, 0.5, 0.5,
           0.5);
    VALUES("const x f32 [1,2,2] 0 0 0 0\ny = Softmax x\nout y", "f32[1, 2, 2]", 0.5, 0.5, 0.5, 0.5);
    VALUES("opset 11\nconst x f32 [1,2,2] 0 0 0 0\ny = Softmax x\nout y", "f32[1, 2, 2]", 0.25,
           0.25, 0.25, 0.25);
    VALUES("opset 11\nconst x f32 [2,2] 0 0 0 0\ny = LogSoftmax x\nout y", "f32[2, 2]",
           -0.693147181, -0.693147181, -0.693147181, -0.693147181);
}

static void test_normalisation(void **state) {
    (void)state;
#define PAIRS "const x f32 [2,2] 1 3 5 9\nconst g f32 [2] 1 2\nconst b f32 [2] 0 1\n"
    VALUES(PAIRS "y = LayerNormalization x g b {epsilon=0.0}\nout y", "f32[2, 2]", -1, 3, -1, 3);
    VALUES(PAIRS "y = LayerNormalization x g\nout y", "f32[2, 2]", -0.999995, 1.99999, -0.999999,
           1.9999975);
    VALUES("const x f32 [1,2,2] 1 1 3 3\nconst g f32 [2,2] 1 2 3 4\n"
           "y = LayerNormalization x g {axis=1 epsilon=0.0}\nout y",
           "f32[1, 2, 2]", -1, -2, 3, 4);
    VALUES(
        "const x f32 [1,2] 1 3\nconst g f32 [1] 2\ny = LayerNormalization x g {epsilon=0.0}\nout y",
        "f32[1, 2]", -2, 2);
    VALUES("opset 23\nconst x f32 [1,2] 3 4\nconst g f32 [2] 1 2\n"
           "y = RMSNormalization x g {epsilon=0.0}\nout y",
           "f32[1, 2]", 0.848528137, 2.26274170);
    VALUES(
        "const x f32 [1,2,1] 1 2\nconst s f32 [2] 1 2\nconst b f32 [2] 0 1\nconst m f32 [2] 0 1\n"
        "const v f32 [2] 1 4\ny = BatchNormalization x s b m v {epsilon=0.0}\nout y",
        "f32[1, 2, 1]", 1, 2);
    VALUES("const x f32 [1,1,2] 1 3\nconst s f32 [1] 2\nconst b f32 [1] 1\n"
           "y = InstanceNormalization x s b {epsilon=0.0}\nout y",
           "f32[1, 1, 2]", -1, 3);
    VALUES("const x f32 [1,2,2] 1 3 5 7\ny = GlobalAveragePool x\nout y", "f32[1, 2, 1]", 2, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise),   cmocka_unit_test(test_powers),
        cmocka_unit_test(test_division),      cmocka_unit_test(test_division_by_zero),
        cmocka_unit_test(test_bits),          cmocka_unit_test(test_casts),
        cmocka_unit_test(test_activations),   cmocka_unit_test(test_identities),
        cmocka_unit_test(test_constants),     cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_ranges),        cmocka_unit_test(test_views),
        cmocka_unit_test(test_repeats),       cmocka_unit_test(test_selection),
        cmocka_unit_test(test_slices),        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_pads),          cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_reductions),    cmocka_unit_test(test_products),
        cmocka_unit_test(test_convolution),   cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_normalisation),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
