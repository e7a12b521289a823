/* Which value departs first.
 *
 * The plan's VALUES section says after which instruction which view holds which value of the source
 * model. A traced run compares each with what is expected of that name. The first that departs, in
 * the model's order, is wrong by itself: the values that it is computed from agree. Values that the
 * plan never has, because a fusion swallowed them, cannot be looked at; those that stand between
 * the first departing value and the nearest ones that agree are listed, as the fault may be theirs.
 *
 * A plan that computes no rows of padding says which rows it has under the name IR_KEPT_ROWS;
 * values of as many rows are compared with those of what is expected.
 *
 *     first to depart: node '/layer.0/Softmax' (softmax), value '/layer.0/Softmax_output_0'
 *       computed by instruction 7 (softmax)
 *       96 of 128 elements differ; at [0, 1, 3]: 0.25, expected 0.5 (allowed 3e-05)
 *       it is computed from '/layer.0/Add_output_0', which agrees (largest difference 2.4e-07) */
#include "tools/bisect.h"

#include <inttypes.h>
#include <string.h>

#define MAX_SUSPECTS 64 /* a bias of attention comes from dozens of nodes */

/* --- what is expected --- */

static Expected *expect(Expectations *x, const char *name, const char *node, const Value *value) {
    Expected *e = names_find(&x->by_name, name);
    if (e) return e;
    Arena *a = &x->cx->arena;
    e = ARENA_NEW(a, Expected);
    *e = (Expected){.name = name, .node = node, .value = value, .order = (int)x->count};
    x->by_name.arena = a;
    names_add(&x->by_name, name, e);
    x->list = arena_grow(a, x->list, &x->capacity, x->count + 1, sizeof(Expected *));
    x->list[x->count++] = e;
    return e;
}

static void add_tensor(Expectations *x, Expected *e, const StTensor *t) {
    e->tensors =
        arena_grow(&x->cx->arena, e->tensors, &e->capacity, e->count + 1, sizeof *e->tensors);
    e->tensors[e->count++] = *t;
}

void bisect_watch(void *user, const Value *v, const Tensor *t) {
    Expectations *x = user;
    for (const SourceName *s = v->sources; s; s = s->next) {
        StTensor tensor = {.name = s->name,
                           .dtype = t->dtype,
                           .rank = t->rank,
                           .data = t->data,
                           .bytes = t->bytes};
        memcpy(tensor.dims, t->dims, sizeof tensor.dims);
        add_tensor(x, expect(x, s->name, s->node, v), &tensor);
    }
}

void bisect_record(Expectations *x, const SafeTensors *file) {
    for (size_t i = 0; i < st_count(file); i++) {
        const StTensor *w = st_at(file, i);
        add_tensor(x, expect(x, w->name, NULL, NULL), w);
    }
}

/* --- the traced run --- */

/* What was seen of an expected value. */
typedef struct Seen {
    int computed, times; /* how often it was seen, and could be compared */
    int32_t instruction; /* that computed it; -1: never seen */
    int order;           /* of the first look, in the run */
    bool shapes_differ;  /* it could not be compared at least once */
    Agreement agreement; /* the first that is not ok, else the last */
    const char *opcode, *node;
} Seen;

typedef struct Bisect {
    Tool *t;
    const PlanRun *run;
    const Expectations *x;
    Tolerance tolerance;
    int64_t *scratch;
    Seen *seen; /* by order of the expected */
    int looks;
    int64_t *rows, row_count, most_rows; /* that are kept, -1: all; there is room for */
    char *picked;                        /* of an expected value, the same rows */
} Bisect;

static int64_t count_of(int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    return count;
}

/* Elements of a row if `got` is the kept rows of what is wanted, else 0. */
static int64_t row_length(const Bisect *b, const TnTensor *got, const StTensor *want) {
    int64_t length = 1, kept = count_of(got->rank, got->dims),
            all = count_of(want->rank, want->dims);
    int axis = got->rank > 1 && got->dims[0] == 1 ? 1 : 0;
    if (b->row_count < 0 || !got->rank || got->dims[axis] != b->row_count || all <= kept) return 0;
    for (int i = axis + 1; i < got->rank; i++) length *= got->dims[i];
    for (int64_t i = 0; i < b->row_count; i++)
        if (length == 0 || b->rows[i] < 0 || b->rows[i] >= all / length) return 0;
    return length && all % length == 0 ? length : 0;
}

/* The kept rows of what is wanted, under the dims of what there is. */
static StTensor pick_rows(const Bisect *b, const TnTensor *got, const StTensor *want,
                          int64_t length) {
    StTensor t = *want;
    size_t bytes = (size_t)length * tn_dtype_size((TnDType)want->dtype);
    for (int64_t i = 0; i < b->row_count; i++)
        memcpy(b->picked + (size_t)i * bytes, (const char *)want->data + (size_t)b->rows[i] * bytes,
               bytes);
    t.data = b->picked;
    t.bytes = (size_t)b->row_count * bytes;
    t.rank = got->rank;
    memcpy(t.dims, got->dims, sizeof t.dims);
    return t;
}

static void compare(Bisect *b, const Expected *e, const TnTensor *got, const tenon_event *event) {
    Seen *s = &b->seen[e->order];
    /* A recording has one iteration of a body, which is the first. */
    if ((size_t)s->computed >= e->count || (s->times && !s->agreement.ok)) return;
    const StTensor *want = &e->tensors[s->computed++];
    int64_t row = row_length(b, got, want);
    StTensor part = row ? pick_rows(b, got, want, row) : *want;
    Agreement a = agree(got, &part, b->tolerance);
    if (row) a.worst = b->rows[a.worst / row] * row + a.worst % row;
    if (!a.comparable) {
        s->shapes_differ = true;
        return;
    }
    if (!s->times) s->order = b->looks++;
    s->times++;
    s->agreement = a;
    s->instruction = event->instruction;
    s->opcode = event->opcode;
    s->node = event->node;
}

static void keep_rows(Bisect *b, const TnTensor *at) {
    bool fits = at->rank == 1 && at->dtype == TN_I64 && b->rows && at->dims[0] <= b->most_rows;
    b->row_count = fits ? at->dims[0] : -1;
    for (int64_t i = 0; i < b->row_count; i++)
        b->rows[i] = ((const int64_t *)at->data)[i * at->strides[0]];
}

static void on_event(void *user, const tenon_event *event) {
    Bisect *b = user;
    uint32_t count;
    const PlanValue *v = trace_values(b->run->plan, event->instruction, &count);
    for (uint32_t i = 0; i < count; i++) {
        const Expected *e = names_find(&b->x->by_name, plan_string(b->run->plan, v[i].name));
        TnTensor got;
        if (e && trace_look(b->run->session, &v[i], b->scratch, &got)) compare(b, e, &got, event);
        if (!strcmp(plan_string(b->run->plan, v[i].name), IR_KEPT_ROWS) &&
            trace_look(b->run->session, &v[i], b->scratch, &got))
            keep_rows(b, &got);
    }
    const Expected *e = *event->node ? names_find(&b->x->by_name, event->node) : NULL;
    const TnCall *call = trace_call(b->run->session);
    if (e && !e->value && call->outputs && !b->seen[e->order].times)
        compare(b, e, &call->operands[call->inputs], event);
}

/* --- the report --- */

static const char *origin_of(const Node *n) {
    return n->origin_count ? n->origins[0] : ir_op_info(n->op)->name;
}

static const Expected *expected_of(const Bisect *b, const Value *v) {
    for (const SourceName *s = v->sources; s; s = s->next) {
        const Expected *e = names_find(&b->x->by_name, s->name);
        if (e) return e;
    }
    return NULL;
}

/* Any of a value's names was looked at. */
static const Seen *seen_of(const Bisect *b, const Value *v) {
    for (const SourceName *s = v->sources; s; s = s->next) {
        const Expected *e = names_find(&b->x->by_name, s->name);
        if (e && b->seen[e->order].times) return &b->seen[e->order];
    }
    return NULL;
}

/* Nodes between a value and the nearest ones that were seen. */
typedef struct Suspects {
    const Node *nodes[MAX_SUSPECTS];
    int count;
    bool more;
    const Value *seen[MAX_SUSPECTS]; /* the nearest that were seen */
    int seen_count;
} Suspects;

static bool known(const Suspects *s, const Node *n, const Value *v) {
    for (int i = 0; i < s->count; i++)
        if (s->nodes[i] == n) return true;
    for (int i = 0; i < s->seen_count; i++)
        if (s->seen[i] == v) return true;
    return false;
}

/* Breadth first: the list is the queue. */
static void find_suspects(const Bisect *b, const Node *first, Suspects *s) {
    s->nodes[s->count++] = first;
    for (int i = 0; i < s->count; i++) {
        const Node *n = s->nodes[i];
        for (int k = 0; k < n->input_count; k++) {
            const Value *v = n->inputs[k];
            if (!v || !v->node || known(s, v->node, v)) continue;
            if (seen_of(b, v)) {
                if (s->seen_count < MAX_SUSPECTS) s->seen[s->seen_count++] = v;
            } else if (s->count < MAX_SUSPECTS) {
                s->nodes[s->count++] = v->node;
            } else {
                s->more = true;
            }
        }
    }
}

/* The node that computes the departing value, and those that may be meant by it: one node of the
 * model may be several of the graph. */
static void print_suspects(Tool *t, const Bisect *b, const Expected *e) {
    Suspects *s = ARENA_NEW(&t->cx.arena, Suspects);
    NameMap printed = {.arena = &t->cx.arena};
    find_suspects(b, e->value->node, s);
    for (int i = 0; i < s->seen_count; i++)
        tool_printf(t, "  computed from '%s', which agrees (largest difference %.3g)\n",
                    expected_of(b, s->seen[i])->name, seen_of(b, s->seen[i])->agreement.largest);
    names_add(&printed, e->node, s);
    for (int i = 0; i < s->count; i++) {
        const char *origin = origin_of(s->nodes[i]);
        if (!names_add(&printed, origin, s)) continue;
        if (printed.count == 2)
            tool_print(t, "  or one of these, whose values the plan does not have (compile with "
                          "--unfused to tell):\n");
        tool_printf(t, "    node '%s' (%s)\n", origin, ir_op_info(s->nodes[i]->op)->name);
    }
    if (s->more) tool_print(t, "    and more\n");
}

static void print_first(Tool *t, const Bisect *b, const Expected *e) {
    const Seen *s = &b->seen[e->order];
    const Agreement *a = &s->agreement;
    if (e->value)
        tool_printf(t, "first to depart: node '%s' (%s), value '%s'\n", e->node,
                    ir_op_info(e->value->node->op)->name, e->name);
    else
        tool_printf(t, "first to depart: '%s'\n", e->name);
    tool_printf(t, "  instruction %" PRId32 " (%s)%s%s%s", s->instruction, s->opcode,
                *s->node ? ", from '" : "", s->node, *s->node ? "'" : "");
    if (e->count > 1) tool_printf(t, ", iteration %d of %zu", s->computed, e->count);
    tool_printf(t,
                "\n  %" PRId64 " of %" PRId64 " elements differ; at %s: %.9g, expected %.9g "
                "(difference %.3g, allowed %.3g)\n",
                a->wrong, a->count, tool_index_text(t, &e->tensors[0], a->worst), a->got, a->want,
                a->error, a->allowed);
    if (!a->same_type)
        tool_printf(
            t, "  it has another element type or other dims; elements were compared in order\n");
    if (!e->value) return;
    if (!strcmp(e->node, origin_of(e->value->node)))
        print_suspects(t, b, e);
    else
        tool_printf(t, "  in the model it is '%s' unchanged\n", e->value->sources->name);
}

/* The order to look in: the model's, or the run's for a recording. */
static const Expected *first_departing(const Bisect *b) {
    const Expected *first = NULL;
    for (size_t i = 0; i < b->x->count; i++) {
        const Seen *s = &b->seen[i];
        if (!s->times || s->agreement.ok) continue;
        if (!first) first = b->x->list[i];
        if (!first->value && s->order < b->seen[first->order].order) first = b->x->list[i];
    }
    return first;
}

/* A callback allocates nothing. */
static void make_room(Bisect *b) {
    size_t most = 0;
    for (size_t i = 0; i < b->x->count; i++)
        for (size_t k = 0; k < b->x->list[i]->count; k++)
            if (b->x->list[i]->tensors[k].bytes > most) most = b->x->list[i]->tensors[k].bytes;
    b->row_count = -1;
    b->most_rows = (int64_t)most;
    b->picked = ARENA_ARRAY(&b->t->cx.arena, char, most + 1);
    b->rows = ARENA_ARRAY(&b->t->cx.arena, int64_t, most + 1);
}

bool bisect_run(Tool *t, const PlanRun *r, const Expectations *x, Tolerance tolerance) {
    Bisect b = {.t = t, .run = r, .x = x, .tolerance = tolerance};
    b.scratch = ARENA_ARRAY(&t->cx.arena, int64_t, (size_t)r->plan->exprs_count + 1);
    b.seen = ARENA_ARRAY(&t->cx.arena, Seen, x->count + 1);
    make_room(&b);
    tenon_error err;
    if (!r->plan->values_count)
        tn_fail(&t->cx, TN_E_ARGUMENT,
                "%s does not say where values of its model are (compiled with --strip)", r->path);
    tenon_session_trace(r->session, on_event, &b, NULL);
    tenon_status status = tenon_session_run(r->session, &err);
    tenon_session_trace(r->session, NULL, NULL, NULL);
    if (status) tool_fail(t, r->path, &err);
    size_t seen = 0, ok = 0, shapes = 0;
    for (size_t i = 0; i < x->count; i++) {
        seen += b.seen[i].times > 0;
        ok += b.seen[i].times > 0 && b.seen[i].agreement.ok;
        shapes += b.seen[i].shapes_differ;
    }
    tool_printf(t, "%zu of %zu expected values are in the plan, %zu agree\n", seen, x->count, ok);
    if (shapes) tool_printf(t, "%zu could not be compared: another number of elements\n", shapes);
    const Expected *first = first_departing(&b);
    if (first) print_first(t, &b, first);
    return !first;
}
