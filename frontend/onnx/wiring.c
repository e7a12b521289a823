/* Names become pointers. A name is looked up in the graph, then in those around it; what is found
 * there is noted with the node whose graph reads it, so that the node is sorted behind it. */
#include "frontend/onnx/wiring.h"

#include <string.h>

static const char *op_type(const WiredNode *n) {
    return n->proto->op_type ? n->proto->op_type : "";
}

/* --- values --- */

/* "the input", "an initializer", "node 'a' (Add)" */
static const char *describe_source(Wirer *s, const WiredValue *v) {
    if (v->initializer) return "an initializer";
    if (!v->producer) return "an input";
    return arena_printf(&s->cx->arena, "node '%s' (%s)", tn_quoted(s->cx, v->producer->name),
                        tn_quoted(s->cx, op_type(v->producer)));
}

/* A value of a graph around w that a node of w may read: one from before the node that w is a graph
 * of. */
static const WiredValue *find_outside(const Wiring *w, const char *name) {
    for (; w->outer; w = w->outer) {
        const WiredValue *v = names_find(&w->outer->names, name);
        if (v && (!v->producer || v->producer < w->owner)) return v;
    }
    return NULL;
}

static WiredValue *add_value(Wirer *s, Wiring *w, WiredValue v) {
    WiredValue *slot = &w->values[w->value_count];
    const WiredValue *other = names_find(&w->names, v.name);
    *slot = v;
    if (!other) other = find_outside(w, v.name);
    if (other)
        tn_fail(s->cx, TN_E_MODEL, "'%s' is defined twice, by %s and by %s",
                tn_quoted(s->cx, v.name), describe_source(s, other), describe_source(s, slot));
    names_add(&w->names, slot->name, slot);
    w->value_count++;
    return slot;
}

static const char *value_name(Wirer *s, const char *name, const char *what) {
    if (!name || !*name) tn_fail(s->cx, TN_E_MODEL, "%s without a name", what);
    return name;
}

/* An input that is also an initializer is a constant: what it could be overridden with is lost. */
static void add_sources(Wirer *s, Wiring *w) {
    const Onnx__GraphProto *g = w->proto;
    w->inputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, g->n_input);
    for (size_t i = 0; i < g->n_initializer; i++)
        add_value(s, w,
                  (WiredValue){.name = value_name(s, g->initializer[i]->name, "an initializer"),
                               .initializer = g->initializer[i]});
    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = value_name(s, g->input[i]->name, "an input");
        WiredValue *known = names_find(&w->names, name);
        if (known && known->initializer && !known->input)
            known->input = g->input[i];
        else
            known = add_value(s, w, (WiredValue){.name = name, .input = g->input[i]});
        w->inputs[w->input_count++] = known;
    }
}

static void add_results(Wirer *s, Wiring *w, WiredNode *n) {
    const Onnx__NodeProto *p = n->proto;
    n->outputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, p->n_output);
    for (size_t i = 0; i < p->n_output; i++)
        if (*p->output[i])
            n->outputs[i] = add_value(s, w, (WiredValue){.name = p->output[i], .producer = n});
}

static void note_captured(Wirer *s, WiredNode *owner, WiredValue *v) {
    owner->captured = arena_grow(&s->cx->arena, owner->captured, &owner->captured_capacity,
                                 owner->captured_count + 1, sizeof *owner->captured);
    owner->captured[owner->captured_count++] = v;
}

/* NULL if nothing defines the name. */
static WiredValue *find_value(Wirer *s, const Wiring *w, const char *name) {
    for (; w; w = w->outer) {
        WiredValue *v = names_find(&w->names, name);
        if (v) {
            v->used = true;
            return v;
        }
        if (w->outer && names_has(&w->outer->names, name))
            note_captured(s, w->owner, names_find(&w->outer->names, name));
    }
    return NULL;
}

static void connect_graphs(Wirer *s, Wiring *w, WiredNode *n) {
    const Onnx__NodeProto *p = n->proto;
    n->graphs = ARENA_ARRAY(&s->cx->arena, Wiring *, p->n_attribute);
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *a = p->attribute[i];
        if (a->ref_attr_name) n->has_reference = true;
        if (!a->g) continue;
        tn_enter_node(s->cx, n->name, op_type(n));
        n->graphs[i] = wire_graph(s, a->g, w, n);
        tn_leave(s->cx);
    }
}

static void connect(Wirer *s, Wiring *w, WiredNode *n) {
    const Onnx__NodeProto *p = n->proto;
    n->inputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, p->n_input);
    for (size_t i = 0; i < p->n_input; i++) {
        if (!*p->input[i]) continue;
        n->inputs[i] = find_value(s, w, p->input[i]);
        if (!n->inputs[i]) {
            tn_enter_node(s->cx, n->name, op_type(n));
            tn_fail(s->cx, TN_E_MODEL, "nothing defines its input '%s'",
                    tn_quoted(s->cx, p->input[i]));
        }
    }
    connect_graphs(s, w, n);
}

/* What a graph returns: of a body the same value may be there twice, or one of a graph around it.
 */
static void connect_output(Wirer *s, Wiring *w, const char *name, NameMap *seen) {
    value_name(s, name, "an output");
    WiredValue *v = find_value(s, w, name);
    if (!v) tn_fail(s->cx, TN_E_MODEL, "nothing defines the output '%s'", tn_quoted(s->cx, name));
    if (seen && !names_add(seen, name, v))
        tn_fail(s->cx, TN_E_MODEL, "the output '%s' is there twice", tn_quoted(s->cx, name));
    w->outputs[w->output_count++] = v;
}

static void connect_outputs(Wirer *s, Wiring *w) {
    const Onnx__GraphProto *g = w->proto;
    NameMap seen = {.arena = &s->cx->arena};
    if (!g->n_output) tn_fail(s->cx, TN_E_MODEL, "the graph has no outputs");
    w->outputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, g->n_output);
    for (size_t i = 0; i < g->n_output; i++)
        connect_output(s, w, g->output[i]->name, w->outer ? NULL : &seen);
}

/* --- nodes --- */

static const char *node_name(const Onnx__NodeProto *p) {
    if (p->name && *p->name) return p->name;
    for (size_t i = 0; i < p->n_output; i++)
        if (*p->output[i]) return p->output[i];
    return "";
}

/* Only an opset that an operator asks for must be one that is known. */
static void check_opset(Wirer *s, int64_t opset) {
    if (opset == 0)
        tn_fail(s->cx, TN_E_MODEL, "no opset of the default domain, wanted %d to %d",
                ONNX_MIN_OPSET, ONNX_MAX_OPSET);
    if (opset < ONNX_MIN_OPSET || opset > ONNX_MAX_OPSET)
        tn_fail(s->cx, TN_E_UNSUPPORTED,
                "opset %lld of the default domain is unsupported, wanted %d to %d",
                (long long)opset, ONNX_MIN_OPSET, ONNX_MAX_OPSET);
}

static const OnnxOp *find_row(Wirer *s, const Wiring *w, const Onnx__NodeProto *p) {
    const char *domain = p->domain && strcmp(p->domain, "ai.onnx") != 0 ? p->domain : "";
    if (!*domain) {
        check_opset(s, w->opset);
        return onnx_op_find("", p->op_type ? p->op_type : "", w->opset);
    }
    return onnx_op_find(domain, p->op_type ? p->op_type : "", onnx_opset(s->model, domain));
}

static void make_nodes(Wirer *s, Wiring *w, size_t count, Onnx__NodeProto **protos) {
    w->unsorted = ARENA_ARRAY(&s->cx->arena, WiredNode, count);
    w->node_count = count;
    for (size_t i = 0; i < count; i++) {
        WiredNode *n = &w->unsorted[i];
        n->proto = protos[i];
        n->name = node_name(n->proto);
        n->function = wire_call(s, n->proto);
        if (!n->function) n->row = find_row(s, w, n->proto);
        s->nodes += 1 + (n->function ? n->function->nodes : 0);
        if (s->nodes > TN_MAX_NODES)
            tn_fail(s->cx, TN_E_LIMIT, "with the functions that it calls, more than %d nodes",
                    TN_MAX_NODES);
    }
    for (size_t i = 0; i < count; i++) add_results(s, w, &w->unsorted[i]);
    for (size_t i = 0; i < count; i++) connect(s, w, &w->unsorted[i]);
}

/* --- graphs --- */

static Wiring *new_wiring(Wirer *s, size_t values, size_t count, Onnx__NodeProto **nodes) {
    Wiring *w = ARENA_NEW(&s->cx->arena, Wiring);
    if (++s->depth > TN_MAX_NESTING)
        tn_fail(s->cx, TN_E_LIMIT, "graphs and functions nested more than %d deep", TN_MAX_NESTING);
    for (size_t i = 0; i < count; i++) values += nodes[i]->n_output;
    w->values = ARENA_ARRAY(&s->cx->arena, WiredValue, values + 1);
    w->names.arena = &s->cx->arena;
    return w;
}

Wiring *wire_graph(Wirer *s, const Onnx__GraphProto *g, Wiring *outer, WiredNode *owner) {
    Wiring *w = new_wiring(s, g->n_initializer + g->n_input, g->n_node, g->node);
    w->proto = g;
    w->outer = outer;
    w->owner = owner;
    w->home = outer ? outer->home : NULL;
    w->opset = outer ? outer->opset : s->model->opset;
    add_sources(s, w);
    make_nodes(s, w, g->n_node, g->node);
    connect_outputs(s, w);
    wire_sort(s, w);
    s->depth--;
    return w;
}

static int64_t function_opset(const Wirer *s, const Onnx__FunctionProto *p) {
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const char *domain = p->opset_import[i]->domain;
        if (!domain || !*domain || strcmp(domain, "ai.onnx") == 0)
            return p->opset_import[i]->version;
    }
    return s->model->opset;
}

Wiring *wire_function(Wirer *s, OnnxFunction *f) {
    const Onnx__FunctionProto *p = f->proto;
    Wiring *w = new_wiring(s, p->n_input, p->n_node, p->node);
    w->home = f;
    w->opset = function_opset(s, p);
    w->inputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, p->n_input);
    for (size_t i = 0; i < p->n_input; i++)
        w->inputs[w->input_count++] =
            add_value(s, w, (WiredValue){.name = value_name(s, p->input[i], "an input")});
    make_nodes(s, w, p->n_node, p->node);
    w->outputs = ARENA_ARRAY(&s->cx->arena, WiredValue *, p->n_output);
    for (size_t i = 0; i < p->n_output; i++) connect_output(s, w, p->output[i], NULL);
    wire_sort(s, w);
    s->depth--;
    return w;
}

Wiring *onnx_wire(OnnxModel *m) {
    Wirer s = {.model = m, .cx = m->cx};
    wire_find_functions(&s);
    return wire_graph(&s, m->proto->graph, NULL, NULL);
}
