/* Whole models: every model of every fixture is compiled, run and compared with the recorded
 * outputs.
 *
 * Asked of each model: two compilations give the same bytes; every case is right on every
 * instruction set; one and two threads give the same bits; the arena is hardly larger than what
 * lives in it; the contract is kept; and no pass changes what the graph computes.
 *
 *     test_models [FOLDER [NAME]]     fixtures of FOLDER, those whose name contains NAME */
#include <math.h>
#include "frontend/frontend.h"
#include "frontend/hf/json.h"
#include "passes/pass.h"
#include "tests/support/model_trial.h"

/* Of the largest element: a few units in the last place of intermediate results. */
static double tolerance(TnDType t) {
    return t == TN_F16 ? 4e-3 : t == TN_BF16 ? 2e-2 : 2e-5;
}

/* Times that, where rows are rounded to 16 bits to meet weights that are integers in the file. */
#define ROUNDED_ROWS 20

static void check_close(Trial *t, const char *what, const char *name, const Tensor *got,
                        const StTensor *want, double factor) {
    CHECK(t, want, "%s: output '%s' is not recorded", what, name);
    CHECK(t,
          got->dtype == want->dtype && got->rank == want->rank && got->bytes == want->bytes &&
              !memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims),
          "%s: output '%s' is %s%s, recorded %s%s", what, name, tn_dtype_name(got->dtype),
          weights_shape_text(&t->cx, got->rank, got->dims), tn_dtype_name(want->dtype),
          weights_shape_text(&t->cx, want->rank, want->dims));
    int64_t n = tensor_count(got);
    double largest = 1, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64(got->dtype, got->data, i),
               b = ir_element_f64(want->dtype, want->data, i);
        double gap = a == b || (isnan(a) && isnan(b)) ? 0 : fabs(a - b);
        if (isfinite(b)) largest = fmax(largest, fabs(b));
        worst = isnan(gap) ? INFINITY : fmax(worst, gap);
    }
    CHECK(t, worst <= tolerance(want->dtype) * factor * largest,
          "%s: output '%s' differs by %.3g, largest element %.3g", what, name, worst, largest);
}

static void compile_twice(Trial *t) {
    trial_compile(t, "f32");
    const void *first = t->bytes;
    size_t size = t->size;
    trial_compile(t, "f32");
    CHECK(t, size == t->size && !memcmp(first, t->bytes, size),
          "two compilations give different plans");
}

/* --- what fixture.json tells, if there is one --- */

/* Learned positions; 0: as long as one likes. */
static int64_t positions_of(Trial *t, const char *about) {
    Json o = json_open(&t->cx, about, 1 << 20);
    return json_kind(json_find(o, "positions")) == JSON_ABSENT ? 0
                                                               : json_int(o, "positions", 1, 1000);
}

static bool has_integers(Trial *t, const char *about) {
    return json_bool_or(json_open(&t->cx, about, 1 << 20), "integers", false);
}

/* --- running --- */

static Tensor output(Trial *t, Running *r, const char *name) {
    tenon_tensor x;
    if (tenon_session_tensor(r->session, name, &x, &r->err))
        tn_fail(&t->cx, TN_E_MODEL, "%s", r->err.text);
    Tensor y = {.dtype = (TnDType)x.dtype,
                .rank = x.rank,
                .data = arena_copy(&t->cx.arena, x.data, x.bytes),
                .bytes = x.bytes};
    memcpy(y.dims, x.dims, sizeof y.dims);
    return y;
}

/* 5 % for gaps, and some lines of 64 bytes because these models are small. */
static void check_memory(Trial *t, Running *r) {
    tenon_memory m = {.struct_size = sizeof m};
    CHECK(t, !tenon_session_memory(r->session, &m, &r->err), "%s", r->err.text);
    double buffers = (double)(m.arena - m.scratch), live = (double)m.live;
    CHECK(t, buffers <= 1.05 * live + 1024,
          "the arena has %.0f bytes, but at most %.0f live at once", buffers, live);
}

/* Runs all cases; outputs go to `results`, case after case. */
static int run_cases(Trial *t, Running *r, const char *what, double factor, Tensor *results,
                     int max) {
    int count = 0;
    for (int k = 0; has_case(t, k); k++) {
        const char *label = arena_printf(&t->cx.arena, "%s, case %d", what, k);
        run_case(t, r, label, k);
        check_memory(t, r);
        tenon_port port;
        for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &port, NULL); i++) {
            if (!port.is_output) continue;
            CHECK(t, count < max, "too many outputs");
            results[count] = output(t, r, port.name);
            check_close(t, label, port.name, &results[count++], recorded(t, k, "out", port.name),
                        factor);
        }
    }
    CHECK(t, count, "no cases");
    return count;
}

static void run_everywhere(Trial *t, bool integers) {
    enum { MAX_RESULTS = 512 };
    for (int i = 0; i < TRIAL_ISAS; i++) {
        const char *isa = trial_isas[i].name;
        const bool rounded = integers && trial_isas[i].isa >= TENON_ISA_AVX512_VNNI;
        Tensor *results[2];
        int counts[2];
        Running *r = NULL;
        for (int threads = 1; threads <= 2; threads++) {
            if (!(r = start(t, trial_isas[i].isa, threads))) break;
            results[threads - 1] = ARENA_ARRAY(&t->cx.arena, Tensor, MAX_RESULTS);
            counts[threads - 1] =
                run_cases(t, r, arena_printf(&t->cx.arena, "%s, %d threads", isa, threads),
                          rounded ? ROUNDED_ROWS : 1, results[threads - 1], MAX_RESULTS);
            stop(r);
        }
        for (int k = 0; r && k < counts[0]; k++)
            CHECK(t,
                  counts[1] == counts[0] &&
                      !memcmp(results[0][k].data, results[1][k].data, results[0][k].bytes),
                  "%s: one and two threads give different bits", isa);
    }
}

/* --- the contract --- */

/* Zeros of the recorded shape with one thing changed. */
typedef struct Fault {
    int port; /* this input is .. */
    bool missing;
    bool other_type;
    bool other_rank;
    int axis; /* .. or has this axis (-1: none) of this length; `all`: in every input */
    int64_t length;
    bool all;
} Fault;

/* Exporters name the lengths of each input anew; in a recording, inputs that agree in an axis share
 * it. */
static int64_t faulty_length(const Fault *f, const StTensor *changed, const StTensor *w, bool same,
                             int axis) {
    if (f->axis < 0) return w->dims[axis];
    bool shared = f->all && axis == f->axis && w->rank == changed->rank &&
                  w->dims[axis] == changed->dims[axis];
    return (same && axis == f->axis) || shared ? f->length : w->dims[axis];
}

static tenon_status run_faulty(Trial *t, Running *r, const Fault *f) {
    tenon_port port;
    tenon_status s = TENON_OK;
    CHECK(t, !tenon_plan_port(r->plan, NULL, f->port, &port, NULL), "no port");
    const StTensor *changed = recorded(t, 0, "in", port.name);
    for (int i = 0; !s && !tenon_plan_port(r->plan, NULL, i, &port, NULL) && !port.is_output; i++) {
        const StTensor *w = recorded(t, 0, "in", port.name);
        tenon_session_bind(r->session, port.name, NULL, NULL);
        if (!w || (i == f->port && f->missing)) continue;
        tenon_tensor x = {.dtype = (tenon_dtype)w->dtype, .rank = w->rank};
        int64_t n = 1;
        for (int a = 0; a < w->rank; a++)
            n *= x.dims[a] = faulty_length(f, changed, w, i == f->port, a);
        if (i == f->port && f->other_type) x.dtype = x.dtype == TENON_F32 ? TENON_I32 : TENON_F32;
        if (i == f->port && f->other_rank) x.dims[x.rank++] = 1;
        x.data = arena_array(&t->cx.arena, (size_t)n + 1, 8);
        s = tenon_session_bind(r->session, port.name, &x, &r->err);
    }
    return s ? s : tenon_session_run(r->session, &r->err);
}

static void expect(Trial *t, Running *r, const Fault *f, const char *what, tenon_status wanted) {
    r->err = (tenon_error){0};
    tenon_status s = run_faulty(t, r, f);
    CHECK(t, s == wanted, "%s gives %d (%s), %d is wanted", what, s, r->err.text, wanted);
    CHECK(t, r->err.code == s && *r->err.text, "%s has no message", what);
}

/* Empty inputs run or are refused, with a message. */
static void expect_safe(Trial *t, Running *r, const Fault *f, const char *what) {
    r->err = (tenon_error){0};
    tenon_status s = run_faulty(t, r, f);
    bool safe = s == TENON_OK || s == TENON_E_SHAPE || s == TENON_E_RANGE;
    CHECK(t, safe, "%s gives %d (%s)", what, s, r->err.text);
    CHECK(t, s == TENON_OK || *r->err.text, "%s has no message", what);
}

static bool shared_symbol(Running *r, int input, int axis) {
    tenon_port p, q;
    tenon_plan_port(r->plan, NULL, input, &p, NULL);
    for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &q, NULL) && !q.is_output; i++)
        for (int a = 0; i != input && a < q.rank; a++)
            if (q.dims[a] < 0 && !strcmp(q.symbols[a], p.symbols[axis])) return true;
    return false;
}

static void check_axis(Trial *t, Running *r, const tenon_port *p, int input, int axis) {
    const StTensor *w = recorded(t, 0, "in", p->name);
    Fault f = {.port = input, .axis = axis, .length = w->dims[axis] + 1};
    const char *what = arena_printf(&t->cx.arena, "axis %d of '%s' longer by 1", axis, p->name);
    if (p->dims[axis] >= 0 || shared_symbol(r, input, axis)) expect(t, r, &f, what, TENON_E_SHAPE);
    f.all = true;
    f.length = 0;
    expect_safe(t, r, &f, arena_printf(&t->cx.arena, "axis %d of '%s' empty", axis, p->name));
}

static void check_contract(Trial *t) {
    Running *r = start(t, TENON_ISA_AUTO, 1);
    tenon_port p;
    for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &p, NULL) && !p.is_output; i++) {
        if (!recorded(t, 0, "in", p.name)) continue;
        Fault f = {.port = i, .axis = -1, .missing = true};
        if (!p.is_optional) expect(t, r, &f, "a missing input", TENON_E_ARGUMENT);
        f = (Fault){.port = i, .axis = -1, .other_type = true};
        expect(t, r, &f, "an input of another type", TENON_E_DTYPE);
        f = (Fault){.port = i, .axis = -1, .other_rank = true};
        if (p.rank < TENON_MAX_RANK) expect(t, r, &f, "an input of another rank", TENON_E_SHAPE);
        for (int a = 0; a < p.rank; a++) check_axis(t, r, &p, i, a);
    }
    CHECK(t, !bind_case(t, r, 0) && !tenon_session_run(r->session, &r->err), "after errors: %s",
          r->err.text);
}

/* Positions come from the length, and the contract refuses one token more, or from the data
 * (RoBERTa), and the look-up does. */
static void check_positions(Trial *t, int64_t positions) {
    Running *r = start(t, TENON_ISA_AUTO, 1);
    Fault f = {.port = 0, .axis = 1, .all = true, .length = positions};
    CHECK(t, !run_faulty(t, r, &f), "%d tokens: %s", (int)positions, r->err.text);
    f.length = positions + 1;
    tenon_status s = run_faulty(t, r, &f);
    CHECK(t, s == TENON_E_SHAPE || s == TENON_E_RANGE, "a token beyond the table gives %d", s);
    CHECK(t, *r->err.text, "a token beyond the position table has no message");
}

/* --- passes --- */

static const Tensor **graph_inputs(Trial *t, const Graph *g) {
    const Tensor **in = ARENA_ARRAY(&t->cx.arena, const Tensor *, (size_t)g->input_count + 1);
    for (int i = 0; i < g->input_count; i++) {
        const StTensor *w = recorded(t, 0, "in", g->inputs[i]->name);
        if (!w) continue;
        Tensor *x = ARENA_NEW(&t->cx.arena, Tensor);
        *x = (Tensor){.dtype = w->dtype,
                      .rank = w->rank,
                      .data = (void *)(uintptr_t)w->data,
                      .bytes = w->bytes};
        memcpy(x->dims, w->dims, sizeof x->dims);
        in[i] = x;
    }
    return in;
}

static void evaluate(Trial *t, Graph *g, const char *after) {
    Tensor *out = ARENA_ARRAY(&t->cx.arena, Tensor, (size_t)g->output_count + 1);
    const char *broken = ir_verify(g);
    CHECK(t, !broken, "after %s: %s", after, broken);
    ir_eval(g, graph_inputs(t, g), out, &t->cx.arena, NULL, NULL);
    for (int i = 0; i < g->output_count; i++)
        check_close(t, arena_printf(&t->cx.arena, "after %s", after), g->output_names[i], &out[i],
                    recorded(t, 0, "out", g->output_names[i]), 1);
}

static void check_passes(Trial *t) {
    Module *m = ir_module_new(&t->cx);
    ImportOptions o = {0};
    Graph *g = frontend_import(m, t->model, &o);
    Report r;
    report_init(&r, &t->cx);
    evaluate(t, g, "import");
    for (int i = 0; pass_at(i); i++) {
        if (pass_at(i)->run == pass_bfloat) continue; /* rounds: test_precision */
        if (!pass_at(i)->run(g, &r)) continue;
        evaluate(t, g, pass_at(i)->name);
        if (i) pass_canon(g, &r);
        const char *wrong = ir_verify_canonical(g);
        CHECK(t, !wrong, "after %s: %s", pass_at(i)->name, wrong);
    }
    evaluate(t, g, "canon");
}

/* --- all of them --- */

static void try_everything(Trial *t) {
    const char *about = arena_printf(&t->cx.arena, "%s/fixture.json", t->folder);
    const bool told = access(about, R_OK) == 0;
    compile_twice(t);
    run_everywhere(t, told && has_integers(t, about));
    check_contract(t);
    int64_t positions = t->given || !told ? 0 : positions_of(t, about);
    if (positions) check_positions(t, positions);
    check_passes(t);
}

int main(int argc, char **argv) {
    return trials(argc, argv, try_everything);
}
