/* Shape rules of operators that write at positions from data, order and select. */
#include "ir/shape.h"

#include <string.h>
#include "ir/infer.h"

static Module *module_of(const Node *n) {
    return n->graph->module;
}

/* --- scatters: the result has the dims of operand 0 --- */

static void scatter_types(const Node *n) {
    const Type *x = infer_input(n, 0), *u = infer_input(n, 2);
    infer_dtype(n, 1, SET_INT);
    if (u->dtype != x->dtype)
        tn_fail(module_of(n)->cx, TN_E_MODEL, "updates of type %s for a tensor of type %s",
                tn_dtype_name(u->dtype), tn_dtype_name(x->dtype));
}

void shape_scatter_elements(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *index = infer_input(n, 1), *u = infer_input(n, 2);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
    scatter_types(n);
    if (index->rank != x->rank || u->rank != x->rank)
        tn_fail(m->cx, TN_E_MODEL, "indices %s and updates %s for elements of %s",
                ir_type_text(m, index), ir_type_text(m, u), ir_type_text(m, x));
    for (int i = 0; i < x->rank; i++) {
        ir_same_dim(m, index->dims[i], u->dims[i], "dimensions of indices and updates");
        if (i != axis)
            infer_require_le(m, index->dims[i], x->dims[i], "more indices than the tensor has");
    }
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}

void shape_scatter_nd(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *index = infer_input(n, 1), *u = infer_input(n, 2);
    int64_t depth;
    scatter_types(n);
    infer_rank(n, 1, 1, TN_MAX_RANK);
    int points = index->rank - 1;
    if (!ex_const(index->dims[points], &depth))
        tn_fail(m->cx, TN_E_MODEL, "the last dimension of the indices is %s, not a number",
                ex_text(m->ex, index->dims[points]));
    if (depth < 1 || depth > x->rank || u->rank != points + x->rank - (int)depth)
        tn_fail(m->cx, TN_E_MODEL, "indices %s and updates %s for %s", ir_type_text(m, index),
                ir_type_text(m, u), ir_type_text(m, x));
    for (int i = 0; i < u->rank; i++)
        ir_same_dim(m, u->dims[i], i < points ? index->dims[i] : x->dims[i - points + (int)depth],
                    "dimensions of updates");
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}

/* --- orders --- */

void shape_topk(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
    const Expr *k = attr_dim(n, "k"), *dims[TN_MAX_RANK];
    infer_require_le(m, ex_int(m->ex, 0), k, "negative number of elements");
    infer_require_le(m, k, x->dims[axis], "more elements wanted than there are");
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = k;
    infer_output(n, 0, x->dtype, x->rank, dims);
    infer_output(n, 1, TN_I64, x->rank, dims);
}
