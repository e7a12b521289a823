/* Models that the ONNX importer must refuse, with the text it refuses them with. */
#include "tests/support/onnx_values.h"

static void refuse(const char *model, TnStatus code, const char *text) {
    refuse_model(model, code, "", text);
}

/* For nodes whose first output is y. */
static void refuse_node(const char *model, const char *op, const char *text) {
    char message[1024];
    snprintf(message, sizeof message, "node 'y' (%s): %s", op, text);
    refuse(model, TN_E_MODEL, message);
}

static void refuse_unsupported(const char *model, const char *op, const char *text) {
    char message[1024];
    snprintf(message, sizeof message, "node 'y' (%s): %s", op, text);
    refuse(model, TN_E_UNSUPPORTED, message);
}

#define X "in x f32 [b,4]\n"
#define Y "\nout y"

/* --- wiring --- */

static void test_cycles(void **state) {
    (void)state;
    refuse("a = Relu b\nb = Relu c\nc = Relu a\nout c", TN_E_MODEL,
           "nodes that wait for each other: 'a', 'b', 'c'");
    refuse("a = Relu a\nout a", TN_E_MODEL, "nodes that wait for each other: 'a'");
    refuse(X "p = Relu q\na = Relu b\nb = Relu a\nq = Add a x\nout p", TN_E_MODEL,
           "nodes that wait for each other: 'a', 'b'");
}

static void test_names(void **state) {
    (void)state;
    refuse(X "y = Relu x\ny = Neg x" Y, TN_E_MODEL,
           "'y' is defined twice, by node 'y' (Relu) and by node 'y' (Neg)");
    refuse(X "x = Relu x\nout x", TN_E_MODEL,
           "'x' is defined twice, by an input and by node 'x' (Relu)");
    refuse("const w f32 [1] 1\nconst w f32 [1] 1\nout w", TN_E_MODEL,
           "'w' is defined twice, by an initializer and by an initializer");
    refuse(X X "out x", TN_E_MODEL, "'x' is defined twice, by an input and by an input");
    refuse(X "out x\nout x", TN_E_MODEL, "the output 'x' is there twice");
    refuse(X "y = Add x w" Y, TN_E_MODEL, "node 'y' (Add): nothing defines its input 'w'");
    refuse(X "out z", TN_E_MODEL, "nothing defines the output 'z'");
    refuse(X, TN_E_MODEL, "the graph has no outputs");
}

/* --- operators --- */

static void test_unsupported(void **state) {
    (void)state;
    refuse(X "a = Blur x\nb = com.example::Relu a\nc = Blur b\nd = Blur c\ne = Blur d\nf = Relu e\n"
             "out f",
           TN_E_UNSUPPORTED,
           "2 problems; 1 node not looked at\n"
           "  unsupported operator Blur of opset 20 (4: 'a', 'c', 'd', ...)\n"
           "  unsupported operator com.example.Relu (1: 'b')");
    refuse("opset 29\n" X "a = Relu x\nout a", TN_E_UNSUPPORTED,
           "opset 29 of the default domain is unsupported, wanted 1 to 28");
    refuse("opset 17\n" X "a = Gelu x\nout a", TN_E_UNSUPPORTED,
           "unsupported operator Gelu of opset 17 (1: 'a')");
    refuse_unsupported(X "const t bool [] 1\ny = Dropout x - t" Y, "Dropout",
                       "training_mode true is unsupported, wanted a constant false");
    refuse_unsupported(
        X "in t bool []\ny = Dropout x - t" Y, "Dropout",
        "training_mode that only a run knows is unsupported, wanted a constant false");
}

static void test_arity(void **state) {
    (void)state;
    refuse_node("opset 26\n" X "y = BitCast x {to=7}" Y, "BitCast",
                "the bits of f32 as i64, a type of another width");
    refuse_node("in a f32 [2]\ny = BitwiseAnd a a" Y, "BitwiseAnd",
                "operand 0 has type f32, not integer");
    refuse_node("in a i32 [2]\ny = BitShift a a {direction=UP}" Y, "BitShift",
                "attribute 'direction' is 'UP', not one of LEFT, RIGHT");
    refuse_node(X "y = Relu x x" Y, "Relu", "2 inputs, wanted 1");
    refuse_node(X "y = Add x" Y, "Add", "1 inputs, wanted 2");
    refuse_node(X "y = Add - x" Y, "Add", "input 0 is missing");
    refuse_node(X "y = Clip x x x x" Y, "Clip", "4 inputs, wanted 1 to 3");
    refuse_node(X "y = Max" Y, "Max", "0 inputs, wanted at least 1");
    refuse_node(X "y = Max x - x" Y, "Max", "input 1 is missing");
    refuse_node(X "y, z = Relu x" Y, "Relu", "2 outputs, wanted 1");
}

static void test_attributes(void **state) {
    (void)state;
    refuse_node(X "y = Relu x {alpha=1}" Y, "Relu", "unknown attribute 'alpha'");
    refuse_node(X "y = Softmax x {axis=1.0}" Y, "Softmax", "attribute 'axis' is FLOAT, not INT");
    refuse_node(X "y = Softmax x {axis=1 axis=0}" Y, "Softmax", "attribute 'axis' is there twice");
    refuse_node(X "y = Concat x x" Y, "Concat", "attribute 'axis' is missing");
    refuse_node(X "y = Transpose x {perm=1}" Y, "Transpose", "attribute 'perm' is INT, not INTS");
    refuse_node(X "y = Trilu x {upper=2}" Y, "Trilu", "attribute 'upper' is 2, not 0 or 1");
    refuse_node(X "y = Gelu x {approximate=fast}" Y, "Gelu",
                "attribute 'approximate' is 'fast', not one of none, tanh");
    refuse_node("y = Constant" Y, "Constant", "0 attributes, wanted 1");
    refuse_node("y = Constant {value_int=1 value_float=1.0}" Y, "Constant",
                "2 attributes, wanted 1");
    refuse_unsupported("y = Constant {value_string=hello}" Y, "Constant",
                       "attribute 'value_string' is unsupported");
    refuse_node("const s i64 [1] 2\ny = ConstantOfShape s {value=f32[1,2]}" Y, "ConstantOfShape",
                "attribute 'value' must have one element");
}

static void import_file(Cx *cx, const void *path) {
    onnx_import(ir_module_new(cx), path, NULL);
}

/* An attribute of a Constant written by hand: field numbers of AttributeProto. */
static void refuse_attribute(Bytes attribute, const char *text) {
    char message[256];
    Bytes node = {0}, graph = {0}, info = {0};
    bytes_field_text(&info, 1, "y");
    bytes_field_text(&node, 2, "y");
    bytes_field_text(&node, 4, "Constant");
    bytes_field_message(&node, 5, &attribute);
    bytes_field_message(&graph, 1, &node);
    bytes_field_message(&graph, 12, &info);
    Bytes model = onnx_model(&graph);
    write_file(ONNX_FILE, model.data, model.size);
    bytes_free(&model);
    snprintf(message, sizeof message, "m.onnx: node 'y' (Constant): %s", text);
    expect_fail(import_file, ONNX_FILE, TN_E_MODEL, message);
}

static Bytes attribute_named(const char *name) {
    Bytes a = {0};
    bytes_field_text(&a, 1, name);
    return a;
}

static void test_attribute_fields(void **state) {
    (void)state;
    enum { I = 3, T = 5, TYPE = 20, REFERENCE = 21 };
    Bytes a = attribute_named("value_int");
    bytes_field_int(&a, I, 1);
    refuse_attribute(a, "attribute 'value_int' has no type");
    a = attribute_named("value_float");
    bytes_field_int(&a, I, 1);
    bytes_field_int(&a, TYPE, 1);
    refuse_attribute(a, "attribute 'value_float' is marked FLOAT, but holds INT");
    a = attribute_named("value");
    bytes_field_int(&a, TYPE, 4);
    refuse_attribute(a, "attribute 'value' is empty");
    a = attribute_named("value");
    bytes_field_int(&a, TYPE, 77);
    refuse_attribute(a, "attribute 'value' is of type 77, not TENSOR");
    a = attribute_named("value_int");
    bytes_field_int(&a, TYPE, 2);
    bytes_field_text(&a, REFERENCE, "outer");
    refuse_attribute(a, "attribute 'value_int' refers to 'outer', but this is no function");
}

/* --- inputs and outputs --- */

static void test_declarations(void **state) {
    (void)state;
    refuse("in x string [2]\nout x", TN_E_UNSUPPORTED, "input 'x': STRING is unsupported");
    refuse("in x c64 [2]\nout x", TN_E_UNSUPPORTED, "input 'x': COMPLEX64 is unsupported");
    refuse("in x i4 [2]\nout x", TN_E_UNSUPPORTED,
           "input 'x': inputs and outputs of type i4 are unsupported: its elements are no whole "
           "bytes");
    refuse("in x 99 [2]\nout x", TN_E_MODEL, "input 'x': element type 99 is unknown");
    refuse("in x f32\nout x", TN_E_UNSUPPORTED, "input 'x': the number of axes is not declared");
    refuse("in x\nout x", TN_E_MODEL, "input 'x': the type is missing");
    refuse("in x f32 [2,-1]\nout x", TN_E_MODEL, "input 'x': axis 1 has length -1");
    refuse("in x f32 [4611686018427387904,4611686018427387904]\nout x", TN_E_LIMIT,
           "input 'x': its size overflows");
    refuse("in x f32 [1,1,1,1,1,1,1,1,1]\nout x", TN_E_LIMIT, "input 'x': 9 axes, at most 8");
    refuse(X "y = Relu x\nout y i64", TN_E_MODEL,
           "output 'y': declared as i64, but computed as f32");
}

/* --- shapes and types --- */

static void test_products(void **state) {
    (void)state;
    refuse_node("in x f32 [2,3]\nin w f32 [4,5]\ny = MatMul x w" Y, "MatMul",
                "inner dimensions differ, 3 and 4");
    refuse_node("in x f32 [2,3]\nin w i64 [3,5]\ny = MatMul x w" Y, "MatMul",
                "operands have types f32 and i64");
    refuse_node("in x f32 [2,3]\nin w f32 [4]\ny = Add x w" Y, "Add",
                "f32[2, 3] and f32[4] do not broadcast, dimensions 3 and 4");
    refuse_node("in x f32 [2]\ny = Gemm x x" Y, "Gemm", "input 0 is f32[2], not of rank 2");
    refuse_node("in x f32 [2,3]\nin w f32 [3,5]\nin c f32 [7,1,5]\ny = Gemm x w c" Y, "Gemm",
                "f32[7, 1, 5] does not broadcast to the product, f32[2, 5]");
    refuse_node("in x f32 [2,3]\nin c f32 [2,3]\ny = Where c x x" Y, "Where",
                "operand 0 has type f32, not bool");
}

#define XS "in x f32 [2,3]\nconst s i64 "

static void test_reshape(void **state) {
    (void)state;
    refuse_node(XS "[2] -1 -1\ny = Reshape x s" Y, "Reshape",
                "entries 0 and 1 of the target shape are both -1");
    refuse_node(XS "[2] -2 -1\ny = Reshape x s" Y, "Reshape", "entry 0 of the target shape is -2");
    refuse_node(XS "[2] 4 2\ny = Reshape x s" Y, "Reshape",
                "element counts of f32[2, 3] and f32[4, 2] differ, 3 and 4");
    refuse_node(XS "[2] 4 -1\ny = Reshape x s" Y, "Reshape",
                "element counts of f32[2, 3] and f32[4, 1] differ, 6 and 4");
    refuse_node(XS "[3] 2 3 0\ny = Reshape x s" Y, "Reshape",
                "entry 2 of the target shape is 0, but the operand is f32[2, 3]");
    refuse_node(XS "[3] 0 0 -1\ny = Reshape x s {allowzero=1}" Y, "Reshape",
                "entry 2 of the target shape is -1 beside a 0");
    refuse_node("in x f32 [2,3]\nconst s f32 [1] 6\ny = Reshape x s" Y, "Reshape",
                "target shape 's' is of type f32, not of an integer type");
    refuse_node(XS "[1,2] 3 2\ny = Reshape x s" Y, "Reshape",
                "target shape 's' is i64[1, 2], not a vector");
    refuse(XS "[2] 4611686018427387904 4\ny = Reshape x s" Y, TN_E_LIMIT,
           "node 'y' (Reshape): symbolic size overflows 64 bits");
}

static void test_depends_on_data(void **state) {
    (void)state;
#define OPEN(what) what " is i64[n]: a number of elements that is not known is unsupported"
    refuse_unsupported(X "in s i64 [n]\ny = Reshape x s" Y, "Reshape", OPEN("target shape"));
    refuse_unsupported(X "in s i64 [n]\ny = Expand x s" Y, "Expand", OPEN("target shape"));
    refuse_unsupported("in s i64 [n]\ny = ConstantOfShape s" Y, "ConstantOfShape",
                       OPEN("the shape"));
    refuse_unsupported(X "in a i64 [n]\ny = ReduceSum x a" Y, "ReduceSum", OPEN("axes"));
    refuse_unsupported(X "in a i64 [n]\ny = Pad x a" Y, "Pad", OPEN("widths of the borders"));
    refuse_unsupported(X "in a i64 [n]\ny = Slice x a a" Y, "Slice", OPEN("starts"));
    refuse_node(X "in a i64 [3]\ny = Squeeze x a" Y, "Squeeze", "3 axes of a tensor of rank 2");
    refuse_node(X "in a i64 [3]\ny = Pad x a" Y, "Pad", "3 borders for 2 axes");
    refuse_node(X "in a i64 [1]\nin b i64 [2]\ny = Slice x a b" Y, "Slice", "1 starts, but 2 ends");
}

static void test_axes(void **state) {
    (void)state;
    refuse_node(X "y = Transpose x {perm=[0,0]}" Y, "Transpose",
                "entry 1 of perm is 0, for the second time");
    refuse_node(X "y = Transpose x {perm=[0,2]}" Y, "Transpose",
                "entry 1 of perm is 2, which is no axis");
    refuse_node(X "y = Transpose x {perm=[0]}" Y, "Transpose",
                "perm has 1 entries, the operand is f32[b, 4]");
    refuse_node(X "y = Softmax x {axis=-9223372036854775808}" Y, "Softmax",
                "axis -9223372036854775808 of a tensor of rank 2");
    refuse_node(X "y = Concat x x {axis=2}" Y, "Concat", "axis 2 of a tensor of rank 2");
    refuse_node(X "y = Flatten x {axis=3}" Y, "Flatten", "axis 3 of a tensor of rank 2");
    refuse_node(X "y = Gather x x {axis=-3}" Y, "Gather", "axis -3 of a tensor of rank 2");
    refuse_node(X "const g f32 [4] 1 1 1 1\ny = LayerNormalization x g {axis=2}" Y,
                "LayerNormalization", "axis 2 of a tensor of rank 2");
    refuse_node(X "const a i64 [1] 5\ny = ReduceSum x a" Y, "ReduceSum",
                "axis 5 of a tensor of rank 2");
    refuse_node(X "const a i64 [2] 0 -2\ny = ReduceSum x a" Y, "ReduceSum",
                "axis -2 is there twice");
    refuse_node(X "const a i64 [1] 1\ny = Squeeze x a" Y, "Squeeze",
                "the squeezed dimension and 1 differ, 4 and 1");
    refuse_node(X "const a i64 [2] 1 1\ny = Unsqueeze x a" Y, "Unsqueeze", "axis 1 is there twice");
}

static void test_parts(void **state) {
    (void)state;
    refuse_node(XS "[2] 1 1\ny, a = Split x s {axis=1}" Y, "Split",
                "the sum of the sizes and the length of the axis differ, 2 and 3");
    refuse_node(XS "[2] -1 4\ny, a = Split x s {axis=1}" Y, "Split", "size 0 is -1");
    refuse_node(XS "[3] 1 1 1\ny, a = Split x s {axis=1}" Y, "Split", "3 sizes, but 2 outputs");
    refuse_node(XS "[1] 1\ny, a = Split x {axis=1}" Y, "Split",
                "the sum of the sizes and the length of the axis differ, 4 and 3");
    refuse_node(XS "[1] 1\ny, a = Split x {num_outputs=3}" Y, "Split",
                "num_outputs is 3, but there are 2 outputs");
    refuse(XS "[2] 9223372036854775807 9223372036854775807\ny, a = Split x s" Y, TN_E_LIMIT,
           "node 'y' (Split): symbolic size overflows 64 bits");
    refuse_node(XS "[1] 0\nconst p i64 [1] 0\ny = Slice x s s s p" Y, "Slice",
                "step 0 along axis 0");
    refuse_node(XS "[2] 0 0\ny = Slice x s s s" Y, "Slice", "axis 0 is there twice");
    refuse_node(XS "[2] 0 0\nconst e i64 [1] 0\ny = Slice x s e" Y, "Slice",
                "2 starts, but 1 ends");
    refuse_node(XS "[2] 0 0\nconst a i64 [1] 0\ny = Slice x s s a" Y, "Slice",
                "2 starts, but 1 axes");
}

#define IMAGE "in x f32 [1,1,8]\nconst w f32 [1,1,3] 1 1 1\n"

static void test_convolution(void **state) {
    (void)state;
    refuse_node(IMAGE "y = Conv x w {strides=[0]}" Y, "Conv", "attribute 'strides' contains 0");
    refuse_node(IMAGE "y = Conv x w {group=0}" Y, "Conv", "0 groups");
    refuse_node(IMAGE "y = Conv x w {pads=[4611686018427387904,0]}" Y, "Conv",
                "attribute 'pads' contains 4611686018427387904");
    refuse_node(IMAGE "y = Conv x w {dilations=[1,1]}" Y, "Conv",
                "attribute 'dilations' has 2 entries, wanted 1");
    refuse_node(IMAGE "y = Conv x w {dilations=[4]}" Y, "Conv",
                "the kernel is longer than the input: 9 > 8");
    refuse_node(IMAGE "y = Conv x w {kernel_shape=[4]}" Y, "Conv",
                "kernel_shape has 4 for axis 0, but the weights are f32[1, 1, 3]");
    refuse_node("in x f32 [1,4,2,2]\ny = DepthToSpace x {blocksize=0}" Y, "DepthToSpace",
                "blocksize is 0");
}

static void test_repeats(void **state) {
    (void)state;
    refuse_node(XS "[1] -3\ny = Expand x s" Y, "Expand", "entry 0 of the target shape is -3");
    refuse_node(XS "[1] 4\ny = Expand x s" Y, "Expand",
                "f32[2, 3] and f32[4] do not broadcast, dimensions 3 and 4");
    refuse_node(XS "[1] 2\ny = Tile x s" Y, "Tile", "1 repeats for f32[2, 3]");
    refuse_node(XS "[2] 1 -2\ny = Tile x s" Y, "Tile", "entry 1 of the repeats is -2");
    refuse_node("const s i64 [1] -1\ny = ConstantOfShape s" Y, "ConstantOfShape",
                "negative dimension: -1 < 0");
    refuse_node("const z i64 [] 0\ny = Range z z z" Y, "Range", "delta is 0");
}

static void test_types(void **state) {
    (void)state;
    refuse_node(X "y = Cast x {to=0}" Y, "Cast", "element type 0 is unknown");
    refuse_node(X "y = Cast x {to=999}" Y, "Cast", "element type 999 is unknown");
    refuse_unsupported(X "y = Cast x {to=8}" Y, "Cast", "STRING is unsupported");
    refuse_unsupported(X "y = Cast x {to=14}" Y, "Cast", "COMPLEX64 is unsupported");
    refuse_node(X "y = Cast x {to=17 saturate=2}" Y, "Cast",
                "attribute 'saturate' is 2, not 0 or 1");
    refuse_node(X "y = Cast x {to=24 round_mode=odd}" Y, "Cast",
                "attribute 'round_mode' is 'odd', not one of up, down, nearest");
    refuse_node(X "h = Cast x {to=17}\ny = Add h h" Y, "Add",
                "operand 0 has type f8e4m3fn, not number");
    refuse_node(X "const i f32 [1] 0\ny = Gather x i" Y, "Gather",
                "operand 1 has type f32, not i32 or i64");
    refuse_node(X "const i i64 [] 4\ny = Gather x i {axis=1}" Y, "Gather",
                "index 4 is outside an axis of length 4");
    refuse_node(X "const i i64 [] -5\ny = Gather x i {axis=1}" Y, "Gather",
                "index -5 is outside an axis of length 4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cycles),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_unsupported),  cmocka_unit_test(test_arity),
        cmocka_unit_test(test_attributes),   cmocka_unit_test(test_attribute_fields),
        cmocka_unit_test(test_declarations), cmocka_unit_test(test_products),
        cmocka_unit_test(test_reshape),      cmocka_unit_test(test_depends_on_data),
        cmocka_unit_test(test_axes),         cmocka_unit_test(test_parts),
        cmocka_unit_test(test_convolution),  cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
