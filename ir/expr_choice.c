/* min, max, abs, where and bit: what bounds decide disappears, the rest becomes an atom in
 * canonical form.
 *
 *     min(seq, 512, 600) = min(512, seq)       max(past, 0) = past         where(p, 1, 0) = bit(p)
 *
 * Rational arguments are scaled, min(s/2, 3) = 1/2 * min(s, 6), so that every atom is integral.
 */
#include "ir/expr_internal.h"

#include <stdlib.h>

typedef struct ArgList {
    const Expr *items[EX_MAX_CHOICE];
    int count;
} ArgList;

static void push(ExprCx *x, ArgList *list, const Expr *e) {
    if (list->count == EX_MAX_CHOICE)
        tn_fail(x->cx, TN_E_LIMIT, "min or max of more than %d sizes", EX_MAX_CHOICE);
    list->items[list->count++] = e;
}

/* The arguments of a nested min (or max), or e itself. */
static void flatten(ExprCx *x, ArgList *list, AtomKind kind, const Expr *e) {
    const Atom *a = single_atom(e);
    if (a && a->kind == kind)
        for (int i = 0; i < a->arity; i++) push(x, list, a->args[i]);
    else
        push(x, list, e);
}

/* Whether `kept` makes `other` superfluous. */
static bool covers(ExprCx *x, AtomKind kind, const Expr *kept, const Expr *other) {
    return kind == ATOM_MIN ? ex_provably_ge(x, other, kept) : ex_provably_ge(x, kept, other);
}

static int by_id(const void *a, const void *b) {
    const Expr *l = *(const Expr *const *)a, *r = *(const Expr *const *)b;
    return (l->id > r->id) - (l->id < r->id);
}

static const Expr *extreme(ExprCx *x, AtomKind kind, const Expr *a, const Expr *b) {
    ArgList all = {.count = 0}, kept = {.count = 0};
    flatten(x, &all, kind, a);
    flatten(x, &all, kind, b);
    qsort(all.items, (size_t)all.count, sizeof(*all.items), by_id);
    for (int i = 0; i < all.count; i++) {
        bool needed = true;
        for (int k = 0; k < kept.count && needed; k++)
            needed = !covers(x, kind, kept.items[k], all.items[i]);
        for (int k = i + 1; k < all.count && needed; k++)
            needed = !covers(x, kind, all.items[k], all.items[i]) ||
                     covers(x, kind, all.items[i], all.items[k]);
        if (needed) push(x, &kept, all.items[i]);
    }
    return kept.count == 1 ? kept.items[0] : atom_of(x, kind, kept.items, kept.count, NULL);
}

/* What makes both integral. */
static Rational common_denominator(ExprCx *x, const Expr *a, const Expr *b) {
    int64_t u = poly_denominator(x, a), v = poly_denominator(x, b);
    return rat_mul(x, (Rational){u / gcd_i64(u, v), 1}, (Rational){v, 1});
}

static const Expr *cached_extreme(ExprCx *x, AtomKind kind, const Expr *a, const Expr *b) {
    a = ex_norm(x, a);
    b = ex_norm(x, b);
    if (a == b) return a;
    Rational scale = common_denominator(x, a, b);
    if (scale.num != 1) {
        const Expr *e = cached_extreme(x, kind, poly_scale(x, a, scale), poly_scale(x, b, scale));
        return poly_scale(x, e, rat_make(x, 1, scale.num));
    }
    const Expr *known = cache_get(x, kind, a, b);
    return known ? known : cache_put(x, kind, a, b, extreme(x, kind, a, b));
}

const Expr *ex_min(ExprCx *x, const Expr *a, const Expr *b) {
    return cached_extreme(x, ATOM_MIN, a, b);
}

const Expr *ex_max(ExprCx *x, const Expr *a, const Expr *b) {
    return cached_extreme(x, ATOM_MAX, a, b);
}

/* The content leaves and the leading sign is plus: |6 - 2*s| = 2*|s - 3|. */
const Expr *ex_abs(ExprCx *x, const Expr *a) {
    a = ex_norm(x, a);
    if (proven(x, a)) return a;
    const Expr *minus = poly_scale(x, a, (Rational){-1, 1});
    if (proven(x, minus)) return minus;
    Rational content = rat_make(x, poly_content(a, true), poly_denominator(x, a));
    const Expr *arg = a->terms[0].coef.num < 0 ? minus : a;
    arg = poly_scale(x, arg, rat_div(x, (Rational){1, 1}, content));
    return poly_scale(x, atom_of(x, ATOM_ABS, &arg, 1, NULL), content);
}

/* What `e` is where p holds (or does not): a where by the same predicate is decided. */
static const Expr *under(const Expr *e, const Pred *p, int branch) {
    const Atom *w = single_atom(e);
    return w && w->kind == ATOM_WHERE && w->pred == p ? w->args[branch] : e;
}

const Expr *ex_where(ExprCx *x, const Pred *p, const Expr *a, const Expr *b) {
    p = pr_norm(x, p);
    if (p->kind == PRED_NOT) return ex_where(x, p->args[0], b, a);
    a = under(ex_norm(x, a), p, 0);
    b = under(ex_norm(x, b), p, 1);
    if (p->kind == PRED_TRUE || a == b) return a;
    if (p->kind == PRED_FALSE) return b;
    if (a == x->one && b->count == 0) return ex_bit(x, p);
    if (b == x->one && a->count == 0) return ex_bit(x, pr_not(x, p));
    Rational scale = common_denominator(x, a, b);
    const Expr *args[2] = {poly_scale(x, a, scale), poly_scale(x, b, scale)};
    return poly_scale(x, atom_of(x, ATOM_WHERE, args, 2, p), rat_make(x, 1, scale.num));
}

const Expr *ex_bit(ExprCx *x, const Pred *p) {
    p = pr_norm(x, p);
    if (p->kind == PRED_TRUE) return x->one;
    if (p->kind == PRED_FALSE) return x->zero;
    if (p->kind == PRED_NOT) return ex_sub(x, x->one, ex_bit(x, p->args[0]));
    return atom_of(x, ATOM_BIT, NULL, 0, p);
}
