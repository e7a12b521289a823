/* The symbols of an expression. */
#ifndef TENON_IR_SYMBOLS_H
#define TENON_IR_SYMBOLS_H

#include "ir/expr.h"

typedef void SymbolVisit(void *user, int symbol);
/* Calls visit for every occurrence of a symbol (by its number) anywhere inside. */
void ir_each_symbol(const Expr *e, SymbolVisit *visit, void *user);

#endif
