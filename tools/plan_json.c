/* A plan as JSON: docs/dump-format.md tells what every member means. */
#include "tools/plan_json.h"

#include <string.h>
#include "ir/print.h"
#include "runtime/pack.h"
#include "runtime/params.h"

static void add_expr(const tenon_plan *p, TextBuffer *t, uint32_t id) {
    char text[TN_TEXT_MAX];
    text_json(t, plan_expr_text(p, id, text));
}

static void add_exprs(const tenon_plan *p, TextBuffer *t, const char *key, uint32_t first,
                      uint32_t count) {
    text_key(t, key);
    text_add(t, "[");
    for (uint32_t i = 0; i < count; i++) {
        text_item(t);
        add_expr(p, t, p->ids[first + i]);
    }
    text_add(t, "]");
}

/* --- tables --- */

static void add_metadata(const tenon_plan *p, TextBuffer *t) {
    text_key(t, "metadata");
    text_add(t, "{");
    for (uint32_t i = 0; i < p->metadata_count; i++)
        text_member(t, plan_string(p, p->metadata[i].key), plan_string(p, p->metadata[i].value));
    text_add(t, "}");
}

static void add_symbols(const tenon_plan *p, TextBuffer *t) {
    text_key(t, "symbols");
    text_add(t, "[");
    for (uint32_t i = 0; i < p->symbols_count; i++) {
        const PlanSymbol *s = &p->symbols[i];
        text_item(t);
        text_add(t, "{");
        text_member(t, "name", plan_string(p, s->name));
        text_member(t, "kind",
                    s->kind == TN_SYMBOL_MEASURED   ? "measured"
                    : s->kind == TN_SYMBOL_CAPACITY ? "capacity"
                                                    : "input");
        text_member_int(t, "min", s->min);
        if (s->max < INT64_MAX) text_member_int(t, "max", s->max);
        text_add(t, "}");
    }
    text_add(t, "]");
}

static void add_constant(const tenon_plan *p, uint32_t id, TextBuffer *t) {
    const PlanConstant *c = &p->constants[id];
    static const char *const layouts[] = {
        [TN_LAYOUT_STRIDED] = "strided",     [TN_LAYOUT_PANELS16] = "panels16",
        [TN_LAYOUT_PAIRS16] = "pairs16",     [TN_LAYOUT_QUADS16] = "quads16",
        [TN_LAYOUT_RECORDS8] = "records8",   [TN_LAYOUT_RECORDS4] = "records4",
        [TN_LAYOUT_RECORDS8F] = "records8f", [TN_LAYOUT_RECORDS4F] = "records4f"};
    int64_t elements;
    text_add(t, "{");
    text_member_int(t, "id", id);
    if (*plan_string(p, c->name)) text_member(t, "name", plan_string(p, c->name));
    text_member(t, "dtype", tn_dtype_name((TnDType)c->dtype));
    text_key(t, "dims");
    text_add(t, "[");
    for (int i = 0; i < c->rank; i++) {
        text_item(t);
        text_json_int(t, c->dims[i]);
    }
    text_add(t, "]");
    text_member(t, "layout", layouts[c->layout]);
    text_member_int(t, "offset", (long long)c->offset);
    text_member_int(t, "bytes", (long long)c->bytes);
    if (c->layout == TN_LAYOUT_STRIDED && plan_constant_elements(c, &elements))
        print_elements_json(t, (TnDType)c->dtype, p->weights + c->offset, elements);
    text_add(t, "}");
}

static void add_constants(const tenon_plan *p, TextBuffer *t) {
    text_key(t, "constants");
    text_add(t, "[");
    for (uint32_t i = 0; i < p->constants_count; i++) {
        text_item(t);
        text_add(t, "\n ");
        add_constant(p, i, t);
    }
    text_add(t, "]");
}

/* --- functions --- */

static void add_requirements(const tenon_plan *p, uint32_t function, TextBuffer *t) {
    text_key(t, "requirements");
    text_add(t, "[");
    for (uint32_t i = 0; i < p->requirements_count; i++) {
        const PlanRequirement *r = &p->requirements[i];
        if (r->function != function) continue;
        text_item(t);
        text_add(t, "{");
        text_member(t, "text", plan_string(p, r->text));
        text_member(t, "origin", plan_string(p, r->origin));
        text_add(t, "}");
    }
    text_add(t, "]");
}

/* `writers`: the instructions whose results it shows, or NULL. */
static void add_view(const tenon_plan *p, const PlanFunction *f, const PlanView *v,
                     const PlanWriter *writers, TextBuffer *t) {
    const PlanBuffer *b = &p->buffers[v->buffer];
    text_add(t, "{");
    if (b->kind == TN_BUFFER_CONSTANT)
        text_member_int(t, "constant", b->index);
    else
        text_member_int(t, "buffer", v->buffer - f->first_buffer);
    text_member(t, "dtype", tn_dtype_name((TnDType)v->dtype));
    add_exprs(p, t, "dims", v->dims, v->rank);
    if (v->layout == TN_LAYOUT_STRIDED) {
        add_exprs(p, t, "strides", v->strides, v->rank);
        text_key(t, "offset");
        add_expr(p, t, v->offset);
    }
    if (writers) {
        text_key(t, "from");
        text_add(t, "[");
        for (const PlanWriter *w = writers; w; w = w->next) {
            text_item(t);
            text_json_int(t, w->instruction);
        }
        text_add(t, "]");
    }
    text_add(t, "}");
}

static void add_ports(const PlanFlow *x, TextBuffer *t, const char *key, uint32_t first,
                      uint32_t count) {
    const tenon_plan *p = x->plan;
    const PlanFunction *f = x->function;
    text_key(t, key);
    text_add(t, "[");
    for (uint32_t i = 0; i < count; i++) {
        const PlanPort *port = plan_port(p, f, first + i);
        const PlanView *v = &p->views[port->view];
        text_item(t);
        text_add(t, "{");
        text_member(t, "name", plan_string(p, port->name));
        text_key(t, "view");
        add_view(p, f, v, plan_flow_writers(x, v), t);
        if (port->fill) text_member(t, "default", port->fill == TN_DEFAULT_ONES ? "ones" : "zeros");
        text_add(t, "}");
    }
    text_add(t, "]");
}

/* Buffers of constants belong to no function and are not listed: views name the constant. */
static void add_buffers(const tenon_plan *p, const PlanFunction *f, TextBuffer *t) {
    static const char *const kinds[] = {[TN_BUFFER_ARENA] = "arena",
                                        [TN_BUFFER_INPUT] = "input",
                                        [TN_BUFFER_OUTPUT] = "output",
                                        [TN_BUFFER_CONSTANT] = "constant",
                                        [TN_BUFFER_STATE] = "state"};
    text_key(t, "buffers");
    text_add(t, "[");
    for (uint32_t i = 0; i < f->buffer_count; i++) {
        const PlanBuffer *b = &p->buffers[f->first_buffer + i];
        text_item(t);
        text_add(t, "{");
        text_member(t, "kind", kinds[b->kind]);
        text_member(t, "dtype", tn_dtype_name((TnDType)b->dtype));
        if (b->kind != TN_BUFFER_ARENA) text_member_int(t, "index", b->index);
        if (b->elements != TN_NO_ID) {
            text_key(t, "elements");
            add_expr(p, t, b->elements);
        }
        text_add(t, "}");
    }
    text_add(t, "]");
}

static void add_states(const tenon_plan *p, uint32_t function, TextBuffer *t) {
    static const char *const access[] = {
        [TN_STATE_READ] = "read", [TN_STATE_APPEND] = "append", [TN_STATE_WRITE] = "write"};
    text_key(t, "states");
    text_add(t, "[");
    for (uint32_t i = 0; i < p->states_count; i++) {
        const PlanState *s = &p->states[i];
        if (s->function != function) continue;
        text_item(t);
        text_add(t, "{");
        text_member_int(t, "index", i);
        text_member(t, "name", plan_string(p, s->name));
        text_member(t, "access", access[s->access]);
        text_member(t, "dtype", tn_dtype_name((TnDType)p->buffers[s->buffer].dtype));
        add_exprs(p, t, "dims", s->dims, s->rank);
        text_member_int(t, "axis", s->axis);
        text_key(t, "next");
        add_expr(p, t, s->next);
        text_member(t, "capacity", plan_string(p, p->symbols[s->capacity].name));
        text_add(t, "}");
    }
    text_add(t, "]");
}

/* The functions that an instruction runs. */
static void add_callees(const tenon_plan *p, const PlanInstruction *in, const void *record,
                        TextBuffer *t) {
    if (in->opcode == TN_OP_if) {
        const ParamsIf *branches = record;
        text_member(t, "then", plan_string(p, p->functions[branches->then_function].name));
        text_member(t, "else", plan_string(p, p->functions[branches->else_function].name));
    } else if (in->opcode == TN_OP_loop) {
        const ParamsLoop *loop = record;
        text_member(t, "body", plan_string(p, p->functions[loop->body].name));
        text_member_int(t, "carried", loop->carried);
    }
}

static void add_operands(const PlanFlow *x, const PlanInstruction *in, TextBuffer *t,
                         const char *key, int first, int end) {
    text_key(t, key);
    text_add(t, "[");
    for (int k = first; k < end; k++) {
        const PlanView *v = plan_operand(x->plan, in, k);
        text_item(t);
        if (v)
            add_view(x->plan, x->function, v, k < in->inputs ? plan_flow_writers(x, v) : NULL, t);
        else
            text_add(t, "null");
    }
    text_add(t, "]");
}

static void add_origins(TextBuffer *t, const char *origin) {
    int count;
    const char **origins = plan_origins(t->arena, origin, &count);
    text_key(t, "origins");
    text_add(t, "[");
    for (int i = 0; i < count; i++) {
        text_item(t);
        text_json(t, origins[i]);
    }
    text_add(t, "]");
}

static void add_instruction(const PlanFlow *x, uint32_t index, const char *group, TextBuffer *t) {
    const tenon_plan *p = x->plan;
    const PlanInstruction *in = &p->instructions[index];
    const char *origin = plan_origin(p, index);
    text_add(t, "{");
    text_member_int(t, "index", index);
    text_member(t, "op", tn_instr(in->opcode)->name);
    add_operands(x, in, t, "operands", 0, in->inputs);
    add_operands(x, in, t, "results", in->inputs, in->inputs + in->outputs);
    if (in->scalar_count) add_exprs(p, t, "scalars", in->scalars, in->scalar_count);
    add_callees(p, in, p->records[index], t);
    add_origins(t, origin);
    text_member(t, "group", group);
    text_add(t, "}");
}

static void add_function(const tenon_plan *p, uint32_t index, TextBuffer *t, const char *memory) {
    const PlanFunction *f = &p->functions[index];
    text_add(t, "{");
    text_member(t, "name", plan_string(p, f->name));
    text_key(t, "internal");
    text_add(t, f->flags & TN_FUNCTION_INTERNAL ? "true" : "false");
    PlanFlow x = plan_flow(t->arena, p, f);
    const char **groups = plan_groups(t->arena, p, f);
    add_ports(&x, t, "inputs", 0, f->input_count);
    add_requirements(p, index, t);
    add_buffers(p, f, t);
    if (p->states_count) add_states(p, index, t);
    text_key(t, "instructions");
    text_add(t, "[");
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        text_item(t);
        text_add(t, "\n ");
        add_instruction(&x, f->first_instruction + i, groups[i], t);
        plan_flow_step(&x, f->first_instruction + i);
    }
    text_add(t, "]");
    add_ports(&x, t, "outputs", f->input_count, f->output_count);
    if (memory) {
        text_key(t, "memory");
        text_add(t, memory);
    }
    text_add(t, "}");
}

void plan_json(const tenon_plan *p, TextBuffer *t, const char *const *memory, const char *profile) {
    text_add(t, "{\"format\":\"tenon-dump\",\"version\":1,\"kind\":\"plan\"");
    text_key(t, "plan_version");
    text_format(t, "\"%u.%u\"", p->header.major, p->header.minor);
    text_member_int(t, "weight_bytes", (long long)p->weights_bytes);
    add_metadata(p, t);
    add_symbols(p, t);
    add_constants(p, t);
    text_key(t, "functions");
    text_add(t, "[");
    for (uint32_t i = 0; i < p->functions_count; i++) {
        text_item(t);
        text_add(t, "\n");
        add_function(p, i, t, memory[i]);
    }
    text_add(t, "]");
    if (profile) {
        text_key(t, "profile");
        text_add(t, profile);
    }
    text_add(t, "}\n");
}
