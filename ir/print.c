/* Prints modules as text (docs/ir.md).
 *
 * What is printed depends on the graphs only, not on how they came about:
 * values are numbered in the order of the nodes, constants come in the
 * order of their first use, and those nobody uses are left out. */
#include "ir/print.h"

#include <ctype.h>
#include <string.h>
#include "ir/names.h"

#define SMALL_CONSTANT 16 /* elements; larger ones print as a hash */

typedef struct Printer {
    Module *m;
    TextBuffer text;
    NameMap taken;              /* names of constants and of the inputs of all graphs */
    const char **constant_name; /* by constant id; NULL: not used */
    Constant **used;            /* in the order of first use */
    int used_count;
    const char **value_name; /* by value id; of the graph being printed */
} Printer;

/* --- names --- */

static bool is_plain(const char *name) {
    if (!isalpha((unsigned char)*name) && *name != '_') return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_' && *name != '.') return false;
    return true;
}

void print_name(TextBuffer *t, const char *name) {
    if (is_plain(name))
        text_add(t, name);
    else
        text_quoted(t, name);
}

static const char *quoted(Printer *p, const char *name) {
    TextBuffer t = {.arena = p->text.arena};
    print_name(&t, name);
    return text_end(&t);
}

/* `base`, or base.1, base.2, ...: the first that is not taken; takes it. */
static const char *take_name(Printer *p, NameMap *taken, const char *base) {
    const char *name = base;
    for (int i = 1; names_has(&p->taken, name) || !names_add(taken, name, NULL); i++)
        name = arena_printf(p->text.arena, "%s.%d", base, i);
    return name;
}

static void note_constant(Printer *p, const Value *v) {
    if (!v || !v->constant || p->constant_name[v->constant->id]) return;
    p->constant_name[v->constant->id] = "";
    p->used[p->used_count++] = v->constant;
}

static void find_used_constants(Printer *p) {
    for (Graph *g = p->m->graphs; g; g = g->next) {
        for (const Node *n = g->first; n; n = n->next)
            for (int i = 0; i < n->input_count; i++) note_constant(p, n->inputs[i]);
        for (int i = 0; i < g->output_count; i++) note_constant(p, g->outputs[i]);
    }
}

/* Names of inputs are part of the model's interface and come
 * first; then constants with names, then the others. */
static void name_constants(Printer *p) {
    for (Graph *g = p->m->graphs; g; g = g->next)
        for (int i = 0; i < g->input_count; i++)
            if (g->inputs[i]->name) names_add(&p->taken, g->inputs[i]->name, NULL);
    for (int i = 0; i < p->used_count; i++) {
        const Constant *c = p->used[i];
        if (c->name) p->constant_name[c->id] = quoted(p, take_name(p, &p->taken, c->name));
    }
    int number = 0;
    for (int i = 0; i < p->used_count; i++) {
        const Constant *c = p->used[i];
        if (c->name) continue;
        const char *name;
        do name = arena_printf(p->text.arena, "c%d", number++);
        while (!names_add(&p->taken, name, NULL));
        p->constant_name[c->id] = name;
    }
}

static void name_values(Printer *p, const Graph *g) {
    memset(p->value_name, 0, p->m->value_count * sizeof *p->value_name);
    NameMap inputs = {.arena = p->text.arena};
    for (int i = 0; i < g->input_count; i++) {
        const char *base = g->inputs[i]->name ? g->inputs[i]->name : "input", *name = base;
        for (int k = 1; !names_add(&inputs, name, NULL); k++)
            name = arena_printf(p->text.arena, "%s.%d", base, k);
        p->value_name[g->inputs[i]->id] = quoted(p, name);
    }
    int number = 0;
    for (const Node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++)
            p->value_name[n->outputs[i]->id] = arena_printf(p->text.arena, "%d", number++);
}

static Printer start(Module *m) {
    Arena *a = &m->cx->arena;
    Printer p = {.m = m, .text = {.arena = a}, .taken = {.arena = a}};
    p.constant_name = ARENA_ARRAY(a, const char *, m->constant_count);
    p.used = ARENA_ARRAY(a, Constant *, m->constant_count);
    p.value_name = ARENA_ARRAY(a, const char *, m->value_count);
    find_used_constants(&p);
    name_constants(&p);
    return p;
}

/* --- lines --- */

static void print_value(Printer *p, const Value *v) {
    const char *name = !v            ? NULL
                       : v->constant ? p->constant_name[v->constant->id]
                                     : p->value_name[v->id];
    if (!v)
        text_add(&p->text, "_");
    else if (name)
        text_format(&p->text, "%%%s", name);
    else
        text_format(&p->text, "%%?%u", v->id); /* not of this graph: only in messages */
}

static void print_typed(Printer *p, const Value *v) {
    print_value(p, v);
    text_format(&p->text, ": %s", ir_type_text(p->m, &v->type));
}

/* The rest of the line belongs to the comment, so control bytes are escaped. */
static void print_origins(TextBuffer *t, const Node *n) {
    const char *before = " // ";
    for (int i = 0; i < n->origin_count; i++) {
        const char *s = n->origins[i];
        if (!*s) continue;
        text_add(t, before);
        for (; *s; s++) {
            if (iscntrl((unsigned char)*s))
                text_format(t, "\\x%02x", (unsigned char)*s);
            else
                text_add_bytes(t, s, 1);
        }
        before = " + ";
    }
}

static void print_node(Printer *p, const Node *n) {
    TextBuffer *t = &p->text;
    for (int i = 0; i < n->output_count; i++) {
        if (i) text_add(t, ", ");
        print_typed(p, n->outputs[i]);
    }
    text_format(t, "%s%s", n->output_count ? " = " : "", ir_op_info(n->op)->name);
    for (int i = 0; i < n->input_count; i++) {
        text_add(t, i ? ", " : " ");
        print_value(p, n->inputs[i]);
    }
    print_attrs(t, n);
    print_origins(t, n);
}

static void print_input(Printer *p, const Graph *g, int i) {
    static const char *const fills[] = {
        [INPUT_REQUIRED] = "", [INPUT_ZEROS] = " = zeros", [INPUT_ONES] = " = ones"};
    if (i) text_add(&p->text, ", ");
    print_typed(p, g->inputs[i]);
    text_add(&p->text, fills[g->defaults[i]]);
}

/* state "kv.0" from %past to "present" axis 2 */
static void print_state(Printer *p, const Graph *g, const StateUse *s) {
    TextBuffer *t = &p->text;
    text_add(t, "state ");
    text_quoted(t, s->name);
    if (s->input >= 0) {
        text_add(t, " from ");
        print_value(p, g->inputs[s->input]);
    }
    if (s->output >= 0) {
        text_add(t, " to ");
        text_quoted(t, g->output_names[s->output]);
    }
    text_format(t, " axis %d", s->axis);
}

static void print_graph(Printer *p, Graph *g, const char *indent) {
    TextBuffer *t = &p->text;
    name_values(p, g);
    text_format(t, "%s%s %s(", indent, g->internal ? "body" : "graph", quoted(p, g->name));
    for (int i = 0; i < g->input_count; i++) print_input(p, g, i);
    text_add(t, ")");
    if (g == p->m->graphs && !g->internal) print_require(t, p->m);
    text_add(t, " {\n");
    for (const Node *n = g->first; n; n = n->next) {
        text_format(t, "%s  ", indent);
        print_node(p, n);
        text_add(t, "\n");
    }
    text_format(t, "%s  return", indent);
    for (int i = 0; i < g->output_count; i++) {
        text_add(t, i ? ", " : " ");
        print_value(p, g->outputs[i]);
        text_add(t, " as ");
        text_quoted(t, g->output_names[i]);
    }
    for (int i = 0; i < g->state_count; i++) {
        text_format(t, "\n%s  ", indent);
        print_state(p, g, &g->states[i]);
    }
    text_format(t, "\n%s}\n", indent);
}

static void print_constant(Printer *p, Constant *c) {
    TextBuffer *t = &p->text;
    int64_t count = 1;
    text_format(t, "  const %%%s: %s[", p->constant_name[c->id], tn_dtype_name(c->dtype));
    for (int i = 0; i < c->rank; i++) {
        text_format(t, i ? ", %lld" : "%lld", (long long)c->dims[i]);
        count *= c->dims[i];
    }
    text_add(t, "] = ");
    if (count <= SMALL_CONSTANT)
        print_elements(t, c);
    else
        text_format(t, "#%016llx", (unsigned long long)ir_constant_hash(c));
    text_add(t, "\n");
}

/* Bodies come first, but what holds for the module is read before them. */
static void print_contract(Printer *p) {
    TextBuffer t = {.arena = p->text.arena};
    print_require(&t, p->m);
    const char *text = text_end(&t);
    if (*text) text_format(&p->text, "  contract%s\n", text);
}

const char *ir_print(Module *m) {
    Printer p = start(m);
    text_add(&p.text, "module {\n");
    for (const Meta *meta = m->meta; meta; meta = meta->next) {
        text_add(&p.text, "  meta ");
        text_quoted(&p.text, meta->key);
        text_add(&p.text, " = ");
        text_quoted(&p.text, meta->value);
        text_add(&p.text, "\n");
    }
    for (int i = 0; i < p.used_count; i++) print_constant(&p, p.used[i]);
    if (m->graphs && m->graphs->internal) print_contract(&p);
    for (Graph *g = m->graphs; g; g = g->next) print_graph(&p, g, "  ");
    text_add(&p.text, "}\n");
    return text_end(&p.text);
}

const char *ir_print_graph(Graph *g) {
    Printer p = start(g->module);
    print_graph(&p, g, "");
    return text_end(&p.text);
}

const char *ir_print_node(const Node *n) {
    Printer p = start(n->graph->module);
    name_values(&p, n->graph);
    print_node(&p, n);
    return text_end(&p.text);
}
