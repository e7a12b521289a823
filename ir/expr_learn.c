/* What is known beyond algebra: replaced atoms, ranges of symbols, facts.
 *
 * An equation or inequality is *learnt* in the strongest form there is:
 *     symbol = e         the symbol is replaced, if there is a choice the one measured last, then
 *                        the least used one; never by what is measured later
 *     n // d = e         the quotient is replaced, never a symbol out of it (d not constant)
 *     min(c, s) = s      s <= c
 *     max(c, s) = s      c <= s
 *     s t .. = 1         s = 1, t = 1, ..: lengths are integers and not negative
 *     atom = e           any other atom with factor 1 or -1 is replaced
 *     s <= c             narrows the range of s
 *     anything else      one or two facts p >= 0
 *
 * Whatever is learnt starts a new generation, in which all earlier normal forms are out of date. A
 * replaced symbol leaves its range behind as facts. A replaced composite atom whose arguments
 * change later is equated again under its new form.
 */
#include "ir/expr_internal.h"

/* Facts are brought up to date with the old ones still in use, hence twice. */
void ex_new_generation(ExprCx *x) {
    for (int round = 0; round < 2; round++) {
        x->generation++;
        size_t kept = 0;
        for (size_t i = 0; i < x->fact_count; i++) {
            const Expr *f = ex_norm(x, x->facts[i]);
            if (!is_number(f)) x->facts[kept++] = f;
        }
        x->fact_count = kept;
    }
    x->generation++;
}

uint32_t ex_generation(const ExprCx *x) {
    return x->generation;
}

/* d with its content taken out; the sign stays. */
static const Expr *primitive(ExprCx *x, const Expr *d) {
    return poly_scale(x, d, rat_make(x, poly_denominator(x, d), poly_content(d, true)));
}

/* --- facts --- */

static void replace(ExprCx *x, const Atom *a, const Expr *value) {
    ((AtomNode *)a)->replacement = value;
    ex_new_generation(x);
}

bool learn_range(ExprCx *x, const Atom *symbol, int64_t min, int64_t max) {
    Symbol *s = &x->symbols[symbol->number]->pub;
    if (min < s->min) min = s->min;
    if (max > s->max) max = s->max;
    if (min > max) return false;
    if (min == s->min && max == s->max) return true;
    s->min = min;
    s->max = max;
    if (min == max)
        replace(x, symbol, poly_int(x, min));
    else
        ex_new_generation(x);
    return true;
}

static void add_fact(ExprCx *x, const Expr *p) {
    x->facts = arena_grow(&x->cx->arena, x->facts, &x->fact_capacity, x->fact_count + 1,
                          sizeof(*x->facts));
    x->facts[x->fact_count++] = p;
    ex_new_generation(x);
}

/* k*s + c >= 0 */
static bool narrow_by(ExprCx *x, const Atom *symbol, int64_t k, int64_t c) {
    if (c == INT64_MIN || k == INT64_MIN) return true;
    if (k < 0) return learn_range(x, symbol, INT64_MIN, floor_div_i64(c, -k));
    return learn_range(x, symbol, -floor_div_i64(c, k), INT64_MAX);
}

/* min(a, b) + r >= 0 is a + r >= 0 and b + r >= 0; -max(a, b) likewise. True if d had this form. */
static bool learn_each(ExprCx *x, const Expr *d, bool *ok) {
    for (int i = 0; i < d->count; i++) {
        const Term *t = &d->terms[i];
        if (t->degree != 1) continue;
        const Atom *a = t->atoms[0];
        if (a->kind != (t->coef.num < 0 ? ATOM_MAX : ATOM_MIN)) continue;
        *ok = true;
        for (int k = 0; k < a->arity && *ok; k++)
            *ok = learn_nonneg(x, poly_replace(x, d, a, a->args[k]));
        return true;
    }
    return false;
}

/* From now on d >= 0. False if that cannot be. */
bool learn_nonneg(ExprCx *x, const Expr *d) {
    bool ok;
    d = ex_norm(x, d);
    if (proven(x, d)) return true;
    const Expr *minus = poly_scale(x, d, (Rational){-1, 1});
    if (proven(x, poly_sub(x, minus, x->one))) return false;
    if (proven(x, minus)) return learn_zero(x, d);
    if (is_number(d)) return false;
    d = primitive(x, d);
    const Term *t = &d->terms[0];
    if (t->degree == 1 && t->atoms[0]->kind == ATOM_SYMBOL &&
        (d->count == 1 || (d->count == 2 && !d->terms[1].degree)))
        return narrow_by(x, t->atoms[0], t->coef.num, d->count == 2 ? d->terms[1].coef.num : 0);
    if (learn_each(x, d, &ok)) return ok;
    add_fact(x, d);
    return true;
}

/* --- equations d == 0 --- */

static bool contains(const Expr *e, const Atom *a);

static bool pred_contains(const Pred *p, const Atom *a) {
    if (p->expr && contains(p->expr, a)) return true;
    for (int i = 0; i < p->count; i++)
        if (pred_contains(p->args[i], a)) return true;
    return false;
}

/* Whether the atom occurs anywhere inside. */
static bool contains(const Expr *e, const Atom *a) {
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->terms[i].degree; k++) {
            const Atom *b = e->terms[i].atoms[k];
            if (a == b || (b->pred && pred_contains(b->pred, a))) return true;
            for (int n = 0; n < b->arity; n++)
                if (contains(b->args[n], a)) return true;
        }
    return false;
}

/* If term i of d is 1 or -1 times an atom: that atom, and what it equals if d is zero. NULL if the
 * atom also occurs elsewhere. */
static const Atom *solved_for(ExprCx *x, const Expr *d, int i, const Expr **value) {
    const Term *t = &d->terms[i];
    if (t->degree != 1 || t->coef.den != 1 || (t->coef.num != 1 && t->coef.num != -1)) return NULL;
    const Expr *rest = poly_drop_term(x, d, i);
    if (contains(rest, t->atoms[0])) return NULL;
    *value = poly_scale(x, rest, (Rational){-t->coef.num, 1});
    return t->atoms[0];
}

typedef enum Choice { QUOTIENTS, SYMBOLS, OTHERS } Choice;

static bool eligible(const Atom *a, Choice what) {
    int64_t c;
    switch (what) {
    case QUOTIENTS: return a->kind == ATOM_FLOORDIV && !ex_const(a->args[1], &c);
    case SYMBOLS: return a->kind == ATOM_SYMBOL;
    case OTHERS: break;
    }
    return a->kind != ATOM_SYMBOL && a->kind != ATOM_COORD && a->kind != ATOM_LOAD;
}

/* Whatever is computed before a symbol is measured must not come to mention it. */
static bool known_in_time(const Atom *a, const Expr *value) {
    return expr_node(value)->has.known_after <= atom_node(a)->has.known_after;
}

/* Whether a is the better atom to replace: the one measured last, then the symbol with fewer uses,
 * then the later one. */
static bool better(const ExprCx *x, const Atom *a, const Atom *b) {
    if (!b) return true;
    int32_t late = atom_node(a)->has.known_after, late_b = atom_node(b)->has.known_after;
    if (late != late_b) return late > late_b;
    int u = a->kind == ATOM_SYMBOL ? x->symbols[a->number]->uses : 0;
    int v = b->kind == ATOM_SYMBOL ? x->symbols[b->number]->uses : 0;
    return u != v ? u < v : a->id > b->id;
}

static const Atom *choose(ExprCx *x, const Expr *d, Choice what, const Expr **value) {
    const Atom *best = NULL;
    for (int i = 0; i < d->count; i++) {
        const Expr *v;
        const Atom *a = solved_for(x, d, i, &v);
        if (!a || !eligible(a, what) || !known_in_time(a, v) || !better(x, a, best)) continue;
        best = a;
        *value = v;
    }
    return best;
}

/* Replaced quotients and the like whose arguments have
 * changed since: their new forms have the same values. */
static bool equate_again(ExprCx *x) {
    for (size_t i = 0; i < x->replaced_count; i++) {
        const Atom *a = x->replaced[i];
        const Expr *now = ex_norm(x, atom_rebuilt(x, a));
        if (now == ex_norm(x, atom_expr(x, a))) continue;
        if (!learn_zero(x, ex_sub(x, now, atom_expr(x, a)))) return false;
    }
    return true;
}

static bool replace_symbol(ExprCx *x, const Atom *a, const Expr *value) {
    Symbol s = x->symbols[a->number]->pub;
    replace(x, a, value);
    if (!learn_nonneg(x, poly_sub(x, ex_norm(x, value), poly_int(x, s.min)))) return false;
    if (s.max == INT64_MAX) return true;
    return learn_nonneg(x, poly_sub(x, poly_int(x, s.max), ex_norm(x, value)));
}

static bool replace_atom(ExprCx *x, const Atom *a, const Expr *value) {
    if (a->kind == ATOM_SYMBOL) return replace_symbol(x, a, value) && equate_again(x);
    x->replaced = arena_grow(&x->cx->arena, x->replaced, &x->replaced_capacity,
                             x->replaced_count + 1, sizeof(*x->replaced));
    x->replaced[x->replaced_count++] = a;
    Interval range = atom_bounds(x, a);
    replace(x, a, value);
    if (range.lo == INT64_MIN) return true;
    return learn_nonneg(x, poly_sub(x, ex_norm(x, value), poly_int(x, range.lo)));
}

/* min(c, s) - s == 0 is s <= c; max(c, s) - s == 0 is c <= s. True if d had this form. */
static bool learn_extreme(ExprCx *x, const Expr *d, bool *ok) {
    for (int i = 0; i < d->count; i++) {
        const Expr *other;
        const Atom *a = solved_for(x, d, i, &other);
        if (!a || (a->kind != ATOM_MIN && a->kind != ATOM_MAX)) continue;
        for (int k = 0; k < a->arity; k++) {
            if (a->args[k] != other) continue;
            *ok = true;
            for (int n = 0; n < a->arity && *ok; n++) {
                const Expr *more = poly_sub(x, a->args[n], other);
                if (a->kind == ATOM_MAX) more = poly_scale(x, more, (Rational){-1, 1});
                *ok = learn_nonneg(x, more);
            }
            return true;
        }
    }
    return false;
}

/* s t .. - 1 == 0: each symbol is 1. True if d had this form. */
static bool learn_ones(ExprCx *x, const Expr *d, bool *ok) {
    if (d->count != 2 || d->terms[0].degree < 2 || d->terms[1].degree) return false;
    const Term *t = &d->terms[0];
    Rational k = t->coef, c = d->terms[1].coef;
    if ((k.num != 1 && k.num != -1) || k.den != 1 || c.den != 1 || c.num != -k.num) return false;
    for (int i = 0; i < t->degree; i++)
        if (t->atoms[i]->kind != ATOM_SYMBOL || x->symbols[t->atoms[i]->number]->pub.min < 0)
            return false;
    *ok = true;
    for (int i = 0; i < t->degree && *ok; i++)
        *ok = learn_zero(x, poly_sub(x, atom_expr(x, t->atoms[i]), x->one));
    return true;
}

/* From now on d == 0. False if that cannot be. */
bool learn_zero(ExprCx *x, const Expr *d) {
    bool ok;
    d = ex_norm(x, d);
    Ternary known = ex_equal(x, d, x->zero);
    if (known != UNKNOWN) return known == YES;
    d = primitive(x, d);
    const Expr *value;
    if (learn_ones(x, d, &ok)) return ok;
    const Atom *a = choose(x, d, QUOTIENTS, &value);
    if (!a && learn_extreme(x, d, &ok)) return ok;
    if (!a) a = choose(x, d, SYMBOLS, &value);
    if (!a) a = choose(x, d, OTHERS, &value);
    if (a) return replace_atom(x, a, value);
    add_fact(x, d);
    add_fact(x, ex_neg(x, d));
    return true;
}
