/* Rule C4 of the canonical form, no identities: nothing gives back an operand as it is.
 *
 *     C4: adds 0: %1: f32[n] = add %x, %zero */
#include "ir/canonical.h"

static bool pads_nothing(const Node *n) {
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    for (int i = 0; i < before->count; i++)
        if (!ex_is(before->e[i], 0) || !ex_is(after->e[i], 0)) return false;
    return true;
}

static bool has_empty_operand(const Node *n) {
    int axis = ir_axis(n->graph->module, attr_int(n, "axis"), n->inputs[0]->type.rank);
    for (int i = 0; i < n->input_count; i++)
        if (ex_is(n->inputs[i]->type.dims[axis], 0)) return true;
    return false;
}

static bool rolls_nothing(const Node *n) {
    const DimList *starts = attr_dims(n, "starts");
    for (int i = 0; i < starts->count; i++)
        if (!ex_is(starts->e[i], 0)) return false;
    return true;
}

static bool reduces_nothing(const Node *n) {
    const IntList *axes = attr_ints(n, "axes");
    const Type *x = &n->inputs[0]->type;
    for (int i = 0; i < axes->count; i++)
        if (!ex_is(x->dims[ir_axis(n->graph->module, axes->v[i], x->rank)], 1)) return false;
    return true;
}

static const char *c4_move(const Node *n) {
    switch (n->op) {
    case OP_view:
    case OP_expand: return has_result_dims(n, n->inputs[0]) ? "the dims stay" : NULL;
    case OP_transpose: return ir_keeps_order(n) ? "nothing moves" : NULL;
    case OP_slice:
        return has_result_dims(n, n->inputs[0]) && attr_int(n, "step") == 1 ? "all is taken" : NULL;
    case OP_concat:
        if (n->input_count == 1) return "a single operand";
        return has_empty_operand(n) ? "an empty operand" : NULL;
    case OP_pad: return pads_nothing(n) ? "nothing is padded" : NULL;
    case OP_roll: return rolls_nothing(n) ? "nothing is shifted" : NULL;
    case OP_reduce_sum:
    case OP_reduce_mean:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_reduce_prod: return reduces_nothing(n) ? "nothing is reduced" : NULL;
    default: return NULL;
    }
}

/* Operand i is the number x and the other one is the result. */
static bool neutral(const Node *n, int i, double x) {
    return is_number(n->inputs[i], x) && has_result_dims(n, n->inputs[1 - i]);
}

const char *c4_identity(const Node *n) {
    double x;
    switch (n->op) {
    case OP_cast: return n->inputs[0]->type.dtype == n->outputs[0]->type.dtype ? "no cast" : NULL;
    case OP_add: return neutral(n, 0, 0) || neutral(n, 1, 0) ? "adds 0" : NULL;
    case OP_sub: return neutral(n, 1, 0) ? "subtracts 0" : NULL;
    case OP_mul: return neutral(n, 0, 1) || neutral(n, 1, 1) ? "multiplies by 1" : NULL;
    case OP_div:
    case OP_pow: return neutral(n, 1, 1) ? "a 1 on the right" : NULL;
    case OP_and:
    case OP_or:
    case OP_xor:
        for (int i = 0; i < 2; i++)
            if (ir_constant_float(n->inputs[i], &x) && has_result_dims(n, n->inputs[1 - i]))
                return "a constant operand";
        return NULL;
    case OP_where:
        if (n->inputs[1] == n->inputs[2] && has_result_dims(n, n->inputs[1]))
            return "equal branches";
        if (!ir_constant_float(n->inputs[0], &x)) return NULL;
        return has_result_dims(n, n->inputs[x ? 1 : 2]) ? "a constant condition" : NULL;
    case OP_neg:
    case OP_not: return ir_producer(n->inputs[0], n->op) ? "twice" : NULL;
    default: return c4_move(n);
    }
}
