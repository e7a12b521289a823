/* Operators as the compiler runs them: one node, lowered to its instruction and run on every
 * instruction set, against its reference kernel. Inputs of type f32 and f64 are noise, integers
 * count 0, 1, 0, 1, ...; a case names dims and attributes that matter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "ir/ir.h"
#include "ir/text.h"
#include "runtime/runtime.h"

#define MAX_VALUES 16
#define TOLERANCE  2e-5

typedef struct Run {
    /* "x: f32[2, 3], y: f32[3]", behind constants and '|', and "f32[2, 3] = add %x, %y" */
    const char *inputs, *node;
    TnIsa isa;
} Run;

static Graph *parse(Cx *cx, const Run *r) {
    TextBuffer t = {.arena = &cx->arena};
    const char *bar = strchr(r->inputs, '|'), *inputs = bar ? bar + 1 : r->inputs;
    text_add(&t, "module {\n");
    if (bar) text_format(&t, "  const %.*s\n", (int)(bar - r->inputs), r->inputs);
    text_add(&t, "  graph main(%");
    for (const char *s = inputs; *s; s++) {
        text_add_bytes(&t, s, 1);
        if (s[0] == ',' && strchr(s, ':') && strcspn(s, ":") < strcspn(s, "]")) text_add(&t, " %");
    }
    text_add(&t, ") {\n    ");
    int results = 0;
    for (const char *s = r->node; s < strstr(r->node, " = "); s++) {
        if (s == r->node || s[-1] == ' ')
            if (*s >= 'a' && *s <= 'z') text_format(&t, "%%%d: ", results++);
        text_add_bytes(&t, s, 1);
    }
    text_format(&t, "%s\n    return ", strstr(r->node, " = "));
    for (int i = 0; i < results; i++) text_format(&t, "%s%%%d as \"%d\"", i ? ", " : "", i, i);
    text_add(&t, "\n  }\n}\n");
    return ir_parse(cx, text_end(&t), NULL)->graphs;
}

static Tensor *random_inputs(Cx *cx, Graph *g, const Tensor **in) {
    Tensor *t = ARENA_ARRAY(&cx->arena, Tensor, MAX_VALUES);
    uint32_t random = 7;
    for (int i = 0; i < g->input_count; i++) {
        const Type *type = &g->inputs[i]->type;
        t[i] = (Tensor){.dtype = type->dtype, .rank = type->rank};
        assert_true(ir_static_dims(type, t[i].dims));
        int64_t n = tensor_count(&t[i]);
        t[i].bytes = (size_t)n * tn_dtype_size(type->dtype);
        t[i].data = arena_alloc(&cx->arena, t[i].bytes + 64);
        for (int64_t k = 0; k < n; k++) {
            random = random * 1664525u + 1013904223u;
            if (tn_is_float(type->dtype))
                ir_store_f64(type->dtype, t[i].data, k, (double)(int32_t)random / 1.5e9);
            else
                ir_store_i64(type->dtype, t[i].data, k, k % 2);
        }
        in[i] = &t[i];
    }
    return t;
}

static void close_plan(void *plan) {
    tenon_plan_close(plan);
}

static void close_session(void *session) {
    tenon_session_destroy(session);
}

static void need(Cx *cx, tenon_status s, const tenon_error *err) {
    if (s) tn_fail(cx, (TnStatus)s, "%s", err->text);
}

static tenon_session *run_compiled(Cx *cx, Graph *g, TnIsa isa, const Tensor *in) {
    Report report;
    report_init(&report, cx);
    tenon_plan *plan;
    tenon_session *session;
    tenon_error err;
    size_t size;
    tenon_plan_options o = {.struct_size = sizeof o};
    o.isa = (tenon_isa)(TENON_ISA_SCALAR + (int)isa);
    int inputs = g->input_count;
    const void *bytes = plan_write_memory(compile_module(g->module, &report, false), &size);
    need(cx, tenon_plan_open_memory(bytes, size, &o, &plan, &err), &err);
    tn_defer(cx, close_plan, plan);
    need(cx, tenon_session_create(plan, NULL, &session, &err), &err);
    tn_defer(cx, close_session, session);
    for (int i = 0; i < inputs; i++) {
        tenon_tensor t = {.dtype = (tenon_dtype)in[i].dtype, .rank = in[i].rank};
        memcpy(t.dims, in[i].dims, sizeof in[i].dims);
        t.data = in[i].data;
        need(cx, tenon_session_bind(session, g->inputs[i]->name, &t, &err), &err);
    }
    need(cx, tenon_session_run(session, &err), &err);
    return session;
}

static void compare(Cx *cx, const Tensor *want, const tenon_tensor *got) {
    double largest = 1;
    for (int64_t i = 0; i < tensor_count(want); i++)
        largest = fmax(largest, fabs(ir_element_f64(want->dtype, want->data, i)));
    for (int64_t i = 0; i < tensor_count(want); i++) {
        double a = ir_element_f64(want->dtype, want->data, i);
        double b = ir_element_f64(want->dtype, got->data, i);
        if (!(fabs(a - b) <= TOLERANCE * largest))
            tn_fail(cx, TN_E_MODEL, "element %d is %.9g, not %.9g", (int)i, b, a);
    }
}

static void run_case(Cx *cx, const Run *r) {
    const Tensor *in[MAX_VALUES];
    Tensor want[MAX_VALUES];
    Graph *g = parse(cx, r);
    Tensor *t = random_inputs(cx, g, in);
    ir_eval(g, in, want, &cx->arena, NULL, NULL);
    int outputs = g->output_count;
    tenon_session *session = run_compiled(cx, g, r->isa, t);
    for (int i = 0; i < outputs; i++) {
        tenon_tensor got;
        tenon_error err;
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        need(cx, tenon_session_tensor(session, name, &got, &err), &err);
        compare(cx, &want[i], &got);
    }
}

static void check_isa(const Run *r) {
    Cx cx;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed) == 0)
        run_case(&cx, r);
    else
        fail_msg("%s: %s: %s", tn_isa_name(r->isa), r->node, cx.message);
    cx_free(&cx);
}

static void check(const char *inputs, const char *node) {
    for (TnIsa isa = TN_ISA_SCALAR; isa <= tn_cpu_isa(); isa++)
        check_isa(&(Run){inputs, node, isa});
}

static void test_resize(void **state) {
    (void)state;
    check("x: f32[2, 3, 7, 5]", "f32[2, 3, 15, 5] = resize %x {axis=2, length=15}");
    check("x: f64[2, 9, 4]",
          "f64[2, 9, 3] = resize %x {axis=2, length=3, mode=cubic, antialias=1}");
    /* 0.25 of ten is two and a half, rounded to three */
    check("%g: f32[3] = {0.25, 0, 1}|x: f32[2, 10]",
          "f32[2, 3] = resize %x, %g {axis=1, length=3, antialias=1}");
    check("x: i16[3, 7]", "i16[3, 19] = resize %x {axis=1, length=19, mode=nearest, nearest=ceil}");
}

static void test_group_norm(void **state) {
    (void)state;
    check("%g: f32[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}|x: f32[2, 5, 7, 12], b: f32[12]",
          "f32[2, 5, 7, 12] = group_norm %x, %g, %b {groups=4}");
    check("x: f32[3, 150, 96]", "f32[3, 150, 96] = group_norm %x {groups=3, eps=0.1}");
    check("x: f32[1, 9, 100], b: f32[100]", "f32[1, 9, 100] = group_norm %x, _, %b {groups=100}");
    check("x: f32[2, 3, 4, 5, 203], g: f32[203]",
          "f32[2, 3, 4, 5, 203] = group_norm %x, %g {groups=1}");
    check("x: f32[4, 77]", "f32[4, 77] = group_norm %x {groups=11}");
}

static void test_resize_plane(void **state) {
    (void)state;
    check("x: f32[2, 3, 7, 5]",
          "f32[2, 3, 15, 12] = resize_plane %x {axis=3, length=12, axis2=2, length2=15}");
    check("x: f32[2, 5, 4, 35], a: f32[2, 9, 13, 35]",
          "f32[2, 9, 13, 35] = resize_plane %x, _, _, %a {axis=1, length=9, axis2=2, length2=13, "
          "mode=cubic, coordinates=align_corners}");
    check("%g: f32[3] = {2.5, 0, 1}|x: f32[6, 1, 8, 2], a: f32[15, 1, 3, 2]",
          "f32[15, 1, 3, 2] = resize_plane %x, _, %g, %a {axis=2, length=3, axis2=0, length2=15, "
          "mode=cubic, exclude_outside=1}");
    check("x: f32[3, 40, 50, 64], a: f32[3, 80, 100, 64]",
          "f32[3, 80, 100, 64] = resize_plane %x, _, _, %a {axis=2, length=100, axis2=1, "
          "length2=80}"); /* several tasks and several lines for a row */
    check("x: f32[4, 9, 3000]",
          "f32[4, 20, 5000] = resize_plane %x {axis=1, length=20, axis2=2, length2=5000, "
          "mode=nearest}");
}

/* Noise reaches beyond [-1, 1], so every padding is used. */
static void test_grid_sample(void **state) {
    (void)state;
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const char *const planes[][3] = {
        {"x: f32[2, 3, 7, 5], g: f32[2, 9, 4, 2]", "f32[2, 3, 9, 4]", "2-d"},
        {"x: f32[1, 2, 4, 3, 5], g: f32[1, 3, 7, 6, 3]", "f32[1, 2, 3, 7, 6]", "3-d"},
        {"x: f32[1, 2, 1, 40], g: f32[1, 50, 90, 2]", "f32[1, 2, 50, 90]", "one row, two tasks"},
        {"x: f64[1, 2, 6, 9], g: f32[1, 5, 3, 2]", "f64[1, 2, 5, 3]", "double"},
    };
    char node[256];
    for (int p = 0; p < 4; p++)
        for (int k = 0; k < 18; k++) {
            snprintf(node, sizeof node,
                     "%s = grid_sample %%x, %%g {mode=%s, padding=%s, align_corners=%d}",
                     planes[p][1], modes[k % 3], paddings[k / 3 % 3], k / 9);
            check(planes[p][0], node);
        }
}

/* Sizes of a row around the vectors; places beyond the maps, NaN and infinite ones, no points. */
static void test_deformable_attention(void **state) {
    (void)state;
    static const int depths[] = {1, 4, 7, 8, 16, 31, 32, 33, 70}, points[] = {1, 4, 3, 12};
    char inputs[256], node[256];
    for (int k = 0; k < 72; k++) {
        int d = depths[k % 9], p = points[k / 9 % 4];
        snprintf(inputs, sizeof inputs,
                 "v: f32[2, 41, 3, %d], g: f32[2, 9, 3, 3, %d, 2], w: f32[2, 9, 3, %d]", d, p,
                 3 * p);
        snprintf(node, sizeof node,
                 "f32[2, 9, 3, %d] = deformable_attention %%v, %%g, %%w "
                 "{levels=[5, 7, 1, 5, 1, 1], softmax=%d}",
                 d, k / 36);
        check(inputs, node);
    }
    check("%g: f32[1, 4, 1, 1, 2, 2] = {nan, 0, 0, inf, -inf, nan, 3e38, 0, 0, -3e38, 1, 1, 0.1, "
          "0.2, -1, -1}|v: f32[1, 6, 1, 9], w: f32[1, 4, 1, 2]",
          "f32[1, 4, 1, 9] = deformable_attention %v, %g, %w {levels=[2, 3]}");
    check("v: f32[1, 6, 2, 9], g: f32[1, 4, 2, 1, 0, 2], w: f32[1, 4, 2, 0]",
          "f32[1, 4, 2, 9] = deformable_attention %v, %g, %w {levels=[2, 3]}");
    check("v: f32[1, 0, 2, 9], g: f32[1, 4, 2, 1, 3, 2], w: f32[1, 4, 2, 3]",
          "f32[1, 4, 2, 9] = deformable_attention %v, %g, %w {levels=[0, 3], softmax=1}");
    check("v: f32[3, 6, 2, 9], g: f32[3, 0, 2, 1, 3, 2], w: f32[3, 0, 2, 3]",
          "f32[3, 0, 2, 9] = deformable_attention %v, %g, %w {levels=[2, 3], softmax=1}");
    check("v: f32[1, 5000, 2, 20], g: f32[1, 700, 2, 2, 9, 2], w: f32[1, 700, 2, 18]",
          "f32[1, 700, 2, 20] = deformable_attention %v, %g, %w {levels=[50, 90, 20, 25], "
          "softmax=1}");
}

static void test_roi_align(void **state) {
    (void)state;
    static const char *const attributes[] = {"", ", max=1", ", samples=2, half_pixel=0",
                                             ", scale=7.5, samples=0, half_pixel=0",
                                             ", scale=9, max=1, samples=3"};
    char node[256];
    for (int k = 0; k < 5; k++) {
        snprintf(node, sizeof node,
                 "f32[9, 3, 2, 3] = roi_align %%x, %%r, %%b {height=2, width=3%s}", attributes[k]);
        check("x: f32[2, 3, 7, 5], r: f32[9, 4], b: i64[9]", node);
    }
}

/* Borders of numbers and truth values, and borders that cut, all of it too. */
static void test_pad(void **state) {
    (void)state;
    check("%c: i32[] = {7}|x: i32[2, 3]", "i32[4, 4] = pad %x, %c {before=[2, 0], after=[0, 1]}");
    check("%c: bool[] = {1}|x: bool[5]", "bool[9] = pad %x, %c {before=[3], after=[1]}");
    check("%c: f64[] = {-2.5}|x: f64[5]", "f64[7] = pad %x, %c {before=[3], after=[-1]}");
    check("x: f32[4, 6]", "f32[2, 5] = pad %x {before=[-1, -2], after=[-1, 1]}");
    check("%c: u8[] = {9}|x: u8[2, 3]", "u8[1, 3] = pad %x, %c {before=[-3, 0], after=[2, 0]}");
    check("x: f32[3]", "f32[2] = pad %x {before=[4], after=[-5]}");
}

static void test_selections(void **state) {
    (void)state;
    check("m: bool[3, 5, 7]", "i64[3, 52] = nonzero %m {count=52}");
    check("m: bool[1001]", "i64[1, 500] = nonzero %m {count=500}");
    check("x: f32[700]", "i64[700], i64[700], i64[700], i64[1] = unique %x {axis=0}");
    check("x: u8[2, 90, 3]", "i64[90], i64[90], i64[90], i64[1] = unique %x {axis=1}");
    check("x: i32[5, 33]", "i64[33], i64[33], i64[33], i64[1] = unique %x {axis=1, unsorted=1}");
    check("x: f32[5, 0]", "i64[5], i64[5], i64[5], i64[1] = unique %x {axis=0}");
    check("x: f32[3, 1200]", "f32[3, 1200] = cumprod %x {axis=1, exclusive=1}");
    check("x: f64[9, 5]", "f64[9, 5] = cumprod %x {axis=0, reverse=1}");
    check("x: i16[9, 5]", "i16[9, 5] = cumprod %x {axis=0}");
}

/* Batches around the rows of a task, sizes around the tiles of columns. */
static void test_recurrent(void **state) {
    (void)state;
    static const int sizes[] = {1, 5, 16, 33};
    static const char *const attributes[] = {
        "f=Sigmoid", "f=HardSigmoid, f_alpha=0.3, f_beta=0.4, g=Softsign, h=Elu, h_alpha=0.5",
        "f=Sigmoid, clip=0.4, coupled=1, linear=1",
        ("f=ScaledTanh, f_alpha=0.7, f_beta=0.5, g=Affine, g_alpha=0.3, g_beta=0.1, "
         "h=LeakyRelu, h_alpha=0.2"),
        "f=Softplus, g=ThresholdedRelu, g_alpha=0.3, h=Relu, clip=0.3"};
    static const char *const modes[] = {"rnn", "gru", "lstm"};
    static const int gates[] = {1, 3, 4};
    char inputs[512], node[512];
    for (int k = 0; k < 60; k++) {
        int h = sizes[k % 4], mode = k % 3, g = gates[mode], b = 1 + k % 6, n = 0;
        n += snprintf(inputs, sizeof inputs,
                      "p: f32[2, %d, %d], r: f32[%d, %d], l: i32[%d], h: f32[%d, %d]", b, g * h, h,
                      g * h, b, b, h);
        n += snprintf(inputs + n, sizeof inputs - (size_t)n, ", c: f32[%d, %d], w: f32[%d]", b, h,
                      3 * h);
        snprintf(inputs + n, sizeof inputs - (size_t)n, ", u: f32[%d]", h);
        n = snprintf(node, sizeof node, "f32[2, %d, %d], f32[%d, %d]", b, h, b, h);
        if (mode == 2) n += snprintf(node + n, sizeof node - (size_t)n, ", f32[%d, %d]", b, h);
        snprintf(node + n, sizeof node - (size_t)n, " = rnn %%p, %%r, %s {mode=%s, reverse=%d, %s}",
                 k % 5 ? "%l, %h, %c, %w, %u" : "_, _, _, _, %u", modes[mode], k / 3 % 2,
                 attributes[k / 12]);
        check(inputs, node);
    }
}

/* Small factors, a large prime (Bluestein), powers of two; padded and cut; every kind. */
static void test_transforms(void **state) {
    (void)state;
    static const int lengths[] = {1, 2, 3, 5, 8, 12, 60, 67, 134, 128, 400, 997};
    char inputs[128], node[256];
    for (int k = 0; k < 12; k++) {
        int n = lengths[k];
        snprintf(inputs, sizeof inputs, "x: f32[2, %d, 3, 2], r: f32[20, %d, 1]", n, n);
        snprintf(node, sizeof node, "f32[2, %d, 3, 2] = dft %%x {axis=1, length=%d, inverse=%d}", n,
                 n, k % 2);
        check(inputs, node);
        snprintf(node, sizeof node, "f32[20, %d, 2] = dft %%r {axis=1, length=%d, onesided=1}",
                 n / 2 + 1, n);
        check(inputs, node);
        snprintf(node, sizeof node,
                 "f32[2, %d, 3, 1] = dft %%x {axis=1, length=%d, inverse=1, onesided=1}", n, n);
        check(inputs, node);
    }
    check("x: f64[3, 9, 1]", "f64[3, 14, 2] = dft %x {axis=1, length=14}");
    check("x: f64[9, 2]", "f64[4, 2] = dft %x {axis=0, length=4}");
}

/* Widths around a vector, what is behind them; tables of either width, broadcast or not. */
static void test_rotary(void **state) {
    (void)state;
    static const int widths[] = {2, 4, 6, 16, 18, 30, 32, 34, 64, 66, 128};
    char inputs[128], node[256];
    for (int k = 0; k < 11 * 8; k++) {
        int width = widths[k / 8], rest = k & 1 ? 1 + k % 5 : 0, own = k & 2 ? width : width / 2;
        snprintf(inputs, sizeof inputs, "x: f32[2, 3, 5, %d], c: f32[5, %d], s: f32[%s, 5, %d]",
                 width + rest, own, k % 3 ? "2, 1" : "1, 3", k & 1 ? own : width);
        snprintf(node, sizeof node,
                 "f32[2, 3, 5, %d] = rotary %%x, %%c, %%s {width=%d, interleaved=%d}", width + rest,
                 width, k / 4 % 2);
        check(inputs, node);
    }
    check("x: f32[40, 90, 64], c: f32[90, 32], s: f32[90, 32]",
          "f32[40, 90, 64] = rotary %x, %c, %s {width=64}");
    check("x: f32[0, 8], c: f32[4], s: f32[4]", "f32[0, 8] = rotary %x, %c, %s {width=8}");
}

static void test_determinants(void **state) {
    (void)state;
    check("x: f32[3, 2, 5, 5]", "f32[3, 2] = det %x");
    check("x: f64[1, 1]", "f64[] = det %x");
    check("x: f32[4, 0, 0]", "f32[4] = det %x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),       cmocka_unit_test(test_resize_plane),
        cmocka_unit_test(test_group_norm),   cmocka_unit_test(test_grid_sample),
        cmocka_unit_test(test_roi_align),    cmocka_unit_test(test_selections),
        cmocka_unit_test(test_recurrent),    cmocka_unit_test(test_transforms),
        cmocka_unit_test(test_determinants), cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_pad),          cmocka_unit_test(test_deformable_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
