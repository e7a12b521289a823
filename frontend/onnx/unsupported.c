/* Operators that Tenon does not have, listed before anything is imported: in the graph, in the
 * functions it calls and in bodies of loops. Branches of an `If` are looked at when it is known
 * that they are needed. */
#include "frontend/onnx/flow.h"

#include <string.h>

#define MAX_QUOTED      100
#define MAX_NODES_NAMED 3 /* per unsupported operator */

static const char *quoted(Cx *cx, const char *s) {
    return tn_printable(cx, s, strlen(s), MAX_QUOTED);
}

typedef struct Unsupported {
    const char *key; /* "com.microsoft.Attention" */
    const char *nodes;
    size_t count;
    struct Unsupported *next;
} Unsupported;

static const char *operator_key(Importer *im, const Onnx__NodeProto *p) {
    const char *domain = p->domain && strcmp(p->domain, "ai.onnx") != 0 ? p->domain : "";
    return arena_printf(&im->cx->arena, "%s%s%s", quoted(im->cx, domain), *domain ? "." : "",
                        quoted(im->cx, p->op_type ? p->op_type : ""));
}

static void note_unsupported(Importer *im, Unsupported **list, const WiredNode *n) {
    Arena *a = &im->cx->arena;
    const char *key = operator_key(im, n->proto), *name = quoted(im->cx, n->name);
    while (*list && strcmp((*list)->key, key) != 0) list = &(*list)->next;
    if (!*list) {
        *list = ARENA_NEW(a, Unsupported);
        (*list)->key = key;
        (*list)->nodes = "";
    }
    Unsupported *u = *list;
    if (u->count++ < MAX_NODES_NAMED)
        u->nodes = arena_printf(a, "%s%s'%s'", u->nodes, u->count > 1 ? ", " : "", name);
}

/* Functions are looked at once. */
static void find_unsupported(Importer *im, Unsupported **list, NameMap *seen, const Wiring *w) {
    for (size_t i = 0; i < w->node_count; i++) {
        const WiredNode *n = w->nodes[i];
        if (!n->row && !n->function) note_unsupported(im, list, n);
        if (n->function && names_add(seen, n->function->key, n->function))
            find_unsupported(im, list, seen, n->function->wiring);
        if (n->row && strcmp(n->row->name, "If") == 0) continue;
        for (size_t k = 0; k < n->proto->n_attribute; k++)
            if (n->graphs[k]) find_unsupported(im, list, seen, n->graphs[k]);
    }
}

/* Each operator is one diagnostic; the error names them all. */
void flow_check_supported(Importer *im, const Wiring *w) {
    Unsupported *list = NULL;
    const char *all = "";
    Arena *a = &im->cx->arena;
    NameMap seen = {.arena = a};
    find_unsupported(im, &list, &seen, w);
    if (!list) return;
    for (const Unsupported *u = list; u; u = u->next) {
        const char *more = u->count > MAX_NODES_NAMED ? ", ..." : "";
        const char *text = arena_printf(a, "%s (%zu: %s%s)", u->key, u->count, u->nodes, more);
        tn_diag(im->cx, TN_ERROR, TN_E_UNSUPPORTED, "unsupported operator %s", text);
        all = arena_printf(a, "%s%s%s", all, *all ? "; " : "", text);
    }
    if (!w->opset) tn_fail(im->cx, TN_E_UNSUPPORTED, "unsupported operators: %s", all);
    tn_fail(im->cx, TN_E_UNSUPPORTED, "unsupported operators of opset %lld: %s",
            (long long)w->opset, all);
}
