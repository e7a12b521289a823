/* What biases of attention are made of: see attention.h. */
#include "passes/attention.h"

#include <math.h>

#define BIAS_STEPS 32

static bool is_table(const Constant *c) {
    int64_t count = 1;
    if (!tn_is_float(c->dtype)) return false;
    for (int i = 0; i < c->rank; i++) count *= c->dims[i];
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(ir_element_f64(c->dtype, c->data, i)) < BIAS_BELOW)) return false;
    return true;
}

Bias attention_bias(const Value *v) {
    for (int steps = 0; steps < BIAS_STEPS; steps++) {
        const Node *n = v->node;
        if (v->constant) return is_table(v->constant) ? BIAS_TABLE : BIAS_MAY_MASK;
        if (n && n->op == OP_matmul) return BIAS_SCORES; /* no mask, as little as other scores */
        bool moves = n && ir_op_info(n->op)->flags & OPF_MOVE && n->op != OP_pad &&
                     n->op != OP_concat && n->op != OP_gather_nd;
        if (!moves) return BIAS_MAY_MASK;
        v = n->inputs[0];
    }
    return BIAS_MAY_MASK;
}
