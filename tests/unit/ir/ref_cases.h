/* Cases of one node: the constants, the node over them, and the elements of its results as the IR
 * text writes them. Equality is exact: reference kernels compute in double and round once.
 *
 *     static const Case cases[] = {{"x: f32[2] = {1, 2}", "f32[2] = neg %x", "{-1, -2}"}};
 *     CHECK(cases); */
#ifndef TENON_TESTS_UNIT_IR_REF_CASES_H
#define TENON_TESTS_UNIT_IR_REF_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ir/ir.h"
#include "ir/print.h"

typedef struct Case {
    const char *constants; /* "x: f32[2] = {1, 2}; y: ..." */
    const char *node;      /* "f32[2] = add %x, %y"; several results: "f32[1], f32[1] = ..." */
    const char *expect;    /* "{3, 4}", one per result */
} Case;

static inline void add_constants(TextBuffer *t, const char *s) {
    while (*s) {
        size_t n = strcspn(s, ";");
        text_add(t, "  const %");
        text_add_bytes(t, s, n);
        text_add(t, "\n");
        s += n + strspn(s + n, "; ");
    }
}

/* The module with the node's results, numbered, as results of its graph. */
static inline const char *module_text(Arena *a, const Case *c) {
    TextBuffer t = {.arena = a};
    text_add(&t, "module {\n");
    add_constants(&t, c->constants);
    text_add(&t, "  graph main() {\n    ");
    const char *equals = strstr(c->node, " = "), *s = c->node;
    int results = 0;
    while (s < equals) {
        size_t n = strcspn(s, "]") + 1;
        text_format(&t, "%s%%%d: ", results ? ", " : "", results);
        text_add_bytes(&t, s, n);
        results++;
        s += n;
        if (s < equals) s += strspn(s, ", ");
    }
    text_format(&t, "%s\n    return ", equals);
    for (int i = 0; i < results; i++) text_format(&t, "%s%%%d as \"%d\"", i ? ", " : "", i, i);
    text_add(&t, "\n  }\n}\n");
    return text_end(&t);
}

static inline const char *run(Cx *cx, const Case *c) {
    Module *m = ir_parse(cx, module_text(&cx->arena, c), NULL);
    Graph *g = m->graphs;
    Tensor *y = ARENA_ARRAY(&cx->arena, Tensor, (size_t)g->output_count);
    assert_null(ir_verify(g));
    ir_eval(g, NULL, y, &cx->arena, NULL, NULL);
    TextBuffer t = {.arena = &cx->arena};
    for (int i = 0; i < g->output_count; i++) {
        Constant k = {.dtype = y[i].dtype, .rank = y[i].rank, .data = y[i].data};
        memcpy(k.dims, y[i].dims, sizeof k.dims);
        if (i) text_add(&t, " ");
        print_elements(&t, &k);
    }
    return text_end(&t);
}

static inline void check(const Case *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        Cx cx;
        jmp_buf failed;
        cx_init(&cx, tn_default_alloc());
        cx.on_fail = &failed;
        const char *volatile got = NULL;
        if (setjmp(failed) == 0) got = run(&cx, &c[i]);
        if (!got || strcmp(got, c[i].expect) != 0)
            fail_msg("%s: %s, expected %s", c[i].node, got ? got : cx.message, c[i].expect);
        cx_free(&cx);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

#endif
