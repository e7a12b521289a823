/* From a module to the image of a plan: passes, layout of constants, lowering, contract, metadata.
 */
#include "backend/compile.h"

#include <string.h>
#include "backend/lower.h"
#include "runtime/tenon.h"

static bool is_bound(const Graph *g, const Atom *symbol) {
    for (int i = 0; i < g->input_count; i++) {
        const Value *v = g->inputs[i];
        for (int k = 0; v->declared && k < v->type.rank; k++)
            if (v->declared[k] && v->declared[k]->atom == symbol) return true;
        for (int k = 0; k < v->type.rank; k++)
            if (v->type.dims[k]->count == 1 && v->type.dims[k]->terms[0].degree == 1 &&
                v->type.dims[k]->terms[0].atoms[0] == symbol)
                return true;
    }
    return false;
}

/* Whether the function's inputs give every symbol of e a value. */
static bool is_known(const Graph *g, const Expr *e) {
    for (int i = 0; i < e->count; i++)
        for (int k = 0; k < e->terms[i].degree; k++) {
            const Atom *a = e->terms[i].atoms[k];
            if (a->kind == ATOM_SYMBOL && !is_bound(g, a)) return false;
            for (int n = 0; n < a->arity; n++)
                if (!is_known(g, a->args[n])) return false;
        }
    return true;
}

static void record_requirements(Image *im, const Graph *g, uint32_t function) {
    for (const Requirement *r = ex_requirements(im->ex); r; r = r->next) {
        if (!is_known(g, r->left) || !is_known(g, r->right)) continue;
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
    }
}

Image *compile_module(Module *m, Report *r, bool strip) {
    passes_run(m, r, NULL);
    Image *im = image_new(m);
    im->strip = strip;
    ConstantLayout *layouts = layout_constants(im);
    uint32_t function = 0;
    for (Graph *g = m->graphs; g; g = g->next) {
        tn_enter(m->cx, "function", g->name);
        record_requirements(im, g, function++);
        lower_graph(im, g, layouts);
        tn_leave(m->cx);
    }
    image_meta(im, "compiler", tenon_version());
    for (const Meta *meta = m->meta; meta; meta = meta->next)
        image_meta(im, meta->key, meta->value);
    return im;
}
