/* What the extent rules (extents*.c) share: how a rule explains itself, and comparisons of dims.
 *
 *     bool extent_same(const TnCall *c, char *why, size_t why_size) {
 *         Why w = {why, why_size};
 *         return same_dims(&w, input(c, 0), output(c, 0), "x and y");
 *     }
 */
#ifndef TENON_RUNTIME_EXTENTS_H
#define TENON_RUNTIME_EXTENTS_H

#include <inttypes.h>
#include <stdio.h>
#include "runtime/base/checked.h"
#include "runtime/params.h"
#include "runtime/runtime.h"

#define INSTR(name, opcode, kernels, min_in, max_in, out, min_sc, max_sc, record, rule, flags, \
              synopsis)                                                                        \
    TnExtentFn extent_##rule;
#include "runtime/instrs.def"
#undef INSTR

/* Where a rule explains itself. */
typedef struct Why {
    char *text;
    size_t size;
} Why;

__attribute__((format(printf, 2, 3))) static inline bool misfit(const Why *w, const char *fmt,
                                                                ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->text, w->size, fmt, ap);
    va_end(ap);
    return false;
}

static inline const TnTensor *input(const TnCall *c, int i) {
    return i < c->inputs && c->operands[i].dtype != TN_NONE ? &c->operands[i] : NULL;
}

static inline const TnTensor *output(const TnCall *c, int i) {
    return c->operands[c->inputs + i].dtype != TN_NONE ? &c->operands[c->inputs + i] : NULL;
}

/* "[2, 5, 768]" */
static inline const char *dims_text(const TnTensor *t, char text[200]) {
    size_t n = 0;
    text[n++] = '[';
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(text + n, 200 - n, "%s%" PRId64, i ? ", " : "", t->dims[i]);
    snprintf(text + n, 200 - n, "]");
    return text;
}

static inline bool misfit_pair(const Why *w, const char *what, const TnTensor *a,
                               const TnTensor *b) {
    char x[200], y[200];
    return misfit(w, "%s: %s against %s", what, dims_text(a, x), dims_text(b, y));
}

static inline bool is_empty(const TnTensor *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == 0) return true;
    return false;
}

static inline bool last_axis_dense(const Why *w, const TnTensor *t, const char *name) {
    int last = t->rank - 1;
    if (t->rank == 0 || t->dims[last] <= 1 || t->strides[last] == 1 || is_empty(t)) return true;
    return misfit(w, "%s has stride %" PRId64 " in its last axis, which must be dense", name,
                  t->strides[last]);
}

static inline bool same_dims(const Why *w, const TnTensor *a, const TnTensor *b, const char *what) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    return same || misfit_pair(w, what, a, b);
}

/* x can be read at every index of y: axes match from the right, an extent of 1 stands for any. */
static inline bool broadcasts(const Why *w, const TnTensor *x, const TnTensor *y,
                              const char *what) {
    int missing = y->rank - x->rank;
    bool fits = missing >= 0;
    for (int i = 0; fits && i < x->rank; i++)
        fits = x->dims[i] == 1 || x->dims[i] == y->dims[i + missing];
    return fits || misfit_pair(w, what, x, y);
}

static inline bool has_dims(const Why *w, const TnTensor *t, int rank, const int64_t *dims,
                            const char *what) {
    TnTensor wanted = {.rank = rank};
    for (int i = 0; i < rank; i++) wanted.dims[i] = dims[i];
    return same_dims(w, t, &wanted, what);
}

/* [n], dense */
static inline bool is_vector(const Why *w, const TnTensor *t, int64_t n, const char *name) {
    return has_dims(w, t, 1, &n, name) && last_axis_dense(w, t, name);
}

static inline bool loops_ok(const Why *w, const int64_t *extents, int count) {
    int64_t product = 1;
    for (int i = 0; i < count; i++) {
        int64_t extent = extents[i] > 0 ? extents[i] : 1;
        if (!tn_mul_i64(product, extent, &product) || product > TN_MAX_LOOPS)
            return misfit(w, "more than 2^52 steps");
    }
    return true;
}

static inline int64_t product(const TnTensor *t, int first, int last) {
    int64_t p = 1;
    for (int i = first; i < last; i++) p *= t->dims[i] > 0 ? t->dims[i] : 1;
    return p;
}

/* Row-major without gaps. */
static inline bool wholly_dense(const Why *w, const TnTensor *t, const char *name) {
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0 && !is_empty(t); i--) {
        if (t->dims[i] > 1 && t->strides[i] != stride) return misfit(w, "%s must be dense", name);
        stride *= t->dims[i];
    }
    return true;
}

#endif
