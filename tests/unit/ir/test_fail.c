/* tn_fail: what a message looks like, what is cleaned up, and that running out of memory is an
 * error like any other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "ir/problems.h"

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
    assert_non_null(strstr(cx.message, "nnn...': nnn")); /* the text behind it */
}

static void in_deep_nests(void) {
    static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    tn_enter(&cx, "file", "m.onnx");
    for (int i = 0; i < 8; i++) tn_enter(&cx, "function", names[i]);
    tn_fail(&cx, TN_E_MODEL, "too many");
}

static void deep_contexts_are_cut(void **state) {
    (void)state;
    assert_int_equal(failing(in_deep_nests), TN_E_MODEL);
    assert_string_equal(cx.message,
                        "m.onnx: function '0': function '1': ...: function '4': function '5': "
                        "function '6': function '7': too many");
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

/* --- problems --- */

typedef struct Attempt {
    const char *node, *op, *part;
    TnStatus code; /* 0: it works */
} Attempt;

static void attempt(void *user) {
    const Attempt *a = user;
    tn_enter_node(&cx, a->node, a->op);
    if (a->part) tn_enter(&cx, "tensor", a->part);
    if (a->code == TN_E_UNSUPPORTED) tn_hint(&cx, "type", "cast it");
    if (a->code) tn_fail(&cx, a->code, "cannot be");
    if (a->part) tn_leave(&cx);
    tn_leave(&cx);
}

static void try_all(const Attempt *list) {
    tn_enter(&cx, "file", "m.onnx");
    for (; list->node; list++) {
        Attempt a = *list;
        Problem about = {.kind = "node", .domain = "", .op = a.op, .opset = 20};
        if (!tn_try(&cx, attempt, &a)) problems_caught(&cx, &about, a.node);
        assert_int_equal(cx.depth, 1);
    }
    problems_raise(&cx);
    tn_leave(&cx);
}

static void several(void) {
    problems_skip(&cx);
    problems_add(&cx,
                 &(Problem){.code = TN_E_UNSUPPORTED,
                            .kind = "operator",
                            .domain = "d",
                            .op = "Blur",
                            .opset = 3,
                            .reason = "unsupported operator"},
                 "z");
    try_all((Attempt[]){{"a", "Foo", NULL, TN_E_UNSUPPORTED},
                        {"b", "Bar", NULL, TN_OK},
                        {"c", "Foo", NULL, TN_E_UNSUPPORTED},
                        {"d", "Baz", "w", TN_E_MODEL},
                        {NULL, NULL, NULL, TN_OK}});
}

static void problems_are_collected(void **state) {
    (void)state;
    assert_int_equal(failing(several), TN_E_MODEL);
    assert_string_equal(cx.message, "m.onnx: 3 problems; 1 node not looked at\n"
                                    "  unsupported operator d.Blur of opset 3 (1: 'z')\n"
                                    "  node 'a' (Foo): cannot be (and 1 more like it)\n"
                                    "  node 'd' (Baz): tensor 'w': cannot be");
    const Problem *p = problems_of(&cx)->first->next;
    assert_string_equal(p->kind, "type");
    assert_string_equal(p->help, "cast it");
    assert_string_equal(p->reason, "cannot be");
    assert_int_equal(p->count, 2);
    assert_string_equal(p->nodes[1], "c");
    assert_string_equal(p->next->kind, "node");
    assert_null(p->next->help);
    assert_string_equal(p->next->reason, "tensor 'w': cannot be");
}

static void one(void) {
    try_all((Attempt[]){{"a", "Foo", NULL, TN_E_UNSUPPORTED}, {NULL, NULL, NULL, TN_OK}});
}

static void none(void) {
    try_all((Attempt[]){{"a", "Foo", NULL, TN_OK}, {NULL, NULL, NULL, TN_OK}});
}

static void one_problem_is_one_line(void **state) {
    (void)state;
    assert_int_equal(failing(none), TN_OK);
    assert_int_equal(failing(one), TN_E_UNSUPPORTED);
    assert_string_equal(cx.message, "m.onnx: node 'a' (Foo): cannot be");
}

static void fatal(void) {
    try_all((Attempt[]){{"a", "Foo", NULL, TN_E_UNSUPPORTED},
                        {"b", "Foo", NULL, TN_E_LIMIT},
                        {NULL, NULL, NULL, TN_OK}});
}

static void what_is_not_of_the_model_goes_on(void **state) {
    (void)state;
    assert_int_equal(failing(fatal), TN_E_LIMIT);
    assert_string_equal(cx.message, "m.onnx: node 'b' (Foo): cannot be");
}

static void too_many(void) {
    static Attempt list[1200];
    static char names[1199][8];
    for (int i = 0; i < 1199; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        list[i] = (Attempt){"a", names[i], NULL, TN_E_MODEL};
    }
    try_all(list);
}

static void the_list_ends(void **state) {
    (void)state;
    assert_int_equal(failing(too_many), TN_E_MODEL);
    assert_int_equal(problems_of(&cx)->count, 1000);
    assert_non_null(strstr(cx.message, " more: `tenon check` lists them all"));
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
    const struct CMUnitTest tests[] = {TEST(messages),
                                       TEST(long_messages_are_cut),
                                       TEST(deep_contexts_are_cut),
                                       TEST(defers_run_backwards),
                                       TEST(problems_are_collected),
                                       TEST(one_problem_is_one_line),
                                       TEST(what_is_not_of_the_model_goes_on),
                                       TEST(the_list_ends),
                                       TEST(out_of_memory),
                                       TEST(printable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
