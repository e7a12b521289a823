/* Shape rules: the type each operator gives, what it requires of symbolic dims, and what it
 * refuses. Sources, elementwise operators and those that move elements; test_shape_compute.c has
 * the others. */
#include <stdio.h>
#include <string.h>
#include "ir/infer.h"
#include "tests/unit/ir/fixture.h"

static void test_types(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, 3"), *i = input("i", TN_I64, "3"),
          *b = input("b", TN_BOOL, "3");
    assert_int_equal(ir_axis(fx.m, -1, 3), 2);
    EXPECT_FAIL(TN_E_MODEL, "axis 3 of a tensor of rank 3", ir_axis(fx.m, 3, 3));
    EXPECT_FAIL(TN_E_MODEL, "axis -4 of a tensor of rank 3", ir_axis(fx.m, -4, 3));
    EXPECT_FAIL(TN_E_MODEL, "operands have types f32 and i64", ir_binary(fx.g, OP_add, x, i));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type bool, not number", ir_binary(fx.g, OP_add, b, b));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type i64, not bool", ir_binary(fx.g, OP_and, i, i));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type i64, not float", ir_unary(fx.g, OP_exp, i));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type f32, not bool", ir_where(fx.g, x, x, x));
    EXPECT_FAIL(TN_E_MODEL, "operands have types f32 and i64", ir_where(fx.g, b, x, i));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type bool, not number", ir_binary(fx.g, OP_lt, b, b));
    assert_string_equal(type_of(ir_binary(fx.g, OP_eq, b, b)), "bool[3]");
    assert_string_equal(type_of(ir_binary(fx.g, OP_le, x, x)), "bool[batch, 3]");
    assert_string_equal(type_of(ir_cast(fx.g, x, TN_F16)), "f16[batch, 3]");
    assert_ptr_equal(ir_cast(fx.g, x, TN_F32), x);
    assert_string_equal(type_of(ir_where(fx.g, b, x, x)), "f32[batch, 3]");
    tn_enter_node(&fx.cx, "/layer/Add", "Add");
    EXPECT_FAIL(TN_E_MODEL, "node '/layer/Add' (Add): operands have types f32 and i64",
                ir_binary(fx.g, OP_add, x, i));
    tn_leave(&fx.cx);
    EXPECT_FAIL(
        TN_E_LIMIT, "a tensor with 9 axes, at most 8",
        ir_gather(fx.g, input("y", TN_F32, "1,1,1,1,1"), input("j", TN_I64, "1,1,1,1,1"), 0));
}

static void test_broadcast(void **state) {
    (void)state;
    GUARD();
    Value *a = input("a", TN_F32, "batch, 1, 4"), *b = input("b", TN_F32, "seq, 1");
    assert_string_equal(type_of(ir_binary(fx.g, OP_add, a, b)), "f32[batch, seq, 4]");
    assert_string_equal(type_of(ir_binary(fx.g, OP_add, b, a)), "f32[batch, seq, 4]");
    EXPECT_FAIL(TN_E_MODEL, "f32[batch, 1, 4] and f32[3] do not broadcast, dimensions 4 and 3",
                ir_binary(fx.g, OP_mul, a, input("c", TN_F32, "3")));
    EXPECT_FAIL(TN_E_MODEL, "dimensions 2 and 3 do not broadcast",
                ir_broadcast_dim(fx.m, num(2), num(3)));
    EXPECT_FAIL(TN_E_MODEL, "f32[n] and f32[n + 1] do not broadcast, dimensions n and n + 1",
                ir_binary(fx.g, OP_mul, input("d", TN_F32, "n"), input("e", TN_F32, "n + 1")));
    assert_string_equal(requirement(), "");
    uint32_t generation = ex_generation(fx.x);
    fx.g->origin = "/mask/Add";
    Value *y = ir_binary(fx.g, OP_add, input("p", TN_F32, "s1"), input("q", TN_F32, "s2"));
    assert_string_equal(requirement(), "s1 == s2 (/mask/Add)");
    assert_true(ex_generation(fx.x) != generation);
    assert_ptr_equal(ex_norm(fx.x, dim("s1")), ex_norm(fx.x, dim("s2")));
    assert_ptr_equal(y->type.dims[0], ex_norm(fx.x, dim("s1")));
    tn_enter_node(&fx.cx, "/inner", "Add");
    ir_binary(fx.g, OP_add, input("r", TN_F32, "s3"), input("s", TN_F32, "s4"));
    assert_string_equal(requirement(), "s3 == s4 (/inner)");
    tn_leave(&fx.cx);
}

static void test_sources(void **state) {
    (void)state;
    GUARD();
    const Expr *dims[] = {dim("batch"), num(7)};
    assert_string_equal(type_of(ir_splat(fx.g, TN_F32, 2, dims, 1)), "f32[batch, 7]");
    assert_string_equal(type_of(ir_iota(fx.g, TN_I64, dim("seq"), num(0), num(1))), "i64[seq]");
    assert_string_equal(type_of(ir_scalars(fx.g, TN_I64, 2, dims)), "i64[2]");
    EXPECT_FAIL(TN_E_MODEL, "negative length: -1 < 0",
                ir_iota(fx.g, TN_I64, num(-1), num(0), num(1)));
    const Expr *negative = num(-2);
    EXPECT_FAIL(TN_E_MODEL, "negative dimension: -2 < 0", ir_splat(fx.g, TN_F32, 1, &negative, 0));
    ir_iota(fx.g, TN_I64, dim("seq - past"), num(0), num(1));
    assert_string_equal(requirement(), "past <= seq (iota)");
}

static void test_view(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, seq, 12");
    const Expr *d[TN_MAX_RANK];
    assert_string_equal(type_of(ir_view(fx.g, x, dims_of("batch*seq, 3, 4", d), d)),
                        "f32[batch*seq, 3, 4]");
    assert_ptr_equal(ir_view(fx.g, x, 3, x->type.dims), x);
    assert_string_equal(type_of(ir_unsqueeze(fx.g, x, -1)), "f32[batch, seq, 12, 1]");
    assert_string_equal(type_of(ir_squeeze(fx.g, ir_unsqueeze(fx.g, x, 1), 1)),
                        "f32[batch, seq, 12]");
    assert_string_equal(requirement(), "");
    int rank = dims_of("batch, seq, 13", d);
    EXPECT_FAIL(TN_E_MODEL,
                "element counts of f32[batch, seq, 12] and f32[batch, seq, 13] differ, 12 and 13",
                ir_view(fx.g, x, rank, d));
    ir_view(fx.g, x, dims_of("batch, n, 12", d), d);
    assert_string_equal(requirement(), "seq == n (view)");
}

/* A dim that is a quotient: the count is a relation of its own, and no symbols are unified. */
static void test_view_quotient(void **state) {
    (void)state;
    GUARD();
    const Expr *d[TN_MAX_RANK];
    Value *x = input("x", TN_F32, "q, t");
    ir_view(fx.g, x, dims_of("images, q//images, t", d), d);
    assert_non_null(ex_requirements(fx.x));
    assert_ptr_not_equal(ex_norm(fx.x, dim("q")), ex_norm(fx.x, dim("images")));
}

static void test_transpose_expand(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "a, 1, 3");
    assert_string_equal(type_of(ir_transpose(fx.g, x, (int[]){2, 0, 1})), "f32[3, a, 1]");
    assert_ptr_equal(ir_transpose(fx.g, x, (int[]){0, 1, 2}), x);
    EXPECT_FAIL(TN_E_MODEL, "the permutation is not one: axis 2",
                ir_transpose(fx.g, x, (int[]){2, 2, 1}));
    Node *n = node(OP_transpose, 1, &x);
    ir_set_ints(n, "perm", 2, (int64_t[]){1, 0});
    EXPECT_FAIL(TN_E_MODEL, "a permutation of 2 axes for f32[a, 1, 3]", ir_insert(n));
    const Expr *d[TN_MAX_RANK];
    assert_string_equal(type_of(ir_expand(fx.g, x, dims_of("b, a, n, 3", d), d)),
                        "f32[b, a, n, 3]");
    int rank = dims_of("a, n, 4", d);
    EXPECT_FAIL(TN_E_MODEL, "expanding f32[a, 1, 3]: dimensions 2 differ, 3 and 4",
                ir_expand(fx.g, x, rank, d));
    EXPECT_FAIL(TN_E_MODEL, "f32[a, 1, 3] cannot expand to rank 2", ir_expand(fx.g, x, 2, d));
}

static void test_slice(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, seq, 8");
    assert_string_equal(type_of(ir_slice(fx.g, x, -1, num(2), num(3), 2)), "f32[batch, seq, 3]");
    assert_string_equal(type_of(ir_slice(fx.g, x, 2, num(7), num(8), -1)), "f32[batch, seq, 8]");
    assert_string_equal(type_of(ir_slice(fx.g, x, 1, num(0), dim("seq"), 1)), "f32[batch, seq, 8]");
    assert_string_equal(type_of(ir_slice(fx.g, x, 2, num(8), num(0), 1)), "f32[batch, seq, 0]");
    assert_string_equal(requirement(), "");
    EXPECT_FAIL(TN_E_MODEL, "slice ends behind its axis: 9 > 8",
                ir_slice(fx.g, x, 2, num(2), num(7), 1));
    EXPECT_FAIL(TN_E_MODEL, "slice ends behind its axis: 9 > 8",
                ir_slice(fx.g, x, 2, num(0), num(5), 2));
    EXPECT_FAIL(TN_E_MODEL, "slice starts before its axis: -1 < 0",
                ir_slice(fx.g, x, 2, num(-1), num(2), 1));
    EXPECT_FAIL(TN_E_MODEL, "slice ends before its axis: -1 < 0",
                ir_slice(fx.g, x, 2, num(3), num(5), -1));
    EXPECT_FAIL(TN_E_MODEL, "negative length of a slice: -1 < 0",
                ir_slice(fx.g, x, 2, num(3), num(-1), 1));
    EXPECT_FAIL(TN_E_MODEL, "a slice with step 0", ir_slice(fx.g, x, 2, num(0), num(1), 0));
    ir_slice(fx.g, x, 1, num(0), dim("n"), 1);
    assert_string_equal(requirement(), "n <= seq (slice)");
}

static void test_concat(void **state) {
    (void)state;
    GUARD();
    Value *a = input("a", TN_F32, "batch, past, 4"), *b = input("b", TN_F32, "batch, seq, 4");
    assert_string_equal(type_of(ir_concat(fx.g, 2, (Value *[]){a, b}, 1)),
                        "f32[batch, past + seq, 4]");
    assert_string_equal(type_of(ir_concat(fx.g, 1, &a, -1)), "f32[batch, past, 4]");
    Value *c = input("c", TN_F32, "batch, seq, 5"), *d = input("d", TN_F32, "4");
    EXPECT_FAIL(
        TN_E_MODEL,
        "concatenating f32[batch, past, 4] and f32[batch, seq, 5]: dimensions 2 differ, 4 and 5",
        ir_concat(fx.g, 2, (Value *[]){a, c}, 1));
    EXPECT_FAIL(TN_E_MODEL, "operand 1 is f32[4], not of rank 3",
                ir_concat(fx.g, 2, (Value *[]){a, d}, 1));
}

static Node *pad(Value *x, int64_t before, int64_t after, const char *mode) {
    Node *n = node(OP_pad, 1, &x);
    const Expr *b = num(before), *a = num(after);
    ir_set_dims(n, "before", 1, &b);
    ir_set_dims(n, "after", 1, &a);
    ir_set_string(n, "mode", mode);
    return n;
}

static void test_pad(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "4");
    assert_string_equal(type_after(pad(x, 1, 2, "constant")), "f32[7]");
    assert_string_equal(type_after(pad(x, -1, -2, "constant")), "f32[1]");
    assert_string_equal(type_after(pad(x, 3, 0, "reflect")), "f32[7]");
    EXPECT_FAIL(TN_E_MODEL, "reflected border too wide: 5 > 4", ir_insert(pad(x, 4, 0, "reflect")));
    EXPECT_FAIL(TN_E_MODEL, "wrapped border too wide: 5 > 4", ir_insert(pad(x, 5, 0, "wrap")));
    EXPECT_FAIL(TN_E_MODEL, "border cuts too much: -1 < 0", ir_insert(pad(x, -5, 0, "constant")));
    EXPECT_FAIL(TN_E_MODEL, "borders of 1 and 1 axes for f32[2, 2]",
                ir_insert(pad(input("y", TN_F32, "2, 2"), 0, 0, "edge")));
}

static Node *roll(Value *x, int count, const Expr *start) {
    Node *n = node(OP_roll, 1, &x);
    ir_set_dims(n, "starts", count, (const Expr *[]){start, start});
    return n;
}

static void test_roll(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "n, 4");
    assert_string_equal(type_after(roll(input("y", TN_I8, "4"), 1, num(4))), "i8[4]");
    assert_string_equal(type_after(roll(x, 2, num(3))), "f32[n, 4]");
    EXPECT_FAIL(TN_E_MODEL, "start before the axis: -1 < 0", ir_insert(roll(x, 2, num(-1))));
    EXPECT_FAIL(TN_E_MODEL, "start behind the axis: 5 > 4", ir_insert(roll(x, 2, num(5))));
    EXPECT_FAIL(TN_E_MODEL, "1 starts for f32[n, 4]", ir_insert(roll(x, 1, num(0))));
}

static void test_gathers(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "vocab, 8"), *i = input("i", TN_I64, "batch, seq");
    assert_string_equal(type_of(ir_gather(fx.g, x, i, 0)), "f32[batch, seq, 8]");
    assert_string_equal(type_of(ir_gather(fx.g, x, ir_scalar_int(fx.g, TN_I64, 3), -1)),
                        "f32[vocab]");
    EXPECT_FAIL(TN_E_MODEL, "operand 1 has type f32, not i32 or i64", ir_gather(fx.g, x, x, 0));
    Value *table = ir_iota(fx.g, TN_I64, num(4), num(0), num(1));
    EXPECT_FAIL(TN_E_MODEL, "index 4 is outside an axis of length 4",
                ir_gather(fx.g, table, ir_scalar_int(fx.g, TN_I64, 4), 0));

    Node *n = node(OP_gather_elements, INPUTS(x, i));
    ir_set_int(n, "axis", 1);
    assert_string_equal(type_after(n), "f32[batch, seq]");
    EXPECT_FAIL(TN_E_MODEL, "indices i64[3] for elements of f32[vocab, 8]",
                ir_insert(node(OP_gather_elements, INPUTS(x, input("j", TN_I64, "3")))));

    Value *pairs = input("pairs", TN_I64, "n, 2"), *ones = input("ones", TN_I64, "n, 1");
    assert_string_equal(type_after(node(OP_gather_nd, INPUTS(x, pairs))), "f32[n]");
    assert_string_equal(type_after(node(OP_gather_nd, INPUTS(x, ones))), "f32[n, 8]");
    EXPECT_FAIL(TN_E_MODEL, "indices i64[n, 3] after 0 batch axes for f32[vocab, 8]",
                ir_insert(node(OP_gather_nd, INPUTS(x, input("k", TN_I64, "n, 3")))));
    EXPECT_FAIL(TN_E_MODEL, "the last dimension of the indices is seq, not a number",
                ir_insert(node(OP_gather_nd, INPUTS(x, i))));
    n = node(OP_gather_nd, INPUTS(x, input("rows", TN_I64, "vocab, 3, 1")));
    ir_set_int(n, "batch", 1);
    assert_string_equal(type_after(n), "f32[vocab, 3]");
}

/* Building a large graph takes time in proportion to its size. */
static void test_large_graph(void **state) {
    (void)state;
    GUARD();
    Value *shape =
        ir_scalars(fx.g, TN_I64, 3, (const Expr *[]){dim("batch"), dim("seq"), num(768)});
    Value *x = input("x", TN_F32, "batch, seq, 768");
    for (int i = 0; i < 4000; i++) {
        Value *s = ir_gather(fx.g, shape, ir_scalar_int(fx.g, TN_I64, i % 3), 0);
        Value *parts[] = {ir_unsqueeze(fx.g, s, 0), ints(1, (int64_t[]){i})};
        ir_concat(fx.g, 2, parts, 0);
        x = ir_binary(fx.g, OP_add, ir_binary(fx.g, OP_mul, x, ir_scalar(fx.g, TN_F32, 2)), x);
    }
    assert_int_equal(fx.g->node_count, 20001);
}

/* --- element types of rows --- */

/* Every set of ops.def is one that some type is in, or the type of an operand before it. */
static void test_type_sets(void **state) {
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        const char *types = ir_op_info((OpKind)op)->types;
        assert_int_equal(*types == 0, ir_op_info((OpKind)op)->max_inputs == 0);
        for (int i = 0; *types; i++) {
            char set[32];
            int length = (int)strcspn(types, " |"), found = 0;
            snprintf(set, sizeof set, "%.*s", length, types);
            for (TnDType t = TN_NONE + 1; t < TN_DTYPE_COUNT; t++) found += infer_set_has(set, t);
            if (*set == '=')
                assert_true(i > 0 && (!set[1] || set[1] - '0' < i));
            else
                assert_true(found > 0 || (*set == '~' && i > 0));
            types += length + (types[length] != 0);
        }
    }
    assert_true(infer_set_has("i8|u8", TN_U8));
    assert_false(infer_set_has("i8|u8", TN_I64));
    assert_true(infer_set_has("any", TN_F4E2M1));
    assert_true(infer_set_has("any", TN_BOOL));
    assert_false(infer_set_has("number", TN_BOOL));
    assert_false(infer_set_has("number", TN_I4));
    assert_false(infer_set_has("integer", TN_F32));
    assert_false(infer_set_has("float", TN_F8E4M3FN));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_types),     TEST(test_broadcast),     TEST(test_sources),
        TEST(test_view),      TEST(test_view_quotient), TEST(test_transpose_expand),
        TEST(test_slice),     TEST(test_concat),        TEST(test_pad),
        TEST(test_roll),      TEST(test_gathers),       TEST(test_large_graph),
        TEST(test_type_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
