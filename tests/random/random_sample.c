/* Inputs for a random graph, its results by the reference kernels, and comparing with them. */
#include <math.h>
#include <string.h>
#include "tests/random/random_trial.h"

enum { MAX_LENGTH = 6, LONG = 70, MANY = 20000, ATTEMPTS = 8, MAX_SYMBOLS = 1024 };

/* --- inputs --- */

/* Multiples of 1/8 between -2 and 2: their sums and products are exact for a while. */
static void fill(Rng *r, Tensor *x) {
    int64_t n = tensor_count(x);
    for (int64_t i = 0; i < n; i++) {
        if (tn_is_float(x->dtype))
            ir_store_f64(x->dtype, x->data, i, (rng_below(r, 33) - 16) / 8.0);
        else
            ir_store_i64(x->dtype, x->data, i, rng_below(r, x->dtype == TN_BOOL ? 2 : 3));
    }
}

/* Now and then one of them is long: work for several tasks. */
static void choose_lengths(const Trial *t, Rng *r, int64_t *lengths) {
    int longer = rng_below(r, 20);
    for (int i = 0; i < ex_symbol_count(t->m->ex) && i < MAX_SYMBOLS; i++) {
        const Symbol *s = ex_symbol_at(t->m->ex, i);
        int64_t n = rng_below(r, 30) == 0 ? 0 : 1 + rng_below(r, MAX_LENGTH);
        if (i == longer) n = 1 + rng_below(r, LONG);
        lengths[i] = n < s->min ? s->min : n > s->max ? s->max : n;
    }
}

static bool make_inputs(Trial *t, Rng *r, Sample *s) {
    Arena *a = &t->cx.arena;
    int64_t *lengths = ARENA_ARRAY(a, int64_t, MAX_SYMBOLS);
    choose_lengths(t, r, lengths);
    s->inputs = ARENA_ARRAY(a, const Tensor *, (size_t)t->g->input_count + 1);
    for (int i = 0; i < t->g->input_count; i++) {
        const Type *type = &t->g->inputs[i]->type;
        Tensor *x = ARENA_NEW(a, Tensor);
        *x = (Tensor){.dtype = type->dtype, .rank = type->rank};
        int64_t n = 1;
        for (int k = 0; k < type->rank; k++) {
            if (!ex_eval(t->m->ex, type->dims[k], lengths, &x->dims[k]) || x->dims[k] < 0)
                return false;
            n *= x->dims[k];
        }
        if (n > MANY) return false;
        x->bytes = (size_t)n * tn_dtype_size(type->dtype);
        x->data = (void *)(((uintptr_t)arena_alloc(a, x->bytes + 64) + 63) / 64 * 64);
        fill(r, x);
        s->inputs[i] = x;
    }
    return true;
}

static bool evaluate(Trial *t, Sample *s) {
    jmp_buf *outer = t->cx.on_fail, refused;
    int depth = t->cx.depth;
    volatile bool done = false;
    t->cx.on_fail = &refused;
    if (setjmp(refused) == 0) {
        ir_eval(t->g, s->inputs, s->wanted, &t->cx.arena, NULL, NULL);
        done = true;
    }
    t->cx.on_fail = outer;
    if (!done) t->cx.depth = depth;
    return done;
}

void random_samples(Trial *t) {
    Rng r = {t->seed};
    for (int i = 0; i < ATTEMPTS && t->sample_count < RANDOM_SAMPLES; i++) {
        Sample *s = &t->samples[t->sample_count];
        if (make_inputs(t, &r, s) && evaluate(t, s)) t->sample_count++;
    }
}

/* --- comparing --- */

void random_compare(Trial *t, const char *how, const Sample *s, int output, const Tensor *got) {
    const Tensor *want = &s->wanted[output];
    if (got->dtype != want->dtype || got->rank != want->rank || got->bytes != want->bytes ||
        memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims) != 0)
        tn_fail(&t->cx, TN_E_MODEL, "%s: output %d has another type or shape", how, output);
    int64_t n = tensor_count(want);
    double largest = 1;
    for (int64_t i = 0; i < n; i++) {
        double b = ir_element_f64(want->dtype, want->data, i);
        if (isfinite(b)) largest = fmax(largest, fabs(b));
    }
    for (int64_t i = 0; i < n; i++) {
        double a = ir_element_f64(got->dtype, got->data, i),
               b = ir_element_f64(want->dtype, want->data, i);
        bool same = a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= t->tolerance * largest;
        if (!same)
            tn_fail(&t->cx, TN_E_MODEL, "%s: element %lld of output %d is %.9g, wanted %.9g", how,
                    (long long)i, output, a, b);
    }
}
