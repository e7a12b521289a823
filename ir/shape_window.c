/* Shape rules of operators that slide a window over up to three spatial axes. */
#include "ir/shape.h"

#include <math.h>
#include <string.h>
#include "ir/infer.h"

#define SPATIAL 3

/* Entries must lie in [1, INT32_MAX], so that no sum of a few overflows. */
static void check_list(const Node *n, const char *name, int count) {
    const IntList *list = attr_ints(n, name);
    Cx *cx = module_of(n)->cx;
    if (list->count != count)
        tn_fail(cx, TN_E_MODEL, "%s has %d entries, not %d", name, list->count, count);
    for (int i = 0; i < count; i++)
        if (list->v[i] < 1 || list->v[i] > INT32_MAX)
            tn_fail(cx, TN_E_MODEL, "%s contains %lld", name, (long long)list->v[i]);
}

/* Lengths and paddings: as many, none provably negative, numbers at most INT32_MAX. */
static const DimList *check_dims(const Node *n, const char *name, int count) {
    const DimList *list = attr_dims(n, name);
    Cx *cx = module_of(n)->cx;
    int64_t v;
    if (list->count != count)
        tn_fail(cx, TN_E_MODEL, "%s has %d entries, not %d", name, list->count, count);
    for (int i = 0; i < count; i++)
        if (ex_const(list->e[i], &v) && (v < 0 || v > INT32_MAX))
            tn_fail(cx, TN_E_MODEL, "%s contains %lld", name, (long long)v);
    return list;
}

static int check_spatial(const Node *n) {
    infer_rank(n, 0, 3, 2 + SPATIAL);
    return infer_input(n, 0)->rank - 2;
}

void shape_pool(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int spatial = check_spatial(n);
    const Expr *dims[TN_MAX_RANK] = {x->dims[0], x->dims[1]};
    bool max = strcmp(attr_string(n, "mode"), "max") == 0;
    bool places = strcmp(attr_string(n, "places"), "none") != 0;
    double p = attr_float(n, "p");
    if (!max) infer_dtype(n, 0, "float");
    if (x->dtype == TN_I64 || x->dtype == TN_U64)
        tn_fail(m->cx, TN_E_UNSUPPORTED, "pooling of %s is unsupported", tn_dtype_name(x->dtype));
    if (places && !max) tn_fail(m->cx, TN_E_MODEL, "only the largest have places");
    if (!(isfinite(p) && p > 0)) tn_fail(m->cx, TN_E_MODEL, "p = %g, wanted more than 0", p);
    check_list(n, "kernel", spatial);
    check_list(n, "strides", spatial);
    check_list(n, "dilations", spatial);
    check_dims(n, "begins", spatial);
    check_dims(n, "ends", spatial);
    const DimList *out = check_dims(n, "dims", spatial);
    memcpy(dims + 2, out->e, (size_t)spatial * sizeof *dims);
    infer_make_outputs(n, places ? 2 : 1);
    infer_output(n, 0, x->dtype, x->rank, dims);
    if (places) infer_output(n, 1, TN_I64, x->rank, dims);
}

/* --- columns --- */

void shape_col2im(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int spatial = attr_dims(n, "dims")->count;
    if (spatial < 1 || spatial > SPATIAL)
        tn_fail(m->cx, TN_E_MODEL, "%d spatial axes, wanted 1 to %d", spatial, SPATIAL);
    infer_rank(n, 0, 2 + 2 * spatial, 2 + 2 * spatial);
    check_list(n, "strides", spatial);
    check_list(n, "dilations", spatial);
    check_dims(n, "begins", spatial);
    const Expr *dims[TN_MAX_RANK] = {x->dims[0], x->dims[1]};
    memcpy(dims + 2, check_dims(n, "dims", spatial)->e, (size_t)spatial * sizeof *dims);
    infer_output(n, 0, x->dtype, 2 + spatial, dims);
}

/* Operand i is [batch, channels, rows, columns] of the offsets. */
static void check_places(const Node *n, int i, int64_t channels) {
    Module *m = module_of(n);
    const Type *t = infer_input(n, i), *offset = infer_input(n, 1);
    const Expr *wanted[] = {infer_input(n, 0)->dims[0], ex_int(m->ex, channels), offset->dims[2],
                            offset->dims[3]};
    infer_rank(n, i, 4, 4);
    for (int k = 0; k < 4; k++)
        ir_same_dim(m, t->dims[k], wanted[k], i == 1 ? "offsets and kernel" : "mask and kernel");
}

void shape_deform_columns(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *offset = infer_input(n, 1);
    int64_t groups = attr_int(n, "groups"), channels;
    infer_rank(n, 0, 4, 4);
    infer_rank(n, 1, 4, 4);
    check_list(n, "kernel", 2);
    check_list(n, "strides", 2);
    check_list(n, "dilations", 2);
    const IntList *kernel = attr_ints(n, "kernel"), *begins = attr_ints(n, "begins");
    for (int i = 0; i < 2; i++)
        if (begins->count != 2 || begins->v[i] < 0 || begins->v[i] > INT32_MAX)
            tn_fail(m->cx, TN_E_MODEL, "begins has %d entries, the first %lld", begins->count,
                    (long long)begins->v[0]);
    int64_t taps = kernel->v[0] * kernel->v[1];
    if (groups < 1 || groups > INT32_MAX || taps > INT32_MAX)
        tn_fail(m->cx, TN_E_MODEL, "%lld groups of %lld taps", (long long)groups, (long long)taps);
    if (ex_const(x->dims[1], &channels) && channels % groups != 0)
        tn_fail(m->cx, TN_E_MODEL, "%lld channels in %lld groups", (long long)channels,
                (long long)groups);
    check_places(n, 1, 2 * groups * taps);
    if (n->input_count > 2 && n->inputs[2]) check_places(n, 2, groups * taps);
    const Expr *dims[] = {
        x->dims[0],      x->dims[1],     ex_int(m->ex, kernel->v[0]), ex_int(m->ex, kernel->v[1]),
        offset->dims[2], offset->dims[3]};
    infer_output(n, 0, x->dtype, 6, dims);
}
