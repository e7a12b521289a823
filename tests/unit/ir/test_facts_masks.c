/* Facts rules on masks: triangles, causal and padding masks, as exporters write them. */
#include "tests/unit/ir/fixture.h"

static void test_triangles(void **state) {
    (void)state;
    GUARD();
    enum { N = 20 };
    uint8_t lower[N * N], upper[N * N], odd[N * N], columns[N * N];
    float additive[N * N];
    int64_t number[N * N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            lower[i * N + j] = i >= j;
            upper[i * N + j] = j > i;
            odd[i * N + j] = i >= j;
            columns[i * N + j] = i >= j && j % 7 != 6;
            additive[i * N + j] = j > i ? -10000.0f : 0.0f;
            number[i * N + j] = i >= j;
        }
    odd[5 * N + 2] = 0;
    int64_t dims[] = {1, 1, N, N};
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, lower)), "i2 - i3 >= 0");
    int64_t apart[] = {1, N, 1, N};
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, apart, upper)),
                        "-i1 + i3 - 1 >= 0");
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, upper)),
                        "-i2 + i3 - 1 >= 0");
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, odd)),
                        "t[0, 0, i2, i3] != 0");
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, columns)),
                        "i2 - i3 >= 0 and t[0, 0, 19, i3] != 0");
    assert_string_equal(choice_text(ir_tensor(fx.g, "t", TN_F32, 4, dims, additive)),
                        "i2 - i3 >= 0 ? 0 : -10000");
    assert_string_equal(elem_text(ir_tensor(fx.g, "t", TN_I64, 4, dims, number)),
                        "bit(i2 - i3 >= 0)");
}

static void test_corners(void **state) {
    (void)state;
    GUARD();
    enum { ROWS = 6, COLUMNS = 7 };
    uint8_t first[ROWS * COLUMNS], last[ROWS * COLUMNS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            first[i * COLUMNS + j] = i + j <= 5;
            last[i * COLUMNS + j] = i + j >= 7;
        }
    int64_t dims[] = {1, ROWS, 1, COLUMNS};
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, first)),
                        "-i1 - i3 + 5 >= 0");
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, last)),
                        "i1 + i3 - 7 >= 0");
    first[3] = 0;
    assert_string_equal(pred_text(ir_tensor(fx.g, "t", TN_BOOL, 4, dims, first)),
                        "t[0, i1, 0, i3] != 0");
}

/* Masks that are written out for every batch entry and head. */
static void test_repeated_triangles(void **state) {
    (void)state;
    GUARD();
    enum { B = 2, N = 5, H = 3 };
    float table[B * N * H * N];
    int64_t dims[] = {B, N, H, N};
    for (int k = 0; k < B * N * H * N; k++) table[k] = k % N <= k / (N * H) % N ? 0.0f : -1e9f;
    assert_string_equal(choice_text(ir_tensor(fx.g, "t", TN_F32, 4, dims, table)),
                        "i1 - i3 >= 0 ? 0 : -1e+09");
    table[B * N * H * N - N] = -1e9f;
    assert_null(ir_tensor(fx.g, "t", TN_F32, 4, dims, table)->facts.choice);
}

static void test_causal(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *r = ir_iota(g, TN_I64, dim("seq"), num(0), num(1));
    Value *row = ir_view(g, r, 4, (const Expr *[]){num(1), num(1), dim("seq"), num(1)});
    Value *column = ir_view(g, r, 4, (const Expr *[]){num(1), num(1), num(1), dim("seq")});
    Value *keep = ir_binary(g, OP_le, column, row);
    assert_string_equal(pred_text(keep), "i2 - i3 >= 0");
    const Expr *full[] = {dim("batch"), num(1), dim("seq"), dim("seq")};
    Value *expanded = ir_expand(g, keep, 4, full);
    assert_string_equal(pred_text(expanded), "i2 - i3 >= 0");

    Value *mask = input("mask", TN_I64, "batch, seq");
    Value *key = ir_view(g, ir_cast(g, mask, TN_BOOL), 4,
                         (const Expr *[]){dim("batch"), num(1), num(1), dim("seq")});
    Value *both = ir_binary(g, OP_and, expanded, key);
    assert_true(both->facts.pred->kind == PRED_AND && both->facts.pred->count == 2);
    Value *minimum = ir_splat(g, TN_F32, 0, NULL, -3.4e38);
    Value *bias = ir_where(g, both, ir_splat(g, TN_F32, 0, NULL, 0), minimum);
    assert_ptr_equal(bias->facts.choice, both->facts.pred);
    assert_true(bias->facts.yes == 0 && bias->facts.no == (double)-3.4e38f);
    assert_string_equal(requirements(), "");
}

/* (1 - mask) * min, with mask a cast boolean; then a slice of it. */
static void test_choice_arithmetic(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *mask = input("mask", TN_BOOL, "batch, 1, 1, total");
    Value *f = ir_cast(g, mask, TN_F32);
    assert_string_equal(choice_text(f), "mask[i0, 0, 0, i3] != 0 ? 1 : 0");
    Value *inverse = ir_binary(g, OP_sub, ir_scalar(g, TN_F32, 1), f);
    Value *bias = ir_binary(g, OP_mul, inverse, ir_scalar(g, TN_F32, -10000));
    assert_string_equal(choice_text(bias), "mask[i0, 0, 0, i3] != 0 ? -0 : -10000");
    Value *slice = ir_slice(g, bias, 3, num(1), dim("total - 1"), 1);
    assert_string_equal(choice_text(slice), "mask[i0, 0, 0, i3 + 1] != 0 ? -0 : -10000");
    Value *product = ir_binary(g, OP_mul, f, ir_cast(g, input("other", TN_BOOL, "total"), TN_F32));
    assert_string_equal(choice_text(product), "mask[i0, 0, 0, i3] != 0 and other[i3] != 0 ? 1 : 0");
    assert_string_equal(choice_text(ir_binary(g, OP_add, f, product)), "none");
    assert_string_equal(pred_text(ir_cast(g, product, TN_BOOL)),
                        "mask[i0, 0, 0, i3] != 0 and other[i3] != 0");
    assert_string_equal(pred_text(ir_binary(g, OP_lt, f, ir_scalar(g, TN_F32, 0.5))),
                        "mask[i0, 0, 0, i3] == 0");
}

/* Integer masks: where(1 - mask != 0, min, 1 - mask) is two-valued though 1 - mask is not. */
static void test_masked_fill(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *f = ir_cast(g, input("mask", TN_I64, "batch, 1, 1, seq"), TN_F32);
    Value *inverse = ir_binary(g, OP_sub, ir_scalar(g, TN_F32, 1), f);
    assert_string_equal(choice_text(inverse), "none");
    Value *bias = ir_where(g, ir_cast(g, inverse, TN_BOOL), ir_scalar(g, TN_F32, -10000), inverse);
    assert_non_null(bias->facts.choice);
    assert_true(bias->facts.yes == -10000 && bias->facts.no == 0);
}

/* dynamo: GatherND(mask, concat(b, j)). */
static Value *gather_nd_mask(Value *mask, const Expr *batch, const Expr *seq, const Expr *total) {
    Graph *g = fx.g;
    const Expr *full[] = {batch, num(1), seq, total, num(1)};
    const Expr *entries[] = {batch, num(1), num(1), num(1), num(1)};
    const Expr *keys[] = {num(1), num(1), num(1), total, num(1)};
    Value *b = ir_view(g, ir_iota(g, TN_I64, batch, num(0), num(1)), 5, entries);
    Value *j = ir_view(g, ir_iota(g, TN_I64, total, num(0), num(1)), 5, keys);
    Value *parts[] = {ir_expand(g, b, 5, full), ir_expand(g, j, 5, full)};
    return ir_insert(ir_node(g, OP_gather_nd, 2, (Value *[]){mask, ir_concat(g, 2, parts, 4)}));
}

static void test_gather_nd_mask(void **state) {
    (void)state;
    GUARD();
    Value *mask = input("mask", TN_BOOL, "s6, total");
    Value *y = gather_nd_mask(mask, dim("batch"), dim("seq"), dim("total"));
    assert_string_equal(type_of(y), "bool[batch, 1, seq, total]");
    assert_string_equal(pred_text(y), "mask[i0, i3] != 0");
    assert_string_equal(requirements(), "batch <= s6");
}

/* The places are so few that each is known by itself. */
static void test_gather_nd_mask_of_numbers(void **state) {
    (void)state;
    GUARD();
    Value *y = gather_nd_mask(input("mask", TN_BOOL, "2, 5"), num(2), num(1), num(5));
    assert_string_equal(type_of(y), "bool[2, 1, 1, 5]");
    assert_string_equal(pred_text(y), "mask[i0, i3] != 0");
}

/* TorchScript: Gather(Flatten(mask), b * total + j); the quotient and the remainder cancel. */
static void test_flattened_gather_mask(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    for (int round = 0; round < 2; round++) {
        g = ir_graph_replace(fx.m, g);
        fx.g = g;
        Value *mask = input("mask", TN_BOOL, "batch, total");
        const Expr *count = dim("batch*total");
        Value *flat = ir_view(g, mask, 1, &count);
        assert_string_equal(pred_text(flat), "value[i0] != 0");
        Value *b = ir_iota(g, TN_I64, dim("batch"), num(0), num(1));
        Value *j = ir_iota(g, TN_I64, dim("past + seq"), num(0), num(1));
        Value *total = ir_scalars(g, TN_I64, 1, (const Expr *[]){dim("total")});
        b = ir_binary(g, OP_mul, ir_unsqueeze(g, b, 1), total);
        Value *y = ir_gather(g, flat, ir_binary(g, OP_add, b, j), 0);
        assert_string_equal(type_of(y), "bool[batch, past + seq]");
        if (round) assert_string_equal(pred_text(y), "mask[i0, i1] != 0");
        assert_string_equal(requirements(), "past + seq <= total");
    }
}

static void test_view_that_does_not_cancel(void **state) {
    (void)state;
    GUARD();
    Value *mask = input("mask", TN_I64, "a, b");
    Value *v = ir_view(fx.g, mask, 2, (const Expr *[]){dim("b"), dim("a")});
    assert_string_equal(elem_text(v), "value[i0, i1]");
    Value *split = ir_view(fx.g, ir_iota(fx.g, TN_I64, num(600), num(0), num(1)), 2,
                           (const Expr *[]){num(20), num(30)});
    assert_string_equal(elem_text(split), "30*i0 + i1");
    Value *join = ir_view(fx.g, split, 1, (const Expr *[]){num(600)});
    assert_string_equal(elem_text(join), "i0");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_triangles),
        TEST(test_corners),
        TEST(test_repeated_triangles),
        TEST(test_causal),
        TEST(test_choice_arithmetic),
        TEST(test_masked_fill),
        TEST(test_gather_nd_mask),
        TEST(test_gather_nd_mask_of_numbers),
        TEST(test_flattened_gather_mask),
        TEST(test_view_that_does_not_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
