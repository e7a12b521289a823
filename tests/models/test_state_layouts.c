/* States whose axes lie in any order, from graph to plan to session: the length first, last or
 * between, the batch before or behind it, or none. Rows are appended one after another until the
 * memory has grown twice; then sequences change places and contents go out and in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "runtime/tenon.h"

enum { ROWS = 70, BATCH = 3, OTHER = 2, LAST = 4 };

typedef struct Layout {
    const char *dims; /* l: the length, b: the batch, o: an axis of OTHER, d: of LAST */
} Layout;

typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    tenon_plan *plan;
    tenon_session *session;
    tenon_error err;
    const char *dims;
    int rank, axis, batch; /* axes of the length and of the batch; -1: none */
} Trial;

static const char *type_of(Trial *t, const char *length) {
    const char *text = "";
    for (const char *c = t->dims; *c; c++) {
        const char *dim = *c == 'l' ? length : *c == 'b' ? "batch" : *c == 'o' ? "2" : "4";
        text = arena_printf(&t->cx.arena, "%s%s%s", text, *text ? ", " : "", dim);
    }
    return text;
}

static int64_t length_of(char axis, int64_t rows) {
    return axis == 'l' ? rows : axis == 'b' ? BATCH : axis == 'o' ? OTHER : LAST;
}

static void start(Trial *t, const Layout *layout) {
    size_t size;
    Report r;
    *t = (Trial){.dims = layout->dims, .rank = (int)strlen(layout->dims), .batch = -1};
    cx_init(&t->cx, tn_default_alloc());
    t->cx.on_fail = &t->failed;
    if (setjmp(t->failed)) fail_msg("%s", t->cx.message);
    t->axis = (int)(strchr(t->dims, 'l') - t->dims);
    if (strchr(t->dims, 'b')) t->batch = (int)(strchr(t->dims, 'b') - t->dims);
    const char *text =
        arena_printf(&t->cx.arena,
                     "module {\n graph main(%%x: f32[%s], %%past: f32[%s]) {\n"
                     "  %%0: f32[%s] = concat %%past, %%x {axis=%d}\n"
                     "  %%1: f32[%s] = neg %%0\n  return %%0 as \"present\", %%1 as \"y\"\n"
                     "  state \"past\" from %%past to \"present\" axis %d\n }\n}\n",
                     type_of(t, "n"), type_of(t, "l"), type_of(t, "l + n"), t->axis,
                     type_of(t, "l + n"), t->axis);
    report_init(&r, &t->cx);
    const void *bytes =
        plan_write_memory(compile_module(ir_parse(&t->cx, text, NULL), &r, 0), &size);
    if (tenon_plan_open_memory(bytes, size, NULL, &t->plan, &t->err) ||
        tenon_session_create(t->plan, NULL, &t->session, &t->err))
        fail_msg("%s", t->err.text);
}

static void stop(Trial *t) {
    tenon_session_destroy(t->session);
    tenon_plan_close(t->plan);
    cx_free(&t->cx);
}

/* What stands at these coordinates: of row `at`, sequence `sequence`. */
static float element(const Trial *t, const int64_t *at, const int64_t *rows) {
    float x = 0;
    for (int i = 0; i < t->rank; i++)
        x = 100 * x + (float)(i == t->batch && rows ? rows[at[i]] : at[i]);
    return x;
}

/* Calls for every element of a dense tensor: fills it with rows from `first` on, or compares. */
static void each_element(const Trial *t, tenon_tensor *x, int64_t first, const int64_t *rows,
                         float sign, bool compare) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= x->dims[i];
    for (int64_t k = 0; k < count; k++) {
        int64_t at[TENON_MAX_RANK], rest = k;
        for (int i = t->rank - 1; i >= 0; rest /= x->dims[i--]) at[i] = rest % x->dims[i];
        at[t->axis] += first;
        float *place = (float *)x->data + k, wanted = sign * element(t, at, rows);
        if (!compare) *place = wanted;
        if (*place != wanted)
            fail_msg("%s: element %d is %g, not %g", t->dims, (int)k, (double)*place,
                     (double)wanted);
    }
}

static void append(Trial *t, int64_t first, int64_t rows) {
    static float data[ROWS * BATCH * OTHER * LAST];
    tenon_tensor x = {.dtype = TENON_F32, .rank = t->rank, .data = data}, y;
    for (int i = 0; i < t->rank; i++) x.dims[i] = length_of(t->dims[i], rows);
    each_element(t, &x, first, NULL, 1, false);
    if (tenon_session_bind(t->session, "x", &x, &t->err) ||
        tenon_session_run(t->session, &t->err) ||
        tenon_session_tensor(t->session, "y", &y, &t->err))
        fail_msg("%s: %s", t->dims, t->err.text);
    assert_int_equal(y.dims[t->axis], first + rows);
    each_element(t, &y, 0, NULL, -1, true);
}

static tenon_tensor exported(Trial *t) {
    tenon_tensor x = {0};
    assert_int_equal(tenon_session_export(t->session, "past", &x, &t->err), TENON_OK);
    x.data = arena_alloc(&t->cx.arena, x.bytes + 1);
    assert_int_equal(tenon_session_export(t->session, "past", &x, &t->err), TENON_OK);
    return x;
}

/* Four sequences, which are those of `had`, take each other's places in every way there is. */
static void reorders_in_place(Trial *t, tenon_tensor *contents, const int64_t *had) {
    for (int map = 0; map < 256; map++) {
        int64_t rows[4], have[4];
        for (int k = 0; k < 4; k++) {
            rows[k] = map >> 2 * k & 3;
            have[k] = had[rows[k]];
        }
        assert_int_equal(tenon_session_bind(t->session, "past", contents, &t->err), TENON_OK);
        assert_int_equal(tenon_session_reorder(t->session, rows, 4, &t->err), TENON_OK);
        tenon_tensor now = exported(t);
        each_element(t, &now, 0, t->batch >= 0 ? have : NULL, 1, true);
    }
}

static void layout_works(void **state) {
    Trial t;
    const int64_t same[] = {0, 1, 2}, others[] = {2, 0, 0, 1};
    start(&t, *state);
    append(&t, 0, 5);
    for (int64_t row = 5; row < ROWS; row++) append(&t, row, 1);
    tenon_tensor all = exported(&t), now;
    each_element(&t, &all, 0, NULL, 1, true);
    assert_int_equal(tenon_session_reorder(t.session, same, BATCH, &t.err), TENON_OK);
    assert_int_equal(tenon_session_reorder(t.session, others, 4, &t.err), TENON_OK);
    now = exported(&t);
    if (t.batch >= 0) assert_int_equal(now.dims[t.batch], 4);
    each_element(&t, &now, 0, t.batch >= 0 ? others : NULL, 1, true);
    reorders_in_place(&t, &now, others);
    assert_int_equal(tenon_session_bind(t.session, "past", &all, &t.err), TENON_OK);
    assert_int_equal(tenon_session_truncate(t.session, 9, &t.err), TENON_OK);
    append(&t, 9, 3);
    stop(&t);
}

int main(void) {
    static Layout layouts[] = {{"bold"}, {"blod"}, {"lbod"}, {"lobd"}, {"bol"}, {"old"}, {"l"}};
    enum { COUNT = sizeof layouts / sizeof *layouts };
    struct CMUnitTest tests[COUNT];
    for (int i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){layouts[i].dims, layout_works, NULL, NULL, &layouts[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
