/* Types: dims that must agree, broadcasting, text.
 *
 * Two lengths that nothing proves different are made equal by a requirement (expr.h), named after
 * the innermost node of the context, or the node being inserted. */
#include "ir/ir.h"

#include <string.h>
#include "ir/infer.h"

static const char *requirement_origin(const Module *m) {
    const Cx *cx = m->cx;
    int depth = cx->depth < TN_CONTEXT_DEPTH ? cx->depth : TN_CONTEXT_DEPTH;
    for (int i = depth - 1; i >= 0; i--)
        if (strcmp(cx->context[i].kind, "node") == 0 && cx->context[i].name)
            return cx->context[i].name;
    return m->origin;
}

bool ir_same_dims(const Type *a, const Type *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

bool ir_static_dims(const Type *t, int64_t *dims) {
    for (int i = 0; i < t->rank; i++)
        if (!ex_const(t->dims[i], &dims[i])) return false;
    return true;
}

const Expr *ir_elements(Module *m, const Type *t) {
    return ex_product(m->ex, t->dims, t->rank);
}

const char *ir_type_text(Module *m, const Type *t) {
    Arena *a = &m->cx->arena;
    const char *s = arena_printf(a, "%s[", tn_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        s = arena_printf(a, "%s%s%s", s, i ? ", " : "", ex_text(m->ex, t->dims[i]));
    return arena_printf(a, "%s]", s);
}

int ir_axis(Module *m, int64_t axis, int rank) {
    if (axis < -rank || axis >= rank)
        tn_fail(m->cx, TN_E_MODEL, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    return (int)(axis < 0 ? axis + rank : axis);
}

/* Whether a and b are equal, or can be required to be. */
static bool unify(Module *m, const Expr *a, const Expr *b) {
    switch (ex_equal(m->ex, a, b)) {
    case YES: return true;
    case NO: return false;
    default: return ex_require_eq(m->ex, a, b, requirement_origin(m));
    }
}

const Expr *ir_same_dim(Module *m, const Expr *a, const Expr *b, const char *what) {
    a = ex_norm(m->ex, a);
    b = ex_norm(m->ex, b);
    if (a == b) return a;
    if (!unify(m, a, b))
        tn_fail(m->cx, TN_E_MODEL, "%s differ, %s and %s", what, ex_text(m->ex, a),
                ex_text(m->ex, b));
    return ex_norm(m->ex, a);
}

/* NULL if they do not broadcast. */
static const Expr *broadcast_dim(Module *m, const Expr *a, const Expr *b) {
    a = ex_norm(m->ex, a);
    b = ex_norm(m->ex, b);
    if (a == b || ex_is(b, 1)) return a;
    if (ex_is(a, 1)) return b;
    return unify(m, a, b) ? ex_norm(m->ex, a) : NULL;
}

const Expr *ir_broadcast_dim(Module *m, const Expr *a, const Expr *b) {
    const Expr *d = broadcast_dim(m, a, b);
    if (!d)
        tn_fail(m->cx, TN_E_MODEL, "dimensions %s and %s do not broadcast", ex_text(m->ex, a),
                ex_text(m->ex, b));
    return d;
}

void ir_broadcast(Module *m, const Type *a, const Type *b, Type *out) {
    int rank = a->rank > b->rank ? a->rank : b->rank;
    Type result = {.dtype = out->dtype, .rank = rank};
    for (int i = 0; i < rank; i++) {
        int j = i - (rank - a->rank), k = i - (rank - b->rank);
        if (j < 0 || k < 0) {
            result.dims[i] = ex_norm(m->ex, j < 0 ? b->dims[k] : a->dims[j]);
            continue;
        }
        result.dims[i] = broadcast_dim(m, a->dims[j], b->dims[k]);
        if (!result.dims[i])
            tn_fail(m->cx, TN_E_MODEL, "%s and %s do not broadcast, dimensions %s and %s",
                    ir_type_text(m, a), ir_type_text(m, b), ex_text(m->ex, a->dims[j]),
                    ex_text(m->ex, b->dims[k]));
    }
    *out = result;
}

/* The term as an expression if it is made of symbols only, else NULL. */
static const Expr *symbolic_term(ExprCx *x, const Term *t) {
    const Expr *e = ex_rational(x, t->coef.num, t->coef.den);
    for (int i = 0; i < t->degree; i++) {
        if (t->atoms[i]->kind != ATOM_SYMBOL) return NULL;
        e = ex_mul(x, e, ex_symbol(x, ex_symbol_at(x, t->atoms[i]->number)->name));
    }
    return e;
}

/* `a <= b` is recorded without common terms and with few minus signs: past + seq <= total. */
bool infer_try_le(Module *m, const Expr *a, const Expr *b) {
    ExprCx *x = m->ex;
    const Expr *gap = ex_sub(x, ex_norm(x, b), ex_norm(x, a)), *left = ex_int(x, 0);
    if (ex_nonneg(x, gap)) return true;
    for (int i = 0; i < gap->count; i++) {
        const Expr *t = gap->terms[i].coef.num < 0 ? symbolic_term(x, &gap->terms[i]) : NULL;
        if (t) left = ex_sub(x, left, t);
    }
    return ex_require_le(x, left, ex_add(x, gap, left), requirement_origin(m));
}

void infer_require_le(Module *m, const Expr *a, const Expr *b, const char *what) {
    if (infer_try_le(m, a, b)) return;
    if (ex_is(a, 0)) tn_fail(m->cx, TN_E_MODEL, "%s: %s < 0", what, ex_text(m->ex, b));
    tn_fail(m->cx, TN_E_MODEL, "%s: %s > %s", what, ex_text(m->ex, a), ex_text(m->ex, b));
}
