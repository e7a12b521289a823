/* What plans and sessions cost: weights are mapped, shared and touched no earlier than they are
 * needed; a session is its arena and little else; runs after the first allocate nothing.
 *
 * What is mapped and resident is read from /proc/self/smaps; without it those checks are skipped.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/tenon.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_plan.h"

enum {
    HIDDEN = 2048,
    OUT = 2048,
    WEIGHTS = HIDDEN * OUT * 4, /* of the product: nearly all of the file */
    BATCH = 2,
    SEQUENCE = 6,
    SESSIONS = 8,
    LITTLE = 64 * 1024
};

/* --- bytes allocated --- */

typedef struct Tally {
    size_t bytes; /* in all */
    int calls;
} Tally;

static void *tally_allocate(void *user, size_t size, size_t alignment) {
    Tally *t = user;
    t->bytes += size;
    t->calls++;
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void tally_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

static Tally tally;
static tenon_plan *plan;
static int64_t ids[BATCH * SEQUENCE];

static int open_plan(void **state) {
    size_t size;
    unsigned char *bytes = tiny_plan(HIDDEN, OUT, &size);
    tenon_allocator counting = {tally_allocate, tally_release, &tally};
    tenon_plan_options o = {.struct_size = sizeof o, .allocator = &counting};
    (void)state;
    write_file("tiny.plan", bytes, size);
    free(bytes);
    tally = (Tally){0};
    for (int i = 0; i < BATCH * SEQUENCE; i++) ids[i] = i % TINY_ROWS;
    return tenon_plan_open("tiny.plan", &o, &plan, NULL);
}

static int close_plan(void **state) {
    (void)state;
    tenon_plan_close(plan);
    return 0;
}

static tenon_session *new_session(void) {
    tenon_session *s = NULL;
    tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {BATCH, SEQUENCE}, .data = ids};
    assert_int_equal(tenon_session_create(plan, NULL, &s, NULL), TENON_OK);
    assert_int_equal(tenon_session_bind(s, "ids", &t, NULL), TENON_OK);
    return s;
}

static size_t arena_of(const tenon_session *s) {
    tenon_memory m = {.struct_size = sizeof m};
    assert_int_equal(tenon_session_memory(s, &m, NULL), TENON_OK);
    return (size_t)m.arena;
}

/* --- the mapping --- */

typedef struct Mapping {
    bool found, read_only;
    long resident, dirty; /* KiB */
} Mapping;

/* Of the file, all parts together. */
static Mapping mapping_of(const char *name) {
    FILE *f = fopen("/proc/self/smaps", "r");
    Mapping m = {.read_only = true};
    char line[1024], access[8];
    bool inside = false;
    long kib;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*x-%*x %7s", access) == 1) {
            inside = strstr(line, name) != NULL;
            m.found |= inside;
            if (inside && (access[0] != 'r' || access[1] != '-')) m.read_only = false;
        } else if (inside && sscanf(line, "Rss: %ld", &kib) == 1) {
            m.resident += kib;
        } else if (inside && sscanf(line, "Private_Dirty: %ld", &kib) == 1) {
            m.dirty += kib;
        }
    }
    if (f) fclose(f);
    return m;
}

/* --- tests --- */

static void opening_touches_no_weights(void **state) {
    (void)state;
    Mapping m = mapping_of("tiny.plan");
    assert_true(tally.bytes < LITTLE);
    if (!m.found) skip();
    assert_true(m.resident < WEIGHTS / 1024 / 4); /* what the kernel reads ahead of the headers */
}

static void weights_are_shared(void **state) {
    (void)state;
    tenon_session *s[SESSIONS];
    for (int i = 0; i < SESSIONS; i++) {
        s[i] = new_session();
        assert_int_equal(tenon_session_run(s[i], NULL), TENON_OK);
    }
    Mapping m = mapping_of("tiny.plan");
    for (int i = 0; i < SESSIONS; i++) tenon_session_destroy(s[i]);
    if (!m.found) skip();
    assert_true(m.read_only);
    assert_true(m.resident >= WEIGHTS / 1024);
    assert_int_equal(m.dirty, 0); /* so every process has the same pages */
}

static void a_session_is_its_arena(void **state) {
    (void)state;
    size_t first = 0;
    for (int i = 0; i < SESSIONS; i++) {
        size_t before = tally.bytes;
        tenon_session *s = new_session();
        assert_int_equal(tenon_session_run(s, NULL), TENON_OK);
        size_t bytes = tally.bytes - before;
        assert_true(bytes < arena_of(s) + LITTLE);
        if (i) assert_int_equal(bytes, first);
        first = bytes;
        tenon_session_destroy(s);
    }
}

static void run_length(tenon_session *s, int length) {
    tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {BATCH, length}, .data = ids};
    assert_int_equal(tenon_session_bind(s, "ids", &t, NULL), TENON_OK);
    assert_int_equal(tenon_session_run(s, NULL), TENON_OK);
}

static void steady_runs_allocate_nothing(void **state) {
    (void)state;
    tenon_session *s = new_session();
    assert_int_equal(tenon_session_run(s, NULL), TENON_OK);
    int calls = tally.calls;
    for (int i = 0; i < 100; i++) assert_int_equal(tenon_session_run(s, NULL), TENON_OK);
    assert_int_equal(tally.calls, calls);
    for (int length = SEQUENCE; length > 0; length--) run_length(s, length);
    size_t bytes = tally.bytes; /* a few layouts are kept, and no more */
    for (int i = 0; i < 100; i++) run_length(s, 1 + i % SEQUENCE);
    assert_int_equal(tally.bytes, bytes);
    tenon_session_destroy(s);
}

/* With outputs and the optional input now the caller's, now the session's. */
static void shapes_in_turn_give_what_each_gives_alone(void **state) {
    static float mine[BATCH * SEQUENCE * OUT], mask[BATCH * SEQUENCE];
    static const int lengths[] = {6, 2, 6, 3, 2, 5, 4, 6, 1, 2, 0, 6, 2};
    tenon_session *s = new_session();
    (void)state;
    for (int i = 0; i < BATCH * SEQUENCE; i++) mask[i] = (float)(i % 3);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        tenon_session *alone = new_session(), *both[2] = {s, alone};
        tenon_tensor y[2], m = {.rank = 2, .dims = {BATCH, lengths[i]}, .data = mask};
        tenon_tensor out = {.rank = 3, .dims = {-1, -1, -1}, .data = mine, .bytes = sizeof mine};
        m.dtype = out.dtype = TENON_F32;
        for (int k = 0; k < 2; k++) {
            assert_int_equal(tenon_session_bind(both[k], "mask", i % 3 ? NULL : &m, NULL), 0);
            assert_int_equal(tenon_session_bind(both[k], "y", k || i % 2 ? NULL : &out, NULL), 0);
            run_length(both[k], lengths[i]);
            assert_int_equal(tenon_session_tensor(both[k], "y", &y[k], NULL), TENON_OK);
        }
        assert_int_equal(y[0].dims[1], lengths[i]);
        assert_int_equal(y[0].bytes, y[1].bytes);
        if (y[0].bytes) assert_memory_equal(y[0].data, y[1].data, y[0].bytes);
        tenon_session_destroy(alone);
    }
    tenon_session_destroy(s);
}

#define WITH_PLAN(test) cmocka_unit_test_setup_teardown(test, open_plan, close_plan)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PLAN(opening_touches_no_weights),
        WITH_PLAN(weights_are_shared),
        WITH_PLAN(a_session_is_its_arena),
        WITH_PLAN(steady_runs_allocate_nothing),
        WITH_PLAN(shapes_in_turn_give_what_each_gives_alone),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
