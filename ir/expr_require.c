/* Requirements: recorded as they were found, then learnt (expr_learn.c).
 *
 *     b*s == b*t             is required as s == t
 *     s == min(s, c)         is required as s <= c
 */
#include "ir/expr_internal.h"

const Expr *ex_declared(ExprCx *x, const Symbol *s) {
    (void)x;
    return ((const AtomNode *)s->atom)->itself;
}

const Requirement *ex_requirements(const ExprCx *x) {
    return x->requirements;
}

void ex_note_use(ExprCx *x, const char *symbol) {
    ex_symbol(x, symbol);
    int i = ex_find_symbol(x, symbol)->atom->number;
    x->symbols[i]->uses++;
}

static void record(ExprCx *x, RelationKind kind, const Expr *left, const Expr *right,
                   const char *origin) {
    for (const Requirement *r = x->requirements; r; r = r->next)
        if (r->kind == kind && r->left == left && r->right == right) return;
    Requirement *r = ARENA_NEW(&x->cx->arena, Requirement);
    *r = (Requirement){.kind = kind, .left = left, .right = right};
    if (origin) r->origin = arena_strdup(&x->cx->arena, origin);
    if (x->last_requirement)
        x->last_requirement->next = r;
    else
        x->requirements = r;
    x->last_requirement = r;
}

/* Requirements are checked when shapes are bound, so they are over symbols. */
static void check_static(ExprCx *x, const Expr *e) {
    if (ex_mentions(e, ATOM_COORD) || ex_mentions(e, ATOM_LOAD))
        tn_fail(x->cx, TN_E_UNSUPPORTED, "a size that depends on data must meet another: %s",
                ex_text(x, e));
}

/* b*s == b*t is required as s == t: for b = 0 there are no elements whose place could differ. */
static void cancel_common(ExprCx *x, const Expr **a, const Expr **b) {
    if ((*a)->count == 0 || (*b)->count == 0) return;
    const Mono *m = poly_common(x, *a, *b);
    if (!m->degree) return;
    const Expr *common = poly_term(x, (Rational){1, 1}, m);
    const Expr *left = ex_exact_div(x, *a, common), *right = ex_exact_div(x, *b, common);
    if (!left || !right) return;
    *a = left;
    *b = right;
}

/* s + n == t + n is s == t. */
static void drop_common_terms(ExprCx *x, const Expr **a, const Expr **b) {
    for (int i = 0; i < (*a)->count; i++) {
        const Expr *term = poly_sub(x, *a, poly_drop_term(x, *a, i));
        const Expr *left = poly_sub(x, *a, term), *right = poly_sub(x, *b, term);
        if (right->count >= (*b)->count || !left->count || !right->count) continue;
        *a = left;
        *b = right;
        i--;
    }
}

/* s == min(s, c) reads better as s <= c. */
static bool record_extreme(ExprCx *x, const Expr *a, const Expr *b, const char *origin) {
    const Atom *m = single_atom(a);
    if (!m || (m->kind != ATOM_MIN && m->kind != ATOM_MAX)) return false;
    bool member = false;
    for (int i = 0; i < m->arity; i++) member = member || m->args[i] == b;
    if (!member) return false;
    for (int i = 0; i < m->arity; i++) {
        const Expr *o = m->args[i];
        if (o == b) continue;
        record(x, REL_LE, m->kind == ATOM_MIN ? b : o, m->kind == ATOM_MIN ? o : b, origin);
    }
    return true;
}

bool ex_require_eq(ExprCx *x, const Expr *a, const Expr *b, const char *origin) {
    const Expr *u = ex_norm(x, a), *v = ex_norm(x, b);
    Ternary known = ex_equal(x, u, v);
    if (known != UNKNOWN) return known == YES;
    check_static(x, u);
    check_static(x, v);
    drop_common_terms(x, &u, &v);
    cancel_common(x, &u, &v);
    if (!record_extreme(x, u, v, origin) && !record_extreme(x, v, u, origin))
        record(x, REL_EQ, u, v, origin);
    return learn_zero(x, ex_sub(x, u, v));
}

bool ex_require_le(ExprCx *x, const Expr *a, const Expr *b, const char *origin) {
    const Expr *u = ex_norm(x, a), *v = ex_norm(x, b);
    Ternary known = ex_ge(x, v, u);
    if (known != UNKNOWN) return known == YES;
    check_static(x, u);
    check_static(x, v);
    record(x, REL_LE, u, v, origin);
    return learn_nonneg(x, ex_sub(x, v, u));
}

void ex_set_range(ExprCx *x, const char *name, int64_t min, int64_t max) {
    const Expr *now = ex_symbol(x, name);
    const Atom *symbol = ex_find_symbol(x, name)->atom;
    bool ok = min <= max;
    if (now == atom_node(symbol)->itself)
        ok = ok && learn_range(x, symbol, min, max);
    else
        ok = ok && learn_nonneg(x, ex_sub(x, now, poly_int(x, min))) &&
             (max == INT64_MAX || learn_nonneg(x, ex_sub(x, poly_int(x, max), ex_norm(x, now))));
    if (!ok) tn_fail(x->cx, TN_E_MODEL, "no value of %s is left", name);
}
