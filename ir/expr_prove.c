/* Proofs. No solver: intervals, lower bounds, facts, and the bounds of atoms by other expressions
 * decide every comparison that real graphs need.
 *
 * proof(p) answers "p >= 0 for all values?". It tries, in this order:
 *     the interval of p;
 *     p written in a' = a - min(a) having no negative coefficient;
 *     a coordinate at the end of its axis that makes p smallest;
 *     p - k*f for a fact f >= 0 that cancels a term;
 *     an atom with a negative factor replaced by an upper bound, with a positive one by a lower
 *     bound, for example x//3 <= x/3;
 *     all arguments of a min, max, abs or where in turn.
 *
 * Steps are limited by depth and by fuel, so "not proven" is the answer to hard questions;
 * questions that come up while expressions are normalised have fuel of their own, but all together
 * no more than MAX_STEPS. A "no"
 * is remembered for questions from outside only: inside a proof it may mean that depth ran out.
 *
 *     seq*batch - i0*seq - i1 - 1 >= 0      i0 in [0, batch), i1 in [0, seq)
 */
#include "ir/expr_internal.h"

#define MAX_DEPTH 12
#define MAX_FUEL  400
#define MAX_STEPS 20000 /* of a question with all those that come up while it is answered */

static bool proof(ExprCx *x, const Expr *p, int depth);

/* A polynomial made in quiet mode proves nothing if its coefficients overflowed. */
static bool try(ExprCx *x, const Expr *p, int depth) {
    bool sound = !x->overflowed;
    x->overflowed = false;
    return sound && proof(x, p, depth);
}

static bool factors_nonneg(ExprCx *x, const Mono *m) {
    for (int i = 0; i < m->degree; i++)
        if (atom_bounds(x, m->atoms[i]).lo < 0) return false;
    return true;
}

/* With every atom measured from its lower bound, no negative coefficient is left. */
static bool nonneg_by_shift(ExprCx *x, const Expr *p) {
    for (int i = 0; i < p->count; i++)
        for (int k = 0; k < p->terms[i].degree; k++) {
            int64_t lo = atom_bounds(x, p->terms[i].atoms[k]).lo;
            if (lo == INT64_MIN || lo == INT64_MAX) return false;
        }
    const Expr *shifted = x->zero;
    for (int i = 0; i < p->count; i++) {
        const Term *t = &p->terms[i];
        const Expr *term = poly_term(x, t->coef, x->unit);
        for (int k = 0; k < t->degree; k++) {
            const Expr *atom = atom_node(t->atoms[k])->itself;
            int64_t lo = atom_bounds(x, t->atoms[k]).lo;
            term = poly_mul(x, term, poly_add(x, atom, poly_int(x, lo)));
        }
        shifted = poly_add(x, shifted, term);
    }
    bool sound = !x->overflowed;
    x->overflowed = false;
    for (int i = 0; i < shifted->count; i++)
        if (shifted->terms[i].coef.num < 0) return false;
    return sound;
}

/* The sum of what `a` is multiplied with; false if it occurs with a power. */
static bool coefficient_of(ExprCx *x, const Expr *p, const Atom *a, const Expr **factor) {
    *factor = x->zero;
    for (int i = 0; i < p->count; i++) {
        const Mono *m = mono_without(x, term_mono(&p->terms[i]), a);
        if (!m) continue;
        if (mono_without(x, m, a)) return false;
        *factor = poly_add(x, *factor, poly_term(x, p->terms[i].coef, m));
    }
    return true;
}

/* p is linear in a coordinate with a factor of known sign:
 * it is smallest at one end of the axis. */
static bool by_coordinate(ExprCx *x, const Expr *p, const Atom *a, int depth) {
    const Expr *factor;
    if (!coefficient_of(x, p, a, &factor)) return false;
    if (try(x, factor, depth + 1)) return try(x, poly_replace(x, p, a, x->zero), depth + 1);
    const Expr *minus = poly_scale(x, factor, (Rational){-1, 1});
    if (!try(x, minus, depth + 1)) return false;
    const Expr *last = poly_sub(x, a->args[0], x->one);
    return try(x, poly_replace(x, p, a, last), depth + 1);
}

/* p - k*m*f, where k*m*f has the term t of p with its sign; m is a product of atoms >= 0. */
static bool by_fact(ExprCx *x, const Expr *p, const Term *t, const Expr *fact, int depth) {
    for (int i = 0; i < fact->count; i++) {
        const Term *f = &fact->terms[i];
        if (!f->degree || (f->coef.num < 0) != (t->coef.num < 0)) continue;
        const Mono *m = mono_divide(x, term_mono(t), term_mono(f));
        if (!m || !factors_nonneg(x, m)) continue;
        Rational k = rat_div(x, t->coef, f->coef);
        const Expr *less = poly_mul(x, poly_term(x, k, m), fact);
        if (try(x, poly_sub(x, p, less), depth + 2)) return true;
    }
    return false;
}

static bool by_facts(ExprCx *x, const Expr *p, int depth) {
    for (int i = 0; i < p->count; i++) {
        if (!p->terms[i].degree) continue;
        for (size_t k = 0; k < x->fact_count; k++)
            if (by_fact(x, p, &p->terms[i], x->facts[k], depth)) return true;
    }
    return false;
}

/* A term of p, one of its atoms, and what the atom is multiplied with. */
typedef struct Place {
    const Expr *others; /* p without the term */
    Rational coef;
    const Mono *rest;
    const Atom *atom;
} Place;

static bool with_value(ExprCx *x, const Place *at, const Expr *value, int depth) {
    const Expr *term = poly_mul(x, poly_term(x, at->coef, at->rest), value);
    return try(x, poly_add(x, at->others, term), depth + 1);
}

/* d*(n//d) lies in [n - d + 1, n] for a one-term d > 0 that is a factor here. */
static bool by_quotient(ExprCx *x, const Place *at, int depth) {
    const Expr *n = at->atom->args[0], *d = at->atom->args[1];
    if (poly_bounds(x, d).lo < 0) return false;
    if (d->count == 1) {
        const Mono *rest = mono_divide(x, at->rest, term_mono(&d->terms[0]));
        if (rest) {
            Place whole = *at;
            whole.rest = rest;
            whole.coef = rat_div(x, at->coef, d->terms[0].coef);
            const Expr *low = poly_add(x, poly_sub(x, n, d), x->one);
            if (with_value(x, &whole, at->coef.num < 0 ? n : low, depth)) return true;
        }
    }
    return at->coef.num < 0 && !is_number(d) && try(x, n, depth + 1) && with_value(x, at, n, depth);
}

/* The atom replaced by something not smaller, since its factor is negative. */
static bool by_upper_bound(ExprCx *x, const Place *at, int depth) {
    const Atom *a = at->atom;
    switch (a->kind) {
    case ATOM_SYMBOL: {
        int64_t max = x->symbols[a->number]->pub.max;
        return max != INT64_MAX && with_value(x, at, poly_int(x, max), depth);
    }
    case ATOM_MIN:
        for (int i = 0; i < a->arity; i++)
            if (with_value(x, at, a->args[i], depth)) return true;
        return false;
    case ATOM_MOD:
        if (poly_bounds(x, a->args[1]).lo < 0) return false;
        if (with_value(x, at, poly_sub(x, a->args[1], x->one), depth)) return true;
        return try(x, a->args[0], depth + 1) && with_value(x, at, a->args[0], depth);
    case ATOM_BIT: return with_value(x, at, x->one, depth);
    case ATOM_FLOORDIV: return by_quotient(x, at, depth);
    default: return false;
    }
}

/* The atom replaced by something not larger, since its factor is positive. */
static bool by_lower_bound(ExprCx *x, const Place *at, int depth) {
    const Atom *a = at->atom;
    switch (a->kind) {
    case ATOM_MAX:
        for (int i = 0; i < a->arity; i++)
            if (with_value(x, at, a->args[i], depth)) return true;
        return false;
    case ATOM_ABS:
        return with_value(x, at, a->args[0], depth) ||
               with_value(x, at, poly_scale(x, a->args[0], (Rational){-1, 1}), depth);
    case ATOM_FLOORDIV: return by_quotient(x, at, depth);
    default: return false;
    }
}

/* The atom is one of its arguments, so it is enough that p >= 0 with each. */
static bool by_cases(ExprCx *x, const Expr *p, const Atom *a, int depth) {
    if (a->kind == ATOM_ABS) {
        const Expr *minus = poly_scale(x, a->args[0], (Rational){-1, 1});
        return try(x, poly_replace(x, p, a, a->args[0]), depth + 1) &&
               try(x, poly_replace(x, p, a, minus), depth + 1);
    }
    if (a->kind != ATOM_MIN && a->kind != ATOM_MAX && a->kind != ATOM_WHERE) return false;
    for (int i = 0; i < a->arity; i++)
        if (!try(x, poly_replace(x, p, a, a->args[i]), depth + 1)) return false;
    return true;
}

static bool by_atom(ExprCx *x, const Expr *p, int i, int k, int depth) {
    const Term *t = &p->terms[i];
    Place at = {.coef = t->coef, .atom = t->atoms[k]};
    uint32_t simple = 1u << ATOM_COORD | 1u << ATOM_LOAD | 1u << ATOM_TRUNC;
    if (simple >> at.atom->kind & 1) return false;
    at.rest = mono_without(x, term_mono(t), at.atom);
    at.others = poly_drop_term(x, p, i);
    if (factors_nonneg(x, at.rest)) {
        bool negative = t->coef.num < 0;
        if (negative ? by_upper_bound(x, &at, depth) : by_lower_bound(x, &at, depth)) return true;
    }
    return by_cases(x, p, at.atom, depth);
}

static bool by_atoms(ExprCx *x, const Expr *p, bool negative, int depth) {
    for (int i = 0; i < p->count; i++) {
        if ((p->terms[i].coef.num < 0) != negative) continue;
        for (int k = 0; k < p->terms[i].degree; k++)
            if (by_atom(x, p, i, k, depth)) return true;
    }
    return false;
}

static bool search(ExprCx *x, const Expr *p, int depth) {
    for (int i = 0; i < p->count; i++)
        for (int k = 0; k < p->terms[i].degree; k++)
            if (p->terms[i].atoms[k]->kind == ATOM_COORD &&
                by_coordinate(x, p, p->terms[i].atoms[k], depth))
                return true;
    return by_facts(x, p, depth) || by_atoms(x, p, true, depth) || by_atoms(x, p, false, depth);
}

static bool proof(ExprCx *x, const Expr *p, int depth) {
    ExprNode *n = (ExprNode *)p;
    if (is_number(p)) return p->count == 0 || p->terms[0].coef.num > 0;
    if (n->sign_stamp == x->generation) return n->nonneg;
    Interval range = poly_bounds(x, p);
    if (range.hi < 0) return false;
    bool yes = range.lo >= 0 || nonneg_by_shift(x, p);
    if (!yes && depth < MAX_DEPTH && x->fuel-- > 0 && x->steps-- > 0) yes = search(x, p, depth);
    if (yes || depth == 0) {
        n->nonneg = yes;
        n->sign_stamp = x->generation;
    }
    return yes;
}

bool proven(ExprCx *x, const Expr *e) {
    if (is_number(e)) return e->count == 0 || e->terms[0].coef.num > 0;
    if (expr_node(e)->sign_stamp == x->generation) return expr_node(e)->nonneg;
    int fuel = x->fuel;
    x->fuel = MAX_FUEL;
    if (!x->proving) x->steps = MAX_STEPS;
    x->proving++;
    x->quiet++;
    bool yes = proof(x, e, 0);
    x->quiet--;
    x->proving--;
    x->fuel = fuel;
    x->overflowed = false;
    return yes;
}

/* --- questions --- */

bool ex_nonneg(ExprCx *x, const Expr *e) {
    return proven(x, ex_norm(x, e));
}

/* a - b - less, or NULL if that overflows. */
static const Expr *difference(ExprCx *x, const Expr *a, const Expr *b, int64_t less) {
    x->quiet++;
    const Expr *d = poly_sub(x, poly_sub(x, a, b), poly_int(x, less));
    x->quiet--;
    bool sound = !x->overflowed;
    x->overflowed = false;
    return sound ? d : NULL;
}

/* Values are 64-bit: the ends of that range bound everything, as in slices "to the end". */
static bool greater(ExprCx *x, const Expr *a, const Expr *b, int64_t by) {
    int64_t u, v;
    bool left = ex_const(a, &u), right = ex_const(b, &v);
    if (left && right) return by ? u > v : u >= v;
    if (!by && ((left && u == INT64_MAX) || (right && v == INT64_MIN))) return true;
    const Expr *d = difference(x, a, b, by);
    return d && proven(x, d);
}

bool ex_provably_ge(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    return a == b || greater(x, a, b, 0);
}

Ternary ex_ge(ExprCx *x, const Expr *a, const Expr *b) {
    if (ex_provably_ge(x, a, b)) return YES;
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    bool whole = ex_is_integral(a) && ex_is_integral(b);
    return whole && greater(x, b, a, 1) ? NO : UNKNOWN;
}

/* An integer combination of the other terms cannot reach the constant. */
static bool divisibility_excludes_zero(const Expr *d) {
    const Term *last = &d->terms[d->count - 1];
    if (!ex_is_integral(d) || last->degree) return false;
    int64_t g = poly_content(d, false);
    return g > 1 && last->coef.num % g != 0;
}

Ternary ex_equal(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    if (a == b) return YES;
    const Expr *d = difference(x, a, b, 0);
    if (!d) return UNKNOWN;
    if (is_number(d)) return d->count == 0 ? YES : NO;
    if (divisibility_excludes_zero(d)) return NO;
    if (greater(x, a, b, 1) || greater(x, b, a, 1)) return NO;
    if (greater(x, a, b, 0) && greater(x, b, a, 0)) return YES;
    return UNKNOWN;
}
