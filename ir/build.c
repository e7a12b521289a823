/* Short forms for building nodes; see build.h. */
#include "ir/build.h"

Value *ir_unary(Graph *g, OpKind op, Value *x) {
    return ir_insert(ir_node(g, op, 1, &x));
}

Value *ir_binary(Graph *g, OpKind op, Value *a, Value *b) {
    return ir_insert(ir_node(g, op, 2, (Value *[]){a, b}));
}

Value *ir_where(Graph *g, Value *c, Value *a, Value *b) {
    return ir_insert(ir_node(g, OP_where, 3, (Value *[]){c, a, b}));
}

Value *ir_cast(Graph *g, Value *x, TnDType to) {
    if (x->type.dtype == to) return x;
    Node *n = ir_node(g, OP_cast, 1, &x);
    ir_set_dtype(n, "to", to);
    return ir_insert(n);
}

Value *ir_splat(Graph *g, TnDType dtype, int rank, const Expr *const *dims, double v) {
    Node *n = ir_node(g, OP_splat, 0, NULL);
    ir_set_dtype(n, "dtype", dtype);
    ir_set_dims(n, "dims", rank, dims);
    if (tn_is_float(dtype))
        ir_set_float(n, "value", v);
    else
        ir_set_int(n, "integer", (int64_t)v);
    return ir_insert(n);
}

Value *ir_iota(Graph *g, TnDType dtype, const Expr *length, const Expr *start, const Expr *step) {
    Node *n = ir_node(g, OP_iota, 0, NULL);
    ir_set_dtype(n, "dtype", dtype);
    ir_set_dim(n, "length", length);
    ir_set_dim(n, "start", start);
    ir_set_dim(n, "step", step);
    return ir_insert(n);
}

Value *ir_scalars(Graph *g, TnDType dtype, int n, const Expr *const *e) {
    Node *node = ir_node(g, OP_scalars, 0, NULL);
    ir_set_dtype(node, "dtype", dtype);
    ir_set_exprs(node, "values", n, e);
    return ir_insert(node);
}

Value *ir_measure(Graph *g, Value *x, int n, const Expr *const *e) {
    Node *node = ir_node(g, OP_measure, 1, &x);
    ir_set_exprs(node, "symbols", n, e);
    return ir_insert(node);
}

static bool has_dims(Graph *g, const Value *x, int rank, const Expr *const *dims) {
    if (x->type.rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (ex_norm(g->module->ex, dims[i]) != ex_norm(g->module->ex, x->type.dims[i]))
            return false;
    return true;
}

Value *ir_view(Graph *g, Value *x, int rank, const Expr *const *dims) {
    if (has_dims(g, x, rank, dims)) return x;
    Node *n = ir_node(g, OP_view, 1, &x);
    ir_set_dims(n, "dims", rank, dims);
    return ir_insert(n);
}

Value *ir_transpose(Graph *g, Value *x, const int *perm) {
    int64_t list[TN_MAX_RANK];
    bool same = true;
    for (int i = 0; i < x->type.rank; i++) {
        list[i] = perm[i];
        same = same && perm[i] == i;
    }
    if (same) return x;
    Node *n = ir_node(g, OP_transpose, 1, &x);
    ir_set_ints(n, "perm", x->type.rank, list);
    return ir_insert(n);
}

Value *ir_expand(Graph *g, Value *x, int rank, const Expr *const *dims) {
    if (has_dims(g, x, rank, dims)) return x;
    Node *n = ir_node(g, OP_expand, 1, &x);
    ir_set_dims(n, "dims", rank, dims);
    return ir_insert(n);
}

Value *ir_slice(Graph *g, Value *x, int axis, const Expr *start, const Expr *length, int64_t step) {
    Node *n = ir_node(g, OP_slice, 1, &x);
    ir_set_int(n, "axis", axis);
    ir_set_dim(n, "start", start);
    ir_set_dim(n, "length", length);
    ir_set_int(n, "step", step);
    return ir_insert(n);
}

Value *ir_concat(Graph *g, int n, Value *const *x, int axis) {
    Node *node = ir_node(g, OP_concat, n, x);
    ir_set_int(node, "axis", axis);
    return ir_insert(node);
}

Value *ir_gather(Graph *g, Value *x, Value *index, int axis) {
    Node *n = ir_node(g, OP_gather, 2, (Value *[]){x, index});
    ir_set_int(n, "axis", axis);
    return ir_insert(n);
}

Value *ir_reduce(Graph *g, OpKind op, Value *x, int n, const int64_t *axes, bool keep) {
    Node *node = ir_node(g, op, 1, &x);
    ir_set_ints(node, "axes", n, axes);
    ir_set_bool(node, "keep", keep);
    return ir_insert(node);
}

Value *ir_matmul(Graph *g, Value *a, Value *b, bool ta, bool tb) {
    Node *n = ir_node(g, OP_matmul, 2, (Value *[]){a, b});
    ir_set_bool(n, "ta", ta);
    ir_set_bool(n, "tb", tb);
    return ir_insert(n);
}

Value *ir_matmul_like(const Node *product, Value *a, Value *b, bool ta, bool tb) {
    Node *n = ir_node(product->graph, OP_matmul, 2, (Value *[]){a, b});
    ir_copy_attrs(n, product);
    ir_set_bool(n, "ta", ta);
    ir_set_bool(n, "tb", tb);
    return ir_insert(n);
}

Value *ir_softmax(Graph *g, Value *x, int axis) {
    Node *n = ir_node(g, OP_softmax, 1, &x);
    ir_set_int(n, "axis", axis);
    return ir_insert(n);
}

Value *ir_layer_norm(Graph *g, Value *x, Value *gamma, Value *beta, double eps) {
    Node *n = ir_node(g, OP_layer_norm, 3, (Value *[]){x, gamma, beta});
    ir_set_float(n, "eps", eps);
    return ir_insert(n);
}

Value *ir_rms_norm(Graph *g, Value *x, Value *gamma, double eps) {
    Node *n = ir_node(g, OP_rms_norm, 2, (Value *[]){x, gamma});
    ir_set_float(n, "eps", eps);
    return ir_insert(n);
}

Value *ir_unsqueeze(Graph *g, Value *x, int axis) {
    int rank = x->type.rank + 1, at = ir_axis(g->module, axis, rank);
    if (rank > TN_MAX_RANK)
        tn_fail(g->module->cx, TN_E_LIMIT, "a tensor with %d axes, at most %d", rank, TN_MAX_RANK);
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0, j = 0; i < rank; i++)
        dims[i] = i == at ? ex_int(g->module->ex, 1) : x->type.dims[j++];
    return ir_view(g, x, rank, dims);
}

Value *ir_squeeze(Graph *g, Value *x, int axis) {
    int rank = x->type.rank, at = ir_axis(g->module, axis, rank);
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0, j = 0; i < rank; i++)
        if (i != at) dims[j++] = x->type.dims[i];
    return ir_view(g, x, rank - 1, dims);
}
