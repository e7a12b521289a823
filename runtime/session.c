/* Sessions: creation, bindings, views of inputs and outputs. All tables of a session have sizes
 * that follow from its function, so they are allocated once, here; prepare and run only fill them,
 * and allocate nothing but the blocks of stages and what shapes.c keeps. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/runtime.h"

/* The second thread gets TENON_E_BUSY instead of a race. */
tenon_status session_enter(tenon_session *s, bool states, tenon_error *err) {
    if (!s) return tn_error(err, TENON_E_ARGUMENT, "session must not be NULL");
    if (atomic_exchange_explicit(&s->busy, true, memory_order_acquire))
        return tn_error(err, TENON_E_BUSY, "the session is in use by another thread");
    if (!states || !s->states ||
        !atomic_exchange_explicit(&s->states->busy, true, memory_order_acquire))
        return TENON_OK;
    session_leave(s, false, TENON_OK);
    return tn_error(err, TENON_E_BUSY, "the session's states are in use by another thread");
}

tenon_status session_leave(tenon_session *s, bool states, tenon_status status) {
    if (states && s->states) atomic_store_explicit(&s->states->busy, false, memory_order_release);
    atomic_store_explicit(&s->busy, false, memory_order_release);
    return status;
}

/* Points every call at its operands, scalars and parameters. */
static void link_calls(tenon_session *s) {
    const tenon_plan *p = s->plan;
    const PlanFunction *f = s->function;
    TnTensor *operands = s->operands;
    int64_t *scalars = s->scalars;
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        const PlanInstruction *instruction = &p->instructions[f->first_instruction + i];
        s->calls[i] = (TnCall){.run = tn_kernel(p->isa, instruction->opcode)->run,
                               .params = p->records[f->first_instruction + i],
                               .operands = operands,
                               .scalars = scalars,
                               .fault = &s->fault,
                               .inputs = instruction->inputs,
                               .outputs = instruction->outputs,
                               .scalar_count = instruction->scalar_count,
                               .opcode = instruction->opcode,
                               .isa = p->isa,
                               .index = (int32_t)i};
        operands += instruction->inputs + instruction->outputs;
        scalars += instruction->scalar_count;
    }
}

bool session_build(tenon_session *s) {
    const tenon_plan *p = s->plan;
    const PlanFunction *f = s->function;
    Arena *a = &s->root->memory;
    size_t ports = (size_t)f->input_count + f->output_count, results = 0;
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        const PlanInstruction *instruction = &p->instructions[f->first_instruction + i];
        s->operand_count += (uint32_t)instruction->inputs + instruction->outputs;
        s->scalar_count += instruction->scalar_count;
        if (instruction->outputs > results) results = instruction->outputs;
    }
    s->bindings = ARENA_ARRAY(a, Binding, ports);
    s->shapes = ARENA_ARRAY(a, Binding, ports);
    s->symbols = ARENA_ARRAY(a, SymbolState, p->symbols_count);
    s->definitions = ARENA_ARRAY(a, Definition, p->symbols_count);
    s->values = ARENA_ARRAY(a, int64_t, p->exprs_count);
    s->buffers = ARENA_ARRAY(a, BufferState, f->buffer_count);
    s->calls = ARENA_ARRAY(a, TnCall, f->instruction_count);
    s->operands = ARENA_ARRAY(a, TnTensor, s->operand_count);
    s->offsets = ARENA_ARRAY(a, int64_t, s->operand_count);
    s->scalars = ARENA_ARRAY(a, int64_t, s->scalar_count);
    s->described = ARENA_ARRAY(a, tenon_tensor, results);
    s->items = ARENA_ARRAY(a, TnMemItem, f->buffer_count);
    s->memplan_scratch = arena_alloc(a, tn_memplan_scratch(f->buffer_count));
    if (!s->bindings || !s->shapes || !s->symbols || !s->definitions || !s->values || !s->buffers ||
        !s->calls || !s->operands || !s->offsets || !s->scalars || !s->described || !s->items ||
        !s->memplan_scratch || !stage_build(s))
        return false;
    link_calls(s);
    return true;
}

tenon_status tenon_session_create(tenon_plan *plan, const tenon_session_options *options,
                                  tenon_session **session, tenon_error *err) {
    tenon_session_options o = {0};
    if (!plan || !session)
        return tn_error(err, TENON_E_ARGUMENT, "plan and session must not be NULL");
    if (options && !options->struct_size)
        return tn_error(err, TENON_E_ARGUMENT, "struct_size of the session options is 0");
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    const PlanFunction *f = plan_function(plan, o.function, err);
    if (!f) return TENON_E_ARGUMENT;
    tenon_session *s = tn_allocate(&plan->alloc, sizeof *s, _Alignof(tenon_session));
    if (!s) return tn_error(err, TENON_E_MEMORY, "out of memory");
    *s = (tenon_session){.plan = tenon_plan_retain(plan),
                         .function = f,
                         .pool = (TnPool *)o.pool,
                         .memory_limit = o.memory_limit,
                         .memory = {.alloc = plan->alloc},
                         .in_use = true,
                         .calls_allowed = TN_MAX_CALLS};
    s->root = s;
    tenon_status status = states_create(s, &o, err);
    if (!status)
        status = session_build(s) ? control_create(s, err)
                                  : tn_error(err, TENON_E_MEMORY, "out of memory for a session");
    if (status) {
        tenon_session_destroy(s);
        return status;
    }
    *session = s;
    return TENON_OK;
}

void tenon_session_destroy(tenon_session *session) {
    if (!session) return;
    tenon_plan *plan = session->plan;
    TnAlloc alloc = plan->alloc;
    session_release_blocks(session);
    for (uint32_t i = 0; session->children && i < 2 * plan->functions_count; i++)
        if (session->children[i]) session_release_blocks(session->children[i]);
    states_release(session);
    arena_free(&session->memory);
    tn_release(&alloc, session);
    tenon_plan_close(plan);
}

/* Index of a port by name, inputs first; -1 if there is none. */
static int find_port(const tenon_session *s, const char *name) {
    uint32_t count = s->function->input_count + s->function->output_count;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(plan_string(s->plan, session_port(s, i)->name), name) == 0) return (int)i;
    return -1;
}

static tenon_status unknown_port(const tenon_session *s, const char *name, tenon_error *err) {
    char names[300] = "";
    size_t n = 0;
    uint32_t count = s->function->input_count + s->function->output_count;
    for (uint32_t i = 0; i < count && n < sizeof names - 48; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s'%.32s'", i ? ", " : "",
                              plan_string(s->plan, session_port(s, i)->name));
    return tn_error(err, TENON_E_ARGUMENT, "no input or output is named '%.100s'; there are %s",
                    name, names);
}

/* What can be said about a tensor without knowing the other bindings. */
static tenon_status check_tensor(const tenon_session *s, uint32_t port, const tenon_tensor *t,
                                 tenon_error *err) {
    const PlanPort *q = session_port(s, port);
    const PlanView *v = &s->plan->views[q->view];
    const char *name = plan_string(s->plan, q->name);
    bool input = port < s->function->input_count;
    const char *what = input ? "input" : "output";
    size_t size = tn_dtype_size((TnDType)v->dtype);
    int64_t elements = 1;
    if ((uint32_t)t->dtype != v->dtype)
        return tn_error(err, TENON_E_DTYPE, "%s '%.100s' is %s, the model %s %s", what, name,
                        tn_dtype_name((TnDType)t->dtype), input ? "wants" : "gives",
                        tn_dtype_name((TnDType)v->dtype));
    if (t->rank != v->rank)
        return tn_error(err, TENON_E_SHAPE, "%s '%.100s' has rank %d, the model %s %d", what, name,
                        t->rank, input ? "wants" : "gives", v->rank);
    for (int i = 0; i < t->rank; i++) {
        bool open = !input && t->dims[i] == -1; /* the model decides */
        if (t->dims[i] < 0 && !open)
            return tn_error(err, TENON_E_SHAPE, "%s '%.100s' axis %d is %" PRId64, what, name, i,
                            t->dims[i]);
        if (!open && (!tn_mul_i64(elements, t->dims[i], &elements) || elements > TN_MAX_ELEMENTS))
            return tn_error(err, TENON_E_SHAPE, "%s '%.100s' is too large", what, name);
    }
    if (!t->data && (input ? elements > 0 : t->bytes > 0))
        return tn_error(err, TENON_E_ARGUMENT, "%s '%.100s' has no data", what, name);
    if (!is_aligned(t->data, size))
        return tn_error(err, TENON_E_ARGUMENT,
                        "data of %s '%.100s' is not aligned to its element size of %zu", what, name,
                        size);
    if (input && t->bytes && t->bytes < (uint64_t)elements * size)
        return tn_error(err, TENON_E_ARGUMENT,
                        "input '%.100s' has %zu bytes, its dims need %" PRIu64, name, t->bytes,
                        (uint64_t)elements * size);
    return TENON_OK;
}

static tenon_status bind(tenon_session *s, const char *name, const tenon_tensor *tensor,
                         tenon_error *err) {
    if (!name) return tn_error(err, TENON_E_ARGUMENT, "name must not be NULL");
    int port = find_port(s, name);
    uint32_t state = port < 0 && s->states ? states_find(s, name) : TN_NO_ID;
    if (state != TN_NO_ID) return states_import(s, state, tensor, err);
    if (port < 0) return unknown_port(s, name, err);
    tenon_status status = tensor ? check_tensor(s, (uint32_t)port, tensor, err) : TENON_OK;
    if (status) return status;
    s->bindings[port] = (Binding){.bound = tensor != NULL};
    if (tensor) s->bindings[port].tensor = *tensor;
    s->prepared = false;
    return TENON_OK;
}

tenon_status tenon_session_bind(tenon_session *session, const char *name,
                                const tenon_tensor *tensor, tenon_error *err) {
    bool states = session && session->states;
    tenon_status status = session_enter(session, states, err);
    return status ? status : session_leave(session, states, bind(session, name, tensor, err));
}

tenon_status tenon_session_prepare(tenon_session *session, tenon_error *err) {
    bool states = session && session->use_count;
    tenon_status status = session_enter(session, states, err);
    return status ? status : session_leave(session, states, session_prepare(session, err));
}

tenon_status tenon_session_run(tenon_session *session, tenon_error *err) {
    bool states = session && session->use_count;
    tenon_status status = session_enter(session, states, err);
    if (status) return status;
    status = session_prepare(session, err);
    return session_leave(session, states, status ? status : session_run(session, err));
}

static tenon_status view(const tenon_session *s, const char *name, tenon_tensor *tensor,
                         tenon_error *err) {
    if (!name || !tensor)
        return tn_error(err, TENON_E_ARGUMENT, "name and tensor must not be NULL");
    int port = find_port(s, name), axis;
    if (port < 0) return unknown_port(s, name, err);
    if (!s->prepared) return tn_error(err, TENON_E_ARGUMENT, "prepare or run the session first");
    const PlanView *v = &s->plan->views[session_port(s, (uint32_t)port)->view];
    const BufferState *b = &s->buffers[v->buffer - s->function->first_buffer];
    if (b->stage > s->stage)
        return tn_error(err, TENON_E_ARGUMENT,
                        "the dims of output '%.100s' depend on data: run the session first", name);
    *tensor = (tenon_tensor){.dtype = (tenon_dtype)v->dtype,
                             .rank = v->rank,
                             .data = b->base,
                             .bytes = (size_t)b->bytes};
    contract_dims(s, v, tensor->dims, &axis);
    return TENON_OK;
}

tenon_status tenon_session_tensor(tenon_session *session, const char *name, tenon_tensor *tensor,
                                  tenon_error *err) {
    tenon_status status = session_enter(session, false, err);
    return status ? status : session_leave(session, false, view(session, name, tensor, err));
}

void tenon_session_cancel(tenon_session *session) {
    if (session) atomic_store(&session->cancelled, true);
}

tenon_status tenon_session_memory(const tenon_session *session, tenon_memory *memory,
                                  tenon_error *err) {
    if (!session || !memory || memory->struct_size < sizeof memory->struct_size)
        return tn_error(err, TENON_E_ARGUMENT,
                        "session and memory must not be NULL, nor struct_size 0");
    if (atomic_load_explicit(&session->busy, memory_order_acquire) ||
        (session->states && atomic_load_explicit(&session->states->busy, memory_order_acquire)))
        return tn_error(err, TENON_E_BUSY, "the session is in use by another thread");
    tenon_memory m = {.struct_size = memory->struct_size,
                      .weights = session->plan->weights_bytes,
                      .program = session->plan->arena.total,
                      .arena = session->held,
                      .states = session->states ? session->states->held : 0};
    for (uint32_t i = 0; i < session->stage_count; i++) {
        const Stage *stage = &session->stages[i];
        if (i && !stage->reserved) continue;
        m.arena += stage->bytes - stage->block.capacity;
        m.live += stage->live;
        m.scratch += stage->bytes - stage->scratch_offset;
    }
    memcpy(memory, &m, m.struct_size < sizeof m ? m.struct_size : sizeof m);
    return TENON_OK;
}

tenon_status tenon_session_trace(tenon_session *session, tenon_trace_fn *fn, void *user,
                                 tenon_error *err) {
    tenon_status status = session_enter(session, false, err);
    if (status) return status;
    session->trace = fn;
    session->trace_user = user;
    return session_leave(session, false, TENON_OK);
}

tenon_status tenon_pool_create(int32_t threads, tenon_pool **pool, tenon_error *err) {
    if (!pool || threads < 0)
        return tn_error(err, TENON_E_ARGUMENT, "pool is NULL or %d threads", threads);
    TnPool *p = tn_pool_new(threads);
    if (!p) return tn_error(err, TENON_E_MEMORY, "out of memory for a pool");
    *pool = (tenon_pool *)p;
    return TENON_OK;
}

void tenon_pool_destroy(tenon_pool *pool) {
    tn_pool_free((TnPool *)pool);
}
