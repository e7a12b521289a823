/* tenon diff: a plan's results against expected ones, recorded or computed by the reference kernels
 * on the unfused graph. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "frontend/frontend.h"
#include "ir/ir.h"
#include "tools/tool.h"

typedef struct Diff {
    const char *plan, *expect, *against, *function;
    double rtol, atol;
    int threads;
    TensorSource source;
} Diff;

static void parse(Tool *t, Diff *d) {
    const char *name, *value;
    while (tool_next(t, &name, &value)) {
        if (!name && !d->plan)
            d->plan = value;
        else if (!name)
            tool_usage(t, "one plan is wanted");
        else if (!strcmp(name, "--inputs"))
            d->source.file = st_open(&t->cx, tool_value(t, name, value));
        else if (!strcmp(name, "--expect"))
            d->expect = tool_value(t, name, value);
        else if (!strcmp(name, "--against"))
            d->against = tool_value(t, name, value);
        else if (!strcmp(name, "--function"))
            d->function = tool_value(t, name, value);
        else if (!strcmp(name, "--rtol"))
            d->rtol = tool_number(t, name, tool_value(t, name, value));
        else if (!strcmp(name, "--atol"))
            d->atol = tool_number(t, name, tool_value(t, name, value));
        else if (!strcmp(name, "--threads"))
            d->threads = (int)tool_int(t, name, tool_value(t, name, value), 0, 1024);
        else
            tool_usage(t, "unknown option '%s'", name);
    }
    if (!d->plan || !d->source.file || !d->expect == !d->against)
        tool_usage(t, "a plan, --inputs and one of --expect and --against are wanted");
}

static const char *place_text(Tool *t, const StTensor *w, int64_t index) {
    int64_t at[TN_MAX_RANK];
    for (int i = w->rank - 1; i >= 0; i--) {
        at[i] = w->dims[i] ? index % w->dims[i] : 0;
        index = w->dims[i] ? index / w->dims[i] : 0;
    }
    return weights_shape_text(&t->cx, w->rank, at);
}

/* Two elements that are both NaN, or the same infinity, are equal. */
static double distance(double got, double want) {
    if (got == want || (isnan(got) && isnan(want))) return 0;
    double d = fabs(got - want);
    return isnan(d) ? INFINITY : d;
}

static bool compare(Tool *t, const Diff *d, const StTensor *got, const StTensor *want) {
    bool same = got->rank == want->rank && got->dtype == want->dtype &&
                !memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims);
    if (!same) {
        tool_printf(t, "%s: %s%s, expected %s%s\n", got->name, tn_dtype_name(got->dtype),
                    weights_shape_text(&t->cx, got->rank, got->dims), tn_dtype_name(want->dtype),
                    weights_shape_text(&t->cx, want->rank, want->dims));
        return false;
    }
    int64_t n = (int64_t)(got->bytes / tn_dtype_size(got->dtype)), worst = 0;
    double largest = 0, error = 0;
    for (int64_t i = 0; i < n; i++) {
        double w = ir_element_f64(want->dtype, want->data, i),
               e = distance(ir_element_f64(got->dtype, got->data, i), w);
        if (isfinite(w)) largest = fmax(largest, fabs(w));
        if (e > error) {
            error = e;
            worst = i;
        }
    }
    double allowed = d->atol + d->rtol * largest;
    bool ok = error <= allowed;
    tool_printf(t, "%s: %s, largest difference %.3g, allowed %.3g\n", got->name,
                ok ? "ok" : "DIFFERENT", error, allowed);
    if (!ok)
        tool_printf(t, "  at %s: %.9g, expected %.9g\n", place_text(t, got, worst),
                    ir_element_f64(got->dtype, got->data, worst),
                    ir_element_f64(want->dtype, want->data, worst));
    return ok;
}

/* Expected outputs from the model itself: imported, not
 * optimised, evaluated by the reference kernels. */
static StTensor *evaluate(Tool *t, const Diff *d, size_t *count) {
    Module *m = ir_module_new(&t->cx);
    ImportOptions options = {.function = d->function};
    Graph *g = frontend_import(m, d->against, &options);
    const Tensor **in = ARENA_ARRAY(&t->cx.arena, const Tensor *, (size_t)g->input_count + 1);
    Tensor *out = ARENA_ARRAY(&t->cx.arena, Tensor, (size_t)g->output_count + 1);
    for (int i = 0; i < g->input_count; i++) {
        const StTensor *w = tool_find(d->source.file, g->inputs[i]->name);
        if (!w) continue;
        Tensor *tensor = ARENA_NEW(&t->cx.arena, Tensor);
        *tensor = (Tensor){
            .dtype = w->dtype, .rank = w->rank, .data = tool_aligned(t, w), .bytes = w->bytes};
        memcpy(tensor->dims, w->dims, sizeof tensor->dims);
        in[i] = tensor;
    }
    ir_eval(g, in, out, &t->cx.arena, NULL, NULL);
    StTensor *result = ARENA_ARRAY(&t->cx.arena, StTensor, (size_t)g->output_count + 1);
    for (int i = 0; i < g->output_count; i++) {
        result[i] = (StTensor){.name = g->output_names[i],
                               .dtype = out[i].dtype,
                               .rank = out[i].rank,
                               .data = out[i].data,
                               .bytes = out[i].bytes};
        memcpy(result[i].dims, out[i].dims, sizeof result[i].dims);
    }
    *count = (size_t)g->output_count;
    return result;
}

static const StTensor *expected(const SafeTensors *file, const StTensor *computed, size_t count,
                                const char *name) {
    if (file) return tool_find(file, name);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(computed[i].name, name)) return &computed[i];
    return NULL;
}

int cmd_diff(Tool *t) {
    Diff d = {.rtol = 2e-5, .atol = 1e-5};
    parse(t, &d);
    PlanRun r = tool_open(t, d.plan, d.function, d.threads);
    tenon_error err;
    tool_bind(t, &r, &d.source, d.function, false);
    if (tenon_session_run(r.session, &err)) tool_fail(t, d.plan, &err);
    size_t count, computed_count = 0;
    StTensor *out = tool_outputs(t, &r, d.function, &count), *computed = NULL;
    const SafeTensors *file = d.expect ? st_open(&t->cx, d.expect) : NULL;
    if (d.against) computed = evaluate(t, &d, &computed_count);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        const StTensor *want = expected(file, computed, computed_count, out[i].name);
        if (!want)
            tn_fail(&t->cx, TN_E_ARGUMENT, "%s: output '%s' is missing from what is expected",
                    d.plan, out[i].name);
        ok &= compare(t, &d, &out[i], want);
    }
    return ok ? EXIT_DONE : EXIT_FAULT;
}
