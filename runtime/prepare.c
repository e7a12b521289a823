/* Prepare: from bindings to calls that cannot fail.
 *
 *   1. contract.c turns dims into the values of all expressions.
 *   2. Buffers get sizes, operands real dims. Every operand lies inside its buffer; a result
 *      overlaps neither itself nor another operand, except in place where the instruction's row
 *      says so. Extents fit; kernels choose tiles.
 *   3. place.c turns lifetimes into one block and gives every operand its address.
 *
 * Before a run this is done for stage 0, which is everything unless lengths are measured, and for
 * what follows with such lengths at their bounds if they have any; during it for each later stage,
 * as soon as its symbols are known. For the same shapes again, and for the last few others
 * (shapes.c), only the addresses are done. The only allocations are a stage's block, when it has to
 * grow, and those of shapes.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/pack.h"
#include "runtime/runtime.h"

/* A region costs about this much when its threads have to be woken. */
#define MIN_PARALLEL_NS 5000

void call_error_prefix(const tenon_session *s, int32_t call, tenon_error *err) {
    const char *node = plan_origin(s->plan, s->function->first_instruction + (uint32_t)call);
    const char *name = tn_instr(s->calls[call].opcode)->name;
    char prefix[200];
    if (node[0])
        snprintf(prefix, sizeof prefix, "node '%.120s' (%s)", node, name);
    else
        snprintf(prefix, sizeof prefix, "instruction %" PRId32 " (%s)", call, name);
    tn_error_prefix(err, prefix);
    tn_error_at(err, call, node);
}

tenon_status call_error(const tenon_session *s, int32_t call, tenon_error *err, tenon_status code,
                        const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    tn_verror(err, code, fmt, ap);
    va_end(ap);
    call_error_prefix(s, call, err);
    return code;
}

/* --- buffers --- */

static tenon_status size_buffers(tenon_session *s, uint32_t stage, tenon_error *err) {
    const tenon_plan *p = s->plan;
    const ByStage *list = &s->stage_buffers;
    for (uint32_t k = list->first[stage]; k < list->first[stage + 1]; k++) {
        uint32_t i = list->ids[k];
        const PlanBuffer *b = &p->buffers[s->function->first_buffer + i];
        BufferState *state = &s->buffers[i];
        int64_t elements = s->values[b->elements];
        if (elements < 0 || elements > TN_MAX_ELEMENTS)
            return tn_error(err, TENON_E_SHAPE, "buffer %" PRIu32 " would have %s elements", i,
                            elements == TN_UNKNOWN ? "an unknown number of"
                            : elements < 0         ? "less than 0"
                                                   : "too many");
        if (b->kind == TN_BUFFER_STATE) {
            tenon_status status = states_check_buffer(s, b, elements, err);
            if (status) return status;
        }
        state->elements = elements;
        state->bytes = (uint64_t)elements * tn_dtype_size((TnDType)b->dtype);
    }
    return TENON_OK;
}

/* A port's view covers its buffer exactly, in row-major order: that is what callers see. */
static tenon_status check_ports(const tenon_session *s, uint32_t stage, tenon_error *err) {
    const tenon_plan *p = s->plan;
    const ByStage *list = &s->stage_ports;
    for (uint32_t k = list->first[stage]; k < list->first[stage + 1]; k++) {
        const PlanPort *port = session_port(s, list->ids[k]);
        const PlanView *v = &p->views[port->view];
        int64_t dims[TN_MAX_RANK], elements = 1;
        int bad;
        char text[TN_TEXT_MAX];
        const char *name = plan_string(p, port->name);
        if (!contract_dims(s, v, dims, &bad))
            return tn_error(err, TENON_E_SHAPE,
                            "axis %d of '%.80s', %s, would be %" PRId64 " or the tensor too large",
                            bad, name, plan_expr_text(p, p->ids[v->dims + (uint32_t)bad], text),
                            dims[bad]);
        bool dense = s->values[v->offset] == 0;
        for (int axis = v->rank - 1; axis >= 0; axis--) {
            int64_t stride = s->values[p->ids[v->strides + (uint32_t)axis]];
            if (dims[axis] > 1) dense = dense && stride == elements;
            elements *= dims[axis];
            if (elements == 0) break; /* an empty tensor is dense under any strides */
        }
        if (elements != s->buffers[v->buffer - s->function->first_buffer].elements ||
            (!dense && elements))
            return tn_error(err, TENON_E_INVALID, "port '%.80s' does not cover its buffer", name);
    }
    return TENON_OK;
}

/* --- operands --- */

/* Of packed columns only whole panels have a place of their own: a part begins with one. */
static bool is_part_of_panels(const PlanConstant *whole, const TnTensor *part, int64_t offset) {
    int64_t panel = tn_packed_rows((TnLayout)whole->layout, whole->dims[0]) * TN_PANEL;
    if (part->dims[0] != whole->dims[0] || offset < 0) return false;
    if (offset > 0 && (panel == 0 || offset % panel)) return false;
    int64_t first = offset > 0 ? offset / panel * TN_PANEL : 0;
    return first <= whole->dims[1] && part->dims[1] <= whole->dims[1] - first;
}

/* Fills dims and strides of an operand and its offset; checks that it lies inside its storage. */
static tenon_status load_operand(tenon_session *s, const PlanView *v, int32_t call, int operand,
                                 TnTensor *t, int64_t *offset, tenon_error *err) {
    const tenon_plan *p = s->plan;
    const PlanBuffer *b = &p->buffers[v->buffer];
    const PlanConstant *constant = b->kind == TN_BUFFER_CONSTANT ? &p->constants[b->index] : NULL;
    int64_t available, last;
    int bad;
    bool empty = false;
    *t = (TnTensor){.data = s->operands, .rank = v->rank, .dtype = v->dtype, .layout = v->layout};
    if (!contract_dims(s, v, t->dims, &bad))
        return call_error(s, call, err, TENON_E_SHAPE,
                          "axis %d of operand %d would be %" PRId64 " or the tensor too large", bad,
                          operand, t->dims[bad]);
    for (int i = 0; i < v->rank; i++) empty = empty || t->dims[i] == 0;
    *offset = last = s->values[v->offset];
    if (constant)
        plan_constant_elements(constant, &available);
    else
        available = s->buffers[v->buffer - s->function->first_buffer].elements;
    if (v->layout != TN_LAYOUT_STRIDED) {
        return is_part_of_panels(constant, t, last)
                   ? TENON_OK
                   : call_error(s, call, err, TENON_E_INVALID,
                                "operand %d is no run of whole panels of its constant", operand);
    }
    if (empty) {
        *offset = 0;
        return TENON_OK; /* strides stay 0 */
    }
    bool inside = last >= 0 && last < available;
    for (int i = 0; inside && i < v->rank; i++) {
        int64_t stride = s->values[p->ids[v->strides + (uint32_t)i]], reach;
        inside = stride >= 0 && stride <= TN_MAX_ELEMENTS &&
                 tn_mul_i64(t->dims[i] - 1, stride, &reach) && tn_add_i64(last, reach, &last) &&
                 last < available;
        t->strides[i] = stride;
    }
    return inside ? TENON_OK
                  : call_error(s, call, err, TENON_E_INVALID,
                               "operand %d reaches outside its buffer of %" PRId64 " elements",
                               operand, available);
}

bool session_is_parallel(const tenon_session *s, const TnCall *call) {
    return call->tasks > 1 && call->work >= MIN_PARALLEL_NS && tn_pool_threads(s->pool) > 1;
}

/* Operands first..end-1. */
static tenon_status load_operands(tenon_session *s, TnCall *c, int first, int end,
                                  tenon_error *err) {
    const PlanInstruction *instruction =
        &s->plan->instructions[s->function->first_instruction + (uint32_t)c->index];
    int64_t *offsets = s->offsets + (c->operands - s->operands);
    for (int i = first; i < end; i++) {
        const PlanView *v = plan_operand(s->plan, instruction, i);
        c->operands[i] = (TnTensor){.dtype = TN_NONE};
        tenon_status status =
            v ? load_operand(s, v, c->index, i, &c->operands[i], &offsets[i], err) : TENON_OK;
        if (status) return status;
    }
    return TENON_OK;
}

static tenon_status load_scalars(tenon_session *s, TnCall *c, const PlanInstruction *instruction,
                                 tenon_error *err) {
    int64_t *scalars = s->scalars + (c->scalars - s->scalars);
    for (int i = 0; i < c->scalar_count; i++) {
        scalars[i] = s->values[s->plan->ids[instruction->scalars + (uint32_t)i]];
        if (scalars[i] == TN_UNKNOWN)
            return call_error(s, c->index, err, TENON_E_SHAPE, "scalar %d cannot be computed", i);
    }
    return TENON_OK;
}

/* What operands that are loaded have to do with each other. */
static tenon_status check_call(tenon_session *s, TnCall *c, const PlanInstruction *instruction,
                               tenon_error *err) {
    tenon_status status = overlap_check(s, c, instruction, err);
    char why[sizeof err->text];
    if (status) return status;
    if (!tn_instr(c->opcode)->extents(c, why, sizeof why))
        return call_error(s, c->index, err, TENON_E_SHAPE, "%s", why);
    return TENON_OK;
}

/* An instruction that ends its stage has results of unknown lengths: they are loaded when the next
 * stage begins (`results`), its inputs with its stage. */
static tenon_status prepare_control(tenon_session *s, TnCall *c, bool inputs, bool results,
                                    tenon_error *err) {
    const PlanInstruction *instruction =
        &s->plan->instructions[s->function->first_instruction + (uint32_t)c->index];
    tenon_status status = TENON_OK;
    c->tasks = c->work = 0;
    c->scratch_bytes = 0;
    if (inputs) status = load_operands(s, c, 0, c->inputs, err);
    for (int i = c->inputs; inputs && i < c->inputs + c->outputs; i++)
        c->operands[i] = (TnTensor){.dtype = TN_NONE};
    if (!status && results) status = load_operands(s, c, c->inputs, c->inputs + c->outputs, err);
    return status ? status : check_call(s, c, instruction, err);
}

static tenon_status prepare_call(tenon_session *s, TnCall *c, tenon_error *err) {
    const PlanInstruction *instruction =
        &s->plan->instructions[s->function->first_instruction + (uint32_t)c->index];
    tenon_status status = load_operands(s, c, 0, c->inputs + c->outputs, err);
    if (!status) status = load_scalars(s, c, instruction, err);
    if (!status) status = check_call(s, c, instruction, err);
    if (status) return status;
    c->tasks = c->work = 0;
    c->scratch_bytes = 0;
    c->keeps = false;
    tn_kernel(s->plan->isa, c->opcode)->plan(c);
    return TENON_OK;
}

static tenon_status prepare_calls(tenon_session *s, uint32_t stage, tenon_error *err) {
    uint64_t scratch = 0;
    Stage *now = &s->stages[stage];
    tenon_status status = TENON_OK;
    now->last_parallel = -1;
    if (stage) status = prepare_control(s, &s->calls[now->first - 1], false, true, err);
    for (uint32_t i = now->first; !status && i < now->end; i++) {
        TnCall *c = &s->calls[i];
        status = c->run ? prepare_call(s, c, err)
                        : prepare_control(s, c, true, !ends_stage(s, stage, i), err);
        if (c->scratch_bytes > scratch) scratch = c->scratch_bytes;
        if (session_is_parallel(s, c)) now->last_parallel = (int32_t)i;
    }
    now->lane_scratch = (scratch + TN_MEM_ALIGN - 1) / TN_MEM_ALIGN * TN_MEM_ALIGN;
    return status;
}

static bool same_inherited(const tenon_session *s) {
    for (uint32_t i = 0; s->caller && i < s->plan->symbols_count; i++)
        if (!s->definitions[i].input && s->definitions[i].slot == TN_NO_ID &&
            s->symbols[i].value != contract_inherited(s, i))
            return false;
    return true;
}

/* Whether stage 0 was laid out for these inputs and for the same set of outputs in the caller's
 * memory. */
static bool same_shapes(const tenon_session *s) {
    if (s->use_count && s->state_generation != s->states->generation) return false;
    return shapes_equal(s, s->shapes) && same_inherited(s);
}

static tenon_status lay_out(tenon_session *s, uint32_t stage, tenon_error *err) {
    for (uint32_t k = stage; k < s->stage_count; k++) {
        s->stages[k].laid_out = false;
        if (k > stage) s->stages[k].reserved = false;
    }
    tenon_status status = stage ? contract_stage(s, stage, err) : contract_solve(s, err);
    if (!status) status = size_buffers(s, stage, err);
    if (!status) status = check_ports(s, stage, err);
    if (!status) status = prepare_calls(s, stage, err);
    if (!status) status = place_stage(s, stage, err);
    s->stages[stage].laid_out = !status;
    return status;
}

/* Measured symbols that `stage` waits for get the bounds that they have; false if one has none. */
static bool assume_bounds(tenon_session *s, uint32_t stage) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < p->symbols_count; i++) {
        const Definition *d = &s->definitions[i];
        if (d->slot == TN_NO_ID || d->stage != stage) continue;
        if (p->symbols[i].bound == TN_NO_ID) return false;
        int64_t bound = s->values[p->symbols[i].bound];
        if (bound < p->symbols[i].min) return false; /* or it cannot be computed */
        s->symbols[i].value = bound < p->symbols[i].max ? bound : p->symbols[i].max;
    }
    return true;
}

/* Lays out the later stages as they are at the most. A failure is none: it may turn out to be less,
 * and then they are laid out again. */
static void reserve(tenon_session *s) {
    for (uint32_t k = 1; k < s->stage_count && assume_bounds(s, k); k++)
        if (lay_out(s, k, NULL)) return;
}

static tenon_status lay_out_anew(tenon_session *s, tenon_error *err) {
    shapes_keep(s);
    tenon_status status = lay_out(s, 0, err);
    if (status) return status;
    if (s->use_count) s->state_generation = s->states->generation;
    memcpy(s->shapes, s->bindings,
           (s->function->input_count + (size_t)s->function->output_count) * sizeof *s->shapes);
    reserve(s);
    return TENON_OK;
}

tenon_status session_prepare(tenon_session *s, tenon_error *err) {
    tenon_status status = TENON_OK;
    if (s->prepared && (!s->use_count || s->state_generation == s->states->generation))
        return TENON_OK;
    s->prepared = false;
    s->stage = 0;
    if (!s->stages[0].laid_out || !same_shapes(s))
        status = shapes_recall(s) ? place_again(s, err) : lay_out_anew(s, err);
    if (!status) status = place_addresses(s, 0, err);
    s->prepared = !status;
    return status;
}

tenon_status session_enter_stage(tenon_session *s, uint32_t stage, tenon_error *err) {
    tenon_status status = s->stages[stage].laid_out ? TENON_OK : lay_out(s, stage, err);
    if (!status) status = place_addresses(s, stage, err);
    if (!status) s->stage = stage;
    return status;
}
