/* What pass_state says of inputs that are nearly pasts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "passes/pass.h"

/* The reason of the first near miss, or "" if there is none. */
static const char *miss_of(Cx *cx, const char *text) {
    jmp_buf failed;
    Report r;
    cx_init(cx, tn_default_alloc());
    cx->on_fail = &failed;
    if (setjmp(failed)) fail_msg("%s", cx->message);
    Module *m = ir_parse(cx, text, NULL);
    report_init(&r, cx);
    for (Graph *g = m->graphs; g; g = g->next) pass_state(g, &r);
    for (const NearMiss *miss = r.misses; miss; miss = miss->next)
        if (!strcmp(miss->rule, "state")) return miss->why;
    return "";
}

/* x, what comes behind the past, is computed unless `new` says another value. */
#define DECODER(inputs, dims, parts, result)               \
    "module {\n graph main(" inputs ") {\n"                \
    "  %0: f32[b, n, 3] = neg %x\n"                        \
    "  %1: f32[" dims "] = concat " parts " {axis=1}\n"    \
    "  %2: f32[b, n, " result "] = matmul %0, %1 {tb=1}\n" \
    "  return %1 as \"present\", %2 as \"scores\"\n }\n}\n"

static void reasons(void **state) {
    (void)state;
    const struct {
        const char *text, *why;
    } cases[] = {
        {DECODER("%x: f32[b, n, 3], %past: f32[b, l, 3]", "b, l + n, 3", "%past, %0", "l + n"), ""},
        {DECODER("%x: f32[b, n, 3], %past: f32[b, l, 3]", "b, l + n, 3", "%0, %past", "l + n"),
         "'past' is not what comes first"},
        {DECODER("%x: f32[b, n, 3], %past: f32[b, 4, 3]", "b, n + 4, 3", "%past, %0", "n + 4"),
         "'past' is no past: its length is no symbol of its own"},
        {DECODER("%x: f32[b, n, 3], %past: f32[b, l, 3] = zeros", "b, l + n, 3", "%past, %0",
                 "l + n"),
         "'past' is no past: it may be left out"},
        {DECODER("%x: f32[b, n, 3], %past: f32[b, l, 3]", "b, l + n, 3", "%past, %x", "l + n"),
         "'past' is no past: what comes behind it is not computed"},
        {"module {\n graph main(%x: f32[b, n, 3], %past: f32[b, b, 3]) {\n"
         "  %0: f32[b, n, 3] = neg %x\n  %1: f32[b, b + n, 3] = concat %past, %0 {axis=1}\n"
         "  %2: f32[b, n, b + n] = matmul %0, %1 {tb=1}\n"
         "  return %1 as \"present\", %2 as \"scores\"\n }\n}\n",
         "'past' is no past: two of its axes have the same length"},
        {"module {\n graph main(%x: f32[n, 3], %past: f32[b, l, 3]) {\n"
         "  %0: f32[n, 3] = neg %x\n  %1: f32[b, n, 3] = expand %0 {dims=[b, n, 3]}\n"
         "  %2: f32[b, l + n, 3] = concat %past, %1 {axis=1}\n"
         "  %3: f32[b, n, l + n] = matmul %1, %2 {tb=1}\n"
         "  return %2 as \"present\", %3 as \"scores\"\n }\n}\n",
         "'past' is no past: one of its lengths does not follow from the inputs that stay"},
        {"module {\n graph main(%x: f32[b, n, 3], %past: f32[b, l, 3]) {\n"
         "  %0: f32[b, n, 3] = neg %x\n  %1: f32[b, l + n, 3] = concat %past, %0 {axis=1}\n"
         "  return %1 as \"present\"\n }\n}\n",
         "'past' is no past: no attention reads it"},
        {"module {\n graph prefill(%x: f32[b, n, 4]) {\n  %0: f32[b, n, 4] = neg %x\n"
         "  return %0 as \"present.0\"\n }\n"
         " graph decode(%x: f32[c, n, 3], %past.0: f32[c, l, 3]) {\n"
         "  %0: f32[c, n, 3] = neg %x\n  %1: f32[c, l + n, 3] = concat %past.0, %0 {axis=1}\n"
         "  %2: f32[c, n, l + n] = matmul %0, %1 {tb=1}\n"
         "  return %1 as \"present.0\", %2 as \"scores\"\n }\n}\n",
         "'present.0' and 'past.0' of 'decode' are of different types"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Cx cx;
        assert_string_equal(miss_of(&cx, cases[i].text), cases[i].why);
        cx_free(&cx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reasons)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
