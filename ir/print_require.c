/* Prints the contract of a module's inputs: ranges of symbols, then requirements.
 *
 * Reading the text back must give the same text, so what is printed is a normal form. Symbols that
 * were replaced (s6 == batch) do not occur, ranges come sorted by name, and the requirements are
 * those that are recorded when ranges and requirements are replayed in a context that knows
 * nothing, as the parser will do: what a range or an earlier requirement implies is gone. Other
 * requirements keep their form; one that replaced a quotient would say nothing in normal form. */
#include "ir/print.h"

#include <stdlib.h>
#include <string.h>
#include "ir/names.h"
#include "ir/symbols.h"

typedef struct Clause {
    RelationKind kind;
    const char *left, *right;
} Clause;

typedef struct Contract {
    Arena *arena;
    ExprCx *x;         /* of the module */
    ExprCx *renamed;   /* knows the replaced symbols only */
    ExprCx *replay;    /* what reading the clauses back learns */
    NameMap occurring; /* symbols of input types and requirements */
    Clause *clauses;
    int count;
} Contract;

static bool is_replaced(ExprCx *x, const Symbol *s) {
    return ex_as_symbol(x, ex_symbol(x, s->name)) != s;
}

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

/* --- clauses without replaced symbols --- */

/* `e` of the module with replaced symbols replaced, and nothing else. */
static const Expr *rename(Contract *c, const Expr *e) {
    const char *s = ex_text(c->x, e);
    return ex_parse(c->renamed, &s);
}

static void add_clause(Contract *c, RelationKind kind, const Expr *left, const Expr *right) {
    c->clauses[c->count++] = (Clause){kind, ex_text(c->renamed, left), ex_text(c->renamed, right)};
}

/* The used symbol of an equation is the one that stays. */
static void learn_renamings(Contract *c) {
    int n = ex_symbol_count(c->x);
    for (int i = 0; i < n; i++)
        if (!is_replaced(c->x, ex_symbol_at(c->x, i)))
            ex_note_use(c->renamed, ex_symbol_at(c->x, i)->name);
    for (int i = 0; i < n; i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (!is_replaced(c->x, s)) continue;
        const Expr *now = rename(c, ex_symbol(c->x, s->name));
        ex_require_eq(c->renamed, ex_symbol(c->renamed, s->name), now, NULL);
    }
}

/* The range of a replaced symbol holds for what replaced it. */
static void add_replaced_ranges(Contract *c) {
    for (int i = 0; i < ex_symbol_count(c->x); i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (!is_replaced(c->x, s)) continue;
        const Expr *now = ex_symbol(c->renamed, s->name);
        add_clause(c, REL_LE, ex_int(c->renamed, s->min), now);
        if (s->max < INT64_MAX) add_clause(c, REL_LE, now, ex_int(c->renamed, s->max));
    }
}

static void find_clauses(Contract *c) {
    size_t n = 2 * (size_t)ex_symbol_count(c->x);
    for (const Requirement *r = ex_requirements(c->x); r; r = r->next) n++;
    c->clauses = ARENA_ARRAY(c->arena, Clause, n);
    learn_renamings(c);
    add_replaced_ranges(c);
    for (const Requirement *r = ex_requirements(c->x); r; r = r->next)
        add_clause(c, r->kind, rename(c, r->left), rename(c, r->right));
}

/* As the parser does: uses are noted, all clauses read, ranges set, then the clauses applied. */
static void replay_clauses(Contract *c, const Module *m) {
    ExprCx *x = c->replay;
    const Expr **sides = ARENA_ARRAY(c->arena, const Expr *, 2 * (size_t)c->count);
    for (const Graph *g = m->graphs; g; g = g->next)
        for (int i = 0; i < g->input_count; i++)
            for (int k = 0; k < g->inputs[i]->type.rank; k++) {
                const Symbol *s = ex_as_symbol(c->x, g->inputs[i]->type.dims[k]);
                if (s) ex_note_use(x, s->name);
            }
    for (int i = 0; i < c->count; i++) {
        const char *left = c->clauses[i].left, *right = c->clauses[i].right;
        sides[2 * i] = ex_parse(x, &left);
        sides[2 * i + 1] = ex_parse(x, &right);
    }
    for (int i = 0; i < ex_symbol_count(c->x); i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (!is_replaced(c->x, s)) ex_set_range(x, s->name, s->min, s->max);
    }
    for (int i = 0; i < c->count; i++) {
        if (c->clauses[i].kind == REL_EQ)
            ex_require_eq(x, sides[2 * i], sides[2 * i + 1], NULL);
        else
            ex_require_le(x, sides[2 * i], sides[2 * i + 1], NULL);
    }
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
        if (!is_replaced(c->x, s) && names_has(&c->occurring, s->name)) symbols[n++] = s;
    }
    if (n) qsort(symbols, (size_t)n, sizeof *symbols, by_name);
    for (int i = 0; i < n; i++) {
        const Symbol *s = symbols[i];
        if (s->min > 0) {
            text_format(t, "%s%s >= %lld", *before, s->name, (long long)s->min);
            *before = ", ";
        }
        if (s->max < INT64_MAX) {
            text_format(t, "%s%s <= %lld", *before, s->name, (long long)s->max);
            *before = ", ";
        }
    }
}

void print_require(TextBuffer *t, Graph *g) {
    Module *m = g->module;
    if (g != m->graphs) return;
    Contract c = {.arena = &m->cx->arena, .x = m->ex, .occurring = {.arena = &m->cx->arena}};
    const Requirement *recorded = NULL;
    const char *before = " require ";
    note_inputs(&c, m);
    if (ex_requirements(c.x)) {
        c.renamed = ex_new(m->cx);
        c.replay = ex_new(m->cx);
        find_clauses(&c);
        replay_clauses(&c, m);
        recorded = ex_requirements(c.replay);
    }
    for (const Requirement *r = recorded; r; r = r->next) {
        note_expr(&c, c.replay, r->left);
        note_expr(&c, c.replay, r->right);
    }
    print_ranges(&c, t, &before);
    for (const Requirement *r = recorded; r; r = r->next) {
        text_format(t, "%s%s %s ", before, ex_text(c.replay, r->left),
                    r->kind == REL_EQ ? "==" : "<=");
        text_add(t, ex_text(c.replay, r->right));
        before = ", ";
    }
}
