/* Models that the ONNX importer must refuse, with the text it refuses them with. */
#include "frontend/frontend.h"
#include "tests/support/expect_fail.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/scratch.h"

#define FILE_NAME "m.onnx"

static void import_text(Cx *cx, const void *text) {
    write_model(FILE_NAME, text);
    onnx_import(ir_module_new(cx), FILE_NAME, NULL);
}

static void refuse(const char *model, TnStatus code, const char *text) {
    char message[2048];
    snprintf(message, sizeof message, "m.onnx: %s", text);
    expect_fail(import_text, model, code, message);
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
           "unsupported operators of opset 20: Blur (4: 'a', 'c', 'd', ...); "
           "com.example.Relu (1: 'b')");
    refuse("opset 17\n" X "a = Gelu x\nout a", TN_E_UNSUPPORTED,
           "unsupported operators of opset 17: Gelu (1: 'a')");
    refuse_unsupported(X "y, m = Dropout x\nz = Cast m {to=1}" Y "\nout z", "Dropout",
                       "output 1, 'm', is unsupported");
    refuse_unsupported(X "const t bool [] 1\ny = Dropout x - t" Y, "Dropout",
                       "training_mode is unsupported");
}

static void test_arity(void **state) {
    (void)state;
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

/* A node whose attribute is written by hand: field numbers of AttributeProto. */
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
    write_file("hand.onnx", model.data, model.size);
    bytes_free(&model);
    snprintf(message, sizeof message, "hand.onnx: node 'y' (Constant): %s", text);
    char found[2048];
    (void)found;
    expect_fail((TryFn *)(void (*)(Cx *, const void *))import_text, NULL, TN_E_MODEL, message);
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
    refuse_node("in x f32 [2,3]\nin w f32 [2]\ny = Gemm x x w {transB=1}" Y "\nout z\n"
                "z = Gemm x x w",
                "Gemm", "");
    refuse_node("in x f32 [2]\ny = Gemm x x" Y, "Gemm", "input 0 is f32[2], not of rank 2");
    refuse_node("in x f32 [2,3]\nin w f32 [3,5]\nin c f32 [7,1,5]\ny = Gemm x w c" Y, "Gemm",
                "f32[7, 1, 5] does not broadcast to the product, f32[2, 5]");
    refuse_node("in x f32 [2,3]\nin c f32 [2,3]\ny = Where c x x" Y, "Where",
                "operand 0 has type f32, not bool");
    refuse_node("in x string [2]\ny = Relu x" Y, "Relu", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cycles),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_arity),
        cmocka_unit_test(test_attributes),  cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
