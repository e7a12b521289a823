/* Names become pointers, then the nodes are sorted: depth first, with a stack of its own. */
#include "frontend/onnx/wiring.h"

#include <string.h>
#include "ir/names.h"

#define MAX_QUOTED      100
#define MAX_CYCLE_SHOWN 8

typedef struct Wirer {
    OnnxModel *model;
    Cx *cx;
    const Onnx__GraphProto *proto;
    NameMap names; /* -> WiredValue */
    WiredNode *nodes;
    Wiring *w;
} Wirer;

static const char *quoted(Cx *cx, const char *s) {
    return tn_printable(cx, s, strlen(s), MAX_QUOTED);
}

static const char *op_type(const WiredNode *n) {
    return n->proto->op_type ? n->proto->op_type : "";
}

/* --- values --- */

/* "the input", "an initializer", "node 'a' (Add)" */
static const char *describe_source(Wirer *s, const WiredValue *v) {
    if (v->initializer) return "an initializer";
    if (!v->producer) return "an input";
    return arena_printf(&s->cx->arena, "node '%s' (%s)", quoted(s->cx, v->producer->name),
                        quoted(s->cx, op_type(v->producer)));
}

static WiredValue *add_value(Wirer *s, WiredValue v) {
    WiredValue *slot = &s->w->values[s->w->value_count];
    const WiredValue *other = names_find(&s->names, v.name);
    *slot = v;
    if (other)
        tn_fail(s->cx, TN_E_MODEL, "'%s' is defined twice, by %s and by %s", quoted(s->cx, v.name),
                describe_source(s, other), describe_source(s, slot));
    names_add(&s->names, slot->name, slot);
    s->w->value_count++;
    return slot;
}

static const char *value_name(Wirer *s, const char *name, const char *what) {
    if (!name || !*name) tn_fail(s->cx, TN_E_MODEL, "%s without a name", what);
    return name;
}

/* An input that is also an initializer is a constant: what it could be overridden with is lost. */
static void add_sources(Wirer *s) {
    const Onnx__GraphProto *g = s->proto;
    for (size_t i = 0; i < g->n_initializer; i++)
        add_value(s, (WiredValue){.name = value_name(s, g->initializer[i]->name, "an initializer"),
                                  .initializer = g->initializer[i]});
    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = value_name(s, g->input[i]->name, "an input");
        WiredValue *known = names_find(&s->names, name);
        if (known && known->initializer && !known->input)
            known->input = g->input[i];
        else
            add_value(s, (WiredValue){.name = name, .input = g->input[i]});
    }
}

static void add_results(Wirer *s, WiredNode *n) {
    const Onnx__NodeProto *p = n->proto;
    n->outputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, p->n_output);
    for (size_t i = 0; i < p->n_output; i++)
        if (*p->output[i])
            n->outputs[i] = add_value(s, (WiredValue){.name = p->output[i], .producer = n});
}

static void connect(Wirer *s, WiredNode *n) {
    const Onnx__NodeProto *p = n->proto;
    n->inputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, p->n_input);
    for (size_t i = 0; i < p->n_input; i++) {
        if (!*p->input[i]) continue;
        n->inputs[i] = names_find(&s->names, p->input[i]);
        if (!n->inputs[i]) {
            tn_enter_node(s->cx, n->name, op_type(n));
            tn_fail(s->cx, TN_E_MODEL, "nothing defines its input '%s'",
                    quoted(s->cx, p->input[i]));
        }
        n->inputs[i]->used = true;
    }
}

static void connect_outputs(Wirer *s) {
    const Onnx__GraphProto *g = s->proto;
    if (!g->n_output) tn_fail(s->cx, TN_E_MODEL, "the graph has no outputs");
    s->w->outputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, g->n_output);
    NameMap seen = {.arena = &s->cx->arena};
    for (size_t i = 0; i < g->n_output; i++) {
        const char *name = value_name(s, g->output[i]->name, "an output");
        WiredValue *v = names_find(&s->names, name);
        if (!v) tn_fail(s->cx, TN_E_MODEL, "nothing defines the output '%s'", quoted(s->cx, name));
        if (!names_add(&seen, name, v))
            tn_fail(s->cx, TN_E_MODEL, "the output '%s' is there twice", quoted(s->cx, name));
        v->used = true;
        s->w->outputs[i] = v;
    }
}

/* --- order --- */

typedef struct Visit {
    WiredNode *node;
    size_t next; /* input to look at */
} Visit;

_Noreturn static void fail_cycle(Wirer *s, const Visit *path, size_t depth,
                                 const WiredNode *again) {
    size_t first = depth - 1, shown = 0;
    while (path[first].node != again) first--;
    const char *text = "";
    for (size_t i = first; i < depth && shown < MAX_CYCLE_SHOWN; i++, shown++)
        text = arena_printf(&s->cx->arena, "%s%s'%s'", text, i > first ? ", " : "",
                            quoted(s->cx, path[i].node->name));
    if (shown < depth - first)
        text = arena_printf(&s->cx->arena, "%s and %zu more", text, depth - first - shown);
    tn_fail(s->cx, TN_E_MODEL, "nodes that wait for each other: %s", text);
}

static void visit_from(Wirer *s, WiredNode *start, Visit *path) {
    size_t depth = 0;
    start->state = ON_PATH;
    path[depth++] = (Visit){start, 0};
    while (depth) {
        Visit *top = &path[depth - 1];
        if (top->next == top->node->proto->n_input) {
            top->node->state = DONE;
            s->w->nodes[s->w->node_count++] = top->node;
            depth--;
            continue;
        }
        const WiredValue *v = top->node->inputs[top->next++];
        WiredNode *producer = v ? v->producer : NULL;
        if (!producer || producer->state == DONE) continue;
        if (producer->state == ON_PATH) fail_cycle(s, path, depth, producer);
        producer->state = ON_PATH;
        path[depth++] = (Visit){producer, 0};
    }
}

static void sort_nodes(Wirer *s) {
    size_t count = s->proto->n_node;
    Visit *path = ARENA_ARRAY(&s->cx->arena, Visit, count);
    s->w->nodes = ARENA_ARRAY(&s->cx->arena, WiredNode *, count);
    for (size_t i = 0; i < count; i++)
        if (s->nodes[i].state == NOT_VISITED) visit_from(s, &s->nodes[i], path);
}

/* --- all --- */

static const char *node_name(const Onnx__NodeProto *p) {
    if (p->name && *p->name) return p->name;
    for (size_t i = 0; i < p->n_output; i++)
        if (*p->output[i]) return p->output[i];
    return "";
}

static void make_nodes(Wirer *s) {
    s->nodes = ARENA_ARRAY(&s->cx->arena, WiredNode, s->proto->n_node);
    for (size_t i = 0; i < s->proto->n_node; i++) {
        const Onnx__NodeProto *p = s->proto->node[i];
        bool own = !p->domain || !*p->domain || strcmp(p->domain, "ai.onnx") == 0;
        WiredNode *n = &s->nodes[i];
        n->proto = p;
        n->name = node_name(p);
        n->row = own && p->op_type ? onnx_op_find(p->op_type, s->model->opset) : NULL;
    }
}

Wiring *onnx_wire(OnnxModel *m) {
    const Onnx__GraphProto *g = m->proto->graph;
    Wirer s = {m, m->cx, g, {.arena = &m->cx->arena}, NULL, ARENA_NEW(&m->cx->arena, Wiring)};
    size_t values = g->n_initializer + g->n_input + 1;
    for (size_t i = 0; i < g->n_node; i++) values += g->node[i]->n_output;
    s.w->values = ARENA_ARRAY(&m->cx->arena, WiredValue, values);
    make_nodes(&s);
    add_sources(&s);
    for (size_t i = 0; i < g->n_node; i++) add_results(&s, &s.nodes[i]);
    for (size_t i = 0; i < g->n_node; i++) connect(&s, &s.nodes[i]);
    connect_outputs(&s);
    sort_nodes(&s);
    return s.w;
}
