/* Operators whose shapes, bounds and axes only a run knows give what they give for constants.
 *
 * A model has `arg` lines: operands that are constants in one variant and inputs in the other. Both
 * are evaluated by the reference kernels, the second as imported and after all passes. Its
 * requirements and the messages for data that break them are compared as text. */
#include "passes/pass.h"
#include "tests/support/onnx_values.h"

#define MAX_ARGS 8

typedef struct Variant {
    char model[4096];
    int64_t data[MAX_ARGS][64];
    Tensor tensors[MAX_ARGS];
    int count;
} Variant;

static const struct {
    const char *name;
    TnDType dtype;
} types[] = {{"i64", TN_I64}, {"i32", TN_I32}, {"f32", TN_F32}, {"bool", TN_BOOL}};

/* "NAME TYPE [DIMS] NUMBERS" as a tensor to feed */
static void read_arg(Variant *v, const char *line, size_t length) {
    Tensor *t = &v->tensors[v->count];
    char text[512], type[16];
    int at = 0;
    assert_true(length < sizeof text && v->count < MAX_ARGS);
    memcpy(text, line, length);
    text[length] = 0;
    assert_int_equal(sscanf(text, "%*s %15s [%n", type, &at), 1);
    *t = (Tensor){.data = v->data[v->count++]};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(type, types[i].name)) t->dtype = types[i].dtype;
    char *p = text + at;
    while (*p != ']') {
        t->dims[t->rank++] = strtoll(p, &p, 10);
        if (*p == ',') p++;
    }
    p++;
    for (int64_t i = 0; i < tensor_count(t); i++) ir_store_f64(t->dtype, t->data, i, strtod(p, &p));
    t->bytes = (size_t)tensor_count(t) * tn_dtype_size(t->dtype);
}

/* The model with its `arg` lines as constants or as inputs. */
static Variant *variant(Cx *cx, const char *model, bool measured) {
    Variant *v = ARENA_NEW(&cx->arena, Variant);
    for (const char *line = model; *line;) {
        size_t length = strcspn(line, "\n"), used = strlen(v->model);
        bool is_arg = !strncmp(line, "arg ", 4);
        size_t kept = length;
        if (is_arg) read_arg(v, line + 4, length - 4);
        if (is_arg && measured) kept = strcspn(line, "]") + 1;
        assert_true(used + kept + 8 < sizeof v->model);
        snprintf(v->model + used, sizeof v->model - used, "%s%.*s\n",
                 is_arg ? (measured ? "in " : "const ") : "", (int)(kept - (is_arg ? 4 : 0)),
                 line + (is_arg ? 4 : 0));
        line += length + (line[length] == '\n');
    }
    return v;
}

static void evaluate(Graph *g, Variant *v, Tensor *out) {
    const Tensor *in[MAX_ARGS];
    for (int i = 0; i < v->count; i++) in[i] = &v->tensors[i];
    ir_eval(g, in, out, &g->module->cx->arena, NULL, NULL);
}

static void compare(Cx *cx, const Tensor *a, const Tensor *b, const char *what) {
    bool same = a->rank == b->rank && a->dtype == b->dtype && a->bytes == b->bytes;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    if (!same) tn_fail(cx, TN_E_MODEL, "%s: another type", what);
    for (int64_t i = 0; i < tensor_count(a); i++) {
        double x = ir_element_f64(a->dtype, a->data, i), y = ir_element_f64(b->dtype, b->data, i);
        if (x != y && fabs(x - y) > 1e-5)
            tn_fail(cx, TN_E_MODEL, "%s: element %d is %g, not %g", what, (int)i, y, x);
    }
}

static void check_both(Cx *cx, const void *arg) {
    Variant *known = variant(cx, arg, false), *measured = variant(cx, arg, true);
    Tensor want[8], imported[8], optimised[8];
    Graph *g = import_graph(cx, known->model);
    ir_eval(g, NULL, want, &cx->arena, NULL, NULL);
    g = import_graph(cx, measured->model);
    assert_int_equal(g->input_count, measured->count);
    evaluate(g, measured, imported);
    for (int i = 0; i < g->output_count; i++) compare(cx, &want[i], &imported[i], "as imported");
    Report r;
    report_init(&r, cx);
    passes_run(g->module, &r, NULL);
    const char *wrong = ir_verify_canonical(g);
    if (wrong) tn_fail(cx, TN_E_MODEL, "%s", wrong);
    evaluate(g, measured, optimised);
    for (int i = 0; i < g->output_count; i++) compare(cx, &want[i], &optimised[i], "optimised");
    const char *text = ir_print(g->module);
    assert_string_equal(ir_print(ir_parse(cx, text, g->module)), text);
}

static void same(const char *model) {
    expect_ok(check_both, model);
}

#define SIX  "const x f32 [2,3] 1 2 3 4 5 6\n"
#define CUBE "const x f32 [2,3,2] 0 1 2 3 4 5 6 7 8 9 10 11\n"

static void test_shapes(void **state) {
    (void)state;
    same(SIX "arg s i64 [2] 3 2\ny = Reshape x s\nout y");
    same(SIX "arg s i64 [3] 0 -1 1\ny = Reshape x s\nout y");
    same(SIX "arg s i64 [1] -1\ny = Reshape x s\nout y");
    same("const x f32 [0,3]\narg s i64 [2] 3 0\ny = Reshape x s {allowzero=1}\nout y f32");
    same(SIX "arg s i64 [3] 2 1 3\ny = Expand x s\nout y");
    same("const x f32 [2,1] 1 2\narg s i64 [3] 2 1 3\ny = Expand x s\nout y");
    same("const x f32 [2,1] 1 2\narg s i64 [1] 4\ny = Expand x s\nout y");
    same("arg s i64 [2] 2 0\ny = ConstantOfShape s\nout y");
    same(SIX "arg r i64 [2] 2 3\ny = Tile x r\nout y");
    same(SIX "arg r i64 [2] 0 1\ny = Tile x r\nout y");
    same("const x f32 [1,1,1,1,1,1,2,2] 1 2 3 4\narg r i64 [8] 1 2 1 1 1 1 2 3\n"
         "y = Tile x r\nout y");
    same("const x i64 [3] 0 -1 5\narg d f32 [1] 3\nconst v f32 [2] 1 7\ny = OneHot x d v\nout y");
}

static void test_axes(void **state) {
    (void)state;
    same("const x f32 [1,3,1] 1 2 3\narg a i64 [1] -1\ny = Squeeze x a\nout y");
    same("const x f32 [1,3,1] 1 2 3\narg a i64 [2] 2 0\ny = Squeeze x a\nout y");
    same(SIX "arg a i64 [2] 3 -2\ny = Unsqueeze x a\nout y");
    same(SIX "arg a i64 [1] 0\ny = Unsqueeze x a\nout y");
    same("const x f32 [] 5\narg a i64 [1] 0\ny = Unsqueeze x a\nout y");
    same(CUBE "arg a i64 [] 1\ny = CumSum x a\nout y");
    same(CUBE "arg a i64 [1] -3\ny = CumSum x a {exclusive=1 reverse=1}\nout y");
    same(SIX "arg k i64 [] -1\ny = Trilu x k\nout y");
    same(SIX "arg k i64 [] 9223372036854775807\ny = Trilu x k {upper=0}\nout y");
}

static void test_reductions(void **state) {
    (void)state;
    same(CUBE "arg a i64 [1] 1\ny = ReduceSum x a\nout y");
    same(CUBE "arg a i64 [2] -1 0\ny = ReduceSum x a {keepdims=0}\nout y");
    same(CUBE "arg a i64 [1] -2\ny = ReduceMax x a {keepdims=0}\nout y");
    same(CUBE "arg a i64 [2] 0 1\ny = ReduceMean x a\nout y");
    same(CUBE "arg a i64 [1] 2\ny = ReduceL2 x a\nout y");
    same(CUBE "arg a i64 [1] 1\ny = ReduceLogSumExp x a {keepdims=0}\nout y");
    same("const x f32 [2,0] \narg a i64 [1] 1\ny = ReduceSum x a\nout y");
    same("const x f32 [2,1,1,3,1] 1 2 3 4 5 6\narg a i64 [2] 3 4\ny = ReduceSum x a\nout y");
    same("const x f32 [2,1,1,3,1] 1 2 3 4 5 6\narg a i64 [2] 1 -5\n"
         "y = ReduceLogSumExp x a {keepdims=0}\nout y");
}

static void test_slices(void **state) {
    (void)state;
#define TEN "const x f32 [10] 0 1 2 3 4 5 6 7 8 9\n"
    static const char *const bounds[] = {
        "1\narg e i64 [1] 7",   "-3\narg e i64 [1] 100",  "-100\narg e i64 [1] -8",
        "8\narg e i64 [1] 3",   "10\narg e i64 [1] 10",   "0\narg e i64 [1] 9223372036854775807",
        "9\narg e i64 [1] -11", "100\narg e i64 [1] -200"};
    static const char *const steps[] = {"1", "2", "3", "-1", "-4", "9223372036854775807"};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            char model[512];
            const char *format = TEN "arg s i64 [1] %s\nconst a i64 [1] 0\n%s t i64 [1] %s\n"
                                     "y = Slice x s e a t\nout y";
            snprintf(model, sizeof model, format, bounds[i], k % 2 ? "arg" : "const", steps[k]);
            same(model);
        }
    same(CUBE "arg s i64 [2] 1 0\narg e i64 [2] 3 1\ny = Slice x s e\nout y");
    same(CUBE "arg s i64 [2] 1 0\nconst e i64 [2] 3 1\narg a i64 [2] -2 0\n"
              "y = Slice x s e a\nout y");
    same(CUBE "arg s i64 [1] 2\narg e i64 [1] 0\narg a i64 [1] 1\narg t i64 [1] -1\n"
              "y = Slice x s e a t\nout y");
}

static void test_pads(void **state) {
    (void)state;
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    static const char *const borders[] = {"0 2 0 1", "0 0 0 2", "0 -1 0 2", "-1 1 0 -2"};
    for (int mode = 0; mode < 4; mode++)
        for (int i = 0; i < 4; i++) {
            char model[512];
            snprintf(model, sizeof model, SIX "arg p i64 [4] %s\ny = Pad x p {mode=%s}\nout y",
                     borders[i], modes[mode]);
            same(model);
        }
    same(SIX "arg p i64 [4] 1 0 0 2\narg v f32 [] 7\ny = Pad x p v\nout y");
    same(SIX "arg p i64 [2] 1 2\nconst v f32 [] 7\narg a i64 [1] -1\ny = Pad x p v a\nout y");
    same(SIX "const p i64 [2] 1 2\narg v f32 [1] 7\narg a i64 [1] 0\ny = Pad x p v a\nout y");
    same(SIX "arg s i64 [2] 1 6\ny = CenterCropPad x s\nout y");
    VALUES("const x f32 [3] 1 2 3\nconst p i64 [2] 4 3\ny = Pad x p {mode=reflect}\nout y",
           "f32[10]", 1, 2, 3, 2, 1, 2, 3, 2, 1, 2);
    VALUES("const x f32 [3] 1 2 3\nconst p i64 [2] 4 1\ny = Pad x p {mode=wrap}\nout y", "f32[8]",
           3, 1, 2, 3, 1, 2, 3, 1);
}

static void test_splits_and_ranges(void **state) {
    (void)state;
    same(SIX "arg s i64 [3] 1 0 2\na, b, c = Split x s {axis=1}\nout a\nout b\nout c");
    same("arg a i64 [] 2\narg b i64 [] 11\narg d i64 [] 3\ny = Range a b d\nout y i64");
    same("arg a i32 [] 11\narg b i32 [] 2\narg d i32 [] -4\ny = Range a b d\nout y i32");
    same("arg a i64 [] 3\narg b i64 [] 2\nconst d i64 [] 1\ny = Range a b d\nout y i64");
    same("arg a f32 [] 0.5\narg b f32 [] 2\narg d f32 [] 0.5\ny = Range a b d\nout y");
    same("arg a f32 [] 1\narg b f32 [] -2\narg d f32 [] -0.75\ny = Range a b d\nout y");
    VALUES("const n i64 [] 4\ny = HannWindow n\nout y", "f32[4]", 0, 0.5, 1, 0.5);
    same("arg n i64 [] 5\ny = BlackmanWindow n {periodic=0}\nout y");
    same(SIX "const r f32 [] 0\narg t bool [] 1\ny, m = Dropout x r t\nout y\nout m bool");
}

/* --- data that break the contract --- */

static void run_measured(Cx *cx, const void *arg) {
    Variant *v = variant(cx, arg, true);
    Tensor out[8];
    evaluate(import_graph(cx, v->model), v, out);
}

static void refuse(const char *model, const char *message) {
    expect_fail(run_measured, model, TN_E_SHAPE, message);
}

/* What is measured twice, in other words too, is one symbol: no second one, and no requirement. */
static void one_symbol(Cx *cx, const void *arg) {
    Graph *g = import_graph(cx, arg);
    int measured = 0;
    for (int i = 0; i < ex_symbol_count(g->module->ex); i++)
        measured += ex_symbol_at(g->module->ex, i)->measured;
    if (measured != 1 || ex_requirements(g->module->ex))
        tn_fail(cx, TN_E_MODEL, "%d measured symbols\n%s", measured, ir_print(g->module));
}

static void test_measured_again(void **state) {
    (void)state;
    expect_ok(one_symbol, "in x f32 [9]\nin n i64 []\nconst a i64 [1] 0\nconst z i64 [] 0\n"
                          "const one i64 [] 1\n"
                          "r = Range z n one\nv = Unsqueeze n a\nf = ConstantOfShape v\n"
                          "c = Concat f x {axis=0}\ny = Slice c a v a\nout r\nout y f32");
    expect_ok(one_symbol, "in x f32 [9]\nin m i64 [2]\nconst a i64 [1] 0\nconst z i64 [] 0\n"
                          "const one i64 [] 1\nn = ReduceMax m {keepdims=0}\n"
                          "r = Range z n one\nv = Unsqueeze n a\nf = ConstantOfShape v\n"
                          "c = Concat f x {axis=0}\ny = Slice c a v a\nout r\nout y f32");
}

static void test_refused(void **state) {
    (void)state;
    refuse(SIX "arg s i64 [2] 3 -2\ny = Reshape x s\nout y",
           "node 'y' (measure): element 1 of 'target shape' is -2, wanted at least 0");
    refuse(SIX "arg s i64 [2] -1 -1\ny = Reshape x s\nout y",
           "node 'y' (measure): element 0 of 'target shape' is -1, wanted at least 0");
    refuse(SIX "arg s i64 [2] 3 3\ny = Reshape x s\nout y",
           "node 'y' (measure): 6 == y.0*y.1 is required, but they are 6 and 9");
    refuse(SIX "arg s i64 [1] 4\ny = Expand x s\nout y",
           "node 'y' (measure): element 0 of 'target shape' is 4, wanted 3");
    refuse(SIX "arg a i64 [1] 2\ny = ReduceSum x a\nout y",
           "node 'y' (measure): element 0 of 'axes' is 2, wanted 0 to 1");
    refuse(SIX "arg a i64 [2] 1 -1\ny = ReduceSum x a\nout y",
           "node 'y' (measure): element 0 of 'number of different axes' is 1, wanted 2");
    refuse(SIX "arg a i64 [1] 1\ny = Squeeze x a\nout y",
           "node 'y' (measure): element 1 of 'squeezed dims' is 3, wanted 1");
    refuse(SIX "arg s i64 [2] 1 1\na, b = Split x s {axis=1}\nout a\nout b",
           "node 'a' (measure): element 1 of 's' is 1, wanted -a.0 + 3, which is 2");
    refuse("arg a i64 [] 0\narg b i64 [] 5\narg d i64 [] 0\ny = Range a b d\nout y i64",
           "node 'y' (measure): element 0 of 'length of the range' is -1, wanted at least 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_axes),
        cmocka_unit_test(test_reductions),     cmocka_unit_test(test_slices),
        cmocka_unit_test(test_pads),           cmocka_unit_test(test_splits_and_ranges),
        cmocka_unit_test(test_measured_again), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
