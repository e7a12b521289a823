/* The order of passes: passes.def, with canon after every pass that changed something. */
#include "passes/pass.h"

#include <string.h>

static const PassInfo passes[] = {
#define PASS(name, purpose) {#name, pass_##name, purpose},
#include "passes/passes.def"
#undef PASS
};

const PassInfo *pass_at(int i) {
    return i >= 0 && (size_t)i < sizeof passes / sizeof *passes ? &passes[i] : NULL;
}

const PassInfo *pass_find(const char *name) {
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        if (!strcmp(passes[i].name, name)) return &passes[i];
    return NULL;
}

static void run_graph(Graph *g, Report *r, const char *last) {
    Cx *cx = g->module->cx;
    const size_t count = sizeof passes / sizeof *passes;
    for (size_t i = 0; i < count; i++) {
        tn_progress(cx, "passes", (int)i + 1, (int)count);
        if (passes[i].run == pass_state && !g->module->keep_states) continue;
        if (passes[i].run == pass_bfloat && !g->module->bf16) continue;
        tn_enter(cx, "pass", passes[i].name);
        if (passes[i].run(g, r) && i > 0) pass_canon(g, r);
#ifndef NDEBUG
        const char *broken = ir_verify(g);
        if (broken) tn_fail(cx, TN_E_INVALID, "the graph is broken: %s", broken);
#endif
        tn_leave(cx);
        if (r->watch) r->watch(r->watch_user, g, passes[i].name);
        if (last && !strcmp(last, passes[i].name)) break;
    }
}

void passes_run_unfused(Module *m, Report *r) {
    for (Graph *g = m->graphs; g; g = g->next) {
        pass_widen(g, r);
        pass_map_alone(g, r);
    }
    ir_remove_unused_bodies(m);
}

void passes_run(Module *m, Report *r, const char *last) {
    for (Graph *g = m->graphs; g; g = g->next) run_graph(g, r, last);
    ir_remove_unused_bodies(m);
    /* constants that were folded in several graphs */
    for (Graph *g = m->graphs; g && !last; g = g->next)
        if (g != m->graphs) pass_share(g, r);
}
