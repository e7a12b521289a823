/* Constant bounds by interval arithmetic over the ranges of symbols.
 *
 * INT64_MIN and INT64_MAX stand for "no bound" and absorb; a finite bound that leaves 64 bits is
 * widened. Bounds of rationals are rounded outward. Facts play no part here.
 *
 *     3*n - i0 in [4 - extent, 192]        n in [1, 64]
 */
#include "ir/expr_internal.h"

static const Interval unbounded = {INT64_MIN, INT64_MAX};

static bool endless(int64_t v) {
    return v == INT64_MIN || v == INT64_MAX;
}

static int64_t saturated(__int128 v) {
    return v <= INT64_MIN ? INT64_MIN : v >= INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* A bound times a bound; 0 times no bound is 0. */
static int64_t bound_mul(int64_t a, int64_t b) {
    if (a == 0 || b == 0) return 0;
    if (endless(a) || endless(b)) return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    return saturated((__int128)a * b);
}

/* A lower bound beyond 64 bits becomes the largest number that still is one, likewise upwards. */
static Interval inside(Interval r) {
    if (r.lo == INT64_MAX) r.lo--;
    if (r.hi == INT64_MIN) r.hi++;
    return r;
}

static Interval interval_mul(Interval a, Interval b) {
    int64_t v[4] = {bound_mul(a.lo, b.lo), bound_mul(a.lo, b.hi), bound_mul(a.hi, b.lo),
                    bound_mul(a.hi, b.hi)};
    Interval r = {v[0], v[0]};
    for (int i = 1; i < 4; i++) {
        if (v[i] < r.lo) r.lo = v[i];
        if (v[i] > r.hi) r.hi = v[i];
    }
    return inside(r);
}

static Interval interval_add(Interval a, Interval b) {
    Interval r = {INT64_MIN, INT64_MAX};
    if (a.lo != INT64_MIN && b.lo != INT64_MIN) r.lo = saturated((__int128)a.lo + b.lo);
    if (a.hi != INT64_MAX && b.hi != INT64_MAX) r.hi = saturated((__int128)a.hi + b.hi);
    return inside(r);
}

/* Outward to integers. */
static Interval interval_div(Interval a, int64_t den) {
    Interval r = a;
    if (!endless(a.lo)) r.lo = floor_div_i64(a.lo, den);
    if (!endless(a.hi)) {
        r.hi = floor_div_i64(a.hi, den);
        if (r.hi * den != a.hi) r.hi++;
    }
    return r;
}

static Interval interval_join(Interval a, Interval b) {
    return (Interval){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

/* Floor semantics; a divisor that is >= 0 is >= 1. */
static Interval floordiv_bounds(Interval a, Interval b) {
    if (b.lo < 0) return unbounded;
    int64_t least = b.lo > 1 ? b.lo : 1;
    Interval r = unbounded;
    if (a.lo >= 0)
        r.lo = b.hi == INT64_MAX || b.hi < 1 ? 0 : a.lo / b.hi;
    else if (a.lo != INT64_MIN)
        r.lo = floor_div_i64(a.lo, least);
    if (a.hi < 0)
        r.hi = -1;
    else if (a.hi != INT64_MAX)
        r.hi = a.hi / least;
    return r;
}

static Interval mod_bounds(Interval a, Interval b) {
    if (b.lo < 0) return unbounded;
    Interval r = {0, b.hi == INT64_MAX || b.hi < 1 ? INT64_MAX : b.hi - 1};
    if (a.lo >= 0 && a.hi < r.hi) r.hi = a.hi;
    return r;
}

static Interval abs_bounds(Interval a) {
    int64_t up = a.lo == INT64_MIN ? INT64_MAX : a.lo < 0 ? -a.lo : a.lo;
    int64_t high = a.hi == INT64_MAX ? INT64_MAX : a.hi < 0 ? -a.hi : a.hi;
    Interval r = {0, up > high ? up : high};
    if (a.lo > 0) r.lo = a.lo;
    if (a.hi < 0) r.lo = -a.hi;
    return r;
}

static Interval extreme_bounds(ExprCx *x, const Atom *a) {
    Interval r = poly_bounds(x, a->args[0]);
    for (int i = 1; i < a->arity; i++) {
        Interval o = poly_bounds(x, a->args[i]);
        bool max = a->kind == ATOM_MAX;
        if (max ? o.lo > r.lo : o.lo < r.lo) r.lo = o.lo;
        if (max ? o.hi > r.hi : o.hi < r.hi) r.hi = o.hi;
    }
    return r;
}

Interval atom_bounds(ExprCx *x, const Atom *a) {
    switch (a->kind) {
    case ATOM_SYMBOL:
        return (Interval){x->symbols[a->number]->pub.min, x->symbols[a->number]->pub.max};
    case ATOM_COORD: {
        int64_t hi = poly_bounds(x, a->args[0]).hi;
        return (Interval){0, hi == INT64_MAX || hi < 1 ? INT64_MAX : hi - 1};
    }
    case ATOM_FLOORDIV:
        return floordiv_bounds(poly_bounds(x, a->args[0]), poly_bounds(x, a->args[1]));
    case ATOM_MOD: return mod_bounds(poly_bounds(x, a->args[0]), poly_bounds(x, a->args[1]));
    case ATOM_MIN:
    case ATOM_MAX: return extreme_bounds(x, a);
    case ATOM_ABS: return abs_bounds(poly_bounds(x, a->args[0]));
    case ATOM_TRUNC: return poly_bounds(x, a->args[0]);
    case ATOM_WHERE: return interval_join(poly_bounds(x, a->args[0]), poly_bounds(x, a->args[1]));
    case ATOM_BIT: return (Interval){0, 1};
    case ATOM_LOAD: break;
    }
    return unbounded;
}

Interval poly_bounds(ExprCx *x, const Expr *e) {
    ExprNode *n = (ExprNode *)e;
    if (n->bound_stamp == x->generation) return n->bound;
    Interval sum = {0, 0};
    for (int i = 0; i < e->count; i++) {
        const Term *t = &e->terms[i];
        Interval term = inside((Interval){t->coef.num, t->coef.num});
        for (int k = 0; k < t->degree; k++) {
            /* An even power is not negative. */
            Interval a = atom_bounds(x, t->atoms[k]);
            if (k + 1 < t->degree && t->atoms[k + 1] == t->atoms[k] && a.lo < 0) {
                a = interval_mul(abs_bounds(a), abs_bounds(a));
                k++;
            }
            term = interval_mul(term, a);
        }
        if (t->coef.den != 1) term = interval_div(term, t->coef.den);
        sum = interval_add(sum, term);
    }
    n->bound = sum;
    n->bound_stamp = x->generation;
    return sum;
}

bool ex_bounds(ExprCx *x, const Expr *e, int64_t *lo, int64_t *hi) {
    Interval r = poly_bounds(x, ex_norm(x, e));
    *lo = r.lo;
    *hi = r.hi;
    return r.lo != INT64_MIN || r.hi != INT64_MAX;
}
