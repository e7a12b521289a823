/* States: memory that outlives a run, with room for more rows than there are.
 *
 *     past  [b, h, 0 .. past, d]      a view of [b, h, capacity, d]
 *     concat past, rows               copies rows to [b, h, past .. past + n, d] of it
 *     the concat's result             is [b, h, 0 .. past + n, d] of it
 *
 * So a step moves the new rows only, however long the past. States whose lengths are the same
 * expression have the same capacity, a symbol that prepare chooses. Records are in the order that
 * the format wants: states that other functions have, as they were numbered, then new ones. */
#include "backend/lower.h"

#include <stdlib.h>
#include <string.h>

typedef struct LState {
    const StateUse *use;
    const Type *type;     /* as found, or else as left */
    const Expr *capacity; /* a symbol */
    View memory;          /* with the length as left */
    uint32_t first;       /* record of the state in another function, or TN_NO_ID */
} LState;

static const Value *left_by(const Lower *lo, const LState *s) {
    return s->use->output >= 0 ? lo->g->outputs[s->use->output] : lo->g->inputs[s->use->input];
}

static const Expr *length_of(const LState *s) {
    return s->type->dims[s->use->axis];
}

/* A symbol that no one else has. */
static const Expr *new_capacity(Lower *lo, const Expr *length) {
    const char *name =
        arena_printf(&lo->cx->arena, "%s.capacity(%s)", lo->g->name, ex_text(lo->x, length));
    while (ex_find_symbol(lo->x, name)) name = arena_printf(&lo->cx->arena, "%s'", name);
    return ex_symbol(lo->x, name);
}

static const Expr *capacity_of(Lower *lo, const LState *s) {
    for (const LState *other = lo->states; other < s; other++)
        if (length_of(other) == length_of(s)) return other->capacity;
    return new_capacity(lo, length_of(s));
}

static uint32_t first_record(const Image *im, const char *name) {
    const PlanState *records = (const PlanState *)im->states.data;
    for (uint32_t i = 0; i < im->states.count; i++)
        if (!strcmp((const char *)im->strings.data + records[i].name, name))
            return records[i].state;
    return TN_NO_ID;
}

static void lower_state(Lower *lo, LState *s) {
    const StateUse *use = s->use;
    const Value *left = left_by(lo, s), *found = use->input >= 0 ? lo->g->inputs[use->input] : NULL;
    s->type = found ? &found->type : &left->type;
    s->capacity = capacity_of(lo, s);
    s->first = first_record(lo->im, use->name);
    Type room = *s->type;
    room.dims[use->axis] = s->capacity;
    const Expr *elements = ir_elements(lo->im->module, &room);
    uint32_t buffer = found ? lo->view_of[found->id].buffer
                            : lower_buffer(lo, TN_BUFFER_STATE, 0, elements, room.dtype);
    lo->buffers[buffer].elements = elements;
    s->memory = view_dense(lo, buffer, &room);
    s->memory.dims[use->axis] = left->type.dims[use->axis];
    View before = s->memory;
    before.dims[use->axis] = length_of(s);
    if (found) lower_set(lo, found, before);
}

static int by_record(const void *a, const void *b) {
    const LState *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->use < y->use ? -1 : x->use > y->use;
}

void lower_states(Lower *lo) {
    const Graph *g = lo->g;
    lo->states = ARENA_ARRAY(&lo->cx->arena, LState, (size_t)g->state_count + 1);
    for (int i = 0; i < g->state_count; i++) {
        lo->states[i].use = &g->states[i];
        lower_state(lo, &lo->states[i]);
    }
    qsort(lo->states, (size_t)g->state_count, sizeof *lo->states, by_record);
    for (int i = 0; i < g->state_count; i++)
        lo->buffers[lo->states[i].memory.buffer].index =
            (uint32_t)(lo->im->states.count + (size_t)i);
}

/* The first state that the graph leaves with the contents v, and found with some (or not). */
static const View *left_with(const Lower *lo, const Value *v, bool found) {
    for (int i = 0; i < lo->g->state_count; i++) {
        const StateUse *use = lo->states[i].use;
        if ((use->input >= 0) == found && use->output >= 0 && lo->g->outputs[use->output] == v)
            return &lo->states[i].memory;
    }
    return NULL;
}

const View *lower_appended(const Lower *lo, const Value *v) {
    return left_with(lo, v, true);
}

const View *lower_made(const Lower *lo, const Value *v) {
    return left_with(lo, v, false);
}

void lower_write_states(Lower *lo, const Value *v) {
    for (int i = 0; i < lo->g->state_count; i++) {
        const StateUse *use = lo->states[i].use;
        const View *to = &lo->states[i].memory;
        if (use->input >= 0 || lo->g->outputs[use->output] != v) continue;
        View from = lower_operand(lo, v);
        if (!view_is_same(&from, to)) lower_emit_copy(lo, &from, to);
    }
}

/* The axis of the sequences of a batch: the first other one whose length the caller chooses. */
static uint8_t batch_axis(const LState *s) {
    int64_t length;
    for (int i = 0; i < s->type->rank; i++)
        if (i != s->use->axis && !ex_const(s->type->dims[i], &length)) return (uint8_t)i;
    return TN_NO_AXIS;
}

void lower_record_states(Lower *lo, uint32_t function, const uint32_t *buffer_ids) {
    Image *im = lo->im;
    for (int i = 0; i < lo->g->state_count; i++) {
        const LState *s = &lo->states[i];
        const StateUse *use = s->use;
        bool known = s->first != TN_NO_ID;
        const Value *found = use->input >= 0 ? lo->g->inputs[use->input] : NULL;
        Type t = *s->type;
        for (int k = 0; found && found->declared && k < t.rank; k++)
            if (found->declared[k]) t.dims[k] = ex_declared(lo->x, found->declared[k]);
        PlanState p = {.name = image_string(im, use->name),
                       .state = known ? s->first : (uint32_t)im->states.count,
                       .function = function,
                       .buffer = buffer_ids[s->memory.buffer],
                       .dims = image_exprs(im, t.dims, t.rank),
                       .capacity = image_capacity(im, s->capacity),
                       .next = image_expr(im, left_by(lo, s)->type.dims[use->axis]),
                       .access = use->output < 0  ? TN_STATE_READ
                                 : use->input < 0 ? TN_STATE_WRITE
                                                  : TN_STATE_APPEND,
                       .rank = (uint8_t)t.rank,
                       .axis = (uint8_t)use->axis,
                       .batch = batch_axis(s)};
        if (known) p.batch = ((PlanState *)im->states.data)[s->first].batch;
        *(PlanState *)table_add(im, &im->states) = p;
    }
}
