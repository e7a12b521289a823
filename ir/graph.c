/* Modules, graphs, nodes, values: making them and editing them.
 *
 * Invariant: after every function here, `uses` of a value lists exactly the operand slots that hold
 * it, node->use_slots[i] is the place of operand i in that list (so dropping a use takes constant
 * time), output_uses counts the graph results that are this value, and nodes are linked in the
 * order they run in.
 *
 * A removed node keeps its `next`: a loop that had it in hand still finds its way to the end. */
#include "ir/ir.h"

#include <assert.h>
#include <string.h>
#include "ir/infer.h"

static Arena *arena_of(const Module *m) {
    return &m->cx->arena;
}

/* --- modules, graphs --- */

Module *ir_module_new(Cx *cx) {
    Module *m = ARENA_NEW(&cx->arena, Module);
    m->cx = cx;
    m->ex = ex_new(cx);
    return m;
}

static Graph *new_graph(Module *m, const char *name) {
    Graph *g = ARENA_NEW(arena_of(m), Graph);
    g->module = m;
    g->name = arena_strdup(arena_of(m), name);
    return g;
}

Graph *ir_graph_new(Module *m, const char *name) {
    Graph *g = new_graph(m, name);
    g->prev = m->last_graph;
    *(g->prev ? &g->prev->next : &m->graphs) = g;
    m->last_graph = g;
    return g;
}

Graph *ir_body_new(Graph *caller, const char *name) {
    Module *m = caller->module;
    Graph *g = new_graph(m, name);
    g->internal = true;
    g->prev = caller->prev;
    g->next = caller;
    *(g->prev ? &g->prev->next : &m->graphs) = g;
    caller->prev = g;
    return g;
}

static void mark_bodies(const Graph *g) {
    for (const Node *n = g->first; n; n = n->next)
        for (int i = 0; i < ir_attr_count(n->op); i++)
            if (ir_attr_info(n->op, i)->kind == 'g') n->attrs[i].g->called = true;
}

static void unlink_graph(Module *m, Graph *g) {
    *(g->prev ? &g->prev->next : &m->graphs) = g->next;
    *(g->next ? &g->next->prev : &m->last_graph) = g->prev;
}

/* Bodies come before their callers, so the last graph is looked at first. */
void ir_remove_unused_bodies(Module *m) {
    for (Graph *g = m->graphs; g; g = g->next) g->called = false;
    for (Graph *g = m->last_graph; g; g = g->prev) {
        if (!g->internal || g->called)
            mark_bodies(g);
        else
            unlink_graph(m, g);
    }
}

Graph *ir_graph_replace(Module *m, Graph *old) {
    Graph *g = new_graph(m, old->name);
    g->internal = old->internal;
    g->prev = old->prev;
    g->next = old->next;
    *(g->prev ? &g->prev->next : &m->graphs) = g;
    *(g->next ? &g->next->prev : &m->last_graph) = g;
    return g;
}

void ir_set_meta(Module *m, const char *key, const char *value) {
    Meta **link = &m->meta;
    while (*link && strcmp((*link)->key, key) != 0) link = &(*link)->next;
    if (!*link) {
        *link = ARENA_NEW(arena_of(m), Meta);
        (*link)->key = arena_strdup(arena_of(m), key);
    }
    (*link)->value = arena_strdup(arena_of(m), value);
}

Value *ir_new_value(Graph *g, const char *name) {
    Value *v = ARENA_NEW(arena_of(g->module), Value);
    v->id = g->module->value_count++;
    v->name = name ? arena_strdup(arena_of(g->module), name) : NULL;
    v->graph = g;
    return v;
}

Value *ir_input(Graph *g, const char *name, TnDType dtype, int rank, const Expr *const *dims,
                InputDefault fill) {
    Module *m = g->module;
    Value *v = ir_new_value(g, name);
    infer_set_type(m, v, dtype, rank, dims);
    for (int i = 0; i < rank; i++) {
        const Symbol *s = ex_as_symbol(m->ex, v->type.dims[i]);
        if (s) ex_note_use(m->ex, s->name);
    }
    facts_of_source(v);
    size_t want = (size_t)g->input_count + 1;
    g->inputs = arena_grow(arena_of(m), g->inputs, &g->input_capacity, want, sizeof *g->inputs);
    g->defaults =
        arena_grow(arena_of(m), g->defaults, &g->default_capacity, want, sizeof *g->defaults);
    v->index = g->input_count;
    g->defaults[g->input_count] = fill;
    g->inputs[g->input_count++] = v;
    return v;
}

void ir_output(Graph *g, const char *name, Value *v) {
    Arena *a = arena_of(g->module);
    size_t want = (size_t)g->output_count + 1;
    g->outputs = arena_grow(a, g->outputs, &g->output_capacity, want, sizeof *g->outputs);
    g->output_names =
        arena_grow(a, g->output_names, &g->output_name_capacity, want, sizeof *g->output_names);
    g->output_names[g->output_count] = arena_strdup(a, name);
    g->outputs[g->output_count++] = v;
    v->output_uses++;
}

void ir_set_output(Graph *g, int i, Value *v) {
    assert(i >= 0 && i < g->output_count);
    g->outputs[i]->output_uses--;
    g->outputs[i] = v;
    v->output_uses++;
}

void ir_add_state(Graph *g, const char *name, int input, int output, int axis) {
    Arena *a = arena_of(g->module);
    g->states =
        arena_grow(a, g->states, &g->state_capacity, (size_t)g->state_count + 1, sizeof *g->states);
    g->states[g->state_count++] = (StateUse){arena_strdup(a, name), input, output, axis};
}

const StateUse *ir_state_of_input(const Graph *g, int input) {
    for (int i = 0; i < g->state_count; i++)
        if (g->states[i].input == input) return &g->states[i];
    return NULL;
}

const StateUse *ir_state_of_output(const Graph *g, int output) {
    for (int i = 0; i < g->state_count; i++)
        if (g->states[i].output == output) return &g->states[i];
    return NULL;
}

void ir_order_inputs(Graph *g, Value *const *inputs) {
    for (int i = 0; i < g->input_count; i++) {
        g->inputs[i] = inputs[i];
        inputs[i]->index = i;
    }
}

/* --- use lists --- */

static void add_use(Node *n, int i, Value *v) {
    n->inputs[i] = v;
    if (!v) return;
    v->uses = arena_grow(arena_of(n->graph->module), v->uses, &v->use_capacity,
                         (size_t)v->use_count + 1, sizeof *v->uses);
    n->use_slots[i] = v->use_count;
    v->uses[v->use_count++] = (Use){n, i};
}

static void drop_use(Node *n, int i) {
    Value *v = n->inputs[i];
    if (!v) return;
    int slot = n->use_slots[i];
    Use moved = v->uses[--v->use_count];
    v->uses[slot] = moved;
    moved.node->use_slots[moved.index] = slot;
    n->inputs[i] = NULL;
}

/* --- nodes --- */

Node *ir_node(Graph *g, OpKind op, int n, Value *const *inputs) {
    Arena *a = arena_of(g->module);
    Node *node = ARENA_NEW(a, Node);
    node->op = op;
    node->graph = g;
    node->input_count = n;
    node->inputs = ARENA_ARRAY(a, Value *, (size_t)n);
    node->use_slots = ARENA_ARRAY(a, int, (size_t)n);
    if (n) memcpy(node->inputs, inputs, (size_t)n * sizeof(Value *));
    node->attrs = attrs_default(g->module, op);
    return node;
}

static void check_operands(const Node *n) {
    const OpInfo *info = ir_op_info(n->op);
    Cx *cx = n->graph->module->cx;
    if (n->input_count < info->min_inputs ||
        (info->max_inputs >= 0 && n->input_count > info->max_inputs))
        tn_fail(cx, TN_E_MODEL, "%s cannot have %d operands", info->name, n->input_count);
    for (int i = 0; i < info->min_inputs; i++)
        if (!n->inputs[i]) tn_fail(cx, TN_E_MODEL, "operand %d of %s is missing", i, info->name);
}

static void take_origins(Node *n) {
    Graph *g = n->graph;
    if (g->origin_list_count) {
        n->origins = g->origin_list;
        n->origin_count = g->origin_list_count;
    } else if (g->origin) {
        n->origins = ARENA_NEW(arena_of(g->module), const char *);
        n->origins[0] = g->origin;
        n->origin_count = 1;
    }
}

static void link_before(Node *n, Node *at) {
    Graph *g = n->graph;
    n->next = at;
    n->prev = at ? at->prev : g->last;
    *(n->prev ? &n->prev->next : &g->first) = n;
    *(at ? &at->prev : &g->last) = n;
}

static void unlink_node(Node *n) {
    Graph *g = n->graph;
    *(n->prev ? &n->prev->next : &g->first) = n->next;
    *(n->next ? &n->next->prev : &g->last) = n->prev;
}

Value *ir_insert(Node *n) {
    Module *m = n->graph->module;
    check_operands(n);
    attrs_check(n);
    if (n->graph->node_count >= TN_MAX_NODES)
        tn_fail(m->cx, TN_E_LIMIT, "more than %d nodes in a graph", TN_MAX_NODES);
    take_origins(n);
    m->origin = n->origin_count ? n->origins[0] : ir_op_info(n->op)->name;
    infer_types(n);
    infer_facts(n);
    m->origin = NULL;
    n->id = m->node_id++;
    for (int i = 0; i < n->input_count; i++) add_use(n, i, n->inputs[i]);
    link_before(n, n->graph->cursor);
    n->graph->node_count++;
    return n->output_count ? n->outputs[0] : NULL;
}

/* --- edits --- */

void ir_replace(Value *old, Value *by) {
    assert(old != by);
    assert(old->type.dtype == by->type.dtype && old->type.rank == by->type.rank);
    for (int i = 0; i < old->use_count; i++) {
        Use u = old->uses[i];
        assert(u.node != by->node);
        add_use(u.node, u.index, by);
    }
    old->use_count = 0;
    Graph *g = old->graph;
    for (int i = 0; old->output_uses && i < g->output_count; i++)
        if (g->outputs[i] == old) ir_set_output(g, i, by);
    old->forward = by;
    ir_take_sources(by, old);
}

void ir_set_operand(Node *n, int i, Value *v) {
    assert(i >= 0 && i < n->input_count);
    assert(!v || !n->inputs[i] || v->type.dtype == n->inputs[i]->type.dtype);
    drop_use(n, i);
    add_use(n, i, v);
}

void ir_remove(Node *n) {
    assert(!n->removed);
    for (int i = 0; i < n->output_count; i++)
        assert(n->outputs[i]->use_count == 0 && n->outputs[i]->output_uses == 0);
    for (int i = 0; i < n->input_count; i++) drop_use(n, i);
    if (n->graph->cursor == n) n->graph->cursor = n->next;
    unlink_node(n);
    n->graph->node_count--;
    n->removed = true;
}

void ir_move_before(Node *n, Node *at) {
    if (n == at) return;
    if (n->graph->cursor == n) n->graph->cursor = n->next;
    unlink_node(n);
    link_before(n, at);
}

bool ir_is_output(const Value *v) {
    return v->output_uses > 0;
}

bool ir_single_use(const Value *v) {
    return v->use_count == 1 && v->output_uses == 0;
}

Node *ir_producer(const Value *v, OpKind op) {
    return v->node && v->node->op == op ? v->node : NULL;
}

Value *ir_resolve(Value *v) {
    while (v->forward) v = v->forward;
    return v;
}
