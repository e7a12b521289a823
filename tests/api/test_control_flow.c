/* Branches and loops, from a graph's text to what a caller sees: results, lengths, errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "runtime/runtime.h"

static Cx cx;
static tenon_plan *plan;
static tenon_session *s;
static tenon_error err;

static void open_graph(const char *text, uint64_t limit) {
    jmp_buf failed;
    Report r;
    size_t size;
    tenon_session_options o = {.struct_size = sizeof o, .memory_limit = limit};
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed)) fail_msg("%s", cx.message);
    report_init(&r, &cx);
    const void *bytes =
        plan_write_memory(compile_module(ir_parse(&cx, text, NULL), &r, false), &size);
    if (tenon_plan_open_memory(bytes, size, NULL, &plan, &err)) fail_msg("%s", err.text);
    assert_int_equal(tenon_session_create(plan, &o, &s, &err), TENON_OK);
}

static int tear_down(void **state) {
    (void)state;
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    cx_free(&cx);
    return 0;
}

static void bind(const char *name, tenon_dtype dtype, int rank, int64_t length, const void *data) {
    tenon_tensor t = {.dtype = dtype, .rank = rank, .dims = {length}, .data = (void *)data};
    if (tenon_session_bind(s, name, &t, &err)) fail_msg("%s", err.text);
}

static void run(void) {
    if (tenon_session_run(s, &err)) fail_msg("%s", err.text);
}

static void expect_error(tenon_status status, const char *text) {
    assert_int_equal(tenon_session_run(s, &err), status);
    assert_string_equal(err.text, text);
}

/* An i64 result: its elements, row-major, and the product of its dims. */
static void expect(const char *name, int64_t count, const int64_t *elements) {
    tenon_tensor t;
    int64_t n = 1;
    if (tenon_session_tensor(s, name, &t, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < t.rank; i++) n *= t.dims[i];
    assert_int_equal(n, count);
    assert_int_equal(t.bytes, 8 * count);
    for (int64_t i = 0; i < n; i++) assert_int_equal(((int64_t *)t.data)[i], elements[i]);
}

#define EXPECT(name, ...) \
    expect(name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

/* --- if --- */

static const char branches[] =
    "module {\n"
    "  const %one: i64[] = {1}\n"
    "  contract measured m\n"
    "  body then(%x: i64[n]) {\n"
    "    %0: i64[n] = add %x, %one\n"
    "    return %0 as \"y\", %one as \"z\"\n"
    "  }\n"
    "  body else(%x: i64[n]) {\n"
    "    %0: i64[2*n] = concat %x, %x {axis=0}\n"
    "    %1: i64[] = reduce_sum %x {axes=[0], keep=0}\n"
    "    return %0 as \"y\", %1 as \"z\"\n"
    "  }\n"
    "  graph main(%c: bool[], %x: i64[n]) {\n"
    "    %0: i64[m], %1: i64[] = if %c, %x {then=@then, else=@else, dims=[m]}\n"
    "    %2: i64[m] = mul %0, %1\n"
    "    return %2 as \"y\", %1 as \"z\"\n"
    "  }\n"
    "}\n";

static const unsigned char yes = 1, no = 0;

static void both_branches(void **state) {
    (void)state;
    open_graph(branches, 0);
    const int64_t x[] = {3, 4, 5};
    for (int i = 0; i < 3; i++) {
        bind("x", TENON_I64, 1, 3, x);
        bind("c", TENON_BOOL, 0, 0, &yes);
        run();
        EXPECT("y", 4, 5, 6);
        EXPECT("z", 1);
        bind("c", TENON_BOOL, 0, 0, &no);
        run();
        EXPECT("y", 36, 48, 60, 36, 48, 60);
        EXPECT("z", 12);
        bind("x", TENON_I64, 1, 1, x);
        run();
        EXPECT("y", 9, 9);
    }
    int64_t small[4];
    tenon_tensor y = {
        .dtype = TENON_I64, .rank = 1, .dims = {-1}, .data = small, .bytes = sizeof small};
    assert_int_equal(tenon_session_bind(s, "y", &y, &err), TENON_OK);
    bind("x", TENON_I64, 1, 2, x);
    run();
    assert_int_equal(small[3], 28);
    bind("x", TENON_I64, 1, 3, x);
    expect_error(TENON_E_ARGUMENT, "output 'y' needs 48 bytes, 32 are given");
}

/* One body run from two places: where the lengths of its results are known before, and where not.
 */
static void shared_bodies(void **state) {
    (void)state;
    open_graph("module {\n"
               "  contract measured m\n"
               "  body same(%x: i64[n]) {\n"
               "    %0: i64[n] = add %x, %x\n"
               "    return %0 as \"y\"\n"
               "  }\n"
               "  graph main(%c: bool[], %x: i64[n]) {\n"
               "    %0: i64[n] = if %c, %x {then=@same, else=@same, dims=[n]}\n"
               "    %1: i64[m] = if %c, %0 {then=@same, else=@same, dims=[m]}\n"
               "    %2: i64[n] = if %c, %0 {then=@same, else=@same, dims=[n]}\n"
               "    return %0 as \"first\", %1 as \"second\", %2 as \"third\"\n"
               "  }\n"
               "}\n",
               0);
    const int64_t x[] = {3, 4};
    bind("c", TENON_BOOL, 0, 0, &yes);
    for (int i = 0; i < 2; i++) {
        bind("x", TENON_I64, 1, 2 - i, x);
        run();
        expect("first", 2 - i, (int64_t[]){6, 8});
        expect("second", 2 - i, (int64_t[]){12, 16});
        expect("third", 2 - i, (int64_t[]){12, 16});
    }
}

/* --- loop --- */

/* Fibonacci: x = [.., a, b] grows by a + b; stops when that exceeds `most`. */
static const char fibonacci[] =
    "module {\n"
    "  contract measured s, m, t require s >= 2\n"
    "  body step(%i: i64[], %go: bool[], %x: i64[s], %most: i64[]) {\n"
    "    %0: i64[2] = slice %x {axis=0, start=s - 2, length=2} // last\n"
    "    %1: i64[1] = reduce_sum %0 {axes=[0], keep=1} // sum\n"
    "    %2: i64[s + 1] = concat %x, %1 {axis=0} // grow\n"
    "    %3: i64[] = view %1 {dims=[]}\n"
    "    %4: bool[] = le %3, %most // compare\n"
    "    %5: i64[] = add %3, %i\n"
    "    return %4 as \"go\", %2 as \"x\", %5 as \"scan\"\n"
    "  }\n"
    "  graph main(%trips: i64[], %go: bool[], %x: i64[n], %most: i64[]) {\n"
    "    %0: i64[m], %1: i64[t] = loop %trips, %go, %x, %most {body=@step, carried=1, dims=[m, "
    "t]}\n"
    "    return %0 as \"y\", %1 as \"scan\"\n"
    "  }\n"
    "}\n";

static void start_fibonacci(const int64_t *trips, const unsigned char *go, const int64_t *most) {
    static const int64_t x[] = {1, 1};
    bind("trips", TENON_I64, 0, 0, trips);
    bind("go", TENON_BOOL, 0, 0, go);
    bind("x", TENON_I64, 1, 2, x);
    bind("most", TENON_I64, 0, 0, most);
}

static void carried_value_grows(void **state) {
    (void)state;
    int64_t trips = 4, most = 1000;
    open_graph(fibonacci, 0);
    start_fibonacci(&trips, &yes, &most);
    for (int i = 0; i < 2; i++) {
        trips = 4, most = 1000;
        run();
        EXPECT("y", 1, 1, 2, 3, 5, 8);
        EXPECT("scan", 2, 4, 7, 11);
        trips = 100, most = 4; /* the condition ends it */
        run();
        EXPECT("y", 1, 1, 2, 3, 5);
        EXPECT("scan", 2, 4, 7);
    }
    trips = 0;
    run();
    EXPECT("y", 1, 1);
    expect("scan", 0, NULL);
    trips = -5;
    run();
    EXPECT("y", 1, 1);
    trips = 3;
    start_fibonacci(&trips, &no, &most);
    run();
    EXPECT("y", 1, 1);
    expect("scan", 0, NULL);
}

static void errors_inside(void **state) {
    (void)state;
    int64_t trips = 4, most = 1000, one = 1;
    open_graph(fibonacci, 0);
    start_fibonacci(&trips, &yes, &most);
    bind("x", TENON_I64, 1, 1, &one);
    expect_error(TENON_E_SHAPE,
                 "node 'loop' (loop): input 'x' axis 0 is 1, the model wants s from 2 on");
    assert_string_equal(err.node, "loop");
}

/* x[n] per iteration i: the sum of i + j for j below x[i], by an inner loop that a branch guards;
 * n and the outer number i are the bodies' by name and by capture. */
static const char nested[] =
    "module {\n"
    "  const %zero: i64[] = {0}\n"
    "  contract measured t\n"
    "  body inner(%j: i64[], %go: bool[], %sum: i64[], %i: i64[]) {\n"
    "    %0: i64[] = add %i, %j\n"
    "    %1: i64[] = add %sum, %0\n"
    "    return %go as \"go\", %1 as \"sum\"\n"
    "  }\n"
    "  body many(%k: i64[], %i: i64[]) {\n"
    "    %0: i64[] = loop %k, _, %zero, %i {body=@inner, carried=1, dims=[]}\n"
    "    return %0 as \"sum\"\n"
    "  }\n"
    "  body none(%k: i64[], %i: i64[]) {\n"
    "    %0: i64[1] = scalars {dtype=i64, values=[n]}\n"
    "    %1: i64[] = view %0 {dims=[]}\n"
    "    return %1 as \"sum\"\n"
    "  }\n"
    "  body outer(%i: i64[], %go: bool[], %x: i64[n]) {\n"
    "    %0: i64[] = gather %x, %i {axis=0} // row\n"
    "    %1: bool[] = lt %zero, %0\n"
    "    %2: i64[] = if %1, %0, %i {then=@many, else=@none, dims=[]} // guard\n"
    "    return %go as \"go\", %2 as \"sum\"\n"
    "  }\n"
    "  graph main(%trips: i64[], %x: i64[n]) {\n"
    "    %0: i64[t] = loop %trips, _, %x {body=@outer, carried=0, dims=[t]} // rows\n"
    "    return %0 as \"y\"\n"
    "  }\n"
    "}\n";

static void nested_bodies(void **state) {
    (void)state;
    const int64_t x[] = {2, 0, 3, 1};
    int64_t trips = 4;
    open_graph(nested, 0);
    bind("trips", TENON_I64, 0, 0, &trips);
    bind("x", TENON_I64, 1, 4, x);
    run();
    EXPECT("y", 1, 4, 9, 3);
    trips = 3;
    bind("x", TENON_I64, 1, 3, x); /* n is inherited anew */
    run();
    EXPECT("y", 1, 3, 9);
    trips = 4;
    expect_error(TENON_E_RANGE, "input 'i' holds 3, outside the table of 3 rows (node 'row')");
}

static void cancel_event(void *user, const tenon_event *event) {
    int *left = user;
    if (--*left == 0) tenon_session_cancel(s);
    assert_true(event->opcode[0] != 0);
}

static void cancelled_between_iterations(void **state) {
    (void)state;
    int left = 50;
    open_graph("module {\n"
               "  body step(%i: i64[], %go: bool[], %x: i64[]) {\n"
               "    %0: i64[] = add %x, %i\n"
               "    return %go as \"go\", %0 as \"x\"\n"
               "  }\n"
               "  graph main(%x: i64[]) {\n"
               "    %0: i64[] = loop _, _, %x {body=@step, carried=1, dims=[]} // forever\n"
               "    return %0 as \"x\"\n"
               "  }\n"
               "}\n",
               0);
    int64_t x = 0;
    bind("x", TENON_I64, 0, 0, &x);
    assert_int_equal(tenon_session_trace(s, cancel_event, &left, &err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &err), TENON_E_CANCELLED);
    assert_int_equal(left, 0);
    assert_int_equal(tenon_session_trace(s, NULL, NULL, &err), TENON_OK);
    assert_int_equal(s->calls_allowed, TN_MAX_CALLS);
    s->calls_allowed = 1000;
    expect_error(TENON_E_LIMIT,
                 "node 'forever' (loop): more than 1000 branches and iterations in one run");
}

static void memory_limit_of_bodies(void **state) {
    (void)state;
    int64_t trips = 20, most = INT64_MAX;
    open_graph(fibonacci, 100000);
    start_fibonacci(&trips, &yes, &most);
    run();
    trips = 80; /* x is longer */
    tenon_memory m = {.struct_size = sizeof m};
    assert_int_equal(tenon_session_memory(s, &m, &err), TENON_OK);
    tenon_session_destroy(s);
    tenon_session_options o = {.struct_size = sizeof o, .memory_limit = m.arena};
    assert_int_equal(tenon_session_create(plan, &o, &s, &err), TENON_OK);
    start_fibonacci(&trips, &yes, &most);
    assert_int_equal(tenon_session_run(s, &err), TENON_E_LIMIT);
    trips = 20;
    run();
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_branches),         TEST(shared_bodies), TEST(carried_value_grows),
        TEST(errors_inside),         TEST(nested_bodies), TEST(cancelled_between_iterations),
        TEST(memory_limit_of_bodies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
