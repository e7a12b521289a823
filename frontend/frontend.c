/* What the frontends share: dim options and the rounds of building a graph.
 *
 * A round that learns a requirement leaves expressions behind that were made before it was known,
 * so the graph is built again from nothing; the requirements and substitutions stay. Real exports
 * need at most seven rounds, whatever the number of their inputs: what a round learns holds for the
 * rest of it. */
#include "frontend/frontend.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_ROUNDS 64

Graph *frontend_build(Module *m, const char *name, GraphBuilder *build, void *user) {
    Graph *g = ir_graph_new(m, name);
    for (int round = 0; round < MAX_ROUNDS; round++) {
        uint32_t generation = ex_generation(m->ex);
        build(g, user);
        if (generation == ex_generation(m->ex)) return g;
        g = ir_graph_replace(m, g);
    }
    tn_fail(m->cx, TN_E_LIMIT, "its shapes need more than %d rounds of inference", MAX_ROUNDS);
}

static DimOption *find_option(ImportOptions *o, const char *name, bool rename) {
    for (DimOption *d = o ? o->dims : NULL; d; d = d->next)
        if ((d->rename != NULL) == rename && !strcmp(d->name, name)) {
            d->used = true;
            return d;
        }
    return NULL;
}

/* Whether an input of another function has a length of this name. */
static bool is_of_another(const Graph *g, const char *symbol) {
    for (const Graph *h = g->module->graphs; h; h = h->next)
        for (int i = 0; h != g && i < h->input_count; i++)
            for (int k = 0; h->inputs[i]->declared && k < h->inputs[i]->type.rank; k++) {
                const Symbol *s = h->inputs[i]->declared[k];
                if (s && !strcmp(s->name, symbol)) return true;
            }
    return false;
}

/* The length of one axis; *declared is its symbol, if it has one. What one model requires of its
 * lengths says nothing about those of another that happen to have the same names (exporters name
 * them s0, s1, ...), so those of a later function are called "function.length" where the name is
 * taken. */
static const Expr *axis_length(Graph *g, ImportOptions *o, const char *input, int axis,
                               const FrontendAxis *a, const Symbol **declared) {
    Module *m = g->module;
    const char *position = arena_printf(&m->cx->arena, "%s.%d", input, axis);
    if (a->value >= 0) return ex_int(m->ex, a->value);
    const char *symbol = a->symbol ? a->symbol : arena_printf(&m->cx->arena, "%s_%d", input, axis);
    DimOption *rename = find_option(o, position, true);
    if (!rename) rename = find_option(o, symbol, true);
    DimOption *range = find_option(o, position, false);
    if (!range) range = find_option(o, symbol, false);
    if (rename) symbol = rename->rename;
    if (rename && !range) range = find_option(o, symbol, false);
    if (is_of_another(g, symbol)) symbol = arena_printf(&m->cx->arena, "%s.%s", g->name, symbol);
    if (!range) range = find_option(o, symbol, false);
    if (range && range->min == range->max) return ex_int(m->ex, range->min);
    const Expr *e = ex_symbol(m->ex, symbol);
    *declared = ex_find_symbol(m->ex, symbol);
    if (range && (range->min > (*declared)->min || range->max < (*declared)->max))
        ex_set_range(m->ex, symbol, range->min, range->max);
    return e;
}

Value *frontend_input(Graph *g, ImportOptions *o, const char *name, TnDType dtype, int rank,
                      const FrontendAxis *axes, InputDefault fill) {
    const Expr *dims[TN_MAX_RANK];
    const Symbol **declared = ARENA_ARRAY(&g->module->cx->arena, const Symbol *, TN_MAX_RANK);
    if (rank > TN_MAX_RANK)
        tn_fail(g->module->cx, TN_E_UNSUPPORTED, "input '%s' has %d axes; at most %d are supported",
                name, rank, TN_MAX_RANK);
    for (int i = 0; i < rank; i++) dims[i] = axis_length(g, o, name, i, &axes[i], &declared[i]);
    Value *v = ir_input(g, name, dtype, rank, dims, fill);
    v->declared = declared;
    return v;
}

Graph *frontend_import(Module *m, const char *path, ImportOptions *o) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return hf_import(m, path, o);
    return onnx_import(m, path, o);
}
