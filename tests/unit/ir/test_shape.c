/* Shape rules: the type each operator gives, what it requires of symbolic dims, and what it
 * refuses. */
#include <stdio.h>
#include <string.h>
#include "ir/infer.h"
#include "tests/unit/ir/fixture.h"

static Node *node(OpKind op, int n, Value *const *inputs) {
    return ir_node(fx.g, op, n, inputs);
}

#define INPUTS(...)                                                          \
    (int)(sizeof((Value *[]){__VA_ARGS__}) / sizeof(Value *)), (Value *[]) { \
        __VA_ARGS__                                                          \
    }

static const char *type_after(Node *n) {
    return type_of(ir_insert(n));
}

/* The last requirement, "left == right (origin)". */
static const char *requirement(void) {
    const Requirement *r = ex_requirements(fx.x);
    if (!r) return "";
    while (r->next) r = r->next;
    return arena_printf(&fx.cx.arena, "%s %s %s (%s)", ex_text(fx.x, r->left),
                        r->kind == REL_EQ ? "==" : "<=", ex_text(fx.x, r->right), r->origin);
}

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
    EXPECT_FAIL(TN_E_MODEL, "negative length: 0 > -1",
                ir_iota(fx.g, TN_I64, num(-1), num(0), num(1)));
    const Expr *negative = num(-2);
    EXPECT_FAIL(TN_E_MODEL, "negative dimension: 0 > -2", ir_splat(fx.g, TN_F32, 1, &negative, 0));
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
    EXPECT_FAIL(TN_E_MODEL, "slice starts before its axis: 0 > -1",
                ir_slice(fx.g, x, 2, num(-1), num(2), 1));
    EXPECT_FAIL(TN_E_MODEL, "slice ends before its axis: 0 > -1",
                ir_slice(fx.g, x, 2, num(3), num(5), -1));
    EXPECT_FAIL(TN_E_MODEL, "negative length of a slice: 0 > -1",
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
    EXPECT_FAIL(TN_E_MODEL, "border cuts too much: 0 > -1", ir_insert(pad(x, -5, 0, "constant")));
    EXPECT_FAIL(TN_E_MODEL, "borders of 1 and 1 axes for f32[2, 2]",
                ir_insert(pad(input("y", TN_F32, "2, 2"), 0, 0, "edge")));
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
    EXPECT_FAIL(TN_E_MODEL, "index out of range, last index and length: 5 > 4",
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

static void test_reduce(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "a, b, 3");
    int64_t axes[] = {1, 2};
    assert_string_equal(type_of(ir_reduce(fx.g, OP_reduce_sum, x, 2, axes, true)), "f32[a, 1, 1]");
    assert_string_equal(type_of(ir_reduce(fx.g, OP_reduce_mean, x, 2, axes, false)), "f32[a]");
    EXPECT_FAIL(TN_E_MODEL, "axis 3 of a tensor of rank 3",
                ir_reduce(fx.g, OP_reduce_max, x, 1, (int64_t[]){3}, true));
    EXPECT_FAIL(TN_E_MODEL, "axis 1 is reduced twice",
                ir_reduce(fx.g, OP_reduce_max, x, 2, (int64_t[]){1, 1}, true));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type bool, not number",
                ir_reduce(fx.g, OP_reduce_mean, input("i", TN_BOOL, "3"), 1, (int64_t[]){0}, true));
    assert_string_equal(type_of(ir_softmax(fx.g, x, -1)), "f32[a, b, 3]");
    EXPECT_FAIL(TN_E_MODEL, "axis 5 of a tensor of rank 3", ir_softmax(fx.g, x, 5));
}

static void test_matmul(void **state) {
    (void)state;
    GUARD();
    Value *q = input("q", TN_F32, "batch, 12, s, 64"), *k = input("k", TN_F32, "batch, 12, t, 64");
    assert_string_equal(type_of(ir_matmul(fx.g, q, k, false, true)), "f32[batch, 12, s, t]");
    assert_string_equal(type_of(ir_matmul(fx.g, q, input("w", TN_F32, "64, 3"), false, false)),
                        "f32[batch, 12, s, 3]");
    assert_string_equal(type_of(ir_matmul(fx.g, q, q, true, false)), "f32[batch, 12, 64, 64]");
    EXPECT_FAIL(
        TN_E_MODEL, "inner dimensions differ, 768 and 3072",
        ir_matmul(fx.g, input("x", TN_F32, "2, 768"), input("y", TN_F32, "3072, 4"), false, false));
    EXPECT_FAIL(TN_E_MODEL, "operand 1 is f32[64], of rank below 2",
                ir_matmul(fx.g, q, input("v", TN_F32, "64"), false, false));
    EXPECT_FAIL(TN_E_MODEL, "f32[2] and f32[3] do not broadcast, dimensions 2 and 3",
                ir_matmul(fx.g, input("a", TN_F32, "2, 4, 4"), input("b", TN_F32, "3, 4, 4"), false,
                          false));
}

static Node *conv(Value *x, Value *w, int64_t stride, int64_t padding, int64_t dilation,
                  int64_t groups) {
    Node *n = node(OP_conv, INPUTS(x, w));
    int spatial = x->type.rank - 2;
    int64_t strides[6], pads[12], dilations[6];
    for (int i = 0; i < spatial; i++) {
        strides[i] = stride;
        dilations[i] = dilation;
        pads[i] = pads[i + spatial] = padding;
    }
    ir_set_ints(n, "strides", spatial, strides);
    ir_set_ints(n, "dilations", spatial, dilations);
    ir_set_ints(n, "pads", 2 * spatial, pads);
    ir_set_int(n, "groups", groups);
    return n;
}

static void test_conv(void **state) {
    (void)state;
    GUARD();
    Value *image = input("image", TN_F32, "batch, 3, 224, 224"),
          *w = input("w", TN_F32, "768, 3, 16, 16");
    assert_string_equal(type_after(conv(image, w, 16, 0, 1, 1)), "f32[batch, 768, 14, 14]");
    Value *audio = input("audio", TN_F32, "batch, 8, n"), *f = input("f", TN_F32, "16, 2, 5");
    Value *y = ir_insert(conv(audio, f, 2, 0, 2, 4));
    assert_ptr_equal(y->type.dims[2], dim("(n - 9)//2 + 1"));
    assert_string_equal(requirement(), "9 <= n (conv)");
    EXPECT_FAIL(TN_E_MODEL, "input channels differ, 8 and 6",
                ir_insert(conv(audio, f, 1, 0, 1, 3)));
    EXPECT_FAIL(TN_E_MODEL, "strides contains 0", ir_insert(conv(audio, f, 0, 0, 1, 4)));
    EXPECT_FAIL(TN_E_MODEL, "0 groups", ir_insert(conv(audio, f, 1, 0, 1, 0)));
    EXPECT_FAIL(TN_E_MODEL, "the kernel is longer than the input: 0 > -3",
                ir_insert(conv(input("s", TN_F32, "1, 2, 2"), f, 1, 0, 1, 1)));
    EXPECT_FAIL(TN_E_MODEL, "operand 1 is f32[16, 2, 5], not of rank 4",
                ir_insert(conv(image, f, 1, 0, 1, 1)));
}

static Node *pool(Value *x, const char *dims, int64_t kernel, int64_t stride, const char *pad) {
    Node *n = node(OP_pool, INPUTS(x));
    const Expr *length = dim(dims), *padding = dim(pad);
    ir_set_dims(n, "dims", 1, &length);
    ir_set_ints(n, "kernel", 1, &kernel);
    ir_set_ints(n, "strides", 1, &stride);
    ir_set_ints(n, "dilations", 1, (int64_t[]){1});
    ir_set_dims(n, "begins", 1, &padding);
    ir_set_dims(n, "ends", 1, &padding);
    return n;
}

static Node *with_word(Node *n, const char *attr, const char *word) {
    ir_set_string(n, attr, word);
    return n;
}

static void test_pool(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "b, 4, n"), *i = input("i", TN_U8, "b, 4, n");
    Node *n = with_word(pool(i, "n//2", 2, 2, "n - 1"), "places", "rows");
    assert_string_equal(type_after(n), "u8[b, 4, n//2]");
    assert_string_equal(type_of(n->outputs[1]), "i64[b, 4, n//2]");
    EXPECT_FAIL(TN_E_MODEL, "kernel contains 0", ir_insert(pool(x, "n", 0, 1, "0")));
    EXPECT_FAIL(TN_E_MODEL, "strides contains 0", ir_insert(pool(x, "n", 1, 0, "0")));
    EXPECT_FAIL(TN_E_MODEL, "begins contains -1", ir_insert(pool(x, "n", 1, 1, "-1")));
    EXPECT_FAIL(TN_E_MODEL, "dims contains -2", ir_insert(pool(x, "-2", 1, 1, "0")));
    EXPECT_FAIL(TN_E_MODEL, "operand 0 has type u8, not float",
                ir_insert(with_word(pool(i, "n", 1, 1, "0"), "mode", "avg")));
    n = with_word(pool(x, "n", 1, 1, "0"), "mode", "avg");
    EXPECT_FAIL(TN_E_MODEL, "only the largest have places",
                ir_insert(with_word(n, "places", "rows")));
    EXPECT_FAIL(TN_E_UNSUPPORTED, "pooling of i64 is unsupported",
                ir_insert(pool(input("l", TN_I64, "1, 1, 4"), "4", 1, 1, "0")));
}

static void test_columns(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "b, 4, 3, 3, h, w"),
          *image = input("image", TN_F32, "b, 4, h, w");
    const Expr *dims[] = {dim("h + 2"), dim("w + 2")}, *zeros[] = {dim("0"), dim("0")};
    Node *n = node(OP_col2im, INPUTS(x));
    const int64_t ones[] = {1, 1}, kernel[] = {3, 3};
    ir_set_dims(n, "dims", 2, dims);
    ir_set_dims(n, "begins", 2, zeros);
    ir_set_ints(n, "strides", 2, ones);
    ir_set_ints(n, "dilations", 2, ones);
    assert_string_equal(type_after(n), "f32[b, 4, h + 2, w + 2]");
    Node *m = node(OP_col2im, INPUTS(image));
    memcpy(m->attrs, n->attrs, 4 * sizeof *n->attrs);
    EXPECT_FAIL(TN_E_MODEL, "operand 0 is f32[b, 4, h, w], not of rank 6", ir_insert(m));
    n = node(OP_deform_columns, INPUTS(image, input("o", TN_F32, "b, 36, h, w")));
    ir_set_ints(n, "kernel", 2, kernel);
    ir_set_ints(n, "strides", 2, ones);
    ir_set_ints(n, "dilations", 2, ones);
    ir_set_ints(n, "begins", 2, ones);
    ir_set_int(n, "groups", 2);
    assert_string_equal(type_after(n), "f32[b, 4, 3, 3, h, w]");
    m = node(OP_deform_columns, INPUTS(image, input("p", TN_F32, "b, 18, h, w")));
    memcpy(m->attrs, n->attrs, 5 * sizeof *n->attrs);
    EXPECT_FAIL(TN_E_MODEL, "offsets and kernel differ, 18 and 36", ir_insert(m));
    ir_set_int(m, "groups", 3);
    EXPECT_FAIL(TN_E_MODEL, "4 channels in 3 groups", ir_insert(m));
}

static Node *resize(Value *x, int axis, const char *length, const char *mode) {
    Node *n = node(OP_resize, INPUTS(x));
    ir_set_int(n, "axis", axis);
    ir_set_dim(n, "length", dim(length));
    ir_set_string(n, "mode", mode);
    return n;
}

static void test_resize(void **state) {
    (void)state;
    GUARD();
    Value *image = input("image", TN_F32, "batch, 3, h, w"), *i = input("i", TN_I32, "4, 4");
    assert_string_equal(type_after(resize(image, -1, "2*w", "linear")), "f32[batch, 3, h, 2*w]");
    assert_string_equal(type_after(resize(i, 0, "7", "nearest")), "i32[7, 4]");
    EXPECT_FAIL(TN_E_MODEL, "i32 is not interpolated", ir_insert(resize(i, 0, "7", "cubic")));
    EXPECT_FAIL(TN_E_MODEL, "a length of -1", ir_insert(resize(image, 0, "-1", "linear")));
}

static void test_norm(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, seq, 8"), *gamma = input("gamma", TN_F32, "8");
    assert_string_equal(type_of(ir_layer_norm(fx.g, x, gamma, NULL, 1e-5)), "f32[batch, seq, 8]");
    assert_string_equal(type_of(ir_rms_norm(fx.g, x, gamma, 1e-5)), "f32[batch, seq, 8]");
    EXPECT_FAIL(TN_E_MODEL, "gamma and last dimension differ, 7 and 8",
                ir_layer_norm(fx.g, x, input("h", TN_F32, "7"), NULL, 1e-5));
    EXPECT_FAIL(TN_E_MODEL, "operand 1 is f32[batch, seq, 8], not of rank 1",
                ir_layer_norm(fx.g, x, x, NULL, 1e-5));
    Node *n = node(OP_add_norm, INPUTS(x, gamma, gamma, NULL));
    ir_insert(n);
    assert_string_equal(type_of(n->outputs[0]), "f32[batch, seq, 8]");
    assert_string_equal(type_of(n->outputs[1]), "f32[batch, seq, 8]");
}

static void test_linear(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, seq, 8"), *w = input("w", TN_F32, "8, 12");
    Value *bias = input("bias", TN_F32, "12"), *r = input("r", TN_F32, "batch, seq, 12");
    assert_string_equal(type_after(node(OP_linear, INPUTS(x, w, bias, r))), "f32[batch, seq, 12]");
    assert_string_equal(type_after(node(OP_linear, INPUTS(x, w, NULL, r))), "f32[batch, seq, 12]");
    Node *n = node(OP_linear, INPUTS(x, w));
    ir_set_bool(n, "tb", true);
    EXPECT_FAIL(TN_E_MODEL, "inner dimensions differ, 8 and 12", ir_insert(n));
    EXPECT_FAIL(TN_E_MODEL, "bias and result differ, 8 and 12",
                ir_insert(node(OP_linear, INPUTS(x, w, input("c", TN_F32, "8")))));
    EXPECT_FAIL(TN_E_MODEL, "residual and result differ, 8 and 12",
                ir_insert(node(OP_linear, INPUTS(x, w, NULL, x))));
}

static Node *qkv(int n, Value *const *inputs, int64_t parts, int count, const int64_t *widths) {
    Node *made = node(OP_qkv, n, inputs);
    ir_set_int(made, "parts", parts);
    ir_set_ints(made, "widths", count, widths);
    return made;
}

static void test_qkv(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, seq, 8"), *w = input("w", TN_F32, "8, 16");
    Value *v = input("v", TN_F32, "8, 4"), *b = input("b", TN_F32, "16");
    Node *n = qkv(INPUTS(x, w, v, b, NULL), 2, 2, (int64_t[]){16, 4});
    ir_insert(n);
    assert_int_equal(n->output_count, 2);
    assert_string_equal(type_of(n->outputs[0]), "f32[batch, seq, 16]");
    assert_string_equal(type_of(n->outputs[1]), "f32[batch, seq, 4]");
    n = qkv(INPUTS(x, w, b), 1, 3, (int64_t[]){8, 4, 4});
    ir_insert(n);
    assert_int_equal(n->output_count, 3);
    assert_string_equal(type_of(n->outputs[2]), "f32[batch, seq, 4]");
    EXPECT_FAIL(TN_E_MODEL, "width and weight differ, 16 and 12",
                ir_insert(qkv(INPUTS(x, w), 1, 3, (int64_t[]){4, 4, 4})));
    EXPECT_FAIL(TN_E_MODEL, "2 parts in 4 operands",
                ir_insert(qkv(INPUTS(x, w, v, b), 2, 2, (int64_t[]){16, 4})));
    EXPECT_FAIL(TN_E_MODEL, "1 widths for 2 parts",
                ir_insert(qkv(INPUTS(x, w, v), 2, 1, (int64_t[]){16})));
}

static void test_attention(void **state) {
    (void)state;
    GUARD();
    Value *q = input("q", TN_F32, "batch, s, 12, 64"), *k = input("k", TN_F32, "batch, t, 4, 64");
    Value *v = input("v", TN_F32, "batch, t, 4, 32"), *mask = input("mask", TN_BOOL, "batch, t");
    Value *rows = input("rows", TN_BOOL, "1, s"), *bias = input("bias", TN_F32, "1, 12, s, t");
    assert_string_equal(type_after(node(OP_attention, INPUTS(q, k, v))), "f32[batch, s, 12, 32]");
    assert_string_equal(type_after(node(OP_attention, INPUTS(q, k, v, mask, rows, bias))),
                        "f32[batch, s, 12, 32]");
    assert_string_equal(type_after(node(OP_attention, INPUTS(q, k, v, NULL, NULL, bias))),
                        "f32[batch, s, 12, 32]");
    assert_string_equal(requirement(), "");
    Value *five = input("five", TN_F32, "batch, t, 5, 64");
    EXPECT_FAIL(TN_E_MODEL, "12 heads share 5 key heads",
                ir_insert(node(OP_attention, INPUTS(q, five, five))));
    EXPECT_FAIL(TN_E_MODEL, "head sizes of queries and keys differ, 64 and 32",
                ir_insert(node(OP_attention, INPUTS(q, v, v))));
    EXPECT_FAIL(TN_E_MODEL, "operand 3 has type f32, not bool",
                ir_insert(node(OP_attention, INPUTS(q, k, v, input("m", TN_F32, "batch, t")))));
    EXPECT_FAIL(TN_E_MODEL, "operands have types f32 and f16",
                ir_insert(node(OP_attention, INPUTS(q, k, ir_cast(fx.g, v, TN_F16)))));
}

static Node *map(Value *x, Value *y, MapStep *steps, int count) {
    Node *n = node(OP_map, INPUTS(x, y));
    ir_set_dtype(n, "dtype", TN_F32);
    ir_set_body(n, "body", &(MapBody){count, steps});
    return n;
}

static void test_map(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, 8"), *y = input("y", TN_F32, "8");
    MapStep steps[] = {{OP_add, TN_F32, {0, 1}, 0, 0},
                       {OP_splat, TN_F32, {0}, 2, 0},
                       {OP_mul, TN_F32, {2, 3}, 0, 0}};
    assert_string_equal(type_after(map(x, y, steps, 3)), "f32[batch, 8]");
    steps[2].args[1] = 4;
    EXPECT_FAIL(TN_E_MODEL, "step 2 of a map reads register 4", ir_insert(map(x, y, steps, 3)));
    EXPECT_FAIL(TN_E_MODEL, "the program of a map is empty", ir_insert(map(x, y, steps, 0)));
    steps[0].op = OP_matmul;
    EXPECT_FAIL(TN_E_MODEL, "matmul cannot be a step of a map", ir_insert(map(x, y, steps, 1)));
    steps[0] = (MapStep){OP_lt, TN_BOOL, {0, 1}, 0, 0};
    EXPECT_FAIL(TN_E_MODEL, "the program of a map computes bool, not f32",
                ir_insert(map(x, y, steps, 1)));
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
                assert_true(found > 0);
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
        TEST(test_types),       TEST(test_broadcast),     TEST(test_sources),
        TEST(test_view),        TEST(test_view_quotient), TEST(test_transpose_expand),
        TEST(test_slice),       TEST(test_concat),        TEST(test_pad),
        TEST(test_gathers),     TEST(test_reduce),        TEST(test_matmul),
        TEST(test_conv),        TEST(test_pool),          TEST(test_columns),
        TEST(test_resize),      TEST(test_norm),          TEST(test_linear),
        TEST(test_qkv),         TEST(test_attention),     TEST(test_map),
        TEST(test_large_graph), TEST(test_type_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
