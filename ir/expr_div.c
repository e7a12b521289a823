/* floordiv, mod and the roundings, all with floor semantics.
 *
 * A quotient is split as far as the algebra goes, so that equal lengths become equal expressions:
 *     whole multiples leave       (i0*S + i1) // S        = i0 + i1 // S
 *     bounds decide               i1 // S                 = 0             for i1 in [0, S)
 *                                 (2*i0*S + i1 + S) // (2*S + 1) = i0     for i0, i1 in [0, S)
 *     a low part vanishes         (64*i0 + i1) // 768     = i0 // 12      for i1 in [0, 64)
 *     quotients of quotients      (s//80 - 3) // 2        = (s - 240) // 160
 *     the leading sign is plus    -s // 3                 = -((s + 2) // 3)
 * What is left is one atom. mod follows the same steps, and b*(a//b) + a%b rejoins to a.
 */
#include "ir/expr_internal.h"

typedef struct Ratio {
    const Expr *a, *b;
} Ratio;

static const Expr *negate(ExprCx *x, const Expr *e) {
    return poly_scale(x, e, (Rational){-1, 1});
}

static const Expr *scaled(ExprCx *x, const Expr *e, int64_t num, int64_t den) {
    return poly_scale(x, e, rat_make(x, num, den));
}

static const Expr *divide_mono(ExprCx *x, const Expr *e, const Mono *d) {
    const Expr *sum = x->zero;
    if (d->degree == 0) return e;
    for (int i = 0; i < e->count; i++) {
        const Mono *m = mono_divide(x, term_mono(&e->terms[i]), d);
        sum = poly_add(x, sum, poly_term(x, e->terms[i].coef, m));
    }
    return sum;
}

/* Takes the largest common factor out of a and b, so that both are integral and the leading
 * coefficient of b is positive; returns the factor. b is not zero. */
static const Expr *reduce(ExprCx *x, Ratio *r) {
    int64_t den = poly_denominator(x, r->a), other = poly_denominator(x, r->b);
    Rational common = rat_make(x, den / gcd_i64(den, other), 1);
    common = rat_mul(x, common, (Rational){other, 1});
    r->a = poly_scale(x, r->a, common);
    r->b = poly_scale(x, r->b, common);
    int64_t g = gcd_i64(poly_content(r->a, true), poly_content(r->b, true));
    int64_t sign = r->b->terms[0].coef.num < 0 ? -1 : 1;
    const Mono *m = poly_common(x, r->b, r->a);
    r->a = divide_mono(x, scaled(x, r->a, sign, g), m);
    r->b = divide_mono(x, scaled(x, r->b, sign, g), m);
    return poly_term(x, rat_div(x, (Rational){sign * g, 1}, common), m);
}

static bool within(ExprCx *x, const Expr *a, const Expr *b) {
    return proven(x, a) && proven(x, poly_sub(x, poly_sub(x, b, a), x->one));
}

/* The part of a that is whole multiples of a one-term b, term by term; constants are floored, other
 * coefficients cut towards zero. */
static const Expr *term_multiples(ExprCx *x, const Expr *a, const Term *b) {
    const Expr *q = x->zero;
    for (int i = 0; i < a->count; i++) {
        const Mono *m = mono_divide(x, term_mono(&a->terms[i]), term_mono(b));
        if (!m) continue;
        int64_t c = a->terms[i].coef.num;
        int64_t k = a->terms[i].degree ? c / b->coef.num : floor_div_i64(c, b->coef.num);
        if (k) q = poly_add(x, q, poly_term(x, (Rational){k, 1}, m));
    }
    return q;
}

/* The same for a sum b: a multiple is taken if that leaves fewer terms, or as many in [0, b). */
static const Expr *sum_multiples(ExprCx *x, const Expr *a, const Expr *b) {
    const Term *lead = &b->terms[0];
    const Expr *q = x->zero;
    for (int i = 0; i < a->count; i++) {
        const Mono *m = mono_divide(x, term_mono(&a->terms[i]), term_mono(lead));
        int64_t k = a->terms[i].coef.num / lead->coef.num;
        if (!m || !k) continue;
        const Expr *t = poly_term(x, (Rational){k, 1}, m);
        const Expr *left = poly_sub(x, a, poly_mul(x, t, b));
        if (left->count > a->count || (left->count == a->count && !within(x, left, b))) continue;
        q = poly_add(x, q, t);
        a = left;
        i = -1;
    }
    return q;
}

static const Expr *multiples(ExprCx *x, const Expr *a, const Expr *b) {
    return b->count == 1 ? term_multiples(x, a, &b->terms[0]) : sum_multiples(x, a, b);
}

/* Splits a into the terms that are multiples of the term g and the rest. */
static void split_by(ExprCx *x, const Expr *a, const Term *g, const Expr **high, const Expr **low) {
    *high = *low = x->zero;
    for (int i = 0; i < a->count; i++) {
        const Mono *m = mono_divide(x, term_mono(&a->terms[i]), term_mono(g));
        int64_t c = a->terms[i].coef.num, k = 0;
        if (m && c % g->coef.num == 0)
            k = c / g->coef.num;
        else if (m && a->terms[i].degree == 0)
            k = floor_div_i64(c, g->coef.num);
        if (k) *high = poly_add(x, *high, poly_term(x, (Rational){k, 1}, m));
    }
    const Expr *whole = poly_term(x, g->coef, term_mono(g));
    *low = poly_sub(x, a, poly_mul(x, whole, *high));
}

/* For one-term b: finds a common factor g of b and some terms of a, the rest of a being in [0, g).
 * Then for b/g > 0 a // b = (high // (b/g)) and a % b = g*(high % (b/g)) + low. */
static const Expr *low_part(ExprCx *x, Ratio *r, const Expr **low) {
    if (r->b->count != 1) return NULL;
    const Term *b = &r->b->terms[0];
    for (int i = 0; i < r->a->count; i++) {
        const Term *t = &r->a->terms[i];
        if (!t->degree) continue;
        const Mono *m = mono_gcd(x, term_mono(t), term_mono(b));
        Term g = {{gcd_i64(t->coef.num, b->coef.num), 1}, m->degree, m->atoms};
        const Expr *whole = poly_term(x, g.coef, m), *high;
        if (whole == x->one) continue;
        split_by(x, r->a, &g, &high, low);
        if (!within(x, *low, whole)) continue;
        const Expr *rest = ex_exact_div(x, r->b, whole);
        if (!proven(x, rest)) continue;
        r->a = high;
        r->b = rest;
        return whole;
    }
    return NULL;
}

/* -1 or 0 if a // b is that by bounds, else 1. */
static int small_quotient(ExprCx *x, const Expr *a, const Expr *b) {
    if (within(x, a, b)) return 0;
    if (proven(x, poly_sub(x, negate(x, a), x->one)) && proven(x, poly_add(x, a, b))) return -1;
    return 1;
}

static const Expr *quotient(ExprCx *x, const Expr *a, const Expr *b);

/* (x//c + k) // d = (x + k*c) // (c*d) for positive constants; NULL if a has no such quotient. */
static const Expr *merge_quotients(ExprCx *x, const Expr *a, const Expr *b) {
    for (int i = 0; i < a->count; i++) {
        const Term *t = &a->terms[i];
        if (t->degree != 1 || t->coef.num != 1 || t->atoms[0]->kind != ATOM_FLOORDIV) continue;
        const Expr *num = t->atoms[0]->args[0], *den = t->atoms[0]->args[1];
        if (!is_number(den)) continue;
        const Expr *rest = poly_drop_term(x, a, i);
        return quotient(x, poly_add(x, num, poly_mul(x, rest, den)), poly_mul(x, den, b));
    }
    return NULL;
}

/* (x % (c*d)) // d = (x // d) % c for c, d > 0 */
static const Expr *quotient_of_mod(ExprCx *x, const Expr *a, const Expr *b) {
    const Atom *m = single_atom(a);
    if (!m || m->kind != ATOM_MOD) return NULL;
    const Expr *c = ex_exact_div(x, m->args[1], b);
    if (!c || !proven(x, b) || !proven(x, c)) return NULL;
    return ex_mod(x, quotient(x, m->args[0], b), c);
}

/* With a constant divisor c > 1 and the constant of a in [0, c). */
static const Expr *quotient_by_constant(ExprCx *x, const Expr *a, const Expr *b) {
    int64_t c = b->terms[0].coef.num;
    Interval range = poly_bounds(x, a);
    if (range.lo != INT64_MIN && range.hi != INT64_MAX &&
        floor_div_i64(range.lo, c) == floor_div_i64(range.hi, c))
        return poly_int(x, floor_div_i64(range.lo, c));
    const Expr *merged = merge_quotients(x, a, b);
    if (merged) return merged;
    if (a->terms[0].coef.num < 0) {
        const Expr *up = poly_add(x, negate(x, a), poly_sub(x, b, x->one));
        return negate(x, quotient(x, up, b));
    }
    return NULL;
}

static const Expr *quotient(ExprCx *x, const Expr *a, const Expr *b) {
    Ratio r = {a, b};
    const Expr *low, *q;
    if (a->count == 0) return x->zero;
    reduce(x, &r);
    r.a = rejoin_mod(x, r.a);
    if (r.b == x->one) return r.a;
    if ((q = ex_exact_div(x, r.a, r.b))) return q;
    q = multiples(x, r.a, r.b);
    if (q->count) {
        r.a = poly_sub(x, r.a, poly_mul(x, q, r.b));
        return poly_add(x, q, quotient(x, r.a, r.b));
    }
    int small = small_quotient(x, r.a, r.b);
    if (small <= 0) return poly_int(x, small);
    if (low_part(x, &r, &low)) return quotient(x, r.a, r.b);
    if ((q = quotient_of_mod(x, r.a, r.b))) return q;
    if (is_number(r.b) && (q = quotient_by_constant(x, r.a, r.b))) return q;
    const Expr *args[2] = {r.a, r.b};
    return atom_of(x, ATOM_FLOORDIV, args, 2, NULL);
}

static void check_divisor(ExprCx *x, const Expr *b) {
    if (b->count == 0) tn_fail(x->cx, TN_E_MODEL, "division by zero in a size");
}

const Expr *ex_floordiv(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    check_divisor(x, b);
    if (b == x->one && ex_is_integral(a)) return a;
    const Expr *known = cache_get(x, ATOM_FLOORDIV, a, b);
    if (known) return known;
    return cache_put(x, ATOM_FLOORDIV, a, b, rejoin_mod(x, quotient(x, a, b)));
}

/* k * (y % m) is k*y in a remainder by b if b divides k*m. */
static const Expr *open_mods(ExprCx *x, const Expr *a, const Expr *b) {
    for (int i = 0; i < a->count; i++) {
        const Term *t = &a->terms[i];
        for (int k = 0; k < t->degree; k++) {
            const Atom *m = t->atoms[k];
            if (m->kind != ATOM_MOD) continue;
            const Mono *rest = mono_without(x, term_mono(t), m);
            const Expr *factor = poly_term(x, t->coef, rest);
            if (!ex_exact_div(x, poly_mul(x, factor, m->args[1]), b)) continue;
            return poly_add(x, poly_drop_term(x, a, i), poly_mul(x, factor, m->args[0]));
        }
    }
    return NULL;
}

static const Expr *remainder_of(ExprCx *x, const Expr *a, const Expr *b) {
    Ratio r = {a, b};
    const Expr *low, *open;
    if (a->count == 0) return x->zero;
    const Expr *factor = reduce(x, &r);
    r.a = rejoin_mod(x, r.a);
    if (r.b == x->one || ex_exact_div(x, r.a, r.b)) return x->zero;
    r.a = poly_sub(x, r.a, poly_mul(x, multiples(x, r.a, r.b), r.b));
    int small = small_quotient(x, r.a, r.b);
    if (small == 0) return poly_mul(x, factor, r.a);
    if (small < 0) return poly_mul(x, factor, poly_add(x, r.a, r.b));
    if ((open = open_mods(x, r.a, r.b))) return poly_mul(x, factor, remainder_of(x, open, r.b));
    const Expr *whole = low_part(x, &r, &low);
    if (whole) {
        const Expr *high = poly_mul(x, whole, remainder_of(x, r.a, r.b));
        return poly_mul(x, factor, poly_add(x, high, low));
    }
    const Expr *args[2] = {r.a, r.b};
    return poly_mul(x, factor, atom_of(x, ATOM_MOD, args, 2, NULL));
}

const Expr *ex_mod(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    check_divisor(x, b);
    const Expr *known = cache_get(x, ATOM_MOD, a, b);
    if (known) return known;
    return cache_put(x, ATOM_MOD, a, b, rejoin_mod(x, remainder_of(x, a, b)));
}

/* With the mod atom at place k of term i written as a - b*(a // b). */
static const Expr *without_mod(ExprCx *x, const Expr *e, int i, int k) {
    const Term *t = &e->terms[i];
    const Atom *m = t->atoms[k];
    const Expr *factor = poly_term(x, t->coef, mono_without(x, term_mono(t), m));
    const Expr *whole = poly_mul(x, m->args[1], ex_floordiv(x, m->args[0], m->args[1]));
    const Expr *value = poly_mul(x, factor, poly_sub(x, m->args[0], whole));
    return poly_add(x, poly_drop_term(x, e, i), value);
}

const Expr *rejoin_mod(ExprCx *x, const Expr *e) {
    uint32_t both = 1u << ATOM_MOD | 1u << ATOM_FLOORDIV;
    if ((expr_node(e)->has.kinds & both) != both) return e;
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->terms[i].degree; k++) {
            if (e->terms[i].atoms[k]->kind != ATOM_MOD) continue;
            const Expr *joined = without_mod(x, e, i, k);
            if (joined->count < e->count) return rejoin_mod(x, joined);
        }
    return e;
}

/* --- roundings --- */

const Expr *ex_ceildiv(ExprCx *x, const Expr *a, const Expr *b) {
    return ex_neg(x, ex_floordiv(x, ex_neg(x, a), b));
}

const Expr *ex_floor(ExprCx *x, const Expr *a) {
    return ex_floordiv(x, a, x->one);
}

const Expr *ex_ceil(ExprCx *x, const Expr *a) {
    return ex_ceildiv(x, a, x->one);
}

const Expr *ex_trunc(ExprCx *x, const Expr *a) {
    a = ex_norm(x, a);
    if (ex_is_integral(a)) return a;
    if (proven(x, a)) return ex_floor(x, a);
    if (proven(x, negate(x, a))) return ex_ceil(x, a);
    if (a->terms[0].coef.num < 0) return negate(x, ex_trunc(x, negate(x, a)));
    return atom_of(x, ATOM_TRUNC, &a, 1, NULL);
}
