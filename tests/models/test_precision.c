/* Whole models in fewer bits: every model of every fixture is compiled with precision bf16, int8
 * and int4, run on every instruction set and held against PyTorch's results in f32.
 *
 * bf16 has 8 bits, so a number is rounded by at most 2^-9 of itself, by 2^-9 / sqrt(3) on the
 * average (as a root of the mean square). The roundings of a layer - a few values and every weight
 * - add up like noise: some ten of them per layer, over the layers and heads of these models, are
 * sqrt(100) 2^-9 or 2 %, and more where a norm or a small head enlarges what is left of numbers
 * that cancel, with so few channels to average over. The bound is 5 %, root mean square against
 * root mean square of what the output varies by, as that of `tenon diff`: for each case whose
 * output has numbers enough for that to mean something, and for each output over all cases. Where a
 * case gives scores of classes, the best class is the same wherever it leads by more than what
 * rounding moves.
 *
 * int8 rounds only weights, in groups of 32, to 1/254 of the largest of each at most or 0.5 % of
 * their size on the average: the same bound holds. int4 rounds them by 8 %, and that is what each
 * product is off by then. Errors of ten products, added up like noise, are 25 %, and more where
 * they are enlarged or heads are small; the bound is 60 %, where a wrong result would be off by
 * 140 %.
 *
 * Weights of less than 32 rows or columns stay as they are. Those of an encoder, a vision model
 * with convolutions, decoders with a past, with fewer heads of keys than of queries, with tied
 * embeddings and of an encoder-decoder are larger: bert-base, segformer-seg, llama-decode, gpt2-lm,
 * t5-decode.
 *
 *     test_precision [FOLDER [NAME]]     fixtures of FOLDER, those whose name contains NAME */
#include <math.h>
#include "ir/ir.h"
#include "tests/support/model_trial.h"

typedef struct Precision {
    const char *name;
    double most; /* error, by size */
    int64_t few; /* numbers of a case, of which that says something */
} Precision;

/* --- comparing --- */

/* Over numbers of one case, or of all. */
typedef struct Sums {
    double gap, sum, squares, count; /* gap: squares of differences */
} Sums;

typedef struct Error {
    double gap, size; /* root mean squares, the second around the mean */
} Error;

static void add(Sums *s, const tenon_tensor *got, const StTensor *want, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64((TnDType)got->dtype, got->data, i),
               b = ir_element_f64(want->dtype, want->data, i);
        if (a == b && fabs(b) > 1e30) continue; /* of masks */
        s->gap += (a - b) * (a - b);
        s->sum += b;
        s->squares += b * b;
        s->count++;
    }
}

static Error error_of(const Sums *s) {
    if (s->count == 0) return (Error){0};
    double mean = s->sum / s->count, variance = s->squares / s->count - mean * mean;
    /* an output that hardly varies is held against its own size */
    return (Error){sqrt(s->gap / s->count), sqrt(fmax(variance, s->squares / s->count / 16))};
}

static void check_error(Trial *t, const char *what, const char *name, Error e, const Precision *p) {
    if (!(e.gap / fmax(e.size, 1e-30) <= t->error)) t->error = e.gap / fmax(e.size, 1e-30);
    CHECK(t, e.gap <= p->most * e.size, "%s: output '%s' is off by %.3g of its size %.3g", what,
          name, e.gap, e.size);
}

static int64_t best(TnDType t, const void *data, int64_t first, int64_t n, double *lead) {
    double most = -INFINITY, second = -INFINITY;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = ir_element_f64(t, data, first + i);
        if (v > most) {
            second = most;
            most = v;
            at = i;
        } else {
            second = fmax(second, v);
        }
    }
    *lead = most - second;
    return at;
}

static void check_labels(Trial *t, const char *what, const tenon_tensor *got, const StTensor *want,
                         int64_t n, double gap) {
    int64_t classes = want->dims[want->rank - 1];
    double lead, ignored;
    for (int64_t i = 0; i < n; i += classes) {
        int64_t wanted = best(want->dtype, want->data, i, classes, &lead);
        bool same = best((TnDType)got->dtype, got->data, i, classes, &ignored) == wanted;
        CHECK(t, same || lead <= 6 * gap, "%s: row %d has another label", what, (int)(i / classes));
    }
}

static void check_output(Trial *t, const char *what, const char *name, const tenon_tensor *got,
                         const StTensor *want, const Precision *p, Sums *all) {
    CHECK(t, want, "%s: output '%s' is not recorded", what, name);
    CHECK(t, (TnDType)got->dtype == want->dtype && got->bytes == want->bytes,
          "%s: output '%s' has type %s and %d bytes, recorded %s and %d", what, name,
          tn_dtype_name((TnDType)got->dtype), (int)got->bytes, tn_dtype_name(want->dtype),
          (int)want->bytes);
    int64_t n = (int64_t)(want->bytes / tn_dtype_size(want->dtype));
    if (!tn_is_float(want->dtype) || n == 0) return;
    Sums one = {0};
    add(&one, got, want, n);
    add(all, got, want, n);
    Error e = error_of(&one);
    if (n >= p->few) check_error(t, what, name, e, p);
    if (strstr(name, "logits")) check_labels(t, what, got, want, n, e.gap);
}

static void run_cases(Trial *t, Running *r, const Precision *p, const char *isa) {
    tenon_port port;
    int ports = 0;
    while (!tenon_plan_port(r->plan, NULL, ports, &port, NULL)) ports++;
    Sums *all = ARENA_ARRAY(&t->cx.arena, Sums, ports + 1);
    for (int k = 0; has_case(t, k); k++) {
        const char *what = arena_printf(&t->cx.arena, "%s, %s, case %d", p->name, isa, k);
        run_case(t, r, what, k);
        for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &port, NULL); i++) {
            tenon_tensor y;
            if (!port.is_output) continue;
            if (tenon_session_tensor(r->session, port.name, &y, &r->err))
                tn_fail(&t->cx, TN_E_MODEL, "%s: %s", what, r->err.text);
            check_output(t, what, port.name, &y, recorded(t, k, "out", port.name), p, &all[i]);
        }
    }
    for (int i = 0; !tenon_plan_port(r->plan, NULL, i, &port, NULL); i++)
        if (port.is_output) check_error(t, isa, port.name, error_of(&all[i]), p);
}

static void try_precisions(Trial *t) {
    static const Precision precisions[] = {{"bf16", 0.05, 2}, {"int8", 0.05, 2}, {"int4", 0.6, 4}};
    printf("%s:", t->model);
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        t->error = 0;
        trial_compile(t, precisions[p].name);
        for (int i = 0; i < TRIAL_ISAS; i++) {
            Running *r = start(t, trial_isas[i].isa, 1);
            if (r) run_cases(t, r, &precisions[p], trial_isas[i].name);
        }
        printf(" %s %.2g", precisions[p].name, t->error);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    return trials(argc, argv, try_precisions);
}
