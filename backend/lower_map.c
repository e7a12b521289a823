/* Lowering of map: its body becomes the instruction's program. */
#include "backend/lower_ops.h"

#include <string.h>

static TnMapOp map_op(Lower *lo, OpKind op) {
    switch (op) {
    case OP_splat: return TN_MAP_CONST;
#define X(upper, lower, ...) \
    case OP_##lower: return TN_MAP_##upper;
        TN_MAP_OPERATORS(X)
#undef X
    default: break;
    }
    tn_fail(lo->cx, TN_E_UNSUPPORTED, "operator '%s' cannot be a step of a map",
            ir_op_info(op)->name);
}

static int arity(OpKind op) {
    return op == OP_splat ? 0 : ir_op_info(op)->max_inputs;
}

/* The type operands are read in: that of the last one (a condition comes first). */
static TnDType argument_type(const Node *n, const MapStep *s) {
    int last = arity(s->op) - 1;
    if (last < 0) return s->dtype;
    int r = s->args[last];
    return r < n->input_count ? n->inputs[r]->type.dtype
                              : attr_body(n, "body")->steps[r - n->input_count].dtype;
}

void lower_map(Lower *lo, Node *n) {
    const MapBody *body = attr_body(n, "body");
    size_t bytes = sizeof(ParamsMap) + (size_t)body->count * sizeof(TnMapStep);
    ParamsMap *p = arena_alloc(&lo->cx->arena, bytes);
    p->steps = (uint32_t)body->count;
    for (int i = 0; i < body->count; i++) {
        const MapStep *s = &body->steps[i];
        TnMapStep *t = &p->step[i];
        *t = (TnMapStep){.op = (uint8_t)map_op(lo, s->op),
                         .dtype = (uint8_t)s->dtype,
                         .arg_dtype = (uint8_t)argument_type(n, s),
                         .value = s->value,
                         .integer = s->integer};
        for (int k = 0; k < arity(s->op); k++) t->args[k] = (uint8_t)s->args[k];
    }
    const Value *walked[TN_MAX_MAP_INPUTS + 1];
    View v[TN_MAX_MAP_INPUTS + 1];
    memcpy(walked, n->inputs, (size_t)n->input_count * sizeof *walked);
    walked[n->input_count] = n->outputs[0];
    lower_walked(lo, n->input_count, 1, walked, false, v);
    IntList order; /* as the result lies, so that loops run along it */
    view_order(lo, &v[n->input_count], &order);
    for (int i = 0; i <= n->input_count; i++) v[i] = view_permute(&v[i], &order);
    lower_emit_boxes(lo, TN_OP_map, n->input_count, v, 1, v + n->input_count, ~0u, p,
                     (uint32_t)bytes);
}
