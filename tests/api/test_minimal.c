/* The example program runs a plan and prints what the C API gives; its errors name the file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "tests/support/plan_builder.h"
#include "tests/support/scratch.h"

/* Writes m.plan: out[b, s, 1] = table[input_ids], where row r of the table holds r / 2. */
static void write_plan(void) {
    enum { ROWS = 8000 };
    static float table[ROWS];
    PlanBuilder b = {0};
    size_t size;
    for (int i = 0; i < ROWS; i++) table[i] = (float)i / 2;
    pb_begin(&b, "main");
    uint32_t batch = pb_symbol(&b, "batch", 1, 8), sequence = pb_symbol(&b, "sequence", 1, 512);
    uint32_t ids =
        pb_input(&b, "input_ids", TN_I64, 2, (uint32_t[]){batch, sequence}, TN_DEFAULT_NONE);
    uint32_t out = pb_output(&b, "out", TN_F32, 3, (uint32_t[]){batch, sequence, pb_const(&b, 1)});
    uint32_t rows = pb_constant(&b, "table", TN_LAYOUT_STRIDED, 2, (int64_t[]){ROWS, 1}, table);
    pb_instruction(&b, TN_OP_gather, 2, (uint32_t[]){rows, ids}, 1, &out, &(ParamsGather){0},
                   sizeof(ParamsGather), NULL, 0, "");
    pb_end(&b);
    unsigned char *bytes = pb_finish(&b, &size);
    write_file("m.plan", bytes, size);
    free(bytes);
}

static int run(const char *arguments, char output[300]) {
    char command[600];
    snprintf(command, sizeof command, "%s/minimal %s 2>&1", TENON_BINARY_DIR, arguments);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(output, 1, 299, f);
    output[n] = 0;
    return pclose(f);
}

static void minimal(void **state) {
    (void)state;
    char output[300];
    write_plan();
    assert_int_equal(run("m.plan", output), 0);
    assert_string_equal(output, "50.5 3796 1044 499.5 51\n");
    assert_int_not_equal(run("absent.plan", output), 0);
    assert_string_equal(output, "minimal: 'absent.plan': No such file or directory\n");
    assert_int_not_equal(run("", output), 0);
    assert_string_equal(output, "minimal: usage: minimal model.plan\n");
    scratch_empty();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(minimal)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
