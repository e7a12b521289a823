/* What only shows once dims are known: contracts with computed dims, views that leave their
 * buffers, results that overlap, extents that do not fit. Each plan here opens, and is refused at
 * prepare with one exact message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/tenon.h"
#include "tests/support/plan_builder.h"

static PlanBuilder b;
static uint32_t n, one, zero, x, y; /* x[n] and y[n] in f32 */
static float data[64];
static tenon_error err;

static int set_up(void **state) {
    (void)state;
    b = (PlanBuilder){0};
    pb_begin(&b, "main");
    n = pb_symbol(&b, "n", 0, INT64_MAX);
    one = pb_const(&b, 1);
    zero = pb_const(&b, 0);
    x = pb_input(&b, "x", TN_F32, 1, &n, TN_DEFAULT_NONE);
    y = pb_output(&b, "y", TN_F32, 1, &n);
    return 0;
}

static void copy(uint32_t from, uint32_t to) {
    pb_instruction(&b, TN_OP_copy, 1, &from, 1, &to, NULL, 0, NULL, 0, "c");
}

static uint32_t minus(uint32_t e, int64_t k) {
    return pb_expr(&b, TN_EXPR_ADD, e, pb_const(&b, -k));
}

static uint32_t buffer_of(uint32_t view) {
    return ((const PlanView *)b.section[TN_SECTION_VIEWS].data)[view].buffer;
}

static uint32_t slice(uint32_t of, uint32_t dim, uint32_t stride, uint32_t offset) {
    return pb_view(&b, buffer_of(of), TN_F32, TN_LAYOUT_STRIDED, 1, &dim, &stride, offset);
}

static tenon_status bind(tenon_session *s, const char *name, int64_t length) {
    tenon_tensor t = {.dtype = TENON_F32, .rank = 1, .dims = {length}, .data = data};
    return tenon_session_bind(s, name, &t, &err);
}

/* Finishes the plan, binds x[length] and, if not negative, z[other], and runs. */
static tenon_status run(int64_t length, int64_t other) {
    size_t size;
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    pb_end(&b);
    unsigned char *bytes = pb_finish(&b, &size);
    tenon_status status = tenon_plan_open_memory(bytes, size, NULL, &plan, &err);
    if (status) fail_msg("%s", err.text);
    assert_int_equal(tenon_session_create(plan, NULL, &s, &err), TENON_OK);
    status = bind(s, "x", length);
    if (!status && other >= 0) status = bind(s, "z", other);
    if (!status) status = tenon_session_run(s, &err);
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    free(bytes);
    return status;
}

static void expect(tenon_status status, int64_t length, int64_t other, const char *text) {
    assert_int_equal(run(length, other), status);
    assert_string_equal(err.text, text);
}

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

static void wrong_extents(void **state) {
    (void)state;
    copy(slice(x, minus(n, 1), one, zero), y);
    expect(TENON_E_SHAPE, 4, -1, "node 'c' (copy): x and y: [3] against [4]");
}

/* Biases [1, 1, rows, columns] of attention of four queries and four keys: of pairs, [.., 4, 4], or
 * a line of distances, [.., 1, 9]; what lies between would be read outside. */
static tenon_status biased(int64_t rows, int64_t columns) {
    ParamsAttention p = {.scale = 1, .window_left = -1, .window_right = -1};
    set_up(NULL);
    uint32_t dims[4] = {one, n, one, one};
    uint32_t bias[4] = {one, one, pb_const(&b, rows), pb_const(&b, columns)};
    uint32_t q = pb_arena(&b, TN_F32, 4, dims), line = pb_arena(&b, TN_F32, 4, bias),
             o = pb_arena(&b, TN_F32, 4, dims), in[] = {q, q, q, TN_NO_ID, TN_NO_ID, line};
    ParamsFill fill = {0};
    pb_instruction(&b, TN_OP_fill, 0, NULL, 1, &q, &fill, sizeof fill, NULL, 0, "");
    pb_instruction(&b, TN_OP_fill, 0, NULL, 1, &line, &fill, sizeof fill, NULL, 0, "");
    pb_instruction(&b, TN_OP_attention, 6, in, 1, &o, &p, sizeof p, &zero, 1, "a");
    copy(x, y);
    return run(4, -1);
}

static void attention_biases(void **state) {
    (void)state;
    static const int64_t bad[][2] = {{4, 9}, {2, 9}, {1, 8}, {1, 10}, {1, 4}, {4, 5}, {9, 1}};
    assert_int_equal(biased(4, 4), TENON_OK);
    assert_int_equal(biased(1, 9), TENON_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(biased(bad[i][0], bad[i][1]), TENON_E_SHAPE);
    assert_int_equal(biased(1, 10), TENON_E_SHAPE);
    assert_string_equal(err.text, "node 'a' (attention): bias and [p, h, s, t]: [1, 1, 1, 10] "
                                  "against [1, 1, 4, 4]");
}

static void gemm_extents(void **state) {
    (void)state;
    uint32_t w = pb_constant(&b, "w", TN_LAYOUT_PANELS16, 2, (int64_t[]){3, 4}, data);
    pb_instruction(&b, TN_OP_gemm, 2, (uint32_t[]){x, w}, 1, &y, &(ParamsGemm){0},
                   sizeof(ParamsGemm), NULL, 0, "");
    expect(TENON_E_SHAPE, 4, -1, "instruction 0 (gemm): inner dims of a and b: [4] against [3, 4]");
}

static void gemm_density(void **state) {
    (void)state;
    uint32_t w = pb_constant(&b, "w", TN_LAYOUT_PANELS16, 2, (int64_t[]){2, 4}, data);
    uint32_t a = slice(x, pb_const(&b, 2), pb_const(&b, 2), zero);
    pb_instruction(&b, TN_OP_gemm, 2, (uint32_t[]){a, w}, 1, &y, &(ParamsGemm){0},
                   sizeof(ParamsGemm), NULL, 0, "g");
    expect(TENON_E_SHAPE, 4, -1,
           "node 'g' (gemm): a has stride 2 in its last axis, which must be dense");
}

static void gemm(uint32_t w, int inputs, uint32_t to) {
    uint32_t in[4] = {x, w, TN_NO_ID, x};
    pb_instruction(&b, TN_OP_gemm, inputs, in, 1, &to, &(ParamsGemm){0}, sizeof(ParamsGemm), NULL,
                   0, "g");
}

/* A product with `columns` columns, from element `offset` on, of a constant [1, 40]. */
static void part_of_panels(int64_t rows, int64_t columns, int64_t offset) {
    uint32_t w = pb_constant(&b, "w", TN_LAYOUT_PANELS16, 2, (int64_t[]){1, 40}, data);
    uint32_t dims[] = {pb_const(&b, rows), pb_const(&b, columns)};
    gemm(pb_view(&b, buffer_of(w), TN_F32, TN_LAYOUT_PANELS16, 2, dims, dims, pb_const(&b, offset)),
         2, y);
}

static void whole_panels(void **state) {
    (void)state;
    part_of_panels(1, 1, 32);
    assert_int_equal(run(1, -1), TENON_OK);
}

static void part_of_a_packed_constant(void **state) {
    (void)state;
    static const int64_t refused[][3] = {/* rows, columns, offset */
                                         {1, 41, 0},  {1, 1, 8}, {1, 9, 32}, {1, 1, 48},
                                         {1, 1, -16}, {0, 1, 0}, {2, 1, 0}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (i) set_up(NULL);
        part_of_panels(refused[i][0], refused[i][1], refused[i][2]);
        expect(TENON_E_INVALID, 1, -1,
               "node 'g' (gemm): operand 1 is no run of whole panels of its constant");
    }
}

/* Few outputs, but of no channel: there are no columns to give anything. */
static void conv_of_places(void **state) {
    (void)state;
    uint32_t in[] = {0, pb_constant(&b, "w", TN_LAYOUT_PANELS16, 2, (int64_t[]){0, 0}, data)};
    uint32_t strides[] = {n, n, one}, dims[] = {one, zero, n}, to;
    ParamsConv p = {.spatial = 1, .groups = 1, .flags = TN_CONV_PLACES};
    for (int i = 0; i < 3; i++) p.kernel[i] = p.stride[i] = p.dilation[i] = 1;
    in[0] = pb_view(&b, buffer_of(x), TN_F32, TN_LAYOUT_STRIDED, 3, dims, strides, zero);
    dims[1] = one;
    to = pb_view(&b, buffer_of(y), TN_F32, TN_LAYOUT_STRIDED, 3, dims, strides, zero);
    pb_instruction(&b, TN_OP_conv, 2, in, 1, &to, &p, sizeof p, NULL, 0, "c");
    expect(TENON_E_SHAPE, 4, -1,
           "node 'c' (conv): weights of places and y: [0, 0] against [1, 1, 4]");
}

/* `starts` says of every key whose it is, and of the query that is packed with it. */
static void attention_of_fewer_packed_queries(void **state) {
    (void)state;
    uint32_t dims[] = {one, n, one, one}, strides[] = {n, one, one, one}, two = pb_const(&b, 2);
    uint32_t starts = pb_arena(&b, TN_I64, 1, &two), in[8], to;
    for (int i = 0; i < 8; i++) in[i] = TN_NO_ID;
    pb_instruction(&b, TN_OP_iota, 0, NULL, 1, &starts, NULL, 0, (uint32_t[]){zero, n}, 2, "");
    in[7] = starts;
    in[1] = in[2] = pb_view(&b, buffer_of(x), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    dims[1] = minus(n, 1);
    in[0] = pb_view(&b, buffer_of(x), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    to = pb_view(&b, buffer_of(y), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    ParamsAttention p = {.scale = 1, .flags = TN_ATTENTION_PACKED};
    p.window_left = p.window_right = -1;
    pb_instruction(&b, TN_OP_attention, 8, in, 1, &to, &p, sizeof p, (uint32_t[]){zero, n}, 2, "a");
    expect(TENON_E_SHAPE, 4, -1,
           "node 'a' (attention): packed queries and keys: [1, 3, 1, 1] against [1, 4, 1, 1]");
}

/* y[n] as [heads, d] */
static uint32_t heads_of_y(int64_t heads, int64_t d) {
    uint32_t dims[] = {pb_const(&b, heads), pb_const(&b, d)};
    return pb_view(&b, buffer_of(y), TN_F32, TN_LAYOUT_STRIDED, 2, dims, (uint32_t[]){dims[1], one},
                   zero);
}

static uint32_t square(void) {
    return pb_constant(&b, "w", TN_LAYOUT_PANELS16, 2, (int64_t[]){4, 4}, data);
}

static void gemm_heads(void **state) {
    (void)state;
    gemm(square(), 2, heads_of_y(2, 2));
    assert_int_equal(run(4, -1), TENON_OK);
    set_up(NULL);
    gemm(square(), 2, heads_of_y(0, 4));
    expect(TENON_E_SHAPE, 4, -1, "node 'g' (gemm): columns of b and c: [4, 4] against [0, 4]");
    set_up(NULL);
    gemm(square(), 2, heads_of_y(1, 2));
    expect(TENON_E_SHAPE, 4, -1, "node 'g' (gemm): columns of b and c: [4, 4] against [1, 2]");
    set_up(NULL);
    gemm(square(), 4, heads_of_y(2, 2));
    expect(TENON_E_SHAPE, 4, -1, "node 'g' (gemm): ranks of a and c: [4] against [2, 2]");
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

#define TEST(name) cmocka_unit_test_setup(name, set_up)

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
        TEST(wrong_extents),
        TEST(conv_of_places),
        TEST(attention_of_fewer_packed_queries),
        cmocka_unit_test(attention_biases), /* sets up for each */
        TEST(gemm_extents),
        TEST(gemm_density),
        TEST(part_of_a_packed_constant),
        TEST(whole_panels),
        TEST(gemm_heads),
        TEST(empty_states_follow_requirements),
        TEST(port_with_gaps),
        TEST(unknown_scalar),
        TEST(huge_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
