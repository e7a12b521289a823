/* The interpreter: one indexed call per instruction. Nothing here allocates or locks, apart from
 * the pool and what control.c does.
 *
 * A call with several tasks and enough work becomes a parallel region; the others run on the
 * calling thread. Scratch is one slice per lane. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include "runtime/runtime.h"

typedef struct Region {
    const TnCall *call;
    unsigned char *scratch;
    uint64_t lane_bytes;
} Region;

static void run_task(void *user, int64_t task, int lane) {
    const Region *r = user;
    r->call->run(r->call, task, r->scratch + (uint64_t)lane * r->lane_bytes);
}

/* Whether the pool's threads are known to be needed no more in this run. */
static bool is_last(const tenon_session *s, const TnCall *call) {
    return !s->root->children && call->index == s->stages[s->stage].last_parallel;
}

static void run_call(const tenon_session *s, const TnCall *call) {
    const Stage *stage = &s->stages[s->stage];
    unsigned char *scratch = stage->block.data ? stage->block.data + stage->scratch_offset : NULL;
    const bool parallel = session_is_parallel(s, call);
    tn_scratch_begin(call, scratch, stage->lane_scratch, parallel ? tn_pool_threads(s->pool) : 1);
    if (parallel) {
        Region region = {call, scratch, stage->lane_scratch};
        s->root->used_pool = true;
        tn_pool_run(s->pool, call->tasks, run_task, &region, is_last(s, call));
        return;
    }
    for (int64_t task = 0; task < call->tasks; task++) call->run(call, task, scratch);
}

static tenon_status run_instruction(tenon_session *s, const TnCall *call, tenon_error *err) {
    if (!call->run) return control_run(s, call, err);
    run_call(s, call);
    return TENON_OK;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const char *origin_of(const tenon_session *s, const TnCall *call) {
    return plan_origin(s->plan, s->function->first_instruction + (uint32_t)call->index);
}

/* The dense tensor that an operand is; data is NULL if it is strided. */
static tenon_tensor describe(const TnTensor *t) {
    tenon_tensor out = {.dtype = (tenon_dtype)t->dtype, .rank = t->rank, .data = t->data};
    int64_t elements = 1;
    bool dense = true;
    for (int i = t->rank - 1; i >= 0; i--) {
        out.dims[i] = t->dims[i];
        if (t->dims[i] > 1 && t->strides[i] != elements) dense = false;
        elements *= t->dims[i];
    }
    if (!dense && elements > 0) out.data = NULL;
    out.bytes = (size_t)elements * tn_dtype_size((TnDType)t->dtype);
    return out;
}

static tenon_status run_traced(tenon_session *s, const TnCall *call, tenon_error *err) {
    int64_t start = now_ns();
    tenon_status status = run_instruction(s, call, err);
    if (status) return status;
    tenon_event event = {.instruction = (int32_t)s->function->first_instruction + call->index,
                         .opcode = tn_instr(call->opcode)->name,
                         .node = origin_of(s, call),
                         .nanoseconds = now_ns() - start,
                         .outputs = s->described};
    for (int i = 0; i < call->outputs; i++) {
        const TnTensor *t = &call->operands[call->inputs + i];
        if (t->dtype != TN_NONE) s->described[event.output_count++] = describe(t);
    }
    s->root->traced = s;
    s->root->traced_call = call;
    s->root->trace(s->root->trace_user, &event);
    return TENON_OK;
}

static bool writes(const tenon_plan *p, const PlanInstruction *i, uint32_t buffer) {
    for (int k = i->inputs; k < i->inputs + i->outputs; k++) {
        const PlanView *v = plan_operand(p, i, k);
        if (v && v->buffer == buffer) return true;
    }
    return false;
}

/* The name of the input that an operand's elements come from, be it that rows of it were picked
 * (those that are no padding); or NULL. */
static const char *input_of(const tenon_session *s, const TnCall *call, int operand) {
    const tenon_plan *p = s->plan;
    const PlanInstruction *first = &p->instructions[s->function->first_instruction],
                          *i = first + call->index;
    uint32_t buffer = plan_operand(p, i, operand)->buffer;
    while (p->buffers[buffer].kind != TN_BUFFER_INPUT) {
        while (i > first && !writes(p, i - 1, buffer)) i--;
        if (i == first || (--i)->opcode != TN_OP_gather) return NULL;
        buffer = plan_operand(p, i, 0)->buffer;
    }
    return plan_string(p, session_port(s, p->buffers[buffer].index)->name);
}

static tenon_status bad_index(const tenon_session *s, const TnCall *call, tenon_error *err) {
    const char *input = input_of(s, call, 1), *node = origin_of(s, call);
    char found[200];
    if (input)
        snprintf(found, sizeof found, "input '%.100s' holds %" PRId64 ",", input, s->fault.index);
    else
        snprintf(found, sizeof found, "index %" PRId64 " is", s->fault.index);
    tn_error(err, TENON_E_RANGE, "%s outside the table of %" PRId64 " rows%s%.100s%s", found,
             s->fault.bound, node[0] ? " (node '" : "", node, node[0] ? "')" : "");
    tn_error_at(err, call->index, node);
    return TENON_E_RANGE;
}

tenon_status session_execute(tenon_session *s, tenon_error *err) {
    const tenon_session *root = s->root;
    s->stage = 0;
    atomic_store(&s->fault.raised, 0);
    for (uint32_t i = 0; i < s->function->instruction_count; i++) {
        const TnCall *call = &s->calls[i];
        tenon_status status =
            root->trace ? run_traced(s, call, err) : run_instruction(s, call, err);
        if (status) return status;
        if (atomic_load_explicit(&s->fault.raised, memory_order_acquire))
            return bad_index(s, call, err);
        if (atomic_load_explicit(&root->cancelled, memory_order_relaxed))
            return tn_error(err, TENON_E_CANCELLED,
                            "cancelled after instruction %" PRIu32 " of %" PRIu32, i + 1,
                            s->function->instruction_count);
    }
    return TENON_OK;
}

typedef struct Run {
    tenon_session *session;
    tenon_error *err;
    tenon_status status;
} Run;

static void run_body(void *user) {
    Run *r = user;
    r->status = session_execute(r->session, r->err);
}

/* The pool's threads stand by if the run before needed them; not while somebody looks on, who may
 * run other sessions meanwhile. */
static tenon_status execute(tenon_session *s, tenon_error *err) {
    Run run = {s, err, TENON_OK};
    const bool stand_by = s->used_pool && !s->trace;
    s->used_pool = false;
    if (stand_by)
        tn_pool_enter(s->pool, run_body, &run);
    else
        run_body(&run);
    return run.status;
}

tenon_status session_run(tenon_session *s, tenon_error *err) {
    atomic_store(&s->cancelled, false);
    s->calls_left = s->calls_allowed;
    if (s->use_count) states_begin(s);
    tenon_status status = execute(s, err);
    if (!status && s->use_count) states_commit(s);
    if (status == TENON_E_LIMIT) { /* the next run shall have all there is */
        s->stage = 0;
        session_reclaim(s, NULL);
    }
    return status;
}
