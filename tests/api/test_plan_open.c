/* Opening plans: every kind of damaged or foreign file gets its error text; valid variants open.
 * What records say is test_plan_records.c. */
#include "tests/api/opened_plan.h"
#include "tests/support/scratch.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(opens_files), TEST(bad_arguments), TEST(truncation_and_growth), TEST(flipped_bits),
        TEST(versions),    TEST(sections),      TEST(forced_levels),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
