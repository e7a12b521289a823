/* Solves symbols from the dims of inputs and checks the contract.
 *
 * First dims that are a symbol, then those with one unknown symbol left that depend on it linearly
 * (past + 1), until nothing new is learnt; then every dim, range and requirement is checked, those
 * over measured symbols once these have values. */
#include "ir/bind.h"

#include "ir/symbols.h"
#include "runtime/base/checked.h"

typedef struct Unknown {
    const Binding *b;
    int symbol; /* the last one seen */
    int count;  /* of different ones; 2 stands for more */
} Unknown;

static void count_unknown(void *user, int symbol) {
    Unknown *u = user;
    if (u->b->known[symbol] || (u->count && u->symbol == symbol)) return;
    u->symbol = symbol;
    u->count = u->count ? 2 : 1;
}

static Unknown unknown_of(const Binding *b, const Expr *e) {
    Unknown u = {.b = b};
    ir_each_symbol(e, count_unknown, &u);
    return u;
}

static bool evaluate(const Binding *b, const Expr *e, int64_t *v) {
    return unknown_of(b, e).count == 0 && ex_eval(b->x, e, b->value, v);
}

static void learn(Binding *b, int symbol, int64_t value) {
    b->value[symbol] = value;
    b->known[symbol] = true;
}

/* e == dim with one unknown: with e(0) and e(1) the value a
 * linear e would have; taken if e then is dim. */
static bool solve(Binding *b, const Expr *e, int64_t dim) {
    Unknown u = unknown_of(b, e);
    int64_t at0, at1, slope, rest, got;
    if (u.count != 1) return false;
    int64_t *v = &b->value[u.symbol];
    *v = 0;
    if (!ex_eval(b->x, e, b->value, &at0)) return false;
    *v = 1;
    if (!ex_eval(b->x, e, b->value, &at1)) return false;
    if (!tn_sub_i64(at1, at0, &slope) || slope == 0 || !tn_sub_i64(dim, at0, &rest)) return false;
    if (slope == -1 && rest == INT64_MIN) return false;
    *v = rest / slope;
    if (!ex_eval(b->x, e, b->value, &got) || got != dim) return false;
    learn(b, u.symbol, *v);
    return true;
}

/* Replaced symbols have the value of what replaced them. */
static void learn_replaced(Binding *b) {
    for (int i = 0; i < ex_symbol_count(b->x); i++) {
        int64_t v;
        if (!b->known[i] && evaluate(b, ex_symbol(b->x, ex_symbol_at(b->x, i)->name), &v))
            learn(b, i, v);
    }
}

static bool solve_input(Binding *b, int i, bool bare) {
    const Tensor *t = b->inputs[i];
    const Type *type = &b->g->inputs[i]->type;
    bool progress = false;
    for (int k = 0; t && k < type->rank; k++)
        if (!bare || ex_as_symbol(b->x, type->dims[k]))
            progress |= solve(b, type->dims[k], t->dims[k]);
    return progress;
}

/* --- checks --- */

static void check_types(const Binding *b) {
    for (int i = 0; i < b->g->input_count; i++) {
        const Value *v = b->g->inputs[i];
        const Tensor *t = b->inputs[i];
        if (!t) {
            if (b->g->defaults[i] == INPUT_REQUIRED)
                tn_fail(b->cx, TN_E_ARGUMENT, "input '%s' is missing", v->name);
            continue;
        }
        if (t->dtype != v->type.dtype)
            tn_fail(b->cx, TN_E_DTYPE, "input '%s' is %s, not %s", v->name, tn_dtype_name(t->dtype),
                    tn_dtype_name(v->type.dtype));
        if (t->rank != v->type.rank)
            tn_fail(b->cx, TN_E_SHAPE, "input '%s' has %d axes, not %d", v->name, t->rank,
                    v->type.rank);
    }
}

static void check_dims(const Binding *b) {
    for (int i = 0; i < b->g->input_count; i++) {
        const Value *v = b->g->inputs[i];
        for (int k = 0; k < v->type.rank; k++) {
            const char *text = ex_text(b->x, v->type.dims[k]);
            int64_t want;
            if (!evaluate(b, v->type.dims[k], &want))
                tn_fail(b->cx, TN_E_SHAPE, "input '%s': the inputs do not determine %s", v->name,
                        text);
            if (want < 0 || (b->inputs[i] && b->inputs[i]->dims[k] != want))
                tn_fail(b->cx, TN_E_SHAPE, "input '%s': axis %d is %lld, but %s is %lld", v->name,
                        k, (long long)(b->inputs[i] ? b->inputs[i]->dims[k] : want), text,
                        (long long)want);
        }
    }
}

static void check_contract(const Binding *b) {
    for (int i = 0; i < ex_symbol_count(b->x); i++) {
        const Symbol *s = ex_symbol_at(b->x, i);
        if (!b->known[i]) continue;
        if (b->value[i] < s->min)
            tn_fail(b->cx, TN_E_SHAPE, "%s is %lld, but must be at least %lld", s->name,
                    (long long)b->value[i], (long long)s->min);
        if (b->value[i] > s->max)
            tn_fail(b->cx, TN_E_SHAPE, "%s is %lld, but must be at most %lld", s->name,
                    (long long)b->value[i], (long long)s->max);
    }
    for (const Requirement *r = ex_requirements(b->x); r; r = r->next) {
        int64_t left, right;
        if (!evaluate(b, r->left, &left) || !evaluate(b, r->right, &right)) continue;
        if (r->kind == REL_EQ ? left == right : left <= right) continue;
        tn_fail(b->cx, TN_E_SHAPE, "%s %s %s is required, but they are %lld and %lld",
                ex_text(b->x, r->left), r->kind == REL_EQ ? "==" : "<=", ex_text(b->x, r->right),
                (long long)left, (long long)right);
    }
}

Binding ir_bind(Graph *g, const Tensor *const *inputs, const Binding *outer, Arena *arena) {
    Module *m = g->module;
    size_t symbols = (size_t)ex_symbol_count(m->ex);
    Binding b = {g,
                 inputs,
                 m->cx,
                 m->ex,
                 ARENA_ARRAY(arena, int64_t, symbols),
                 ARENA_ARRAY(arena, bool, symbols)};
    check_types(&b);
    for (size_t i = 0; outer && i < symbols; i++)
        if (outer->known[i]) learn(&b, (int)i, outer->value[i]);
    for (int i = 0; i < g->input_count; i++) solve_input(&b, i, true);
    for (bool progress = true; progress;) {
        progress = false;
        for (int i = 0; i < g->input_count; i++) progress |= solve_input(&b, i, false);
    }
    learn_replaced(&b);
    check_dims(&b);
    check_contract(&b);
    return b;
}

/* --- measured symbols --- */

static const char *range_text(const Binding *b, const Symbol *s) {
    Arena *a = &b->cx->arena;
    if (s->max == INT64_MAX) return arena_printf(a, "at least %lld", (long long)s->min);
    return arena_printf(a, "%lld to %lld", (long long)s->min, (long long)s->max);
}

void ir_bind_measured(Binding *b, const Expr *e, int64_t v, const char *what) {
    const Symbol *s = ex_as_symbol(b->x, e);
    int64_t want;
    if (s && s->measured && !b->known[s->atom->number]) {
        if (v < s->min || v > s->max)
            tn_fail(b->cx, TN_E_SHAPE, "%s is %lld, wanted %s", what, (long long)v,
                    range_text(b, s));
        learn(b, s->atom->number, v);
        learn_replaced(b);
        check_contract(b);
        return;
    }
    if (!evaluate(b, e, &want))
        tn_fail(b->cx, TN_E_SHAPE, "%s is %lld, but %s has no value", what, (long long)v,
                ex_text(b->x, e));
    if (v == want) return;
    if (ex_is(e, want))
        tn_fail(b->cx, TN_E_SHAPE, "%s is %lld, wanted %lld", what, (long long)v, (long long)want);
    tn_fail(b->cx, TN_E_SHAPE, "%s is %lld, wanted %s, which is %lld", what, (long long)v,
            ex_text(b->x, e), (long long)want);
}
