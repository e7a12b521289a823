/* Control flow, functions, sequences and optionals of ONNX: imported, printed where it matters what
 * became of them, evaluated by the reference kernels, and run as a plan. */
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "frontend/frontend.h"
#include "ir/print.h"
#include "runtime/tenon.h"
#include "tests/support/expect_fail.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/scratch.h"

#define FILE_NAME "m.onnx"

typedef struct Expected {
    const char *model;
    const char *inputs;           /* "f32[2] 1 2; bool[] 1" */
    const char *results;          /* "f32[2] {2, 4}" */
    const char *contains, *lacks; /* in the text of the module; NULL: anything */
} Expected;

static Tensor read_tensor(Arena *a, const char **s) {
    char dtype[8];
    int at = 0;
    Tensor t = {0};
    sscanf(*s, " %7[a-z0-9][%n", dtype, &at);
    *s += at;
    t.dtype = tn_dtype_parse(dtype);
    while (**s != ']') {
        t.dims[t.rank++] = strtoll(*s, (char **)s, 10);
        *s += strspn(*s, ", ");
    }
    (*s)++;
    int64_t n = tensor_count(&t);
    t.bytes = (size_t)n * tn_dtype_size(t.dtype);
    t.data = arena_alloc(a, t.bytes);
    for (int64_t i = 0; i < n; i++) {
        double v = strtod(*s, (char **)s);
        if (tn_is_float(t.dtype))
            ir_store_f64(t.dtype, t.data, i, v);
        else
            ir_store_i64(t.dtype, t.data, i, (int64_t)v);
    }
    *s += strspn(*s, "; ");
    return t;
}

static void print_tensor(TextBuffer *t, const Tensor *y) {
    Constant c = {.dtype = y->dtype, .rank = y->rank, .data = y->data};
    memcpy(c.dims, y->dims, sizeof c.dims);
    text_format(t, "%s[", tn_dtype_name(c.dtype));
    for (int k = 0; k < c.rank; k++) text_format(t, k ? ", %d" : "%d", (int)c.dims[k]);
    text_add(t, "] ");
    print_elements(t, &c);
}

static void need(Cx *cx, bool ok, const char *what, const char *text) {
    if (!ok) tn_fail(cx, TN_E_MODEL, "%s: %s", what, text);
}

/* --- as a plan --- */

typedef struct Running {
    tenon_plan *plan;
    tenon_session *session;
} Running;

static void stop(void *arg) {
    Running *r = arg;
    tenon_session_destroy(r->session);
    tenon_plan_close(r->plan);
}

static void run_plan(Cx *cx, Graph *g, const Tensor *in, TextBuffer *t) {
    Report report;
    tenon_error err = {0};
    size_t size;
    report_init(&report, cx);
    const void *bytes = plan_write_memory(compile_module(g->module, &report, false), &size);
    Running *r = ARENA_NEW(&cx->arena, Running);
    tn_defer(cx, stop, r);
    tenon_status s = tenon_plan_open_memory(bytes, size, NULL, &r->plan, &err);
    if (!s) s = tenon_session_create(r->plan, NULL, &r->session, &err);
    for (int i = 0; !s && i < g->input_count; i++) {
        static char nothing;
        tenon_tensor x = {.dtype = (tenon_dtype)in[i].dtype,
                          .rank = in[i].rank,
                          .data = in[i].bytes ? in[i].data : &nothing};
        memcpy(x.dims, in[i].dims, sizeof x.dims);
        s = tenon_session_bind(r->session, g->inputs[i]->name, &x, &err);
    }
    if (!s) s = tenon_session_run(r->session, &err);
    for (int i = 0; !s && i < g->output_count; i++) {
        tenon_tensor y;
        s = tenon_session_tensor(r->session, g->output_names[i], &y, &err);
        Tensor out = {.dtype = (TnDType)y.dtype, .rank = y.rank, .data = y.data};
        if (s) break;
        memcpy(out.dims, y.dims, sizeof out.dims);
        if (i) text_add(t, " ");
        print_tensor(t, &out);
    }
    if (s) tn_fail(cx, (TnStatus)s, "as a plan: %s", err.text);
}

static void check(Cx *cx, const void *arg) {
    const Expected *e = arg;
    write_model(FILE_NAME, e->model);
    Graph *g = onnx_import(ir_module_new(cx), FILE_NAME, NULL);
    for (Graph *k = g->module->graphs; k; k = k->next) {
        const char *wrong = ir_verify(k);
        if (wrong) tn_fail(cx, TN_E_MODEL, "the graph is not sound: %s", wrong);
    }
    const char *text = ir_print(g->module), *again = ir_print(ir_parse(cx, text, g->module));
    need(cx, strcmp(text, again) == 0, "printed, parsed and printed again it differs", again);
    need(cx, !e->contains || strstr(text, e->contains), "this lacks something", text);
    need(cx, !e->lacks || !strstr(text, e->lacks), "this has something", text);
    Tensor in[8], out[8];
    const Tensor *pointers[8];
    const char *s = e->inputs;
    for (int i = 0; i < g->input_count; i++) {
        in[i] = read_tensor(&cx->arena, &s);
        pointers[i] = &in[i];
    }
    ir_eval(g, pointers, out, &cx->arena, NULL, NULL);
    TextBuffer t = {.arena = &cx->arena};
    for (int i = 0; i < g->output_count; i++) {
        if (i) text_add(&t, " ");
        print_tensor(&t, &out[i]);
    }
    need(cx, strcmp(text_end(&t), e->results) == 0, "results", text_end(&t));
    TextBuffer u = {.arena = &cx->arena};
    run_plan(cx, g, in, &u);
    need(cx, strcmp(text_end(&u), e->results) == 0, "results as a plan", text_end(&u));
}

static void gives(const char *model, const char *inputs, const char *results, const char *contains,
                  const char *lacks) {
    expect_ok(check, &(Expected){model, inputs, results, contains, lacks});
}

/* --- If --- */

#define BRANCHES                                                                       \
    "body t\na = Add x one\nout a\nend\nbody e\nb = Concat x x {axis=0}\nout b\nend\n" \
    "const one f32 [] 1\n"
#define IF "y = If c {then_branch=@t else_branch=@e}\nout y"

static void test_if(void **state) {
    (void)state;
    const char *model = BRANCHES "in x f32 [n]\nin c bool []\n" IF;
    gives(model, "f32[2] 1 2; bool[] 1", "f32[2] {2, 3}", "= if %c, %x", NULL);
    gives(model, "f32[2] 1 2; bool[] 0", "f32[4] {1, 2, 1, 2}", "dims=[y.r0.0]", NULL);
    /* a condition that is known takes its branch with it */
    gives(BRANCHES "in x f32 [n]\nconst c bool [1] 0\n" IF, "f32[1] 3", "f32[2] {3, 3}", NULL,
          "body");
    gives(BRANCHES "in x f32 [n]\nconst z i64 [] -1\nr = Size x\nc = Greater r z\n" IF, "f32[1] 3",
          "f32[1] {4}", NULL, "body");
}

/* What a branch requires of lengths holds in the branch. */
static void test_if_requirements(void **state) {
    (void)state;
    const char *model = "body t\na = Add x z\nout a\nend\nbody e\nb = Identity x\nout b\nend\n"
                        "in x f32 [n]\nin z f32 [m]\nin c bool []\n" IF;
    gives(model, "f32[2] 1 2; f32[2] 1 1; bool[] 1", "f32[2] {2, 3}", NULL, "require");
    gives(model, "f32[2] 1 2; f32[3] 1 1 1; bool[] 0", "f32[2] {1, 2}", "dims=[n]", NULL);
}

/* Lengths that no captured value has are passed and measured; shape arithmetic is written again. */
static void test_if_lengths(void **state) {
    (void)state;
    gives("body t\na = Expand one s2\nout a\nend\nbody e\nb = Expand one k\nout b\nend\n"
          "const one f32 [] 1\nconst two i64 [1] 2\nin x f32 [n]\nin c bool []\n"
          "s2 = Shape x\nk = Mul s2 two\n" IF,
          "f32[2] 1 2; bool[] 0", "f32[4] {1, 1, 1, 1}", "= measure", NULL);
}

static void test_if_nested(void **state) {
    (void)state;
    gives("body tt\np = Add x one\nout p\nend\nbody te\nq = Sub x one\nout q\nend\n"
          "body t\ni = If d {then_branch=@tt else_branch=@te}\na = Mul i x\nout a\nend\n"
          "body e\nout x\nend\nconst one f32 [] 1\nin x f32 [n]\nin c bool []\nin d bool []\n" IF,
          "f32[2] 3 5; bool[] 1; bool[] 0", "f32[2] {6, 20}", NULL, NULL);
}

/* --- Loop --- */

#define COUNT "in m i64 []\n"

static void test_loop(void **state) {
    (void)state;
    const char *sum = "body b\nin i i64 []\nin g bool []\nin s f32 [n]\nt = Add s w\n"
                      "g2 = Identity g\nu = Add t w\nout g2\nout t\nout u\nend\n" COUNT
                      "in x f32 [n]\nin w f32 [n]\ny, z = Loop m - x {body=@b}\nout y\nout z";
    gives(sum, "i64[] 2; f32[1] 1; f32[1] 10", "f32[1] {21} f32[2, 1] {21, 31}",
          "= loop %m, _, %x, %w", NULL);
    gives(sum, "i64[] 0; f32[1] 1; f32[1] 10", "f32[1] {1} f32[0, 1] {}", NULL, NULL);
    gives("body b\nin i i64 []\nin g bool []\nin s f32 [n]\nt = Concat s w {axis=0}\n"
          "out g\nout t\nend\n" COUNT "in x f32 [n]\nin w f32 [2]\ny = Loop m - x {body=@b}\nout y",
          "i64[] 2; f32[1] 1; f32[2] 5 6", "f32[5] {1, 5, 6, 5, 6}", "%carried: f32[y.c0.0]", NULL);
    gives("body b\nin i i64 []\nin g bool []\nin s f32 []\nt = Add s s\nh = Less t lim\nout h\nout "
          "t\nend\nconst lim f32 [] 10\nin x f32 []\nin c bool []\ny = Loop - c x {body=@b}\nout y",
          "f32[] 1; bool[] 1", "f32[] {16}", "= loop _, %c", NULL);
}

static void test_loop_unrolled(void **state) {
    (void)state;
    gives("body b\nin i i64 []\nin g bool []\nin s f32 [n]\nj = Cast i {to=1}\nt = Add s j\nout g\n"
          "out t\nout t\nend\nconst m i64 [] 3\nin x f32 [n]\ny, z = Loop m - x {body=@b}\nout y\n"
          "out z",
          "f32[1] 1", "f32[1] {4} f32[3, 1] {1, 2, 4}", NULL, "loop");
}

/* A sequence that a loop collects is what it stacks. */
static void test_loop_collects(void **state) {
    (void)state;
    const char *model = "body b\nin i i64 []\nin g bool []\nin sq 0\nj = Cast i {to=1}\n"
                        "t = Add x j\nr = SequenceInsert sq t\nout g\nout r 0\nend\n" COUNT
                        "in x f32 [1,2]\ns = SequenceEmpty\nq = Loop m - s {body=@b}\n";
    char text[2048];
    snprintf(text, sizeof text,
             "%sy = ConcatFromSequence q {axis=1}\nl = SequenceLength q\n"
             "const last i64 [] -1\nz = SequenceAt q last\nout y\nout l\nout z",
             model);
    gives(text, "i64[] 2; f32[1, 2] 1 2", "f32[1, 4] {1, 2, 2, 3} i64[] {2} f32[1, 2] {2, 3}",
          "= loop %m", NULL);
    snprintf(text, sizeof text, "%sy = ConcatFromSequence q {axis=-1 new_axis=1}\nout y", model);
    gives(text, "i64[] 2; f32[1, 2] 1 2", "f32[1, 2, 2] {1, 2, 2, 3}", NULL, NULL);
}

/* --- Scan --- */

static void test_scan(void **state) {
    (void)state;
    const char *body =
        "body b\nin s f32 [2]\nin v f32 [2]\nt = Add s v\nu = Mul t t\nout t\nout u\n"
        "end\n";
    char text[2048];
    snprintf(text, sizeof text,
             "%sin s0 f32 [2]\nin x f32 [k,2]\ny, z = Scan s0 x {body=@b "
             "num_scan_inputs=1}\nout y\nout z",
             body);
    gives(text, "f32[2] 0 0; f32[2, 2] 1 2 3 4", "f32[2] {4, 6} f32[2, 2] {1, 4, 16, 36}", NULL,
          NULL);
    snprintf(text, sizeof text,
             "%sin s0 f32 [2]\nin x f32 [2,k]\ny, z = Scan s0 x {body=@b num_scan_inputs=1 "
             "scan_input_axes=[1] scan_input_directions=[1] scan_output_axes=[-1] "
             "scan_output_directions=[1]}\nout y\nout z",
             body);
    gives(text, "f32[2] 0 0; f32[2, 2] 1 2 3 4", "f32[2] {3, 7} f32[2, 2] {9, 4, 49, 16}", NULL,
          NULL);
    snprintf(text, sizeof text,
             "opset 8\n%sin s0 f32 [b,2]\nin x f32 [b,k,2]\ny, z = Scan - s0 x "
             "{body=@b num_scan_inputs=1}\nout y\nout z",
             body);
    gives(text, "f32[2, 2] 0 0 1 1; f32[2, 1, 2] 1 2 3 4",
          "f32[2, 2] {1, 2, 4, 5} f32[2, 1, 2] {1, 4, 16, 25}", NULL, NULL);
}

/* --- functions --- */

static void test_functions(void **state) {
    (void)state;
    const char *f = "function my::Scale x -> y | by=2.0\nc = Constant {value_float=$by}\n"
                    "y = Mul x c\nend\nfunction my::Twice x -> z | by\n"
                    "a = my::Scale x {by=$by}\nz = my::Scale a\nend\n";
    char text[2048];
    snprintf(text, sizeof text,
             "%sin x f32 [n]\ny = my::Scale x {by=3.0}\nz = my::Scale x\n"
             "v = my::Twice x {by=5.0}\nw = my::Twice x\nout y\nout z\nout v\n"
             "out w",
             f);
    gives(text, "f32[1] 1", "f32[1] {3} f32[1] {2} f32[1] {10} f32[1] {4}", "v/a/y", NULL);
    /* operands left out; one name for two calls' symbols would mix them up */
    gives("function my::Cut x lo hi -> y |\ny = Clip x lo hi\nend\nin x f32 [2]\nconst h f32 [] 2\n"
          "y = my::Cut x - h\nz = my::Cut x\nout y\nout z",
          "f32[2] 1 3", "f32[2] {1, 2} f32[2] {1, 3}", NULL, NULL);
}

/* --- sequences and optionals --- */

static void test_sequences(void **state) {
    (void)state;
    gives("in x f32 [5]\nconst at i64 [] -2\nconst two i64 [] 2\nconst o i64 [] 0\n"
          "s = SplitToSequence x two\nt = SequenceErase s o\nu = SequenceInsert t x at\n"
          "y = ConcatFromSequence u {axis=0}\nl = SequenceLength u\nz = SequenceAt s at\nout y\n"
          "out l\nout z",
          "f32[5] 1 2 3 4 5", "f32[8] {1, 2, 3, 4, 5, 3, 4, 5} i64[] {3} f32[2] {3, 4}", NULL,
          NULL);
    gives("in x f32 [2,2]\ns = SplitToSequence x {keepdims=0}\ny = ConcatFromSequence s {axis=1 "
          "new_axis=1}\nout y",
          "f32[2, 2] 1 2 3 4", "f32[2, 2] {1, 3, 2, 4}", NULL, NULL);
    gives(
        "body b\nin v f32 [2]\nin kk f32 []\nw = Mul v kk\nout w\nend\nin x f32 [2]\nin k f32 []\n"
        "s = SequenceConstruct x x\nm = SequenceMap s k {body=@b}\ny = ConcatFromSequence m "
        "{axis=0}\nout y",
        "f32[2] 1 2; f32[] 3", "f32[4] {3, 6, 3, 6}", NULL, NULL);
    /* both branches have a sequence of two */
    gives(
        "body t\na = SequenceConstruct x x\nout a\nend\nbody e\nd = Neg x\nb = SequenceConstruct x "
        "d\nout b\nend\nin x f32 [1]\nin c bool []\ns = If c {then_branch=@t else_branch=@e}\n"
        "y = ConcatFromSequence s {axis=0}\nout y",
        "f32[1] 2; bool[] 0", "f32[2] {2, -2}", "= if %c", NULL);
}

static void test_optionals(void **state) {
    (void)state;
    gives("in x f32 [1]\no = Optional x\nh = OptionalHasElement o\nn = OptionalHasElement\n"
          "e = OptionalGetElement o\nout e\nout h\nout n",
          "f32[1] 7", "f32[1] {7} bool[] {1} bool[] {0}", NULL, "if");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if),
        cmocka_unit_test(test_if_requirements),
        cmocka_unit_test(test_if_lengths),
        cmocka_unit_test(test_if_nested),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_unrolled),
        cmocka_unit_test(test_loop_collects),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_optionals),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
