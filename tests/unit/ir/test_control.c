/* Control flow under the reference evaluator: which branch runs, how often a body runs, what it
 * sees of its caller, and the lengths that come out. */
#include "tests/unit/ir/fixture.h"

#include "ir/print.h"

/* The results of the module's last graph on its inputs, as the IR text writes them: "f32[2] {1,
 * 2}". */
static const char *evaluate(const char *text, int n, const Tensor *inputs) {
    Module *m = ir_parse(&fx.cx, text, NULL);
    Graph *g = m->graphs;
    for (Graph *k = g; k; g = k, k = k->next) assert_null(ir_verify(k));
    const Tensor *in[8];
    for (int i = 0; i < n; i++) in[i] = &inputs[i];
    Tensor y[8];
    ir_eval(g, in, y, &fx.cx.arena, NULL, NULL);
    TextBuffer t = {.arena = &fx.cx.arena};
    for (int i = 0; i < g->output_count; i++) {
        Constant c = {.dtype = y[i].dtype, .rank = y[i].rank, .data = y[i].data};
        memcpy(c.dims, y[i].dims, sizeof c.dims);
        text_format(&t, "%s%s[", i ? " " : "", tn_dtype_name(c.dtype));
        for (int k = 0; k < c.rank; k++) text_format(&t, k ? ", %d" : "%d", (int)c.dims[k]);
        text_add(&t, "] ");
        print_elements(&t, &c);
    }
    return text_end(&t);
}

static Tensor truth(bool v) {
    static const bool values[] = {false, true};
    return (Tensor){.dtype = TN_BOOL, .data = (void *)&values[v], .bytes = 1};
}

static Tensor count(const int64_t *v) {
    return (Tensor){.dtype = TN_I64, .data = (void *)v, .bytes = sizeof *v};
}

static Tensor vector(const float *v, int64_t n) {
    Tensor t = {.dtype = TN_F32, .rank = 1, .data = (void *)v, .bytes = (size_t)n * sizeof *v};
    t.dims[0] = n;
    return t;
}

static const float numbers[] = {1, 2, 3, 4, 5, 6};

static const char branches[] =
    "module {\n"
    "  const %one: f32[] = {1}\n"
    "  contract measured m\n"
    "  body main.then(%x: f32[n]) {\n"
    "    %0: f32[n] = add %x, %one\n"
    "    return %0 as \"y\"\n"
    "  }\n"
    "  body main.else(%x: f32[n]) {\n"
    "    %0: f32[2*n] = concat %x, %x {axis=0}\n"
    "    return %0 as \"y\"\n"
    "  }\n"
    "  graph main(%c: bool[], %x: f32[n]) {\n"
    "    %0: f32[m] = if %c, %x {then=@main.then, else=@main.else, dims=[m]}\n"
    "    %1: i64[2] = scalars {dtype=i64, values=[m, m + n]}\n"
    "    return %0 as \"y\", %1 as \"lengths\"\n"
    "  }\n"
    "}\n";

static void test_if(void **state) {
    (void)state;
    GUARD();
    Tensor yes[] = {truth(true), vector(numbers, 2)}, no[] = {truth(false), vector(numbers, 2)};
    assert_string_equal(evaluate(branches, 2, yes), "f32[2] {2, 3} i64[2] {2, 4}");
    assert_string_equal(evaluate(branches, 2, no), "f32[4] {1, 2, 1, 2} i64[2] {4, 6}");
}

/* The results' dims are promised, not measured. */
static void test_if_promise(void **state) {
    (void)state;
    GUARD();
    char *text = arena_strdup(&fx.cx.arena, branches);
    for (char *s; (s = strstr(text, "[m]"));) s[1] = 'n';
    for (char *s; (s = strstr(text, "=[m"));) s[2] = 'n';
    for (char *s; (s = strstr(text, "m + n"));) memcpy(s, "2*n  ", 5);
    Tensor yes[] = {truth(true), vector(numbers, 2)}, no[] = {truth(false), vector(numbers, 2)};
    assert_string_equal(evaluate(text, 2, yes), "f32[2] {2, 3} i64[2] {2, 4}");
    EXPECT_FAIL(TN_E_SHAPE, "node 'if' (if): axis 0 of result 0 is 4, wanted n, which is 2",
                evaluate(text, 2, no));
}

/* A carried value that grows by itself and a captured one, a sum, and both stacked. */
static const char growing[] =
    "module {\n"
    "  const %limit: i64[] = {3}\n"
    "  const %c0: i64[] = {1}\n"
    "  contract measured s, m, t\n"
    "  body step(%i: i64[], %go: bool[], %x: f32[s], %sum: i64[], %w: f32[n]) {\n"
    "    %0: f32[n + s] = concat %x, %w {axis=0}\n"
    "    %1: i64[] = add %sum, %i\n"
    "    %2: bool[] = lt %1, %limit\n"
    "    %3: f32[2, n] = expand %w {dims=[2, n]}\n"
    "    return %2 as \"go\", %0 as \"x\", %1 as \"sum\", %i as \"i\", %3 as \"w\"\n"
    "  }\n"
    "  graph main(%trips: i64[], %c: bool[], %x: f32[k], %w: f32[n]) {\n"
    "    %0: f32[m], %1: i64[], %2: i64[t], %3: f32[t, 2, n] = loop %trips, %c, %x, %c0, %w "
    "{body=@step, carried=2, dims=[m, t, t, 2, n]}\n"
    "    return %0 as \"x\", %1 as \"sum\", %2 as \"i\", %3 as \"w\"\n"
    "  }\n"
    "}\n";

static void test_loop(void **state) {
    (void)state;
    GUARD();
    int64_t two = 2, ten = 10, none = -1;
    Tensor in[] = {count(&two), truth(true), vector(numbers, 1), vector(numbers + 4, 1)};
    assert_string_equal(evaluate(growing, 4, in),
                        "f32[3] {1, 5, 5} i64[] {2} i64[2] {0, 1} f32[2, 2, 1] {5, 5, 5, 5}");
    in[0] = count(&ten); /* the condition ends it: 1 + 0 + 1 + 2 >= 3 */
    assert_string_equal(
        evaluate(growing, 4, in),
        "f32[4] {1, 5, 5, 5} i64[] {4} i64[3] {0, 1, 2} f32[3, 2, 1] {5, 5, 5, 5, 5, 5}");
    in[0] = count(&none);
    assert_string_equal(evaluate(growing, 4, in), "f32[1] {1} i64[] {1} i64[0] {} f32[0, 2, 1] {}");
    in[0] = count(&two);
    in[1] = truth(false);
    assert_string_equal(evaluate(growing, 4, in), "f32[1] {1} i64[] {1} i64[0] {} f32[0, 2, 1] {}");
}

static void test_unused_bodies(void **state) {
    (void)state;
    GUARD();
    Module *m = ir_parse(&fx.cx, branches, NULL);
    Graph *main = m->graphs->next->next;
    Graph *inner = ir_body_new(m->graphs, "inner");
    assert_ptr_equal(m->graphs, inner);
    ir_remove_unused_bodies(m);
    assert_string_equal(m->graphs->name, "main.then");
    assert_ptr_equal(m->graphs->next->next, main);
    assert_ptr_equal(m->last_graph, main);
    ir_set_output(main, 0, main->inputs[1]);
    ir_set_output(main, 1, main->inputs[0]);
    ir_remove(main->last);
    ir_remove(main->last);
    ir_remove_unused_bodies(m);
    assert_ptr_equal(m->graphs, main);
    assert_null(main->next);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_if, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_if_promise, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_loop, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unused_bodies, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
