/* Rebuilding expressions: `norm` applies what requirements taught since they were made, `at`
 * replaces coordinates, `known` atoms made of loads.
 *
 * All are one recursive walk that remembers results in the objects: norm per generation, at per
 * map (the epoch moves on when the map or the generation changes), known per call. Depth is bounded
 * by EX_MAX_DEPTH.
 */
#include "ir/expr_internal.h"

/* n entries of a map of coordinates, or of atoms and what they are; neither: norm */
typedef struct Walk {
    const Expr *const *map, *const *atoms, *const *values;
    int n;
    uint32_t stamp;
} Walk;

static bool is_norm(const Walk *w) {
    return !w->map && !w->atoms;
}

static const Expr *walk_expr(ExprCx *x, const Walk *w, const Expr *e);
static const Pred *walk_pred(ExprCx *x, const Walk *w, const Pred *p);

static const Expr *rebuild_extreme(ExprCx *x, const Walk *w, const Atom *a) {
    const Expr *r = walk_expr(x, w, a->args[0]);
    for (int i = 1; i < a->arity; i++) {
        const Expr *next = walk_expr(x, w, a->args[i]);
        r = a->kind == ATOM_MIN ? ex_min(x, r, next) : ex_max(x, r, next);
    }
    return r;
}

static const Expr *rebuild_load(ExprCx *x, const Walk *w, const Atom *a) {
    const Expr *index[EX_MAX_ARGS];
    for (int i = 0; i < a->arity; i++) index[i] = walk_expr(x, w, a->args[i]);
    return ex_load(x, a->leaf, index, a->arity);
}

/* A branch that is not taken is left alone: it may divide by zero. */
static const Expr *rebuild_where(ExprCx *x, const Walk *w, const Atom *a) {
    const Pred *p = walk_pred(x, w, a->pred);
    if (p->kind == PRED_TRUE) return walk_expr(x, w, a->args[0]);
    if (p->kind == PRED_FALSE) return walk_expr(x, w, a->args[1]);
    return ex_where(x, p, walk_expr(x, w, a->args[0]), walk_expr(x, w, a->args[1]));
}

static const Expr *rebuild(ExprCx *x, const Walk *w, const Atom *a) {
    switch (a->kind) {
    case ATOM_SYMBOL: return atom_expr(x, a);
    case ATOM_COORD:
        if (is_norm(w)) return ex_coord(x, a->number, walk_expr(x, w, a->args[0]));
        return w->map && a->number < w->n && w->map[a->number] ? w->map[a->number]
                                                               : atom_expr(x, a);
    case ATOM_FLOORDIV:
        return ex_floordiv(x, walk_expr(x, w, a->args[0]), walk_expr(x, w, a->args[1]));
    case ATOM_MOD: return ex_mod(x, walk_expr(x, w, a->args[0]), walk_expr(x, w, a->args[1]));
    case ATOM_MIN:
    case ATOM_MAX: return rebuild_extreme(x, w, a);
    case ATOM_ABS: return ex_abs(x, walk_expr(x, w, a->args[0]));
    case ATOM_TRUNC: return ex_trunc(x, walk_expr(x, w, a->args[0]));
    case ATOM_WHERE: return rebuild_where(x, w, a);
    case ATOM_BIT: return ex_bit(x, walk_pred(x, w, a->pred));
    case ATOM_LOAD: break;
    }
    return rebuild_load(x, w, a);
}

static const Expr *walk_atom(ExprCx *x, const Walk *w, const Atom *a) {
    AtomNode *n = (AtomNode *)a;
    if (w->map && !n->has.axes) return atom_expr(x, a);
    if (w->atoms && !(n->has.kinds & 1u << ATOM_LOAD)) return atom_expr(x, a);
    Memo *memo = is_norm(w) ? &n->norm : &n->at;
    if (memo->stamp == w->stamp) return memo->result;
    const Expr *r = n->replacement && !n->busy ? atom_expr(x, a) : rebuild(x, w, a);
    for (int i = 0; w->atoms && i < w->n; i++)
        if (w->atoms[i] == r) {
            r = w->values[i];
            break;
        }
    *memo = (Memo){w->stamp, r};
    return r;
}

static const Expr *walk_term(ExprCx *x, const Walk *w, const Term *t) {
    const Expr *p = poly_term(x, t->coef, x->unit);
    for (int i = 0; i < t->degree; i++) p = poly_mul(x, p, walk_atom(x, w, t->atoms[i]));
    return p;
}

static bool unchanged(ExprCx *x, const Walk *w, const Expr *e) {
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->terms[i].degree; k++) {
            const Atom *a = e->terms[i].atoms[k];
            if (walk_atom(x, w, a) != atom_node(a)->itself) return false;
        }
    return true;
}

static const Expr *walk_expr(ExprCx *x, const Walk *w, const Expr *e) {
    ExprNode *n = (ExprNode *)e;
    Memo *memo = is_norm(w) ? &n->norm : &n->at;
    if (memo->stamp == w->stamp) return memo->result;
    const Expr *r = e;
    if (!unchanged(x, w, e)) {
        r = x->zero;
        for (int i = 0; i < e->count; i++) r = poly_add(x, r, walk_term(x, w, &e->terms[i]));
        r = rejoin_mod(x, r);
    }
    *memo = (Memo){w->stamp, r};
    return r;
}

static const Pred *rebuild_pred(ExprCx *x, const Walk *w, const Pred *p) {
    const Pred *r;
    switch (p->kind) {
    case PRED_FALSE:
    case PRED_TRUE: return p;
    case PRED_GE0: return pr_ge(x, walk_expr(x, w, p->expr), x->zero);
    case PRED_EQ0: return pr_eq(x, walk_expr(x, w, p->expr), x->zero);
    case PRED_NE0: return pr_nonzero(x, walk_expr(x, w, p->expr));
    case PRED_NOT: return pr_not(x, walk_pred(x, w, p->args[0]));
    case PRED_XOR: return pr_xor(x, walk_pred(x, w, p->args[0]), walk_pred(x, w, p->args[1]));
    case PRED_AND:
    case PRED_OR: break;
    }
    r = walk_pred(x, w, p->args[0]);
    for (int i = 1; i < p->count; i++) {
        const Pred *next = walk_pred(x, w, p->args[i]);
        r = p->kind == PRED_AND ? pr_and(x, r, next) : pr_or(x, r, next);
    }
    return r;
}

static const Pred *walk_pred(ExprCx *x, const Walk *w, const Pred *p) {
    PredNode *n = (PredNode *)p;
    Memo *memo = is_norm(w) ? &n->norm : &n->at;
    if (memo->stamp == w->stamp) return memo->result;
    const Pred *r = rebuild_pred(x, w, p);
    *memo = (Memo){w->stamp, r};
    return r;
}

const Expr *ex_norm(ExprCx *x, const Expr *e) {
    const Memo *memo = &expr_node(e)->norm;
    if (memo->stamp == x->generation) return memo->result;
    Walk w = {.stamp = x->generation};
    return walk_expr(x, &w, e);
}

const Pred *pr_norm(ExprCx *x, const Pred *p) {
    const Memo *memo = &pred_node(p)->norm;
    if (memo->stamp == x->generation) return memo->result;
    Walk w = {.stamp = x->generation};
    return walk_pred(x, &w, p);
}

const Expr *atom_rebuilt(ExprCx *x, const Atom *a) {
    Walk w = {.stamp = x->generation};
    return rebuild(x, &w, a);
}

/* A walk with this map; the previous one's results are kept if nothing changed. */
static Walk walk_at(ExprCx *x, const Expr *const *map, int n) {
    bool same = x->at_map && n == x->at_count && x->at_generation == x->generation;
    x->at_map =
        arena_grow(&x->cx->arena, x->at_map, &x->at_capacity, (size_t)n + 1, sizeof(*x->at_map));
    for (int i = 0; i < n; i++) {
        const Expr *to = map[i] ? ex_norm(x, map[i]) : NULL;
        same = same && x->at_map[i] == to;
        x->at_map[i] = to;
    }
    x->at_count = n;
    x->at_generation = x->generation;
    if (!same) x->at_epoch++;
    return (Walk){.map = x->at_map, .n = n, .stamp = x->at_epoch};
}

const Expr *ex_at(ExprCx *x, const Expr *e, const Expr *const *map, int n) {
    e = ex_norm(x, e);
    if (!expr_node(e)->has.axes) return e;
    Walk w = walk_at(x, map, n);
    return walk_expr(x, &w, e);
}

const Pred *pr_at(ExprCx *x, const Pred *p, const Expr *const *map, int n) {
    p = pr_norm(x, p);
    if (!pred_node(p)->has.axes) return p;
    Walk w = walk_at(x, map, n);
    return walk_pred(x, &w, p);
}

const Expr *ex_known(ExprCx *x, const Expr *e, int n, const Expr *const *atoms,
                     const Expr *const *values) {
    e = ex_norm(x, e);
    if (!n || !(expr_node(e)->has.kinds & 1u << ATOM_LOAD)) return e;
    x->at_count = -1; /* results of the last map are gone */
    Walk w = {.atoms = atoms, .values = values, .n = n, .stamp = ++x->at_epoch};
    return walk_expr(x, &w, e);
}
