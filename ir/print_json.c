/* Graphs as JSON: docs/dump-format.md tells what every member means.
 *
 * Values are numbered: results of nodes in the order of the nodes, so that value 12 is %12 of the
 * text form, then the inputs, then constants in the order of their first use. */
#include <math.h>
#include <string.h>
#include "ir/group.h"
#include "ir/print.h"

#define MAX_FACT_BYTES 400 /* longer expressions tell a reader nothing */

typedef struct Numbering {
    const Graph *graph;
    uint32_t *number; /* by value id, plus 1; 0: not met */
    const Value **values;
    uint32_t count;
} Numbering;

static void note(Numbering *x, const Value *v) {
    if (!v || x->number[v->id]) return;
    x->values[x->count++] = v;
    x->number[v->id] = x->count;
}

static Numbering number_values(Arena *a, const Graph *g) {
    Numbering x = {.graph = g};
    x.number = ARENA_ARRAY(a, uint32_t, g->module->value_count);
    x.values = ARENA_ARRAY(a, const Value *, g->module->value_count);
    for (const Node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++) note(&x, n->outputs[i]);
    for (int i = 0; i < g->input_count; i++) note(&x, g->inputs[i]);
    for (const Node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->input_count; i++) note(&x, n->inputs[i]);
    for (int i = 0; i < g->output_count; i++) note(&x, g->outputs[i]);
    return x;
}

static void add_values(TextBuffer *t, const Numbering *x, const char *key, Value *const *v,
                       int count) {
    text_key(t, key);
    text_add(t, "[");
    for (int i = 0; i < count; i++) {
        text_item(t);
        if (v[i])
            text_format(t, "%u", x->number[v[i]->id] - 1);
        else
            text_add(t, "null");
    }
    text_add(t, "]");
}

/* --- values --- */

/* An input's element is the input: no fact. */
static bool is_own_load(const Value *v) {
    return !v->node && !v->facts.values && !v->facts.choice;
}

static void add_expr_list(TextBuffer *t, ExprCx *x, int count, const Expr *const *e) {
    text_add(t, "[");
    for (int i = 0; i < count; i++) {
        text_item(t);
        text_json(t, ex_text(x, e[i]));
    }
    text_add(t, "]");
}

static void add_fact(TextBuffer *t, const char *key, const char *text) {
    if (strlen(text) <= MAX_FACT_BYTES) text_member(t, key, text);
}

/* Loads print as values do in the text form, "%12[i0, i1]"; those of values that are gone as
 * "load". */
static const char *leaf_name(void *user, const void *leaf) {
    const Numbering *x = user;
    const Value *v = ir_resolve((Value *)leaf);
    uint32_t number = v->graph == x->graph ? x->number[v->id] : 0;
    if (!number) return "load";
    const char *name = v->node ? NULL : v->name;
    if (name) return arena_printf(&x->graph->module->cx->arena, "%%%s", name);
    return arena_printf(&x->graph->module->cx->arena, "%%%u", number - 1);
}

static void add_facts(TextBuffer *t, Numbering *x, const Value *v) {
    ExprCx *cx = v->graph->module->ex;
    const Facts *f = &v->facts;
    if (v->constant || is_own_load(v) || (!f->values && !f->elem && !f->pred && !f->choice)) return;
    text_key(t, "facts");
    text_add(t, "{");
    if (f->values) {
        text_key(t, "elements");
        text_add(t, "[");
        for (int i = 0; i < f->count; i++) {
            text_item(t);
            text_json(t, ex_text_with(cx, f->values[i], leaf_name, x));
        }
        text_add(t, "]");
    } else if (f->elem) {
        add_fact(t, "element", ex_text_with(cx, f->elem, leaf_name, x));
    } else if (f->pred) {
        add_fact(t, "element", pr_text_with(cx, f->pred, leaf_name, x));
    }
    if (f->choice && !f->values) {
        add_fact(t, "where", pr_text_with(cx, f->choice, leaf_name, x));
        const double sides[] = {f->yes, f->no};
        for (int i = 0; i < 2; i++) {
            text_key(t, i ? "else" : "then");
            text_add(t, "\"");
            print_float(t, TN_F64, sides[i]);
            text_add(t, "\"");
        }
    }
    text_add(t, "}");
}

static void use_constant(ConstantSet *used, uint32_t id) {
    used->has = arena_grow(used->arena, used->has, &used->capacity, (size_t)id + 1, sizeof(bool));
    used->has[id] = true;
}

static void add_value(TextBuffer *t, Numbering *x, const Value *v, ConstantSet *used) {
    text_add(t, "{");
    if (v->name) text_member(t, "name", v->name);
    text_member(t, "dtype", tn_dtype_name(v->type.dtype));
    text_key(t, "dims");
    add_expr_list(t, v->graph->module->ex, v->type.rank, v->type.dims);
    if (v->constant) {
        text_member_int(t, "constant", v->constant->id);
        use_constant(used, v->constant->id);
    }
    add_facts(t, x, v);
    text_add(t, "}");
}

/* --- nodes --- */

static void add_ints(TextBuffer *t, const IntList *list) {
    text_add(t, "[");
    for (int i = 0; i < list->count; i++) {
        text_item(t);
        text_json_int(t, list->v[i]);
    }
    text_add(t, "]");
}

static void add_attr(TextBuffer *t, const Node *n, int i) {
    const AttrInfo *info = ir_attr_info(n->op, i);
    const Attr *a = &n->attrs[i];
    ExprCx *x = n->graph->module->ex;
    TextBuffer text = {.arena = t->arena};
    text_key(t, info->name);
    switch (info->kind) {
    case 'i': text_json_int(t, a->i); break;
    case 'b': text_add(t, a->b ? "true" : "false"); break;
    case 'D': add_expr_list(t, x, a->D->count, a->D->e); break;
    case 'E': add_expr_list(t, x, a->E->count, a->E->e); break;
    case 'I': add_ints(t, a->I); break;
    default:
        print_attr(&text, n, i);
        if (info->kind == 'f' && isfinite(a->f))
            text_add(t, text_end(&text));
        else
            text_json(t, text_end(&text));
    }
}

static void add_node(TextBuffer *t, const Numbering *x, const Node *n, const char *group) {
    text_add(t, "{");
    text_member(t, "op", ir_op_info(n->op)->name);
    add_values(t, x, "operands", n->inputs, n->input_count);
    add_values(t, x, "results", n->outputs, n->output_count);
    text_key(t, "attributes");
    text_add(t, "{");
    for (int i = 0; i < ir_attr_count(n->op); i++)
        if (!print_is_default(n, i)) add_attr(t, n, i);
    text_add(t, "}");
    text_key(t, "origins");
    text_add(t, "[");
    for (int i = 0; i < n->origin_count; i++) {
        if (!*n->origins[i]) continue;
        text_item(t);
        text_json(t, n->origins[i]);
    }
    text_add(t, "]");
    text_member(t, "group", group);
    text_add(t, "}");
}

/* --- graphs --- */

static void add_ports(TextBuffer *t, const Numbering *x) {
    static const char *const fills[] = {
        [INPUT_REQUIRED] = "none", [INPUT_ZEROS] = "zeros", [INPUT_ONES] = "ones"};
    const Graph *g = x->graph;
    text_key(t, "inputs");
    text_add(t, "[");
    for (int i = 0; i < g->input_count; i++) {
        text_item(t);
        text_add(t, "{");
        text_member(t, "name", g->inputs[i]->name ? g->inputs[i]->name : "");
        text_member_int(t, "value", x->number[g->inputs[i]->id] - 1);
        if (g->defaults[i]) text_member(t, "default", fills[g->defaults[i]]);
        text_add(t, "}");
    }
    text_add(t, "]");
    text_key(t, "outputs");
    text_add(t, "[");
    for (int i = 0; i < g->output_count; i++) {
        text_item(t);
        text_add(t, "{");
        text_member(t, "name", g->output_names[i]);
        text_member_int(t, "value", x->number[g->outputs[i]->id] - 1);
        text_add(t, "}");
    }
    text_add(t, "]");
}

void print_graph_json(TextBuffer *t, const Graph *g, ConstantSet *used) {
    Numbering x = number_values(t->arena, g);
    text_add(t, "{");
    text_member(t, "name", g->name);
    text_key(t, "internal");
    text_add(t, g->internal ? "true" : "false");
    add_ports(t, &x);
    text_key(t, "values");
    text_add(t, "[");
    for (uint32_t i = 0; i < x.count; i++) {
        text_item(t);
        text_add(t, "\n ");
        add_value(t, &x, x.values[i], used);
    }
    text_add(t, "]");
    text_key(t, "nodes");
    text_add(t, "[");
    const char **group = ir_groups(t->arena, g);
    for (const Node *n = g->first; n; n = n->next) {
        text_item(t);
        text_add(t, "\n ");
        add_node(t, &x, n, *group++);
    }
    text_add(t, "]}");
}
