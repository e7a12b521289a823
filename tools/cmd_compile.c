/* tenon compile: a model becomes a plan. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "runtime/runtime.h"
#include "tools/plan_json.h"

#define MAX_MODELS 16

typedef struct Compile {
    const char *model[MAX_MODELS], *function[MAX_MODELS];
    int models;
    const char *output, *report;
    bool want_report, verify;
} Compile;

/* To a terminal, only of what takes longer than a second; the line is erased when a stage is done.
 * A signal ends the compilation, which removes what is half written. */
static int32_t on_progress(void *user, const char *stage, int32_t done, int32_t total) {
    double *start = user;
    if (*start > 0 && tool_now_ms() - *start >= 1000)
        fprintf(stderr, done < total ? "\r%s %d/%d " : "\r\x1b[K", stage, done, total);
    return tool_caught();
}

static void set(Tool *t, tenonc *c, const char *key, const char *value) {
    tenon_status s = tenonc_set(c, key, value);
    if (s == TENON_E_ARGUMENT) tool_usage(t, "%s", tenonc_error(c)->text);
    if (s) tool_fail_compile(t, c);
}

static void parse(Tool *t, Compile *o, tenonc *c) {
    const char *name, *value;
    while (tool_next(t, &name, &value)) {
        if (!name) {
            if (o->models == MAX_MODELS) tool_usage(t, "more than %d models", MAX_MODELS);
            o->model[o->models++] = value;
        } else if (!strcmp(name, "-o") || !strcmp(name, "--output")) {
            o->output = tool_value(t, name, value);
        } else if (!strcmp(name, "--function")) {
            if (!o->models) tool_usage(t, "--function stands behind its model");
            o->function[o->models - 1] = tool_value(t, name, value);
        } else if (!strcmp(name, "--report")) {
            o->want_report = true;
            o->report = value;
        } else if (!strcmp(name, "--strip")) {
            set(t, c, "strip", "1");
        } else if (!strcmp(name, "--unfused")) {
            set(t, c, "unfused", "1");
        } else if (!strcmp(name, "--verify")) {
            o->verify = true;
        } else if (!strcmp(name, "--dim") || !strcmp(name, "--rename-dim") ||
                   !strcmp(name, "--task") || !strcmp(name, "--precision") ||
                   !strcmp(name, "--state") || !strcmp(name, "--padding") ||
                   !strcmp(name, "--conv") || !strcmp(name, "--require-fusion")) {
            set(t, c, name + 2, tool_value(t, name, value));
        } else {
            tool_usage(t, "unknown option '%s'", name);
        }
    }
    if (!o->models) tool_usage(t, "a model is wanted");
    if (!o->output) tool_usage(t, "-o OUT.plan is wanted");
}

/* The compiler's report, and where the plan's functions have their buffers. */
static const char *with_memory(Tool *t, const Compile *o, const char *text) {
    PlanRun r = tool_open(t, o->output, NULL, 1);
    TextBuffer x = {.arena = &t->cx.arena};
    size_t n = strlen(text);
    if (!o->report) {
        text_add(&x, text);
        for (uint32_t i = 0; i < r.plan->functions_count; i++)
            text_add(&x, plan_memory_peak(t, r.plan, i));
        return text_end(&x);
    }
    while (n && text[n - 1] != '}') n--;
    text_add_bytes(&x, text, n - 1);
    text_key(&x, "memory");
    text_add(&x, "[");
    for (uint32_t i = 0; i < r.plan->functions_count; i++) {
        const char *memory = plan_memory(t, r.plan, i, NULL);
        if (!memory) continue;
        text_item(&x);
        text_add(&x, memory);
    }
    text_add(&x, "]}\n");
    return text_end(&x);
}

static void verify(Tool *t, const char *path) {
    PlanRun r = tool_open(t, path, NULL, 1);
    tenon_error err;
    if (plan_check_weights(r.plan, &err)) tool_fail(t, path, &err);
}

int cmd_compile(Tool *t) {
    Compile o = {0};
    double start = isatty(STDERR_FILENO) ? tool_now_ms() : 0;
    tenonc_options options = {
        .struct_size = sizeof options, .progress = on_progress, .progress_user = &start};
    tool_catch();
    tenonc *c = tool_compiler(t, &options);
    parse(t, &o, c);
    for (int i = 0; i < o.models; i++)
        if (tenonc_add(c, o.model[i], o.function[i])) tool_fail_compile(t, c);
    if (tenonc_compile(c, o.output)) tool_fail_compile(t, c);
    const char *text;
    if (o.want_report) {
        if (tenonc_report(c, o.report != NULL, &text)) tool_fail_compile(t, c);
        tool_write(t, o.report, with_memory(t, &o, text));
    }
    if (o.verify) verify(t, o.output);
    return EXIT_DONE;
}
