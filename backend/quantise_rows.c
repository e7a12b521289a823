/* Tables whose rows are what a model knows of tokens or places, and may be rounded like weights: of
 * the rows that are looked up, only sums are taken, and these are normalised or multiplied with
 * weights. A table of angles, masks or biases is read otherwise and stays as it is. */
#include "backend/quantise.h"

#define DEPTH 8 /* operators from a look-up to a norm or product */

static bool is_constant_step(const Node *n, const MapBody *m, int arg) {
    return arg >= n->input_count && m->steps[arg - n->input_count].op == OP_splat;
}

/* Sums, and factors that are written down. */
static bool is_sum(const Node *n) {
    const MapBody *m = attr_body(n, "body");
    for (int i = 0; i < m->count; i++) {
        const MapStep *s = &m->steps[i];
        bool scales = s->op == OP_mul &&
                      (is_constant_step(n, m, s->args[0]) || is_constant_step(n, m, s->args[1]));
        if (s->op != OP_add && s->op != OP_cast && s->op != OP_splat && !scales) return false;
    }
    return true;
}

static bool is_normalised_or_multiplied(OpKind op, int operand) {
    switch (op) {
    case OP_layer_norm:
    case OP_rms_norm:
    case OP_qkv: return operand == 0;
    case OP_add_norm: return operand < 2;
    case OP_linear: return operand == 0 || operand == 3;
    default: return false;
    }
}

static bool are_features(const Value *v, int depth) {
    if (depth == DEPTH || !v->use_count || ir_is_output(v)) return false;
    for (int i = 0; i < v->use_count; i++) {
        const Node *n = v->uses[i].node;
        int operand = v->uses[i].index;
        bool moved = operand == 0 && ir_op_info(n->op)->flags & OPF_MOVE;
        if (is_normalised_or_multiplied(n->op, operand)) continue;
        if (!moved && !(n->op == OP_map && is_sum(n))) return false;
        if (!are_features(n->outputs[0], depth + 1)) return false;
    }
    return true;
}

bool quantise_fits_rows(const Node *gather) {
    return gather->inputs[0]->type.dtype == TN_F32 && are_features(gather->outputs[0], 0);
}
