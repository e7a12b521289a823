/* tenon check: a model compiled without writing anything,
 * or a plan verified with the checksum of its weights. */
#include <string.h>
#include "backend/plan_write.h"
#include "runtime/runtime.h"
#include "tools/tool.h"

static void check_plan(Tool *t, const char *path) {
    PlanRun r = tool_open(t, path, NULL, 1);
    tenon_error err;
    if (plan_check_weights(r.plan, &err)) tool_fail(t, path, &err);
    tool_printf(t, "%s: ok, %u instructions, weights %llu bytes\n", path,
                r.plan->instructions_count, (unsigned long long)r.plan->weights_bytes);
}

static void check_model(Tool *t, const char *path) {
    tenonc *c = tool_compiler(t, NULL);
    const void *bytes;
    size_t size;
    if (tenonc_add(c, path, NULL) || tenonc_compile_memory(c, &bytes, &size))
        tool_fail_compile(t, c);
    tool_printf(t, "%s: ok, compiles to a plan of %zu bytes\n", path, size);
}

int cmd_check(Tool *t) {
    const char *name, *value, *path = NULL;
    while (tool_next(t, &name, &value)) {
        if (name || path) tool_usage(t, "unknown argument '%s'", name ? name : value);
        path = value;
    }
    if (!path) tool_usage(t, "a model or a plan is wanted");
    if (plan_is_file(path))
        check_plan(t, path);
    else
        check_model(t, path);
    return EXIT_DONE;
}
