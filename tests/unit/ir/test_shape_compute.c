/* Shape rules of reductions, products, windows, norms, attention and maps: the type each gives,
 * what it requires of symbolic dims, and what it refuses. */
#include <string.h>
#include "tests/unit/ir/fixture.h"

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
    EXPECT_FAIL(TN_E_MODEL, "the kernel is longer than the input: 5 > 2",
                ir_insert(conv(input("s", TN_F32, "1, 2, 2"), f, 1, 0, 1, 1)));
    EXPECT_FAIL(TN_E_MODEL, "operand 1 is f32[16, 2, 5], not of rank 4",
                ir_insert(conv(image, f, 1, 0, 1, 1)));
    Node *n = conv(audio, input("g", TN_F16, "16, 2, 5"), 1, 2, 1, 4);
    assert_string_equal(type_after(n), "f32[batch, 16, n]");
    Value *in[] = {audio, f, NULL, audio};
    n = ir_node(fx.g, OP_conv, 4, in);
    memcpy(n->attrs, conv(audio, f, 1, 2, 1, 4)->attrs,
           (size_t)ir_attr_count(OP_conv) * sizeof *n->attrs);
    EXPECT_FAIL(TN_E_MODEL, "residual and result differ, 8 and 16", ir_insert(n));
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

static void test_deformable_attention(void **state) {
    (void)state;
    GUARD();
    Value *in[] = {input("v", TN_F32, "b, t, 2, d"), input("g", TN_F32, "b, q, 2, 2, p, 2"),
                   input("w", TN_F32, "b, q, 2, 2*p")};
    const Expr *levels[] = {dim("h"), dim("w"), dim("2"), dim("3"), dim("1"), dim("1")};
    Node *n = ir_node(fx.g, OP_deformable_attention, 3, in), *m;
    ir_set_exprs(n, "levels", 4, levels);
    assert_string_equal(type_after(n), "f32[b, q, 2, d]");
    m = ir_node(fx.g, OP_deformable_attention, 3, in);
    ir_set_exprs(m, "levels", 6, levels);
    EXPECT_FAIL(TN_E_MODEL, "length of value and levels differ, h*w + 6 and h*w + 7", ir_insert(m));
    m = ir_node(fx.g, OP_deformable_attention, 3, in);
    ir_set_exprs(m, "levels", 3, levels);
    EXPECT_FAIL(TN_E_MODEL, "3 heights and widths of levels", ir_insert(m));
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

static Node *rotary(Value *x, Value *cos, Value *sin, int64_t width) {
    Node *n = node(OP_rotary, INPUTS(x, cos, sin));
    ir_set_int(n, "width", width);
    return n;
}

static void test_rotary(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, 4, seq, 12"), *c = input("c", TN_F32, "seq, 4"),
          *s = input("s", TN_F32, "1, 1, seq, 8"), *wide = input("w", TN_F32, "3, 1, 1, 1, 4");
    assert_string_equal(type_after(rotary(x, c, s, 8)), "f32[batch, 4, seq, 12]");
    EXPECT_FAIL(TN_E_MODEL, "width 7, wanted an even number", ir_insert(rotary(x, c, s, 7)));
    EXPECT_FAIL(TN_E_MODEL, "rotated elements: 16 > 12", ir_insert(rotary(x, c, s, 16)));
    EXPECT_FAIL(
        TN_E_MODEL,
        "operand 2 is f32[1, 1, seq, 8], no table of 4 or 2 columns for f32[batch, 4, seq, 12]",
        ir_insert(rotary(x, c, s, 4)));
    EXPECT_FAIL(TN_E_MODEL, "table and rows differ, 3 and 4",
                ir_insert(rotary(x, input("d", TN_F32, "3, 1, 4"), s, 8)));
    EXPECT_FAIL(
        TN_E_MODEL,
        "operand 1 is f32[3, 1, 1, 1, 4], no table of 8 or 4 columns for f32[batch, 4, seq, 12]",
        ir_insert(rotary(x, wide, s, 8)));
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
    assert_string_equal(
        type_after(node(OP_attention,
                        INPUTS(q, k, v, NULL, NULL, bias, input("c", TN_F32, "batch, 1, s, t")))),
        "f32[batch, s, 12, 32]");
    assert_string_equal(requirement(), "");
    Value *five = input("five", TN_F32, "batch, t, 5, 64");
    EXPECT_FAIL(TN_E_MODEL, "12 heads share 5 key heads",
                ir_insert(node(OP_attention, INPUTS(q, five, five))));
    EXPECT_FAIL(TN_E_MODEL, "head sizes of queries and keys differ, 64 and 32",
                ir_insert(node(OP_attention, INPUTS(q, v, v))));
    EXPECT_FAIL(TN_E_MODEL, "operand 3 has type f32, not bool",
                ir_insert(node(OP_attention, INPUTS(q, k, v, input("m", TN_F32, "batch, t")))));
    EXPECT_FAIL(TN_E_MODEL, "bias and scores differ, 3 and 12",
                ir_insert(node(OP_attention, INPUTS(q, k, v, NULL, NULL, NULL,
                                                    input("d", TN_F32, "1, 3, s, t")))));
    EXPECT_FAIL(TN_E_MODEL, "operands have types f32 and f16",
                ir_insert(node(OP_attention, INPUTS(q, k, ir_cast(fx.g, v, TN_F16)))));
}

static Node *packed_attention(Value *q, Value *k, const char *starts, const char *longest,
                              bool packed, Value *bias) {
    Value *s = input(starts, TN_I64, starts);
    Node *n = node(OP_attention, INPUTS(q, k, k, NULL, NULL, bias, NULL, s));
    ir_set_dim(n, "longest", dim(longest));
    ir_set_bool(n, "packed", packed);
    return n;
}

static void test_packed_attention(void **state) {
    (void)state;
    GUARD();
    Value *k = input("k", TN_F32, "1, rows, 2, 8"), *q = input("q", TN_F32, "batch, t, 4, 8"),
          *packed = input("p", TN_F32, "1, rows, 4, 8"), *b = input("b", TN_F32, "1, 4, s, s"),
          *c = input("c", TN_F32, "batch, 4, t, s");
    assert_string_equal(type_after(packed_attention(q, k, "batch + 1", "s", false, c)),
                        "f32[batch, t, 4, 8]");
    assert_string_equal(type_after(packed_attention(packed, k, "batch + 1", "s", true, b)),
                        "f32[1, rows, 4, 8]");
    EXPECT_FAIL(
        TN_E_MODEL, "batch of queries differ, 3 and 4",
        ir_insert(packed_attention(input("r", TN_F32, "3, t, 4, 8"), k, "5", "s", false, NULL)));
    EXPECT_FAIL(TN_E_MODEL, "batch of packed keys differ, 2 and 1",
                ir_insert(packed_attention(packed, input("l", TN_F32, "2, rows, 2, 8"), "4", "s",
                                           true, NULL)));
    Node *n = packed_attention(packed, k, "6", "s", true, NULL);
    ir_set_int(n, "left", 1);
    ir_set_bool(n, "band", true);
    EXPECT_FAIL(TN_E_MODEL, "a band over packed keys", ir_insert(n));
    EXPECT_FAIL(TN_E_MODEL, "longest sequence: -1 < 0",
                ir_insert(packed_attention(packed, k, "7", "-1", true, NULL)));
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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_reduce),    TEST(test_matmul),
        TEST(test_conv),      TEST(test_pool),
        TEST(test_columns),   TEST(test_resize),
        TEST(test_norm),      TEST(test_linear),
        TEST(test_rotary),    TEST(test_qkv),
        TEST(test_attention), TEST(test_packed_attention),
        TEST(test_map),       TEST(test_deformable_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
