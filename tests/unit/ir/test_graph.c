/* Graph edits: use lists, results, order, origins; attributes; constants and their elements. */
#include "tests/unit/ir/fixture.h"

#include <math.h>

/* What graph.c promises of every value and node. */
static void check_value(const Value *v) {
    for (int i = 0; i < v->use_count; i++) {
        Use u = v->uses[i];
        assert_false(u.node->removed);
        assert_ptr_equal(u.node->inputs[u.index], v);
        assert_int_equal(u.node->use_slots[u.index], i);
    }
}

static void check_graph(const Graph *g) {
    int count = 0, results = 0;
    const Node *prev = NULL;
    for (const Node *n = g->first; n; prev = n, n = n->next) {
        assert_ptr_equal(n->prev, prev);
        assert_false(n->removed);
        count++;
        for (int i = 0; i < n->output_count; i++) check_value(n->outputs[i]);
        for (int i = 0; i < n->input_count; i++) {
            if (!n->inputs[i]) continue;
            Use u = n->inputs[i]->uses[n->use_slots[i]];
            assert_ptr_equal(u.node, n);
            assert_int_equal(u.index, i);
            check_value(n->inputs[i]);
        }
        for (int i = 0; i < n->output_count; i++) results += n->outputs[i]->output_uses;
    }
    assert_ptr_equal(g->last, prev);
    assert_int_equal(g->node_count, count);
    assert_true(results <= g->output_count);
}

static void test_build(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "batch, 4");
    Value *y = ir_unary(fx.g, OP_exp, x);
    Value *z = ir_binary(fx.g, OP_mul, y, y);
    ir_output(fx.g, "z", z);
    check_graph(fx.g);
    assert_int_equal(y->use_count, 2);
    assert_true(ir_is_output(z) && !ir_is_output(y));
    assert_false(ir_single_use(y));
    assert_true(ir_single_use(x));
    assert_false(ir_single_use(z));
    assert_string_equal(type_of(z), "f32[batch, 4]");
    assert_ptr_equal(fx.g->first, y->node);
    assert_ptr_equal(z->node->prev, y->node);
}

static void test_replace(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *x = input("x", TN_F32, "4"), *w = input("w", TN_F32, "4");
    Value *a = ir_unary(g, OP_exp, x);
    Value *b = ir_binary(g, OP_add, a, a), *c = ir_binary(g, OP_sub, w, a);
    ir_output(g, "a", a);
    ir_output(g, "c", c);
    ir_output(g, "again", a);
    assert_int_equal(a->output_uses, 2);
    ir_replace(a, w);
    check_graph(g);
    assert_int_equal(a->use_count, 0);
    assert_int_equal(w->use_count, 4);
    assert_int_equal(w->output_uses, 2);
    assert_ptr_equal(b->node->inputs[1], w);
    assert_ptr_equal(g->outputs[0], w);
    assert_ptr_equal(g->outputs[2], w);
    assert_string_equal(g->output_names[2], "again");
    assert_ptr_equal(ir_resolve(a), w);
    ir_remove(a->node);
    check_graph(g);
    assert_int_equal(x->use_count, 0);
    ir_remove(b->node);
    check_graph(g);
    ir_set_output(g, 1, w);
    ir_set_operand(c->node, 1, x);
    check_graph(g);
    assert_int_equal(w->use_count, 1);
    assert_int_equal(w->output_uses, 3);
}

static void test_order(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *x = input("x", TN_F32, "4");
    Value *a = ir_unary(g, OP_exp, x), *b = ir_unary(g, OP_log, x), *c = ir_unary(g, OP_erf, x);
    g->cursor = b->node;
    Value *d = ir_unary(g, OP_sin, x);
    assert_ptr_equal(a->node->next, d->node);
    assert_ptr_equal(d->node->next, b->node);
    ir_move_before(c->node, a->node);
    assert_ptr_equal(g->first, c->node);
    check_graph(g);
    ir_remove(b->node); /* the cursor moves on: to the end */
    assert_null(g->cursor);
    check_graph(g);
    Value *e = ir_unary(g, OP_cos, x);
    assert_ptr_equal(g->last, e->node);
    ir_move_before(c->node, NULL);
    assert_ptr_equal(g->last, c->node);
    check_graph(g);
}

static void test_loop_survives_removal(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "4");
    for (int i = 0; i < 6; i++) ir_unary(fx.g, OP_exp, x);
    int seen = 0;
    IR_FOR_NODES(n, fx.g) {
        if (n->removed) continue;
        seen++;
        if (n->next) ir_remove(n->next);
    }
    assert_int_equal(seen, 3);
    assert_int_equal(fx.g->node_count, 3);
    check_graph(fx.g);
}

/* A value with very many uses: dropping one takes constant time. */
static void test_many_uses(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "4");
    enum { N = 5000 };
    for (int i = 0; i < N; i++) ir_binary(fx.g, OP_add, x, x);
    assert_int_equal(x->use_count, 2 * N);
    IR_FOR_NODES(n, fx.g) if (n->id % 2) ir_remove(n);
    check_graph(fx.g);
    assert_int_equal(x->use_count, N);
}

static void test_origins(void **state) {
    (void)state;
    GUARD();
    Graph *g = fx.g;
    Value *x = input("x", TN_F32, "4");
    Node *nodes[3];
    const char *names[] = {"one", "two", "one"};
    for (int i = 0; i < 3; i++) {
        g->origin = names[i];
        nodes[i] = ir_unary(g, OP_exp, x)->node;
    }
    ir_origins_from(g, nodes, 3);
    Node *fused = ir_unary(g, OP_log, x)->node;
    assert_int_equal(fused->origin_count, 2);
    assert_string_equal(fused->origins[0], "one");
    assert_string_equal(fused->origins[1], "two");
    g->origin = NULL;
    ir_origins_from(g, NULL, 0);
    assert_int_equal(ir_unary(g, OP_log, x)->node->origin_count, 0);
}

static void test_modules(void **state) {
    (void)state;
    GUARD();
    Graph *second = ir_graph_new(fx.m, "second"), *third = ir_graph_new(fx.m, "third");
    Graph *again = ir_graph_replace(fx.m, second);
    assert_ptr_equal(fx.m->graphs->next, again);
    assert_ptr_equal(again->next, third);
    assert_string_equal(again->name, "second");
    again = ir_graph_replace(fx.m, third);
    assert_ptr_equal(fx.m->last_graph, again);
    ir_set_meta(fx.m, "a", "1");
    ir_set_meta(fx.m, "b", "2");
    ir_set_meta(fx.m, "a", "3");
    assert_string_equal(fx.m->meta->value, "3");
    assert_string_equal(fx.m->meta->next->value, "2");
    assert_null(fx.m->meta->next->next);
}

static void test_attributes(void **state) {
    (void)state;
    GUARD();
    Value *x = input("x", TN_F32, "4, 4");
    Node *n = ir_node(fx.g, OP_attention, 3, (Value *[]){x, x, x});
    assert_true(attr_float(n, "scale") == 1);
    assert_true(attr_float(n, "mask_value") == -3.4028234663852886e38);
    assert_int_equal(attr_int(n, "left"), -1);
    assert_ptr_equal(attr_dim(n, "offset"), num(0));
    assert_string_equal(attr_string(n, "mode"), "add");
    ir_set_string(n, "mode", "select");
    assert_string_equal(attr_string(n, "mode"), "select");
    EXPECT_FAIL(TN_E_MODEL, "attribute 'mode' cannot be 'sum'; it is one of add|select",
                ir_set_string(n, "mode", "sum"));
    int count = ir_attr_count(OP_attention), equal = 0;
    for (int i = 0; i < count; i++)
        equal +=
            ir_attr_equal(OP_attention, i, &n->attrs[i], &ir_attr_info(OP_attention, i)->value);
    assert_int_equal(equal, count - 1);

    EXPECT_FAIL(TN_E_MODEL, "attribute 'axis' of concat is missing",
                ir_insert(ir_node(fx.g, OP_concat, 1, &x)));
    EXPECT_FAIL(TN_E_MODEL, "attribute 'perm' of transpose is missing",
                ir_insert(ir_node(fx.g, OP_transpose, 1, &x)));
    EXPECT_FAIL(TN_E_MODEL, "add cannot have 1 operands", ir_insert(ir_node(fx.g, OP_add, 1, &x)));
    EXPECT_FAIL(TN_E_MODEL, "operand 1 of add is missing",
                ir_insert(ir_node(fx.g, OP_add, 2, (Value *[]){x, NULL})));
    const Expr *many[9];
    for (int i = 0; i < 9; i++) many[i] = num(1);
    EXPECT_FAIL(TN_E_LIMIT, "attribute 'dims' has 9 entries, at most 8", ir_view(fx.g, x, 9, many));
}

/* Every row's attribute text parses, and defaults are what a new node has. */
static void test_attribute_table(void **state) {
    (void)state;
    GUARD();
    for (int op = 0; op < OP_COUNT; op++) {
        assert_int_equal(ir_op_find(ir_op_info((OpKind)op)->name), op);
        Node *n = ir_node(fx.g, (OpKind)op, 0, NULL);
        for (int i = 0; i < ir_attr_count((OpKind)op); i++) {
            const AttrInfo *a = ir_attr_info((OpKind)op, i);
            assert_non_null(strchr("ifbtsdDIEmg", a->kind));
            assert_true(ir_attr_equal((OpKind)op, i, &n->attrs[i], &a->value));
            assert_true((a->kind == 's') == (a->words != NULL));
        }
    }
    assert_int_equal(ir_op_find("no_such"), OP_COUNT);
}

static void test_constants(void **state) {
    (void)state;
    GUARD();
    float data[] = {1, 2, 3, 4};
    int64_t dims[] = {2, 2}, flat[] = {4};
    Constant *c = ir_constant_new(fx.m, "w", TN_F32, 2, dims, data);
    Value *v = ir_constant(fx.g, c);
    assert_ptr_equal(ir_constant(fx.g, c), v);
    assert_string_equal(type_of(v), "f32[2, 2]");
    Constant *same = ir_constant_new(fx.m, "u", TN_F32, 2, dims, data);
    Constant *other = ir_constant_new(fx.m, "u", TN_F32, 1, flat, data);
    assert_true(ir_constant_hash(c) == ir_constant_hash(same));
    assert_true(ir_constant_hash(c) != ir_constant_hash(other));
    Graph *second = ir_graph_new(fx.m, "second");
    assert_ptr_not_equal(ir_constant(second, c), v);

    double x = 0;
    int64_t i = 0;
    assert_false(ir_constant_float(v, &x));
    assert_true(ir_constant_float(ir_scalar(fx.g, TN_F32, 0.1), &x) && x == (double)0.1f);
    assert_true(ir_constant_int(ir_scalar_int(fx.g, TN_I32, -7), &i) && i == -7);
    assert_true(ir_constant_int(ir_scalar_int(fx.g, TN_BOOL, 1), &i) && i == 1);
    assert_true(ir_constant_float(ir_scalar_int(fx.g, TN_I64, 3), &x) && x == 3);
    const Expr *d = dim("batch");
    assert_true(ir_constant_float(ir_splat(fx.g, TN_F16, 1, &d, 0.5), &x) && x == 0.5);
    assert_true(ir_constant_int(ir_scalar_int(fx.g, TN_I64, INT64_MAX), &i) && i == INT64_MAX);
    EXPECT_FAIL(TN_E_MODEL, "a constant whose dimensions are negative or overflow",
                ir_constant_new(fx.m, "c", TN_F32, 1, (int64_t[]){-1}, data));
}

/* Reference: the nearest of all 2^16 numbers, the even one if two are as near. */
static uint16_t nearest(TnDType t, double v) {
    int best = -1;
    double distance = INFINITY;
    for (int bits = 0; bits < 0x10000; bits++) {
        uint16_t b = (uint16_t)bits;
        double d = fabs(ir_element_f64(t, &b, 0) - v);
        if (!(d < distance) && !(d == distance && (bits & 1) == 0 && (best & 1))) continue;
        best = bits;
        distance = d;
    }
    return (uint16_t)best;
}

static void test_half_rounding(void **state) {
    (void)state;
    static const double samples[] = {0.1,
                                     1.0 / 3,
                                     2049,
                                     2051,
                                     65504,
                                     65519,
                                     1e-7,
                                     5.9e-8,
                                     3.0e-8,
                                     6.1e-5,
                                     1e-5,
                                     -0.3333,
                                     1.0009765625 + 0.00048828125,
                                     1023.75,
                                     3e38};
    static const TnDType types[] = {TN_F16, TN_BF16};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
            if (types[k] == TN_F16 && samples[i] > 65520) continue;
            uint16_t bits;
            ir_store_f64(types[k], &bits, 0, samples[i]);
            assert_int_equal(bits, nearest(types[k], samples[i]));
        }
    for (int k = 0; k < 2; k++) /* every number is its own rounding */
        for (int b = 0; b < 0x10000; b++) {
            uint16_t in = (uint16_t)b, out;
            double v = ir_element_f64(types[k], &in, 0);
            ir_store_f64(types[k], &out, 0, v);
            if (!isnan(v)) assert_int_equal(in, out);
        }
    uint16_t bits;
    ir_store_f64(TN_F16, &bits, 0, 65520);
    assert_int_equal(bits, 0x7c00);
    ir_store_f64(TN_F16, &bits, 0, -1e300);
    assert_int_equal(bits, 0xfc00);
    ir_store_f64(TN_F16, &bits, 0, NAN);
    assert_true(isnan(ir_element_f64(TN_F16, &bits, 0)));
}

static void test_elements(void **state) {
    (void)state;
    char data[24];
    for (TnDType t = TN_F32; t < TN_DTYPE_COUNT; t++) {
        char *unaligned = data + 1;
        ir_store_f64(t, unaligned, 1, 1);
        ir_store_i64(t, unaligned, 0, 1);
        assert_true(ir_element_f64(t, unaligned, 0) == 1);
        assert_true(ir_element_f64(t, unaligned, 1) == 1);
    }
    ir_store_f64(TN_I8, data, 0, 1000);
    assert_int_equal(ir_element_i64(TN_I8, data, 0), 127);
    ir_store_f64(TN_I8, data, 0, -1000);
    assert_int_equal(ir_element_i64(TN_I8, data, 0), -128);
    ir_store_i64(TN_I8, data, 0, 200);
    assert_int_equal(ir_element_i64(TN_I8, data, 0), -56);
    ir_store_f64(TN_U16, data, 0, -2);
    assert_int_equal(ir_element_i64(TN_U16, data, 0), 0);
    ir_store_f64(TN_I64, data, 0, 1e300);
    assert_true(ir_element_i64(TN_I64, data, 0) == INT64_MAX);
    ir_store_f64(TN_U64, data, 0, 1e19);
    assert_true(ir_element_f64(TN_U64, data, 0) == 1e19);
    ir_store_f64(TN_I32, data, 0, -2.9);
    assert_int_equal(ir_element_i64(TN_I32, data, 0), -2);
    ir_store_f64(TN_I32, data, 0, NAN);
    assert_int_equal(ir_element_i64(TN_I32, data, 0), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_build),           TEST(test_replace),
        TEST(test_order),           TEST(test_loop_survives_removal),
        TEST(test_many_uses),       TEST(test_origins),
        TEST(test_modules),         TEST(test_attributes),
        TEST(test_attribute_table), TEST(test_constants),
        TEST(test_half_rounding),   TEST(test_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
