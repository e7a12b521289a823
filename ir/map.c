/* Types of map programs. */
#include "ir/map.h"

TnDType map_step_type(const MapStep *s, const TnDType *types) {
    if (s->op == OP_splat || s->op == OP_cast) return TN_NONE;
    if (ir_op_info(s->op)->flags & OPF_BOOL) return TN_BOOL;
    return types[s->args[s->op == OP_where]];
}

bool map_is_bitwise(OpKind op) {
    switch (op) {
    case OP_bit_and:
    case OP_bit_or:
    case OP_bit_xor:
    case OP_bit_not:
    case OP_shift_left:
    case OP_shift_right: return true;
    default: return false;
    }
}

static bool is_logical(OpKind op) {
    return op == OP_and || op == OP_or || op == OP_xor || op == OP_not;
}

const char *map_check_step(const MapStep *s, const TnDType *types) {
    const OpInfo *info = ir_op_info(s->op);
    if (s->op != OP_splat && !(info->flags & OPF_ELEMENTWISE)) return "not an elementwise operator";
    if (s->dtype <= TN_NONE || s->dtype >= TN_DTYPE_COUNT) return "the type is missing";
    TnDType natural = map_step_type(s, types);
    if (natural && natural != s->dtype) return "the result has another type";
    if (s->op == OP_where && types[s->args[0]] != TN_BOOL) return "the condition is not bool";
    for (int i = s->op == OP_where; i < info->min_inputs; i++) {
        TnDType t = types[s->args[i]];
        if (t != types[s->args[s->op == OP_where]]) return "operands have different types";
        if (is_logical(s->op) && t != TN_BOOL) return "operands are not bool";
        if (map_is_bitwise(s->op) && !tn_is_int(t)) return "operands are not integers";
    }
    return NULL;
}

const char *map_check(const Node *n) {
    const MapBody *body = attr_body(n, "body");
    Arena *arena = &n->graph->module->cx->arena;
    int inputs = n->input_count;
    TnDType *types = ARENA_ARRAY(arena, TnDType, (size_t)(inputs + body->count));
    for (int i = 0; i < inputs; i++) types[i] = n->inputs[i]->type.dtype;
    for (int s = 0; s < body->count; s++) {
        const MapStep *step = &body->steps[s];
        for (int i = 0; i < ir_op_info(step->op)->min_inputs; i++)
            if (step->args[i] < 0 || step->args[i] >= inputs + s)
                return arena_printf(arena, "step t%d reads a later register", inputs + s);
        const char *wrong = map_check_step(step, types);
        if (wrong) return arena_printf(arena, "step t%d: %s", inputs + s, wrong);
        types[inputs + s] = step->dtype;
    }
    return NULL;
}
