/* tn_fail: what a message looks like, what is cleaned up, and that running out of memory is an
 * error like any other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "ir/fail.h"

static Cx cx;
static jmp_buf out;

static int set_up(void **state) {
    (void)state;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &out;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    cx_free(&cx);
    return 0;
}

/* Runs fn until it fails; returns the code. */
static TnStatus failing(void (*fn)(void)) {
    cx.depth = 0;
    if (setjmp(out) == 0) {
        fn();
        return TN_OK;
    }
    return cx.code;
}

static void in_a_node(void) {
    tn_enter(&cx, "file", "bert.onnx");
    tn_enter(&cx, "pass", "fold");
    tn_leave(&cx);
    tn_enter_node(&cx, "/encoder/Mat\nMul", "MatMul");
    tn_fail(&cx, TN_E_MODEL, "inner dimensions differ, %d and %d", 768, 3072);
}

static void messages(void **state) {
    (void)state;
    assert_int_equal(failing(in_a_node), TN_E_MODEL);
    assert_string_equal(
        cx.message,
        "bert.onnx: node '/encoder/Mat\\x0aMul' (MatMul): inner dimensions differ, 768 and 3072");
}

static void with_long_names(void) {
    static char name[5000];
    memset(name, 'n', sizeof name - 1);
    for (int i = 0; i < 40; i++) tn_enter(&cx, "tensor", name);
    tn_fail(&cx, TN_E_LIMIT, "%s", name);
}

static void long_messages_are_cut(void **state) {
    (void)state;
    assert_int_equal(failing(with_long_names), TN_E_LIMIT);
    assert_true(strlen(cx.message) < sizeof cx.message);
    assert_non_null(strstr(cx.message, "nnn...': tensor 'nnn"));
}

static int cleaned[3], cleanups;
static void clean(void *arg) {
    cleaned[cleanups++] = *(int *)arg;
}

static void defer_and_fail(void) {
    static int numbers[] = {1, 2, 3};
    for (int i = 0; i < 3; i++) tn_defer(&cx, clean, &numbers[i]);
    tn_fail(&cx, TN_E_IO, "gone");
}

static void defers_run_backwards(void **state) {
    (void)state;
    assert_int_equal(failing(defer_and_fail), TN_E_IO);
    assert_int_equal(cleanups, 0);
    cx_free(&cx);
    assert_memory_equal(cleaned, ((int[]){3, 2, 1}), sizeof cleaned);
}

static void collect(void) {
    tn_diag(&cx, TN_NOTE, TN_OK, "just a note");
    tn_fail_collected(&cx);
    tn_enter_node(&cx, "a", "Foo");
    tn_diag(&cx, TN_ERROR, TN_E_UNSUPPORTED, "operator Foo is not supported");
    tn_leave(&cx);
    tn_diag(&cx, TN_ERROR, TN_E_MODEL, "another");
    tn_fail_collected(&cx);
}

static void collected(void **state) {
    (void)state;
    assert_int_equal(failing(collect), TN_E_UNSUPPORTED);
    assert_string_equal(cx.message, "node 'a' (Foo): operator Foo is not supported (and 1 more)");
    assert_int_equal(cx.errors, 2);
    assert_string_equal(cx.diags->text, "just a note");
    assert_string_equal(cx.last_diag->text, "another");
}

static void take_too_much(void) {
    cx.arena.budget = 100000;
    arena_alloc(&cx.arena, (size_t)1 << 60);
}

static void take_all(void) {
    for (;;) arena_alloc(&cx.arena, 1000);
}

static void take_overflow(void) {
    arena_array(&cx.arena, SIZE_MAX / 2, 4);
}

static void out_of_memory(void **state) {
    (void)state;
    assert_int_equal(failing(take_too_much), TN_E_MEMORY);
    assert_string_equal(cx.message, "out of memory (1152921504606846976 bytes wanted)");
    assert_int_equal(failing(take_all), TN_E_MEMORY);
    assert_int_equal(failing(take_overflow), TN_E_MEMORY);
    assert_string_equal(cx.message, "a size overflows");
}

static void printable(void **state) {
    (void)state;
    assert_string_equal(tn_printable(&cx, "a\tb", 3, 100), "a\\x09b");
    assert_string_equal(tn_printable(&cx, "abcdefgh", 8, 6), "abc...");
    assert_string_equal(tn_printable(&cx, "", 0, 6), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(messages),  TEST(long_messages_are_cut), TEST(defers_run_backwards),
        TEST(collected), TEST(out_of_memory),         TEST(printable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
