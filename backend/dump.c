/* Dumps: a module after a pass as text or for Graphviz, or after several as one JSON document.
 *
 * Passes run over one graph after the other, so a stage is collected graph by graph as the pipeline
 * goes; stage 0 is the import, stage i the pass i - 1. */
#include "backend/dump.h"

#include <string.h>
#include "ir/print.h"

#define MAX_STAGES 64

typedef struct Stages {
    Cx *cx;
    int last; /* of those wanted */
    bool wanted[MAX_STAGES];
    TextBuffer graphs[MAX_STAGES];
    ConstantSet constants;
} Stages;

static const char *stage_name(int i) {
    return !i ? "import" : pass_at(i - 1) ? pass_at(i - 1)->name : NULL;
}

static int find_stage(Cx *cx, const char *name) {
    for (int i = 0; i < MAX_STAGES && stage_name(i); i++)
        if (!strcmp(stage_name(i), name)) return i;
    tn_fail(cx, TN_E_ARGUMENT, "there is no pass '%s'", name);
}

static void want(Stages *s, int stage) {
    s->wanted[stage] = true;
    if (stage > s->last) s->last = stage;
}

static int last_stage(void) {
    int n = 0;
    while (n + 1 < MAX_STAGES && stage_name(n + 1)) n++;
    return n;
}

/* "import,canon", "all", or NULL for the last. */
static void choose(Stages *s, const char *after) {
    if (!after || !strcmp(after, "all")) {
        for (int i = after ? 0 : last_stage(); i <= last_stage(); i++) want(s, i);
        return;
    }
    for (const char *end; *after; after = *end ? end + 1 : end) {
        end = after + strcspn(after, ",");
        want(s, find_stage(s->cx, arena_strndup(&s->cx->arena, after, (size_t)(end - after))));
    }
}

static void collect(Stages *s, const Graph *g, int stage) {
    TextBuffer *t = &s->graphs[stage];
    t->arena = &s->cx->arena;
    text_add(t, t->length ? ",\n" : "");
    print_graph_json(t, g, &s->constants);
}

static void on_pass(void *user, Graph *g, const char *pass) {
    Stages *s = user;
    int stage = find_stage(s->cx, pass);
    if (s->wanted[stage] && stage != s->last) collect(s, g, stage);
}

static void collect_all(Stages *s, const Module *m, int stage) {
    for (const Graph *g = m->graphs; g; g = g->next) collect(s, g, stage);
}

/* A stage equal to the one before it names that one instead. */
static void add_stages(TextBuffer *t, Stages *s) {
    int before = -1;
    text_key(t, "stages");
    text_add(t, "[");
    for (int i = 0; i <= s->last; i++) {
        if (!s->wanted[i]) continue;
        const char *graphs = text_end(&s->graphs[i]);
        text_item(t);
        text_add(t, "\n{");
        text_member(t, "after", stage_name(i));
        if (i) text_member(t, "purpose", pass_at(i - 1)->purpose);
        if (before >= 0 && !strcmp(graphs, text_end(&s->graphs[before]))) {
            text_member(t, "same_as", stage_name(before));
        } else {
            text_key(t, "graphs");
            text_add(t, "[");
            text_add(t, graphs);
            text_add(t, "]");
            before = i;
        }
        text_add(t, "}");
    }
    text_add(t, "]");
}

static const char *dump_json(Module *m, Report *r, const char *after) {
    Stages *s = ARENA_NEW(&m->cx->arena, Stages);
    s->cx = m->cx;
    s->constants.arena = &m->cx->arena;
    choose(s, after);
    if (s->wanted[0]) collect_all(s, m, 0);
    r->watch = on_pass;
    r->watch_user = s;
    if (s->last) {
        passes_run(m, r, stage_name(s->last));
        collect_all(s, m, s->last);
    }
    r->watch = NULL;
    TextBuffer t = {.arena = &m->cx->arena};
    text_add(&t, "{\"format\":\"tenon-dump\",\"version\":1,\"kind\":\"model\"");
    text_key(&t, "metadata");
    text_add(&t, "{");
    for (const Meta *meta = m->meta; meta; meta = meta->next)
        text_member(&t, meta->key, meta->value);
    text_add(&t, "}");
    print_require_json(&t, m);
    text_key(&t, "constants");
    print_constants_json(&t, m, &s->constants);
    add_stages(&t, s);
    text_add(&t, "}\n");
    return text_end(&t);
}

const char *dump_module(Module *m, Report *r, const char *format, const char *after) {
    if (!strcmp(format, "json")) return dump_json(m, r, after);
    bool dot = !strcmp(format, "dot");
    if (!dot && strcmp(format, "text"))
        tn_fail(m->cx, TN_E_ARGUMENT, "format '%s' is unknown; text, json and dot are known",
                format);
    if (after) find_stage(m->cx, after);
    if (!after || strcmp(after, "import")) passes_run(m, r, after);
    return dot ? print_dot(m) : ir_print(m);
}
