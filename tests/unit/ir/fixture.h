/* A module per test, shorthands for dims and tensors, and the message of a failure. */
#ifndef TENON_TESTS_UNIT_IR_FIXTURE_H
#define TENON_TESTS_UNIT_IR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ir/build.h"

typedef struct Fixture {
    Cx cx;
    jmp_buf env;
    Module *m;
    ExprCx *x;
    Graph *g;
} Fixture;

static Fixture fx;

static int fixture_setup(void **state) {
    (void)state;
    cx_init(&fx.cx, tn_default_alloc());
    fx.cx.on_fail = &fx.env;
    if (setjmp(fx.env)) {
        fprintf(stderr, "unexpected failure: %s\n", fx.cx.message);
        abort();
    }
    fx.m = ir_module_new(&fx.cx);
    fx.x = fx.m->ex;
    fx.g = ir_graph_new(fx.m, "main");
    return 0;
}

static int fixture_teardown(void **state) {
    (void)state;
    cx_free(&fx.cx);
    return 0;
}

/* In a test: a failure that the test does not expect is reported with its message. */
#define GUARD()                                                    \
    do {                                                           \
        if (setjmp(fx.env)) fail_msg("failed: %s", fx.cx.message); \
    } while (0)

/* The statement must fail with exactly this message. */
#define EXPECT_FAIL(status, text, statement)            \
    do {                                                \
        jmp_buf inner_;                                 \
        fx.cx.on_fail = &inner_;                        \
        if (!setjmp(inner_)) {                          \
            statement;                                  \
            fx.cx.on_fail = &fx.env;                    \
            fail_msg("no failure, expected: %s", text); \
        }                                               \
        fx.cx.on_fail = &fx.env;                        \
        assert_string_equal(fx.cx.message, text);       \
        assert_int_equal(fx.cx.code, status);           \
    } while (0)

static inline const Expr *num(int64_t v) {
    return ex_int(fx.x, v);
}

/* A dim from text: "batch*seq". */
static inline const Expr *dim(const char *text) {
    return ex_parse(fx.x, &text);
}

/* Dims from text: "batch, seq, 768"; returns the rank. */
static inline int dims_of(const char *text, const Expr **dims) {
    int rank = 0;
    while (*text) {
        dims[rank++] = ex_parse(fx.x, &text);
        while (*text == ' ' || *text == ',') text++;
    }
    return rank;
}

static inline Value *input(const char *name, TnDType t, const char *dims) {
    const Expr *e[TN_MAX_RANK];
    int rank = dims_of(dims, e);
    return ir_input(fx.g, name, t, rank, e, INPUT_REQUIRED);
}

static inline Value *ints(int count, const int64_t *v) {
    return ir_tensor(fx.g, NULL, TN_I64, 1, (int64_t[]){count}, v);
}

static inline const char *type_of(const Value *v) {
    return ir_type_text(fx.m, &v->type);
}

static inline Node *node(OpKind op, int n, Value *const *inputs) {
    return ir_node(fx.g, op, n, inputs);
}

#define INPUTS(...)                                                          \
    (int)(sizeof((Value *[]){__VA_ARGS__}) / sizeof(Value *)), (Value *[]) { \
        __VA_ARGS__                                                          \
    }

static inline const char *type_after(Node *n) {
    return type_of(ir_insert(n));
}

/* The last requirement, "left == right (origin)". */
static inline const char *requirement(void) {
    const Requirement *r = ex_requirements(fx.x);
    if (!r) return "";
    while (r->next) r = r->next;
    return arena_printf(&fx.cx.arena, "%s %s %s (%s)", ex_text(fx.x, r->left),
                        r->kind == REL_EQ ? "==" : "<=", ex_text(fx.x, r->right), r->origin);
}

/* All requirements as "left <= right; ..." in order. */
static inline const char *requirements(void) {
    const char *s = "";
    for (const Requirement *r = ex_requirements(fx.x); r; r = r->next)
        s = arena_printf(&fx.cx.arena, "%s%s%s %s %s", s, *s ? "; " : "", ex_text(fx.x, r->left),
                         r->kind == REL_EQ ? "==" : "<=", ex_text(fx.x, r->right));
    return s;
}

static inline const char *leaf_name(void *user, const void *leaf) {
    (void)user;
    const Value *v = leaf;
    return v->name ? v->name : v->constant ? "const" : "value";
}

static inline const char *elem_text(const Value *v) {
    return v->facts.elem ? ex_text_with(fx.x, v->facts.elem, leaf_name, NULL) : "none";
}

static inline const char *pred_text(const Value *v) {
    return v->facts.pred ? pr_text_with(fx.x, v->facts.pred, leaf_name, NULL) : "none";
}

static inline const char *choice_text(const Value *v) {
    if (!v->facts.choice) return "none";
    return arena_printf(&fx.cx.arena, "%s ? %g : %g",
                        pr_text_with(fx.x, v->facts.choice, leaf_name, NULL), v->facts.yes,
                        v->facts.no);
}

/* "batch 768 2" */
static inline const char *values_text(const Value *v) {
    const char *s = "";
    if (!v->facts.values) return "none";
    for (int i = 0; i < v->facts.count; i++)
        s = arena_printf(&fx.cx.arena, "%s%s%s", s, i ? ", " : "",
                         ex_text_with(fx.x, v->facts.values[i], leaf_name, NULL));
    return s;
}

#endif
