/* Graphs for Graphviz: clusters by module path, types along edges, constants in the labels of the
 * nodes that read them. */
#include <string.h>
#include "ir/dot.h"
#include "ir/group.h"
#include "ir/print.h"

typedef struct DotPrinter {
    Module *m;
    Dot *dot;
    int *producer; /* per value id: its dot node plus 1; 0 = none */
} DotPrinter;

static const char *last_part(const char *origin) {
    const char *slash = strrchr(origin, '/');
    return slash && slash[1] ? slash + 1 : origin;
}

static const char *node_label(DotPrinter *p, const Node *n) {
    TextBuffer t = {.arena = &p->m->cx->arena};
    text_add(&t, ir_op_info(n->op)->name);
    print_attrs(&t, n);
    if (n->origin_count && *n->origins[0]) text_format(&t, "\n%s", last_part(n->origins[0]));
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        if (v && v->constant)
            text_format(&t, "\n%s %s", v->constant->name ? v->constant->name : "constant",
                        ir_type_text(p->m, &v->type));
    }
    return text_end(&t);
}

/* A path of its own for each graph where there are several. */
static const char *inside(DotPrinter *p, const Graph *g, const char *group) {
    if (!p->m->graphs->next) return group;
    const char *name = arena_printf(&p->m->cx->arena, "graph %s", g->name);
    for (char *s = (char *)strchr(name, '/'); s; s = strchr(s, '/')) *s = '.';
    return *group ? arena_printf(&p->m->cx->arena, "%s/%s", name, group) : name;
}

static void add_edge(DotPrinter *p, const Value *v, int to) {
    if (v && p->producer[v->id])
        dot_edge(p->dot, p->producer[v->id] - 1, to, ir_type_text(p->m, &v->type));
}

static void add_graph(DotPrinter *p, const Graph *g) {
    Arena *a = &p->m->cx->arena;
    const char *top = inside(p, g, "");
    for (int i = 0; i < g->input_count; i++) {
        const Value *v = g->inputs[i];
        const char *label = arena_printf(a, "input %s", v->name ? v->name : "");
        p->producer[v->id] = 1 + dot_node(p->dot, top, label, "shape=ellipse");
    }
    const char **group = ir_groups(a, g);
    for (const Node *n = g->first; n; n = n->next) {
        int node = dot_node(p->dot, inside(p, g, *group++), node_label(p, n), NULL);
        for (int i = 0; i < n->input_count; i++) add_edge(p, n->inputs[i], node);
        for (int i = 0; i < n->output_count; i++) p->producer[n->outputs[i]->id] = 1 + node;
    }
    for (int i = 0; i < g->output_count; i++) {
        const char *label = arena_printf(a, "output %s", g->output_names[i]);
        add_edge(p, g->outputs[i], dot_node(p->dot, top, label, "shape=ellipse"));
    }
}

const char *print_dot(Module *m) {
    Arena *a = &m->cx->arena;
    DotPrinter p = {.m = m, .dot = dot_new(a)};
    p.producer = ARENA_ARRAY(a, int, m->value_count);
    for (const Graph *g = m->graphs; g; g = g->next) add_graph(&p, g);
    return dot_end(p.dot);
}
