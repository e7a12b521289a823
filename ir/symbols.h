/* The symbols of an expression, and those that a node measures. */
#ifndef TENON_IR_SYMBOLS_H
#define TENON_IR_SYMBOLS_H

#include "ir/ir.h"

typedef void SymbolVisit(void *user, int symbol);
/* Calls visit for every occurrence of a symbol (by its number) anywhere inside. */
void ir_each_symbol(const Expr *e, SymbolVisit *visit, void *user);

/* The measured symbols that stand alone in the list of what the node measures: it defines those
 * that no node before it does. */
typedef void MeasuredVisit(void *user, const Symbol *s);
void ir_each_measured(const Node *n, MeasuredVisit *visit, void *user);

#endif
