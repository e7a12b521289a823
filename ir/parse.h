/* Shared by parse*.c. The text is described in docs/ir.md.
 *
 *     parse.c         modules, graphs, nodes
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

#endif
