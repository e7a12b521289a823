/* Shape rules of operators that write at positions from data, order and select. */
#include "ir/shape.h"

#include <string.h>
#include "ir/infer.h"

/* --- scatters: the result has the dims of operand 0 --- */

void shape_scatter_elements(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *index = infer_input(n, 1), *u = infer_input(n, 2);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
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

/* --- selections --- */

void shape_nonzero(Node *n) {
    Module *m = module_of(n);
    const Expr *dims[] = {ex_int(m->ex, infer_input(n, 0)->rank), attr_dim(n, "count")};
    infer_require_le(m, ex_int(m->ex, 0), dims[1], "negative number of elements");
    infer_output(n, 0, TN_I64, 2, dims);
}

void shape_unique(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
    const Expr *one = ex_int(m->ex, 1);
    for (int i = 0; i < 3; i++) infer_output(n, i, TN_I64, 1, &x->dims[axis]);
    infer_output(n, 3, TN_I64, 1, &one);
}

static void check_single(const Node *n, int i) {
    const Type *t = infer_input(n, i);
    if (t->rank != 1 || !ex_is(t->dims[0], 1))
        tn_fail(module_of(n)->cx, TN_E_MODEL, "operand %d is %s, not one element", i,
                ir_type_text(module_of(n), t));
}

void shape_nms(Node *n) {
    Module *m = module_of(n);
    const Type *boxes = infer_input(n, 0), *scores = infer_input(n, 1);
    if (boxes->rank != 3 || scores->rank != 3)
        tn_fail(m->cx, TN_E_MODEL, "boxes %s and scores %s, not f32[b, n, 4] and f32[b, c, n]",
                ir_type_text(m, boxes), ir_type_text(m, scores));
    ir_same_dim(m, boxes->dims[0], scores->dims[0], "batches of boxes and scores");
    ir_same_dim(m, boxes->dims[1], scores->dims[2], "numbers of boxes and scores");
    ir_same_dim(m, boxes->dims[2], ex_int(m->ex, 4), "coordinates of a box and 4");
    check_single(n, 2);
    check_single(n, 3);
    if (n->input_count > 4 && n->inputs[4]) check_single(n, 4);
    infer_require_le(m, ex_int(m->ex, 0), attr_dim(n, "limit"), "negative limit");
    const Expr *pairs = ex_mul(m->ex, scores->dims[0], scores->dims[1]), *one = ex_int(m->ex, 1);
    const Expr *dims[] = {ex_mul(m->ex, pairs, attr_dim(n, "limit")), ex_int(m->ex, 3)};
    infer_output(n, 0, TN_I64, 2, dims);
    infer_output(n, 1, TN_I64, 1, &one);
}
