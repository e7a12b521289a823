/* tenon check: a model compiled without writing anything, or a plan verified with the checksum of
 * its weights; as text, or as JSON (docs/check.md). */
#include <string.h>
#include "backend/plan_write.h"
#include "ir/text.h"
#include "runtime/runtime.h"
#include "tools/tool.h"

#define MAX_LISTED 5 /* nodes of a problem in text; JSON has up to 100 */
#define MAX_QUOTED 400

typedef struct Check {
    const char *path;
    bool is_plan, json;
    tenonc *compiler;
    tenon_plan *plan; /* NULL: there is none */
    tenonc_problem broken;
    tenon_error err;
} Check;

/* --- what is found --- */

static void close_plan(void *plan) {
    tenon_plan_close(plan);
}

/* The i-th problem; false behind the last. A plan has one at most. */
static bool problem_at(const Check *k, int i, tenonc_problem *p) {
    if (!k->is_plan) return tenonc_problem_at(k->compiler, i, p);
    *p = k->broken;
    return i == 0 && p->code;
}

static void check_plan(Tool *t, Check *k, tenon_status status) {
    if (k->plan) tn_defer(&t->cx, close_plan, k->plan);
    if (!status) status = plan_check_weights(k->plan, &k->err);
    k->broken = (tenonc_problem){
        .code = status, .kind = "plan", .domain = "", .reason = k->err.text, .count = 1};
}

static void check(Tool *t, Check *k) {
    const void *bytes;
    size_t size;
    tenon_plan_options options = {.struct_size = sizeof options};
    if (k->is_plan)
        check_plan(t, k, tenon_plan_open(k->path, &options, &k->plan, &k->err));
    else if (!tenonc_add(k->compiler, k->path, NULL) &&
             !tenonc_compile_memory(k->compiler, &bytes, &size))
        check_plan(t, k, tenon_plan_open_memory(bytes, size, &options, &k->plan, &k->err));
}

static int64_t skipped(const Check *k) {
    return k->is_plan ? 0 : tenonc_skipped(k->compiler);
}

/* 3 if all problems are of what is unsupported. */
static int exit_status(const Check *k) {
    tenonc_problem p;
    int status = EXIT_DONE;
    for (int i = 0; problem_at(k, i, &p) && status != EXIT_FAULT; i++) status = tool_status(p.code);
    return status;
}

/* --- text --- */

static const char *quoted(Tool *t, const char *s) {
    return tn_printable(&t->cx, s, strlen(s), MAX_QUOTED);
}

static const char *operator_name(Tool *t, const tenonc_problem *p) {
    return arena_printf(&t->cx.arena, "%s%s%s", p->domain, *p->domain ? "." : "", p->op);
}

/* "unsupported: Blur of opset 20 (2: 'a', 'b'): unsupported operator" */
static void print_problem(Tool *t, const tenonc_problem *p) {
    tool_printf(t, "  %s", p->code == TENON_E_UNSUPPORTED ? "unsupported: " : "invalid: ");
    if (p->op) {
        tool_printf(t, "%s", quoted(t, operator_name(t, p)));
        if (p->opset) tool_printf(t, " of opset %lld", (long long)p->opset);
    } else {
        tool_printf(t, "%s", p->kind);
    }
    if (p->named) tool_printf(t, p->op ? " (%lld: " : " (", (long long)p->count);
    for (int i = 0; i < p->named && i < MAX_LISTED; i++)
        tool_printf(t, "%s'%s'", i ? ", " : "", quoted(t, p->nodes[i]));
    if (p->named) tool_printf(t, p->count > MAX_LISTED ? ", ...)" : ")");
    tool_printf(t, ": %s\n", p->reason);
    if (p->help) tool_printf(t, "    help: %s\n", p->help);
}

static void print_problems(Tool *t, const Check *k) {
    tenonc_problem p;
    int count = 0;
    while (problem_at(k, count, &p)) count++;
    tool_printf(t, "%s: %s, %d problem%s", k->path,
                exit_status(k) == EXIT_UNSUPPORTED ? "unsupported" : "invalid", count,
                count == 1 ? "" : "s");
    if (skipped(k))
        tool_printf(t, "; nodes not looked at, because they depend on these: %lld",
                    (long long)skipped(k));
    tool_printf(t, "\n");
    for (int i = 0; problem_at(k, i, &p); i++) print_problem(t, &p);
}

static void print_text(Tool *t, const Check *k) {
    tenonc_problem p;
    if (!problem_at(k, 0, &p))
        tool_printf(t, "%s: ok, %u instructions, weights %llu bytes\n", k->path,
                    k->plan->instructions_count, (unsigned long long)k->plan->weights_bytes);
    else if (k->is_plan)
        tool_fail(t, k->path, &k->err);
    else if (!p.op && !p.named)
        tool_fail_compile(t, k->compiler); /* not of the graph: the file, its weights, an option */
    else
        print_problems(t, k);
}

/* --- JSON --- */

static void put(Tool *t, TextBuffer *x, const char *before, const char *s) {
    text_add(x, before);
    text_json(x, quoted(t, s));
}

static void put_problem(Tool *t, TextBuffer *x, const tenonc_problem *p) {
    put(t, x, "{\"kind\": ", p->kind);
    if (p->op) {
        put(t, x, ", \"operator\": ", p->op);
        put(t, x, ", \"domain\": ", p->domain);
    }
    if (p->opset) text_format(x, ", \"opset\": %lld", (long long)p->opset);
    text_add(x, ", \"nodes\": [");
    for (int i = 0; i < p->named; i++) put(t, x, i ? ", " : "", p->nodes[i]);
    text_format(x, "], \"count\": %lld", (long long)p->count);
    text_add(x, ", \"reason\": ");
    text_json(x, tn_printable(&t->cx, p->reason, strlen(p->reason), strlen(p->reason) * 4));
    if (p->help) put(t, x, ", \"help\": ", p->help);
    text_add(x, "}");
}

static void put_problems(Tool *t, TextBuffer *x, const Check *k, bool unsupported) {
    tenonc_problem p;
    const char *between = "\n    ";
    text_format(x, ",\n  \"%s\": [", unsupported ? "unsupported" : "invalid");
    for (int i = 0; problem_at(k, i, &p); i++) {
        if ((p.code == TENON_E_UNSUPPORTED) != unsupported) continue;
        text_add(x, between);
        put_problem(t, x, &p);
        between = ",\n    ";
    }
    text_add(x, "]");
}

static void put_functions(Tool *t, TextBuffer *x, const tenon_plan *plan) {
    text_add(x, ",\n  \"functions\": [");
    for (uint32_t i = 0; plan && i < plan->functions_count; i++) {
        const PlanFunction *f = &plan->functions[i];
        put(t, x, i ? ",\n    {\"name\": " : "\n    {\"name\": ", plan_string(plan, f->name));
        text_format(x, ", \"inputs\": %u, \"outputs\": %u, \"instructions\": %u}", f->input_count,
                    f->output_count, f->instruction_count);
    }
    text_add(x, "]");
    if (plan)
        text_format(x, ",\n  \"weights_bytes\": %llu", (unsigned long long)plan->weights_bytes);
}

static void print_json(Tool *t, const Check *k) {
    TextBuffer x = {.arena = &t->cx.arena};
    bool ok = exit_status(k) == EXIT_DONE;
    put(t, &x, k->is_plan ? "{\n  \"plan\": " : "{\n  \"model\": ", k->path);
    text_format(&x, ",\n  \"supported\": %s", ok ? "true" : "false");
    put_problems(t, &x, k, true);
    put_problems(t, &x, k, false);
    text_format(&x, ",\n  \"skipped\": %lld", (long long)skipped(k));
    put_functions(t, &x, ok ? k->plan : NULL);
    text_add(&x, "\n}\n");
    tool_print(t, text_end(&x));
}

/* --- the command --- */

static void parse(Tool *t, Check *k) {
    const char *name, *value;
    bool for_models = false;
    while (tool_next(t, &name, &value)) {
        if (!name) {
            if (k->path) tool_usage(t, "one model or plan is wanted");
            k->path = value;
        } else if (!strcmp(name, "--json")) {
            k->json = true;
        } else if (!strcmp(name, "--dim") || !strcmp(name, "--rename-dim") ||
                   !strcmp(name, "--task") || !strcmp(name, "--precision")) {
            for_models = true;
            if (tenonc_set(k->compiler, name + 2, tool_value(t, name, value)))
                tool_usage(t, "%s", tenonc_error(k->compiler)->text);
        } else {
            tool_usage(t, "unknown option '%s'", name);
        }
    }
    if (!k->path) tool_usage(t, "a model or a plan is wanted");
    k->is_plan = plan_is_file(k->path);
    if (k->is_plan && for_models) tool_usage(t, "'%s' is a plan: --dim is for models", k->path);
}

int cmd_check(Tool *t) {
    Check k = {.compiler = tool_compiler(t, NULL)};
    parse(t, &k);
    check(t, &k);
    if (k.json)
        print_json(t, &k);
    else
        print_text(t, &k);
    return exit_status(&k);
}
