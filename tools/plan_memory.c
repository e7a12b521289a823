/* The memory plan as a session makes it: where in the arena each buffer lies, and between which
 * instructions. */
#include <inttypes.h>
#include <string.h>
#include "backend/sample.h"
#include "tools/plan_json.h"

/* Preparing a session allocates its arena, and a plan may want any size. */
#define MOST_MEMORY ((uint64_t)4 << 30)

/* --- lengths --- */

static PlanTables tables_of(const tenon_plan *p) {
    return (PlanTables){.symbols = p->symbols,
                        .states = p->states,
                        .buffers = p->buffers,
                        .strings = p->strings,
                        .state_count = p->states_count,
                        .exprs = p->exprs,
                        .requirements = p->requirements,
                        .ports = p->ports,
                        .views = p->views,
                        .ids = p->ids,
                        .symbol_count = p->symbols_count,
                        .expr_count = p->exprs_count,
                        .requirement_count = p->requirements_count};
}

/* The length that --dim gives the symbol, or TN_UNKNOWN. */
static int64_t given_length(const tenon_plan *p, uint32_t symbol, const DimSetting *dims) {
    for (const DimSetting *d = dims; d; d = d->next)
        if (!strcmp(d->name, plan_string(p, p->symbols[symbol].name))) return d->value;
    return TN_UNKNOWN;
}

/* --- the session --- */

/* Prepare reads no data, so one byte stands for all inputs. */
static tenon_status bind_inputs(tenon_session *s, const int64_t *values, tenon_error *err) {
    static unsigned char nothing[64] __attribute__((aligned(64)));
    const tenon_plan *p = s->plan;
    tenon_status status = TENON_OK;
    for (uint32_t i = 0; i < s->function->input_count && !status; i++) {
        const PlanPort *port = session_port(s, i);
        const PlanView *v = &p->views[port->view];
        tenon_tensor x = {.dtype = (tenon_dtype)v->dtype, .rank = v->rank, .data = nothing};
        for (uint32_t k = 0; k < v->rank; k++) x.dims[k] = values[p->ids[v->dims + k]];
        status = tenon_session_bind(s, plan_string(p, port->name), &x, err);
    }
    return status;
}

/* --- JSON --- */

/* Of the first stage: what follows is laid out during the run. */
static bool in_arena(const BufferState *b) {
    return b->placed && b->first != TN_NO_ID && b->stage == 0;
}

/* The instruction at which most bytes are live. */
static uint32_t peak_of(const tenon_session *s, Arena *a) {
    const PlanFunction *f = s->function;
    int64_t *change = ARENA_ARRAY(a, int64_t, (size_t)f->instruction_count + 2), live = 0,
            most = -1;
    uint32_t peak = 0;
    for (uint32_t i = 0; i < f->buffer_count; i++) {
        const BufferState *b = &s->buffers[i];
        if (!in_arena(b) || b->last >= f->instruction_count) continue;
        change[b->first] += (int64_t)b->bytes;
        change[b->last + 1] -= (int64_t)b->bytes;
    }
    for (uint32_t i = 0; i < f->instruction_count; i++) {
        live += change[i];
        if (live <= most) continue;
        most = live;
        peak = i;
    }
    return peak;
}

static void add_buffers(const tenon_session *s, TextBuffer *t) {
    text_key(t, "buffers");
    text_add(t, "[");
    for (uint32_t i = 0; i < s->function->buffer_count; i++) {
        const BufferState *b = &s->buffers[i];
        if (!in_arena(b)) continue;
        text_item(t);
        text_format(t,
                    "\n {\"buffer\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64
                    ",\"first\":%" PRIu32 ",\"last\":%" PRIu32 "}",
                    i, b->offset, b->bytes, b->first, b->last);
    }
    text_add(t, "]");
    text_member_int(t, "peak", peak_of(s, t->arena));
}

static void add_layout(tenon_session *s, TextBuffer *t) {
    tenon_memory m = {.struct_size = sizeof m};
    if (tenon_session_memory(s, &m, NULL)) return;
    text_member_int(t, "arena", (long long)m.arena);
    text_member_int(t, "live", (long long)m.live);
    text_member_int(t, "scratch", (long long)m.scratch);
    if (s->stage_count > 1) text_member_int(t, "stages", s->stage_count);
    add_buffers(s, t);
}

/* The lengths used, as an object. */
static void add_dims(const tenon_plan *p, const int64_t *lengths, TextBuffer *t) {
    text_key(t, "dims");
    text_add(t, "{");
    for (uint32_t i = 0; i < p->symbols_count; i++)
        if (p->symbols[i].kind == TN_SYMBOL_INPUT)
            text_member_int(t, plan_string(p, p->symbols[i].name), lengths[i]);
    text_add(t, "}");
}

static void destroy_session(void *s) {
    tenon_session_destroy(s);
}

/* A session prepared at the given lengths, or at sample ones; NULL and a message if the plan does
 * not take them. */
static tenon_session *prepared(Tool *t, tenon_plan *p, uint32_t function, const DimSetting *dims,
                               int64_t *lengths, tenon_error *err) {
    const PlanFunction *f = &p->functions[function];
    Arena *a = &t->cx.arena;
    tenon_session *s;
    tenon_session_options options = {.struct_size = sizeof options,
                                     .function = plan_string(p, f->name),
                                     .memory_limit = MOST_MEMORY};
    if (tenon_session_create(p, &options, &s, err)) tool_fail(t, options.function, err);
    tn_defer(&t->cx, destroy_session, s);
    PlanTables tables = tables_of(p);
    for (uint32_t i = 0; i < p->symbols_count; i++) lengths[i] = given_length(p, i, dims);
    sample_lengths(a, &tables, f, function, lengths);
    const int64_t *values = sample_values(a, &tables, lengths);
    bool failed = bind_inputs(s, values, err) ||
                  sample_bind_states(a, &tables, function, values, s, err) ||
                  tenon_session_prepare(s, err);
    return failed ? NULL : s;
}

const char *plan_memory(Tool *t, tenon_plan *p, uint32_t function, const DimSetting *dims) {
    if (p->functions[function].flags & TN_FUNCTION_INTERNAL) return NULL;
    int64_t *lengths = ARENA_ARRAY(&t->cx.arena, int64_t, p->symbols_count);
    tenon_error err;
    tenon_session *s = prepared(t, p, function, dims, lengths, &err);
    TextBuffer x = {.arena = &t->cx.arena};
    text_add(&x, "{");
    add_dims(p, lengths, &x);
    if (s)
        add_layout(s, &x);
    else
        text_member(&x, "error", err.text);
    text_add(&x, "}");
    return text_end(&x);
}

const char *plan_memory_peak(Tool *t, tenon_plan *p, uint32_t function) {
    const PlanFunction *f = &p->functions[function];
    int64_t *lengths = ARENA_ARRAY(&t->cx.arena, int64_t, p->symbols_count);
    tenon_error err;
    if (f->flags & TN_FUNCTION_INTERNAL) return "";
    tenon_session *s = prepared(t, p, function, NULL, lengths, &err);
    if (!s || !f->instruction_count) return "";
    uint32_t peak = peak_of(s, &t->cx.arena);
    TextBuffer x = {.arena = &t->cx.arena};
    text_format(&x,
                "arena map of %s at its peak, instruction %" PRIu32
                "\n      offset        bytes  instructions  written by\n",
                plan_string(p, f->name), peak);
    for (uint32_t i = 0; i < f->buffer_count; i++) {
        const BufferState *b = &s->buffers[i];
        if (!in_arena(b) || b->first > peak || b->last < peak) continue;
        text_format(&x, "%12" PRIu64 " %12" PRIu64 " %5" PRIu32 " .. %-5" PRIu32 " %s\n", b->offset,
                    b->bytes, b->first, b->last, plan_origin(p, f->first_instruction + b->first));
    }
    return text_end(&x);
}
