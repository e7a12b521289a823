/* Graphs in attributes, functions, sequences: what must be refused, and with which text. */
#include "tests/support/onnx_values.h"

static void refuse(const char *model, TnStatus code, const char *text) {
    refuse_model(model, code, "", text);
}

#define INVALID(model, text)     refuse(model, TN_E_MODEL, text)
#define UNSUPPORTED(model, text) refuse(model, TN_E_UNSUPPORTED, text)

#define IN   "in x f32 [n]\nin c bool []\n"
#define IF   "y = If c {then_branch=@t else_branch=@e}\nout y"
#define SAME "body e\ne1 = Neg x\nout e1\nend\n"
#define THEN "body t\nt1 = Neg x\nout t1\nend\n"
#define LOOP "in m i64 []\nin x f32 [n]\ny = Loop m - x {body=@b}\nout y"
#define HEAD "body b\nin i i64 []\nin g bool []\nin s f32 [n]\n"

/* --- names in graphs inside graphs --- */

static void test_names(void **state) {
    (void)state;
    INVALID("body t\na = Neg x\na = Abs x\nout a\nend\n" SAME IN IF,
            "node 'y' (If): 'a' is defined twice, by node 'a' (Neg) and by node 'a' (Abs)");
    INVALID("body t\nx = Neg x\nout x\nend\n" SAME IN IF,
            "node 'y' (If): 'x' is defined twice, by an input and by node 'x' (Neg)");
    INVALID("body t\na = Neg b\nb = Abs a\nout b\nend\n" SAME IN IF,
            "node 'y' (If): nodes that wait for each other: 'a', 'b'");
    INVALID("body t\na = Neg y\nout a\nend\n" SAME IN IF, "nodes that wait for each other: 'y'");
    INVALID("body t\na = Neg z\nout a\nend\n" SAME IN "z = Abs y\n" IF,
            "nodes that wait for each other: 'z', 'y'");
    INVALID("body t\na = Neg nowhere\nout a\nend\n" SAME IN IF,
            "node 'y' (If): node 'a' (Neg): nothing defines its input 'nowhere'");
    INVALID("body t\na = Neg x\nout nowhere\nend\n" SAME IN IF,
            "node 'y' (If): nothing defines the output 'nowhere'");
    INVALID("body t\na = Neg e1\nout a\nend\n" SAME IN IF,
            "node 'y' (If): node 'a' (Neg): nothing defines its input 'e1'");
    INVALID("body t\na = Neg x\nend\n" SAME IN IF, "node 'y' (If): the graph has no outputs");
}

/* --- If --- */

static void test_if(void **state) {
    (void)state;
    INVALID(SAME IN "y = If c {else_branch=@e}\nout y",
            "node 'y' (If): attribute 'then_branch' is missing");
    INVALID(SAME IN "y = If c {else_branch=@e then_branch=2}\nout y",
            "node 'y' (If): attribute 'then_branch' is INT, not GRAPH");
    INVALID("body t\nin q f32 [2]\nt1 = Neg q\nout t1\nend\n" SAME IN IF,
            "node 'y' (If): its graph has 1 inputs, wanted 0");
    INVALID("body t\nt1 = Neg x\nout t1\nout x\nend\n" SAME IN IF,
            "node 'y' (If): a branch has 2 outputs, the node has 1");
    INVALID(THEN SAME IN "y, z = If c {then_branch=@t else_branch=@e}\nout y",
            "node 'y' (If): its graph has 1 outputs, wanted at least 2");
    INVALID(THEN SAME "in x f32 [n]\nin c f32 []\n" IF,
            "node 'y' (If): the condition is of type f32, not bool");
    INVALID(THEN SAME "in x f32 [n]\nin c bool [2]\n" IF,
            "node 'y' (If): the condition differ, 2 and 1");
    INVALID(
        "body t\nt1 = Cast x {to=11}\nout t1\nend\n" SAME IN IF,
        "node 'y' (If): output 0 is f64[y.then.0] in one branch and f32[y.else.0] in the other");
    UNSUPPORTED("body t\nt1 = Size x\nout t1\nend\nbody e\nt2 = Shape x\nout t2\nend\n" IN IF,
                "node 'y' (If): output 't1' is i64[] in one branch and i64[1] in the other: "
                "different numbers of axes are unsupported, unless the condition is known");
    /* an operator that is not there matters only where it is needed */
    UNSUPPORTED("body t\nt1 = Blur x\nout t1\nend\n" SAME IN IF,
                "unsupported operator Blur of opset 20 (1: 't1')");
    expect_ok(import_model,
              "body t\nt1 = Blur x\nout t1\nend\n" SAME "in x f32 [n]\nconst c bool [] 0\n" IF);
}

/* --- Loop, Scan --- */

static void test_loop(void **state) {
    (void)state;
    INVALID("body b\nin i i64 []\nin g bool []\nout g\nend\n" LOOP,
            "node 'y' (Loop): its graph has 2 inputs, wanted 3");
    INVALID(HEAD "out g\nend\n" LOOP,
            "node 'y' (Loop): its graph has 1 outputs, wanted at least 2");
    INVALID(HEAD "t = Cast s {to=11}\nout g\nout t\nend\n" LOOP,
            "node 'y' (Loop): carried value 0 is f32[n] before and f64[n] after an iteration");
    UNSUPPORTED(
        HEAD "z = Constant {value_ints=[0]}\nt = Unsqueeze s z\nout g\nout t\nend\n" LOOP,
        "node 'y' (Loop): carried value 0 is f32[n] before and f32[1, n] after an iteration: "
        "a changing number of axes is unsupported");
    INVALID(HEAD "out s\nout s\nend\n" LOOP,
            "node 'y' (Loop): the condition that the body computes "
            "is of type f32, not bool");
    INVALID(HEAD "out g\nout s\nend\nin m f32 []\nin x f32 [n]\ny = Loop m - x {body=@b}\nout y",
            "node 'y' (Loop): the trip count is of type f32, not i64");
    INVALID(HEAD "out g\nout s\nend\nin m i64 []\nin x f32 [n]\ny, z = Loop m - x {body=@b}\nout y",
            "node 'y' (Loop): 2 outputs, the body has 1");
    UNSUPPORTED(
        "body b\nin i i64 []\nin g bool []\nin s 0\nr = SequenceErase s\nout g\nout r 0\nend\n"
        "in m i64 []\nin x f32 [n]\nq = SequenceConstruct x x\nw = Loop m - q {body=@b}\n"
        "y = SequenceLength w\nout y",
        "node 'w' (Loop): a sequence or optional carried around a loop whose number of "
        "iterations is not known is unsupported, unless it starts empty and grows by one "
        "tensor each time");
    INVALID("body b\nin v f32 [2]\nout v\nend\nin x f32 [k,2]\ny = Scan x {body=@b "
            "num_scan_inputs=2}\nout y",
            "node 'y' (Scan): num_scan_inputs is 2 of 1 inputs");
    INVALID("body b\nin v f32 [2]\nout v\nend\nin x f32 [k,2]\ny = Scan x {body=@b "
            "num_scan_inputs=1 scan_input_axes=[2]}\nout y",
            "node 'y' (Scan): axis 2 of a tensor of rank 2");
    INVALID("body b\nin v f32 [2]\nout v\nend\nin x f32 [k,2]\ny = Scan x {body=@b "
            "num_scan_inputs=1 scan_output_directions=[2]}\nout y",
            "node 'y' (Scan): scan_output_directions has the entry 2, not 0 or 1");
    UNSUPPORTED("opset 8\nbody b\nin v f32 [2]\nout v\nend\nin x f32 [b,k,2]\nin l i64 [b]\n"
                "y = Scan l x {body=@b num_scan_inputs=1}\nout y",
                "node 'y' (Scan): lengths of sequences in a Scan are unsupported");
}

/* --- functions --- */

static void test_functions(void **state) {
    (void)state;
    INVALID("function d::F x -> y |\ny = d::F x\nend\nin x f32 [n]\ny = d::F x\nout y",
            "function 'd.F': function 'd.F' calls itself");
    INVALID("function d::F x -> y |\ny = d::G x\nend\nfunction d::G x -> y |\ny = d::F x\nend\n"
            "in x f32 [n]\ny = d::F x\nout y",
            "function 'd.F': function 'd.G': function 'd.F' calls itself");
    INVALID("function d::F x -> y |\ny = Neg x\nend\nfunction d::F x -> y |\ny = Abs x\nend\n"
            "in x f32 [n]\ny = d::F x\nout y",
            "function 'd.F' is there twice");
    INVALID("function d::F x -> y |\nz = Neg x\nend\nin x f32 [n]\ny = d::F x\nout y",
            "function 'd.F': nothing defines the output 'y'");
    INVALID("function d::F x -> y |\ny = Neg x\nend\nin x f32 [n]\ny = d::F x x\nout y",
            "node 'y' (d.F): 2 inputs, wanted at most 1");
    INVALID("function d::F x -> y | a\ny = Neg x\nend\nin x f32 [n]\ny = d::F x {b=2}\nout y",
            "node 'y' (d.F): unknown attribute 'b'");
    INVALID("function d::F x -> y | a\ny = LeakyRelu x {alpha=$a}\nend\nin x f32 [n]\n"
            "y = d::F x {a=2}\nout y",
            "node 'y' (d.F): node 'y/y' (LeakyRelu): attribute 'alpha' is INT, not FLOAT");
    UNSUPPORTED("function d::F x -> y |\ny = d::G x\nend\nin x f32 [n]\ny = d::F x\nout y",
                "unsupported operator d.G (1: 'y')");
    UNSUPPORTED("opset 0\nin x f32 [n]\ny = ml::Tree x\nout y",
                "unsupported operator ml.Tree (1: 'y')");
}

/* What fails in a graph or function fails the node around it no second time, and what does not
 * depend on it is looked at. */
static void test_several(void **state) {
    (void)state;
    INVALID("function d::F x -> y z |\ny = Softmax x {axis=7}\nz = Neg x\nend\nin x f32 [n]\n"
            "a, b = d::F x\nc = Relu a\nd = Softmax b {axis=5}\nout c\nout d",
            "2 problems; 1 node not looked at\n"
            "  node 'a' (d.F): node 'a/y' (Softmax): axis 7 of a tensor of rank 1\n"
            "  node 'd' (Softmax): axis 5 of a tensor of rank 1");
    INVALID("body t\nt1 = Softmax x {axis=7}\nt2 = Neg t1\nout t2\nend\n"
            "body e\ne1 = Blur x\nout e1\nend\n" IN
            "y = If c {then_branch=@t else_branch=@e}\nz = Relu y\nv = Neg x\nout z\nout v",
            "2 problems; 3 nodes not looked at\n"
            "  node 'y' (If): node 't1' (Softmax): axis 7 of a tensor of rank 1\n"
            "  unsupported operator Blur of opset 20 (1: 'e1')");
}

/* Forty functions that call the one before twice come to 2^40 nodes. */
static void test_doubling(void **state) {
    (void)state;
    char text[8192];
    int at = snprintf(text, sizeof text, "function d::F0 x -> y |\ny = Neg x\nend\n");
    for (int i = 1; i <= 40; i++)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "function d::F%d x -> y |\nz = d::F%d x\ny = d::F%d z\nend\n", i, i - 1,
                       i - 1);
    snprintf(text + at, sizeof text - (size_t)at, "in x f32 [n]\ny = d::F40 x\nout y");
    char message[2048];
    assert_int_equal(try_call(import_model, text, message, sizeof message), TN_E_LIMIT);
    assert_non_null(strstr(message, "with the functions that it calls, more than 1048576 nodes"));
}

/* --- sequences, optionals --- */

static void test_lists(void **state) {
    (void)state;
    INVALID("in x f32 [4]\ns = SequenceConstruct x\ny = Neg s\nout y",
            "node 'y' (Neg): input 0 is a sequence, not a tensor");
    INVALID("in x f32 [4]\ny = SequenceLength x\nout y",
            "node 'y' (SequenceLength): input 0 is no sequence");
    INVALID("in x f32 [4]\nconst i i64 [] 1\ns = SequenceConstruct x\ny = SequenceAt s i\nout y",
            "node 'y' (SequenceAt): position 1 of a sequence of 1");
    INVALID("in x f32 [4]\nconst i i64 [] -9223372036854775808\ns = SequenceConstruct x\n"
            "y = SequenceAt s i\nout y",
            "node 'y' (SequenceAt): position -9223372036854775808 of a sequence of 1");
    UNSUPPORTED(
        "in x f32 [4]\nin i i64 []\ns = SequenceConstruct x\ny = SequenceAt s i\nout y",
        "node 'y' (SequenceAt): a position in a sequence that depends on data is unsupported");
    INVALID("in x f32 [4]\ns = SequenceEmpty\ny = ConcatFromSequence s {axis=0}\nout y",
            "node 'y' (ConcatFromSequence): the sequence is empty");
    INVALID("in x f32 [4]\no = Optional {type=2}\ny = OptionalGetElement o\nout y",
            "node 'o' (Optional): attribute 'type' is INT, not TYPE_PROTO");
    INVALID("in x f32 [4]\no = Optional\ny = OptionalHasElement o\nout y",
            "node 'o' (Optional): neither an element nor its type is given");
    UNSUPPORTED("in x f32 [4]\ny = SequenceConstruct x\nout y",
                "output 'y': only tensors are supported: a sequence or optional as an output is "
                "unsupported");
    UNSUPPORTED(
        "in x f32 [n]\ns = SplitToSequence x\ny = SequenceLength s\nout y",
        "node 's' (SplitToSequence): a sequence of n tensors: a number that is not known is "
        "unsupported");
    INVALID(
        "in x f32 [4]\nconst p i64 [2] 1 2\ns = SplitToSequence x p\ny = SequenceLength s\nout y",
        "node 's' (SplitToSequence): the sum of the parts and the dimension differ, 3 and 4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_if),
        cmocka_unit_test(test_loop),     cmocka_unit_test(test_functions),
        cmocka_unit_test(test_doubling), cmocka_unit_test(test_several),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
