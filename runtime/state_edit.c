/* What callers do to states between runs: shorten them, choose sequences, take contents out and put
 * contents in. A call that fails has changed nothing. */
#include <inttypes.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/runtime.h"

uint32_t states_find(const tenon_session *s, const char *name) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < p->states_count; i++)
        if (p->states[i].state == i && !strcmp(plan_string(p, p->states[i].name), name)) return i;
    return TN_NO_ID;
}

/* --- lengths --- */

static tenon_status truncate_states(tenon_session *s, int64_t length, tenon_error *err) {
    const tenon_plan *p = s->plan;
    if (length < 0) return tn_error(err, TENON_E_ARGUMENT, "a length of %" PRId64, length);
    for (uint32_t i = 0; i < p->states_count; i++) {
        State *st = &s->states->states[i];
        int64_t *now = &st->dims[p->states[i].axis];
        if (p->states[i].state != i || !st->grows || *now <= length) continue;
        *now = length;
        s->states->generation++;
    }
    return TENON_OK;
}

tenon_status tenon_session_truncate(tenon_session *session, int64_t length, tenon_error *err) {
    tenon_status status = session_enter(session, true, err);
    if (status) return status;
    if (session->states) status = truncate_states(session, length, err);
    return session_leave(session, true, status);
}

/* --- sequences --- */

/* The states that have sequences at present. */
static bool has_rows(const tenon_session *s, uint32_t i) {
    const PlanState *r = &s->plan->states[i];
    return r->state == i && r->batch != TN_NO_AXIS && s->states->states[i].dims[r->axis] > 0;
}

static tenon_status check_rows(const tenon_session *s, const int64_t *rows, int64_t count,
                               tenon_error *err) {
    if (!rows || count < 1 || count > TN_MAX_ELEMENTS)
        return tn_error(err, TENON_E_ARGUMENT, "rows is NULL or %" PRId64 " rows", count);
    for (uint32_t i = 0; i < s->plan->states_count; i++) {
        if (!has_rows(s, i)) continue;
        int64_t batch = s->states->states[i].dims[s->plan->states[i].batch];
        for (int64_t k = 0; k < count; k++)
            if (rows[k] < 0 || rows[k] >= batch)
                return tn_error(err, TENON_E_RANGE,
                                "row %" PRId64 " is to be row %" PRId64 " of state '%.80s', which "
                                "has %" PRId64,
                                k, rows[k], plan_string(s->plan, s->plan->states[i].name), batch);
    }
    return TENON_OK;
}

#define MAX_IN_PLACE 64 /* sequences: a bit each */

/* As many sequences as before find their places in the memory that there is, as beams do. */
static bool fits_in_place(const tenon_session *s, int64_t count) {
    for (uint32_t i = 0; i < s->plan->states_count; i++)
        if (has_rows(s, i) && s->states->states[i].dims[s->plan->states[i].batch] != count)
            return false;
    return count <= MAX_IN_PLACE;
}

static void move_sequence(tenon_session *s, int64_t to, int64_t from, bool exchange) {
    for (uint32_t i = 0; i < s->plan->states_count; i++)
        if (has_rows(s, i))
            state_move(s->plan, &s->plan->states[i], &s->states->states[i], to, from, exchange);
}

/* A sequence in `waiting` that no other one there is to become; -1: they go round in circles. */
static int64_t not_wanted(const int64_t *rows, int64_t count, uint64_t waiting) {
    uint64_t wanted = 0;
    for (int64_t k = 0; k < count; k++)
        if (waiting >> k & 1) wanted |= (uint64_t)1 << rows[k];
    return waiting & ~wanted ? __builtin_ctzll(waiting & ~wanted) : -1;
}

/* What nobody wants any more is overwritten; along a circle each takes its place from the next. */
static void reorder_in_place(tenon_session *s, const int64_t *rows, int64_t count) {
    uint64_t waiting = 0;
    for (int64_t k = 0; k < count; k++)
        if (rows[k] != k) waiting |= (uint64_t)1 << k;
    while (waiting) {
        int64_t k = not_wanted(rows, count, waiting), first = k;
        if (k >= 0) {
            move_sequence(s, k, rows[k], false);
        } else {
            for (k = first = __builtin_ctzll(waiting); rows[k] != first; k = rows[k]) {
                move_sequence(s, k, rows[k], true);
                waiting &= ~((uint64_t)1 << k);
            }
        }
        waiting &= ~((uint64_t)1 << k);
    }
}

/* New contents are made for all states before the first is replaced. */
static tenon_status reorder(tenon_session *s, const int64_t *rows, int64_t count, State *made,
                            tenon_error *err) {
    const tenon_plan *p = s->plan;
    tenon_status status = TENON_OK;
    for (uint32_t i = 0; !status && i < p->states_count; i++) {
        const State *st = &s->states->states[i];
        const PlanState *r = &p->states[i];
        int64_t dims[TN_MAX_RANK];
        if (!has_rows(s, i)) continue;
        memcpy(dims, st->dims, sizeof dims);
        dims[r->batch] = count;
        made[i].grows = st->grows;
        status = state_allocate(s, r, dims, st->capacity, &made[i], err);
        if (!status)
            state_copy(p, r, made[i].data, st->capacity, st->data, st->capacity, dims, rows,
                       st->dims[r->batch]);
    }
    for (uint32_t i = 0; i < p->states_count; i++) {
        if (!has_rows(s, i)) continue;
        if (status) {
            if (made[i].bytes) state_free(s, &made[i]);
            continue;
        }
        state_free(s, &s->states->states[i]);
        s->states->states[i] = made[i];
    }
    s->states->generation++;
    return status;
}

tenon_status tenon_session_reorder(tenon_session *session, const int64_t *rows, int64_t count,
                                   tenon_error *err) {
    tenon_status status = session_enter(session, true, err);
    if (status) return status;
    if (session->states) status = check_rows(session, rows, count, err);
    if (!session->states || status) return session_leave(session, true, status);
    if (fits_in_place(session, count)) {
        reorder_in_place(session, rows, count);
        return session_leave(session, true, TENON_OK);
    }
    size_t bytes = session->plan->states_count * sizeof(State);
    State *made = tn_allocate(&session->plan->alloc, bytes, _Alignof(State));
    if (!made) return session_leave(session, true, tn_error(err, TENON_E_MEMORY, "out of memory"));
    memset(made, 0, bytes);
    status = reorder(session, rows, count, made, err);
    tn_release(&session->plan->alloc, made);
    return session_leave(session, true, status);
}

/* --- contents --- */

static tenon_status check_contents(const tenon_session *s, const PlanState *r,
                                   const tenon_tensor *t, uint64_t *bytes, tenon_error *err) {
    const tenon_plan *p = s->plan;
    const char *name = plan_string(p, r->name);
    TnDType dtype = (TnDType)p->buffers[r->buffer].dtype;
    int64_t elements = 1;
    if ((uint32_t)t->dtype != dtype)
        return tn_error(err, TENON_E_DTYPE, "state '%.100s' is %s, not %s", name,
                        tn_dtype_name(dtype), tn_dtype_name((TnDType)t->dtype));
    if (t->rank != r->rank)
        return tn_error(err, TENON_E_SHAPE, "state '%.100s' has rank %d, not %d", name, r->rank,
                        t->rank);
    for (int i = 0; i < r->rank; i++) {
        const PlanExpr *e = &p->exprs[p->ids[r->dims + (uint32_t)i]];
        if (i != r->axis && e->op == TN_EXPR_CONST && t->dims[i] != e->value)
            return tn_error(err, TENON_E_SHAPE,
                            "state '%.100s' axis %d is %" PRId64 ", the model wants %" PRId64, name,
                            i, t->dims[i], e->value);
        if (t->dims[i] < 0 || !tn_mul_i64(elements, t->dims[i], &elements) ||
            elements > TN_MAX_ELEMENTS)
            return tn_error(err, TENON_E_SHAPE, "state '%.100s' axis %d is %" PRId64, name, i,
                            t->dims[i]);
    }
    *bytes = (uint64_t)elements * tn_dtype_size(dtype);
    if ((!t->data && elements) || (t->bytes && t->bytes < *bytes))
        return tn_error(err, TENON_E_ARGUMENT, "state '%.100s' needs %" PRIu64 " bytes", name,
                        *bytes);
    return TENON_OK;
}

tenon_status states_import(tenon_session *s, uint32_t id, const tenon_tensor *t, tenon_error *err) {
    const PlanState *r = &s->plan->states[id];
    State *st = &s->states->states[id], new = *st;
    uint64_t bytes;
    if (!t) {
        st->dims[r->axis] = 0;
        s->states->generation++;
        return TENON_OK;
    }
    tenon_status status = check_contents(s, r, t, &bytes, err);
    if (status) return status;
    int64_t dims[TN_MAX_RANK] = {0}, length = t->dims[r->axis];
    memcpy(dims, t->dims, (size_t)r->rank * sizeof *dims);
    status = state_allocate(s, r, dims, state_room(s->states, st, length), &new, err);
    if (status) return status;
    state_copy(s->plan, r, new.data, new.capacity, t->data, length, dims, NULL, 0);
    state_free(s, st);
    *st = new;
    s->states->generation++;
    return TENON_OK;
}

static tenon_status export(const tenon_session *s, const char *name, tenon_tensor *t,
                           tenon_error *err) {
    uint32_t id = name && s->states ? states_find(s, name) : TN_NO_ID;
    if (id == TN_NO_ID || !t)
        return tn_error(err, TENON_E_ARGUMENT,
                        t ? "the plan has no state '%.100s'" : "no place for state '%.100s'",
                        name ? name : "");
    const PlanState *r = &s->plan->states[id];
    const State *st = &s->states->states[id];
    tenon_tensor out = {
        .dtype = (tenon_dtype)s->plan->buffers[r->buffer].dtype, .rank = r->rank, .data = t->data};
    uint64_t bytes = tn_dtype_size((TnDType)out.dtype);
    for (int i = 0; i < r->rank; i++) {
        out.dims[i] = st->dims[i];
        bytes *= (uint64_t)st->dims[i];
    }
    out.bytes = (size_t)bytes;
    if (t->data && t->bytes < bytes)
        return tn_error(err, TENON_E_ARGUMENT,
                        "state '%.100s' needs %" PRIu64 " bytes, %zu are given", name, bytes,
                        t->bytes);
    if (t->data)
        state_copy(s->plan, r, t->data, st->dims[r->axis], st->data, st->capacity, st->dims, NULL,
                   0);
    *t = out;
    return TENON_OK;
}

tenon_status tenon_session_export(tenon_session *session, const char *name, tenon_tensor *tensor,
                                  tenon_error *err) {
    tenon_status status = session_enter(session, true, err);
    if (status) return status;
    return session_leave(session, true, export(session, name, tensor, err));
}
