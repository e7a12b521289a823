/* Extents that do not fit each other, as each kernel's rule in runtime/extents*.c says it once the
 * dims are known: copies, attention, convolutions and products by packed weights. */
#include "tests/api/prepared_plan.h"

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
        set_up(NULL);
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

/* One query and n keys, which begin with `past_k` and `past_v` rows; -1: not given. */
static void attention_to_a_past(int64_t past_k, int64_t past_v) {
    uint32_t dims[] = {one, n, one, one}, strides[] = {n, one, one, one}, in[10], to;
    for (int i = 0; i < 10; i++) in[i] = TN_NO_ID;
    in[1] = in[2] = pb_view(&b, buffer_of(x), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    for (int i = 8; i < 10; i++) {
        const int64_t rows = i == 8 ? past_k : past_v;
        if (rows < 0) continue;
        dims[1] = pb_const(&b, rows);
        in[i] = pb_view(&b, buffer_of(x), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    }
    dims[1] = one;
    in[0] = pb_view(&b, buffer_of(x), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    to = pb_view(&b, buffer_of(y), TN_F32, TN_LAYOUT_STRIDED, 4, dims, strides, zero);
    ParamsAttention p = {.scale = 1, .window_left = -1, .window_right = -1};
    pb_instruction(&b, TN_OP_attention, past_v < 0 ? 9 : 10, in, 1, &to, &p, sizeof p, &zero, 1,
                   "a");
}

static void pasts(void **state) {
    (void)state;
    attention_to_a_past(3, 3);
    assert_int_equal(run(4, -1), TENON_OK);
    set_up(NULL);
    attention_to_a_past(3, -1);
    expect(TENON_E_SHAPE, 4, -1, "node 'a' (attention): k0 without v0, or v0 without k0");
    set_up(NULL);
    attention_to_a_past(3, 2);
    expect(TENON_E_SHAPE, 4, -1,
           "node 'a' (attention): v0 and [b, p, g, e]: [1, 2, 1, 1] against [1, 3, 1, 1]");
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
    set_up(NULL);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(wrong_extents),
        cmocka_unit_test(attention_biases),
        TEST(attention_of_fewer_packed_queries),
        TEST(pasts),
        TEST(conv_of_places),
        TEST(gemm_extents),
        TEST(gemm_density),
        cmocka_unit_test(gemm_heads),
        cmocka_unit_test(part_of_a_packed_constant),
        TEST(whole_panels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
