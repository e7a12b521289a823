/* Side conditions of rules: each says why it does not hold. */
#include "passes/rules.h"

/* The gain (and bias) of a norm has one number per element of the last axis. */
GUARD(gain_is_vector) {
    const Value *x = match_var(rule, m, "x"), *g = match_var(rule, m, "g"),
                *b = match_var(rule, m, "b");
    const Expr *width = x->type.rank ? x->type.dims[x->type.rank - 1] : NULL;
    *why = "gain or bias is no vector over the last axis";
    if (!width || g->type.rank != 1 || g->type.dims[0] != width) return false;
    return !b || (b->type.rank == 1 && b->type.dims[0] == width);
}

GUARD(weight_is_matrix) {
    const Value *w = match_var(rule, m, "w");
    TnDType t = w->type.dtype;
    *why = "the weight is no matrix of f32, f16 or bf16";
    return w->type.rank == 2 && (t == TN_F32 || t == TN_F16 || t == TN_BF16);
}

GUARD(bias_is_vector) {
    const Value *b = match_var(rule, m, "b");
    const Value *w = match_var(rule, m, "w");
    const Attr *transposed = &m->attrs[0];
    *why = "the bias is no vector over the last axis";
    if (b->type.rank < 1 || b->type.dims[b->type.rank - 1] != w->type.dims[transposed->b ? 0 : 1])
        return false;
    return b->type.rank == 1;
}
