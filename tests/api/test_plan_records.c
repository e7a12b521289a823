/* Opening plans whose bytes are whole but whose records are wrong: tables, instructions, types. */
#include "tests/api/opened_plan.h"

static void tables(void **state) {
    (void)state;
    PlanExpr *exprs = records(TN_SECTION_EXPRS);
    uint32_t mul = 0;
    while (exprs[mul].op != TN_EXPR_MUL) mul++;
    char text[200];
    PlanExpr saved = exprs[mul];
    exprs[mul].a = mul;
    snprintf(text, sizeof text, "expression %u refers to %u and %u, not both lower", mul, mul,
             exprs[mul].b);
    expect_after_rehash(TENON_E_INVALID, text);
    exprs[mul] = saved;
    exprs[mul].op = 77;
    snprintf(text, sizeof text, "expression %u: operator 77", mul);
    expect_after_rehash(TENON_E_INVALID, text);
    exprs[mul] = saved;
    PlanSymbol *symbol = records(TN_SECTION_SYMBOLS);
    symbol->min = -1;
    expect_after_rehash(TENON_E_INVALID, "symbol 'batch': range -1..64");
    symbol->min = 1;
    symbol->kind = TN_SYMBOL_DERIVED;
    expect_after_rehash(TENON_E_INVALID, "symbol 'batch': kind 2 is not supported");
    symbol->kind = TN_SYMBOL_INPUT;
    symbol->name = 1u << 30;
    expect_after_rehash(TENON_E_INVALID, "symbol 0: name outside STRINGS");
    symbol->name = 0;
    char *end = (char *)records(TN_SECTION_STRINGS) + section(TN_SECTION_STRINGS)->bytes - 1;
    *end = 'x';
    expect_after_rehash(TENON_E_INVALID, "STRINGS does not end in NUL");
    *end = 0;
    PlanConstant *c = records(TN_SECTION_CONSTANTS);
    c->dims[0] = 11;
    expect_after_rehash(TENON_E_INVALID, "constant 'table': 320 bytes; its dims need 352");
    c->dims[0] = INT64_MAX;
    expect_after_rehash(TENON_E_INVALID, "constant 'table': bad dims, rank 2 or layout 0");
    c->dims[0] = TINY_ROWS;
    c->offset = (uint64_t)1 << 40;
    plan_rehash(bytes, size);
    assert_int_equal(open_bytes(bytes, size), TENON_E_INVALID);
    c->offset = 0;
    PlanValue *v = records(TN_SECTION_VALUES), dense = *v;
    v->instruction = 6;
    expect_after_rehash(TENON_E_INVALID, "value 0: id outside its table");
    *v = dense;
    v->view = 1u << 20;
    expect_after_rehash(TENON_E_INVALID, "value 0: id outside its table");
    *v = dense;
    v->name = 1u << 30;
    expect_after_rehash(TENON_E_INVALID, "value 0: id outside its table");
    *v = dense;
    v->instruction = 4;
    expect_after_rehash(TENON_E_INVALID, "value 1 does not follow the one before it");
    *v = dense;
    PlanFunction *f = records(TN_SECTION_FUNCTIONS);
    f[1].first_buffer = f[0].first_buffer;
    expect_after_rehash(
        TENON_E_INVALID,
        "function 'double': ports, buffers or instructions outside their tables or shared");
}

static PlanInstruction *instruction(int i) {
    return (PlanInstruction *)records(TN_SECTION_INSTRUCTIONS) + i;
}

static uint32_t *operand(int i, int k) {
    return (uint32_t *)records(TN_SECTION_IDS) + instruction(i)->operands + k;
}

static void *params(int i) {
    return (unsigned char *)records(TN_SECTION_PARAMS) + instruction(i)->params;
}

static void instructions(void **state) {
    (void)state;
    PlanInstruction saved = *instruction(2);
    instruction(2)->opcode = 999;
    expect_after_rehash(TENON_E_INVALID, "function 'main': instruction 2: opcode 999 is unknown");
    assert_int_equal(err.instruction, 2);
    assert_string_equal(err.node, "/dense");
    *instruction(2) = saved;
    instruction(2)->inputs = 5;
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 2: gemm with 5 inputs and 1 outputs");
    *instruction(2) = saved;
    instruction(2)->params_bytes = 16;
    expect_after_rehash(
        TENON_E_INVALID,
        "function 'main': instruction 2: gemm: 16 bytes of parameters; this library knows 8");
    instruction(2)->params_bytes = 0; /* written by an older version: zeros follow */
    plan_rehash(bytes, size);
    assert_int_equal(open_bytes(bytes, size), TENON_OK);
    *instruction(2) = saved;
    uint32_t a = *operand(2, 0);
    *operand(2, 0) = *operand(3, 0); /* what gemm itself will write */
    expect_after_rehash(
        TENON_E_INVALID,
        "function 'main': instruction 2: gemm: operand 0 is read before it is written");
    *operand(2, 0) = TN_NO_ID;
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 2: gemm: operand 0 is missing");
    *operand(2, 0) = *operand(0, 1);
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 2: gemm: operand 0 cannot be i64");
    *operand(2, 0) = *operand(2, 1);
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 2: gemm: operand 0 cannot be f32 in panels");
    *operand(2, 0) = a;
    uint32_t y = *operand(2, 3);
    *operand(2, 3) = *operand(2, 2);
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 2: gemm: writes an input or a constant");
    *operand(2, 3) = *operand(5, 1);
    expect_after_rehash(
        TENON_E_INVALID,
        "function 'main': instruction 2: gemm: operand 3 views a buffer of another function");
    *operand(2, 3) = y;
    ((ParamsGemm *)params(2))->activation = 50;
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 2: activation 50, flags 0x0");
    ((ParamsGemm *)params(2))->activation = 0;
    ((ParamsGather *)params(0))->axis = 2;
    expect_after_rehash(TENON_E_INVALID, "function 'main': instruction 0: axis 2 of rank 2");
    ((ParamsGather *)params(0))->axis = 0;
    ParamsMap *map = params(3);
    map->step[0].args[1] = 2;
    expect_after_rehash(TENON_E_INVALID, "function 'main': instruction 3: map: step 0: operand 1 "
                                         "is register 2, not defined or of another type");
    map->steps = 49;
    expect_after_rehash(TENON_E_INVALID,
                        "function 'main': instruction 3: map: 49 steps; 1 to 48 are allowed");
}

static tenon_status open_copy(uint32_t stream) {
    PlanBuilder builder = {0}, *b = &builder;
    uint32_t two = pb_const(b, 2);
    size_t length;
    pb_begin(b, "main");
    uint32_t x = pb_input(b, "x", TN_F32, 1, &two, TN_DEFAULT_NONE),
             y = pb_output(b, "y", TN_F32, 1, &two);
    ParamsCopy p = {.stream = stream};
    pb_instruction(b, TN_OP_copy, 1, &x, 1, &y, &p, sizeof p, NULL, 0, "copy");
    pb_end(b);
    unsigned char *plan = pb_finish(b, &length);
    tenon_status status = open_bytes(plan, length);
    free(plan);
    return status;
}

static void copies(void **state) {
    (void)state;
    assert_int_equal(open_copy(1), TENON_OK);
    assert_int_equal(open_copy(2), TENON_E_INVALID);
    assert_string_equal(err.text, "plan in memory: function 'main': instruction 0: stream 2");
}

/* The determinant of one matrix of this type. */
static tenon_status open_determinant(TnDType t) {
    PlanBuilder builder = {0}, *b = &builder;
    uint32_t two = pb_const(b, 2), dims[] = {two, two};
    size_t length;
    pb_begin(b, "main");
    uint32_t x = pb_input(b, "x", t, 2, dims, TN_DEFAULT_NONE), y = pb_output(b, "y", t, 0, NULL);
    pb_instruction(b, TN_OP_det, 1, &x, 1, &y, NULL, 0, NULL, 0, "det");
    pb_end(b);
    unsigned char *plan = pb_finish(b, &length);
    tenon_status status = open_bytes(plan, length);
    free(plan);
    return status;
}

/* An instruction of f32 and f64 takes no other type, which its kernel would read as f32. */
static void types_of_wide_floats(void **state) {
    (void)state;
    for (TnDType t = TN_F32; t < TN_DTYPE_COUNT; t++) {
        bool wide = t == TN_F32 || t == TN_F64;
        assert_int_equal(open_determinant(t), wide ? TENON_OK : TENON_E_INVALID);
        if (!wide) assert_non_null(strstr(err.text, "det: operand 0 cannot be "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tables),
        TEST(instructions),
        TEST(copies),
        TEST(types_of_wide_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
