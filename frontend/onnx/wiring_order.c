/* Sorts the nodes of a graph: depth first, with a stack of its own. A node waits for its inputs and
 * for what its graphs read. */
#include "frontend/onnx/wiring.h"

#include <string.h>

#define MAX_CYCLE_SHOWN 8

typedef struct Visit {
    WiredNode *node;
    size_t next; /* input to look at, then what is captured */
} Visit;

_Noreturn static void fail_cycle(Wirer *s, const Visit *path, size_t depth,
                                 const WiredNode *again) {
    size_t first = depth - 1, shown = 0;
    while (path[first].node != again) first--;
    const char *text = "";
    for (size_t i = first; i < depth && shown < MAX_CYCLE_SHOWN; i++, shown++)
        text = arena_printf(&s->cx->arena, "%s%s'%s'", text, i > first ? ", " : "",
                            tn_quoted(s->cx, path[i].node->name));
    if (shown < depth - first)
        text = arena_printf(&s->cx->arena, "%s and %zu more", text, depth - first - shown);
    tn_fail(s->cx, TN_E_MODEL, "nodes that wait for each other: %s", text);
}

static const WiredValue *read_by(const WiredNode *n, size_t i) {
    return i < n->proto->n_input ? n->inputs[i] : n->captured[i - n->proto->n_input];
}

/* The node of this graph that the value comes from; NULL if it comes from none, or from outside. */
static WiredNode *producer_in(const Wiring *w, const WiredValue *v) {
    if (!v || v < w->values || v >= w->values + w->value_count) return NULL;
    return v->producer;
}

static void visit_from(Wirer *s, Wiring *w, WiredNode *start, Visit *path) {
    size_t depth = 0;
    start->state = ON_PATH;
    path[depth++] = (Visit){start, 0};
    while (depth) {
        Visit *top = &path[depth - 1];
        if (top->next == top->node->proto->n_input + top->node->captured_count) {
            top->node->state = DONE;
            w->nodes[w->node_count++] = top->node;
            depth--;
            continue;
        }
        WiredNode *producer = producer_in(w, read_by(top->node, top->next++));
        if (!producer || producer->state == DONE) continue;
        if (producer->state == ON_PATH) fail_cycle(s, path, depth, producer);
        producer->state = ON_PATH;
        path[depth++] = (Visit){producer, 0};
    }
}

void wire_sort(Wirer *s, Wiring *w) {
    size_t count = w->node_count;
    Visit *path = ARENA_ARRAY(&s->cx->arena, Visit, count);
    w->nodes = ARENA_ARRAY(&s->cx->arena, WiredNode *, count);
    w->node_count = 0;
    for (size_t i = 0; i < count; i++)
        if (w->unsorted[i].state == NOT_VISITED) visit_from(s, w, &w->unsorted[i], path);
}
