/* All passes over large graphs of one kind of node each: work must grow with the number of nodes,
 * not with its square, chains must not be followed by recursion, and what is left must be sound and
 * canonical. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>
#include "ir/build.h"
#include "passes/pass.h"

#define NODES   20000
#define SECONDS 10 /* far more than it takes: quadratic work would take minutes */

typedef struct Growing {
    Graph *g;
    ExprCx *x;
    const Expr *dims[3]; /* b, s, 8 */
    Value *input, *weight, *vector;
} Growing;

/* The next value of the chain. */
typedef Value *Grow(Growing *a, Value *v, int i);

static Value *grow_transpose(Growing *a, Value *v, int i) {
    (void)i;
    return ir_transpose(a->g, v, (int[]){1, 0, 2});
}

static Value *grow_view(Growing *a, Value *v, int i) {
    const Expr *flat[2] = {ex_mul(a->x, a->dims[0], a->dims[1]), a->dims[2]};
    return i % 2 ? ir_view(a->g, v, 3, a->dims) : ir_view(a->g, v, 2, flat);
}

static Value *grow_unary(Growing *a, Value *v, int i) {
    return ir_unary(a->g, i % 2 ? OP_tanh : OP_abs, v);
}

static Value *grow_zero(Growing *a, Value *v, int i) {
    (void)i;
    return ir_binary(a->g, OP_add, v, ir_scalar(a->g, TN_F32, 0));
}

static Value *grow_linear(Growing *a, Value *v, int i) {
    (void)i;
    return ir_binary(a->g, OP_add, ir_matmul(a->g, v, a->weight, false, false), a->vector);
}

static Value *grow_splat(Growing *a, Value *v, int i) {
    return ir_binary(a->g, OP_mul, v, ir_splat(a->g, TN_F32, 3, a->dims, i + 2));
}

/* Every sum has an operand of its own: more than a program takes. */
static Value *grow_range(Growing *a, Value *v, int i) {
    const Expr *one = ex_int(a->x, 1);
    Value *r = ir_iota(a->g, TN_I64, a->dims[1], ex_int(a->x, i), one);
    Value *f = ir_view(a->g, ir_cast(a->g, r, TN_F32), 3, (const Expr *[]){one, a->dims[1], one});
    return ir_binary(a->g, OP_add, v, f);
}

static Value *grow_residual(Growing *a, Value *v, int i) {
    (void)i;
    Value *s = ir_binary(a->g, OP_add, v, ir_matmul(a->g, v, a->weight, false, false));
    return ir_layer_norm(a->g, s, a->vector, a->vector, 1e-5);
}

static Value *grow_attention(Growing *a, Value *v, int i) {
    (void)i;
    Value *q = ir_matmul(a->g, v, a->weight, false, false);
    Value *s =
        ir_binary(a->g, OP_mul, ir_matmul(a->g, q, v, false, true), ir_scalar(a->g, TN_F32, 0.5));
    return ir_matmul(a->g, ir_softmax(a->g, s, -1), v, false, false);
}

/* Doubles: as many paths as there are numbers of this many bits. */
static Value *grow_double(Growing *a, Value *v, int i) {
    return ir_binary(a->g, i % 2 ? OP_add : OP_mul, v, v);
}

/* --- running --- */

static Graph *grown(Cx *cx, Grow *grow) {
    Module *m = ir_module_new(cx);
    float numbers[64] = {1, 2, 3};
    Growing a = {.g = ir_graph_new(m, "main"), .x = m->ex};
    a.dims[0] = ex_symbol(a.x, "b");
    a.dims[1] = ex_symbol(a.x, "s");
    a.dims[2] = ex_int(a.x, 8);
    a.input = ir_input(a.g, "x", TN_F32, 3, a.dims, INPUT_REQUIRED);
    a.weight = ir_tensor(a.g, "w", TN_F32, 2, (int64_t[]){8, 8}, numbers);
    a.vector = ir_tensor(a.g, "v", TN_F32, 1, (int64_t[]){8}, numbers);
    Value *v = a.input;
    for (int i = 0; a.g->node_count < NODES && i < NODES; i++) v = grow(&a, v, i);
    ir_output(a.g, "y", v);
    return a.g;
}

static void run_passes(void **state) {
    Grow *const *grow = *state;
    Cx cx;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed)) fail_msg("%s", cx.message);
    Graph *g = grown(&cx, *grow);
    Report r;
    report_init(&r, &cx);
    clock_t start = clock();
    passes_run(g->module, &r, "fuse_norm");
    assert_null(ir_verify_canonical(g));
    passes_run(g->module, &r, NULL);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < SECONDS);
    assert_null(ir_verify(g));
    cx_free(&cx);
}

int main(void) {
    static Grow *const kinds[] = {grow_transpose, grow_view,  grow_unary, grow_zero,
                                  grow_linear,    grow_splat, grow_range, grow_residual,
                                  grow_attention, grow_double};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    struct CMUnitTest tests[KINDS];
    for (int i = 0; i < KINDS; i++)
        tests[i] = (struct CMUnitTest){"large graph", run_passes, NULL, NULL,
                                       (void *)(uintptr_t)&kinds[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
