/* tenon dump: a model's graph at any stage, or a plan, as text. */
#include <string.h>
#include "backend/plan_write.h"
#include "passes/pass.h"
#include "tools/plan_text.h"
#include "tools/tool.h"

typedef struct Dump {
    const char *path, *after, *output;
    bool passes;
    bool for_models; /* an option was given that plans do not have */
} Dump;

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
            const char *format = tool_value(t, name, value);
            if (strcmp(format, "text"))
                tool_usage(t, "format '%s' is unknown; text is known", format);
        } else if (!strcmp(name, "--dim") || !strcmp(name, "--rename-dim") ||
                   !strcmp(name, "--task")) {
            if (tenonc_set(c, name + 2, tool_value(t, name, value)))
                tool_usage(t, "%s", tenonc_error(c)->text);
            d->for_models = true;
        } else {
            tool_usage(t, "unknown option '%s'", name);
        }
    }
    if (!d->path && !d->passes) tool_usage(t, "a model or a plan is wanted");
}

static const char *dump_plan(Tool *t, const Dump *d) {
    if (d->for_models)
        tool_usage(t, "'%s' is a plan: --after, --dim and the like are for models", d->path);
    PlanRun r = tool_open(t, d->path, NULL, 1);
    TextBuffer text = {.arena = &t->cx.arena};
    plan_text(r.plan, &text);
    return text_end(&text);
}

static const char *dump_model(Tool *t, const Dump *d, tenonc *c) {
    const char *text;
    if (tenonc_add(c, d->path, NULL) || tenonc_dump(c, d->after, &text)) tool_fail_compile(t, c);
    return text;
}

int cmd_dump(Tool *t) {
    Dump d = {0};
    tenonc *c = tool_compiler(t, NULL);
    parse(t, &d, c);
    for (int i = 0; d.passes && pass_at(i); i++)
        tool_printf(t, "%-16s %s\n", pass_at(i)->name, pass_at(i)->purpose);
    if (d.path)
        tool_write(t, d.output, plan_is_file(d.path) ? dump_plan(t, &d) : dump_model(t, &d, c));
    return EXIT_DONE;
}
