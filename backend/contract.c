/* Which function of a plan checks which requirement; see contract.h.
 *
 * A function knows the symbols that dims of its own inputs or its own nodes give a value, and, if
 * it is a body, those that all its callers know. It checks what it knows all symbols of; a body
 * only what its callers could not. */
#include "backend/contract.h"

#include "ir/symbols.h"

/* Graphs in the order of their functions: callers before what they run. In the module bodies come
 * before their callers. */
static Function *list_functions(Module *m, int *count) {
    int n = 0, at = 0;
    for (Graph *g = m->graphs; g; g = g->next) n++;
    *count = n;
    Function *list = ARENA_ARRAY(&m->cx->arena, Function, (size_t)n + 1);
    for (Graph *g = m->graphs; g; g = g->next)
        if (g->internal)
            list[--n].g = g;
        else
            list[at++].g = g;
    return list;
}

static void note_dim(ExprCx *x, const Expr *dim, bool *known) {
    const Symbol *s = ex_as_symbol(x, dim);
    if (s) known[s->atom->number] = true;
}

/* Symbols that dims of inputs or nodes of the graph give a value. */
static void note_own(const Function *f, bool *known) {
    ExprCx *x = f->g->module->ex;
    for (int i = 0; i < f->g->input_count; i++) {
        const Value *v = f->g->inputs[i];
        for (int k = 0; k < v->type.rank; k++) {
            if (v->declared && v->declared[k]) known[v->declared[k]->atom->number] = true;
            note_dim(x, v->type.dims[k], known);
        }
    }
    for (const Node *n = f->g->first; n; n = n->next) {
        bool control = (ir_op_info(n->op)->flags & OPF_CONTROL) != 0;
        if (n->op != OP_measure && !control) continue;
        const ExprList *list = attr_exprs(n, control ? "dims" : "symbols");
        for (int i = 0; i < list->count; i++) {
            const Symbol *s = ex_as_symbol(x, ex_norm(x, list->e[i]));
            if (s && s->measured) known[s->atom->number] = true;
        }
    }
}

static bool runs(const Graph *caller, const Graph *body) {
    for (const Node *n = caller->first; n; n = n->next)
        if (n->op == OP_if ? attr_graph(n, "then") == body || attr_graph(n, "else") == body
                           : n->op == OP_loop && attr_graph(n, "body") == body)
            return true;
    return false;
}

/* What all callers know, which come before it in the list. */
static void note_callers(const Function *list, const Function *f, int symbols, bool *known) {
    bool called = false;
    for (const Function *caller = list; caller < f; caller++) {
        if (!runs(caller->g, f->g)) continue;
        for (int i = 0; i < symbols; i++) known[i] = caller->known[i] && (known[i] || !called);
        called = true;
    }
}

static void find_known(Image *im, Function *list, int count) {
    int symbols = ex_symbol_count(im->ex);
    for (int i = 0; i < count; i++) {
        Function *f = &list[i];
        f->known = ARENA_ARRAY(&im->cx->arena, bool, (size_t)symbols + 1);
        f->fresh = ARENA_ARRAY(&im->cx->arena, bool, (size_t)symbols + 1);
        if (f->g->internal) note_callers(list, f, symbols, f->known);
        note_own(f, f->fresh);
        for (int k = 0; k < symbols; k++) {
            f->fresh[k] = f->fresh[k] && !f->known[k];
            f->known[k] = f->known[k] || f->fresh[k];
        }
    }
}

const Function *contract_functions(Image *im, int *count) {
    Function *list = list_functions(im->module, count);
    find_known(im, list, *count);
    im->functions_of = ARENA_ARRAY(&im->cx->arena, const Graph *, (size_t)*count + 1);
    for (int i = 0; i < *count; i++) im->functions_of[i] = list[i].g;
    return list;
}

typedef struct Search {
    const Function *f;
    bool foreign, fresh;
} Search;

static void look_at(void *user, int symbol) {
    Search *s = user;
    s->foreign |= !s->f->known[symbol];
    s->fresh |= s->f->fresh[symbol];
}

/* Whether a requirement is the function's to check: it knows all symbols, and if it is a body, its
 * callers do not. */
static bool concerns(const Function *f, const Requirement *r) {
    Search s = {.f = f};
    ir_each_symbol(r->left, look_at, &s);
    ir_each_symbol(r->right, look_at, &s);
    return !s.foreign && (s.fresh || !f->g->internal);
}

/* A measured length that is required to be at most another: prepare makes room for that. */
static void note_bound(Image *im, const Requirement *r, uint32_t bound) {
    const Symbol *s = r->kind == REL_LE ? ex_as_symbol(im->ex, r->left) : NULL;
    if (s && s->measured && !ex_mentions_measured(r->right)) image_bound(im, r->left, bound);
}

void contract_record(Image *im, const Function *f, uint32_t function) {
    for (const Requirement *r = ex_requirements(im->ex); r; r = r->next) {
        if (!concerns(f, r)) continue;
        const char *relation = r->kind == REL_EQ ? "==" : "<=";
        const char *text = arena_printf(&im->cx->arena, "%s %s %s", ex_text(im->ex, r->left),
                                        relation, ex_text(im->ex, r->right));
        PlanRequirement p = {.relation = r->kind == REL_EQ ? TN_RELATION_EQ : TN_RELATION_LE,
                             .left = image_expr(im, r->left),
                             .right = image_expr(im, r->right),
                             .text = image_string(im, text),
                             .origin = image_string(im, r->origin),
                             .function = function};
        *(PlanRequirement *)table_add(im, &im->requirements) = p;
        note_bound(im, r, p.right);
    }
}
