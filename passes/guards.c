/* Side conditions of rules: each says why it does not hold. */
#include "passes/rules.h"

#include <float.h>

/* One number per element of the last axis, whatever axes of length 1 are in front. */
static bool is_vector(const Value *v, const Expr *length) {
    int last = v->type.rank - 1;
    for (int i = 0; i < last; i++)
        if (!ex_is(v->type.dims[i], 1)) return false;
    return last >= 0 && v->type.dims[last] == length;
}

GUARD(epsilon_fits) {
    double e = -1;
    ir_constant_float(match_var(rule, m, "e"), &e);
    *why = "epsilon is negative or too large";
    return e >= 0 && e <= (double)FLT_MAX;
}

/* The gain (and bias) of a norm has one number per element of the last axis. */
GUARD(gain_is_vector) {
    const Value *x = match_var(rule, m, "x"), *g = match_var(rule, m, "g"),
                *b = match_var(rule, m, "b");
    const Expr *width = x->type.rank ? x->type.dims[x->type.rank - 1] : NULL;
    *why = "gain or bias is no vector over the last axis";
    return width && is_vector(g, width) && (!b || is_vector(b, width));
}

/* What is computed in f32 ends in the type that it began with. */
GUARD(rounds_back) {
    TnDType t = match_var(rule, m, "x")->type.dtype;
    *why = "the result has another type";
    return t == m->nodes[0]->outputs[0]->type.dtype && t != TN_F64;
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
    return is_vector(b, w->type.dims[transposed->b ? 0 : 1]);
}
