/* How extent rules explain themselves, and comparisons of dims (extents.h). */
#include <stdarg.h>
#include <stdio.h>
#include "runtime/extents.h"

bool tn_misfit(const Why *w, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->text, w->size, fmt, ap);
    va_end(ap);
    return false;
}

/* "[2, 5, 768]" */
static const char *dims_text(const TnTensor *t, char text[200]) {
    size_t n = 0;
    text[n++] = '[';
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(text + n, 200 - n, "%s%" PRId64, i ? ", " : "", t->dims[i]);
    snprintf(text + n, 200 - n, "]");
    return text;
}

bool tn_misfit_pair(const Why *w, const char *what, const TnTensor *a, const TnTensor *b) {
    char x[200], y[200];
    return tn_misfit(w, "%s: %s against %s", what, dims_text(a, x), dims_text(b, y));
}

bool tn_last_axis_dense(const Why *w, const TnTensor *t, const char *name) {
    int last = t->rank - 1;
    if (t->rank == 0 || t->dims[last] <= 1 || t->strides[last] == 1 || is_empty(t)) return true;
    return tn_misfit(w, "%s has stride %" PRId64 " in its last axis, which must be dense", name,
                     t->strides[last]);
}

bool tn_same_dims(const Why *w, const TnTensor *a, const TnTensor *b, const char *what) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    return same || tn_misfit_pair(w, what, a, b);
}

bool tn_broadcasts(const Why *w, const TnTensor *x, const TnTensor *y, const char *what) {
    int missing = y->rank - x->rank;
    bool fits = missing >= 0;
    for (int i = 0; fits && i < x->rank; i++)
        fits = x->dims[i] == 1 || x->dims[i] == y->dims[i + missing];
    return fits || tn_misfit_pair(w, what, x, y);
}

bool tn_has_dims(const Why *w, const TnTensor *t, int rank, const int64_t *dims, const char *what) {
    TnTensor wanted = {.rank = rank};
    for (int i = 0; i < rank; i++) wanted.dims[i] = dims[i];
    return tn_same_dims(w, t, &wanted, what);
}

bool tn_is_vector(const Why *w, const TnTensor *t, int64_t n, const char *name) {
    return tn_has_dims(w, t, 1, &n, name) && tn_last_axis_dense(w, t, name);
}

bool tn_loops_ok(const Why *w, const int64_t *extents, int count) {
    int64_t product = 1;
    for (int i = 0; i < count; i++) {
        int64_t extent = extents[i] > 0 ? extents[i] : 1;
        if (!tn_mul_i64(product, extent, &product) || product > TN_MAX_LOOPS)
            return tn_misfit(w, "more than 2^52 steps");
    }
    return true;
}

bool tn_wholly_dense(const Why *w, const TnTensor *t, const char *name) {
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0 && !is_empty(t); i--) {
        if (t->dims[i] > 1 && t->strides[i] != stride)
            return tn_misfit(w, "%s must be dense", name);
        stride *= t->dims[i];
    }
    return true;
}
