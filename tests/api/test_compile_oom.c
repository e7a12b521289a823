/* Every allocation of a compilation fails in turn, once or for good: TENON_E_MEMORY comes back (or
 * the compilation gets by without), nothing leaks, and no file is left behind. Nor is where it is
 * cancelled.
 *
 * protobuf-c, cJSON and xxHash allocate by themselves and are not counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "backend/tenonc.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/scratch.h"

#define FIXTURES TENON_SOURCE_DIR "/tests/fixtures/"

static int files_here(void) {
    int n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (d) closedir(d);
    return n;
}

/* Steps that a compilation has still to do before it is cancelled; below 0: it is not. */
static int32_t count_down(void *user, const char *stage, int32_t done, int32_t total) {
    int *steps = user;
    if (done < 0 || done > total) fail_msg("%s: %d of %d", stage, done, total);
    return *steps >= 0 && (*steps)-- == 0;
}

/* All calls of the API, to a file or to memory. */
static tenon_status compile_steps(Counter *c, const char *model, int to_file, int steps) {
    tenon_allocator allocator = {count_allocate, count_release, c};
    tenonc_options o = {.struct_size = sizeof o,
                        .allocator = &allocator,
                        .progress = count_down,
                        .progress_user = &steps};
    const void *bytes;
    const char *text;
    size_t size;
    tenonc *compiler = tenonc_create(&o);
    if (!compiler) return TENON_E_MEMORY;
    tenon_status s = tenonc_set(compiler, "strip", "1");
    if (!s) s = tenonc_add(compiler, model, NULL);
    if (s) goto done;
    s = to_file ? tenonc_compile(compiler, "m.plan")
                : tenonc_compile_memory(compiler, &bytes, &size);
    if (!s) s = tenonc_report(compiler, 1, &text);
done:
    if (s) assert_true(tenonc_error(compiler)->text[0] != 0);
    tenonc_destroy(compiler);
    return s;
}

static tenon_status compile(Counter *c, const char *model, int to_file) {
    return compile_steps(c, model, to_file, -1);
}

static void check_failure(const char *model, int to_file, int n, int for_good) {
    Counter c = {.fail_at = n, .for_good = for_good};
    tenon_status s = compile(&c, model, to_file);
    if (s != TENON_OK && s != TENON_E_MEMORY)
        fail_msg("%s: allocation %d fails: status %d", model, n, s);
    if (c.live) fail_msg("%s: allocation %d fails: %d blocks are left", model, n, c.live);
    assert_int_equal(files_here(), s == TENON_OK && to_file);
    remove("m.plan");
}

static void fails_everywhere(void **state) {
    const char *model = *state;
    for (int to_file = 0; to_file < 2; to_file++) {
        Counter all = {0};
        assert_int_equal(compile(&all, model, to_file), TENON_OK);
        assert_int_equal(all.live, 0);
        assert_true(all.calls >= 10);
        remove("m.plan");
        for (int n = 1; n <= all.calls; n++) {
            check_failure(model, to_file, n, 0);
            check_failure(model, to_file, n, 1);
        }
    }
}

/* Wherever it is, in the passes or among the weights. */
static void ends_when_cancelled(void **state) {
    const char *model = *state;
    tenon_status s = TENON_E_CANCELLED;
    int steps = 0;
    for (; s; steps++) {
        Counter c = {0};
        s = compile_steps(&c, model, 1, steps);
        if (s) assert_int_equal(s, TENON_E_CANCELLED);
        assert_int_equal(c.live, 0);
        assert_int_equal(files_here(), s == TENON_OK);
    }
    assert_true(steps > 50);
    remove("m.plan");
}

int main(void) {
    static char folder[] = FIXTURES "bert-sharded", onnx[] = FIXTURES "vit-cls/model.onnx";
    static char external[] = FIXTURES "bert-external-data/model.onnx";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(fails_everywhere, folder),
        cmocka_unit_test_prestate(fails_everywhere, onnx),
        cmocka_unit_test_prestate(fails_everywhere, external),
        cmocka_unit_test_prestate(ends_when_cancelled, onnx),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
