/* Expressions over other symbols.
 *
 * A branch of `if` has a symbol of its own for each one of its caller that it mentions: what the
 * branch requires of lengths holds when it runs, and says nothing about the other branch or about
 * the caller. They get their values from the dims of the inputs, or are measured first thing. */
#include "frontend/onnx/flow.h"

typedef const Expr *Rename(void *user, const Symbol *s);

typedef struct Renaming {
    ExprCx *x;
    Rename *rename;
    void *user;
} Renaming;

static const Expr *rename_expr(const Renaming *r, const Expr *e);

static const Pred *rename_pred(const Renaming *r, const Pred *p) {
    ExprCx *x = r->x;
    const Expr *zero = ex_int(x, 0), *e = p->expr ? rename_expr(r, p->expr) : NULL;
    const Pred *q = p->count ? rename_pred(r, p->args[0]) : p;
    switch (p->kind) {
    case PRED_GE0: return pr_ge(x, e, zero);
    case PRED_EQ0: return pr_eq(x, e, zero);
    case PRED_NE0: return pr_nonzero(x, e);
    case PRED_NOT: return pr_not(x, q);
    case PRED_XOR: return pr_xor(x, q, rename_pred(r, p->args[1]));
    default: break;
    }
    for (int i = 1; i < p->count; i++) {
        const Pred *next = rename_pred(r, p->args[i]);
        q = p->kind == PRED_AND ? pr_and(x, q, next) : pr_or(x, q, next);
    }
    return q;
}

static const Expr *rename_atom(const Renaming *r, const Atom *a) {
    ExprCx *x = r->x;
    const Expr *first = a->arity ? rename_expr(r, a->args[0]) : NULL;
    const Expr *second = a->arity > 1 ? rename_expr(r, a->args[1]) : NULL;
    switch (a->kind) {
    case ATOM_SYMBOL: return r->rename(r->user, ex_symbol_at(x, a->number));
    case ATOM_FLOORDIV: return ex_floordiv(x, first, second);
    case ATOM_MOD: return ex_mod(x, first, second);
    case ATOM_ABS: return ex_abs(x, first);
    case ATOM_TRUNC: return ex_trunc(x, first);
    case ATOM_WHERE: return ex_where(x, rename_pred(r, a->pred), first, second);
    case ATOM_BIT: return ex_bit(x, rename_pred(r, a->pred));
    default: break; /* dims have no coordinates and no loads: a minimum or maximum is left */
    }
    for (int i = 1; i < a->arity; i++) {
        const Expr *next = rename_expr(r, a->args[i]);
        first = a->kind == ATOM_MIN ? ex_min(x, first, next) : ex_max(x, first, next);
    }
    return first;
}

static const Expr *rename_expr(const Renaming *r, const Expr *e) {
    const Expr *sum = ex_int(r->x, 0);
    for (int i = 0; i < e->count; i++) {
        const Expr *p = ex_rational(r->x, e->terms[i].coef.num, e->terms[i].coef.den);
        for (int k = 0; k < e->terms[i].degree; k++)
            p = ex_mul(r->x, p, rename_atom(r, e->terms[i].atoms[k]));
        sum = ex_add(r->x, sum, p);
    }
    return sum;
}

/* --- into a branch --- */

static const Expr *to_own(void *user, const Symbol *s) {
    Frame *f = user;
    Module *m = f->g->module;
    Arena *a = &m->cx->arena;
    OwnSymbols *own = f->own;
    for (int i = 0; i < own->count; i++)
        if (own->outer[i] == s) return ex_norm(m->ex, own->inner[i]);
    size_t want = (size_t)own->count + 1;
    own->outer = arena_grow(a, own->outer, &own->outer_capacity, want, sizeof *own->outer);
    own->inner = arena_grow(a, own->inner, &own->inner_capacity, want, sizeof *own->inner);
    const char *name = arena_printf(a, "%s.%d", own->base, (int)s->atom->number);
    const Expr *e = ex_measured(m->ex, name, s->min, s->max);
    own->outer[own->count] = s;
    own->inner[own->count++] = e;
    const Symbol *symbol = ex_as_symbol(m->ex, e);
    if (symbol && symbol->measured) flow_note_measure(own->im, f->g, symbol);
    return e;
}

const Expr *flow_inside(Frame *f, const Expr *e) {
    ExprCx *x = f->g->module->ex;
    e = ex_norm(x, e);
    return f->own ? rename_expr(&(Renaming){x, to_own, f}, e) : e;
}

/* --- out of it --- */

typedef struct Outward {
    Importer *im;
    const Frame *f;
    bool hidden;
} Outward;

static const Expr *to_outer(void *user, const Symbol *s) {
    Outward *o = user;
    ExprCx *x = o->im->module->ex;
    const Expr *e = ex_symbol(x, s->name);
    for (int i = 0; i < o->f->own->count; i++)
        if (ex_norm(x, o->f->own->inner[i]) == e) return ex_symbol(x, o->f->own->outer[i]->name);
    if (!flow_is_visible(o->im, o->f->outer, e)) o->hidden = true;
    return e;
}

const Expr *flow_outside(Importer *im, const Frame *f, const Expr *e) {
    ExprCx *x = im->module->ex;
    Outward o = {im, f, false};
    e = ex_norm(x, e);
    if (f->own)
        e = rename_expr(&(Renaming){x, to_outer, &o}, e);
    else
        o.hidden = !flow_is_visible(im, f->outer, e);
    return o.hidden ? NULL : e;
}

/* --- values of own symbols --- */

/* Some captured value has an axis of exactly this length. */
static bool is_bound(const Frame *f, const Expr *outer) {
    ExprCx *x = f->g->module->ex;
    for (int i = 0; i < f->captures->count; i++)
        for (int k = 0; k < f->captures->outer[i]->type.rank; k++)
            if (ex_norm(x, f->captures->outer[i]->type.dims[k]) == outer) return true;
    return false;
}

void flow_bind_symbols(Importer *im, Frame *f) {
    ExprCx *x = im->module->ex;
    Node *first = f->g->first;
    for (int i = 0; f->own && i < f->own->count; i++) {
        const Expr *outer = ex_symbol(x, f->own->outer[i]->name);
        const Expr *inner = ex_norm(x, f->own->inner[i]);
        if (is_bound(f, outer)) continue;
        Value *length = ir_view(f->outer->g, ir_scalars(f->outer->g, TN_I64, 1, &outer), 0, NULL);
        Value *in = flow_capture(f, length);
        f->g->cursor = first;
        ir_measure(f->g, in, 1, &inner);
        f->g->cursor = NULL;
    }
}
