/* Takes a mask predicate apart: see mask.h.
 *
 * Every conjunct is classified by what it depends on:
 *     batch and key only           -> key mask
 *     batch and query only         -> query mask
 *     i2 - i3 + c >= 0             -> causal with offset c
 *     i3 - i2 + c >= 0             -> window, c keys to the left (c a number)
 *     c - abs(i2 - i3) >= 0        -> both
 * The steps are identities, so the result is a proof and not a guess. */
#include "passes/mask.h"

enum { BATCH, HEAD, QUERY, KEY };

static const Atom *only_atom(const Term *t) {
    return t->degree == 1 ? t->atoms[0] : NULL;
}

/* e = sign * (i2 - i3) + rest, rest free of coordinates and data: sign, or 0. */
static int diagonal(ExprCx *x, const Expr *e, const Expr **rest) {
    *rest = e;
    int64_t query = 0, key = 0;
    for (int i = 0; i < e->count; i++) {
        const Atom *a = only_atom(&e->terms[i]);
        if (!a || a->kind != ATOM_COORD || (a->number != QUERY && a->number != KEY)) continue;
        if (e->terms[i].coef.den != 1) return 0;
        *(a->number == QUERY ? &query : &key) = e->terms[i].coef.num;
        const Expr *coordinate = ex_coord(x, a->number, a->args[0]);
        *rest = ex_sub(x, *rest, ex_scale(x, coordinate, e->terms[i].coef.num, 1));
    }
    if (query + key != 0 || (query != 1 && query != -1)) return 0;
    bool data = ex_mentions(*rest, ATOM_COORD) || ex_mentions(*rest, ATOM_LOAD) ||
                ex_mentions(*rest, ATOM_BIT) || ex_mentions(*rest, ATOM_WHERE);
    return data || !ex_is_integral(*rest) ? 0 : (int)query;
}

static bool classify_window(ExprCx *x, const Expr *e, Mask *m);

static bool classify_compare(ExprCx *x, const Expr *e, Mask *m) {
    for (int i = 0; i < e->count; i++) { /* c - abs(d) >= 0 is c - d >= 0 and c + d >= 0 */
        const Atom *a = only_atom(&e->terms[i]);
        if (!a || a->kind != ATOM_ABS || e->terms[i].coef.num != -1 || e->terms[i].coef.den != 1)
            continue;
        const Expr *d = a->args[0], *c = ex_add(x, e, ex_abs(x, d));
        return classify_window(x, ex_sub(x, c, d), m) && classify_window(x, ex_add(x, c, d), m);
    }
    return classify_window(x, e, m);
}

static bool classify_window(ExprCx *x, const Expr *e, Mask *m) {
    const Expr *c;
    int sign = diagonal(x, e, &c);
    if (sign > 0) {
        if (m->causal && m->offset != c) return false;
        m->causal = true;
        m->offset = c;
        return true;
    }
    int64_t left;
    if (sign == 0 || !ex_const(c, &left) || left < 0 || m->left >= 0) return false;
    m->left = left;
    return true;
}

static const Pred *conjunction(ExprCx *x, const Pred *a, const Pred *b) {
    return a ? pr_and(x, a, b) : b;
}

static bool classify(ExprCx *x, const Pred *p, Mask *m) {
    bool head = pr_mentions_coord(p, HEAD), query = pr_mentions_coord(p, QUERY),
         key = pr_mentions_coord(p, KEY);
    if (!head && !query) {
        m->key = conjunction(x, m->key, p);
        return true;
    }
    if (!head && !key) {
        m->query = conjunction(x, m->query, p);
        return true;
    }
    return !head && p->kind == PRED_GE0 && classify_compare(x, p->expr, m);
}

/* The window is counted from the causal diagonal: left becomes relative to it; without one a
 * two-sided window is right = causal offset. */
static bool settle(ExprCx *x, Mask *m) {
    int64_t offset;
    if (m->left < 0) return true;
    if (!m->causal) {
        m->offset = ex_int(x, 0);
        return true;
    }
    if (!ex_const(m->offset, &offset)) return false;
    if (__builtin_add_overflow(m->left, offset, &m->left)) return false;
    return m->left >= 0 && m->left < INT32_MAX;
}

bool mask_split(ExprCx *x, const Pred *allowed, Mask *m, const Pred **rest) {
    *m = (Mask){.offset = ex_int(x, 0), .left = -1, .right = -1};
    const Pred *single[1] = {allowed};
    int count = allowed->kind == PRED_AND ? allowed->count : 1;
    const Pred *const *parts = allowed->kind == PRED_AND ? allowed->args : single;
    if (allowed->kind == PRED_TRUE) return true;
    for (int i = 0; i < count; i++)
        if (!classify(x, parts[i], m)) {
            *rest = parts[i];
            return false;
        }
    *rest = allowed;
    return settle(x, m);
}
