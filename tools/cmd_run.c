/* tenon run: a plan on tensors. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "ir/ir.h"
#include "tools/tool.h"

/* "logits: f32[2, 3], from -1.2 to 3.4, mean 0.1" */
static void sum_up(Tool *t, const StTensor *w) {
    int64_t n = (int64_t)(w->bytes / (tn_dtype_size(w->dtype) ? tn_dtype_size(w->dtype) : 1));
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = ir_element_f64(w->dtype, w->data, i);
        low = fmin(low, v);
        high = fmax(high, v);
        sum += v;
    }
    tool_printf(t, "%s: %s%s", w->name, tn_dtype_name(w->dtype),
                weights_shape_text(&t->cx, w->rank, w->dims));
    if (n) tool_printf(t, ", from %g to %g, mean %g", low, high, sum / (double)n);
    tool_print(t, "\n");
}

int cmd_run(Tool *t) {
    const char *name, *value, *plan = NULL, *outputs = NULL, *function = NULL;
    int threads = 0;
    TensorSource source = {0};
    while (tool_next(t, &name, &value)) {
        if (!name && !plan)
            plan = value;
        else if (!name)
            tool_usage(t, "one plan is wanted");
        else if (!strcmp(name, "--inputs"))
            source.file = st_open(&t->cx, tool_value(t, name, value));
        else if (!strcmp(name, "--input"))
            tool_add_npy(t, &source, tool_value(t, name, value));
        else if (!strcmp(name, "--outputs"))
            outputs = tool_value(t, name, value);
        else if (!strcmp(name, "--function"))
            function = tool_value(t, name, value);
        else if (!strcmp(name, "--threads"))
            threads = (int)tool_int(t, name, tool_value(t, name, value), 0, 1024);
        else
            tool_usage(t, "unknown option '%s'", name);
    }
    if (!plan) tool_usage(t, "a plan is wanted");
    PlanRun r = tool_open(t, plan, function, threads);
    tenon_error err;
    tool_bind(t, &r, &source, function, false);
    if (tenon_session_run(r.session, &err)) tool_fail(t, plan, &err);
    size_t count;
    StTensor *out = tool_outputs(t, &r, function, &count);
    if (outputs) st_write(&t->cx, outputs, out, count);
    for (size_t i = 0; !outputs && i < count; i++) sum_up(t, &out[i]);
    return EXIT_DONE;
}
