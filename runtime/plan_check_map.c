/* Verification of programs of map: each step has an operation for its types, and operands that come
 * before it and have the type that it says. The program's length was checked.
 *
 *     f32 x, f32 bias:  r2 = ADD r0 r1 (f32 -> f32); r3 = GELU r2 (f32 -> f32); the result is f32
 */
#include "runtime/params.h"
#include "runtime/runtime.h"

/* What the words for types in TN_MAP_OPS ask of a step. */
#define TYPES_CONSTANT true
#define TYPES_CAST     true
#define TYPES_ANY      (from == to)
#define TYPES_SELECT   (from == to)
#define TYPES_FLOATS   (from == to && tn_is_float(from))
#define TYPES_COMPARE  (to == TN_BOOL)
#define TYPES_LOGIC    (from == TN_BOOL && to == TN_BOOL)
#define TYPES_BITS     (from == to && tn_is_int(from))

static bool map_types_ok(const TnMapStep *s) {
    TnDType from = (TnDType)s->arg_dtype, to = (TnDType)s->dtype;
    switch (s->op) {
#define X(upper, lower, number, operands, types) \
    case TN_MAP_##upper: return TYPES_##types;
        TN_MAP_OPS(X)
#undef X
    default: return false;
    }
}

bool plan_check_map(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsMap *p = record;
    uint8_t types[TN_MAX_MAP_INPUTS + TN_MAX_MAP_STEPS];
    for (int k = 0; k < i->inputs; k++) types[k] = plan_operand(c->plan, i, k)->dtype;
    for (uint32_t k = 0; k < p->steps; k++) {
        const TnMapStep *s = &p->step[k];
        uint32_t registers = i->inputs + k;
        int arity = tn_map_operands(s->op);
        if (arity < 0) return plan_invalid(c, "map: step %u: operation %d", k, s->op);
        if (!tn_dtype_size((TnDType)s->dtype) || (arity && !tn_dtype_size((TnDType)s->arg_dtype)) ||
            !map_types_ok(s))
            return plan_invalid(c, "map: step %u: operation %d from type %d to %d", k, s->op,
                                s->arg_dtype, s->dtype);
        for (int a = 0; a < arity; a++) {
            uint8_t wanted = s->op == TN_MAP_WHERE && a == 0 ? TN_BOOL : s->arg_dtype;
            if (s->args[a] >= registers || types[s->args[a]] != wanted)
                return plan_invalid(
                    c, "map: step %u: operand %d is register %d, not defined or of another type", k,
                    a, s->args[a]);
        }
        types[registers] = s->dtype;
    }
    uint8_t given = plan_operand(c->plan, i, i->inputs)->dtype,
            result = types[i->inputs + p->steps - 1];
    return given == result ||
           plan_invalid(c, "map: the result is %s, its operand %s", tn_dtype_name((TnDType)result),
                        tn_dtype_name((TnDType)given));
}
