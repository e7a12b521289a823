/* tenon dump: a model's graph at any stage, or a plan, as text, JSON or for Graphviz. */
#include <string.h>
#include "backend/plan_write.h"
#include "passes/pass.h"
#include "tools/plan_json.h"
#include "tools/plan_text.h"
#include "tools/tool.h"

typedef struct Dump {
    const char *path, *after, *output, *format;
    TensorSource source; /* its dims: lengths for a plan's memory */
    bool passes;
    bool for_models; /* an option was given that plans do not have */
} Dump;

static void set_format(Tool *t, Dump *d, const char *format) {
    static const char *const known[] = {"text", "json", "dot"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(format, known[i])) d->format = known[i];
    if (!d->format) tool_usage(t, "format '%s' is unknown; text, json and dot are known", format);
}

/* What compiling takes too. Lengths: for a model they must be read before it is. */
static void set_option(Tool *t, Dump *d, tenonc *c, const char *name, const char *value) {
    if (tenonc_set(c, name + 2, value)) tool_usage(t, "%s", tenonc_error(c)->text);
    if (strcmp(name, "--dim"))
        d->for_models = true;
    else if (!strstr(value, ".."))
        tool_add_dim(t, &d->source, value);
}

static void parse(Tool *t, Dump *d, tenonc *c) {
    const char *name, *value;
    while (tool_next(t, &name, &value)) {
        if (!name) {
            if (d->path) tool_usage(t, "one model or plan is wanted");
            d->path = value;
        } else if (!strcmp(name, "--after")) {
            d->after = tool_value(t, name, value);
            d->for_models = true;
        } else if (!strcmp(name, "--passes")) {
            d->passes = true;
        } else if (!strcmp(name, "-o") || !strcmp(name, "--output")) {
            d->output = tool_value(t, name, value);
        } else if (!strcmp(name, "--format")) {
            d->format = NULL;
            set_format(t, d, tool_value(t, name, value));
        } else if (!strcmp(name, "--dim") || !strcmp(name, "--rename-dim") ||
                   !strcmp(name, "--task")) {
            set_option(t, d, c, name, tool_value(t, name, value));
        } else {
            tool_usage(t, "unknown option '%s'", name);
        }
    }
    if (!d->path && !d->passes) tool_usage(t, "a model or a plan is wanted");
}

static const char *plan_document(Tool *t, const Dump *d, tenon_plan *p) {
    TextBuffer text = {.arena = &t->cx.arena};
    const char **memory = ARENA_ARRAY(&t->cx.arena, const char *, p->functions_count);
    for (uint32_t i = 0; i < p->functions_count; i++)
        memory[i] = plan_memory(t, p, i, d->source.dims);
    plan_json(p, &text, memory);
    return text_end(&text);
}

static const char *dump_plan(Tool *t, const Dump *d) {
    bool json = !strcmp(d->format, "json");
    if (d->for_models || (d->source.dims && !json))
        tool_usage(t, "'%s' is a plan: --after, --dim and the like are for models%s", d->path,
                   d->for_models ? "" : ", --dim for plans as JSON");
    PlanRun r = tool_open(t, d->path, NULL, 1);
    TextBuffer text = {.arena = &t->cx.arena};
    if (json) return plan_document(t, d, r.plan);
    if (!strcmp(d->format, "dot")) return plan_dot(&t->cx.arena, r.plan);
    plan_text(r.plan, &text);
    return text_end(&text);
}

static const char *dump_model(Tool *t, const Dump *d, tenonc *c) {
    const char *text;
    if (tenonc_add(c, d->path, NULL) || tenonc_dump(c, d->format, d->after, &text))
        tool_fail_compile(t, c);
    return text;
}

int cmd_dump(Tool *t) {
    Dump d = {.format = "text"};
    tenonc *c = tool_compiler(t, NULL);
    parse(t, &d, c);
    for (int i = 0; d.passes && pass_at(i); i++)
        tool_printf(t, "%-16s %s\n", pass_at(i)->name, pass_at(i)->purpose);
    if (d.path)
        tool_write(t, d.output, plan_is_file(d.path) ? dump_plan(t, &d) : dump_model(t, &d, c));
    return EXIT_DONE;
}
