/* Shape rules of resampling, signal and recurrent operators. */
#include "ir/shape.h"

#include <math.h>
#include <string.h>
#include "ir/infer.h"

static Module *module_of(const Node *n) {
    return n->graph->module;
}

/* --- resize --- */

static void check_length(const Node *n, const Expr *length) {
    Module *m = module_of(n);
    int64_t v;
    if (ex_const(length, &v) && v < 0) tn_fail(m->cx, TN_E_MODEL, "a length of %lld", (long long)v);
}

void shape_resize(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const Expr *dims[TN_MAX_RANK], *length = attr_dim(n, "length");
    infer_rank(n, 0, 1, TN_MAX_RANK);
    if (strcmp(attr_string(n, "mode"), "nearest") != 0 && x->dtype != TN_F32 && x->dtype != TN_F64)
        tn_fail(m->cx, TN_E_MODEL, "%s is not interpolated", tn_dtype_name(x->dtype));
    if (!isfinite(attr_float(n, "cubic_a")))
        tn_fail(m->cx, TN_E_MODEL, "the cubic's parameter is %g", attr_float(n, "cubic_a"));
    check_length(n, length);
    if (n->input_count > 1 && n->inputs[1]) {
        const Type *grid = infer_input(n, 1);
        infer_rank(n, 1, 1, 1);
        ir_same_dim(m, grid->dims[0], ex_int(m->ex, 3), "grid and 3");
        if (grid->dtype != TN_F32)
            tn_fail(m->cx, TN_E_MODEL, "the grid is %s, not f32", tn_dtype_name(grid->dtype));
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[ir_axis(m, attr_int(n, "axis"), x->rank)] = length;
    infer_output(n, 0, x->dtype, x->rank, dims);
}
