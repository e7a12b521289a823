/* The report of a compilation: fusions fired and missed, instructions by kind, bytes, memory at
 * sample lengths. */
#include "backend/report.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include "backend/movement.h"
#include "backend/plan_write.h"
#include "ir/text.h"

#define SAMPLE_LENGTH \
    128 /* of symbols other than the first axis of inputs, if they may be that long */

#define MAX_MEASURED ((uint64_t)512 << 20) /* bytes of arena */

typedef struct Usage {
    tenon_memory memory;
    Movement movement;
    const char *dims; /* "batch=1 sequence=128" */
} Usage;

/* Lengths to report memory for: 1 along first axes, SAMPLE_LENGTH or the largest allowed elsewhere.
 */
static int64_t sample(Image *im, const char *name, bool first) {
    const Symbol *s = ex_find_symbol(im->ex, name);
    int64_t v = first ? 1 : SAMPLE_LENGTH;
    if (s && v > s->max) v = s->max;
    if (s && v < s->min) v = s->min;
    return v;
}

static void set_length(const Image *im, int64_t *lengths, const char *name, int64_t length) {
    const PlanSymbol *symbols = (const PlanSymbol *)im->symbols.data;
    for (size_t i = 0; i < im->symbols.count; i++)
        if (!strcmp((const char *)im->strings.data + symbols[i].name, name)) lengths[i] = length;
}

/* Prepares a session over inputs of sample lengths; prepare does not read their data. A model that
 * needs more than MAX_MEASURED gets no figures rather than that much memory while compiling. */
static bool measure(Image *im, tenon_plan *plan, Usage *u) {
    static unsigned char nothing;
    tenon_session *session;
    tenon_port port;
    TextBuffer dims = {.arena = &im->cx->arena};
    const tenon_session_options options = {.struct_size = sizeof options,
                                           .memory_limit = MAX_MEASURED};
    int64_t *lengths = ARENA_ARRAY(&im->cx->arena, int64_t, im->symbols.count + 1);
    if (tenon_session_create(plan, &options, &session, NULL)) return false;
    bool ok = true;
    for (size_t i = 0; i < im->symbols.count; i++) lengths[i] = -1;
    for (int32_t i = 0;
         ok && tenon_plan_port(plan, NULL, i, &port, NULL) == TENON_OK && !port.is_output; i++) {
        tenon_tensor t = {.dtype = port.dtype, .rank = port.rank, .data = &nothing};
        for (int32_t a = 0; a < port.rank; a++) {
            t.dims[a] = port.dims[a];
            if (t.dims[a] >= 0) continue;
            t.dims[a] = sample(im, port.symbols[a], a == 0);
            set_length(im, lengths, port.symbols[a], t.dims[a]);
            const char *set = arena_printf(&im->cx->arena, "%s%s=%" PRId64, dims.length ? " " : "",
                                           port.symbols[a], t.dims[a]);
            if (!strstr(text_end(&dims), set + (dims.length ? 1 : 0))) text_add(&dims, set);
        }
        ok = tenon_session_bind(session, port.name, &t, NULL) == TENON_OK;
    }
    u->memory.struct_size = sizeof u->memory;
    ok = ok && tenon_session_prepare(session, NULL) == TENON_OK &&
         tenon_session_memory(session, &u->memory, NULL) == TENON_OK;
    u->dims = text_end(&dims);
    u->movement = movement_at(im, lengths);
    tenon_session_destroy(session);
    return ok;
}

void report_plan(Image *im, tenon_plan *plan) {
    Usage *u = ARENA_NEW(&im->cx->arena, Usage);
    if (measure(im, plan, u)) im->usage = u;
}

static int count_kind(const Image *im, int opcode) {
    int n = 0;
    const PlanInstruction *p = (const PlanInstruction *)im->instructions.data;
    for (size_t i = 0; i < im->instructions.count; i++) n += p[i].opcode == opcode;
    return n;
}

const char *report_text(const Report *r, Image *im) {
    TextBuffer t = {.arena = &im->cx->arena};
    text_add(&t, "fusions\n");
    for (const Fired *f = r->fired; f; f = f->next)
        text_format(&t, "  %-20s %6d\n", f->rule, f->count);
    if (r->miss_count) text_format(&t, "near misses (%d)\n", r->miss_count);
    for (const NearMiss *m = r->misses; m; m = m->next)
        text_format(&t, "  %s at '%s': %s\n", m->rule, m->node, m->why);
    text_format(&t, "instructions           %6zu\n", im->instructions.count);
    for (int op = 1; op < TN_OP_COUNT; op++)
        if (tn_instr(op) && count_kind(im, op))
            text_format(&t, "  %-20s %6d\n", tn_instr(op)->name, count_kind(im, op));
    text_format(&t, "constants              %6zu, %" PRIu64 " bytes\n", im->constants.count,
                im->weight_bytes);
    text_format(&t, "plan                   %" PRIu64 " bytes\n", plan_bytes(im));
    const Usage *u = im->usage;
    if (u)
        text_format(&t,
                    "arena                  %" PRIu64 " bytes, largest live set %" PRIu64
                    ", scratch %" PRIu64 "%s%s\n",
                    u->memory.arena - u->memory.scratch, u->memory.live, u->memory.scratch,
                    *u->dims ? ", at " : "", u->dims);
    if (u)
        text_format(&t, "data movement          %.0f of %.0f bytes that instructions touch%s\n",
                    u->movement.moved, u->movement.bytes,
                    u->movement.unknown ? ", but for lengths that a run measures" : "");
    return text_end(&t);
}

const char *report_json(const Report *r, Image *im) {
    TextBuffer t = {.arena = &im->cx->arena};
    text_add(&t, "{\"fusions\":{");
    for (const Fired *f = r->fired; f; f = f->next)
        text_format(&t, "%s\"%s\":%d", f == r->fired ? "" : ",", f->rule, f->count);
    text_add(&t, "},\"near_misses\":[");
    for (const NearMiss *m = r->misses; m; m = m->next) {
        text_format(&t, "%s{\"fusion\":\"%s\",\"node\":", m == r->misses ? "" : ",", m->rule);
        text_json(&t, m->node);
        text_add(&t, ",\"why\":");
        text_json(&t, m->why);
        text_add(&t, "}");
    }
    text_add(&t, "],\"instructions\":{");
    const char *comma = "";
    for (int op = 1; op < TN_OP_COUNT; op++) {
        if (!tn_instr(op) || !count_kind(im, op)) continue;
        text_format(&t, "%s\"%s\":%d", comma, tn_instr(op)->name, count_kind(im, op));
        comma = ",";
    }
    text_format(&t, "},\"constant_bytes\":%" PRIu64 ",\"plan_bytes\":%" PRIu64, im->weight_bytes,
                plan_bytes(im));
    const Usage *u = im->usage;
    if (u) {
        text_format(&t,
                    ",\"arena_bytes\":%" PRIu64 ",\"live_bytes\":%" PRIu64
                    ",\"scratch_bytes\":%" PRIu64 ",\"dims\":",
                    u->memory.arena - u->memory.scratch, u->memory.live, u->memory.scratch);
        text_json(&t, u->dims);
        text_format(&t,
                    ",\"movement\":{\"moved_bytes\":%.0f,\"bytes\":%.0f,\"flops\":%.0f,"
                    "\"uncounted_instructions\":%d}",
                    u->movement.moved, u->movement.bytes, u->movement.flops, u->movement.unknown);
    }
    text_add(&t, "}\n");
    return text_end(&t);
}

const char *report_inputs(Module *m) {
    TextBuffer t = {.arena = &m->cx->arena};
    for (const Graph *g = m->graphs; g; g = g->next)
        for (int i = 0; !g->internal && i < g->input_count; i++) {
            const Value *v = g->inputs[i];
            text_format(&t, "%s%s[", t.length ? ", " : "", v->name);
            for (int k = 0; k < v->type.rank; k++) {
                const Symbol *s = v->declared ? v->declared[k] : NULL;
                text_format(&t, "%s%s", k ? ", " : "",
                            s ? s->name : ex_text(m->ex, v->type.dims[k]));
            }
            text_add(&t, "]");
        }
    return text_end(&t);
}
