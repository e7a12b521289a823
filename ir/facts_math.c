/* Facts rules of elementwise operators: what they do to one element.
 *
 * Numbers are exact here. Where the machine would wrap or round, the rule gives up: coefficients
 * that grow large, and sums in types below 32 bits or unsigned ones that may go negative. */
#include "ir/shape.h"

#include <math.h>
#include "ir/infer.h"

static TnDType result_type(const Node *n) {
    return n->outputs[0]->type.dtype;
}

/* For sums and products: small types may wrap, 16-bit floats round. */
static bool keep(const Node *n, const Expr *e, Elem *r) {
    r->e = e;
    return facts_fits(infer_ex(n), result_type(n), e);
}

static bool sum_fits(const Expr *a, const Expr *b) {
    int bits = ex_is_integral(a) && ex_is_integral(b) ? 61 : 30;
    return facts_small(a, bits) && facts_small(b, bits);
}

static bool product_fits(const Expr *a, const Expr *b) {
    int bits = 0;
    while (bits < 61 && !facts_small(a, bits)) bits++;
    return bits < 61 && facts_small(b, 61 - bits);
}

static bool add(const Node *n, const Elem *a, Elem *r) {
    return sum_fits(a[0].e, a[1].e) && keep(n, ex_add(infer_ex(n), a[0].e, a[1].e), r);
}

static bool sub(const Node *n, const Elem *a, Elem *r) {
    return sum_fits(a[0].e, a[1].e) && keep(n, ex_sub(infer_ex(n), a[0].e, a[1].e), r);
}

static bool mul(const Node *n, const Elem *a, Elem *r) {
    return product_fits(a[0].e, a[1].e) && keep(n, ex_mul(infer_ex(n), a[0].e, a[1].e), r);
}

static bool neg(const Node *n, const Elem *a, Elem *r) {
    return sum_fits(a[0].e, a[0].e) && keep(n, ex_neg(infer_ex(n), a[0].e), r);
}

static bool absolute(const Node *n, const Elem *a, Elem *r) {
    return sum_fits(a[0].e, a[0].e) && keep(n, ex_abs(infer_ex(n), a[0].e), r);
}

/* The smallest of many run-time values is no size that anything could follow from. */
static bool few(const Elem *a) {
    return ex_size(a[0].e) + ex_size(a[1].e) < 30;
}

static bool minimum(const Node *n, const Elem *a, Elem *r) {
    if (!few(a)) return false;
    r->e = ex_min(infer_ex(n), a[0].e, a[1].e);
    return sum_fits(a[0].e, a[1].e);
}

static bool maximum(const Node *n, const Elem *a, Elem *r) {
    if (!few(a)) return false;
    r->e = ex_max(infer_ex(n), a[0].e, a[1].e);
    return sum_fits(a[0].e, a[1].e);
}

/* A truth value made of lengths is not one itself. */
static bool only_symbols(const Expr *e) {
    return !ex_mentions(e, ATOM_COORD) && !ex_mentions(e, ATOM_LOAD) && !ex_mentions(e, ATOM_BIT);
}

/* Whether b is at least 1. Nobody divides by a length that may be 0, so lengths are required to be;
 * data may be 0 anywhere. */
static bool may_divide(const Node *n, const Expr *b) {
    Module *m = n->graph->module;
    const Expr *one = ex_int(m->ex, 1);
    return only_symbols(b) ? infer_try_le(m, one, b) : ex_provably_ge(m->ex, b, one);
}

/* a / b truncated towards zero, b >= 0. A length divided by a length is never meant to be negative:
 * where the sign of the numerator is open it is required to be at least 0. */
static const Expr *truncated_quotient(Module *m, const Expr *a, const Expr *b) {
    ExprCx *x = m->ex;
    int64_t divisor;
    if (ex_nonneg(x, a)) return ex_floordiv(x, a, b);
    if (ex_nonneg(x, ex_neg(x, a))) return ex_neg(x, ex_floordiv(x, ex_neg(x, a), b));
    if (only_symbols(a)) {
        if (!infer_try_le(m, ex_int(x, 0), a)) return NULL;
        return ex_floordiv(x, ex_norm(x, a), ex_norm(x, b));
    }
    return ex_const(b, &divisor) ? ex_trunc(x, ex_scale(x, a, 1, divisor)) : NULL;
}

static bool divide_integers(const Node *n, const Expr *a, const Expr *b, Elem *r) {
    ExprCx *x = infer_ex(n);
    int64_t divisor;
    if (!sum_fits(a, b) || ex_is(b, 0)) return false;
    if (ex_const(b, &divisor) && divisor < 0) {
        a = ex_neg(x, a);
        b = ex_neg(x, b);
    }
    if (!may_divide(n, b)) return false;
    r->e = truncated_quotient(n->graph->module, a, b);
    return r->e != NULL;
}

static bool divide(const Node *n, const Elem *a, Elem *r) {
    ExprCx *x = infer_ex(n);
    const Expr *numerator = a[0].e, *denominator = a[1].e;
    if (!tn_is_float(result_type(n))) return divide_integers(n, numerator, denominator, r);
    if (denominator->count == 1 && denominator->terms[0].degree == 0) { /* a number, not 0 */
        Rational c = denominator->terms[0].coef;
        if (!facts_small(numerator, 30) || !facts_small(denominator, 30)) return false;
        const Expr *inverse =
            c.num < 0 ? ex_rational(x, -c.den, -c.num) : ex_rational(x, c.den, c.num);
        return keep(n, ex_mul(x, numerator, inverse), r);
    }
    if (!denominator->count || !may_divide(n, denominator)) return false;
    r->e = ex_exact_div(x, numerator, denominator);
    return r->e && facts_fits(x, result_type(n), r->e);
}

static bool modulo(const Node *n, const Elem *a, Elem *r) {
    ExprCx *x = infer_ex(n);
    int64_t divisor;
    if (tn_is_float(result_type(n)) || !sum_fits(a[0].e, a[1].e) || ex_is(a[1].e, 0)) return false;
    if (!ex_const(a[1].e, &divisor) && !may_divide(n, a[1].e)) return false;
    r->e = ex_mod(x, a[0].e, a[1].e);
    return true;
}

static bool round_down(const Node *n, const Elem *a, Elem *r) {
    r->e = ex_floor(infer_ex(n), a[0].e);
    return true;
}

static bool round_up(const Node *n, const Elem *a, Elem *r) {
    r->e = ex_ceil(infer_ex(n), a[0].e);
    return true;
}

/* --- logic --- */

static bool logical_and(const Node *n, const Elem *a, Elem *r) {
    r->p = pr_and(infer_ex(n), a[0].p, a[1].p);
    return true;
}

static bool logical_or(const Node *n, const Elem *a, Elem *r) {
    r->p = pr_or(infer_ex(n), a[0].p, a[1].p);
    return true;
}

static bool logical_xor(const Node *n, const Elem *a, Elem *r) {
    r->p = pr_xor(infer_ex(n), a[0].p, a[1].p);
    return true;
}

static bool logical_not(const Node *n, const Elem *a, Elem *r) {
    r->p = pr_not(infer_ex(n), a[0].p);
    return true;
}

/* Floats are rounded before they are compared, so nothing exact follows. */
static bool comparable(const Node *n, const Elem *a) {
    return !tn_is_float(infer_input(n, 0)->dtype) && sum_fits(a[0].e, a[1].e);
}

static bool equal(const Node *n, const Elem *a, Elem *r) {
    ExprCx *x = infer_ex(n);
    if (a[0].p) {
        r->p = pr_not(x, pr_xor(x, a[0].p, a[1].p));
        return true;
    }
    if (!comparable(n, a)) return false;
    r->p = pr_eq(x, a[0].e, a[1].e);
    return true;
}

static bool less(const Node *n, const Elem *a, Elem *r) {
    if (!comparable(n, a)) return false;
    r->p = pr_not(infer_ex(n), pr_ge(infer_ex(n), a[0].e, a[1].e));
    return true;
}

static bool less_equal(const Node *n, const Elem *a, Elem *r) {
    if (!comparable(n, a)) return false;
    r->p = pr_ge(infer_ex(n), a[1].e, a[0].e);
    return true;
}

static bool select(const Node *n, const Elem *a, Elem *r) {
    ExprCx *x = infer_ex(n);
    if (result_type(n) == TN_BOOL)
        r->p = facts_if(x, a[0].p, a[1].p, a[2].p);
    else
        r->e = ex_where(x, a[0].p, a[1].e, a[2].e);
    return true;
}

/* --- cast --- */

static bool convert(const Node *n, const Elem *a, Elem *r) {
    ExprCx *x = infer_ex(n);
    TnDType from = infer_input(n, 0)->dtype, to = result_type(n);
    if (to == TN_BOOL) {
        r->p = from == TN_BOOL ? a[0].p : pr_nonzero(x, a[0].e);
        return true;
    }
    r->e = from == TN_BOOL ? ex_bit(x, a[0].p) : a[0].e;
    if (from == TN_BOOL) return true;
    if (tn_is_float(from) && !tn_is_float(to)) r->e = ex_trunc(x, r->e);
    bool widens = !tn_is_float(to) && tn_dtype_holds(to, from);
    return widens || from == to || facts_fits(x, to, r->e);
}

/* --- the rules --- */

#define RULE(name, element, choice)    \
    void facts_##name(Node *n) {       \
        facts_elementwise(n, element); \
        choice(n);                     \
    }
RULE(add, add, choice_binary)
RULE(sub, sub, choice_binary)
RULE(mul, mul, choice_binary)
RULE(div, divide, choice_binary)
RULE(min, minimum, choice_binary)
RULE(max, maximum, choice_binary)
RULE(mod, modulo, facts_none)
RULE(neg, neg, choice_unary)
RULE(abs, absolute, choice_unary)
RULE(floor, round_down, choice_unary)
RULE(ceil, round_up, choice_unary)
RULE(and, logical_and, facts_none)
RULE(or, logical_or, facts_none)
RULE(xor, logical_xor, facts_none)
RULE(not, logical_not, facts_none)
RULE(eq, equal, choice_binary)
RULE(lt, less, choice_binary)
RULE(le, less_equal, choice_binary)
RULE(where, select, choice_where)
RULE(cast, convert, choice_cast)
#undef RULE
