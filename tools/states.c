/* States in commands: contents from the inputs of a command, and the lengths that runs begin at. */
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/runtime.h"
#include "tools/tool.h"

static void bind_state(Tool *t, const PlanRun *r, const char *name, const tenon_tensor *tensor) {
    tenon_error err;
    if (tenon_session_bind(r->session, name, tensor, &err)) tool_fail(t, r->path, &err);
}

/* --dim past=128, or what the axis has anyway; -1: nothing says. */
static int64_t length_of(Tool *t, const PlanRun *r, const TensorSource *s, const PlanState *state,
                         uint32_t axis) {
    uint32_t expr = r->plan->ids[state->dims + axis];
    const PlanExpr *e = &r->plan->exprs[expr];
    const char *position =
        arena_printf(&t->cx.arena, "%s.%u", plan_string(r->plan, state->name), axis);
    char text[TN_TEXT_MAX];
    if (e->op == TN_EXPR_CONST) return e->value;
    plan_expr_text(r->plan, expr, text);
    for (const DimSetting *d = s->dims; d; d = d->next)
        if (!strcmp(d->name, text) || !strcmp(d->name, position)) return d->value;
    return -1;
}

/* Zeros, if --dim says how long all axes are; else the state is left empty. */
static void make_up_state(Tool *t, const PlanRun *r, const TensorSource *s,
                          const PlanState *state) {
    TnDType dtype = (TnDType)r->plan->buffers[state->buffer].dtype;
    tenon_tensor out = {.dtype = (tenon_dtype)dtype, .rank = state->rank};
    int64_t n;
    for (uint32_t i = 0; i < state->rank; i++) {
        out.dims[i] = length_of(t, r, s, state, i);
        if (out.dims[i] < 0) return;
    }
    const char *name = plan_string(r->plan, state->name);
    if (!tn_product(out.dims, out.rank, &n) || n > INT64_MAX / 16)
        tn_fail(&t->cx, TN_E_LIMIT, "state '%s' would be too large", name);
    out.data = arena_array(&t->cx.arena, (size_t)n + 1, tn_dtype_size(dtype));
    bind_state(t, r, name, &out);
}

void tool_bind_states(Tool *t, const PlanRun *r, const TensorSource *s, bool make_up) {
    const tenon_session *session = r->session;
    for (uint32_t i = session->first_use; i < session->first_use + session->use_count; i++) {
        const PlanState *state = &r->plan->states[i];
        const char *name = plan_string(r->plan, state->name);
        const StTensor *w = tool_find_input(s, name);
        if (state->access == TN_STATE_WRITE) continue;
        if (!w && make_up) make_up_state(t, r, s, state);
        if (!w) continue;
        tenon_tensor tensor = {.dtype = (tenon_dtype)w->dtype,
                               .rank = w->rank,
                               .data = tool_aligned(t, w),
                               .bytes = w->bytes};
        memcpy(tensor.dims, w->dims, sizeof tensor.dims);
        bind_state(t, r, name, &tensor);
    }
}

int64_t tool_state_length(Tool *t, const PlanRun *r) {
    const tenon_session *session = r->session;
    int64_t most = 0;
    for (uint32_t i = session->first_use; i < session->first_use + session->use_count; i++) {
        const PlanState *state = &r->plan->states[i];
        tenon_tensor now = {0};
        tenon_error err;
        if (state->access != TN_STATE_APPEND) continue;
        if (tenon_session_export(r->session, plan_string(r->plan, state->name), &now, &err))
            tool_fail(t, r->path, &err);
        if (now.dims[state->axis] > most) most = now.dims[state->axis];
    }
    return most;
}
