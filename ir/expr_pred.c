/* Predicates over expressions.
 *
 * Canonical form: e >= 0, e == 0, e != 0 have coprime integer coefficients (for == and != the
 * leading one is positive); `not` stands only before xor, everything else absorbs it; and, or are
 * flat, sorted by id, without duplicates, constants, complementary pairs, or members that the
 * others imply; xor has neither constants nor negated members.
 *
 *     not (i0 - i1 >= 0)   is   -i0 + i1 - 1 >= 0
 */
#include "ir/expr_internal.h"

#include <stdlib.h>
#include "runtime/base/checked.h"

#define IMPLIED_ARGS 24 /* implications are looked for among so many members */

const Pred *pr_bool(ExprCx *x, bool v) {
    return x->truth[v];
}

/* --- comparisons --- */

/* If e is k * bit(p) + c with integers: p, and the two values of e. */
static const Pred *lone_bit(const Expr *e, int64_t *off, int64_t *on) {
    if (e->count == 0 || e->count > 2) return NULL;
    const Term *t = &e->terms[0];
    if (t->degree != 1 || t->atoms[0]->kind != ATOM_BIT) return NULL;
    *off = 0;
    if (e->count == 2) {
        if (e->terms[1].degree) return NULL;
        *off = e->terms[1].coef.num;
    }
    return tn_add_i64(*off, t->coef.num, on) ? t->atoms[0]->pred : NULL;
}

static const Pred *decided(ExprCx *x, const Pred *p, bool off, bool on) {
    if (off == on) return x->truth[on];
    return on ? p : pr_not(x, p);
}

/* e scaled to integer coefficients; those besides the constant are made coprime, which rounds the
 * constant down. *rest is what the rounding dropped. e is not a constant. */
static const Expr *tighten(ExprCx *x, const Expr *e, int64_t *rest) {
    Rational c;
    e = poly_scale(x, e, rat_make(x, poly_denominator(x, e), 1));
    int64_t g = poly_content(e, false);
    const Expr *free = poly_constant_free(x, e, &c);
    int64_t k = floor_div_i64(c.num, g);
    *rest = c.num - k * g;
    return poly_add(x, poly_scale(x, free, rat_make(x, 1, g)), poly_int(x, k));
}

static const Expr *minus_one_minus(ExprCx *x, const Expr *e) {
    return poly_sub(x, poly_int(x, -1), e);
}

/* e >= 0 */
static const Pred *at_least_zero(ExprCx *x, const Expr *e) {
    int64_t rest, off, on;
    if (is_number(e)) return x->truth[e->count == 0 || e->terms[0].coef.num >= 0];
    e = tighten(x, e, &rest);
    const Pred *bit = lone_bit(e, &off, &on);
    if (bit) return decided(x, bit, off >= 0, on >= 0);
    if (proven(x, e)) return x->truth[1];
    if (proven(x, minus_one_minus(x, e))) return x->truth[0];
    return pred_intern(x, PRED_GE0, e, NULL, 0);
}

/* A product is nonzero if every factor is. */
static const Pred *nonzero_product(ExprCx *x, const Term *t) {
    const Pred *all = x->truth[1];
    for (int i = 0; i < t->degree; i++)
        if (i == 0 || t->atoms[i] != t->atoms[i - 1])
            all = pr_and(x, all, pr_nonzero(x, atom_expr(x, t->atoms[i])));
    return all;
}

/* e != 0 */
static const Pred *not_zero(ExprCx *x, const Expr *e) {
    int64_t rest, off, on;
    if (is_number(e)) return x->truth[e->count != 0];
    e = tighten(x, e, &rest);
    if (rest) return x->truth[1];
    const Pred *bit = lone_bit(e, &off, &on);
    if (bit) return decided(x, bit, off != 0, on != 0);
    if (e->count == 1 && e->terms[0].degree > 1) return nonzero_product(x, &e->terms[0]);
    const Expr *minus = poly_scale(x, e, (Rational){-1, 1});
    if (proven(x, poly_sub(x, e, x->one)) || proven(x, minus_one_minus(x, e))) return x->truth[1];
    if (proven(x, e) && proven(x, minus)) return x->truth[0];
    return pred_intern(x, PRED_NE0, e->terms[0].coef.num < 0 ? minus : e, NULL, 0);
}

const Pred *pr_ge(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    Ternary known = ex_ge(x, a, b);
    if (known != UNKNOWN) return x->truth[known];
    return at_least_zero(x, rejoin_mod(x, poly_sub(x, a, b)));
}

const Pred *pr_eq(ExprCx *x, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    Ternary known = ex_equal(x, a, b);
    if (known != UNKNOWN) return x->truth[known];
    return pr_not(x, not_zero(x, rejoin_mod(x, poly_sub(x, a, b))));
}

const Pred *pr_nonzero(ExprCx *x, const Expr *a) {
    return not_zero(x, ex_norm(x, a));
}

/* --- and, or, not, xor --- */

static int by_id(const void *a, const void *b) {
    const Pred *l = *(const Pred *const *)a, *r = *(const Pred *const *)b;
    return (l->id > r->id) - (l->id < r->id);
}

static const Pred *negation(ExprCx *x, const Pred *p);

/* The same list, each member negated. */
static const Pred *negate_all(ExprCx *x, PredKind kind, const Pred *p) {
    const Pred *args[EX_MAX_ARGS];
    for (int i = 0; i < p->count; i++) args[i] = negation(x, p->args[i]);
    qsort(args, (size_t)p->count, sizeof(*args), by_id);
    return pred_intern(x, kind, NULL, args, p->count);
}

static const Pred *negation(ExprCx *x, const Pred *p) {
    switch (p->kind) {
    case PRED_FALSE: return x->truth[1];
    case PRED_TRUE: return x->truth[0];
    case PRED_GE0: return pred_intern(x, PRED_GE0, minus_one_minus(x, p->expr), NULL, 0);
    case PRED_EQ0: return pred_intern(x, PRED_NE0, p->expr, NULL, 0);
    case PRED_NE0: return pred_intern(x, PRED_EQ0, p->expr, NULL, 0);
    case PRED_NOT: return p->args[0];
    case PRED_AND: return negate_all(x, PRED_OR, p);
    case PRED_OR: return negate_all(x, PRED_AND, p);
    case PRED_XOR: break;
    }
    return pred_intern(x, PRED_NOT, NULL, &p, 1);
}

const Pred *pr_not(ExprCx *x, const Pred *p) {
    return negation(x, pr_norm(x, p));
}

typedef struct Conjunction {
    const Pred *items[EX_MAX_ARGS];
    int count;
} Conjunction;

static void gather(ExprCx *x, Conjunction *c, const Pred *p) {
    if (p->kind == PRED_AND) {
        for (int i = 0; i < p->count; i++) gather(x, c, p->args[i]);
        return;
    }
    if (p->kind == PRED_TRUE) return;
    for (int i = 0; i < c->count; i++)
        if (c->items[i] == p) return;
    if (c->count == EX_MAX_ARGS)
        tn_fail(x->cx, TN_E_LIMIT, "a condition has more than %d parts", EX_MAX_ARGS);
    c->items[c->count++] = p;
}

static bool holds_in(const Conjunction *c, const Pred *p, int but) {
    for (int i = 0; i < c->count; i++)
        if (i != but && c->items[i] == p) return true;
    return false;
}

/* Whether the member at `at` follows from another: one of its alternatives stands there, or a
 * stronger inequality does. Of two that follow from each other the first stays. */
static bool implied(ExprCx *x, const Conjunction *c, int at) {
    const Pred *p = c->items[at];
    if (p->kind == PRED_OR)
        for (int i = 0; i < p->count; i++)
            if (holds_in(c, p->args[i], at)) return true;
    if (p->kind != PRED_GE0 || c->count > IMPLIED_ARGS) return false;
    for (int i = 0; i < c->count; i++) {
        const Pred *q = c->items[i];
        if (i == at || q->kind != PRED_GE0 || !ex_provably_ge(x, p->expr, q->expr)) continue;
        if (i < at || !ex_provably_ge(x, q->expr, p->expr)) return true;
    }
    return false;
}

/* Whether some member excludes the one at `at`. */
static bool contradicted(ExprCx *x, const Conjunction *c, int at) {
    const Pred *p = c->items[at];
    if (p->kind == PRED_FALSE || holds_in(c, negation(x, p), at)) return true;
    if (p->kind != PRED_GE0 || c->count > IMPLIED_ARGS) return false;
    for (int i = 0; i < at; i++)
        if (c->items[i]->kind == PRED_GE0 &&
            ex_provably_ge(x, minus_one_minus(x, p->expr), c->items[i]->expr))
            return true;
    return false;
}

static const Pred *conjunction(ExprCx *x, const Pred *a, const Pred *b) {
    Conjunction c = {.count = 0};
    gather(x, &c, a);
    gather(x, &c, b);
    qsort(c.items, (size_t)c.count, sizeof(*c.items), by_id);
    for (int i = 0; i < c.count; i++)
        if (contradicted(x, &c, i)) return x->truth[0];
    for (int i = c.count - 1; i >= 0; i--) {
        if (!implied(x, &c, i)) continue;
        for (int k = i + 1; k < c.count; k++) c.items[k - 1] = c.items[k];
        c.count--;
    }
    if (c.count == 0) return x->truth[1];
    if (c.count == 1) return c.items[0];
    return pred_intern(x, PRED_AND, NULL, c.items, c.count);
}

const Pred *pr_and(ExprCx *x, const Pred *a, const Pred *b) {
    a = pr_norm(x, a);
    b = pr_norm(x, b);
    if (a == b || b->kind == PRED_TRUE || a->kind == PRED_FALSE) return a;
    if (a->kind == PRED_TRUE || b->kind == PRED_FALSE) return b;
    return conjunction(x, a, b);
}

const Pred *pr_or(ExprCx *x, const Pred *a, const Pred *b) {
    return pr_not(x, pr_and(x, pr_not(x, a), pr_not(x, b)));
}

/* The one of p and not p with the lower id; *flip says whether it was changed. */
static const Pred *positive(ExprCx *x, const Pred *p, bool *flip) {
    const Pred *n = negation(x, p);
    if (p->kind != PRED_NOT && (n->kind == PRED_NOT || p->id < n->id)) return p;
    *flip = !*flip;
    return n;
}

const Pred *pr_xor(ExprCx *x, const Pred *a, const Pred *b) {
    bool flip = false;
    a = positive(x, pr_norm(x, a), &flip);
    b = positive(x, pr_norm(x, b), &flip);
    const Pred *r;
    if (a == b)
        r = x->truth[0];
    else if (a->kind <= PRED_TRUE)
        r = a->kind == PRED_TRUE ? negation(x, b) : b;
    else if (b->kind <= PRED_TRUE)
        r = b->kind == PRED_TRUE ? negation(x, a) : a;
    else {
        const Pred *args[2] = {a->id < b->id ? a : b, a->id < b->id ? b : a};
        r = pred_intern(x, PRED_XOR, NULL, args, 2);
    }
    return flip ? negation(x, r) : r;
}
