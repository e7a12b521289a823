/* Instructions without kernels: they measure lengths or run other functions of the plan.
 *
 *   measure  its scalars are compared with, or learnt from, the elements of its operand
 *   if       one of two functions runs; scalars: the dims of its results
 *   loop     the body runs again and again; scalars: the dims of its results
 *
 * Functions run in child sessions that the root session has from the start: one per function, two
 * for the body of a loop. That is enough because a function only runs functions of higher index, so
 * none is running twice at a time. Two sessions of a body take turns: an iteration reads what the
 * one before it left in the memory of the other.
 *
 * Lengths that were found make symbols known; then the next stage is prepared, and only then have
 * results a place where they can be copied to. */
#include <inttypes.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/params.h"
#include "runtime/runtime.h"

/* Values of symbols and expressions that the children of a session may have in all. */
#define MAX_CHILD_VALUES ((uint64_t)1 << 25)

/* --- children --- */

static tenon_status new_child(tenon_session *root, uint32_t function, bool body, int which,
                              tenon_error *err) {
    tenon_session *s = ARENA_NEW(&root->memory, tenon_session);
    root->children[2 * function + (uint32_t)which] = s;
    if (s) {
        s->plan = root->plan;
        s->function = &root->plan->functions[function];
        s->pool = root->pool;
        s->root = root;
        if (body) s->scans = ARENA_ARRAY(&root->memory, Block, s->function->output_count);
    }
    if (!s || (body && !s->scans) || !session_build(s))
        return tn_error(err, TENON_E_MEMORY, "out of memory for a session");
    return TENON_OK;
}

enum { BRANCH = 1, BODY = 2 }; /* how a function is run; bits */

static void note_callees(const tenon_plan *p, const PlanFunction *f, uint8_t *how) {
    for (uint32_t i = f->first_instruction; i < f->first_instruction + f->instruction_count; i++) {
        const PlanInstruction *instruction = &p->instructions[i];
        if (instruction->opcode == TN_OP_if) {
            const ParamsIf *params = p->records[i];
            how[params->then_function] |= BRANCH;
            how[params->else_function] |= BRANCH;
        }
        if (instruction->opcode == TN_OP_loop)
            how[((const ParamsLoop *)p->records[i])->body] |= BODY;
    }
}

tenon_status control_create(tenon_session *root, tenon_error *err) {
    const tenon_plan *p = root->plan;
    uint32_t first = (uint32_t)(root->function - p->functions);
    uint64_t values = (uint64_t)p->exprs_count + p->symbols_count, total = 0;
    if (root->stage_count == 1 && p->functions_count - first == 1) return TENON_OK;
    uint8_t *how = arena_alloc(&root->memory, p->functions_count);
    root->children = ARENA_ARRAY(&root->memory, tenon_session *, 2 * (size_t)p->functions_count);
    if (!how || !root->children)
        return tn_error(err, TENON_E_MEMORY, "out of memory for a session");
    note_callees(p, root->function, how);
    for (uint32_t i = first + 1; i < p->functions_count; i++) { /* callees have higher indexes */
        if (!how[i]) continue;
        bool body = how[i] & BODY;
        total += values * (body ? 2 : 1);
        if (total > MAX_CHILD_VALUES)
            return tn_error(err, TENON_E_LIMIT, "too many branches and loop bodies for a session");
        for (int which = 0; which < (body ? 2 : 1); which++) {
            tenon_status status = new_child(root, i, body, which, err);
            if (status) return status;
        }
        note_callees(p, &p->functions[i], how);
    }
    return TENON_OK;
}

static tenon_session *child_of(const tenon_session *s, uint32_t function, int which) {
    return s->root->children[2 * function + (uint32_t)which];
}

/* Binds a port of a child to an operand's memory. */
static void bind_tensor(tenon_session *child, uint32_t port, const TnTensor *t) {
    Binding *b = &child->bindings[port];
    int64_t elements = 1;
    *b = (Binding){.bound = true,
                   .tensor = {.dtype = (tenon_dtype)t->dtype, .rank = t->rank, .data = t->data}};
    for (int i = 0; i < t->rank; i++) {
        b->tensor.dims[i] = t->dims[i];
        elements *= t->dims[i];
    }
    b->tensor.bytes = (size_t)elements * tn_dtype_size((TnDType)t->dtype);
}

/* Leaves the outputs of a child in its own memory, whoever ran it before. */
static void unbind_outputs(tenon_session *child) {
    const PlanFunction *f = child->function;
    for (uint32_t i = f->input_count; i < f->input_count + f->output_count; i++)
        child->bindings[i].bound = false;
}

/* Output `index` of a child that has run. */
static TnTensor child_output(const tenon_session *child, uint32_t index) {
    const PlanFunction *f = child->function;
    const PlanView *v = &child->plan->views[session_port(child, f->input_count + index)->view];
    TnTensor t = {.data = child->buffers[v->buffer - f->first_buffer].base,
                  .rank = v->rank,
                  .dtype = v->dtype};
    int axis;
    contract_dims(child, v, t.dims, &axis);
    if (!t.data) t.data = child->operands; /* it is empty */
    return t;
}

/* Prepares and runs a child whose inputs are bound. */
static tenon_status run_child(const tenon_session *s, const TnCall *call, tenon_session *child,
                              tenon_error *err) {
    tenon_error local;
    tenon_error *e = err ? err : &local;
    if (s->root->calls_left-- <= 0)
        return call_error(s, call->index, err, TENON_E_LIMIT,
                          "more than %" PRId64 " branches and iterations in one run",
                          s->root->calls_allowed);
    child->caller = s;
    child->prepared = false;
    child->in_use = true;
    tenon_status status = session_prepare(child, e);
    if (!status) status = session_execute(child, e);
    if (status && status != TENON_E_CANCELLED && !e->node[0]) call_error_prefix(s, call->index, e);
    return status;
}

/* --- lengths that were found --- */

static const PlanInstruction *instruction_of(const tenon_session *s, const TnCall *call) {
    return &s->plan->instructions[s->function->first_instruction + (uint32_t)call->index];
}

/* Where a call's lengths are put; TN_UNKNOWN: nothing is known of it, so anything will do. */
static int64_t *found_by(tenon_session *s, const TnCall *call) {
    return s->scalars + (call->scalars - s->scalars);
}

/* The symbol that scalar k defines, or TN_NO_ID. */
static uint32_t defined_by(const tenon_session *s, const TnCall *call, int k) {
    const tenon_plan *p = s->plan;
    const PlanExpr *e = &p->exprs[p->ids[instruction_of(s, call)->scalars + (uint32_t)k]];
    uint32_t slot = (uint32_t)(call->scalars - s->scalars) + (uint32_t)k;
    return e->op == TN_EXPR_SYMBOL && s->definitions[e->a].slot == slot ? e->a : TN_NO_ID;
}

static tenon_status check_lengths(tenon_session *s, const TnCall *call, tenon_error *err) {
    const tenon_plan *p = s->plan;
    const int64_t *found = found_by(s, call);
    for (int k = 0; k < call->scalar_count; k++) {
        uint32_t expr = p->ids[instruction_of(s, call)->scalars + (uint32_t)k];
        int64_t wanted = s->values[expr];
        char text[TN_TEXT_MAX];
        if (found[k] == wanted || (found[k] == TN_UNKNOWN && wanted >= 0)) continue;
        plan_expr_text(p, expr, text);
        if (wanted == TN_UNKNOWN)
            return call_error(s, call->index, err, TENON_E_SHAPE,
                              "length %d should be %s, which cannot be computed", k, text);
        if (p->exprs[expr].op == TN_EXPR_CONST)
            return call_error(s, call->index, err, TENON_E_SHAPE,
                              "length %d is %" PRId64 ", the model wants %" PRId64, k, found[k],
                              wanted);
        return call_error(s, call->index, err, TENON_E_SHAPE,
                          "length %d is %" PRId64 ", the model wants %s = %" PRId64, k, found[k],
                          text, wanted);
    }
    return TENON_OK;
}

/* Symbols from the lengths that `call`, the present instruction, has found; then the next stage. */
static tenon_status settle(tenon_session *s, const TnCall *call, tenon_error *err) {
    bool ends = ends_stage(s, s->stage, (uint32_t)call->index);
    const int64_t *found = found_by(s, call);
    tenon_status status = TENON_OK;
    for (int k = 0; ends && k < call->scalar_count; k++) {
        uint32_t id = defined_by(s, call, k);
        if (id == TN_NO_ID) continue;
        int64_t value = found[k] == TN_UNKNOWN ? s->plan->symbols[id].min : found[k];
        if (s->symbols[id].value == value) continue;
        s->stages[s->stage + 1].laid_out = false;
        status = contract_measured(s, id, value, call->index, err);
        if (status) return status;
    }
    if (ends) status = session_enter_stage(s, s->stage + 1, err);
    return status ? status : check_lengths(s, call, err);
}

static tenon_status run_measure(tenon_session *s, const TnCall *call, tenon_error *err) {
    const int64_t *x = call->operands[0].data;
    int64_t *found = found_by(s, call);
    for (int k = 0; k < call->scalar_count; k++) /* no length is negative: another one will do */
        found[k] = x[k] == TN_UNKNOWN ? TN_UNKNOWN + 1 : x[k];
    return settle(s, call, err);
}

/* --- results --- */

/* Notes the dims of result `index`, whose first one is scalar *at. */
static void find_dims(tenon_session *s, const TnCall *call, const TnTensor *t, int *at) {
    int64_t *found = found_by(s, call);
    for (int i = 0; i < t->rank; i++) found[(*at)++] = t->dims[i];
}

/* Copies a result whose place is known now. */
static tenon_status copy_result(const tenon_session *s, const TnCall *call, int index,
                                const TnTensor *from, tenon_error *err) {
    const TnTensor *to = &call->operands[call->inputs + index];
    size_t bytes = tn_dtype_size((TnDType)to->dtype);
    for (int i = 0; i < to->rank; i++) {
        bytes *= (size_t)to->dims[i];
        if (from->dims[i] != TN_UNKNOWN && from->dims[i] != to->dims[i])
            return call_error(s, call->index, err, TENON_E_INVALID,
                              "axis %d of result %d is %" PRId64 ", its place has %" PRId64, i,
                              index, from->dims[i], to->dims[i]);
    }
    if (bytes) memcpy(to->data, from->data, bytes);
    return TENON_OK;
}

/* --- if --- */

static tenon_status run_if(tenon_session *s, const TnCall *call, tenon_error *err) {
    const ParamsIf *params = call->params;
    bool yes = *(const unsigned char *)call->operands[0].data != 0;
    tenon_session *child = child_of(s, yes ? params->then_function : params->else_function, 0);
    /* where the lengths of results are known, they are computed in place */
    bool in_place = !ends_stage(s, s->stage, (uint32_t)call->index);
    int bound = call->inputs + (in_place ? call->outputs : 0), at = 0;
    unbind_outputs(child);
    for (int i = 1; i < bound; i++) bind_tensor(child, (uint32_t)i - 1, &call->operands[i]);
    tenon_status status = run_child(s, call, child, err);
    for (int i = 0; !status && i < call->outputs; i++) {
        TnTensor t = child_output(child, (uint32_t)i);
        find_dims(s, call, &t, &at);
    }
    if (!status) status = settle(s, call, err);
    for (int i = 0; !status && !in_place && i < call->outputs; i++) {
        TnTensor t = child_output(child, (uint32_t)i);
        status = copy_result(s, call, i, &t, err);
    }
    child->in_use = false;
    return status;
}

/* --- loop --- */

typedef struct Loop {
    tenon_session *s;
    const TnCall *call;
    tenon_session *body[2];
    tenon_session *last; /* the one that ran last, or NULL */
    int carried, scans;
    int64_t trips; /* that were made */
    Block *collected;
} Loop;

/* The present value of carried value i. */
static TnTensor carried_value(const Loop *l, int i) {
    return l->last ? child_output(l->last, 1 + (uint32_t)i) : l->call->operands[2 + i];
}

/* Appends the slices that the last iteration gave. */
static tenon_status collect_scans(Loop *l, tenon_error *err) {
    for (int i = 0; i < l->scans; i++) {
        uint32_t port = 1 + (uint32_t)(l->carried + i);
        TnTensor slice = child_output(l->last, port);
        /* the sessions take turns, so the other one made the slice before */
        TnTensor before = l->trips ? child_output(l->body[~l->trips & 1], port) : slice;
        int64_t bytes = (int64_t)tn_dtype_size((TnDType)slice.dtype), all, used;
        for (int k = 0; k < slice.rank; k++) {
            bytes *= slice.dims[k];
            if (slice.dims[k] != before.dims[k])
                return call_error(l->s, l->call->index, err, TENON_E_SHAPE,
                                  "axis %d of scan output %d is %" PRId64 " in iteration %" PRId64
                                  " and %" PRId64 " before",
                                  k, i, slice.dims[k], l->trips, before.dims[k]);
        }
        if (!tn_mul_i64(bytes, l->trips, &used) || !tn_add_i64(used, bytes, &all))
            return call_error(l->s, l->call->index, err, TENON_E_LIMIT,
                              "scan output %d is too large", i);
        Block *b = &l->collected[l->carried + i];
        tenon_status status = block_grow(l->body[0], b, (uint64_t)all, (uint64_t)used, err);
        if (status) return status;
        if (bytes) memcpy(b->data + used, slice.data, (size_t)bytes);
    }
    return TENON_OK;
}

/* One iteration; *go becomes what the body says. */
static tenon_status iterate(Loop *l, unsigned char *go, tenon_error *err) {
    tenon_session *child = l->body[l->trips & 1];
    const TnCall *call = l->call;
    TnTensor i = {.data = &l->trips, .dtype = TN_I64}, cond = {.data = go, .dtype = TN_BOOL};
    unbind_outputs(child);
    bind_tensor(child, 0, &i);
    bind_tensor(child, 1, &cond);
    for (int k = 0; k < l->carried; k++) {
        TnTensor t = carried_value(l, k);
        bind_tensor(child, 2 + (uint32_t)k, &t);
    }
    for (int k = 2 + l->carried; k < call->inputs; k++)
        bind_tensor(child, (uint32_t)k, &call->operands[k]);
    tenon_status status = run_child(l->s, call, child, err);
    if (status) return status;
    l->last = child;
    status = collect_scans(l, err);
    if (status) return status;
    TnTensor next = child_output(child, 0);
    int64_t elements = 1;
    for (int k = 0; k < next.rank; k++) elements *= next.dims[k];
    if (elements != 1)
        return call_error(l->s, call->index, err, TENON_E_SHAPE,
                          "the body's condition has %" PRId64 " elements", elements);
    *go = *(const unsigned char *)next.data != 0;
    l->trips++;
    return TENON_OK;
}

static tenon_status iterate_all(Loop *l, tenon_error *err) {
    const TnTensor *trips = &l->call->operands[0], *cond = &l->call->operands[1];
    int64_t most = trips->dtype == TN_NONE ? INT64_MAX : *(const int64_t *)trips->data;
    unsigned char go = cond->dtype == TN_NONE || *(const unsigned char *)cond->data != 0;
    tenon_status status = TENON_OK;
    while (!status && go && l->trips < most) status = iterate(l, &go, err);
    return status;
}

/* A result of the loop: carried values as they are now, then what was collected. */
static TnTensor loop_result(const Loop *l, int index) {
    if (index < l->carried) return carried_value(l, index);
    const tenon_session *body = l->body[0];
    uint32_t port = 1 + (uint32_t)index;
    const PlanView *v =
        &body->plan->views[session_port(body, body->function->input_count + port)->view];
    TnTensor slice = {.rank = v->rank, .dtype = v->dtype}, t;
    for (int i = 0; i < slice.rank; i++) slice.dims[i] = TN_UNKNOWN; /* no iteration told */
    if (l->last) slice = child_output(l->last, port);
    t = (TnTensor){.data = l->collected[index].data, .rank = slice.rank + 1, .dtype = slice.dtype};
    t.dims[0] = l->trips;
    for (int i = 0; i < slice.rank; i++) t.dims[i + 1] = slice.dims[i];
    return t;
}

static tenon_status run_loop(tenon_session *s, const TnCall *call, tenon_error *err) {
    const ParamsLoop *params = call->params;
    Loop l = {.s = s,
              .call = call,
              .body = {child_of(s, params->body, 0), child_of(s, params->body, 1)},
              .carried = (int)params->carried,
              .scans = call->outputs - (int)params->carried};
    int at = 0;
    l.collected = l.body[0]->scans;
    l.body[0]->in_use = l.body[1]->in_use = true;
    tenon_status status = iterate_all(&l, err);
    for (int i = 0; !status && i < call->outputs; i++) {
        TnTensor t = loop_result(&l, i);
        find_dims(s, call, &t, &at);
    }
    if (!status) status = settle(s, call, err);
    for (int i = 0; !status && i < call->outputs; i++) {
        TnTensor t = loop_result(&l, i);
        status = copy_result(s, call, i, &t, err);
    }
    l.body[0]->in_use = l.body[1]->in_use = false;
    return status;
}

tenon_status control_run(tenon_session *s, const TnCall *call, tenon_error *err) {
    if (call->opcode == TN_OP_measure) return run_measure(s, call, err);
    return call->opcode == TN_OP_if ? run_if(s, call, err) : run_loop(s, call, err);
}
