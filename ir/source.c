/* Which values of the source model a value of the graph stands for.
 *
 * An importer gives the values that it makes the names they have in the model. A value that
 * replaces another one equals it, so ir_replace hands the names on; values that a fusion has
 * swallowed take theirs with them. So at the end of the passes, and in the plan, a name says which
 * intermediate result can be looked at, and compared with the same result of another run.
 *
 *     %5 = matmul %x, %w    "/dense/MatMul_output_0"
 *     %6 = add %5, %b       "/dense/Add_output_0"       becomes
 *     %6 = linear %x, %w, %b                            "/dense/Add_output_0" */
#include "ir/ir.h"
#include "ir/names.h"

void ir_add_source(Value *v, const char *name, const char *node) {
    if (v->constant) return; /* one object for all that are equal: it stands for too much */
    Arena *a = &v->graph->module->cx->arena;
    SourceName **end = &v->sources;
    while (*end) end = &(*end)->next;
    *end = ARENA_NEW(a, SourceName);
    **end = (SourceName){name, node, NULL};
}

void ir_take_sources(Value *by, Value *old) {
    SourceName **end = &old->sources;
    if (!*end || by->constant) return;
    while (*end) end = &(*end)->next;
    *end = by->sources;
    by->sources = old->sources;
    old->sources = NULL;
}

/* Results of the nodes of one origin. */
typedef struct Place {
    const char *origin;
    int seen, total;
} Place;

static Place *place_of(NameMap *places, const char *origin) {
    Place *p = names_find(places, origin);
    if (p) return p;
    p = ARENA_NEW(places->arena, Place);
    p->origin = origin;
    names_add(places, origin, p);
    return p;
}

void ir_sources_from_origins(Graph *g) {
    Arena *a = &g->module->cx->arena;
    NameMap places = {.arena = a};
    for (const Node *n = g->first; n; n = n->next)
        if (n->origin_count) place_of(&places, n->origins[0])->total += n->output_count;
    for (const Node *n = g->first; n; n = n->next) {
        if (!n->origin_count) continue;
        Place *p = place_of(&places, n->origins[0]);
        for (int i = 0; i < n->output_count; i++) {
            bool last = ++p->seen == p->total;
            const char *name = last ? p->origin : arena_printf(a, "%s:%d", p->origin, p->seen);
            ir_add_source(n->outputs[i], name, p->origin);
        }
    }
}
