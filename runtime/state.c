/* States: tensors that live from one run to the next, in a set that sessions of a plan share.
 *
 * In memory a state is dense but for the axis it grows along, which has room for `capacity` rows:
 * [batch, heads, capacity, d]. So rows are appended in place and read under strides, and nothing is
 * moved until the room is used up; then it at least doubles. Dims and capacities are symbols of the
 * function: state.c sets them before the expressions are computed, as inputs do.
 *
 * The lengths change when a run has succeeded, in one place (states_commit). Rows behind them are
 * no one's data, which is why a run that fails has changed nothing. Only a state that is written
 * anew is empty from when the run begins. `generation` counts the changes, so that a session knows
 * that what it prepared is out of date. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/runtime.h"

#define MIN_CAPACITY 32 /* rows of a state that grows */

/* --- the set --- */

static bool is_appended(const tenon_plan *p, uint32_t state) {
    for (uint32_t i = 0; i < p->states_count; i++)
        if (p->states[i].state == state && p->states[i].access == TN_STATE_APPEND) return true;
    return false;
}

static void empty_dims(const tenon_plan *p, uint32_t state, State *st) {
    const PlanState *r = &p->states[state];
    for (uint32_t i = 0; i < r->rank; i++) {
        const PlanExpr *e = &p->exprs[p->ids[r->dims + i]];
        st->dims[i] = i != r->axis && e->op == TN_EXPR_CONST && e->value > 0 ? e->value : 0;
    }
}

static StateSet *new_set(const tenon_plan *p, int64_t reserve) {
    StateSet *set =
        tn_allocate(&p->alloc, sizeof *set + p->states_count * sizeof(State), _Alignof(StateSet));
    if (!set) return NULL;
    memset(set, 0, sizeof *set + p->states_count * sizeof(State));
    set->references = 1;
    set->reserve = reserve;
    for (uint32_t i = 0; i < p->states_count; i++) {
        if (p->states[i].state != i) continue;
        set->states[i].grows = is_appended(p, i);
        empty_dims(p, i, &set->states[i]);
    }
    return set;
}

tenon_status states_create(tenon_session *s, const tenon_session_options *o, tenon_error *err) {
    const tenon_plan *p = s->plan;
    if (o->share_state && o->share_state->plan != p)
        return tn_error(err, TENON_E_ARGUMENT, "share_state is a session of another plan");
    if (o->state_capacity < 0 || o->state_capacity > TN_MAX_ELEMENTS)
        return tn_error(err, TENON_E_ARGUMENT, "state_capacity is %" PRId64, o->state_capacity);
    if (!p->states_count) return TENON_OK;
    if (o->share_state) {
        s->states = o->share_state->states;
        atomic_fetch_add_explicit(&s->states->references, 1, memory_order_relaxed);
    } else {
        s->states = new_set(p, o->state_capacity);
        if (!s->states) return tn_error(err, TENON_E_MEMORY, "out of memory for a session");
    }
    uint32_t function = (uint32_t)(s->function - p->functions);
    while (s->first_use < p->states_count && p->states[s->first_use].function < function)
        s->first_use++;
    for (uint32_t i = s->first_use; i < p->states_count && p->states[i].function == function; i++)
        s->use_count++;
    return TENON_OK;
}

void states_release(tenon_session *s) {
    StateSet *set = s->states;
    if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) > 1) return;
    for (uint32_t i = 0; i < s->plan->states_count; i++)
        tn_release(&s->plan->alloc, set->states[i].data);
    tn_release(&s->plan->alloc, set);
}

State *states_of_use(const tenon_session *s, uint32_t use) {
    return &s->states->states[s->plan->states[use].state];
}

/* --- memory --- */

/* [before, batch, between, length, row] elements, or with batch and length exchanged. */
typedef struct Form {
    int64_t before, batch, between, length;
    size_t row;
    bool batch_first;
} Form;

static Form form_of(const PlanState *r, size_t size, const int64_t *dims) {
    int outer = r->axis, inner = r->axis;
    Form f = {.before = 1, .batch = 1, .between = 1, .length = dims[r->axis], .row = size};
    f.batch_first = r->batch == TN_NO_AXIS || r->batch < r->axis;
    if (r->batch != TN_NO_AXIS) {
        f.batch = dims[r->batch];
        if (f.batch_first)
            outer = r->batch;
        else
            inner = r->batch;
    }
    for (int i = 0; i < outer; i++) f.before *= dims[i];
    for (int i = outer + 1; i < inner; i++) f.between *= dims[i];
    for (int i = inner + 1; i < r->rank; i++) f.row *= (size_t)dims[i];
    return f;
}

void state_copy(const tenon_plan *p, const PlanState *r, unsigned char *to, int64_t to_capacity,
                const unsigned char *from, int64_t from_capacity, const int64_t *dims,
                const int64_t *rows, int64_t from_batch) {
    Form f = form_of(r, tn_dtype_size((TnDType)p->buffers[r->buffer].dtype), dims);
    int64_t outer = f.before * f.batch * f.between;
    if (!rows) from_batch = f.batch;
    if (!outer || !f.length || !f.row) return;
    for (int64_t i = 0; f.batch_first && i < outer; i++) {
        int64_t in = i % f.between, b = i / f.between % f.batch, at = i / f.between / f.batch;
        int64_t source = (at * from_batch + (rows ? rows[b] : b)) * f.between + in;
        memcpy(to + (size_t)(i * to_capacity) * f.row,
               from + (size_t)(source * from_capacity) * f.row, (size_t)f.length * f.row);
    }
    for (int64_t i = 0; !f.batch_first && i < f.before * f.length * f.between; i++) {
        int64_t in = i % f.between, t = i / f.between % f.length, at = i / f.between / f.length;
        int64_t target = (at * to_capacity + t) * f.between + in,
                source = (at * from_capacity + t) * f.between + in;
        for (int64_t b = 0; b < f.batch; b++)
            memcpy(to + (size_t)(target * f.batch + b) * f.row,
                   from + (size_t)(source * from_batch + (rows ? rows[b] : b)) * f.row, f.row);
    }
}

static void exchange_bytes(unsigned char *a, unsigned char *b, size_t n) {
    unsigned char kept[1024];
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < sizeof kept ? n - at : sizeof kept;
        memcpy(kept, a + at, some);
        memcpy(a + at, b + at, some);
        memcpy(b + at, kept, some);
    }
}

/* Memory as [outer, batch, inner] blocks, which are used up to the length if that comes behind. */
void state_move(const tenon_plan *p, const PlanState *r, State *st, int64_t to, int64_t from,
                bool exchange) {
    Form f = form_of(r, tn_dtype_size((TnDType)p->buffers[r->buffer].dtype), st->dims);
    const bool behind = f.batch_first;
    int64_t inner = behind ? f.between : 1;
    int64_t count = f.before * f.between * (behind ? 1 : st->capacity);
    size_t block = f.row * (behind ? (size_t)st->capacity : 1),
           used = f.row * (behind ? (size_t)f.length : 1);
    for (int64_t i = 0; used && i < count; i++) {
        if (!behind && i / f.between % st->capacity >= f.length) continue;
        int64_t first = i / inner * f.batch * inner + i % inner;
        unsigned char *a = st->data + (size_t)(first + to * inner) * block,
                      *b = st->data + (size_t)(first + from * inner) * block;
        if (exchange)
            exchange_bytes(a, b, used);
        else
            memcpy(a, b, used);
    }
}

/* Bytes of a state of these dims with room for `capacity` rows; false if they are too many. */
static bool bytes_of(const tenon_plan *p, const PlanState *r, const int64_t *dims, int64_t capacity,
                     uint64_t *bytes) {
    int64_t bound = capacity > 0 ? capacity : 1, count = capacity;
    for (int i = 0; i < r->rank; i++) {
        if (i == r->axis) continue;
        if (dims[i] < 0 || !tn_mul_i64(bound, dims[i] > 0 ? dims[i] : 1, &bound) ||
            bound > TN_MAX_ELEMENTS)
            return false;
        count *= dims[i];
    }
    *bytes = (uint64_t)count * tn_dtype_size((TnDType)p->buffers[r->buffer].dtype);
    return capacity <= TN_MAX_ELEMENTS && bound <= TN_MAX_ELEMENTS;
}

tenon_status state_allocate(tenon_session *s, const PlanState *r, const int64_t *dims,
                            int64_t capacity, State *out, tenon_error *err) {
    const char *name = plan_string(s->plan, r->name);
    uint64_t bytes, held = s->held + s->states->held;
    uint64_t limit = s->memory_limit ? s->memory_limit : UINT64_MAX;
    if (!bytes_of(s->plan, r, dims, capacity, &bytes))
        return tn_error(err, TENON_E_SHAPE, "state '%.100s' would have too many elements", name);
    if (bytes > limit || held > limit - bytes)
        return tn_error(err, TENON_E_LIMIT,
                        "state '%.100s' needs %" PRIu64 " bytes beside %" PRIu64
                        ", the limit is %" PRIu64,
                        name, bytes, held, limit);
    out->data = NULL;
    if (bytes && bytes <= SIZE_MAX)
        out->data = tn_allocate(&s->plan->alloc, (size_t)bytes, TN_MEM_ALIGN);
    if (bytes && !out->data)
        return tn_error(err, TENON_E_MEMORY,
                        "out of memory for state '%.100s' of %" PRIu64 " bytes", name, bytes);
    if (bytes) memset(out->data, 0, (size_t)bytes); /* rows not written yet are no one's data */
    memcpy(out->dims, dims, sizeof out->dims);
    out->capacity = capacity;
    out->bytes = bytes;
    s->states->held += bytes;
    return TENON_OK;
}

void state_free(tenon_session *s, State *st) {
    tn_release(&s->plan->alloc, st->data);
    s->states->held -= st->bytes;
    st->data = NULL;
    st->bytes = 0;
    st->capacity = 0;
}

int64_t state_room(const StateSet *set, const State *st, int64_t length) {
    if (length <= st->capacity) return st->capacity;
    if (!st->grows) return length;
    int64_t room = st->capacity > TN_MAX_ELEMENTS / 2 ? length : 2 * st->capacity;
    if (room < set->reserve) room = set->reserve;
    if (room < MIN_CAPACITY) room = MIN_CAPACITY;
    return room < length ? length : room;
}

static bool same_dims(const PlanState *r, const int64_t *a, const int64_t *b) {
    for (int i = 0; i < r->rank; i++)
        if (i != r->axis && a[i] != b[i]) return false;
    return true;
}

/* Gives a state dims (but for the length) and capacity. Its rows stay unless `drop`; their dims are
 * then those that it has. */
static tenon_status fit(tenon_session *s, const PlanState *r, State *st, const int64_t *dims,
                        int64_t capacity, bool drop, tenon_error *err) {
    State new = *st;
    int64_t length = st->dims[r->axis], wanted[TN_MAX_RANK] = {0};
    if (capacity == st->capacity && same_dims(r, dims, st->dims)) return TENON_OK;
    s->states->generation++;
    memcpy(wanted, dims, (size_t)r->rank * sizeof *dims);
    wanted[r->axis] = drop ? 0 : length;
    if (drop || !length) {
        state_free(s, st);
        st->dims[r->axis] = 0;
        return state_allocate(s, r, wanted, capacity, st, err);
    }
    tenon_status status = state_allocate(s, r, wanted, capacity, &new, err);
    if (status) return status;
    state_copy(s->plan, r, new.data, capacity, st->data, st->capacity, wanted, NULL, 0);
    state_free(s, st);
    *st = new;
    return TENON_OK;
}

/* --- prepare --- */

static const char *state_name(const tenon_session *s, uint32_t use) {
    return plan_string(s->plan, s->plan->states[use].name);
}

static tenon_status length_out_of_range(const tenon_session *s, uint32_t use, int axis,
                                        const PlanSymbol *symbol, tenon_error *err) {
    char to[48] = " on";
    if (symbol->max < INT64_MAX) snprintf(to, sizeof to, " to %" PRId64, symbol->max);
    return tn_error(err, TENON_E_SHAPE,
                    "state '%.80s' axis %d is %" PRId64 ", the model wants %.80s from %" PRId64
                    "%s",
                    state_name(s, use), axis, states_of_use(s, use)->dims[axis],
                    plan_string(s->plan, symbol->name), symbol->min, to);
}

tenon_status states_set_symbols(tenon_session *s, tenon_error *err) {
    const tenon_plan *p = s->plan;
    for (uint32_t use = s->first_use; use < s->first_use + s->use_count; use++) {
        const PlanState *r = &p->states[use];
        const State *st = states_of_use(s, use);
        if (r->access == TN_STATE_WRITE) continue;
        for (int axis = 0; axis < r->rank; axis++) {
            const PlanExpr *e = &p->exprs[p->ids[r->dims + (uint32_t)axis]];
            /* an empty state takes the dims of the first run */
            if (e->op != TN_EXPR_SYMBOL || (axis != r->axis && !st->dims[r->axis])) continue;
            SymbolState *symbol = &s->symbols[e->a];
            if (symbol->use >= 0 || p->symbols[e->a].kind == TN_SYMBOL_CAPACITY) continue;
            if (st->dims[axis] < p->symbols[e->a].min || st->dims[axis] > p->symbols[e->a].max)
                return length_out_of_range(s, use, axis, &p->symbols[e->a], err);
            *symbol = (SymbolState){st->dims[axis], -1, axis, (int32_t)use};
        }
    }
    return TENON_OK;
}

tenon_status states_check(const tenon_session *s, tenon_error *err) {
    const tenon_plan *p = s->plan;
    for (uint32_t use = s->first_use; use < s->first_use + s->use_count; use++) {
        const PlanState *r = &p->states[use];
        const State *st = states_of_use(s, use);
        for (int axis = 0; axis < r->rank; axis++) {
            uint32_t expr = p->ids[r->dims + (uint32_t)axis];
            int64_t wanted = s->values[expr];
            char text[TN_TEXT_MAX];
            plan_expr_text(p, expr, text);
            if (wanted == TN_UNKNOWN)
                return tn_error(err, TENON_E_SHAPE,
                                "axis %d of state '%.80s', %s, cannot be computed", axis,
                                state_name(s, use), text);
            if (r->access == TN_STATE_WRITE || (axis != r->axis && !st->dims[r->axis])) continue;
            if (st->dims[axis] != wanted)
                return tn_error(err, TENON_E_SHAPE,
                                "state '%.80s' axis %d is %" PRId64
                                ", the model wants %s%s%" PRId64,
                                state_name(s, use), axis, st->dims[axis], text,
                                p->exprs[expr].op == TN_EXPR_CONST ? "" : " = ", wanted);
        }
    }
    return TENON_OK;
}

tenon_status states_fit(tenon_session *s, tenon_error *err) {
    const tenon_plan *p = s->plan;
    uint32_t end = s->first_use + s->use_count;
    for (uint32_t use = s->first_use; use < end; use++) {
        const PlanState *r = &p->states[use];
        int64_t next = s->values[r->next], *capacity = &s->symbols[r->capacity].value;
        if (next < 0 || next > TN_MAX_ELEMENTS)
            return tn_error(err, TENON_E_SHAPE, "the next length of state '%.80s' is %s",
                            state_name(s, use),
                            next == TN_UNKNOWN ? "unknown"
                            : next < 0         ? "negative"
                                               : "too large");
        int64_t room = state_room(s->states, states_of_use(s, use), next);
        if (*capacity < room) *capacity = room; /* TN_UNKNOWN is less than anything */
    }
    for (uint32_t use = s->first_use; use < end; use++) {
        const PlanState *r = &p->states[use];
        int64_t dims[TN_MAX_RANK];
        for (uint32_t i = 0; i < r->rank; i++) dims[i] = s->values[p->ids[r->dims + i]];
        tenon_status status = fit(s, r, states_of_use(s, use), dims, s->symbols[r->capacity].value,
                                  r->access == TN_STATE_WRITE, err);
        if (status) return status;
    }
    return TENON_OK;
}

tenon_status states_check_buffer(const tenon_session *s, const PlanBuffer *b, int64_t elements,
                                 tenon_error *err) {
    const State *st = states_of_use(s, b->index);
    if ((uint64_t)elements * tn_dtype_size((TnDType)b->dtype) == st->bytes) return TENON_OK;
    return tn_error(err, TENON_E_INVALID, "the buffer of state '%.80s' is not what it is made of",
                    state_name(s, b->index));
}

/* --- run --- */

void states_begin(tenon_session *s) {
    for (uint32_t use = s->first_use; use < s->first_use + s->use_count; use++) {
        const PlanState *r = &s->plan->states[use];
        State *st = states_of_use(s, use);
        if (r->access != TN_STATE_WRITE || !st->dims[r->axis]) continue;
        st->dims[r->axis] = 0;
        s->states->generation++;
    }
}

void states_commit(tenon_session *s) {
    for (uint32_t use = s->first_use; use < s->first_use + s->use_count; use++) {
        const PlanState *r = &s->plan->states[use];
        if (r->access == TN_STATE_READ) continue;
        states_of_use(s, use)->dims[r->axis] = s->values[r->next];
        s->states->generation++;
    }
}
