/* What only shows once dims are known: contracts with computed dims, views that leave their
 * buffers, results that overlap, states of unknown extent. Each plan here opens, and is refused at
 * prepare with one exact message. */
#include "tests/api/prepared_plan.h"

static void plain_copy(void **state) {
    (void)state;
    copy(x, y);
    assert_int_equal(run(5, -1), TENON_OK);
}

static void computed_dims(void **state) {
    (void)state;
    uint32_t total =
        pb_expr(&b, TN_EXPR_MUL, pb_expr(&b, TN_EXPR_ADD, n, pb_const(&b, 2)), pb_const(&b, 3));
    pb_input(&b, "z", TN_F32, 1, &total, TN_DEFAULT_NONE);
    copy(x, y);
    expect(TENON_E_SHAPE, 5, 20, "input 'z' axis 0 is 20, the model wants (n + 2) * 3 = 21");
}

static void constant_dims(void **state) {
    (void)state;
    uint32_t seven = pb_const(&b, 7);
    pb_input(&b, "z", TN_F32, 1, &seven, TN_DEFAULT_NONE);
    copy(x, y);
    expect(TENON_E_SHAPE, 5, 6, "input 'z' axis 0 is 6, the model wants 7");
}

static void division_by_zero(void **state) {
    (void)state;
    uint32_t quotient = pb_expr(&b, TN_EXPR_FLOORDIV, pb_const(&b, 7), n);
    pb_input(&b, "z", TN_F32, 1, &quotient, TN_DEFAULT_NONE);
    copy(x, y);
    expect(TENON_E_SHAPE, 0, 3,
           "input 'z' axis 0 is 3, the model wants 7 / n, which cannot be computed");
}

static void overflowing_dims(void **state) {
    (void)state;
    uint32_t huge = pb_const(&b, INT64_MAX),
             product = pb_expr(&b, TN_EXPR_MAX, pb_expr(&b, TN_EXPR_MUL, huge, n), one);
    pb_input(&b, "z", TN_F32, 1, &product, TN_DEFAULT_NONE);
    copy(x, y);
    expect(TENON_E_SHAPE, 2, 3,
           "input 'z' axis 0 is 3, the model wants max(9223372036854775807 * n, 1), which cannot "
           "be computed");
}

static void left_out_without_dims(void **state) {
    (void)state;
    uint32_t m = pb_symbol(&b, "m", 0, 100);
    pb_input(&b, "z", TN_F32, 1, &m, TN_DEFAULT_ZEROS);
    copy(x, y);
    expect(TENON_E_ARGUMENT, 2, -1,
           "input 'z' is left out but its axis 0, m, does not follow from the others");
}

static void requirement(void **state) {
    (void)state;
    uint32_t m = pb_symbol(&b, "m", 0, 100);
    pb_input(&b, "z", TN_F32, 1, &m, TN_DEFAULT_NONE);
    pb_require(&b, TN_RELATION_EQ, pb_expr(&b, TN_EXPR_MOD, n, m), zero, "n % m == 0", "");
    copy(x, y);
    expect(TENON_E_SHAPE, 7, 3, "n % m == 0 does not hold: n = 7, m = 3");
}

static void requirement_that_holds(void **state) {
    (void)state;
    pb_require(&b, TN_RELATION_LE, pb_expr(&b, TN_EXPR_MIN, minus(n, 9), pb_const(&b, -3)),
               pb_const(&b, -3), "r", "");
    pb_require(&b, TN_RELATION_EQ, pb_expr(&b, TN_EXPR_FLOORDIV, minus(n, 9), pb_const(&b, 5)),
               pb_const(&b, -1), "floors", "");
    pb_require(&b, TN_RELATION_EQ, pb_expr(&b, TN_EXPR_MOD, minus(n, 9), pb_const(&b, 5)),
               pb_const(&b, 3), "is not negative", "");
    copy(x, y);
    assert_int_equal(run(7, -1), TENON_OK); /* -2 / 5 = -1, -2 mod 5 = 3 */
}

static void outside_the_buffer(void **state) {
    (void)state;
    copy(slice(x, n, one, one), y);
    expect(TENON_E_INVALID, 4, -1,
           "node 'c' (copy): operand 0 reaches outside its buffer of 4 elements");
    assert_int_equal(err.instruction, 0);
    assert_string_equal(err.node, "c");
}

static void far_outside(void **state) {
    (void)state;
    copy(slice(x, n, pb_const(&b, INT64_MAX), zero), y);
    expect(TENON_E_INVALID, 4, -1,
           "node 'c' (copy): operand 0 reaches outside its buffer of 4 elements");
}

static void before_the_buffer(void **state) {
    (void)state;
    copy(slice(x, n, pb_const(&b, -1), pb_const(&b, 3)), y);
    expect(TENON_E_INVALID, 4, -1,
           "node 'c' (copy): operand 0 reaches outside its buffer of 4 elements");
}

static void negative_dim(void **state) {
    (void)state;
    copy(slice(x, minus(n, 5), one, zero), slice(y, minus(n, 5), one, zero));
    expect(TENON_E_SHAPE, 4, -1,
           "node 'c' (copy): axis 0 of operand 0 would be -1 or the tensor too large");
}

static void written_twice(void **state) {
    (void)state;
    copy(x, slice(y, n, zero, zero));
    expect(TENON_E_INVALID, 4, -1, "node 'c' (copy): operand 1 is written to itself twice");
}

static void overlapping_operands(void **state) {
    (void)state;
    copy(x, y);
    copy(slice(y, minus(n, 1), one, zero), slice(y, minus(n, 1), one, one));
    expect(TENON_E_INVALID, 4, -1, "node 'c' (copy): operands 0 and 1 overlap");
}

static void disjoint_halves(void **state) {
    (void)state;
    uint32_t half = pb_expr(&b, TN_EXPR_FLOORDIV, n, pb_const(&b, 2));
    copy(x, y);
    copy(slice(y, half, one, zero), slice(y, half, one, half));
    assert_int_equal(run(5, -1), TENON_OK);
}

/* Rows of `width` elements, six apart from each other, from element `first` of y on. */
static uint32_t rows(int64_t count, int64_t width, int64_t first) {
    return pb_view(&b, buffer_of(y), TN_F32, TN_LAYOUT_STRIDED, 2,
                   (uint32_t[]){pb_const(&b, count), pb_const(&b, width)},
                   (uint32_t[]){pb_const(&b, 6), one}, pb_const(&b, first));
}

/* Parts of rows lie between each other, wherever the rows themselves begin. */
static void parts_of_rows(void **state) {
    (void)state;
    copy(x, y);
    copy(rows(3, 2, 1), rows(3, 2, 3));
    copy(rows(3, 2, 3), rows(3, 2, 5));
    copy(rows(3, 2, 5), rows(3, 2, 3));
    assert_int_equal(run(19, -1), TENON_OK);
}

static void parts_that_meet(void **state) {
    (void)state;
    copy(x, y);
    copy(rows(3, 3, 1), rows(3, 3, 3));
    expect(TENON_E_INVALID, 19, -1, "node 'c' (copy): operands 0 and 1 overlap");
}

static void parts_that_meet_the_next_row(void **state) {
    (void)state;
    copy(x, y);
    copy(rows(2, 3, 1), rows(2, 3, 5));
    expect(TENON_E_INVALID, 19, -1, "node 'c' (copy): operands 0 and 1 overlap");
}

/* [2, count, width] of y: rows 3 apart within larger ones 8 apart */
static uint32_t rows_of_rows(int64_t count, int64_t width, int64_t first) {
    return pb_view(&b, buffer_of(y), TN_F32, TN_LAYOUT_STRIDED, 3,
                   (uint32_t[]){pb_const(&b, 2), pb_const(&b, count), pb_const(&b, width)},
                   (uint32_t[]){pb_const(&b, 8), pb_const(&b, 3), one}, pb_const(&b, first));
}

static void parts_of_rows_of_rows(void **state) {
    (void)state;
    copy(x, y);
    copy(rows_of_rows(2, 1, 0), rows_of_rows(2, 1, 2));
    copy(rows_of_rows(2, 1, 5), rows_of_rows(2, 1, 4));
    assert_int_equal(run(19, -1), TENON_OK);
}

static void parts_of_rows_that_meet(void **state) {
    (void)state;
    copy(x, y);
    copy(rows_of_rows(2, 2, 0), rows_of_rows(2, 2, 1));
    expect(TENON_E_INVALID, 19, -1, "node 'c' (copy): operands 0 and 1 overlap");
}

static void parts_that_meet_the_next_larger_row(void **state) {
    (void)state;
    copy(x, y);
    copy(rows_of_rows(3, 1, 0), rows_of_rows(3, 1, 2));
    expect(TENON_E_INVALID, 19, -1, "node 'c' (copy): operands 0 and 1 overlap");
}

static void in_place(void **state) {
    (void)state;
    TnMapStep relu = {.op = TN_MAP_RELU, .dtype = TN_F32, .arg_dtype = TN_F32};
    copy(x, y);
    pb_map(&b, 1, &y, y, &relu, 1, "m");
    assert_int_equal(run(4, -1), TENON_OK);
}

static void not_quite_in_place(void **state) {
    (void)state;
    TnMapStep relu = {.op = TN_MAP_RELU, .dtype = TN_F32, .arg_dtype = TN_F32};
    uint32_t shifted = slice(y, minus(n, 1), one, one);
    copy(x, y);
    pb_map(&b, 1, &shifted, slice(y, minus(n, 1), one, zero), &relu, 1, "m");
    expect(TENON_E_INVALID, 4, -1, "node 'm' (map): operands 0 and 1 overlap");
}

/* y = x, kept as row `past` of a state [own, past]: `own` is nobody's dim but must be n. */
static void state_of_its_own_batch(bool tied) {
    uint32_t own = pb_symbol(&b, "own", 0, 100), past = pb_symbol(&b, "past", 0, 100), capacity;
    uint32_t room = pb_capacity(&b, "room", &capacity);
    uint32_t kept = pb_buffer(&b, TN_BUFFER_STATE, 0, pb_expr(&b, TN_EXPR_MUL, own, room), TN_F32);
    copy(x, pb_view(&b, kept, TN_F32, TN_LAYOUT_STRIDED, 1, &n, &room, past));
    copy(x, y);
    PlanState r = {.name = pb_string(&b, "kept"),
                   .buffer = kept,
                   .dims = pb_ids(&b, (uint32_t[]){own, past}, 2),
                   .capacity = capacity,
                   .next = pb_expr(&b, TN_EXPR_ADD, past, one),
                   .access = TN_STATE_APPEND,
                   .rank = 2,
                   .axis = 1,
                   .batch = 0};
    pb_record(&b, TN_SECTION_STATES, &r, sizeof r);
    if (tied) pb_require(&b, TN_RELATION_EQ, n, own, "n == own", "cat");
}

static void empty_states_follow_requirements(void **state) {
    (void)state;
    set_up(NULL);
    state_of_its_own_batch(true);
    assert_int_equal(run(5, -1), TENON_OK);
    set_up(NULL);
    state_of_its_own_batch(true);
    expect(TENON_E_SHAPE, 101, -1, "axis 0 of state 'kept', own, cannot be computed");
    set_up(NULL);
    state_of_its_own_batch(false);
    expect(TENON_E_SHAPE, 5, -1, "axis 0 of state 'kept', own, cannot be computed");
}

static void port_with_gaps(void **state) {
    (void)state;
    uint32_t view = slice(y, n, pb_const(&b, 2), zero);
    b.outputs[0].view = view;
    copy(x, y);
    expect(TENON_E_INVALID, 4, -1, "port 'y' does not cover its buffer");
}

static void unknown_scalar(void **state) {
    (void)state;
    uint32_t scalars[] = {zero, pb_expr(&b, TN_EXPR_FLOORDIV, one, zero)};
    pb_instruction(&b, TN_OP_iota, 0, NULL, 1, &y, NULL, 0, scalars, 2, "i");
    expect(TENON_E_SHAPE, 4, -1, "node 'i' (iota): scalar 1 cannot be computed");
}

static void huge_arena(void **state) {
    (void)state;
    uint32_t big = pb_const(&b, (int64_t)1 << 60), wide = pb_arena(&b, TN_F32, 1, &big);
    pb_instruction(&b, TN_OP_fill, 0, NULL, 1, &wide, &(ParamsFill){0}, sizeof(ParamsFill), NULL, 0,
                   "f");
    copy(x, y);
    expect(TENON_E_SHAPE, 4, -1, "buffer 2 would have too many elements");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(plain_copy),
        TEST(computed_dims),
        TEST(constant_dims),
        TEST(division_by_zero),
        TEST(overflowing_dims),
        TEST(left_out_without_dims),
        TEST(requirement),
        TEST(requirement_that_holds),
        TEST(outside_the_buffer),
        TEST(far_outside),
        TEST(before_the_buffer),
        TEST(negative_dim),
        TEST(written_twice),
        TEST(overlapping_operands),
        TEST(disjoint_halves),
        TEST(parts_of_rows),
        TEST(parts_that_meet),
        TEST(parts_that_meet_the_next_row),
        TEST(parts_of_rows_of_rows),
        TEST(parts_of_rows_that_meet),
        TEST(parts_that_meet_the_next_larger_row),
        TEST(in_place),
        TEST(not_quite_in_place),
        cmocka_unit_test(empty_states_follow_requirements),
        TEST(port_with_gaps),
        TEST(unknown_scalar),
        TEST(huge_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
