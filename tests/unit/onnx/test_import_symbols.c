/* What the ONNX importer makes of symbolic lengths, and of graphs as a whole. */
#include "tests/support/onnx_values.h"

/* --- symbols --- */

typedef struct Symbolic {
    const char *model, *type, *required;
} Symbolic;

static void check_symbolic(Cx *cx, const void *arg) {
    const Symbolic *e = arg;
    Graph *g = import_graph(cx, e->model);
    ExprCx *x = g->module->ex;
    const char *all = "";
    for (const Requirement *r = ex_requirements(x); r; r = r->next)
        all = arena_printf(&cx->arena, "%s%s%s %s %s", all, *all ? ", " : "", ex_text(x, r->left),
                           r->kind == REL_EQ ? "==" : "<=", ex_text(x, r->right));
    assert_string_equal(ir_type_text(g->module, &g->outputs[0]->type), e->type);
    assert_string_equal(all, e->required);
}

static void expect_type(const char *model, const char *type, const char *required) {
    expect_ok(check_symbolic, &(Symbolic){model, type, required});
}

/* All inputs have the dims of the output. */
static void check_one_length(Cx *cx, const void *model) {
    Graph *g = import_graph(cx, model);
    for (int i = 0; i < g->input_count; i++)
        assert_true(ir_same_dims(&g->inputs[i]->type, &g->outputs[0]->type));
}

#define IN_BS4 "in x f32 [b,s,4]\n"

static void test_symbolic_reshape(void **state) {
    (void)state;
    expect_type(IN_BS4 "const t i64 [4] 0 0 2 -1\ny = Reshape x t\nout y", "f32[b, s, 2, 2]", "");
    expect_type(IN_BS4 "const t i64 [2] -1 4\ny = Reshape x t\nout y", "f32[b*s, 4]", "");
    expect_type(IN_BS4 "d = Shape x {start=1 end=2}\nconst n i64 [1] -1\nt = Concat d n {axis=0}\n"
                       "y = Reshape x t\nout y",
                "f32[s, 4*b]", "");
    expect_type(IN_BS4 "y = Flatten x {axis=2}\nout y", "f32[b*s, 4]", "");
}

static void test_symbolic_slices(void **state) {
    (void)state;
    expect_type(
        "const p i64 [1,64]"
        " 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31"
        " 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59"
        " 60 61 62 63\n"
        "in x i64 [b,s]\nconst z i64 [1] 0\nconst a i64 [1] 1\ne = Shape x {start=1}\n"
        "q = Slice p z e a\ny = Add x q\nout y",
        "i64[b, s]", "s <= 64");
    expect_type(IN_BS4 "const z i64 [1] 0\nconst o i64 [1] 1\ny = Slice x z o o\nout y",
                "f32[b, 1, 4]", "1 <= s");
    expect_type(IN_BS4
                "const z i64 [1] -1\nconst e i64 [1] 9223372036854775807\nconst o i64 [1] 1\n"
                "y = Slice x z e o\nout y",
                "f32[b, 1, 4]", "1 <= s");
    expect_type(IN_BS4 "const z i64 [1] 0\nconst e i64 [1] -2\nconst o i64 [1] 1\n"
                       "y = Slice x z e o\nout y",
                "f32[b, max(0, s - 2), 4]", "");
    expect_type(IN_BS4 "e = Shape x {start=1 end=2}\nn = Neg e\nconst i i64 [1] 2147483647\n"
                       "const o i64 [1] 1\ny = Slice x n i o\nout y",
                "f32[b, s, 4]", "");
    /* max(1 - s, 0) of one position is that one */
    expect_type("const t f32 [2,1,8] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\nin x f32 [s]\n"
                "e = Shape x\nconst o i64 [1] 1\nconst z i64 [1] 0\nd = Sub o e\nm = Max d z\n"
                "const i i64 [1] 2147483647\ny = Slice t m i o\nout y",
                "f32[2, 1, 8]", "0 <= -max(-s + 1, 0)");
    /* from s on there may be nothing, which is no reason to refuse an s */
    expect_type("in x f32 [1,4]\nin t f32 [s]\ne = Shape t\nconst i i64 [1] 2147483647\n"
                "const z i64 [1] 0\ny = Slice x e i z\nout y",
                "f32[-min(1, s) + 1, 4]", "");
}

static void test_symbolic_values(void **state) {
    (void)state;
    expect_type(IN_BS4 "d = Shape x\nconst i i64 [] 1\nl = Gather d i\nconst z i64 [] 0\n"
                       "const o i64 [] 1\ny = Range z l o\nout y",
                "i64[s]", "");
    expect_type(IN_BS4 "d = Shape x\ny = ConstantOfShape d\nout y", "f32[b, s, 4]", "");
    expect_type(IN_BS4 "const w f32 [1] 1\nd = Shape x\ny = Expand w d\nout y", "f32[b, s, 4]", "");
    expect_type(IN_BS4 "const r i64 [3] 1 2 3\ny = Tile x r\nout y", "f32[b, 2*s, 12]", "");
    expect_type(IN_BS4 "a, y = Split x {axis=1 num_outputs=2}\nout y",
                "f32[b, -((s + 1)//2) + s, 4]", "0 <= -((s + 1)//2) + s");
    expect_type("in x f32 [b,?]\nin z f32 [c,?]\ny = Add x z\nout y", "f32[b, x_1]",
                "b == c, x_1 == z_1");
}

/* Many inputs with symbols of their own, in either order: caches of as many layers. */
static void test_many_symbols(void **state) {
    (void)state;
    for (int down = 0; down < 2; down++) {
        static char model[16384];
        size_t n = 0;
        for (int i = 0; i < 64; i++)
            n += (size_t)snprintf(model + n, sizeof model - n, "in x%d f32 [b%d,s%d,4]\n", i, i, i);
        n += (size_t)snprintf(model + n, sizeof model - n, "y0 = Relu x%d\n", down ? 63 : 0);
        for (int i = 1; i < 64; i++)
            n += (size_t)snprintf(model + n, sizeof model - n, "y%d = Add y%d x%d\n", i, i - 1,
                                  down ? 63 - i : i);
        snprintf(model + n, sizeof model - n, "out y63");
        expect_ok(check_one_length, model);
    }
}

/* An exporter's way to say: expand to this shape, where -1 keeps a dim. */
static void test_expand_idiom(void **state) {
    (void)state;
    expect_type("in x f32 [b,1]\nin w i64 [s]\nd = Shape x {end=1}\ne = Shape w\n"
                "t = Concat d e {axis=0}\nn = Shape t\nones = ConstantOfShape n {value=i64[1]}\n"
                "const m i64 [] -1\nneg = Mul ones m\nq = Equal t neg\nu = Where q ones t\n"
                "y = Expand x u\nout y",
                "f32[b, s]", "");
}

/* --- the graph --- */

static void check_graph(Cx *cx, const void *arg) {
    Graph *g = import_graph(cx, "in x f32 [n]\nc = Add b b\nb = Relu x\nout c f32");
    (void)arg;
    assert_string_equal(ir_print(g->module), "module {\n"
                                             "  meta \"source\" = \"m.onnx\"\n"
                                             "  meta \"opset\" = \"20\"\n"
                                             "  graph main(%x: f32[n]) {\n"
                                             "    %0: f32[n] = relu %x // b\n"
                                             "    %1: f32[n] = add %0, %0 // c\n"
                                             "    return %1 as \"c\"\n"
                                             "  }\n"
                                             "}\n");
}

static void test_order_and_names(void **state) {
    (void)state;
    expect_ok(check_graph, NULL);
}

/* Which inputs a graph has, and what an initializer that is declared as an input is. */
static void check_inputs(Cx *cx, const void *arg) {
    Graph *g = import_graph(
        cx, "in x f32 [2]\nin w f32 [2]\nconst w f32 [2] 1 2\ny = Add x w\nout y\nout x");
    (void)arg;
    assert_int_equal(g->input_count, 1);
    assert_string_equal(g->inputs[0]->name, "x");
    assert_int_equal(g->output_count, 2);
    assert_ptr_equal(g->outputs[1], g->inputs[0]);
}

static void test_inputs(void **state) {
    (void)state;
    expect_ok(check_inputs, NULL);
}

static void check_options(Cx *cx, const void *arg) {
    DimOption third = {.name = "x.2", .min = 7, .max = 7};
    DimOption second = {.name = "s", .min = 1, .max = 9, .next = &third};
    DimOption first = {.name = "b", .rename = "batch", .next = &second};
    ImportOptions options = {.function = "encode", .dims = &first};
    (void)arg;
    write_model(ONNX_FILE, "in x f32 [b,s,?]\nin z f32 [b,s,?]\ny = Add x z\nout y");
    Graph *g = onnx_import(ir_module_new(cx), ONNX_FILE, &options);
    assert_string_equal(g->name, "encode");
    assert_string_equal(ir_type_text(g->module, &g->outputs[0]->type), "f32[batch, s, 7]");
    assert_int_equal(ex_find_symbol(g->module->ex, "s")->max, 9);
    assert_true(first.used && second.used && third.used);
}

static void test_options(void **state) {
    (void)state;
    expect_ok(check_options, NULL);
}

/* Chains and lists as long as a file may have: time and stack must not depend on their shape. */
static void check_large(Cx *cx, const void *arg) {
    Bytes text = {0};
    char line[64];
    (void)arg;
    bytes_text(&text, "in x f32 [n]\nv0 = Relu x\n");
    for (int i = 99999; i > 0; i--) { /* the last node first */
        snprintf(line, sizeof line, "v%d = Relu v%d\n", i, i - 1);
        bytes_text(&text, line);
    }
    bytes_text(&text, "out v99999");
    bytes_put(&text, "", 1);
    Graph *g = import_graph(cx, (char *)text.data);
    bytes_free(&text);
    assert_int_equal(g->node_count, 100000);
}

static void check_doublings(Cx *cx, const void *arg) {
    char text[4096] = "in x i64 [n]\nv0 = Add x x\n", line[64];
    (void)arg;
    for (int i = 1; i < 64; i++) {
        snprintf(line, sizeof line, "v%d = Add v%d v%d\n", i, i - 1, i - 1);
        strcat(text, line);
    }
    strcat(text, "out v63");
    assert_int_equal(import_graph(cx, text)->node_count, 64);
}

static void test_large(void **state) {
    (void)state;
    expect_ok(check_large, NULL);
    expect_ok(check_doublings, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbolic_reshape),
        cmocka_unit_test(test_symbolic_slices),
        cmocka_unit_test(test_symbolic_values),
        cmocka_unit_test(test_expand_idiom),
        cmocka_unit_test(test_many_symbols),
        cmocka_unit_test(test_order_and_names),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
