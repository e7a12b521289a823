/* tenon diff: a plan's results against expected ones, recorded or computed by the reference kernels
 * on the unfused graph; with --bisect its intermediate values too (bisect.c). */
#include <string.h>
#include "frontend/frontend.h"
#include "ir/ir.h"
#include "tools/bisect.h"
#include "tools/tool.h"

typedef struct Diff {
    const char *plan, *expect, *against, *function;
    Tolerance tolerance;
    int threads;
    bool bisect;
    TensorSource source;
} Diff;

typedef struct Outputs {
    StTensor *list;
    size_t count;
} Outputs;

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
            d->tolerance.rtol = tool_number(t, name, tool_value(t, name, value));
        else if (!strcmp(name, "--atol"))
            d->tolerance.atol = tool_number(t, name, tool_value(t, name, value));
        else if (!strcmp(name, "--bisect"))
            d->bisect = true;
        else if (!strcmp(name, "--threads"))
            d->threads = (int)tool_int(t, name, tool_value(t, name, value), 0, 1024);
        else
            tool_usage(t, "unknown option '%s'", name);
    }
    if (!d->plan || !d->source.file || !d->expect == !d->against)
        tool_usage(t, "a plan, --inputs and one of --expect and --against are wanted");
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
    TnTensor tensor = trace_dense(got);
    Agreement a = agree(&tensor, want, d->tolerance);
    tool_printf(t, "%s: %s, largest difference %.3g", got->name, a.ok ? "ok" : "DIFFERENT",
                a.largest);
    if (d->tolerance.rms > 0 && tn_is_float(want->dtype))
        tool_printf(t, ", error %.3g %% of its size, allowed %.3g %%, cosine %.7f\n", 100 * a.rms,
                    100 * d->tolerance.rms, a.cosine);
    else
        tool_printf(t, ", allowed %.3g\n", a.allowed);
    if (!a.ok)
        tool_printf(t, "  at %s: %.9g, expected %.9g\n", tool_index_text(t, got, a.worst), a.got,
                    a.want);
    return a.ok;
}

/* Expected outputs from the model itself: imported, not
 * optimised, evaluated by the reference kernels. */
static Outputs evaluate(Tool *t, const Diff *d, const PlanRun *r, Expectations *x) {
    Module *m = ir_module_new(&t->cx);
    ImportOptions options = {.function = d->function, .task = tenon_plan_meta(r->plan, "task")};
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
    ir_eval(g, in, out, &t->cx.arena, d->bisect ? bisect_watch : NULL, x);
    StTensor *result = ARENA_ARRAY(&t->cx.arena, StTensor, (size_t)g->output_count + 1);
    for (int i = 0; i < g->output_count; i++) {
        result[i] = (StTensor){.name = g->output_names[i],
                               .dtype = out[i].dtype,
                               .rank = out[i].rank,
                               .data = out[i].data,
                               .bytes = out[i].bytes};
        memcpy(result[i].dims, out[i].dims, sizeof result[i].dims);
    }
    return (Outputs){result, (size_t)g->output_count};
}

static const StTensor *expected(const Outputs *computed, const SafeTensors *file,
                                const char *name) {
    if (file) return tool_find(file, name);
    for (size_t i = 0; i < computed->count; i++)
        if (!strcmp(computed->list[i].name, name)) return &computed->list[i];
    return NULL;
}

/* A recording of intermediate values need not have the outputs. */
static bool compare_outputs(Tool *t, const Diff *d, const PlanRun *r, const Outputs *computed,
                            const SafeTensors *file) {
    size_t count;
    StTensor *out = tool_outputs(t, r, d->function, &count);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        const StTensor *want = expected(computed, file, out[i].name);
        if (want)
            ok &= compare(t, d, &out[i], want);
        else if (!d->bisect || !file)
            tn_fail(&t->cx, TN_E_ARGUMENT, "%s: output '%s' is missing from what is expected",
                    d->plan, out[i].name);
    }
    return ok;
}

int cmd_diff(Tool *t) {
    Diff d = {.tolerance = {-1, -1, 0}};
    parse(t, &d);
    PlanRun r = tool_open(t, d.plan, d.function, d.threads);
    const char *precision = tenon_plan_meta(r.plan, "precision");
    bool given = d.tolerance.rtol >= 0 || d.tolerance.atol >= 0;
    if (precision && !given) d.tolerance.rms = tolerance_of_precision(precision);
    tenon_error err;
    tool_bind(t, &r, &d.source, d.function, false);
    Outputs computed = {0};
    Expectations x = {.cx = &t->cx};
    const SafeTensors *file = d.expect ? st_open(&t->cx, d.expect) : NULL;
    if (d.against) computed = evaluate(t, &d, &r, &x);
    if (d.bisect && file) bisect_record(&x, file);
    bool ok = true;
    if (d.bisect)
        ok = bisect_run(t, &r, &x, d.tolerance);
    else if (tenon_session_run(r.session, &err))
        tool_fail(t, d.plan, &err);
    ok &= compare_outputs(t, &d, &r, &computed, file);
    return ok ? EXIT_DONE : EXIT_FAULT;
}
