/* Products of constants that are not folded (C3 of docs/ir.md), or not yet.
 *
 * Learned queries and tables of positions make products constants where lengths are numbers, but
 * not where they are symbols, and what is fused must not depend on that. So attention is left to
 * the run, and rows that meet a matrix of weights wait until the product has become `linear`, with
 * its bias and activation:
 *
 *     matmul %positions, %w        waits; folded as soon as it is `linear`
 *     add %w, (matmul %a, %b)      is folded if products read it as weights
 *
 * Integers of 8 bits that meet others in a product wait for the pass that multiplies integers.
 */
#include "ir/ir.h"

#define DEPTH 6 /* operators between a product and the one that reads it as weights */

bool ir_is_attention(const Node *n) {
    return n->op == OP_attention ||
           (n->op == OP_matmul && n->inputs[0]->type.rank > 2 && n->inputs[1]->type.rank > 2);
}

static bool is_matrix_of_weights(const Value *v) {
    TnDType t = v->type.dtype;
    return v->type.rank == 2 && (t == TN_F32 || t == TN_F16 || t == TN_BF16);
}

/* Constants, or computed from nothing else, but for operand i. */
static bool others_are_known(const Node *n, int i) {
    for (int k = 0; k < n->input_count; k++) {
        const Value *v = k != i ? n->inputs[k] : NULL;
        if (!v || v->constant) continue;
        if (!v->node || !v->node->input_count) return false;
        for (int o = 0; o < v->node->input_count; o++)
            if (v->node->inputs[o] && !v->node->inputs[o]->constant) return false;
    }
    return true;
}

static bool is_read_as_weights(const Value *v, int depth) {
    for (int u = 0; u < v->use_count; u++) {
        const Node *n = v->uses[u].node;
        int i = v->uses[u].index;
        if (n->op == OP_matmul || n->op == OP_conv || n->op == OP_linear) {
            if (i == 1 && (v->type.rank == 2 || n->op != OP_matmul)) return true;
        } else if ((ir_op_info(n->op)->flags & (OPF_MOVE | OPF_ELEMENTWISE)) && depth < DEPTH &&
                   others_are_known(n, i) && is_read_as_weights(n->outputs[0], depth + 1)) {
            return true;
        }
    }
    return false;
}

/* More than one row: a single one may be the gain of a norm, or a bias. */
static bool has_rows(const Value *v) {
    for (int i = 0; i + 1 < v->type.rank; i++)
        if (!ex_is(v->type.dims[i], 1)) return true;
    return false;
}

bool ir_casts_weights(const Node *n) {
    if (n->op != OP_cast || !n->inputs[0]->constant || n->outputs[0]->type.dtype != TN_F32)
        return false;
    const Value *y = n->outputs[0];
    const TnDType t = n->inputs[0]->type.dtype;
    bool read = is_read_as_weights(y, 0);
    for (int u = 0; u < y->use_count; u++)
        read |= y->uses[u].node->op == OP_gather && y->uses[u].index == 0;
    return read && (t == TN_F16 || t == TN_BF16);
}

bool ir_awaits_linear(const Node *n) {
    return n->op == OP_matmul && !attr_bool(n, "ta") && is_matrix_of_weights(n->inputs[1]) &&
           has_rows(n->inputs[0]) && !is_read_as_weights(n->outputs[0], 0);
}

static bool is_8_bits_as_f32(const Node *n) {
    const TnDType t = n->op == OP_cast ? n->inputs[0]->type.dtype : TN_NONE;
    return (t == TN_I8 || t == TN_U8) && n->outputs[0]->type.dtype == TN_F32;
}

/* What scales, shifts or moves its first operand. */
static bool keeps_integers(const Node *n) {
    return n->op == OP_add || n->op == OP_sub || n->op == OP_mul || n->op == OP_view ||
           n->op == OP_transpose;
}

enum { MOST_KEPT = 8 }; /* such nodes behind one another */

static bool is_dequantised(const Value *v) {
    const Node *n = v->node;
    for (int i = 0; i < MOST_KEPT && n && keeps_integers(n); i++) n = n->inputs[0]->node;
    return n && is_8_bits_as_f32(n) && !n->inputs[0]->constant;
}

static bool meets_dequantised(const Value *v, int steps) {
    for (int i = 0; i < v->use_count && steps; i++) {
        const Node *n = v->uses[i].node;
        if (n->op == OP_matmul && v->uses[i].index == 1 && is_dequantised(n->inputs[0]))
            return true;
        if (keeps_integers(n) && v->uses[i].index == 0 &&
            meets_dequantised(n->outputs[0], steps - 1))
            return true;
    }
    return false;
}

bool ir_awaits_integers(const Node *n) {
    return is_8_bits_as_f32(n) && meets_dequantised(n->outputs[0], MOST_KEPT);
}
