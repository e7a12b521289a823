/* Verification of states: records in order, one per function and state, and functions that share a
 * state agree on its type, axes and constant dims. Lengths are checked at prepare. */
#include <inttypes.h>
#include <string.h>
#include "runtime/runtime.h"

static bool check_ids(PlanCheck *c, uint32_t i) {
    const tenon_plan *p = c->plan;
    const PlanState *r = &p->states[i];
    if (r->name >= p->strings_count)
        return plan_invalid(c, "state %" PRIu32 ": name outside STRINGS", i);
    if (r->state > i || p->states[r->state].state != r->state)
        return plan_invalid(c, "state %" PRIu32 ": first record %" PRIu32, i, r->state);
    if (r->function >= p->functions_count || p->functions[r->function].flags & TN_FUNCTION_INTERNAL)
        return plan_invalid(c, "state %" PRIu32 ": function %" PRIu32, i, r->function);
    if (i && (r->function < r[-1].function ||
              (r->function == r[-1].function && r->state <= r[-1].state)))
        return plan_invalid(c, "state %" PRIu32 " does not follow the one before it", i);
    const PlanFunction *f = &p->functions[r->function];
    if (r->buffer - f->first_buffer >= f->buffer_count ||
        p->buffers[r->buffer].kind != TN_BUFFER_STATE || p->buffers[r->buffer].index != i)
        return plan_invalid(c, "state %" PRIu32 ": buffer %" PRIu32 " is not its own", i,
                            r->buffer);
    if (r->access < TN_STATE_READ || r->access > TN_STATE_WRITE)
        return plan_invalid(c, "state %" PRIu32 ": access %d", i, r->access);
    if (r->rank < 1 || r->rank > TN_MAX_RANK || r->axis >= r->rank || r->batch == r->axis ||
        (r->batch >= r->rank && r->batch != TN_NO_AXIS))
        return plan_invalid(c, "state %" PRIu32 ": rank %d, axes %d and %d", i, r->rank, r->axis,
                            r->batch);
    if (!plan_expr_slice_ok(p, r->dims, r->rank) || r->next >= p->exprs_count)
        return plan_invalid(c, "state %" PRIu32 ": dims or next are no expressions", i);
    if (r->capacity >= p->symbols_count || p->symbols[r->capacity].kind != TN_SYMBOL_CAPACITY)
        return plan_invalid(c, "state %" PRIu32 ": symbol %" PRIu32 " is no capacity", i,
                            r->capacity);
    return true;
}

static bool agrees(PlanCheck *c, uint32_t i) {
    const tenon_plan *p = c->plan;
    const PlanState *r = &p->states[i], *first = &p->states[r->state];
    bool same = !strcmp(plan_string(p, r->name), plan_string(p, first->name)) &&
                p->buffers[r->buffer].dtype == p->buffers[first->buffer].dtype &&
                r->rank == first->rank && r->axis == first->axis && r->batch == first->batch;
    for (uint32_t k = 0; same && k < r->rank; k++) {
        const PlanExpr *a = &p->exprs[p->ids[r->dims + k]], *b = &p->exprs[p->ids[first->dims + k]];
        same = k == r->axis || a->op != TN_EXPR_CONST || b->op != TN_EXPR_CONST ||
               a->value == b->value;
    }
    return same || plan_invalid(c, "state '%.80s': two functions disagree on what it is",
                                plan_string(p, r->name));
}

bool plan_check_states(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    if (p->states_count && !(p->header.required & TN_FEATURE_STATES))
        return plan_invalid(c, "the plan has states but does not say that it needs them");
    for (uint32_t i = 0; i < p->states_count; i++) {
        if (!check_ids(c, i) || !agrees(c, i)) return false;
        /* what a function finds need not have been written by it */
        c->written[p->states[i].buffer] = p->states[i].access != TN_STATE_WRITE;
    }
    return true;
}
