/* Placing: lifetimes of buffers become offsets in one arena, then every operand gets its address.
 *
 * The arena holds intermediate buffers, outputs that the caller did not bind, optional inputs left
 * out, and behind them one slice of scratch per lane. It only ever grows. */
#include <inttypes.h>
#include <string.h>
#include "runtime/runtime.h"

/* Buffers that live in the arena become items: intermediate ones while used, unbound outputs from
 * their first writer to the end, inputs left out for the whole run. */
static uint32_t collect_items(tenon_session *s) {
    const PlanFunction *f = s->function;
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->buffer_count; i++) {
        const PlanBuffer *b = &s->plan->buffers[f->first_buffer + i];
        BufferState *state = &s->buffers[i];
        uint32_t port = b->index + (b->kind == TN_BUFFER_OUTPUT ? f->input_count : 0);
        bool whole = b->kind == TN_BUFFER_INPUT, output = b->kind == TN_BUFFER_OUTPUT;
        if (b->kind == TN_BUFFER_CONSTANT) continue;
        if ((whole || output) && s->bindings[port].bound) continue;
        if (!whole && state->first == TN_NO_ID) continue;
        state->item = count;
        s->items[count++] =
            (TnMemItem){.size = state->bytes,
                        .first = whole ? 0 : state->first,
                        .last = whole || output ? f->instruction_count : state->last};
    }
    return count;
}

/* Inputs left out hold zeros or ones. */
static void fill_defaults(const tenon_session *s) {
    const PlanFunction *f = s->function;
    for (uint32_t i = 0; i < f->input_count; i++) {
        const PlanPort *port = session_port(s, i);
        const PlanView *v = &s->plan->views[port->view];
        const BufferState *b = &s->buffers[v->buffer - f->first_buffer];
        if (s->bindings[i].bound || b->bytes == 0) continue;
        unsigned char *to = s->arena + s->items[b->item].offset;
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

tenon_status place_arena(tenon_session *s, tenon_error *err) {
    uint64_t total, live, scratch, lanes = (uint64_t)tn_pool_threads(s->pool);
    uint32_t count = collect_items(s);
    if (!tn_memplan(s->items, count, s->memplan_scratch, &total, &live) ||
        __builtin_mul_overflow(s->lane_scratch, lanes, &scratch) || scratch > UINT64_MAX / 4)
        return tn_error(err, TENON_E_LIMIT, "the arena would be larger than any memory");
    uint64_t bytes = total + scratch;
    if (s->memory_limit && bytes > s->memory_limit)
        return tn_error(err, TENON_E_LIMIT,
                        "the arena needs %" PRIu64 " bytes, the limit is %" PRIu64, bytes,
                        s->memory_limit);
    if (bytes > s->arena_capacity) {
        tn_release(&s->plan->alloc, s->arena);
        s->arena_capacity = 0;
        s->arena =
            bytes <= SIZE_MAX ? tn_allocate(&s->plan->alloc, (size_t)bytes, TN_MEM_ALIGN) : NULL;
        if (!s->arena)
            return tn_error(err, TENON_E_MEMORY, "out of memory for an arena of %" PRIu64 " bytes",
                            bytes);
        s->arena_capacity = bytes;
        memset(s->arena, 0,
               (size_t)bytes); /* what a plan reads without having written it is no one's data */
    }
    s->arena_bytes = bytes;
    s->live_bytes = live;
    s->scratch_offset = total;
    fill_defaults(s);
    return TENON_OK;
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

/* Outputs in the caller's memory share no byte with each other or with inputs. */
static tenon_status check_overlap(const tenon_session *s, tenon_error *err) {
    const PlanFunction *f = s->function;
    for (uint32_t o = f->input_count; o < f->input_count + f->output_count; o++) {
        const BufferState *a =
            &s->buffers[s->plan->views[session_port(s, o)->view].buffer - f->first_buffer];
        if (!s->bindings[o].bound || a->bytes == 0) continue;
        for (uint32_t i = 0; i < o; i++) {
            const BufferState *b =
                &s->buffers[s->plan->views[session_port(s, i)->view].buffer - f->first_buffer];
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

static void set_bases(tenon_session *s) {
    const PlanFunction *f = s->function;
    for (uint32_t i = 0; i < f->buffer_count; i++) {
        const PlanBuffer *b = &s->plan->buffers[f->first_buffer + i];
        BufferState *state = &s->buffers[i];
        uint32_t port = b->index + (b->kind == TN_BUFFER_OUTPUT ? f->input_count : 0);
        if (b->kind == TN_BUFFER_CONSTANT) continue;
        if (state->item != TN_NO_ID)
            state->base = s->arena + s->items[state->item].offset;
        else
            state->base = b->kind == TN_BUFFER_ARENA ? NULL : s->bindings[port].tensor.data;
    }
}

tenon_status place_addresses(tenon_session *s, tenon_error *err) {
    const tenon_plan *p = s->plan;
    const PlanFunction *f = s->function;
    tenon_status status = TENON_OK;
    for (uint32_t i = f->input_count; !status && i < f->input_count + f->output_count; i++)
        if (s->bindings[i].bound) status = check_output(s, i, err);
    if (!status) status = check_overlap(s, err);
    if (status) return status;
    set_bases(s);
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        const PlanInstruction *instruction = &p->instructions[f->first_instruction + i];
        TnCall *c = &s->calls[i];
        for (int k = 0; k < c->inputs + c->outputs; k++) {
            const PlanView *v = plan_operand(p, instruction, k);
            if (!v) continue;
            const PlanBuffer *b = &p->buffers[v->buffer];
            unsigned char *base =
                b->kind == TN_BUFFER_CONSTANT
                    ? (unsigned char *)(uintptr_t)p->weights + p->constants[b->index].offset
                    : s->buffers[v->buffer - f->first_buffer].base;
            int64_t offset = s->offsets[c->operands + k - s->operands];
            if (base) /* else it is empty, and any address will do that is not NULL */
                c->operands[k].data = base + offset * (int64_t)tn_dtype_size((TnDType)v->dtype);
        }
    }
    return TENON_OK;
}
