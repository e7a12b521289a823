/* Buffers of a plan take results of several instructions, side by side (the parts of a concat) or
 * one over the other (in place). Where parts end is an expression, so a reader is taken to read all
 * parts. */
#include <string.h>
#include "ir/group.h"
#include "tools/plan_json.h"

#define MAX_WRITERS 64 /* of one buffer; older ones are forgotten */

PlanFlow plan_flow(Arena *a, const tenon_plan *p, const PlanFunction *f) {
    PlanFlow x = {.plan = p, .function = f, .arena = a};
    x.writers = ARENA_ARRAY(a, PlanWriter *, f->buffer_count);
    return x;
}

/* NULL for constants, whose buffers are no function's. */
static PlanWriter **slot(const PlanFlow *x, const PlanView *v) {
    if (x->plan->buffers[v->buffer].kind == TN_BUFFER_CONSTANT) return NULL;
    return &x->writers[v->buffer - x->function->first_buffer];
}

const PlanWriter *plan_flow_writers(const PlanFlow *x, const PlanView *v) {
    PlanWriter **writers = slot(x, v);
    return writers ? *writers : NULL;
}

static bool reads(const tenon_plan *p, const PlanInstruction *in, uint32_t buffer) {
    for (int k = 0; k < in->inputs; k++) {
        const PlanView *v = plan_operand(p, in, k);
        if (v && v->buffer == buffer) return true;
    }
    return false;
}

/* A result over what the instruction read replaces all; otherwise what was at its place. */
static void write(PlanFlow *x, const PlanView *v, uint32_t instruction, bool in_place) {
    PlanWriter **link = slot(x, v);
    if (!link) return;
    PlanWriter *w = ARENA_NEW(x->arena, PlanWriter);
    *w = (PlanWriter){.instruction = instruction, .offset = v->offset};
    if (in_place) *link = NULL;
    int count = 0;
    while (*link && (*link)->offset != v->offset && ++count < MAX_WRITERS) link = &(*link)->next;
    w->next = *link && (*link)->offset == v->offset ? (*link)->next : NULL;
    *link = w;
}

void plan_flow_step(PlanFlow *x, uint32_t instruction) {
    const PlanInstruction *in = &x->plan->instructions[instruction];
    for (int k = in->inputs; k < in->inputs + in->outputs; k++) {
        const PlanView *v = plan_operand(x->plan, in, k);
        if (v) write(x, v, instruction, reads(x->plan, in, v->buffer));
    }
}

const char **plan_origins(Arena *a, const char *origin, int *count) {
    size_t capacity = 0;
    const char **list = NULL;
    *count = 0;
    for (const char *s = origin, *end; s && *s; s = end ? end + 3 : NULL) {
        end = strstr(s, " + ");
        list = arena_grow(a, list, &capacity, (size_t)*count + 1, sizeof *list);
        list[(*count)++] = end ? arena_strndup(a, s, (size_t)(end - s)) : s;
    }
    return list;
}

static const char *group_of_names(Arena *a, const tenon_plan *p, const PlanInstruction *in,
                                  const char *origin) {
    int count;
    const char **origins = plan_origins(a, origin, &count);
    const char *group = ir_group_of_all(a, origins, count);
    if (group) return group;
    for (int k = 0; k < in->inputs; k++) {
        const PlanView *v = plan_operand(p, in, k);
        const PlanBuffer *b = v ? &p->buffers[v->buffer] : NULL;
        if (!b || b->kind != TN_BUFFER_CONSTANT) continue;
        const char *path = ir_group_of(a, plan_string(p, p->constants[b->index].name));
        if (*path) group = ir_group_join(a, group, path);
    }
    return group;
}

const char **plan_groups(Arena *a, const tenon_plan *p, const PlanFunction *f) {
    const char **groups = ARENA_ARRAY(a, const char *, f->instruction_count);
    PlanFlow flow = plan_flow(a, p, f);
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        uint32_t index = f->first_instruction + i;
        const PlanInstruction *in = &p->instructions[index];
        const char *group = group_of_names(a, p, in, plan_origin(p, index));
        bool told = group != NULL;
        for (int k = 0; k < in->inputs && !told; k++) {
            const PlanView *v = plan_operand(p, in, k);
            const PlanWriter *w = v ? plan_flow_writers(&flow, v) : NULL;
            for (; w; w = w->next) {
                const char *of_writer = groups[w->instruction - f->first_instruction];
                if (*of_writer) group = ir_group_join(a, group, of_writer);
            }
        }
        groups[i] = group ? group : "";
        plan_flow_step(&flow, index);
    }
    return groups;
}
