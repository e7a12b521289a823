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
    bool control = (ir_op_info(n->op)->flags & OPF_CONTROL) != 0;
    if (n->op != OP_measure && !control) return;
    const ExprList *list = attr_exprs(n, control ? "dims" : "symbols");
    for (int i = 0; i < list->count; i++) {
        const Symbol *s = ex_as_symbol(n->graph->module->ex, list->e[i]);
        if (s && s->measured) visit(user, s);
    }
}

static void note_any(void *user, const Symbol *s) {
    (void)s;
    *(bool *)user = true;
}

bool ir_never_dead(const Node *n) {
    bool defines = false;
    ir_each_measured(n, note_any, &defines);
    return defines || (ir_op_info(n->op)->flags & OPF_CHECKS);
}
