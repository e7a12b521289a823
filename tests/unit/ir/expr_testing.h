/* Shared by the tests of the symbolic algebra: a context per test, and short spellings. */
#ifndef TENON_TESTS_UNIT_IR_EXPR_TESTING_H
#define TENON_TESTS_UNIT_IR_EXPR_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ir/expr_internal.h"

typedef struct Fixture {
    Cx cx;
    jmp_buf on_fail;
    ExprCx *x;
} Fixture;

static inline int set_up(void **state) {
    static Fixture f;
    memset(&f, 0, sizeof f);
    cx_init(&f.cx, tn_default_alloc());
    f.cx.on_fail = &f.on_fail;
    if (setjmp(f.on_fail)) {
        print_error("unexpected failure: %s\n", f.cx.message);
        return -1;
    }
    f.x = ex_new(&f.cx);
    *state = &f;
    return 0;
}

static inline int tear_down(void **state) {
    Fixture *f = *state;
    cx_free(&f->cx);
    return 0;
}

/* Runs the statement, which must raise `status`. */
#define assert_raises(fixture, status, statement)     \
    do {                                              \
        if (setjmp((fixture)->on_fail) == 0) {        \
            statement;                                \
            fail_msg("%s did not raise", #statement); \
        }                                             \
        assert_int_equal((fixture)->cx.code, status); \
    } while (0)

/* Parses; "i0", "i1", ... stay symbols here. */
static inline const Expr *parse(ExprCx *x, const char *text) {
    const Expr *e = ex_parse(x, &text);
    assert_string_equal(text, "");
    return e;
}

#define X (((Fixture *)*state)->x)

static inline void same(ExprCx *x, const char *a, const char *b) {
    const Expr *u = parse(x, a), *v = parse(x, b);
    if (u != v) fail_msg("%s is %s, %s is %s", a, ex_text(x, u), b, ex_text(x, v));
}

static inline void proves(ExprCx *x, const char *a, const char *b, bool expected) {
    if (ex_provably_ge(x, parse(x, a), parse(x, b)) != expected)
        fail_msg("%s >= %s should%s be proven", a, b, expected ? "" : " not");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
