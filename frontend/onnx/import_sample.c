/* ONNX operators that sample images at computed places, and their relatives: GridSample, RoiAlign,
 * AffineGrid, CenterCropPad. */
#include <math.h>
#include <string.h>
#include "frontend/onnx/import.h"

/* The float type that holds x's elements while samples are weighed. */
static TnDType sample_type(TnDType t) {
    bool wide = t == TN_F64 || (tn_is_int(t) && tn_dtype_size(t) > 2);
    return wide ? TN_F64 : TN_F32;
}

void import_grid_sample(OnnxNode *n) {
    static const char *const modes[] = {"linear", "bilinear", "nearest", "cubic", "bicubic", NULL};
    static const char *const kinds[] = {"linear", "linear", "nearest", "cubic", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    Value *x = n->inputs[0], *grid = n->inputs[1];
    TnDType t = x->type.dtype;
    if (!tn_is_float(grid->type.dtype))
        tn_fail(n->cx, TN_E_MODEL, "the grid is %s, not of floats",
                ir_type_text(n->m, &grid->type));
    Value *in[] = {ir_cast(n->g, x, sample_type(t)), ir_cast(n->g, grid, TN_F32)};
    Node *node = ir_node(n->g, OP_grid_sample, 2, in);
    ir_set_string(node, "mode", kinds[onnx_word(n, "mode", modes)]);
    ir_set_string(node, "padding", paddings[onnx_word(n, "padding_mode", paddings)]);
    ir_set_bool(node, "align_corners", onnx_flag(n, "align_corners"));
    Value *y = ir_insert(node);
    if (tn_is_int(t)) y = ir_unary(n->g, OP_round, y);
    n->outputs[0] = ir_cast(n->g, y, t);
}

static const Expr *pooled_length(OnnxNode *n, const char *name) {
    int64_t v = onnx_int(n, name);
    if (v < 1 || v > INT32_MAX)
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is %lld", name, (long long)v);
    return ex_int(n->x, v);
}

void import_roi_align(OnnxNode *n) {
    static const char *const modes[] = {"avg", "max", NULL};
    static const char *const places[] = {"output_half_pixel", "half_pixel", NULL};
    TnDType t = n->inputs[0]->type.dtype;
    for (int i = 0; i < 2; i++)
        if (!tn_is_float(n->inputs[i]->type.dtype))
            tn_fail(n->cx, TN_E_MODEL, "input %d is %s, not of floats", i,
                    ir_type_text(n->m, &n->inputs[i]->type));
    Value *in[] = {ir_cast(n->g, n->inputs[0], TN_F32), ir_cast(n->g, n->inputs[1], TN_F32),
                   n->inputs[2]};
    Node *node = ir_node(n->g, OP_roi_align, 3, in);
    ir_set_dim(node, "height", pooled_length(n, "output_height"));
    ir_set_dim(node, "width", pooled_length(n, "output_width"));
    ir_set_float(node, "scale", onnx_float(n, "spatial_scale"));
    ir_set_int(node, "samples", onnx_int(n, "sampling_ratio"));
    ir_set_bool(node, "max", onnx_word(n, "mode", modes) == 1);
    ir_set_bool(node, "half_pixel", onnx_word(n, "coordinate_transformation_mode", places) == 1);
    n->outputs[0] = ir_cast(n->g, ir_insert(node), t);
}

/* --- AffineGrid --- */

/* d places from -1 to 1: centers of the outermost elements, or of equal parts. One place is 0. */
static Value *places_along(OnnxNode *n, TnDType t, const Expr *d, bool corners) {
    ExprCx *x = n->x;
    const Expr *one = ex_int(x, 1), *two = ex_int(x, 2);
    const Expr *least = ex_sub(x, one, d);
    Value *i = ir_cast(n->g, ir_iota(n->g, TN_I64, d, least, two), t);
    const Expr *parts = corners ? ex_max(x, ex_sub(x, d, one), one) : d;
    Value *divisor = ir_cast(n->g, ir_scalars(n->g, TN_I64, 1, &parts), t);
    return ir_binary(n->g, OP_div, i, divisor);
}

/* The homogeneous coordinates [places, axes + 1] of every place, the last axis first. */
static Value *base_grid(OnnxNode *n, TnDType t, int axes, const Expr *const *dims, bool corners) {
    Value *columns[4];
    const Expr *one = ex_int(n->x, 1), *column[5];
    memcpy(column, dims, (size_t)axes * sizeof *dims);
    column[axes] = one;
    for (int a = 0; a < axes; a++) {
        const Expr *shape[5];
        for (int i = 0; i <= axes; i++) shape[i] = i == a ? dims[a] : one;
        Value *v = ir_view(n->g, places_along(n, t, dims[a], corners), axes + 1, shape);
        columns[axes - 1 - a] = ir_expand(n->g, v, axes + 1, column);
    }
    columns[axes] = ir_splat(n->g, t, axes + 1, column, 1);
    Value *grid = ir_concat(n->g, axes + 1, columns, axes);
    const Expr *rows[] = {ex_product(n->x, dims, axes), ex_int(n->x, axes + 1)};
    return ir_view(n->g, grid, 2, rows);
}

/* grid[b, places.., axes] = base[places, axes + 1] theta[b, axes, axes + 1]' */
void import_affine_grid(OnnxNode *n) {
    const Type *theta = &n->inputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    int count;
    const Expr *const *size = onnx_lengths(n, 1, "size", 0, &count);
    int axes = count - 2;
    onnx_check_lengths(n, "length", count, size);
    if (axes != 2 && axes != 3)
        tn_fail(n->cx, TN_E_MODEL, "size has %d entries, wanted 4 or 5", count);
    if (theta->rank != 3 || !ex_is(theta->dims[1], axes) || !ex_is(theta->dims[2], axes + 1) ||
        !tn_is_float(theta->dtype))
        tn_fail(n->cx, TN_E_MODEL, "theta is %s, wanted floats [batch, %d, %d]",
                ir_type_text(n->m, theta), axes, axes + 1);
    ir_same_dim(n->m, theta->dims[0], size[0], "batches of theta and size");
    TnDType t = theta->dtype == TN_F64 ? TN_F64 : TN_F32;
    Value *base = base_grid(n, t, axes, size + 2, onnx_flag(n, "align_corners"));
    Value *y = ir_matmul(n->g, base, ir_cast(n->g, n->inputs[0], t), false, true);
    dims[0] = theta->dims[0];
    for (int i = 0; i < axes; i++) dims[1 + i] = size[2 + i];
    dims[1 + axes] = ex_int(n->x, axes);
    n->outputs[0] = ir_cast(n->g, ir_view(n->g, y, axes + 2, dims), theta->dtype);
}

/* --- CenterCropPad --- */

static Value *crop_or_pad(OnnxNode *n, Value *x, int axis, const Expr *to) {
    ExprCx *e = n->x;
    const Expr *from = x->type.dims[axis], *zero = ex_int(e, 0), *two = ex_int(e, 2);
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK];
    const Expr *kept = ex_min(e, from, to);
    const Expr *start = ex_floordiv(e, ex_sub(e, from, kept), two);
    x = onnx_slice(n, x, axis, start, kept, 1);
    if (kept == to) return x;
    for (int i = 0; i < x->type.rank; i++) before[i] = after[i] = zero;
    before[axis] = ex_floordiv(e, ex_sub(e, to, kept), two);
    after[axis] = ex_sub(e, ex_sub(e, to, kept), before[axis]);
    Node *node = ir_node(n->g, OP_pad, 1, &x);
    ir_set_dims(node, "before", x->type.rank, before);
    ir_set_dims(node, "after", x->type.rank, after);
    return ir_insert(node);
}

void import_center_crop_pad(OnnxNode *n) {
    Value *x = n->inputs[0];
    const Expr *const *shape;
    OnnxInts axes = onnx_ints(n, "axes");
    int rank = x->type.rank, count;
    bool marked[TN_MAX_RANK];
    onnx_mark_axes(n, axes, rank, marked);
    shape = onnx_lengths(n, 1, "shape", 0, &count);
    if (count != (axes.given ? axes.count : rank))
        tn_fail(n->cx, TN_E_MODEL, "%d lengths for %d axes", count, axes.given ? axes.count : rank);
    onnx_check_lengths(n, "length", count, shape);
    for (int i = 0; i < count; i++)
        x = crop_or_pad(n, x, axes.given ? ir_axis(n->m, axes.v[i], rank) : i, shape[i]);
    n->outputs[0] = x;
}
