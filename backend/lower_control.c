/* Lowering of what only a run can tell: measured lengths, branches and loops.
 *
 * Operands are dense, because other functions take them as inputs; results are buffers of the
 * node's types. The scalars are the lengths that the instruction finds: those that are symbols
 * become known there, so nothing that mentions them may be moved before it. */
#include "backend/lower_ops.h"

static void set_scalars(Lower *lo, LInstr *i, const ExprList *list) {
    const Expr **scalars = ARENA_ARRAY(&lo->cx->arena, const Expr *, (size_t)list->count + 1);
    for (int k = 0; k < list->count; k++) scalars[k] = ex_norm(lo->x, list->e[k]);
    i->scalars = scalars;
    i->scalar_count = list->count;
}

void lower_measure(Lower *lo, Node *n) {
    View x = lower_dense(lo, n->inputs[0]);
    ParamsNone none = {0};
    set_scalars(lo, lower_emit(lo, TN_OP_measure, 1, &x, 0, NULL, &none, sizeof none),
                attr_exprs(n, "symbols"));
    lower_set(lo, n->outputs[0], x);
}

static uint32_t function_of(const Lower *lo, const Graph *g) {
    uint32_t i = 0;
    while (lo->im->functions_of[i] != g) i++;
    return i;
}

static void emit_control(Lower *lo, Node *n, TnOpcode kind, const void *params, uint32_t bytes) {
    if (n->input_count > TN_MAX_OPERANDS || n->output_count > TN_MAX_OPERANDS)
        tn_fail(lo->cx, TN_E_LIMIT, "%d operands and %d results: more than %d", n->input_count,
                n->output_count, TN_MAX_OPERANDS);
    View *in = ARENA_ARRAY(&lo->cx->arena, View, (size_t)n->input_count + 1),
         *out = ARENA_ARRAY(&lo->cx->arena, View, (size_t)n->output_count + 1);
    for (int i = 0; i < n->input_count; i++) in[i] = lower_dense(lo, n->inputs[i]);
    for (int i = 0; i < n->output_count; i++) out[i] = lower_result(lo, n->outputs[i]);
    LInstr *instr = lower_emit(lo, kind, n->input_count, in, n->output_count, out, params, bytes);
    set_scalars(lo, instr, attr_exprs(n, "dims"));
}

void lower_if(Lower *lo, Node *n) {
    ParamsIf p = {.then_function = function_of(lo, attr_graph(n, "then")),
                  .else_function = function_of(lo, attr_graph(n, "else"))};
    emit_control(lo, n, TN_OP_if, &p, sizeof p);
}

void lower_loop(Lower *lo, Node *n) {
    ParamsLoop p = {.body = function_of(lo, attr_graph(n, "body")),
                    .carried = (uint32_t)attr_int(n, "carried")};
    emit_control(lo, n, TN_OP_loop, &p, sizeof p);
}
