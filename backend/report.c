/* The report of a compilation: fusions fired and missed, instructions by kind, bytes, memory at
 * sample lengths. */
#include "backend/report.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include "backend/movement.h"
#include "backend/plan_write.h"
#include "ir/text.h"
#include "runtime/base/cpu.h"

#define MAX_MEASURED ((uint64_t)512 << 20) /* bytes of arena */

typedef struct Usage {
    tenon_memory memory;
    Movement movement;
    const char *dims; /* "batch=1 sequence=128" */
} Usage;

typedef struct DimsText {
    const PlanTables *tables;
    const int64_t *lengths;
    TextBuffer text;
    bool *told; /* by symbol */
} DimsText;

static void tell_dims(DimsText *d, uint32_t first, uint32_t rank) {
    const PlanTables *p = d->tables;
    for (uint32_t k = 0; k < rank; k++) {
        const PlanExpr *e = &p->exprs[p->ids[first + k]];
        if (e->op != TN_EXPR_SYMBOL || d->told[e->a]) continue;
        d->told[e->a] = true;
        text_format(&d->text, "%s%s=%" PRId64, d->text.length ? " " : "",
                    p->strings + p->symbols[e->a].name, d->lengths[e->a]);
    }
}

/* "batch=1 sequence=128": the symbols of the function's inputs, and of what it finds in states. */
static const char *dims_text(Image *im, const PlanTables *p, const PlanFunction *f,
                             const int64_t *lengths) {
    DimsText d = {.tables = p, .lengths = lengths, .text = {.arena = &im->cx->arena}};
    d.told = ARENA_ARRAY(&im->cx->arena, bool, (size_t)p->symbol_count + 1);
    for (uint32_t i = 0; i < f->input_count; i++) {
        const PlanView *v = &p->views[p->ports[f->first_input + i].view];
        tell_dims(&d, v->dims, v->rank);
    }
    for (uint32_t i = 0; i < p->state_count; i++)
        if (p->states[i].function == 0 && p->states[i].access != TN_STATE_WRITE)
            tell_dims(&d, p->states[i].dims, p->states[i].rank);
    return text_end(&d.text);
}

static bool bind_inputs(Image *im, const PlanTables *p, const PlanFunction *f,
                        const int64_t *values, tenon_session *session) {
    static const int64_t nothing; /* aligned for every type */
    for (uint32_t i = 0; i < f->input_count; i++) {
        const PlanPort *port = &p->ports[f->first_input + i];
        const PlanView *v = &p->views[port->view];
        tenon_tensor t = {
            .dtype = (tenon_dtype)v->dtype, .rank = v->rank, .data = (void *)(uintptr_t)&nothing};
        for (uint32_t k = 0; k < v->rank; k++) t.dims[k] = values[p->ids[v->dims + k]];
        if (tenon_session_bind(session, (const char *)im->strings.data + port->name, &t, NULL))
            return false;
    }
    return !sample_bind_states(&im->cx->arena, p, 0, values, session, NULL);
}

/* Prepares a session over inputs of sample lengths; prepare does not read their data. A model that
 * needs more than MAX_MEASURED gets no figures rather than that much memory while compiling. */
static bool measure(Image *im, tenon_plan *plan, Usage *u) {
    tenon_session *session;
    const tenon_session_options options = {.struct_size = sizeof options,
                                           .memory_limit = MAX_MEASURED};
    PlanTables p = sample_tables(im);
    const PlanFunction *f = (const PlanFunction *)im->functions.data;
    int64_t *lengths = ARENA_ARRAY(&im->cx->arena, int64_t, im->symbols.count + 1);
    for (size_t i = 0; i < im->symbols.count; i++) lengths[i] = TN_UNKNOWN;
    sample_lengths(&im->cx->arena, &p, f, 0, lengths);
    const int64_t *values = sample_values(&im->cx->arena, &p, lengths);
    u->memory.struct_size = sizeof u->memory;
    u->dims = dims_text(im, &p, f, lengths);
    u->movement = movement_at(im, values);
    /* while there is a session nothing asks the compiler for memory, which may have run out */
    if (tenon_session_create(plan, &options, &session, NULL)) return false;
    bool ok = bind_inputs(im, &p, f, values, session) &&
              tenon_session_prepare(session, NULL) == TENON_OK &&
              tenon_session_memory(session, &u->memory, NULL) == TENON_OK;
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

/* Nodes of this operator in all graphs, and steps of maps. */
static int count_operator(const Module *m, OpKind op) {
    int n = 0;
    for (const Graph *g = m->graphs; g; g = g->next)
        for (const Node *k = g->first; k; k = k->next) {
            const MapBody *body = k->op == OP_map ? attr_body(k, "body") : NULL;
            n += k->op == op;
            for (int i = 0; body && i < body->count; i++) n += body->steps[i].op == op;
        }
    return n;
}

/* Instructions whose results are integers or truth values. */
static int count_integer(const Image *im) {
    int n = 0;
    const PlanInstruction *p = (const PlanInstruction *)im->instructions.data;
    const uint32_t *ids = (const uint32_t *)im->ids.data;
    for (size_t i = 0; i < im->instructions.count; i++) {
        uint32_t view = p[i].outputs ? ids[p[i].operands + p[i].inputs] : TN_NO_ID;
        n += view != TN_NO_ID &&
             !tn_is_float((TnDType)((const PlanView *)im->views.data)[view].dtype);
    }
    return n;
}

static void add_operators(const Image *im, TextBuffer *t) {
    const char *comma = "";
    text_add(t, "},\"operators\":{");
    for (int op = 0; op < OP_COUNT; op++) {
        int n = count_operator(im->module, (OpKind)op);
        if (!n) continue;
        text_format(t, "%s\"%s\":%d", comma, ir_op_info((OpKind)op)->name, n);
        comma = ",";
    }
    text_format(t, "},\"integer_instructions\":%d", count_integer(im));
}

/* Operators that read or write bf16, and others that give f32; moves are neither. */
typedef struct Precision {
    int bf16, f32;
    bool native; /* this CPU multiplies bf16 */
} Precision;

static bool touches_bf16(const Node *n) {
    bool bf16 = false;
    for (int i = 0; i < n->input_count; i++)
        bf16 |= n->inputs[i] && n->inputs[i]->type.dtype == TN_BF16;
    for (int i = 0; i < n->output_count; i++) bf16 |= n->outputs[i]->type.dtype == TN_BF16;
    return bf16;
}

static Precision precision_of(const Module *m) {
    Precision p = {.native = tn_cpu_isa() >= TN_ISA_AVX512_BF16};
    for (const Graph *g = m->graphs; g; g = g->next)
        for (const Node *n = g->first; n; n = n->next) {
            bool moves = ir_op_info(n->op)->flags & (OPF_MOVE | OPF_CONTROL);
            bool f32 = n->output_count && n->outputs[0]->type.dtype == TN_F32;
            if (moves) continue;
            if (touches_bf16(n))
                p.bf16++;
            else
                p.f32 += f32;
        }
    return p;
}

/* Constants in records, and their bytes. */
static int count_records(const Image *im, uint64_t *bytes) {
    const PlanConstant *c = (const PlanConstant *)(const void *)im->constants.data;
    int count = 0;
    *bytes = 0;
    for (size_t i = 0; i < im->constants.count; i++) {
        if (!tn_is_records((TnLayout)c[i].layout)) continue;
        count++;
        *bytes += c[i].bytes;
    }
    return count;
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
    if (im->module->bf16) {
        Precision p = precision_of(im->module);
        text_format(&t,
                    "precision              bf16: %d operators, %d others in f32; this CPU %s\n",
                    p.bf16, p.f32,
                    p.native ? "multiplies bf16" : "has no products of bf16 and converts to f32");
    }
    uint64_t bytes;
    int count = count_records(im, &bytes);
    if (im->module->weight_bits)
        text_format(&t,
                    "precision              int%d: %d weights, %" PRIu64 " bytes; all else f32\n",
                    im->module->weight_bits, count, bytes);
    else if (count)
        text_format(&t,
                    "records                %6d weights as the model has them, %" PRIu64 " bytes\n",
                    count, bytes);
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
    add_operators(im, &t);
    if (im->module->bf16) {
        Precision p = precision_of(im->module);
        text_format(&t, ",\"precision\":{\"bf16_operators\":%d,\"f32_operators\":%d,\"native\":%s}",
                    p.bf16, p.f32, p.native ? "true" : "false");
    }
    uint64_t bytes;
    int count = count_records(im, &bytes);
    if (im->module->weight_bits)
        text_format(&t, ",\"precision\":{\"weight_bits\":%d,\"weights\":%d,\"bytes\":%" PRIu64 "}",
                    im->module->weight_bits, count, bytes);
    else if (count)
        text_format(&t, ",\"records\":{\"weights\":%d,\"bytes\":%" PRIu64 "}", count, bytes);
    text_format(&t, ",\"constant_bytes\":%" PRIu64 ",\"plan_bytes\":%" PRIu64, im->weight_bytes,
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
