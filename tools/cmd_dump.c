/* tenon dump: a model's graph at any stage, or a plan, as text, JSON, for Graphviz or as a page to
 * look around in. */
#include <string.h>
#include "backend/plan_write.h"
#include "frontend/hf/json.h"
#include "passes/pass.h"
#include "tools/plan_json.h"
#include "tools/plan_text.h"
#include "tools/tool.h"
#include "tools/viewer_page.h"

typedef struct Dump {
    const char *path, *after, *output, *format, *profile;
    TensorSource source; /* its dims: lengths for a plan's memory */
    bool passes;
    bool for_models; /* an option was given that plans do not have */
} Dump;

static void set_format(Tool *t, Dump *d, const char *format) {
    static const char *const known[] = {"text", "json", "dot", "html"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(format, known[i])) d->format = known[i];
    if (!d->format)
        tool_usage(t, "format '%s' is unknown; text, json, dot and html are known", format);
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
        } else if (!strcmp(name, "--profile")) {
            d->profile = tool_value(t, name, value);
        } else if (!strcmp(name, "--format")) {
            d->format = NULL;
            set_format(t, d, tool_value(t, name, value));
        } else if (!strcmp(name, "--dim") || !strcmp(name, "--rename-dim") ||
                   !strcmp(name, "--task") || !strcmp(name, "--precision")) {
            set_option(t, d, c, name, tool_value(t, name, value));
        } else {
            tool_usage(t, "unknown option '%s'", name);
        }
    }
    if (!d->path && !d->passes) tool_usage(t, "a model or a plan is wanted");
}

/* Whether the result is the JSON document, or holds it. */
static bool is_document(const Dump *d) {
    return !strcmp(d->format, "json") || !strcmp(d->format, "html");
}

/* The times in a file of `tenon bench --profile --json`, as a JSON array. */
static const char *read_profile(Tool *t, const tenon_plan *p, const char *path) {
    Json root = json_open(&t->cx, path, (size_t)64 << 20), list = json_array(root, "profile");
    TextBuffer x = {.arena = &t->cx.arena};
    text_add(&x, "[");
    for (Json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        int64_t i = json_int(v, "instruction", 0, INT32_MAX);
        double us = json_as_number(json_find(v, "us"));
        if (i >= p->instructions_count ||
            strcmp(json_string(v, "opcode"), tn_instr(p->instructions[i].opcode)->name) != 0)
            tn_fail(&t->cx, TN_E_ARGUMENT, "'%s' is the profile of another plan", path);
        text_item(&x);
        text_format(&x, "{\"instruction\":%lld,\"us\":%.3f}", (long long)i, us);
    }
    text_add(&x, "]");
    return text_end(&x);
}

static const char *plan_document(Tool *t, const Dump *d, tenon_plan *p) {
    TextBuffer text = {.arena = &t->cx.arena};
    const char **memory = ARENA_ARRAY(&t->cx.arena, const char *, p->functions_count);
    for (uint32_t i = 0; i < p->functions_count; i++)
        memory[i] = plan_memory(t, p, i, d->source.dims);
    plan_json(p, &text, memory, d->profile ? read_profile(t, p, d->profile) : NULL);
    return text_end(&text);
}

/* In the page the document must not end the element around it. '<' occurs in strings only. */
static const char *page(Tool *t, const char *json) {
    TextBuffer x = {.arena = &t->cx.arena};
    text_add(&x, viewer_page_before);
    for (const char *end; *json; json = end) {
        end = json + strcspn(json, "<");
        text_add_bytes(&x, json, (size_t)(end - json));
        if (*end) {
            text_add(&x, "\\u003c");
            end++;
        }
    }
    text_add(&x, viewer_page_after);
    return text_end(&x);
}

static const char *dump_plan(Tool *t, const Dump *d) {
    bool document = is_document(d);
    if (d->for_models || ((d->source.dims || d->profile) && !document))
        tool_usage(t, "'%s' is a plan: --after, --dim and the like are for models%s", d->path,
                   d->for_models ? "" : ", --dim and --profile for plans as JSON or HTML");
    PlanRun r = tool_open(t, d->path, NULL, 1);
    TextBuffer text = {.arena = &t->cx.arena};
    if (document) return plan_document(t, d, r.plan);
    if (!strcmp(d->format, "dot")) return plan_dot(&t->cx.arena, r.plan);
    plan_text(r.plan, &text);
    return text_end(&text);
}

static const char *dump_model(Tool *t, const Dump *d, tenonc *c) {
    const char *text, *format = is_document(d) ? "json" : d->format;
    const char *after = d->after || strcmp(d->format, "html") ? d->after : "all";
    if (d->profile) tool_usage(t, "'%s' is a model: --profile is for plans", d->path);
    if (tenonc_add(c, d->path, NULL) || tenonc_dump(c, format, after, &text))
        tool_fail_compile(t, c);
    return text;
}

static const char *dump(Tool *t, const Dump *d, tenonc *c) {
    const char *text = plan_is_file(d->path) ? dump_plan(t, d) : dump_model(t, d, c);
    return strcmp(d->format, "html") ? text : page(t, text);
}

int cmd_dump(Tool *t) {
    Dump d = {.format = "text"};
    tenonc *c = tool_compiler(t, NULL);
    parse(t, &d, c);
    for (int i = 0; d.passes && pass_at(i); i++)
        tool_printf(t, "%-16s %s\n", pass_at(i)->name, pass_at(i)->purpose);
    if (d.path) tool_write(t, d.output, dump(t, &d, c));
    return EXIT_DONE;
}
