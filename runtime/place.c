/* Placing: lifetimes of buffers become offsets in one block per stage, then every operand gets its
 * address.
 *
 * Where lengths that a run measures have bounds, room is made for these beforehand; a later stage
 * that fits into what its block holds is left where it is, so that runs plan nothing.
 *
 * A block holds the intermediate buffers that are touched first in its stage, outputs that the
 * caller did not bind, optional inputs left out, and behind them one slice of scratch per lane. It
 * only ever grows; memory_limit bounds all blocks of a session and its children together. */
#include <inttypes.h>
#include <string.h>
#include "runtime/runtime.h"

/* Buffers that live in the stage's block become items: intermediate ones while used, unbound
 * outputs from their first writer to the end, inputs left out for the whole run. */
static uint32_t collect_items(tenon_session *s, uint32_t stage) {
    const PlanFunction *f = s->function;
    const ByStage *list = &s->stage_buffers;
    uint32_t count = 0;
    for (uint32_t k = list->first[stage]; k < list->first[stage + 1]; k++) {
        const PlanBuffer *b = &s->plan->buffers[f->first_buffer + list->ids[k]];
        BufferState *state = &s->buffers[list->ids[k]];
        uint32_t port = b->index + (b->kind == TN_BUFFER_OUTPUT ? f->input_count : 0);
        bool whole = b->kind == TN_BUFFER_INPUT, output = b->kind == TN_BUFFER_OUTPUT;
        state->placed = false;
        if (b->kind == TN_BUFFER_STATE) continue;
        if ((whole || output) && s->bindings[port].bound) continue;
        if (!whole && state->first == TN_NO_ID) continue;
        state->placed = true;
        s->items[count++] =
            (TnMemItem){.size = state->bytes,
                        .first = whole ? 0 : state->first,
                        .last = whole || output ? f->instruction_count : state->last};
    }
    return count;
}

/* In the order in which collect_items made them. */
static void keep_offsets(tenon_session *s, uint32_t stage) {
    const ByStage *list = &s->stage_buffers;
    uint32_t count = 0;
    for (uint32_t k = list->first[stage]; k < list->first[stage + 1]; k++) {
        BufferState *state = &s->buffers[list->ids[k]];
        if (!state->placed) continue;
        state->offset = s->items[count++].offset;
        state->room = state->bytes;
    }
}

/* Whether the stage needs no more of its block than it has. */
static bool has_room(const tenon_session *s, uint32_t stage, uint64_t scratch) {
    const ByStage *list = &s->stage_buffers;
    const Stage *now = &s->stages[stage];
    if (!now->reserved || scratch > now->bytes - now->scratch_offset) return false;
    for (uint32_t k = list->first[stage]; k < list->first[stage + 1]; k++) {
        const BufferState *state = &s->buffers[list->ids[k]];
        if (state->placed && state->bytes > state->room) return false;
    }
    return true;
}

/* Inputs left out hold zeros or ones. */
static void fill_defaults(const tenon_session *s) {
    const PlanFunction *f = s->function;
    for (uint32_t i = 0; i < f->input_count; i++) {
        const PlanPort *port = session_port(s, i);
        const PlanView *v = &s->plan->views[port->view];
        const BufferState *b = &s->buffers[v->buffer - f->first_buffer];
        if (s->bindings[i].bound || b->bytes == 0) continue;
        unsigned char *to = s->stages[0].block.data + b->offset;
        uint64_t one = 1; /* little-endian: the low bytes are the integer of any size */
        const float one_f32 = 1;
        const double one_f64 = 1;
        size_t size = tn_dtype_size((TnDType)v->dtype);
        if (v->dtype == TN_F32) memcpy(&one, &one_f32, sizeof one_f32);
        if (v->dtype == TN_F64) memcpy(&one, &one_f64, sizeof one_f64);
        if (v->dtype == TN_F16) one = 0x3c00;
        if (v->dtype == TN_BF16) one = 0x3f80;
        if (port->fill == TN_DEFAULT_ZEROS) one = 0;
        for (uint64_t at = 0; at < b->bytes; at += size) memcpy(to + at, &one, size);
    }
}

void session_release_blocks(tenon_session *s) {
    for (uint32_t k = 0; k < s->stage_count; k++)
        tn_release(&s->plan->alloc, s->stages[k].block.data);
    for (uint32_t k = 0; s->scans && k < s->function->output_count; k++)
        tn_release(&s->plan->alloc, s->scans[k].data);
}

static void block_free(tenon_session *s, Block *b) {
    tn_release(&s->plan->alloc, b->data);
    s->root->held -= b->capacity;
    *b = (Block){NULL, 0};
}

static void reclaim(tenon_session *s, const Block *but) {
    for (uint32_t k = s->in_use ? s->stage + 1 : 0; k < s->stage_count; k++) {
        if (&s->stages[k].block == but) continue;
        block_free(s, &s->stages[k].block);
        s->stages[k].laid_out = s->stages[k].reserved = false;
        if (k == 0) s->prepared = false;
    }
    for (uint32_t k = 0; !s->in_use && s->scans && k < s->function->output_count; k++)
        block_free(s, &s->scans[k]);
}

void session_reclaim(tenon_session *root, const Block *but) {
    reclaim(root, but);
    for (uint32_t i = 0; root->children && i < 2 * root->plan->functions_count; i++)
        if (root->children[i]) reclaim(root->children[i], but);
}

tenon_status block_grow(tenon_session *s, Block *b, uint64_t bytes, uint64_t keep,
                        tenon_error *err) {
    tenon_session *root = s->root;
    uint64_t limit = root->memory_limit ? root->memory_limit : UINT64_MAX;
    uint64_t states = root->states ? root->states->held : 0;
    bool goes_on = s != root || root->use_count; /* the next iteration or step needs more */
    uint64_t room = goes_on ? b->capacity + b->capacity / 2 : 0;
    unsigned char *old = b->data, *data = NULL;
    if (bytes <= b->capacity) return TENON_OK;
    if (!keep) {
        block_free(s, b);
        old = NULL;
    }
    limit = states < limit ? limit - states : 0;
    if (bytes > limit || root->held > limit - bytes) session_reclaim(root, b);
    if (bytes > limit || root->held > limit - bytes)
        return tn_error(err, TENON_E_LIMIT,
                        "the arena needs %" PRIu64 " bytes, the limit is %" PRIu64,
                        root->held + bytes, limit);
    if (room > bytes && room <= limit && root->held <= limit - room) bytes = room;
    if (bytes <= SIZE_MAX) data = tn_allocate(&s->plan->alloc, (size_t)bytes, TN_MEM_ALIGN);
    if (!data)
        return tn_error(err, TENON_E_MEMORY, "out of memory for an arena of %" PRIu64 " bytes",
                        bytes);
    if (old) memcpy(data, old, (size_t)keep);
    /* what a plan reads without having written it is no one's data */
    memset(data + keep, 0, (size_t)(bytes - keep));
    if (old) block_free(s, b);
    root->held += bytes;
    *b = (Block){data, bytes};
    return TENON_OK;
}

tenon_status place_stage(tenon_session *s, uint32_t stage, tenon_error *err) {
    uint64_t total, live, scratch, lanes = (uint64_t)tn_pool_threads(s->pool);
    Stage *now = &s->stages[stage];
    uint32_t count = collect_items(s, stage);
    bool fits =
        !__builtin_mul_overflow(now->lane_scratch, lanes, &scratch) && scratch <= UINT64_MAX / 4;
    if (fits && has_room(s, stage, scratch)) return TENON_OK;
    now->reserved = false;
    if (!fits || !tn_memplan(s->items, count, s->memplan_scratch, &total, &live))
        return tn_error(err, TENON_E_LIMIT, "the arena would be larger than any memory");
    keep_offsets(s, stage);
    tenon_status status = block_grow(s, &now->block, total + scratch, 0, err);
    if (status) return status;
    now->bytes = total + scratch;
    now->live = live;
    now->scratch_offset = total;
    now->reserved = stage > 0;
    if (stage == 0) fill_defaults(s);
    return TENON_OK;
}

tenon_status place_again(tenon_session *s, tenon_error *err) {
    tenon_status status = block_grow(s, &s->stages[0].block, s->stages[0].bytes, 0, err);
    if (!status) fill_defaults(s);
    s->stages[0].laid_out = !status;
    return status;
}

/* An output's tensor has the dims that the model gives and room for them. */
static tenon_status check_output(const tenon_session *s, uint32_t port, tenon_error *err) {
    const PlanView *v = &s->plan->views[session_port(s, port)->view];
    const char *name = plan_string(s->plan, session_port(s, port)->name);
    const tenon_tensor *t = &s->bindings[port].tensor;
    uint64_t needed = s->buffers[v->buffer - s->function->first_buffer].bytes;
    int64_t dims[TN_MAX_RANK];
    int bad;
    contract_dims(s, v, dims, &bad);
    for (int i = 0; i < v->rank; i++)
        if (t->dims[i] != dims[i] && t->dims[i] != -1)
            return tn_error(err, TENON_E_SHAPE,
                            "output '%.100s' axis %d is %" PRId64 ", the model gives %" PRId64,
                            name, i, t->dims[i], dims[i]);
    if (t->bytes < needed)
        return tn_error(err, TENON_E_ARGUMENT,
                        "output '%.100s' needs %" PRIu64 " bytes, %zu are given", name, needed,
                        t->bytes);
    return TENON_OK;
}

static const BufferState *port_buffer(const tenon_session *s, uint32_t port) {
    return &s->buffers[s->plan->views[session_port(s, port)->view].buffer -
                       s->function->first_buffer];
}

/* The stage's outputs in the caller's memory share no byte with inputs, each other or outputs of
 * earlier stages. */
static tenon_status check_overlap(const tenon_session *s, uint32_t stage, tenon_error *err) {
    const PlanFunction *f = s->function;
    for (uint32_t o = f->input_count; o < f->input_count + f->output_count; o++) {
        const BufferState *a = port_buffer(s, o);
        if (!s->bindings[o].bound || a->bytes == 0 || a->stage != stage) continue;
        for (uint32_t i = 0; i < f->input_count + f->output_count; i++) {
            const BufferState *b = port_buffer(s, i);
            if (b->stage > stage || (b->stage == stage && i >= o)) continue;
            uintptr_t x = (uintptr_t)s->bindings[o].tensor.data,
                      y = (uintptr_t)s->bindings[i].tensor.data;
            if (s->bindings[i].bound && b->bytes && x < y + b->bytes && y < x + a->bytes)
                return tn_error(err, TENON_E_ARGUMENT,
                                "memory of output '%.80s' overlaps %s '%.80s'",
                                plan_string(s->plan, session_port(s, o)->name),
                                i < f->input_count ? "input" : "output",
                                plan_string(s->plan, session_port(s, i)->name));
        }
    }
    return TENON_OK;
}

static void set_bases(tenon_session *s, uint32_t stage) {
    const PlanFunction *f = s->function;
    const ByStage *list = &s->stage_buffers;
    for (uint32_t k = list->first[stage]; k < list->first[stage + 1]; k++) {
        const PlanBuffer *b = &s->plan->buffers[f->first_buffer + list->ids[k]];
        BufferState *state = &s->buffers[list->ids[k]];
        uint32_t port = b->index + (b->kind == TN_BUFFER_OUTPUT ? f->input_count : 0);
        unsigned char *block = s->stages[stage].block.data; /* NULL if all that it holds is empty */
        if (b->kind == TN_BUFFER_STATE)
            state->base = states_of_use(s, b->index)->data;
        else if (state->placed)
            state->base = block ? block + state->offset : NULL;
        else
            state->base = b->kind == TN_BUFFER_ARENA ? NULL : s->bindings[port].tensor.data;
    }
}

/* Operands first..end-1 of a call. */
static void set_addresses(tenon_session *s, TnCall *c, int first, int end) {
    const tenon_plan *p = s->plan;
    const PlanInstruction *instruction =
        &p->instructions[s->function->first_instruction + (uint32_t)c->index];
    for (int k = first; k < end; k++) {
        const PlanView *v = plan_operand(p, instruction, k);
        if (!v) continue;
        const PlanBuffer *b = &p->buffers[v->buffer];
        unsigned char *base =
            b->kind == TN_BUFFER_CONSTANT
                ? (unsigned char *)(uintptr_t)p->weights + p->constants[b->index].offset
                : s->buffers[v->buffer - s->function->first_buffer].base;
        int64_t offset = s->offsets[c->operands + k - s->operands];
        if (base) /* else it is empty, and any address will do that is not NULL */
            c->operands[k].data = base + offset * (int64_t)tn_dtype_size((TnDType)v->dtype);
    }
}

tenon_status place_addresses(tenon_session *s, uint32_t stage, tenon_error *err) {
    const ByStage *list = &s->stage_ports;
    tenon_status status = TENON_OK;
    for (uint32_t k = list->first[stage]; !status && k < list->first[stage + 1]; k++)
        if (list->ids[k] >= s->function->input_count && s->bindings[list->ids[k]].bound)
            status = check_output(s, list->ids[k], err);
    if (!status) status = check_overlap(s, stage, err);
    if (status) return status;
    set_bases(s, stage);
    if (stage) { /* the results of the instruction that ended the last stage */
        TnCall *c = &s->calls[s->stages[stage].first - 1];
        set_addresses(s, c, c->inputs, c->inputs + c->outputs);
    }
    for (uint32_t i = s->stages[stage].first; i < s->stages[stage].end; i++) {
        TnCall *c = &s->calls[i];
        set_addresses(s, c, 0, c->inputs + (ends_stage(s, stage, i) ? 0 : c->outputs));
    }
    return TENON_OK;
}
