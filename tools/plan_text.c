/* A plan as text: its contract, then one line per instruction.
 *
 *     function main(input_ids: i64[batch, sequence]) -> (logits: f32[batch, 2])
 *       require sequence <= 512        // /embeddings/Slice
 *          0  gather     %4: f32[batch, sequence, 32] = embeddings.weight, input_ids
 *
 * Buffers are %0, %1, ...; views that do not start at their
 * buffer's beginning show their offset behind '@'. */
#include "tools/plan_text.h"

#include <inttypes.h>
#include <string.h>
#include "runtime/pack.h"
#include "runtime/params.h"

static void add_expr(const tenon_plan *p, TextBuffer *t, uint32_t id) {
    char text[TN_TEXT_MAX];
    text_add(t, plan_expr_text(p, id, text));
}

static void add_type(const tenon_plan *p, TextBuffer *t, const PlanView *v) {
    text_format(t, "%s[", tn_dtype_name((TnDType)v->dtype));
    for (int i = 0; i < v->rank; i++) {
        if (i) text_add(t, ", ");
        add_expr(p, t, p->ids[v->dims + (uint32_t)i]);
    }
    text_add(t, "]");
}

static void add_operand(const tenon_plan *p, const PlanFunction *f, TextBuffer *t,
                        const PlanView *v) {
    const PlanBuffer *b = &p->buffers[v->buffer];
    char offset[TN_TEXT_MAX];
    if (b->kind == TN_BUFFER_INPUT)
        text_add(t, plan_string(p, plan_port(p, f, b->index)->name));
    else if (b->kind == TN_BUFFER_OUTPUT)
        text_add(t, plan_string(p, plan_port(p, f, f->input_count + b->index)->name));
    else if (b->kind == TN_BUFFER_STATE)
        text_add(t, plan_string(p, p->states[b->index].name));
    else if (b->kind == TN_BUFFER_CONSTANT && *plan_string(p, p->constants[b->index].name))
        text_add(t, plan_string(p, p->constants[b->index].name));
    else if (b->kind == TN_BUFFER_CONSTANT)
        text_format(t, "#%u", b->index);
    else
        text_format(t, "%%%u", v->buffer - f->first_buffer);
    if (tn_is_records((TnLayout)v->layout))
        text_format(t, ":int%d%s", tn_record_bits((TnLayout)v->layout),
                    tn_record_scales((TnLayout)v->layout) > 1 ? "f" : "");
    if (strcmp(plan_expr_text(p, v->offset, offset), "0")) text_format(t, "@%s", offset);
}

static void add_ports(const tenon_plan *p, const PlanFunction *f, TextBuffer *t, uint32_t first,
                      uint32_t count) {
    text_add(t, "(");
    for (uint32_t i = 0; i < count; i++) {
        const PlanPort *port = plan_port(p, f, first + i);
        text_format(t, "%s%s: ", i ? ", " : "", plan_string(p, port->name));
        add_type(p, t, &p->views[port->view]);
        if (port->fill) text_add(t, port->fill == TN_DEFAULT_ONES ? " = ones" : " = zeros");
    }
    text_add(t, ")");
}

/* "  state append past.0.key: f32[batch, 4, past, 8] axis 2 to past + sequence" */
static void add_states(const tenon_plan *p, uint32_t function, TextBuffer *t) {
    static const char *const access[] = {
        [TN_STATE_READ] = "read", [TN_STATE_APPEND] = "append", [TN_STATE_WRITE] = "write"};
    for (uint32_t i = 0; i < p->states_count; i++) {
        const PlanState *s = &p->states[i];
        if (s->function != function) continue;
        const PlanView v = {.dims = s->dims, .dtype = p->buffers[s->buffer].dtype, .rank = s->rank};
        text_format(t, "  state %s %s: ", access[s->access], plan_string(p, s->name));
        add_type(p, t, &v);
        text_format(t, " axis %d", s->axis);
        if (s->access == TN_STATE_APPEND) {
            text_add(t, " to ");
            add_expr(p, t, s->next);
        }
        text_add(t, "\n");
    }
}

/* Whether a requirement of the function, which names a node, says the same. */
static bool is_required(const tenon_plan *p, uint32_t function, const char *text) {
    for (uint32_t i = 0; i < p->requirements_count; i++) {
        const PlanRequirement *r = &p->requirements[i];
        if (r->function == function && !strcmp(plan_string(p, r->text), text)) return true;
    }
    return false;
}

/* Whether an axis of an input is the symbol, or what an instruction finds in the data. */
static bool is_length(const tenon_plan *p, const PlanFunction *f, uint32_t symbol) {
    for (uint32_t i = 0; i < f->input_count; i++) {
        const PlanView *v = &p->views[plan_port(p, f, i)->view];
        for (uint32_t k = 0; k < v->rank; k++) {
            const PlanExpr *e = &p->exprs[p->ids[v->dims + k]];
            if (e->op == TN_EXPR_SYMBOL && e->a == symbol) return true;
        }
    }
    for (uint32_t i = 0; i < p->states_count; i++)
        for (uint32_t k = 0; &p->functions[p->states[i].function] == f && k < p->states[i].rank;
             k++) {
            const PlanExpr *e = &p->exprs[p->ids[p->states[i].dims + k]];
            if (e->op == TN_EXPR_SYMBOL && e->a == symbol) return true;
        }
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        const PlanInstruction *in = &p->instructions[f->first_instruction + i];
        for (uint32_t k = 0; is_control(in->opcode) && k < in->scalar_count; k++) {
            const PlanExpr *e = &p->exprs[p->ids[in->scalars + k]];
            if (e->op == TN_EXPR_SYMBOL && e->a == symbol) return true;
        }
    }
    return false;
}

static void add_range(const tenon_plan *p, uint32_t function, const PlanSymbol *s, TextBuffer *t) {
    const char *name = plan_string(p, s->name);
    const char *low = arena_printf(t->arena, "%" PRId64 " <= %s", s->min, name);
    const char *high = arena_printf(t->arena, "%s <= %" PRId64, name, s->max);
    if (s->min > 0 && !is_required(p, function, low)) text_format(t, "  require %s\n", low);
    if (s->max < INT64_MAX && !is_required(p, function, high))
        text_format(t, "  require %s\n", high);
}

static void add_requirements(const tenon_plan *p, uint32_t function, TextBuffer *t) {
    for (uint32_t i = 0; i < p->symbols_count; i++)
        if (is_length(p, &p->functions[function], i)) add_range(p, function, &p->symbols[i], t);
    for (uint32_t i = 0; i < p->requirements_count; i++) {
        const PlanRequirement *r = &p->requirements[i];
        if (r->function == function)
            text_format(t, "  require %s        // %s\n", plan_string(p, r->text),
                        plan_string(p, r->origin));
    }
}

/* The functions that an instruction runs. */
static void add_callees(const tenon_plan *p, const PlanInstruction *in, const void *record,
                        TextBuffer *t) {
    const ParamsIf *branches = record;
    const ParamsLoop *loop = record;
    if (in->opcode == TN_OP_if)
        text_format(t, " then %s else %s",
                    plan_string(p, p->functions[branches->then_function].name),
                    plan_string(p, p->functions[branches->else_function].name));
    if (in->opcode == TN_OP_loop)
        text_format(t, " body %s, carried %u", plan_string(p, p->functions[loop->body].name),
                    loop->carried);
}

static void add_instruction(const tenon_plan *p, const PlanFunction *f, uint32_t i, TextBuffer *t) {
    const PlanInstruction *in = &p->instructions[f->first_instruction + i];
    text_format(t, "  %4u  %-10s ", f->first_instruction + i, tn_instr(in->opcode)->name);
    const char *comma = "";
    for (int k = in->inputs; k < in->inputs + in->outputs; k++) {
        const PlanView *v = plan_operand(p, in, k);
        text_add(t, comma);
        comma = ", ";
        if (!v) {
            text_add(t, "_");
            continue;
        }
        add_operand(p, f, t, v);
        text_add(t, ": ");
        add_type(p, t, v);
    }
    text_add(t, " =");
    for (int k = 0; k < in->inputs; k++) {
        const PlanView *v = plan_operand(p, in, k);
        text_add(t, k ? ", " : " ");
        if (v)
            add_operand(p, f, t, v);
        else
            text_add(t, "_");
    }
    for (uint32_t k = 0; k < in->scalar_count; k++) {
        text_add(t, k ? ", " : " (");
        add_expr(p, t, p->ids[in->scalars + k]);
    }
    const char *origin = plan_origin(p, f->first_instruction + i);
    if (in->scalar_count) text_add(t, ")");
    add_callees(p, in, p->records[f->first_instruction + i], t);
    text_format(t, "%s%s\n", *origin ? "        // " : "", origin);
}

void plan_text(const tenon_plan *p, TextBuffer *t) {
    text_format(t, "plan version %u.%u, %u constants, %" PRIu64 " bytes of weights\n",
                p->header.major, p->header.minor, p->constants_count, p->weights_bytes);
    for (uint32_t i = 0; i < p->metadata_count; i++)
        text_format(t, "  %s: %s\n", plan_string(p, p->metadata[i].key),
                    plan_string(p, p->metadata[i].value));
    for (uint32_t i = 0; i < p->functions_count; i++) {
        const PlanFunction *f = &p->functions[i];
        text_format(t, "%s %s", f->flags & TN_FUNCTION_INTERNAL ? "body" : "function",
                    plan_string(p, f->name));
        add_ports(p, f, t, 0, f->input_count);
        text_add(t, " -> ");
        add_ports(p, f, t, f->input_count, f->output_count);
        text_add(t, "\n");
        add_states(p, i, t);
        add_requirements(p, i, t);
        for (uint32_t k = 0; k < f->instruction_count; k++) add_instruction(p, f, k, t);
    }
}
