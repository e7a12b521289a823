/* Parses the contract that print_require.c prints: measured symbols, then requirements. Ranges are
 * among these, `n <= 512`.
 *
 *     measured n.0 require batch <= 8, n.0 <= seq
 */
#include "ir/parse.h"

/* measured n.0, n.1 */
static void parse_measured(Lexer *l, Module *m) {
    do {
        const char *at = l->token.at, *name = lex_word(l, "symbol");
        tn_enter(m->cx, "file", lex_place(l, at));
        ex_measured(m->ex, name, 0, INT64_MAX);
        tn_leave(m->cx);
    } while (lex_accept(l, ','));
}

typedef struct Clause {
    const char *at;
    const Expr *left, *right;
    char relation; /* '<', '>' (each or equal) or '=' */
} Clause;

void parse_check_symbols(Lexer *l, const Graph *g, int known, const char *at) {
    ExprCx *x = g->module->ex;
    if (!g->internal && ex_symbol_count(x) > known)
        lex_fail(l, at, "no input has the symbol %.100s, nor is it measured",
                 ex_symbol_at(x, known)->name);
}

static Clause parse_clause(Lexer *l, Module *m, const Graph *g, int known) {
    Clause c = {.at = l->token.at, .left = parse_expr(l, m->ex)};
    if (!lex_is(l, '<') && !lex_is(l, '>') && !lex_is(l, '='))
        lex_fail(l, l->token.at, "'<=', '>=' or '==' expected");
    c.relation = l->token.mark;
    lex_next(l);
    lex_expect(l, '=');
    c.right = parse_expr(l, m->ex);
    if (g) parse_check_symbols(l, g, known, c.at);
    return c;
}

static bool apply_clause(ExprCx *x, const Clause *c) {
    const Symbol *s = ex_as_symbol(x, c->left);
    int64_t bound;
    if (c->relation == '=') return ex_require_eq(x, c->left, c->right, NULL);
    bool replaced = s && ex_symbol(x, s->name) != c->left; /* its range says nothing any more */
    if (!s || replaced || !ex_const(c->right, &bound))
        return c->relation == '<' ? ex_require_le(x, c->left, c->right, NULL)
                                  : ex_require_le(x, c->right, c->left, NULL);
    if (c->relation == '<')
        ex_set_range(x, s->name, 0, bound);
    else
        ex_set_range(x, s->name, bound, INT64_MAX);
    return true;
}

/* All clauses are read before the first is applied, as they were found. */
static void parse_require(Lexer *l, Module *m, const Graph *g, int known) {
    Clause *clauses = NULL;
    size_t capacity = 0, n = 0;
    do {
        clauses = arena_grow(&m->cx->arena, clauses, &capacity, n + 1, sizeof *clauses);
        clauses[n++] = parse_clause(l, m, g, known);
    } while (lex_accept(l, ','));
    for (size_t i = 0; i < n; i++) {
        tn_enter(m->cx, "file", lex_place(l, clauses[i].at));
        if (!apply_clause(m->ex, &clauses[i])) tn_fail(m->cx, TN_E_MODEL, "this cannot hold");
        tn_leave(m->cx);
    }
}

int parse_contract(Lexer *l, Module *m, const Graph *g) {
    if (lex_accept_word(l, "measured")) parse_measured(l, m);
    int known = ex_symbol_count(m->ex);
    if (lex_accept_word(l, "require")) parse_require(l, m, g, known);
    return known;
}
