/* Opening plans: every kind of damaged or foreign file gets its error text; valid variants open. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_plan.h"

static unsigned char *bytes;
static size_t size;
static tenon_error err;

static int set_up(void **state) {
    (void)state;
    bytes = tiny_plan(8, 4, &size);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(bytes);
    return 0;
}

static tenon_status open_bytes(const void *data, size_t n) {
    tenon_plan *plan = NULL;
    tenon_status status = tenon_plan_open_memory(data, n, NULL, &plan, &err);
    assert_true((status == TENON_OK) == (plan != NULL));
    if (status) assert_int_equal(err.code, status);
    tenon_plan_close(plan);
    return status;
}

static void expect(tenon_status status, const char *text) {
    assert_int_equal(open_bytes(bytes, size), status);
    char wanted[600];
    snprintf(wanted, sizeof wanted, "plan in memory: %s", text);
    assert_string_equal(err.text, wanted);
}

static PlanSection *section(uint32_t kind) {
    PlanSection *s = plan_sections(bytes);
    while (s->kind != kind) s++;
    return s;
}

static void *records(uint32_t kind) {
    return bytes + section(kind)->offset;
}

static void expect_after_rehash(tenon_status status, const char *text) {
    plan_rehash(bytes, size);
    expect(status, text);
}

static tenon_status open_file(const char *name, int read_into_memory) {
    tenon_plan *plan = NULL;
    tenon_plan_options o = {.struct_size = sizeof o, .read_into_memory = read_into_memory};
    tenon_status status = tenon_plan_open(name, &o, &plan, &err);
    tenon_plan_close(plan);
    return status;
}

static void opens_files(void **state) {
    (void)state;
    write_file("m.plan", bytes, size);
    assert_int_equal(open_file("m.plan", 0), TENON_OK);
    assert_int_equal(open_file("m.plan", 1), TENON_OK);
    assert_int_equal(open_file("none.plan", 0), TENON_E_IO);
    assert_string_equal(err.text, "'none.plan': No such file or directory");
    assert_int_equal(open_file(".", 0), TENON_E_IO);
    assert_string_equal(err.text, "'.': a folder, not a file");
    assert_int_equal(open_file("/dev/zero", 0), TENON_E_IO);
    assert_string_equal(err.text, "'/dev/zero': not a regular file");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(open_file("fifo", 0), TENON_E_IO);
    assert_string_equal(err.text, "'fifo': not a regular file");
    write_file("empty.plan", "", 0);
    assert_int_equal(open_file("empty.plan", 0), TENON_E_FORMAT);
    assert_string_equal(err.text, "'empty.plan': not a Tenon plan but empty");
    write_file("page.plan", "<!DOCTYPE html><html>", 21);
    assert_int_equal(open_file("page.plan", 0), TENON_E_FORMAT);
    assert_string_equal(err.text, "'page.plan': not a Tenon plan but HTML");
    write_file("zip.plan", "PK\3\4aaaaaaaaaaaa", 16);
    assert_int_equal(open_file("zip.plan", 1), TENON_E_FORMAT);
    assert_string_equal(err.text,
                        "'zip.plan': not a Tenon plan but a zip archive (PyTorch checkpoint?)");
    write_file("text.plan", "TENON\n\x1a rest", 11);
    assert_int_equal(open_file("text.plan", 0), TENON_E_FORMAT);
    assert_string_equal(err.text, "'text.plan': the first bytes are those of a plan that was "
                                  "truncated or copied in text mode");
    scratch_empty();
}

static void bad_arguments(void **state) {
    (void)state;
    tenon_plan *plan = NULL;
    assert_int_equal(tenon_plan_open(NULL, NULL, &plan, &err), TENON_E_ARGUMENT);
    assert_int_equal(tenon_plan_open("x", NULL, NULL, NULL), TENON_E_ARGUMENT);
    assert_int_equal(tenon_plan_open_memory(bytes + 8, size - 8, NULL, &plan, &err),
                     TENON_E_ARGUMENT);
    assert_string_equal(err.text, "the bytes must start at a multiple of 64");
    tenon_plan_options o = {.struct_size = sizeof o, .isa = (tenon_isa)9};
    assert_int_equal(tenon_plan_open_memory(bytes, size, &o, &plan, &err), TENON_E_ARGUMENT);
    assert_string_equal(err.text, "isa 9 is unknown");
    o = (tenon_plan_options){0};
    assert_int_equal(tenon_plan_open_memory(bytes, size, &o, &plan, &err), TENON_E_ARGUMENT);
    assert_string_equal(err.text, "struct_size of the plan options is 0");
    assert_null(plan);
}

static void truncation_and_growth(void **state) {
    (void)state;
    unsigned char *copy = aligned_alloc(64, (size + 128) / 64 * 64);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut =
            aligned_alloc(64, n / 64 * 64 + 64); /* so that reads past the cut are seen */
        memcpy(cut + 0, bytes, n);
        assert_int_not_equal(open_bytes(cut, n), TENON_OK);
        free(cut);
    }
    memcpy(copy, bytes, size);
    copy[size] = 0;
    assert_int_equal(open_bytes(copy, size + 1), TENON_E_CORRUPT);
    free(copy);
    char text[200];
    snprintf(text, sizeof text, "plan in memory: the file has %zu bytes, its header says %zu",
             size - 1, size);
    open_bytes(bytes, size - 1);
    assert_string_equal(err.text, text);
}

/* Any flipped bit of the header, the table or the program is noticed without any help from the
 * verifier. */
static void flipped_bits(void **state) {
    (void)state;
    const PlanSection *weights = section(TN_SECTION_WEIGHTS);
    size_t table_end =
        sizeof(PlanHeader) + ((PlanHeader *)bytes)->section_count * sizeof(PlanSection);
    for (size_t i = 0; i < size; i++) {
        bool hashed = i < table_end;
        for (const PlanSection *s = plan_sections(bytes); (unsigned char *)s < bytes + table_end;
             s++)
            hashed = hashed || (s != weights && i >= s->offset && i < s->offset + s->bytes);
        for (int bit = 0; bit < 8 && hashed; bit++) {
            bytes[i] ^= (unsigned char)(1 << bit);
            if (open_bytes(bytes, size) == TENON_OK) fail_msg("bit %d of byte %zu", bit, i);
            bytes[i] ^= (unsigned char)(1 << bit);
        }
    }
    assert_int_equal(open_bytes(bytes, size), TENON_OK);
    ((unsigned char *)records(TN_SECTION_EXPRS))[3] ^= 1;
    open_bytes(bytes, size);
    assert_true(strncmp(err.text, "plan in memory: section EXPRS: checksum 0x", 42) == 0);
    assert_non_null(strstr(err.text, " but contents give 0x"));
}

static void versions(void **state) {
    (void)state;
    PlanHeader *h = (PlanHeader *)bytes;
    h->major = 2;
    expect(TENON_E_VERSION, "plan version 2.0; this library reads up to 1.0");
    h->major = 0;
    h->minor = 9;
    expect(TENON_E_VERSION, "plan version 0.9; this library reads from 1.0");
    h->major = 1;
    plan_rehash(bytes, size);
    assert_int_equal(open_bytes(bytes, size), TENON_OK); /* a newer minor */
    h->optional = 4;
    plan_rehash(bytes, size);
    assert_int_equal(open_bytes(bytes, size), TENON_OK);
    h->required = 2;
    expect_after_rehash(TENON_E_VERSION, "the plan needs features 0x2 that this library lacks");
    h->required = 0;
    section(TN_SECTION_METADATA)->kind = 99;
    plan_rehash(bytes, size);
    assert_int_equal(open_bytes(bytes, size), TENON_OK);
    section(99)->flags = TN_SECTION_REQUIRED;
    expect_after_rehash(TENON_E_VERSION, "section 99 is required but unknown to this library");
}

static void sections(void **state) {
    (void)state;
    PlanSection *s = section(TN_SECTION_EXPRS), saved = *s;
    char text[200];
    s->offset += 8;
    snprintf(text, sizeof text, "section EXPRS: offset %llu is not a multiple of 64",
             (unsigned long long)s->offset);
    expect_after_rehash(TENON_E_CORRUPT, text);
    *s = saved;
    s->offset = UINT64_MAX - 63;
    snprintf(text, sizeof text,
             "section EXPRS: bytes 18446744073709551552 + %llu lie outside the file of %zu",
             (unsigned long long)s->bytes, size);
    expect_after_rehash(TENON_E_CORRUPT, text);
    *s = saved;
    s->offset = section(TN_SECTION_STRINGS)->offset;
    expect_after_rehash(TENON_E_CORRUPT, "sections EXPRS and STRINGS overlap");
    *s = saved;
    s->count = (uint64_t)1 << 63;
    snprintf(text, sizeof text,
             "section EXPRS: %llu bytes are not 9223372036854775808 records of 24",
             (unsigned long long)s->bytes);
    expect_after_rehash(TENON_E_CORRUPT, text);
    *s = saved;
    s->kind = TN_SECTION_IDS;
    expect_after_rehash(TENON_E_CORRUPT, "section IDS occurs twice");
    *s = saved;
    s->offset = 0;
    plan_rehash(bytes, size);
    assert_int_equal(open_bytes(bytes, size), TENON_E_CORRUPT);
    *s = saved;
    ((PlanHeader *)bytes)->section_count = 65;
    expect(TENON_E_CORRUPT, "65 sections; at most 64");
}

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

static void forced_levels(void **state) {
    (void)state;
    for (int isa = TENON_ISA_AUTO; isa <= TENON_ISA_AVX512_BF16; isa++) {
        tenon_plan *plan = NULL;
        tenon_plan_options o = {.struct_size = sizeof o, .isa = (tenon_isa)isa};
        tenon_status status = tenon_plan_open_memory(bytes, size, &o, &plan, &err);
        bool has = isa == TENON_ISA_AUTO || isa - 1 <= (int)tn_cpu_isa();
        assert_int_equal(status, has ? TENON_OK : TENON_E_ARGUMENT);
        tenon_plan_close(plan);
    }
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(opens_files),
        TEST(bad_arguments),
        TEST(truncation_and_growth),
        TEST(flipped_bits),
        TEST(versions),
        TEST(sections),
        TEST(tables),
        TEST(instructions),
        TEST(forced_levels),
        TEST(types_of_wide_floats),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
