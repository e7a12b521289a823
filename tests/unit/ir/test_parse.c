/* The text form: every operator and every kind of thing prints and parses back; bad text is refused
 * with its place. */
#include <float.h>
#include <math.h>
#include "ir/print.h"
#include "tests/support/expect_fail.h"
#include "tests/unit/ir/every_operator.h"
#include "tests/unit/ir/fixture.h"

static void see_operators(const char *text, bool *seen) {
    Module *m = ir_parse(&fx.cx, text, NULL);
    assert_string_equal(ir_print(m), text);
    assert_null(ir_verify(m->graphs));
    for (const Node *n = m->graphs->first; n; n = n->next) seen[n->op] = true;
}

static void test_every_operator(void **state) {
    (void)state;
    GUARD();
    bool seen[OP_COUNT] = {0};
    see_operators(every_operator, seen);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) see_operators(more[i], seen);
    for (int op = 0; op < OP_COUNT; op++)
        if (!seen[op] && !(ir_op_info((OpKind)op)->flags & OPF_CONTROL)) /* golden/ir/control.txt */
            fail_msg("%s is not in the text", ir_op_info((OpKind)op)->name);
}

/* prints m, parses that and prints again */
static const char *print_twice(Module *m) {
    const char *text = ir_print(m);
    const char *again = ir_print(ir_parse(&fx.cx, text, m));
    assert_string_equal(again, text);
    return text;
}

static void test_origins(void **state) {
    (void)state;
    GUARD();
    Module *m = ir_parse(&fx.cx, every_operator, NULL);
    for (const Node *n = m->graphs->first; n; n = n->next) {
        if (n->op != OP_pad) continue;
        assert_int_equal(n->origin_count, 2);
        assert_string_equal(n->origins[1], "a \\ b");
    }
}

static void test_names(void **state) {
    (void)state;
    GUARD();
    const Expr *dims[] = {ex_int(fx.x, 1)};
    int64_t one = 1;
    float v = 0.1f;
    Value *x = ir_input(fx.g, "onnx::x 1", TN_F32, 1, dims, INPUT_REQUIRED);
    Value *w = ir_tensor(fx.g, "w", TN_F32, 1, &one, &v);
    Value *same = ir_tensor(fx.g, "w", TN_F32, 1, &one, &v);
    Value *input_name = ir_tensor(fx.g, "onnx::x 1", TN_F32, 1, &one, &v);
    Value *digits = ir_tensor(fx.g, "0", TN_F32, 1, &one, &v);
    Value *unnamed = ir_tensor(fx.g, NULL, TN_F32, 1, &one, &v);
    Value *values[] = {x, w, same, input_name, digits, unnamed};
    ir_tensor(fx.g, "unused", TN_F32, 1, &one, &v);
    fx.g->origin = "line\none";
    ir_output(fx.g, "y", ir_concat(fx.g, 6, values, 0));
    assert_string_equal(print_twice(fx.m),
                        "module {\n"
                        "  const %w: f32[1] = {0.1}\n"
                        "  const %w.1: f32[1] = {0.1}\n"
                        "  const %\"onnx::x 1.1\": f32[1] = {0.1}\n"
                        "  const %\"0\": f32[1] = {0.1}\n"
                        "  const %c0: f32[1] = {0.1}\n"
                        "  graph main(%\"onnx::x 1\": f32[1]) {\n"
                        "    %0: f32[6] = concat %\"onnx::x 1\", %w, %w.1, %\"onnx::x 1.1\", "
                        "%\"0\", %c0 {axis=0} // line\\x0aone\n"
                        "    return %0 as \"y\"\n"
                        "  }\n"
                        "}\n");
}

/* Every element type at its ends, and what six digits do not tell. */
static void test_elements(void **state) {
    (void)state;
    GUARD();
    static const double floats[] = {0.1,   1.0 / 3,  FLT_MAX, DBL_MIN,  1e-40, -0.0,
                                    1e300, INFINITY, NAN,     16777217, 65504, 5e-324};
    for (int type = TN_F32; type <= TN_F64; type++) {
        unsigned char data[16 * 8] = {0};
        int64_t n = 12;
        for (int64_t i = 0; i < n; i++) ir_store_f64((TnDType)type, data, i, floats[i]);
        ir_output(fx.g, tn_dtype_name((TnDType)type),
                  ir_tensor(fx.g, NULL, (TnDType)type, 1, &n, data));
    }
    for (int type = TN_I8; type <= TN_BOOL; type++) {
        unsigned char data[4 * 8];
        int64_t n = 3,
                top = type == TN_U64 ? -1 : INT64_MAX >> (64 - 8 * tn_dtype_size((TnDType)type));
        for (int64_t i = 0; i < n; i++)
            ir_store_i64((TnDType)type, data, i, i == 0 ? 1 : i == 1 ? top : -top - 1);
        ir_output(fx.g, tn_dtype_name((TnDType)type),
                  ir_tensor(fx.g, NULL, (TnDType)type, 1, &n, data));
    }
    const char *text = print_twice(fx.m);
    Module *again = ir_parse(&fx.cx, text, NULL);
    Constant *b = again->constants;
    for (Constant *a = fx.m->constants; a; a = a->next, b = b->next)
        assert_int_equal(ir_constant_hash(a), ir_constant_hash(b));
}

static void test_hashes(void **state) {
    (void)state;
    GUARD();
    float data[20] = {1, 2, 3};
    int64_t n = 20;
    Value *w = ir_tensor(fx.g, "w", TN_F32, 1, &n, data);
    ir_output(fx.g, "y", w);
    const char *text = ir_print(fx.m);
    Module *blank = ir_parse(&fx.cx, text, NULL), *full = ir_parse(&fx.cx, text, fx.m);
    assert_true(ir_element_f64(TN_F32, blank->constants->data, 1) == 0);
    assert_true(ir_element_f64(TN_F32, full->constants->data, 1) == 2);
    assert_string_equal(ir_print(blank), text);
    assert_string_equal(ir_print(full), text);
}

/* s6 is replaced by batch, the quotient keeps its form, and what restricts one symbol is a range.
 */
static void test_require(void **state) {
    (void)state;
    GUARD();
    const Expr *batch = ex_symbol(fx.x, "batch"), *seq = ex_symbol(fx.x, "seq");
    const Expr *s6 = ex_symbol(fx.x, "s6"), *k = ex_symbol(fx.x, "k");
    const Expr *quotient = ex_floordiv(fx.x, ex_mul(fx.x, s6, seq), k);
    ex_note_use(fx.x, "batch");
    assert_true(ex_require_eq(fx.x, quotient, ex_symbol(fx.x, "t"), "Reshape"));
    assert_true(ex_require_eq(fx.x, s6, batch, "Add"));
    assert_true(ex_require_le(fx.x, seq, ex_int(fx.x, 512), "Slice"));
    assert_true(ex_require_le(fx.x, ex_add(fx.x, seq, k), ex_symbol(fx.x, "total"), "Gather"));
    ex_set_range(fx.x, "batch", 1, INT64_MAX);
    const char *names[] = {"batch", "seq", "k", "t", "total"};
    const Expr *dims[5];
    for (int i = 0; i < 5; i++) dims[i] = ex_symbol(fx.x, names[i]);
    ir_output(fx.g, "y", ir_input(fx.g, "x", TN_F32, 5, dims, INPUT_REQUIRED));
    const char *text = print_twice(fx.m);
    assert_non_null(
        strstr(text, "require batch >= 1, seq <= 512, (batch*seq)//k == t, k + seq <= total {"));
}

/* A requirement found late changes what was inferred before: the text is read again. */
static void test_rounds(void **state) {
    (void)state;
    GUARD();
    static const char text[] = "module {\n"
                               "  graph main(%x: f32[n], %y: f32[m], %z: f32[m]) {\n"
                               "    %0: f32[m] = neg %z\n"
                               "    %1: f32[m] = add %x, %y\n"
                               "    return %0 as \"a\", %1 as \"b\"\n"
                               "  }\n"
                               "}\n";
    static const char settled[] = "module {\n"
                                  "  graph main(%x: f32[m], %y: f32[m], %z: f32[m]) {\n"
                                  "    %0: f32[m] = neg %z\n"
                                  "    %1: f32[m] = add %x, %y\n"
                                  "    return %0 as \"a\", %1 as \"b\"\n"
                                  "  }\n"
                                  "}\n";
    assert_string_equal(ir_print(ir_parse(&fx.cx, text, NULL)), settled);
}

/* --- refusals --- */

static void parse_text(Cx *cx, const void *text) {
    ir_parse(cx, text, NULL);
}

#define GRAPH(body) "module { graph main(%x: f32[n]) {\n" body "\nreturn %0 as \"y\" } }"

static void test_refusals(void **state) {
    (void)state;
    GUARD();
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1, column 1: 'module' expected, found the end of the text"},
        {"module {", "line 1, column 9: '}' expected, found the end of the text"},
        {"module { } x", "line 1, column 12: text after the module"},
        {"module { meta 3 }", "line 1, column 15: quoted key expected, found '3'"},
        {"module { meta \"a", "line 1, column 15: the string has no end"},
        {"module { meta \"\\n\" = \"\" }", "line 1, column 16: unknown escape; only \\xNN is one"},
        {"module { const %a: f32[n] = {} }",
         "line 1, column 16: the dimensions of a constant are numbers"},
        {"module { const %a: f32[2] = {1} }", "line 1, column 29: 1 elements, not 2"},
        {"module { const %a: i8[1] = {128} }", "line 1, column 29: not a number of type i8"},
        {"module { const %a: i64[1] = {9223372036854775808} }",
         "line 1, column 30: integer beyond 64 bits"},
        {"module { const %a: f33[1] = {1} }", "line 1, column 20: unknown element type 'f33'"},
        {"module { const %a: f32[1] = #xyz }", "line 1, column 29: not a hash"},
        {"module { const %a: f32[1] = {1} const %a: f32[1] = {1} }",
         "line 1, column 39: %a is defined twice"},
        {"module { const %a: f64[8388609] = #1 }",
         "line 1, column 35: more than 67108864 bytes of constants without values"},
        {"module { graph g() { return } graph g() { return } }",
         "line 1, column 37: there are two graphs of this name"},
        {"module { graph g(%x: f32[], %x: f32[]) { return } }",
         "line 1, column 29: %x is defined twice"},
        {"module { graph g(%x: f32[n +]) { return } }",
         "line 1, column 26: size 'n +]) { return } }': expected a name, a number or '(' at ']) { "
         "return } }'"},
        {"module { graph g(%x: f32[a,a,a,a,a,a,a,a,a]) { return } }",
         "line 1, column 22: 9 axes, at most 8"},
        {"module { graph g(%x: f32[n]) require n <= -1 { return } }",
         "line 1, column 38: no value of n is left"},
        {"module { graph g(%x: f32[n]) require n { return } }",
         "line 1, column 40: '<=', '>=' or '==' expected"},
        {"module { graph g(%x: f32[n]) require 2*n + 1 <= n { return } }",
         "line 1, column 38: this cannot hold"},
        {"module { graph g(%x: f32[n]) require n <= k { return } }",
         "line 1, column 38: no input has the symbol k, nor is it measured"},
        {GRAPH("%0: f32[k] = expand %x {dims=[k]}"),
         "line 2, column 1: no input has the symbol k, nor is it measured"},
        {GRAPH("%0: f32[n] = foo %x"), "line 2, column 14: unknown operator 'foo'"},
        {GRAPH("%0: f32[n] = neg %y"), "line 2, column 18: %y is not defined yet"},
        {GRAPH("%0: f32[n] = neg %0"), "line 2, column 18: %0 is not defined yet"},
        {GRAPH("%0: f32[2*n] = neg %x"), "line 2, column 1: the type is f32[n], not f32[2*n]"},
        {GRAPH("%0: f16[n] = neg %x"), "line 2, column 1: the type is f32[n], not f16[n]"},
        {GRAPH("%0: f32[n] = neg %x, %x"), "line 2, column 1: neg cannot have 2 operands"},
        {GRAPH("%0: f32[n] = add %x, _"), "line 2, column 1: operand 1 of add is missing"},
        {GRAPH("%0: f32[n], %1: f32[n] = neg %x"), "line 2, column 1: neg has 1 results, not 2"},
        {GRAPH("%0: f32[n] = neg %x {to=f32}"), "line 2, column 22: neg has no attribute 'to'"},
        {GRAPH("%0: f32[n] = cumsum %x {axis=0, axis=0}"),
         "line 2, column 33: the attribute is there twice"},
        {GRAPH("%0: f32[n] = cumsum %x"),
         "line 2, column 1: attribute 'axis' of cumsum is missing"},
        {GRAPH("%0: f32[n] = cumsum %x {axis=x}"), "line 2, column 30: integer expected"},
        {GRAPH("%0: f32[n] = pad %x {before=[0], after=[0], mode=none}"),
         "line 2, column 50: attribute 'mode' cannot be 'none'; it is one of "
         "constant|reflect|edge|wrap"},
        {GRAPH("%0: f32[n] = map %x {dtype=f32, body=(t1 = and x0 x0)}"),
         "line 2, column 39: operands are not bool"},
        {GRAPH("%0: f32[n] = map %x {dtype=f32, body=(t1 = add x0 t1)}"),
         "line 2, column 51: no register 't1' here"},
        {GRAPH("%0: f32[n] = map %x {dtype=f32, body=(t1 = reduce_sum x0)}"),
         "line 2, column 39: reduce_sum cannot be a step of a map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_fail(parse_text, cases[i].text, TN_E_MODEL, cases[i].message);
}

/* --- verification --- */

static void test_verify(void **state) {
    (void)state;
    GUARD();
    Module *m = ir_parse(&fx.cx, every_operator, NULL);
    Graph *g = m->graphs;
    Node *first = g->first, *last = g->last;
    Value *x = g->inputs[0];

    x->use_count--;
    assert_non_null(strstr(ir_verify(g), "the use list of an operand lacks this use"));
    x->use_count++;
    x->output_uses++;
    assert_non_null(strstr(ir_verify(g), "('x') is used"));
    x->output_uses--;

    ir_move_before(g->outputs[0]->node, first);
    assert_null(ir_verify(g)); /* its operands are inputs */
    Node *user = last->prev;
    while (user->op != OP_concat) user = user->prev;
    ir_move_before(user, first);
    assert_non_null(strstr(ir_verify(g), "not computed before it is used: %1: f32[n, 6] = concat"));
    ir_move_before(user, last);
    assert_null(ir_verify(g));

    user->outputs[0]->type.dims[0] = ex_int(m->ex, 7);
    assert_non_null(strstr(ir_verify(g), "result 0 is inferred to be f32[n, 6]: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_operator, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_origins, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_names, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_elements, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_hashes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_require, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_rounds, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_verify, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
