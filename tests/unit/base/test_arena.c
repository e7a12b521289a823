/* Arenas and checked arithmetic. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "runtime/base/arena.h"
#include "runtime/base/checked.h"

static void many_sizes(void **state) {
    (void)state;
    Arena a = {.alloc = tn_default_alloc()};
    unsigned char *p[500];
    for (size_t i = 0; i < 500; i++) {
        size_t n = i * i * 7 % 9000;
        p[i] = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (size_t k = 0; k < n; k++) assert_int_equal(p[i][k], 0);
        memset(p[i], (int)(i % 255) + 1, n);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < i * i * 7 % 9000; k++) assert_int_equal(p[i][k], i % 255 + 1);
    arena_free(&a);
    assert_int_equal(a.total, 0);
    assert_non_null(arena_alloc(&a, 1)); /* usable again */
    arena_free(&a);
}

static void strings_and_growth(void **state) {
    (void)state;
    Arena a = {.alloc = tn_default_alloc()};
    assert_string_equal(arena_strdup(&a, "abc"), "abc");
    assert_string_equal(arena_strndup(&a, "abcdef", 2), "ab");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 12), "x-12");
    assert_memory_equal(arena_copy(&a, "\0\1\2", 3), "\0\1\2", 3);
    int *list = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        list = arena_grow(&a, list, &capacity, (size_t)i + 1, sizeof *list);
        list[i] = i;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(list[i], i);
    arena_free(&a);
}

static size_t wanted;
static void note(void *user, size_t bytes) {
    ++*(int *)user;
    wanted = bytes;
}

static void runs_out(void **state) {
    (void)state;
    int calls = 0;
    Arena a = {.alloc = tn_default_alloc(), .on_oom = note, .oom_user = &calls, .budget = 10000};
    assert_non_null(arena_alloc(&a, 5000));
    assert_null(arena_alloc(&a, 20000));
    assert_int_equal(calls, 1);
    assert_int_equal(wanted, 20000);
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(&a, SIZE_MAX - 3));
    assert_int_equal(calls, 3);
    size_t small = 0;
    while (small < 100 && arena_alloc(&a, 100)) small++;
    assert_true(small > 10 && small < 60);
    assert_true(a.total <= a.budget);
    arena_free(&a);
}

static void checked_arithmetic(void **state) {
    (void)state;
    int64_t r;
    size_t z;
    assert_true(tn_add_i64(INT64_MAX - 1, 1, &r) && r == INT64_MAX);
    assert_false(tn_add_i64(INT64_MAX, 1, &r));
    assert_false(tn_sub_i64(INT64_MIN, 1, &r));
    assert_true(tn_mul_i64(-4, 5, &r) && r == -20);
    assert_false(tn_mul_i64((int64_t)1 << 32, (int64_t)1 << 31, &r));
    assert_false(tn_add_size(SIZE_MAX, 1, &z));
    assert_false(tn_mul_size(SIZE_MAX / 2 + 1, 2, &z));
    assert_true(tn_range_ok(10, 0, 10) && tn_range_ok(0, 10, 10));
    assert_false(tn_range_ok(11, 0, 10) || tn_range_ok(1, 10, 10) ||
                 tn_range_ok(UINT64_MAX, 2, UINT64_MAX));
    assert_true(tn_product((int64_t[]){2, 3, 4}, 3, &r) && r == 24);
    assert_true(tn_product(NULL, 0, &r) && r == 1);
    assert_false(tn_product((int64_t[]){2, -1}, 2, &r));
    assert_false(tn_product((int64_t[]){(int64_t)1 << 40, (int64_t)1 << 40, 0}, 3, &r));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_sizes), cmocka_unit_test(strings_and_growth),
        cmocka_unit_test(runs_out), cmocka_unit_test(checked_arithmetic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
