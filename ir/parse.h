/* Shared by parse*.c. The text is described in docs/ir.md.
 *
 *     parse.c         modules, graphs, nodes
 *     parse_require.c measured symbols and requirements
 *     parse_attrs.c   numbers, constants' elements, attributes, programs of maps */
#ifndef TENON_IR_PARSE_H
#define TENON_IR_PARSE_H

#include "ir/ir.h"
#include "ir/lex.h"

int64_t parse_int(Lexer *l);
double parse_float(Lexer *l);
TnDType parse_dtype(Lexer *l);
const Expr *parse_expr(Lexer *l, ExprCx *x);
/* "[a, b*2, 3]"; returns how many. */
int parse_exprs(Lexer *l, ExprCx *x, const Expr ***list);
/* "{1, 2}": `count` elements. */
void *parse_elements(Lexer *l, TnDType type, int64_t count);
void parse_attrs(Lexer *l, Node *n); /* " {axis=0}", or nothing */

/* "measured m.0 require m.0 <= 4", or nothing: behind the inputs of the first graph, or before
 * bodies (g NULL). Returns how many symbols there are before the requirements: those of the inputs
 * and measured ones. */
int parse_contract(Lexer *l, Module *m, const Graph *g);
/* No symbols but the known ones may occur, unless in a body: it has symbols of its callers, which
 * come later. */
void parse_check_symbols(Lexer *l, const Graph *g, int known, const char *at);

#endif
