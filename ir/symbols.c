/* Walks expressions; nesting is bounded where they are made (EX_MAX_DEPTH). */
#include "ir/symbols.h"

static void each_in_pred(const Pred *p, SymbolVisit *visit, void *user) {
    if (p->expr) ir_each_symbol(p->expr, visit, user);
    for (int i = 0; i < p->count; i++) each_in_pred(p->args[i], visit, user);
}

static void each_in_atom(const Atom *a, SymbolVisit *visit, void *user) {
    if (a->kind == ATOM_SYMBOL) visit(user, a->number);
    if (a->pred) each_in_pred(a->pred, visit, user);
    for (int i = 0; i < a->arity; i++) ir_each_symbol(a->args[i], visit, user);
}

void ir_each_symbol(const Expr *e, SymbolVisit *visit, void *user) {
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->terms[i].degree; k++)
            each_in_atom(e->terms[i].atoms[k], visit, user);
}

void ir_each_measured(const Node *n, MeasuredVisit *visit, void *user) {
    if (n->op != OP_measure) return;
    const ExprList *list = attr_exprs(n, "symbols");
    for (int i = 0; i < list->count; i++) {
        const Symbol *s = ex_as_symbol(n->graph->module->ex, list->e[i]);
        if (s && s->measured) visit(user, s);
    }
}
