/* Memory planning: no two items that live together overlap, totals are near the lower bound,
 * results are repeatable. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "runtime/memplan.h"

static uint64_t seed = 1;

static uint32_t next(uint32_t bound) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

static void plan(TnMemItem *items, size_t n, uint64_t *total, uint64_t *live) {
    void *scratch = malloc(tn_memplan_scratch(n));
    assert_true(tn_memplan(items, n, scratch, total, live));
    free(scratch);
}

static void check(const TnMemItem *items, size_t n, uint64_t total) {
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(items[i].offset % TN_MEM_ALIGN, 0);
        assert_true(items[i].offset + items[i].size <= total);
        for (size_t j = 0; j < i; j++) {
            const TnMemItem *a = &items[i], *b = &items[j];
            bool together = a->first <= b->last && b->first <= a->last;
            bool apart = a->offset + a->size <= b->offset || b->offset + b->size <= a->offset;
            if (together && !apart) fail_msg("items %zu and %zu overlap", i, j);
        }
    }
}

static void simple_cases(void **state) {
    (void)state;
    uint64_t total, live;
    plan(NULL, 0, &total, &live);
    assert_int_equal(total, 0);
    TnMemItem chain[] = {{256, 0, 1, 0}, {64, 1, 2, 0}, {200, 2, 3, 0}, {0, 2, 3, 0}};
    plan(chain, 4, &total, &live);
    assert_int_equal(total, 320);
    assert_int_equal(live, 320);
    check(chain, 4, total);
    TnMemItem huge[] = {{UINT64_MAX, 0, 0, 0}, {1, 0, 0, 0}};
    void *scratch = malloc(tn_memplan_scratch(2));
    assert_false(tn_memplan(huge, 2, scratch, &total, &live));
    huge[0].size = (uint64_t)1 << 60;
    huge[1].size = (uint64_t)1 << 60;
    assert_true(tn_memplan(huge, 2, scratch, &total, &live));
    assert_true(total == (uint64_t)1 << 61);
    free(scratch);
    assert_int_equal(tn_memplan_scratch(SIZE_MAX), 0);
}

static void random_lifetimes(void **state) {
    (void)state;
    TnMemItem items[300], again[300];
    for (int round = 0; round < 400; round++) {
        size_t n = 1 + next(300);
        uint32_t steps = 1 + next(200), longest = 1 + next(30);
        uint64_t total, live, total_again;
        for (size_t i = 0; i < n; i++) {
            uint32_t first = next(steps);
            items[i] = (TnMemItem){
                .size = next(next(2) ? 5000 : 200), .first = first, .last = first + next(longest)};
        }
        memcpy(again, items, sizeof items);
        plan(items, n, &total, &live);
        plan(again, n, &total_again, &live);
        assert_memory_equal(items, again, n * sizeof *items);
        assert_true(live <= total && total <= live * 3 / 2);
        check(items, n, total);
    }
}

/* The buffers of a transformer encoder layer, `layers` times: q, k, v, context, sum, wide, sum. */
static size_t encoder(TnMemItem *items, uint32_t layers, uint64_t rows) {
    size_t n = 0;
    uint32_t step = 0, x = (uint32_t)n;
    items[n++] = (TnMemItem){.size = rows * 768 * 4, .first = 0};
    for (uint32_t layer = 0; layer < layers; layer++) {
        items[n++] =
            (TnMemItem){.size = rows * 2304 * 4, .first = step + 1, .last = step + 2}; /* qkv */
        items[n++] =
            (TnMemItem){.size = rows * 768 * 4, .first = step + 2, .last = step + 3}; /* context */
        items[n++] =
            (TnMemItem){.size = rows * 768 * 4, .first = step + 3, .last = step + 4}; /* dense */
        items[x].last = step + 4;
        items[n++] =
            (TnMemItem){.size = rows * 768 * 4, .first = step + 4, .last = step + 7}; /* norm */
        items[n++] =
            (TnMemItem){.size = rows * 3072 * 4, .first = step + 5, .last = step + 6}; /* wide */
        items[n++] =
            (TnMemItem){.size = rows * 768 * 4, .first = step + 6, .last = step + 7}; /* narrow */
        x = (uint32_t)n;
        items[n++] =
            (TnMemItem){.size = rows * 768 * 4, .first = step + 7, .last = step + 7}; /* norm */
        step += 7;
    }
    return n;
}

static void near_the_bound(void **state) {
    (void)state;
    static TnMemItem items[700];
    for (uint32_t layers = 1; layers <= 48; layers += 11)
        for (uint64_t rows = 1; rows <= 1000; rows = rows * 3 + 1) {
            uint64_t total, live;
            size_t n = encoder(items, layers, rows);
            plan(items, n, &total, &live);
            check(items, n, total);
            assert_true((double)total <= 1.05 * (double)live);
        }
}

static void many_items_quickly(void **state) {
    (void)state;
    enum { N = 200000 };
    TnMemItem *items = malloc(N * sizeof *items);
    uint64_t total, live;
    for (uint32_t i = 0; i < N; i++)
        items[i] =
            (TnMemItem){.size = next(100000), .first = i, .last = i + next(50) * (i % 7 == 0) + 2};
    clock_t start = clock();
    plan(items, N, &total, &live);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 2);
    assert_true((double)total <= 1.25 * (double)live);
    free(items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_cases), cmocka_unit_test(random_lifetimes),
        cmocka_unit_test(near_the_bound), cmocka_unit_test(many_items_quickly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
