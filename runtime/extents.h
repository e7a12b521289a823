/* What the extent rules (extents*.c) share: how a rule explains itself, and comparisons of dims.
 *
 *     bool extent_same(const TnCall *c, char *why, size_t why_size) {
 *         Why w = {why, why_size};
 *         return tn_same_dims(&w, input(c, 0), output(c, 0), "x and y");
 *     }
 */
#ifndef TENON_RUNTIME_EXTENTS_H
#define TENON_RUNTIME_EXTENTS_H

#include <inttypes.h>
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

/* The text, and false. */
__attribute__((format(printf, 2, 3))) bool tn_misfit(const Why *w, const char *fmt, ...);

/* The text and the dims of both, and false. */
bool tn_misfit_pair(const Why *w, const char *what, const TnTensor *a, const TnTensor *b);

static inline const TnTensor *input(const TnCall *c, int i) {
    return i < c->inputs && c->operands[i].dtype != TN_NONE ? &c->operands[i] : NULL;
}

static inline const TnTensor *output(const TnCall *c, int i) {
    return c->operands[c->inputs + i].dtype != TN_NONE ? &c->operands[c->inputs + i] : NULL;
}

static inline bool is_empty(const TnTensor *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == 0) return true;
    return false;
}

static inline int64_t product(const TnTensor *t, int first, int last) {
    int64_t p = 1;
    for (int i = first; i < last; i++) p *= t->dims[i] > 0 ? t->dims[i] : 1;
    return p;
}

/* What does not hold is explained. */
bool tn_last_axis_dense(const Why *w, const TnTensor *t, const char *name);
bool tn_same_dims(const Why *w, const TnTensor *a, const TnTensor *b, const char *what);
bool tn_has_dims(const Why *w, const TnTensor *t, int rank, const int64_t *dims, const char *what);

/* x can be read at every index of y: axes match from the right, an extent of 1 stands for any. */
bool tn_broadcasts(const Why *w, const TnTensor *x, const TnTensor *y, const char *what);

/* [n], dense */
bool tn_is_vector(const Why *w, const TnTensor *t, int64_t n, const char *name);

/* Row-major without gaps. */
bool tn_wholly_dense(const Why *w, const TnTensor *t, const char *name);

/* Nested loops of these extents end within TN_MAX_LOOPS steps. */
bool tn_loops_ok(const Why *w, const int64_t *extents, int count);

#endif
