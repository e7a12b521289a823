/* Prints the contract of a module's inputs: ranges of symbols, then requirements.
 *
 * Reading the text back must give the same text, so what is printed is a normal form: symbols that
 * were replaced (s6 == batch) do not occur, requirements that restrict one symbol are ranges, and
 * ranges come sorted by name. Other requirements keep their form and order: those that replaced a
 * quotient would say nothing in normal form. Renaming only is done in an ExprCx that knows nothing
 * but the replaced symbols. */
#include "ir/print.h"

#include <stdlib.h>
#include <string.h>
#include "ir/names.h"
#include "ir/symbols.h"

typedef struct Clause {
    RelationKind kind;
    const Expr *left, *right; /* over `renamed` */
} Clause;

typedef struct Contract {
    Cx *cx;
    Arena *arena;
    ExprCx *x;         /* of the module */
    ExprCx *renamed;   /* knows the replaced symbols only; there if there are clauses */
    NameMap occurring; /* symbols of input types and clauses */
    Clause *clauses;
    int count;
} Contract;

/* --- which symbols occur --- */

typedef struct Noting {
    Contract *c;
    const ExprCx *x;
} Noting;

static void note_symbol(void *user, int symbol) {
    Noting *n = user;
    names_add(&n->c->occurring, ex_symbol_at(n->x, symbol)->name, NULL);
}

static void note_expr(Contract *c, const ExprCx *x, const Expr *e) {
    ir_each_symbol(e, note_symbol, &(Noting){c, x});
}

static void note_inputs(Contract *c, const Module *m) {
    for (const Graph *g = m->graphs; g; g = g->next)
        for (int i = 0; i < g->input_count; i++)
            for (int k = 0; k < g->inputs[i]->type.rank; k++)
                note_expr(c, c->x, g->inputs[i]->type.dims[k]);
}

/* --- clauses --- */

/* `e` of the module with replaced symbols replaced, and nothing else. */
static const Expr *rename(Contract *c, const Expr *e) {
    const char *s = ex_text(c->x, e);
    return ex_parse(c->renamed, &s);
}

/* The used symbol of an equation is the one that stays. */
static void learn_renamings(Contract *c) {
    for (int i = 0; i < ex_symbol_count(c->x); i++) {
        const char *name = ex_symbol_at(c->x, i)->name;
        const Symbol *now = ex_as_symbol(c->x, ex_symbol(c->x, name));
        if (now && now == ex_find_symbol(c->x, name)) ex_note_use(c->renamed, name);
    }
    for (int i = 0; i < ex_symbol_count(c->x); i++) {
        const char *name = ex_symbol_at(c->x, i)->name;
        const Expr *now = ex_symbol(c->x, name);
        if (ex_as_symbol(c->x, now) == ex_find_symbol(c->x, name)) continue;
        ex_require_eq(c->renamed, ex_symbol(c->renamed, name), rename(c, now), NULL);
    }
}

/* Whether e >= 0 says no more than a range can: it is k*s + n, or a number. */
static bool is_range(const Expr *e) {
    for (int i = 0; i < e->count; i++)
        if (e->terms[i].degree > 1 ||
            (e->terms[i].degree == 1 && e->terms[i].atoms[0]->kind != ATOM_SYMBOL))
            return false;
    return e->count < 2 || (e->count == 2 && e->terms[1].degree == 0);
}

static void add_clause(Contract *c, const Requirement *r) {
    Clause k = {r->kind, rename(c, r->left), rename(c, r->right)};
    if (k.kind == REL_EQ ? k.left == k.right : is_range(ex_sub(c->renamed, k.right, k.left)))
        return;
    for (int i = 0; i < c->count; i++)
        if (c->clauses[i].kind == k.kind && c->clauses[i].left == k.left &&
            c->clauses[i].right == k.right)
            return;
    note_expr(c, c->renamed, k.left);
    note_expr(c, c->renamed, k.right);
    c->clauses[c->count++] = k;
}

static void find_clauses(Contract *c) {
    size_t n = 0;
    for (const Requirement *r = ex_requirements(c->x); r; r = r->next) n++;
    if (!n) return;
    c->renamed = ex_new(c->cx);
    c->clauses = ARENA_ARRAY(c->arena, Clause, n);
    learn_renamings(c);
    for (const Requirement *r = ex_requirements(c->x); r; r = r->next) add_clause(c, r);
}

/* --- text --- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const Symbol *const *)a)->name, (*(const Symbol *const *)b)->name);
}

static void print_ranges(Contract *c, TextBuffer *t, const char **before) {
    int n = 0, all = ex_symbol_count(c->x);
    const Symbol **symbols = ARENA_ARRAY(c->arena, const Symbol *, (size_t)all);
    for (int i = 0; i < all; i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (names_has(&c->occurring, s->name)) symbols[n++] = s;
    }
    if (n) qsort(symbols, (size_t)n, sizeof *symbols, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = ex_text(c->x, ex_symbol(c->x, symbols[i]->name));
        if (symbols[i]->min > 0) {
            text_format(t, "%s%s >= %lld", *before, name, (long long)symbols[i]->min);
            *before = ", ";
        }
        if (symbols[i]->max < INT64_MAX) {
            text_format(t, "%s%s <= %lld", *before, name, (long long)symbols[i]->max);
            *before = ", ";
        }
    }
}

void print_require(TextBuffer *t, Graph *g) {
    Module *m = g->module;
    if (g != m->graphs) return;
    Contract c = {
        .cx = m->cx, .arena = &m->cx->arena, .x = m->ex, .occurring = {.arena = &m->cx->arena}};
    const char *before = " require ";
    note_inputs(&c, m);
    find_clauses(&c);
    print_ranges(&c, t, &before);
    for (int i = 0; i < c.count; i++) {
        const Clause *k = &c.clauses[i];
        text_format(t, "%s%s %s ", before, ex_text(c.renamed, k->left),
                    k->kind == REL_EQ ? "==" : "<=");
        text_add(t, ex_text(c.renamed, k->right));
        before = ", ";
    }
}
