/* Collecting a profile: a trace callback that adds up. Nothing here allocates while a run is on. */
#include "tools/profile.h"

#include "backend/cost.h"
#include "runtime/pack.h"
#include "tools/plan_json.h"

/* How many sessions called this one: bodies of control flow have sessions of their own. */
static int depth_of(const tenon_session *s) {
    int depth = 0;
    for (; s->caller && depth < PROFILE_DEPTH - 2; s = s->caller) depth++;
    return depth;
}

/* Its own time: what it ran has ended, and reported, before it does. */
static int64_t own_time(Profile *p, const TnCall *call, int64_t nanoseconds) {
    int depth = depth_of(p->run->session->traced);
    int64_t own = nanoseconds;
    if (call->opcode == TN_OP_if || call->opcode == TN_OP_loop) {
        own -= p->inner[depth + 1];
        p->inner[depth + 1] = 0;
    }
    p->inner[depth] += nanoseconds;
    return own > 0 ? own : 0;
}

/* What is multiplied, and how often, where it is the second operand that says so: beside records,
 * rows are two limbs of 8 bits where the CPU multiplies these (runtime/kernels/records.h). */
static void note_arithmetic(ProfileLine *l, const TnTensor *b, TnIsa isa) {
    bool limbs = tn_is_records((TnLayout)b->layout) && isa >= TN_ISA_AVX512_VNNI;
    bool bytes = limbs || b->layout == TN_LAYOUT_QUADS16;
    l->type = b->dtype == TN_BF16 ? ROOFLINE_BF16 : bytes ? ROOFLINE_I8 : ROOFLINE_F32;
    l->passes = limbs ? 2 : 1;
}

static void on_event(void *user, const tenon_event *e) {
    Profile *p = user;
    ProfileLine *l = &p->lines[e->instruction];
    const TnCall *call = trace_call(p->run->session);
    if (p->first) {
        Cost cost = cost_of(call);
        l->opcode = e->opcode;
        l->node = e->node;
        l->flops += cost.flops;
        l->bytes += cost.bytes;
        l->moves = cost.moves;
        l->passes = 1;
        if (call->inputs > 1) note_arithmetic(l, &call->operands[1], p->run->plan->isa);
        p->event_room++;
        return;
    }
    l->opcode = e->opcode;
    l->node = e->node;
    l->run += own_time(p, call, e->nanoseconds);
    l->calls++;
    if (p->event_count == p->event_room) return; /* more than the first run had */
    int64_t end = (int64_t)((tool_now_ms() - p->began_ms) * 1e6);
    p->events[p->event_count++] = (ProfileEvent){
        e->instruction, end > e->nanoseconds ? end - e->nanoseconds : 0, e->nanoseconds};
}

void profile_start(Tool *t, Profile *p, const PlanRun *r) {
    const tenon_plan *plan = r->plan;
    tenon_error err;
    *p = (Profile){.arena = &t->cx.arena, .run = r, .count = plan->instructions_count};
    p->lines = ARENA_ARRAY(p->arena, ProfileLine, (size_t)p->count + 1);
    for (uint32_t f = 0; f < plan->functions_count; f++) {
        const PlanFunction *function = &plan->functions[f];
        const char **groups = plan_groups(p->arena, plan, function);
        for (uint32_t i = 0; i < function->instruction_count; i++)
            p->lines[function->first_instruction + i].group = groups[i];
    }
    tenon_session_trace(r->session, on_event, p, NULL);
    p->first = true;
    if (tenon_session_run(r->session, &err)) tool_fail(t, r->path, &err);
    p->first = false;
    p->events = ARENA_ARRAY(p->arena, ProfileEvent, p->event_room + 1);
    roof_open(t, &p->roof, r);
    roof_look(&p->roof);
}

void profile_begin(Profile *p) {
    for (uint32_t i = 0; i < p->count; i++) p->lines[i].run = 0;
    p->inner[0] = 0;
    p->event_count = 0;
    p->began_ms = tool_now_ms();
}

void profile_end(Profile *p) {
    for (uint32_t i = 0; i < p->count; i++) {
        ProfileLine *l = &p->lines[i];
        if (!p->runs || l->run < l->least) l->least = l->run;
        l->sum += l->run;
    }
    p->runs++;
}

void profile_stop(Profile *p) {
    roof_look(&p->roof);
    tenon_session_trace(p->run->session, NULL, NULL, NULL);
}
