/* Prints the contract of a module: its measured symbols, ranges of symbols, then requirements.
 *
 * Reading the text back must give the same text, so what is printed is a normal form.
 * Only symbols of the inputs' types and measured ones occur, none that was replaced (s6 == batch).
 * Ranges come sorted by name. The requirements are those that are recorded when ranges and
 * requirements are replayed in a context that knows nothing, as the parser will do: what a range or
 * an earlier requirement implies is gone. Other requirements keep their form; one that replaced a
 * quotient would say nothing in normal form. */
#include "ir/print.h"

#include <stdlib.h>
#include <string.h>
#include "ir/names.h"
#include "ir/symbols.h"

#define MAX_REPLAYS 4 /* a replay may turn a requirement into a range, which may imply others */

typedef struct Clause {
    RelationKind kind;
    const char *left, *right;
} Clause;

typedef struct Range {
    const char *name;
    int64_t min, max;
} Range;

typedef struct Contract {
    Cx *cx;
    const char **measured; /* in the order of their definition */
    int measured_count;
    ExprCx *x;       /* of the module */
    ExprCx *renamed; /* knows the replaced symbols only */
    NameMap inputs;  /* the symbols of the inputs' types, and measured ones */
    Range *ranges;   /* of these, sorted */
    int range_count;
    Clause *clauses;
    int count;
} Contract;

static bool is_replaced(ExprCx *x, const Symbol *s) {
    return ex_as_symbol(x, ex_symbol(x, s->name)) != s;
}

/* --- symbols of the inputs --- */

static void note_symbol(void *user, int symbol) {
    Contract *c = user;
    const Symbol *s = ex_symbol_at(c->x, symbol);
    if (names_add(&c->inputs, s->name, NULL))
        c->ranges[c->range_count++] = (Range){s->name, s->min, s->max};
}

static void note_measured(void *user, const Symbol *s) {
    note_symbol(user, s->atom->number);
}

/* Measured symbols come in the order in which they were made: it is part of their meaning. */
static void note_symbols(Contract *c, const Module *m) {
    for (const Graph *g = m->graphs; g; g = g->next) {
        for (int i = 0; i < g->input_count; i++)
            for (int k = 0; k < g->inputs[i]->type.rank; k++)
                ir_each_symbol(g->inputs[i]->type.dims[k], note_symbol, c);
        for (const Node *n = g->first; n; n = n->next) ir_each_measured(n, note_measured, c);
    }
    c->measured = ARENA_ARRAY(&c->cx->arena, const char *, (size_t)ex_symbol_count(c->x));
    for (int i = 0; i < ex_symbol_count(c->x); i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (s->measured && names_has(&c->inputs, s->name))
            c->measured[c->measured_count++] = s->name;
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const Range *)a)->name, ((const Range *)b)->name);
}

/* --- clauses without replaced symbols --- */

typedef struct Search {
    const Contract *c;
    const ExprCx *x;
    bool foreign; /* there is a symbol that no input has */
} Search;

static void find_foreign(void *user, int symbol) {
    Search *s = user;
    s->foreign |= !names_has(&s->c->inputs, ex_symbol_at(s->x, symbol)->name);
}

static bool is_foreign(const Contract *c, const ExprCx *x, const Expr *e) {
    Search s = {.c = c, .x = x};
    ir_each_symbol(e, find_foreign, &s);
    return s.foreign;
}

/* `e` of the module with replaced symbols replaced, and nothing else. */
static const Expr *rename(Contract *c, const Expr *e) {
    const char *s = ex_text(c->x, e);
    return ex_parse(c->renamed, &s);
}

/* A relation between symbols that have values; others can neither be checked nor matter. */
static void add_clause(Contract *c, ExprCx *x, RelationKind kind, const Expr *left,
                       const Expr *right) {
    if (kind == REL_LE && (is_foreign(c, x, left) || is_foreign(c, x, right))) {
        right = ex_sub(x, right, left); /* what is foreign may be on both sides */
        left = ex_int(x, 0);
    }
    if (!is_foreign(c, x, left) && !is_foreign(c, x, right))
        c->clauses[c->count++] = (Clause){kind, ex_text(x, left), ex_text(x, right)};
}

/* The used symbol of an equation is the one that stays. */
static void learn_renamings(Contract *c) {
    int n = ex_symbol_count(c->x);
    for (int i = 0; i < n; i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (s->measured) ex_measured(c->renamed, s->name, 0, INT64_MAX);
    }
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
    ExprCx *x = c->renamed;
    for (int i = 0; i < ex_symbol_count(c->x); i++) {
        const Symbol *s = ex_symbol_at(c->x, i);
        if (!is_replaced(c->x, s)) continue;
        const Expr *now = ex_symbol(x, s->name);
        add_clause(c, x, REL_LE, ex_int(x, s->min), now);
        if (s->max < INT64_MAX) add_clause(c, x, REL_LE, now, ex_int(x, s->max));
    }
}

static void find_clauses(Contract *c) {
    size_t n = 2 * (size_t)ex_symbol_count(c->x);
    for (const Requirement *r = ex_requirements(c->x); r; r = r->next) n++;
    c->clauses = ARENA_ARRAY(&c->cx->arena, Clause, n);
    learn_renamings(c);
    add_replaced_ranges(c);
    for (const Requirement *r = ex_requirements(c->x); r; r = r->next)
        add_clause(c, c->renamed, r->kind, rename(c, r->left), rename(c, r->right));
}

/* --- replaying them --- */

/* What reading ranges and clauses back gives, in the parser's order: all clauses are read, ranges
 * set, then the clauses applied. */
static ExprCx *replay(Contract *c) {
    ExprCx *x = ex_new(c->cx);
    const Expr **sides = ARENA_ARRAY(&c->cx->arena, const Expr *, 2 * (size_t)c->count);
    for (int i = 0; i < c->measured_count; i++) ex_measured(x, c->measured[i], 0, INT64_MAX);
    for (int i = 0; i < c->range_count; i++) ex_note_use(x, c->ranges[i].name);
    for (int i = 0; i < c->count; i++) {
        const char *left = c->clauses[i].left, *right = c->clauses[i].right;
        sides[2 * i] = ex_parse(x, &left);
        sides[2 * i + 1] = ex_parse(x, &right);
    }
    for (int i = 0; i < c->range_count; i++)
        ex_set_range(x, c->ranges[i].name, c->ranges[i].min, c->ranges[i].max);
    for (int i = 0; i < c->count; i++) {
        if (c->clauses[i].kind == REL_EQ)
            ex_require_eq(x, sides[2 * i], sides[2 * i + 1], NULL);
        else
            ex_require_le(x, sides[2 * i], sides[2 * i + 1], NULL);
    }
    return x;
}

/* Takes the ranges and requirements of the replay; whether there are other ones now. */
static bool take_replay(Contract *c, ExprCx *x) {
    int count = c->count;
    bool changed = false;
    for (int i = 0; i < c->range_count; i++) {
        Range *r = &c->ranges[i];
        const Symbol *s = ex_find_symbol(x, r->name);
        changed |= s->min != r->min || s->max != r->max;
        r->min = s->min;
        r->max = s->max;
    }
    c->count = 0;
    for (const Requirement *r = ex_requirements(x); r; r = r->next)
        add_clause(c, x, r->kind, r->left, r->right);
    return changed || c->count != count;
}

/* --- text --- */

static void print_range(TextBuffer *t, const Range *r, const char **before) {
    if (r->min > 0) {
        text_format(t, "%s%s >= %lld", *before, r->name, (long long)r->min);
        *before = ", ";
    }
    if (r->max < INT64_MAX) {
        text_format(t, "%s%s <= %lld", *before, r->name, (long long)r->max);
        *before = ", ";
    }
}

static Contract find_contract(Module *m) {
    Arena *a = &m->cx->arena;
    Contract c = {.cx = m->cx, .x = m->ex, .inputs = {.arena = a}};
    c.ranges = ARENA_ARRAY(a, Range, (size_t)ex_symbol_count(c.x));
    note_symbols(&c, m);
    if (c.range_count) qsort(c.ranges, (size_t)c.range_count, sizeof *c.ranges, by_name);
    if (ex_requirements(c.x)) {
        c.renamed = ex_new(m->cx);
        find_clauses(&c);
        for (int i = 0; i < MAX_REPLAYS && take_replay(&c, replay(&c)); i++) continue;
    }
    return c;
}

static const char *relation(const Clause *k) {
    return k->kind == REL_EQ ? "==" : "<=";
}

void print_require(TextBuffer *t, Module *m) {
    Contract c = find_contract(m);
    for (int i = 0; i < c.measured_count; i++)
        text_format(t, "%s%s", i ? ", " : " measured ", c.measured[i]);
    const char *before = " require ";
    for (int i = 0; i < c.range_count; i++) print_range(t, &c.ranges[i], &before);
    for (int i = 0; i < c.count; i++) {
        const Clause *k = &c.clauses[i];
        text_format(t, "%s%s %s ", before, k->left, relation(k));
        text_add(t, k->right);
        before = ", ";
    }
}

void print_require_json(TextBuffer *t, Module *m) {
    Contract c = find_contract(m);
    text_key(t, "symbols");
    text_add(t, "[");
    for (int i = 0; i < c.range_count; i++) {
        const Range *r = &c.ranges[i];
        text_item(t);
        text_add(t, "{");
        text_member(t, "name", r->name);
        text_member(t, "kind", ex_find_symbol(c.x, r->name)->measured ? "measured" : "input");
        text_member_int(t, "min", r->min);
        if (r->max < INT64_MAX) text_member_int(t, "max", r->max);
        text_add(t, "}");
    }
    text_add(t, "]");
    text_key(t, "requirements");
    text_add(t, "[");
    for (int i = 0; i < c.count; i++) {
        const Clause *k = &c.clauses[i];
        text_item(t);
        text_json(t, arena_printf(t->arena, "%s %s %s", k->left, relation(k), k->right));
    }
    text_add(t, "]");
}
