/* Facts rules: what is known of elements before a tensor exists, on the idioms exporters write.
 * Masks: test_facts_masks.c. */
#include "tests/unit/ir/fixture.h"

static void test_sources(void **state) {
    (void)state;
    GUARD();
    Value *ids = input("ids", TN_I64, "batch, seq");
    assert_string_equal(elem_text(ids), "ids[i0, i1]");
    assert_string_equal(pred_text(input("mask", TN_BOOL, "batch, 1")), "mask[i0, 0] != 0");
    assert_string_equal(elem_text(input("x", TN_F32, "batch")), "none");

    int64_t positions[512];
    for (int i = 0; i < 512; i++) positions[i] = i;
    Value *p = ir_tensor(fx.g, "p", TN_I64, 2, (int64_t[]){1, 512}, positions);
    assert_string_equal(elem_text(p), "i1");
    assert_null(p->facts.values);

    Value *few = ints(3, (int64_t[]){4, 4, 5});
    assert_string_equal(values_text(few), "4, 4, 5");
    assert_string_equal(elem_text(few), "const[i0]");

    float f[4] = {0.5f, 32, -3, 0.1f};
    assert_string_equal(values_text(ir_tensor(fx.g, NULL, TN_F32, 1, (int64_t[]){3}, f)),
                        "1/2, 32, -3");
    assert_string_equal(values_text(ir_tensor(fx.g, NULL, TN_F32, 1, (int64_t[]){4}, f)), "none");

    Value *half = ir_scalar(fx.g, TN_F32, 0.5);
    assert_string_equal(choice_text(half), "true ? 0.5 : 0.5");
    assert_string_equal(elem_text(half), "1/2");
}

static void test_places(void **state) {
    (void)state;
    GUARD();
    int64_t places[3 * 2 * 2], dims[] = {3, 2, 2};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) {
            places[(i * 2 + j) * 2] = i;
            places[(i * 2 + j) * 2 + 1] = 4 + j;
        }
    assert_string_equal(elem_text(ir_tensor(fx.g, "t", TN_I64, 3, dims, places)),
                        "where(-i2 >= 0, i0, i1 + 4)");
    places[1] = 7;
    assert_string_equal(elem_text(ir_tensor(fx.g, "t", TN_I64, 3, dims, places)), "t[i0, i1, i2]");
}

static void test_shape_arithmetic(void **state) {
    (void)state;
    GUARD();
    Value *shape =
        ir_scalars(fx.g, TN_I64, 3, (const Expr *[]){dim("batch"), dim("seq"), num(768)});
    assert_string_equal(values_text(shape), "batch, seq, 768");
    Value *seq = ir_gather(fx.g, shape, ir_scalar_int(fx.g, TN_I64, 1), 0);
    assert_string_equal(elem_text(seq), "seq");
    Value *last = ir_gather(fx.g, shape, ir_scalar_int(fx.g, TN_I64, -1), 0);
    assert_string_equal(values_text(last), "768");
    Value *heads = ir_binary(fx.g, OP_div, last, ir_scalar_int(fx.g, TN_I64, 12));
    assert_string_equal(values_text(heads), "64");
    Value *parts[] = {ir_unsqueeze(fx.g, seq, 0), ir_unsqueeze(fx.g, heads, 0),
                      ints(1, (int64_t[]){-1})};
    Value *target = ir_concat(fx.g, 3, parts, 0);
    assert_string_equal(values_text(target), "seq, 64, -1");
    assert_string_equal(values_text(ir_slice(fx.g, target, 0, num(2), num(2), -1)), "-1, 64");
    assert_string_equal(
        values_text(ir_reduce(fx.g, OP_reduce_prod, shape, 1, (int64_t[]){0}, false)),
        "768*batch*seq");
    assert_string_equal(values_text(ir_reduce(fx.g, OP_reduce_sum, shape, 1, (int64_t[]){0}, true)),
                        "batch + seq + 768");
    assert_string_equal(values_text(ir_binary(fx.g, OP_max, seq, ir_scalar_int(fx.g, TN_I64, 0))),
                        "seq");
    Value *sum = ir_binary(fx.g, OP_add, ir_scalar_int(fx.g, TN_I64, INT64_MAX), seq);
    assert_string_equal(elem_text(sum), "value[]");
    assert_string_equal(requirements(), "");
}

/* Lengths through float casts: ceil(seq / 32). */
static void test_float_lengths(void **state) {
    (void)state;
    GUARD();
    Value *seq = ir_scalars(fx.g, TN_I64, 1, (const Expr *[]){dim("seq")});
    Value *f = ir_cast(fx.g, seq, TN_F32);
    Value *q = ir_binary(fx.g, OP_div, f, ir_scalar(fx.g, TN_F32, 32));
    Value *up = ir_cast(fx.g, ir_unary(fx.g, OP_ceil, q), TN_I64);
    assert_ptr_equal(up->facts.values[0], ex_ceildiv(fx.x, dim("seq"), num(32)));
    Value *down = ir_cast(fx.g, q, TN_I64);
    assert_ptr_equal(down->facts.values[0], ex_floordiv(fx.x, dim("seq"), num(32)));
    Value *half = ir_binary(fx.g, OP_mul, f, ir_scalar(fx.g, TN_F32, 0.5));
    assert_string_equal(values_text(ir_unary(fx.g, OP_floor, half)), "seq//2");
    Value *inexact = ir_binary(fx.g, OP_mul, f, ir_scalar(fx.g, TN_F32, 0.1));
    assert_null(inexact->facts.values);
}

static void test_integer_division(void **state) {
    (void)state;
    GUARD();
    Value *n = ir_scalars(fx.g, TN_I64, 1, (const Expr *[]){dim("n - 3")});
    Value *two = ir_scalar_int(fx.g, TN_I64, 2);
    Value *q = ir_binary(fx.g, OP_div, n, two);
    assert_string_equal(values_text(q), "(n + 1)//2 - 2");
    assert_string_equal(requirements(), "3 <= n");
    Value *minus = ir_scalars(fx.g, TN_I64, 1, (const Expr *[]){dim("0 - n")});
    assert_string_equal(values_text(ir_binary(fx.g, OP_div, minus, two)), "-(n//2)");
    Value *odd = ir_binary(fx.g, OP_div, ir_scalar_int(fx.g, TN_I64, -7), two);
    assert_string_equal(values_text(odd), "-3");
    Value *zero = ir_binary(fx.g, OP_div, n, ir_scalar_int(fx.g, TN_I64, 0));
    assert_string_equal(values_text(zero), "value[0]");
    Value *data = ir_binary(fx.g, OP_div, input("a", TN_I64, "n"), ir_scalar_int(fx.g, TN_I64, -2));
    assert_string_equal(elem_text(data), "-trunc(1/2*a[i0])");
    assert_string_equal(elem_text(ir_binary(fx.g, OP_mod, input("a", TN_I64, "n"), two)),
                        "a[i0] % 2");
}

/* What the TorchScript exporter makes of expand: Where(Equal(shape, ones * -1), ones, shape). */
static void test_expand_idiom(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *shape =
        ir_scalars(g, TN_I64, 4, (const Expr *[]){dim("batch"), num(1), dim("seq"), dim("seq")});
    const Expr *four = num(4);
    Value *ones = ir_splat(g, TN_I64, 1, &four, 1);
    Value *minus = ir_binary(g, OP_mul, ones, ir_scalar_int(g, TN_I64, -1));
    Value *equal = ir_binary(g, OP_eq, shape, minus);
    assert_string_equal(values_text(equal), "0, 0, 0, 0");
    assert_string_equal(pred_text(equal), "false");
    assert_string_equal(values_text(ir_where(g, equal, ones, shape)), "batch, 1, seq, seq");
}

static void test_moves(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *x = input("x", TN_I64, "a, b, 3");
    assert_string_equal(elem_text(ir_transpose(g, x, (int[]){2, 0, 1})), "x[i1, i2, i0]");
    assert_string_equal(elem_text(ir_slice(g, x, 2, num(2), num(3), -1)), "x[i0, i1, -i2 + 2]");
    Value *one = ir_gather(g, x, ir_scalar_int(g, TN_I64, -1), 1);
    assert_string_equal(elem_text(one), "x[i0, b - 1, i1]");
    Value *y = ir_concat(g, 2, (Value *[]){x, input("y", TN_I64, "a, c, 3")}, 1);
    assert_string_equal(elem_text(y), "where(b - i1 - 1 >= 0, x[i0, i1, i2], y[i0, -b + i1, i2])");
    Value *data = ir_gather(g, x, input("ids", TN_I64, "n"), 0);
    assert_string_equal(elem_text(data), "value[i0, i1, i2]");
    Node *pad = ir_node(g, OP_pad, 1, &x);
    ir_set_dims(pad, "before", 3, (const Expr *[]){num(0), num(1), num(0)});
    ir_set_dims(pad, "after", 3, (const Expr *[]){num(0), num(0), num(0)});
    assert_string_equal(elem_text(ir_insert(pad)), "where(i1 - 1 >= 0, x[i0, i1 - 1, i2], 0)");
    Value *table = ir_tensor(g, "t", TN_I64, 2, (int64_t[]){2, 2}, (int64_t[]){7, 1, 2, 9});
    assert_string_equal(values_text(ir_transpose(g, table, (int[]){1, 0})), "7, 2, 1, 9");
    const Expr *dims[] = {num(2), num(2), num(2)};
    assert_string_equal(values_text(ir_expand(g, table, 3, dims)), "7, 1, 2, 9, 7, 1, 2, 9");
}

static void test_narrow_types(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *x = input("x", TN_I64, "n");
    assert_string_equal(elem_text(ir_cast(g, x, TN_U8)), "value[i0]");
    Value *bit = ir_cast(g, ir_cast(g, x, TN_BOOL), TN_U8);
    assert_string_equal(elem_text(bit), "bit(x[i0] != 0)");
    assert_string_equal(elem_text(ir_cast(g, input("b", TN_U8, "n"), TN_I32)), "b[i0]");
    Value *v = ir_binary(g, OP_add, ir_scalar_int(g, TN_U8, 200), ir_scalar_int(g, TN_U8, 100));
    assert_string_equal(elem_text(v), "value[]");
    Value *wide = ir_cast(g, ir_scalar_int(g, TN_I64, 2049), TN_F16);
    assert_string_equal(values_text(wide), "none");
}

static void test_growth_is_cut(void **state) {
    (void)state;
    GUARD();
    Value *v = input("x", TN_I64, "n");
    for (int i = 0; i < 12; i++) {
        Value *sum = ir_binary(fx.g, OP_add, v, input("y", TN_I64, "n"));
        v = ir_binary(fx.g, OP_max, ir_binary(fx.g, OP_mul, v, v), sum);
        assert_true(ex_size(v->facts.elem) <= 200);
    }
}

/* Graphs on which facts of data were once wrong: a quotient x / x is not 1 where x is 0. */
static void test_division_by_data(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_I64, "n"), *f = ir_cast(fx.g, x, TN_F32);
    assert_string_equal(elem_text(ir_binary(fx.g, OP_div, x, x)), "value[i0]");
    assert_string_equal(elem_text(ir_binary(fx.g, OP_mod, x, x)), "value[i0]");
    assert_string_equal(elem_text(ir_binary(fx.g, OP_div, f, f)), "none");
    Value *n = ir_scalars(fx.g, TN_I64, 1, (const Expr *[]){dim("n")});
    Value *twice = ir_binary(fx.g, OP_add, n, n);
    assert_string_equal(values_text(ir_binary(fx.g, OP_div, twice, n)), "2");
    assert_string_equal(requirements(), "1 <= n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sources),
        TEST(test_places),
        TEST(test_shape_arithmetic),
        TEST(test_float_lengths),
        TEST(test_integer_division),
        TEST(test_expand_idiom),
        TEST(test_moves),
        TEST(test_narrow_types),
        TEST(test_growth_is_cut),
        TEST(test_division_by_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
