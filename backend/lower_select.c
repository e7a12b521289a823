/* Lowering of operators that write at positions from data, order and select. */
#include "backend/lower_ops.h"

#include <string.h>

static uint32_t scatter_reduction(const Node *n) {
    static const char *const names[] = {
#define X(upper, lower, number) #lower,
        TN_SCATTERS(X)
#undef X
    };
    uint32_t i = 0;
    while (strcmp(names[i], attr_string(n, "reduction")) != 0) i++;
    return i;
}

/* The index tensor may repeat along an axis: a position per row costs no more than that. */
static void emit_scatter(Lower *lo, Node *n, TnOpcode kind, int axis) {
    View in[3] = {lower_dense(lo, n->inputs[0]), lower_operand(lo, n->inputs[1]),
                  lower_operand(lo, n->inputs[2])};
    View out = lower_result(lo, n->outputs[0]);
    ParamsScatter p = {.axis = (uint32_t)axis, .reduction = scatter_reduction(n)};
    lower_emit(lo, kind, 3, in, 1, &out, &p, sizeof p);
}

void lower_scatter_elements(Lower *lo, Node *n) {
    emit_scatter(lo, n, TN_OP_scatter_elements,
                 ir_axis(lo->im->module, attr_int(n, "axis"), n->inputs[0]->type.rank));
}

void lower_scatter_nd(Lower *lo, Node *n) {
    emit_scatter(lo, n, TN_OP_scatter_nd, 0);
}

void lower_topk(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]);
    View out[2] = {lower_result(lo, n->outputs[0]), lower_result(lo, n->outputs[1])};
    ParamsTopk p = {.axis = (uint32_t)ir_axis(lo->im->module, attr_int(n, "axis"), x.rank),
                    .flags = attr_bool(n, "smallest") ? TN_TOPK_SMALLEST : 0};
    lower_emit(lo, TN_OP_topk, 1, &x, 2, out, &p, sizeof p);
}

void lower_nonzero(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    ParamsNone p = {0};
    lower_emit(lo, TN_OP_nonzero, 1, &x, 1, &out, &p, sizeof p);
}

void lower_unique(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]), out[4];
    for (int i = 0; i < 4; i++) out[i] = lower_result(lo, n->outputs[i]);
    ParamsUnique p = {.axis = (uint32_t)ir_axis(lo->im->module, attr_int(n, "axis"), x.rank),
                      .unsorted = attr_bool(n, "unsorted")};
    lower_emit(lo, TN_OP_unique, 1, &x, 4, out, &p, sizeof p);
}

void lower_nms(Lower *lo, Node *n) {
    View in[5] = {lower_operand(lo, n->inputs[0]), lower_operand(lo, n->inputs[1]),
                  lower_dense(lo, n->inputs[2]), lower_dense(lo, n->inputs[3]),
                  n->input_count > 4 ? lower_dense(lo, n->inputs[4]) : view_absent()};
    View out[2] = {lower_result(lo, n->outputs[0]), lower_result(lo, n->outputs[1])};
    ParamsNms p = {.center = attr_bool(n, "center")};
    lower_emit(lo, TN_OP_nms, in[4].buffer == TN_NO_ID ? 4 : 5, in, 2, out, &p, sizeof p);
}
