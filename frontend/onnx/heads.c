/* Heads of attention: split, merged, shared and rotated. */
#include "frontend/onnx/heads.h"

#include <math.h>

Value *heads_split(OnnxNode *n, Value *x, int64_t heads) {
    static const int perm[] = {0, 2, 1, 3};
    const Type *t = &x->type;
    if (t->rank == 4) return x;
    if (t->rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "heads in %s, wanted 3 or 4 axes", ir_type_text(n->m, t));
    const Expr *const *d = t->dims;
    const Expr *dims[] = {d[0], d[1], ex_int(n->x, heads), onnx_part(n, d[2], heads)};
    return ir_transpose(n->g, ir_view(n->g, x, 4, dims), perm);
}

Value *heads_merge(OnnxNode *n, Value *x) {
    static const int perm[] = {0, 2, 1, 3};
    if (x->type.rank != 4)
        tn_fail(n->cx, TN_E_MODEL, "heads have become %s, wanted 4 axes",
                ir_type_text(n->m, &x->type));
    const Expr *const *d = x->type.dims;
    const Expr *dims[] = {d[0], d[2], ex_mul(n->x, d[1], d[3])};
    return ir_view(n->g, ir_transpose(n->g, x, perm), 3, dims);
}

Value *heads_share(OnnxNode *n, Value *x, const Expr *heads) {
    int64_t groups, all;
    const Expr *const *d = x->type.dims;
    if (d[1] == heads) return x;
    if (!ex_const(d[1], &groups) || !ex_const(heads, &all) || groups < 1 || all % groups != 0)
        tn_fail(n->cx, TN_E_MODEL, "%s heads of queries for %s heads of keys", ex_text(n->x, heads),
                ex_text(n->x, d[1]));
    const Expr *repeated[] = {d[0], d[1], ex_int(n->x, all / groups), d[2], d[3]};
    const Expr *merged[] = {d[0], heads, d[2], d[3]};
    Value *y = ir_expand(n->g, ir_unsqueeze(n->g, x, 2), 5, repeated);
    return ir_view(n->g, y, 4, merged);
}

/* Half of the rotated part of the last axis: the first or second, or every other element. */
static Value *half_of(OnnxNode *n, Value *x, const Expr *half, int which, bool interleaved) {
    const Expr *start = interleaved ? ex_int(n->x, which) : ex_scale(n->x, half, which, 1);
    return ir_slice(n->g, x, 3, start, half, interleaved ? 2 : 1);
}

/* The two rotated halves as one. */
static Value *join_halves(OnnxNode *n, Value *a, Value *b, bool interleaved) {
    if (!interleaved) return ir_concat(n->g, 2, (Value *[]){a, b}, 3);
    const Expr *const *d = a->type.dims;
    const Expr *dims[] = {d[0], d[1], d[2], ex_scale(n->x, d[3], 2, 1)};
    a = ir_unsqueeze(n->g, a, 4);
    b = ir_unsqueeze(n->g, b, 4);
    return ir_view(n->g, ir_concat(n->g, 2, (Value *[]){a, b}, 4), 4, dims);
}

Value *heads_rotate(OnnxNode *n, Value *x, Value *cos, Value *sin, const Expr *rotated,
                    bool interleaved) {
    Graph *g = n->g;
    const Expr *size = x->type.dims[3], *half = onnx_part(n, rotated, 2);
    Value *x1 = half_of(n, x, half, 0, interleaved);
    Value *x2 = half_of(n, x, half, 1, interleaved);
    Value *y1 = ir_binary(g, OP_sub, ir_binary(g, OP_mul, x1, cos), ir_binary(g, OP_mul, x2, sin));
    Value *y2 = ir_binary(g, OP_add, ir_binary(g, OP_mul, x1, sin), ir_binary(g, OP_mul, x2, cos));
    Value *y = join_halves(n, y1, y2, interleaved);
    if (rotated == size) return y;
    Value *rest = ir_slice(g, x, 3, rotated, ex_sub(n->x, size, rotated), 1);
    return ir_concat(g, 2, (Value *[]){y, rest}, 3);
}

Value *heads_places(OnnxNode *n, const Expr *start, const Expr *length) {
    return ir_iota(n->g, TN_I64, length, start, ex_int(n->x, 1));
}

/* 1 / sqrt(d) as a scalar, also where d is a length. */
static Value *default_scale(OnnxNode *n, const Value *q, TnDType t) {
    const Expr *size = q->type.dims[3];
    int64_t d;
    if (ex_const(size, &d) && d > 0) return ir_scalar(n->g, t, 1 / sqrt((double)d));
    Value *root = ir_unary(n->g, OP_sqrt, ir_cast(n->g, ir_scalars(n->g, TN_I64, 1, &size), t));
    return ir_unary(n->g, OP_reciprocal, root);
}

Value *heads_scores(OnnxNode *n, Value *q, Value *k, double scale) {
    Value *products = ir_matmul(n->g, q, heads_share(n, k, q->type.dims[1]), false, true);
    TnDType t = products->type.dtype;
    Value *factor = scale != 0 ? ir_scalar(n->g, t, scale) : default_scale(n, q, t);
    return ir_binary(n->g, OP_mul, products, factor);
}

Value *heads_weighted(OnnxNode *n, Value *probabilities, Value *v) {
    const Expr *heads = probabilities->type.dims[1];
    return heads_merge(n, ir_matmul(n->g, probabilities, heads_share(n, v, heads), false, false));
}

Value *heads_per_sample(OnnxNode *n, Value *x, const Expr *batch) {
    const Expr *one = ex_int(n->x, 1), *dims[] = {batch, one, one, one};
    return ir_view(n->g, ir_cast(n->g, x, TN_I64), 4, dims);
}

Value *heads_part(OnnxNode *n, Value *x, const Expr *start, const Expr *length) {
    return ir_slice(n->g, x, x->type.rank - 1, start, length, 1);
}

Value *heads_angles(OnnxNode *n, Value *table, Value *positions, TnDType t) {
    Value *rows = ir_gather(n->g, ir_cast(n->g, table, t), positions, 0);
    if (rows->type.rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "the angles are %s, wanted 3 axes",
                ir_type_text(n->m, &rows->type));
    return ir_unsqueeze(n->g, rows, 1);
}
