/* Stages: what of a function can be told before it runs, and what only after an instruction has
 * measured a length.
 *
 * Stage k is the instructions after the k-th one that defines symbols, up to and including the
 * next. An expression belongs to the first stage in which its symbols are known; a buffer to the
 * one that first touches it, but an output to that which knows its dims, so that callers are told
 * of them as early; a requirement to that of its sides; a port to that of its buffer.
 * All of it follows from the plan, so it is worked out once, when the session is made.
 *
 *     0  ...      count: i64[1]         stage 0
 *     1  measure  count (n)
 *     2  nonzero  y: i64[2, n]          stage 1: buffer y, expressions and requirements over n */
#include <string.h>
#include "runtime/runtime.h"

#define UNUSED UINT32_MAX

static const PlanInstruction *instruction_at(const tenon_session *s, uint32_t i) {
    return &s->plan->instructions[s->function->first_instruction + i];
}

/* Inputs whose dim is a bare symbol define it. */
static void define_by_inputs(tenon_session *s) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < p->symbols_count; i++) s->definitions[i].slot = TN_NO_ID;
    for (uint32_t i = 0; i < s->function->input_count; i++) {
        const PlanView *v = &p->views[session_port(s, i)->view];
        for (uint32_t k = 0; k < v->rank; k++) {
            const PlanExpr *e = &p->exprs[p->ids[v->dims + k]];
            if (e->op == TN_EXPR_SYMBOL) s->definitions[e->a].input = true;
        }
    }
}

/* Whether an instruction whose scalars start at `slot` defines symbols: measured ones that nothing
 * before it does. */
static bool define_by_scalars(tenon_session *s, const PlanInstruction *instruction, uint32_t slot,
                              uint32_t stage) {
    const tenon_plan *p = s->plan;
    bool defines = false;
    if (!is_control(instruction->opcode)) return false;
    for (uint32_t k = 0; k < instruction->scalar_count; k++) {
        const PlanExpr *e = &p->exprs[p->ids[instruction->scalars + k]];
        if (e->op != TN_EXPR_SYMBOL || p->symbols[e->a].kind != TN_SYMBOL_MEASURED) continue;
        Definition *d = &s->definitions[e->a];
        if (d->input || d->slot != TN_NO_ID) continue;
        *d = (Definition){.slot = slot + k, .stage = stage};
        defines = true;
    }
    return defines;
}

static bool find_stages(tenon_session *s) {
    const PlanFunction *f = s->function;
    uint32_t most = 1, slot = 0;
    for (uint32_t i = 0; i < f->instruction_count; i++)
        most += is_control(instruction_at(s, i)->opcode);
    s->stages = ARENA_ARRAY(&s->root->memory, Stage, most);
    if (!s->stages) return false;
    s->stage_count = 1;
    define_by_inputs(s);
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        if (define_by_scalars(s, instruction_at(s, i), slot, s->stage_count)) {
            s->stages[s->stage_count - 1].end = i + 1;
            s->stages[s->stage_count++].first = i + 1;
        }
        slot += instruction_at(s, i)->scalar_count;
    }
    s->stages[s->stage_count - 1].end = f->instruction_count;
    return true;
}

static void touch(tenon_session *s, const PlanInstruction *instruction, int operand, uint32_t i,
                  uint32_t stage) {
    const PlanView *v = plan_operand(s->plan, instruction, operand);
    if (!v || v->buffer - s->function->first_buffer >= s->function->buffer_count) return;
    BufferState *b = &s->buffers[v->buffer - s->function->first_buffer];
    if (b->first == TN_NO_ID) {
        b->first = i;
        b->stage = stage;
    }
    b->last = i;
}

/* First and last instruction that touches each buffer, and the stage of the first. */
static void find_lifetimes(tenon_session *s) {
    for (uint32_t i = 0; i < s->function->buffer_count; i++) s->buffers[i].first = TN_NO_ID;
    for (uint32_t stage = 0; stage < s->stage_count; stage++)
        for (uint32_t i = s->stages[stage].first; i < s->stages[stage].end; i++) {
            const PlanInstruction *instruction = instruction_at(s, i);
            uint32_t later = stage + ends_stage(s, stage, i);
            for (int k = 0; k < instruction->inputs + instruction->outputs; k++)
                touch(s, instruction, k, i, k < instruction->inputs ? stage : later);
        }
    for (uint32_t i = 0; i < s->function->buffer_count; i++) {
        uint32_t kind = s->plan->buffers[s->function->first_buffer + i].kind;
        if (kind == TN_BUFFER_INPUT || kind == TN_BUFFER_STATE) s->buffers[i].stage = 0;
    }
}

/* --- which expressions the function uses, and when they are known --- */

static void mark(uint32_t *stages, uint32_t expr) {
    stages[expr] = 0;
}

static void mark_view(const tenon_plan *p, const PlanView *v, uint32_t *stages) {
    mark(stages, v->offset);
    for (uint32_t i = 0; i < v->rank; i++) {
        mark(stages, p->ids[v->dims + i]);
        mark(stages, p->ids[v->strides + i]);
    }
}

static void mark_function(const tenon_session *s, uint32_t *stages) {
    const tenon_plan *p = s->plan;
    const PlanFunction *f = s->function;
    for (uint32_t i = 0; i < f->input_count + f->output_count; i++)
        mark_view(p, &p->views[session_port(s, i)->view], stages);
    for (uint32_t i = f->first_buffer; i < f->first_buffer + f->buffer_count; i++)
        if (p->buffers[i].kind != TN_BUFFER_CONSTANT) mark(stages, p->buffers[i].elements);
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        const PlanInstruction *instruction = instruction_at(s, i);
        for (int k = 0; k < instruction->inputs + instruction->outputs; k++) {
            const PlanView *v = plan_operand(p, instruction, k);
            if (v) mark_view(p, v, stages);
        }
        for (uint32_t k = 0; k < instruction->scalar_count; k++)
            mark(stages, p->ids[instruction->scalars + k]);
    }
    for (uint32_t i = 0; i < p->requirements_count; i++)
        if (&p->functions[p->requirements[i].function] == f) {
            mark(stages, p->requirements[i].left);
            mark(stages, p->requirements[i].right);
        }
    for (uint32_t i = s->first_use; i < s->first_use + s->use_count; i++) {
        for (uint32_t k = 0; k < p->states[i].rank; k++)
            mark(stages, p->ids[p->states[i].dims + k]);
        mark(stages, p->states[i].next);
    }
    for (uint32_t i = 0; i < p->symbols_count; i++)
        if (s->definitions[i].slot != TN_NO_ID && p->symbols[i].bound != TN_NO_ID)
            mark(stages, p->symbols[i].bound);
}

/* Marks what marked expressions are made of, then gives every marked one its stage. */
static void find_expr_stages(const tenon_session *s, uint32_t *stages) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = p->exprs_count; i-- > 0;) { /* operands have lower ids */
        const PlanExpr *e = &p->exprs[i];
        if (stages[i] == UNUSED || e->op == TN_EXPR_CONST || e->op == TN_EXPR_SYMBOL) continue;
        mark(stages, e->a);
        mark(stages, e->b);
    }
    for (uint32_t i = 0; i < p->exprs_count; i++) {
        const PlanExpr *e = &p->exprs[i];
        if (stages[i] == UNUSED || e->op == TN_EXPR_CONST) continue;
        if (e->op == TN_EXPR_SYMBOL)
            stages[i] = s->definitions[e->a].stage;
        else
            stages[i] = stages[e->a] > stages[e->b] ? stages[e->a] : stages[e->b];
    }
}

/* --- tables by stage --- */

/* Sorts 0..count-1 by stage[i], leaving out UNUSED; stable. */
static bool sort_by_stage(tenon_session *s, ByStage *list, const uint32_t *stage, uint32_t count) {
    uint32_t used = 0;
    list->first = ARENA_ARRAY(&s->root->memory, uint32_t, (size_t)s->stage_count + 2);
    if (!list->first) return false;
    uint32_t *end = list->first + 1; /* end[k]: where the next id of stage k goes */
    for (uint32_t i = 0; i < count; i++)
        if (stage[i] != UNUSED) {
            end[stage[i] + 1]++;
            used++;
        }
    list->ids = ARENA_ARRAY(&s->root->memory, uint32_t, used);
    if (!list->ids) return false;
    for (uint32_t k = 0; k < s->stage_count; k++) end[k + 1] += end[k];
    for (uint32_t i = 0; i < count; i++)
        if (stage[i] != UNUSED) list->ids[end[stage[i]]++] = i;
    return true;
}

static bool sort_buffers(tenon_session *s, const uint32_t *expr_stages, uint32_t *stages) {
    const PlanFunction *f = s->function;
    for (uint32_t i = 0; i < f->buffer_count; i++) {
        const PlanBuffer *b = &s->plan->buffers[f->first_buffer + i];
        BufferState *state = &s->buffers[i];
        if (state->first == TN_NO_ID && b->kind == TN_BUFFER_ARENA)
            state->stage = expr_stages[b->elements]; /* no one asks for it earlier */
        stages[i] = b->kind == TN_BUFFER_CONSTANT ? UNUSED : state->stage;
    }
    return sort_by_stage(s, &s->stage_buffers, stages, f->buffer_count);
}

/* The stage that knows the elements of an output's buffer and the dims and strides of its view. */
static void place_outputs_early(tenon_session *s, const uint32_t *expr_stages) {
    const tenon_plan *p = s->plan;
    const PlanFunction *f = s->function;
    for (uint32_t i = f->input_count; i < f->input_count + f->output_count; i++) {
        const PlanView *v = &p->views[session_port(s, i)->view];
        BufferState *b = &s->buffers[v->buffer - f->first_buffer];
        uint32_t stage = expr_stages[p->buffers[v->buffer].elements];
        if (p->buffers[v->buffer].kind != TN_BUFFER_OUTPUT) continue;
        if (expr_stages[v->offset] > stage) stage = expr_stages[v->offset];
        for (uint32_t k = 0; k < v->rank; k++) {
            uint32_t dim = expr_stages[p->ids[v->dims + k]],
                     stride = expr_stages[p->ids[v->strides + k]];
            if (dim > stage) stage = dim;
            if (stride > stage) stage = stride;
        }
        if (stage < b->stage) b->stage = stage;
    }
}

static bool sort_ports(tenon_session *s, uint32_t *stages) {
    const PlanFunction *f = s->function;
    uint32_t count = f->input_count + f->output_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t buffer = s->plan->views[session_port(s, i)->view].buffer - f->first_buffer;
        stages[i] = s->buffers[buffer].stage;
    }
    return sort_by_stage(s, &s->stage_ports, stages, count);
}

static bool sort_requirements(tenon_session *s, const uint32_t *expr_stages, uint32_t *stages) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < p->requirements_count; i++) {
        const PlanRequirement *r = &p->requirements[i];
        bool ours = &p->functions[r->function] == s->function;
        uint32_t left = expr_stages[r->left], right = expr_stages[r->right];
        stages[i] = !ours ? UNUSED : left > right ? left : right;
    }
    return sort_by_stage(s, &s->stage_requirements, stages, p->requirements_count);
}

bool stage_build(tenon_session *s) {
    const tenon_plan *p = s->plan;
    const PlanFunction *f = s->function;
    uint32_t most = f->buffer_count, ports = f->input_count + f->output_count;
    if (!find_stages(s)) return false;
    find_lifetimes(s);
    if (ports > most) most = ports;
    if (p->requirements_count > most) most = p->requirements_count;
    size_t bytes = ((size_t)p->exprs_count + most + 1) * sizeof(uint32_t);
    uint32_t *exprs = tn_allocate(&p->alloc, bytes, _Alignof(uint32_t)), *others;
    if (!exprs) return false;
    others = exprs + p->exprs_count;
    memset(exprs, 0xff, p->exprs_count * sizeof *exprs); /* UNUSED */
    mark_function(s, exprs);
    find_expr_stages(s, exprs);
    place_outputs_early(s, exprs);
    bool ok = sort_by_stage(s, &s->needed, exprs, p->exprs_count) &&
              sort_buffers(s, exprs, others) && sort_ports(s, others) &&
              sort_requirements(s, exprs, others);
    tn_release(&p->alloc, exprs);
    return ok;
}
