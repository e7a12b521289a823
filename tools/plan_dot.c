/* A plan for Graphviz: one node per instruction, clusters by module path. */
#include <string.h>
#include "ir/dot.h"
#include "tools/plan_json.h"

typedef struct PlanDot {
    const tenon_plan *plan;
    Dot *dot;
    Arena *arena;
    const char *top; /* group of the function, "" if it is the only one */
    int *nodes;      /* dot node of every instruction */
    int *inputs;     /* of every input port of the function */
    int *states;     /* of every record of STATES */
} PlanDot;

static const char *type_text(PlanDot *d, const PlanView *v) {
    char text[TN_TEXT_MAX];
    TextBuffer t = {.arena = d->arena};
    text_format(&t, "%s[", tn_dtype_name((TnDType)v->dtype));
    for (uint32_t i = 0; i < v->rank; i++)
        text_format(&t, "%s%s", i ? ", " : "",
                    plan_expr_text(d->plan, d->plan->ids[v->dims + i], text));
    text_add(&t, "]");
    return text_end(&t);
}

static const char *label(PlanDot *d, uint32_t index) {
    const tenon_plan *p = d->plan;
    const PlanInstruction *in = &p->instructions[index];
    TextBuffer t = {.arena = d->arena};
    text_format(&t, "%u %s", index, tn_instr(in->opcode)->name);
    if (*plan_origin(p, index)) text_format(&t, "\n%s", plan_origin(p, index));
    for (int k = 0; k < in->inputs; k++) {
        const PlanView *v = plan_operand(p, in, k);
        if (!v || p->buffers[v->buffer].kind != TN_BUFFER_CONSTANT) continue;
        const char *name = plan_string(p, p->constants[p->buffers[v->buffer].index].name);
        text_format(&t, "\n%s %s", *name ? name : "constant", type_text(d, v));
    }
    return text_end(&t);
}

static const char *inside(PlanDot *d, const char *group) {
    if (!*d->top || !*group) return *d->top ? d->top : group;
    return arena_printf(d->arena, "%s/%s", d->top, group);
}

static void add_edges(PlanDot *d, const PlanFlow *flow, const PlanView *v, int to) {
    const PlanBuffer *b = &d->plan->buffers[v->buffer];
    if (b->kind == TN_BUFFER_INPUT) dot_edge(d->dot, d->inputs[b->index], to, type_text(d, v));
    if (b->kind == TN_BUFFER_STATE) dot_edge(d->dot, d->states[b->index], to, type_text(d, v));
    for (const PlanWriter *w = plan_flow_writers(flow, v); w; w = w->next)
        dot_edge(d->dot, d->nodes[w->instruction], to, type_text(d, v));
}

static void add_function(PlanDot *d, const PlanFunction *f) {
    const tenon_plan *p = d->plan;
    PlanFlow flow = plan_flow(d->arena, p, f);
    const char **groups = plan_groups(d->arena, p, f);
    d->top = "";
    if (p->functions_count > 1) {
        char *name = arena_printf(d->arena, "function %s", plan_string(p, f->name));
        for (char *s = strchr(name, '/'); s; s = strchr(s, '/')) *s = '.';
        d->top = name;
    }
    d->inputs = ARENA_ARRAY(d->arena, int, f->input_count);
    for (uint32_t i = 0; i < f->input_count; i++) {
        const char *name = plan_string(p, plan_port(p, f, i)->name);
        d->inputs[i] =
            dot_node(d->dot, d->top, arena_printf(d->arena, "input %s", name), "shape=ellipse");
    }
    for (uint32_t i = 0; i < p->states_count; i++) {
        if (&p->functions[p->states[i].function] != f) continue;
        const char *name = plan_string(p, p->states[i].name);
        d->states[i] =
            dot_node(d->dot, d->top, arena_printf(d->arena, "state %s", name), "shape=cylinder");
    }
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        uint32_t index = f->first_instruction + i;
        const PlanInstruction *in = &p->instructions[index];
        d->nodes[index] = dot_node(d->dot, inside(d, groups[i]), label(d, index), NULL);
        for (int k = 0; k < in->inputs; k++) {
            const PlanView *v = plan_operand(p, in, k);
            if (v) add_edges(d, &flow, v, d->nodes[index]);
        }
        plan_flow_step(&flow, index);
    }
    for (uint32_t i = f->input_count; i < f->input_count + f->output_count; i++) {
        const PlanPort *port = plan_port(p, f, i);
        const char *name = arena_printf(d->arena, "output %s", plan_string(p, port->name));
        add_edges(d, &flow, &p->views[port->view], dot_node(d->dot, d->top, name, "shape=ellipse"));
    }
}

const char *plan_dot(Arena *a, const tenon_plan *p) {
    PlanDot d = {.plan = p, .dot = dot_new(a), .arena = a};
    d.nodes = ARENA_ARRAY(a, int, p->instructions_count);
    d.states = ARENA_ARRAY(a, int, p->states_count);
    for (uint32_t i = 0; i < p->functions_count; i++) add_function(&d, &p->functions[i]);
    return dot_end(d.dot);
}
