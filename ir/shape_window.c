/* Shape rules of operators that slide a window over up to three spatial axes. */
#include "ir/shape.h"

#include <math.h>
#include <string.h>
#include "ir/infer.h"

#define SPATIAL 3

static Module *module_of(const Node *n) {
    return n->graph->module;
}

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
    infer_dtype(n, 0, max ? SET_NUMBER : SET_FLOAT);
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
