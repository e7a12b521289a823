/* Memory orders of views, and placing of results in graphs with many parts. */
#include "tests/unit/ir/fixture.h"

#include <time.h>
#include "backend/compile.h"
#include "backend/lower.h"
#include "passes/pass.h"

#define PARTS   10000
#define SECONDS 20 /* far more than it takes: quadratic work would take minutes */

static Lower lower_for_views(void) {
    return (Lower){.x = fx.x, .cx = &fx.cx};
}

static Type type_under(int rank, const Expr *const *dims) {
    Type t = {.dtype = TN_F32, .rank = rank};
    for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
    return t;
}

static void expect_order(Lower *lo, const View *v, const char *expected) {
    IntList order;
    char text[TN_MAX_RANK + 1] = "";
    bool known = view_order(lo, v, &order);
    for (int i = 0; i < order.count; i++) text[i] = (char)('0' + order.v[i]);
    assert_int_equal(order.count, v->rank);
    assert_string_equal(known ? text : "unknown", expected);
}

/* Lengths that are measured one after the other stay two expressions, though the model wants them
 * equal: only an axis of 1 is broadcast. */
static void lengths_of_two_forms(void **state) {
    (void)state;
    GUARD();
    Lower lo = lower_for_views();
    const Expr *b = ex_symbol(fx.x, "b"), *one = ex_int(fx.x, 1);
    const Expr *p = ex_measured(fx.x, "p", 0, 100), *q = ex_measured(fx.x, "q", 0, 100);
    Type t = type_under(3, (const Expr *[]){b, p, one});
    View rows = view_dense(&lo, 0, &t);
    View wide = view_broadcast(&lo, &rows, 3, (const Expr *[]){b, q, p});
    assert_ptr_equal(wide.strides[0], rows.strides[0]);
    assert_ptr_equal(wide.strides[1], rows.strides[1]);
    assert_ptr_equal(wide.dims[1], q);
    assert_true(ex_is(wide.strides[2], 0));
}

static void orders_of_views(void **state) {
    (void)state;
    GUARD();
    Lower lo = lower_for_views();
    const Expr *b = ex_symbol(fx.x, "b"), *h = ex_symbol(fx.x, "h"), *one = ex_int(fx.x, 1),
               *c = ex_int(fx.x, 16);
    Type t = type_under(4, (const Expr *[]){b, c, h, h});
    View rows = view_dense(&lo, 0, &t);
    expect_order(&lo, &rows, "0123");
    IntList last = view_channels_last(4);
    View channels = view_in_order(&lo, 0, &t, &last);
    expect_order(&lo, &channels, "0231");
    assert_true(view_has_dims(&channels, &t));
    View back = view_permute(&channels, &last);
    assert_true(view_is_dense(&lo, &back));
    /* a slice keeps the order, whatever lies between its elements */
    View slice = view_slice(&lo, &channels, 1, ex_int(fx.x, 4), ex_int(fx.x, 8), 1);
    expect_order(&lo, &slice, "0231");
    slice = view_slice(&lo, &slice, 1, one, ex_int(fx.x, 3), 2);
    expect_order(&lo, &slice, "0231");
    /* every other one of h: a stride of 16 h is no multiple of 32 */
    View sparse = view_slice(&lo, &channels, 3, one, ex_int(fx.x, 3), 2);
    expect_order(&lo, &sparse, "unknown");
    /* axes of length 1 have no place; alone they change no order */
    Type single = type_under(4, (const Expr *[]){b, one, h, one});
    View flat = view_dense(&lo, 0, &single);
    expect_order(&lo, &flat, "0123");
    /* a broadcast axis lies nowhere */
    View wide = view_broadcast(&lo, &flat, 4, t.dims);
    expect_order(&lo, &wide, "unknown");
}

static void orders_of_few_axes(void **state) {
    (void)state;
    GUARD();
    Lower lo = lower_for_views();
    Type scalar = {.dtype = TN_F32}, vector = type_under(1, (const Expr *[]){ex_symbol(fx.x, "n")});
    View v = view_dense(&lo, 0, &scalar);
    expect_order(&lo, &v, "");
    v = view_dense(&lo, 0, &vector);
    expect_order(&lo, &v, "0");
    for (int rank = 0; rank < 3; rank++) {
        IntList last = view_channels_last(rank);
        for (int i = 0; i < rank; i++) assert_int_equal(last.v[i], i);
    }
}

/* Every part has its place, found without looking at all those before it. */
static void many_parts(void **state) {
    (void)state;
    GUARD();
    const Expr *dims[] = {ex_symbol(fx.x, "n"), ex_int(fx.x, 2)};
    static Value *parts[PARTS];
    for (int i = 0; i < PARTS; i++) {
        Value *x =
            ir_input(fx.g, arena_printf(&fx.cx.arena, "x%d", i), TN_F32, 2, dims, INPUT_REQUIRED);
        parts[i] = ir_unary(fx.g, OP_sin, x);
    }
    ir_output(fx.g, "y", ir_concat(fx.g, PARTS, parts, 1));
    clock_t start = clock();
    Report report;
    report_init(&report, &fx.cx);
    Image *im = compile_module(fx.m, &report, 0);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < SECONDS);
    assert_int_equal(im->instructions.count, PARTS); /* a map each, and nothing is copied */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lengths_of_two_forms, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(orders_of_views, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(orders_of_few_axes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(many_parts, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
