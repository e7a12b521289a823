/* Rationals with checked arithmetic, and polynomials over atoms.
 *
 * Terms stand in graded lexicographic order (degree, then ids of the atoms), which multiplication
 * preserves; so sums are merges and the first term is the leading one that exact division needs.
 * Nothing here knows bounds or substitutions.
 */
#include "ir/expr_internal.h"

#include <stdlib.h>
#include <string.h>
#include "runtime/base/checked.h"

/* --- numbers --- */

static uint64_t magnitude(int64_t v) {
    return v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
}

int64_t gcd_i64(int64_t a, int64_t b) {
    uint64_t u = magnitude(a), v = magnitude(b);
    while (v) {
        uint64_t r = u % v;
        u = v;
        v = r;
    }
    return u > INT64_MAX ? INT64_MAX : (int64_t)u;
}

int64_t floor_div_i64(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q * b > a ? q - 1 : q;
}

static Rational overflow(ExprCx *x) {
    ex_too_large(x);
    return (Rational){0, 1};
}

Rational rat_make(ExprCx *x, int64_t num, int64_t den) {
    if (den == 1) return (Rational){num, 1};
    if (den == INT64_MIN || (den < 0 && num == INT64_MIN)) return overflow(x);
    if (den < 0) {
        num = -num;
        den = -den;
    }
    int64_t g = gcd_i64(num, den);
    return (Rational){num / g, den / g};
}

static Rational rat_add(ExprCx *x, Rational a, Rational b) {
    int64_t num, den, left, right;
    if (a.den == 1 && b.den == 1)
        return tn_add_i64(a.num, b.num, &num) ? (Rational){num, 1} : overflow(x);
    int64_t g = gcd_i64(a.den, b.den);
    bool ok = tn_mul_i64(a.num, b.den / g, &left) && tn_mul_i64(b.num, a.den / g, &right) &&
              tn_add_i64(left, right, &num) && tn_mul_i64(a.den, b.den / g, &den);
    return ok ? rat_make(x, num, den) : overflow(x);
}

Rational rat_mul(ExprCx *x, Rational a, Rational b) {
    int64_t num, den;
    if (a.den == 1 && b.den == 1)
        return tn_mul_i64(a.num, b.num, &num) ? (Rational){num, 1} : overflow(x);
    Rational c = rat_make(x, a.num, b.den), d = rat_make(x, b.num, a.den);
    bool ok = tn_mul_i64(c.num, d.num, &num) && tn_mul_i64(c.den, d.den, &den);
    return ok ? (Rational){num, den} : overflow(x);
}

Rational rat_div(ExprCx *x, Rational a, Rational b) {
    if (b.num == INT64_MIN) return overflow(x);
    return rat_mul(x, a, b.num < 0 ? (Rational){-b.den, -b.num} : (Rational){b.den, b.num});
}

/* --- products of atoms --- */

static int mono_order(const Mono *a, const Mono *b) {
    if (a == b) return 0;
    if (a->degree != b->degree) return a->degree > b->degree ? -1 : 1;
    for (int i = 0; i < a->degree; i++)
        if (a->atoms[i] != b->atoms[i]) return a->atoms[i]->id < b->atoms[i]->id ? -1 : 1;
    return 0;
}

int term_order(const Term *a, const Term *b) {
    return mono_order(term_mono(a), term_mono(b));
}

/* A bit is its own square. */
static const Mono *mono_mul(ExprCx *x, const Mono *a, const Mono *b) {
    const Atom *atoms[EX_MAX_DEGREE];
    int n = 0, i = 0, k = 0;
    if (a->degree == 0) return b;
    if (b->degree == 0) return a;
    while (i < a->degree || k < b->degree) {
        bool left = k == b->degree || (i < a->degree && a->atoms[i]->id <= b->atoms[k]->id);
        const Atom *next = left ? a->atoms[i++] : b->atoms[k++];
        if (n && next->kind == ATOM_BIT && atoms[n - 1] == next) continue;
        if (n == EX_MAX_DEGREE) {
            ex_too_large(x);
            return x->unit;
        }
        atoms[n++] = next;
    }
    return mono_intern(x, atoms, n);
}

const Mono *mono_divide(ExprCx *x, const Mono *m, const Mono *d) {
    const Atom *atoms[EX_MAX_DEGREE];
    int n = 0, k = 0;
    if (d->degree == 0) return m;
    if (d->degree > m->degree) return NULL;
    for (int i = 0; i < m->degree; i++) {
        if (k < d->degree && m->atoms[i] == d->atoms[k])
            k++;
        else
            atoms[n++] = m->atoms[i];
    }
    return k == d->degree ? mono_intern(x, atoms, n) : NULL;
}

const Mono *mono_gcd(ExprCx *x, const Mono *a, const Mono *b) {
    const Atom *atoms[EX_MAX_DEGREE];
    int n = 0;
    for (int i = 0, k = 0; i < a->degree && k < b->degree;) {
        if (a->atoms[i] == b->atoms[k]) {
            atoms[n++] = a->atoms[i];
            i++;
            k++;
        } else if (a->atoms[i]->id < b->atoms[k]->id)
            i++;
        else
            k++;
    }
    return mono_intern(x, atoms, n);
}

const Mono *mono_without(ExprCx *x, const Mono *m, const Atom *a) {
    return mono_divide(x, m, mono_intern(x, &a, 1));
}

/* --- polynomials --- */

static Term *scratch(ExprCx *x, size_t want) {
    x->terms = arena_grow(&x->cx->arena, x->terms, &x->term_capacity, want, sizeof(Term));
    return x->terms;
}

static Term term_of(Rational coef, const Mono *m) {
    return (Term){.coef = coef, .degree = m->degree, .atoms = m->atoms};
}

const Expr *poly_term(ExprCx *x, Rational coef, const Mono *m) {
    Term t = term_of(coef, m);
    return expr_intern(x, &t, coef.num ? 1 : 0);
}

const Expr *poly_int(ExprCx *x, int64_t v) {
    return poly_term(x, (Rational){v, 1}, x->unit);
}

const Expr *poly_add(ExprCx *x, const Expr *a, const Expr *b) {
    if (a->count == 0) return b;
    if (b->count == 0) return a;
    Term *out = scratch(x, (size_t)a->count + (size_t)b->count);
    int n = 0, i = 0, k = 0;
    while (i < a->count || k < b->count) {
        int order = i == a->count ? 1 : k == b->count ? -1 : term_order(&a->terms[i], &b->terms[k]);
        Term t = order <= 0 ? a->terms[i++] : b->terms[k++];
        if (order == 0) t.coef = rat_add(x, t.coef, b->terms[k++].coef);
        if (t.coef.num) out[n++] = t;
    }
    return expr_intern(x, out, n);
}

const Expr *poly_scale(ExprCx *x, const Expr *a, Rational c) {
    if (c.num == 0) return x->zero;
    if (c.num == 1 && c.den == 1) return a;
    Term *out = scratch(x, (size_t)a->count);
    int n = 0;
    for (int i = 0; i < a->count; i++) {
        Term t = a->terms[i];
        t.coef = rat_mul(x, t.coef, c);
        if (t.coef.num) out[n++] = t;
    }
    return expr_intern(x, out, n);
}

const Expr *poly_sub(ExprCx *x, const Expr *a, const Expr *b) {
    if (a == b) return x->zero;
    return poly_add(x, a, poly_scale(x, b, (Rational){-1, 1}));
}

static int by_order(const void *a, const void *b) {
    return term_order(a, b);
}

/* Sorts the terms and adds up those with equal products. */
static const Expr *collect(ExprCx *x, Term *t, int n) {
    bool sorted = true;
    for (int i = 1; i < n && sorted; i++) sorted = term_order(&t[i - 1], &t[i]) < 0;
    if (!sorted) qsort(t, (size_t)n, sizeof(Term), by_order);
    int kept = 0;
    for (int i = 0; i < n;) {
        Term sum = t[i++];
        for (; i < n && t[i].atoms == sum.atoms; i++) sum.coef = rat_add(x, sum.coef, t[i].coef);
        if (sum.coef.num) t[kept++] = sum;
    }
    return expr_intern(x, t, kept);
}

const Expr *poly_mul(ExprCx *x, const Expr *a, const Expr *b) {
    if (a->count == 0 || b->count == 0) return x->zero;
    if (a->count == 1 && a->terms[0].degree == 0) return poly_scale(x, b, a->terms[0].coef);
    if (b->count == 1 && b->terms[0].degree == 0) return poly_scale(x, a, b->terms[0].coef);
    if ((int64_t)a->count * b->count > 16 * EX_MAX_TERMS) {
        ex_too_large(x);
        return x->zero;
    }
    Term *out = scratch(x, (size_t)a->count * (size_t)b->count);
    int n = 0;
    for (int i = 0; i < a->count; i++)
        for (int k = 0; k < b->count; k++) {
            const Term *s = &a->terms[i], *t = &b->terms[k];
            Rational c = rat_mul(x, s->coef, t->coef);
            if (c.num) out[n++] = term_of(c, mono_mul(x, term_mono(s), term_mono(t)));
        }
    return collect(x, out, n);
}

const Expr *poly_drop_term(ExprCx *x, const Expr *e, int i) {
    Term *out = scratch(x, (size_t)e->count);
    memcpy(out, e->terms, (size_t)i * sizeof(Term));
    memcpy(out + i, e->terms + i + 1, (size_t)(e->count - i - 1) * sizeof(Term));
    return expr_intern(x, out, e->count - 1);
}

const Expr *poly_replace(ExprCx *x, const Expr *e, const Atom *a, const Expr *value) {
    const Mono *one = mono_intern(x, &a, 1);
    const Expr *sum = x->zero;
    for (int i = 0; i < e->count; i++) {
        const Mono *m = term_mono(&e->terms[i]), *rest;
        const Expr *factor = x->one;
        while ((rest = mono_divide(x, m, one))) {
            m = rest;
            factor = poly_mul(x, factor, value);
        }
        sum = poly_add(x, sum, poly_mul(x, poly_term(x, e->terms[i].coef, m), factor));
    }
    return sum;
}

int64_t poly_denominator(ExprCx *x, const Expr *e) {
    int64_t all = 1;
    for (int i = 0; i < e->count; i++) {
        int64_t den = e->terms[i].coef.den;
        if (!tn_mul_i64(all, den / gcd_i64(all, den), &all)) {
            ex_too_large(x);
            return 1;
        }
    }
    return all;
}

int64_t poly_content(const Expr *e, bool with_constant) {
    int64_t g = 0;
    for (int i = 0; i < e->count; i++)
        if (with_constant || e->terms[i].degree) g = gcd_i64(g, e->terms[i].coef.num);
    return g;
}

const Mono *poly_common(ExprCx *x, const Expr *a, const Expr *b) {
    const Mono *m = term_mono(&a->terms[0]);
    for (int i = 1; i < a->count && m->degree; i++) m = mono_gcd(x, m, term_mono(&a->terms[i]));
    for (int i = 0; i < b->count && m->degree; i++) m = mono_gcd(x, m, term_mono(&b->terms[i]));
    return m;
}

const Expr *poly_constant_free(ExprCx *x, const Expr *e, Rational *constant) {
    *constant = (Rational){0, 1};
    if (e->count == 0 || e->terms[e->count - 1].degree) return e;
    *constant = e->terms[e->count - 1].coef;
    return poly_drop_term(x, e, e->count - 1);
}

/* Long division by leading terms; gives up at the first term that does not divide. */
static const Expr *exact_quotient(ExprCx *x, const Expr *a, const Expr *b) {
    const Expr *quotient = x->zero;
    const Term *lead = &b->terms[0];
    for (int step = 0; a->count; step++) {
        const Mono *m = mono_divide(x, term_mono(&a->terms[0]), term_mono(lead));
        if (!m || step > EX_MAX_TERMS) return NULL;
        Rational c = rat_div(x, a->terms[0].coef, lead->coef);
        if (c.den != 1 || x->overflowed) return NULL;
        const Expr *t = poly_term(x, c, m);
        quotient = poly_add(x, quotient, t);
        a = poly_sub(x, a, poly_mul(x, t, b));
        if (x->overflowed) return NULL;
    }
    return quotient;
}

const Expr *ex_exact_div(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    if (b->count == 0) return NULL;
    if (a == b) return x->one;
    bool outer = x->overflowed;
    x->overflowed = false;
    x->quiet++;
    const Expr *q = exact_quotient(x, a, b);
    x->quiet--;
    x->overflowed = outer;
    return q;
}

/* --- public arithmetic --- */

const Expr *ex_int(ExprCx *x, int64_t v) {
    return poly_int(x, v);
}

const Expr *ex_rational(ExprCx *x, int64_t num, int64_t den) {
    if (den == 0) tn_fail(x->cx, TN_E_MODEL, "division by zero in a size");
    return poly_term(x, rat_make(x, num, den), x->unit);
}

const Expr *ex_add(ExprCx *x, const Expr *a, const Expr *b) {
    return rejoin_mod(x, poly_add(x, ex_norm(x, a), ex_norm(x, b)));
}

const Expr *ex_neg(ExprCx *x, const Expr *a) {
    return poly_scale(x, ex_norm(x, a), (Rational){-1, 1});
}

const Expr *ex_sub(ExprCx *x, const Expr *a, const Expr *b) {
    return rejoin_mod(x, poly_sub(x, ex_norm(x, a), ex_norm(x, b)));
}

const Expr *ex_mul(ExprCx *x, const Expr *a, const Expr *b) {
    return rejoin_mod(x, poly_mul(x, ex_norm(x, a), ex_norm(x, b)));
}

const Expr *ex_scale(ExprCx *x, const Expr *a, int64_t num, int64_t den) {
    if (den == 0) tn_fail(x->cx, TN_E_MODEL, "division by zero in a size");
    return poly_scale(x, ex_norm(x, a), rat_make(x, num, den));
}

const Expr *ex_product(ExprCx *x, const Expr *const *e, int n) {
    const Expr *p = x->one;
    for (int i = 0; i < n; i++) p = ex_mul(x, p, e[i]);
    return p;
}
