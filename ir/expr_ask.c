/* What an expression is, and what it mentions. Traits are joined when an object is made (expr.c),
 * so nothing here walks down.
 *
 *     ex_mentions(ex_add(x, s, ex_coord(x, 1, n)), ATOM_COORD) is true
 */
#include "ir/expr_internal.h"

bool ex_const(const Expr *e, int64_t *v) {
    if (e->count == 0) {
        *v = 0;
        return true;
    }
    if (e->count != 1 || e->terms[0].degree || e->terms[0].coef.den != 1) return false;
    *v = e->terms[0].coef.num;
    return true;
}

bool ex_is(const Expr *e, int64_t v) {
    int64_t c;
    return ex_const(e, &c) && c == v;
}

bool ex_is_integral(const Expr *e) {
    for (int i = 0; i < e->count; i++)
        if (e->terms[i].coef.den != 1) return false;
    return true;
}

const Atom *single_atom(const Expr *e) {
    if (e->count != 1 || e->terms[0].degree != 1) return NULL;
    Rational c = e->terms[0].coef;
    return c.num == 1 && c.den == 1 ? e->terms[0].atoms[0] : NULL;
}

const Symbol *ex_as_symbol(const ExprCx *x, const Expr *e) {
    const Atom *a = single_atom(e);
    return a && a->kind == ATOM_SYMBOL ? &x->symbols[a->number]->pub : NULL;
}

static bool mentions_axis(const Traits *t, int axis) {
    return t->axes >> (axis < 63 ? axis : 63) & 1;
}

bool ex_mentions(const Expr *e, AtomKind kind) {
    return expr_node(e)->has.kinds >> kind & 1;
}

bool ex_mentions_coord(const Expr *e, int axis) {
    return mentions_axis(&expr_node(e)->has, axis);
}

bool ex_mentions_measured(const Expr *e) {
    return expr_node(e)->has.known_after > 0;
}

bool pr_mentions(const Pred *p, AtomKind kind) {
    return pred_node(p)->has.kinds >> kind & 1;
}

bool pr_mentions_coord(const Pred *p, int axis) {
    return mentions_axis(&pred_node(p)->has, axis);
}

int ex_size(const Expr *e) {
    return expr_node(e)->has.size;
}

int pr_size(const Pred *p) {
    return pred_node(p)->has.size;
}
