/* ONNX operators that work on columns: the elements of windows, each window a column of a matrix.
 * A transposed convolution spreads a product over the image, a deformable one multiplies what its
 * windows gather. */
#include "frontend/onnx/window.h"
#include "ir/infer.h"

static bool is_narrow(TnDType t) {
    return tn_is_float(t) && t != TN_F32 && t != TN_F64;
}

/* Operand i, of the type of operand 0, in the type that sums run in; NULL if left out. */
static Value *operand(OnnxNode *n, int i) {
    TnDType t = n->inputs[0]->type.dtype;
    if (!onnx_given(n, i)) return NULL;
    Value *v = n->inputs[i];
    if (v->type.dtype != t || !tn_is_float(t))
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, input 0 %s; wanted floats of one type", i,
                ir_type_text(n->m, &v->type), tn_dtype_name(t));
    return ir_cast(n->g, v, is_narrow(t) ? TN_F32 : t);
}

/* Plus the bias, as the type of operand 0. */
static Value *finish(OnnxNode *n, Value *y, Value *bias) {
    if (bias) {
        if (bias->type.rank == 1)
            ir_same_dim(n->m, bias->type.dims[0], y->type.dims[1], "bias and output channels");
        y = ir_binary(n->g, OP_add, y, onnx_per_channel(n, bias));
    }
    return ir_cast(n->g, y, n->inputs[0]->type.dtype);
}

static Value *col2im(OnnxNode *n, const OnnxWindow *w, Value *x, const Expr *const *image) {
    Node *node = ir_node(n->g, OP_col2im, 1, &x);
    ir_set_dims(node, "dims", w->spatial, image);
    ir_set_ints(node, "strides", w->spatial, w->stride);
    ir_set_ints(node, "dilations", w->spatial, w->dilation);
    ir_set_dims(node, "begins", w->spatial, w->begin);
    return ir_insert(node);
}

/* --- ConvTranspose --- */

/* The attribute output_shape, which may start with batch and channels; NULL if it is not there. */
static const int64_t *output_shape(OnnxNode *n, int spatial) {
    OnnxInts shape = onnx_ints(n, "output_shape");
    if (!shape.given || shape.count == 0) return NULL;
    if (shape.count != spatial && shape.count != spatial + 2)
        tn_fail(n->cx, TN_E_MODEL, "output_shape has %d entries, wanted %d", shape.count, spatial);
    for (int i = shape.count - spatial; i < shape.count; i++)
        if (shape.v[i] < 0 || shape.v[i] > INT32_MAX)
            tn_fail(n->cx, TN_E_MODEL, "output_shape contains %lld", (long long)shape.v[i]);
    return shape.v + shape.count - spatial;
}

/* The result's length along an axis, from what the windows cover; sets the padding. What is odd
 * goes to the end for SAME_UPPER and to the beginning otherwise, before opset 11 the other way
 * round. */
static const Expr *transposed_length(OnnxNode *n, OnnxWindow *w, int i, const Expr *covered,
                                     const int64_t *shape) {
    ExprCx *x = n->x;
    const Expr *length;
    bool same = w->auto_pad == PAD_SAME_UPPER || w->auto_pad == PAD_SAME_LOWER;
    if (!shape && !same) {
        const Expr *padding = ex_add(x, w->begin[i], w->end[i]);
        infer_require_le(n->m, padding, covered, "more padding than result");
        return ex_sub(x, covered, padding);
    }
    length =
        shape ? ex_int(x, shape[i]) : ex_scale(x, n->inputs[0]->type.dims[2 + i], w->stride[i], 1);
    const Expr *total = ex_max(x, ex_int(x, 0), ex_sub(x, covered, length));
    const Expr *half = ex_floordiv(x, total, ex_int(x, 2));
    bool to_end = (w->auto_pad == PAD_SAME_UPPER) == (n->row->until == 0);
    w->begin[i] = to_end ? half : ex_sub(x, total, half);
    return length;
}

/* w[c, o, k..]' x[b, c, p..] as [b, o, k.., p..], group by group. */
static Value *spread(OnnxNode *n, Value *x, Value *w, int64_t groups) {
    ExprCx *e = n->x;
    int spatial = x->type.rank - 2;
    const Expr *count = ex_int(e, groups), *dims[TN_MAX_RANK];
    const Expr *part = onnx_part(n, x->type.dims[1], groups);
    const Expr *taps = ex_product(e, w->type.dims + 1, spatial + 1);
    ir_same_dim(n->m, x->type.dims[1], w->type.dims[0], "input channels");
    Value *a = ir_view(n->g, w, 3, (const Expr *[]){count, part, taps});
    Value *b = ir_view(
        n->g, x, 4,
        (const Expr *[]){x->type.dims[0], count, part, ex_product(e, x->type.dims + 2, spatial)});
    Value *y = ir_matmul(n->g, a, b, true, false);
    dims[0] = x->type.dims[0];
    dims[1] = ex_scale(e, w->type.dims[1], groups, 1);
    for (int i = 0; i < spatial; i++) {
        dims[2 + i] = w->type.dims[2 + i];
        dims[2 + spatial + i] = x->type.dims[2 + i];
    }
    return ir_view(n->g, y, 2 + 2 * spatial, dims);
}

void import_conv_transpose(OnnxNode *n) {
    OnnxWindow w = onnx_window(n, &n->inputs[1]->type);
    Value *x = operand(n, 0);
    int64_t more[ONNX_SPATIAL];
    const int64_t *shape = output_shape(n, w.spatial);
    const Expr *image[ONNX_SPATIAL];
    onnx_window_list(n, "output_padding", w.spatial, 0, more);
    for (int i = 0; i < w.spatial; i++) {
        const Expr *last = ex_sub(n->x, x->type.dims[2 + i], ex_int(n->x, 1));
        const Expr *covered = ex_add(n->x, ex_scale(n->x, last, w.stride[i], 1), w.reach[i]);
        image[i] = transposed_length(n, &w, i, ex_add(n->x, covered, ex_int(n->x, more[i])), shape);
    }
    Value *columns = spread(n, x, operand(n, 1), onnx_int(n, "group"));
    n->outputs[0] = finish(n, col2im(n, &w, columns, image), operand(n, 2));
}

/* --- Col2Im --- */

/* How many windows there are along an axis. */
static const Expr *window_count(OnnxNode *n, const OnnxWindow *w, int i, const Expr *image) {
    ExprCx *x = n->x;
    const Expr *padded = ex_add(x, image, ex_add(x, w->begin[i], w->end[i]));
    infer_require_le(n->m, w->reach[i], padded, "the block is larger than the image");
    const Expr *room = ex_sub(x, padded, w->reach[i]);
    return ex_add(x, ex_floordiv(x, ex_norm(x, room), ex_int(x, w->stride[i])), ex_int(x, 1));
}

static void read_blocks(OnnxNode *n, OnnxWindow *w, const Expr *const *block) {
    int64_t pads[2 * ONNX_SPATIAL];
    ExprCx *x = n->x;
    onnx_window_list(n, "strides", w->spatial, 1, w->stride);
    onnx_window_list(n, "dilations", w->spatial, 1, w->dilation);
    onnx_window_list(n, "pads", 2 * w->spatial, 0, pads);
    for (int i = 0; i < w->spatial; i++) {
        infer_require_le(n->m, ex_int(x, 1), block[i], "an empty block");
        const Expr *steps = ex_sub(x, block[i], ex_int(x, 1));
        w->kernel[i] = block[i];
        w->reach[i] = ex_add(x, ex_scale(x, steps, w->dilation[i], 1), ex_int(x, 1));
        w->begin[i] = ex_int(x, pads[i]);
        w->end[i] = ex_int(x, pads[i + w->spatial]);
    }
}

/* An attribute with an entry per axis as a value. */
static Value *constant_list(OnnxNode *n, int count, const int64_t *v) {
    int64_t length = count;
    return ir_tensor(n->g, "", TN_I64, 1, &length, v);
}

/* The number of channels, then of windows along each axis, where only a run knows image or block:
 * computed and measured, since products of so many unknown lengths are beyond proofs. */
static const Expr *const *measured_counts(OnnxNode *n, const OnnxWindow *w) {
    Graph *g = n->g;
    int64_t axis = 0, fixed[ONNX_SPATIAL], steps[ONNX_SPATIAL];
    for (int i = 0; i < w->spatial; i++) {
        int64_t begin = 0, end = 0;
        ex_const(w->begin[i], &begin);
        ex_const(w->end[i], &end);
        fixed[i] = begin + end + w->dilation[i] - 1 + w->stride[i];
        steps[i] = w->stride[i];
    }
    Value *image = onnx_vector(n, 1, "image_shape"), *block = onnx_vector(n, 2, "block_shape");
    Value *all = ir_scalars(g, TN_I64, 1, &n->inputs[0]->type.dims[1]);
    Value *channels =
        ir_binary(g, OP_div, all, ir_reduce(g, OP_reduce_prod, block, 1, &axis, true));
    /* (image + pads - ((block - 1) dilation + 1)) / stride + 1 */
    Value *reach = ir_binary(g, OP_mul, block, constant_list(n, w->spatial, w->dilation));
    Value *room = ir_binary(g, OP_sub, image, reach);
    room = ir_binary(g, OP_add, room, constant_list(n, w->spatial, fixed));
    Value *windows = ir_binary(g, OP_div, room, constant_list(n, w->spatial, steps));
    Value *counts = ir_concat(g, 2, (Value *[]){channels, windows}, 0);
    return onnx_measure(n, "columns", counts, 2 * w->spatial, 0, INT32_MAX);
}

/* The same where they are known. */
static const Expr *const *known_counts(OnnxNode *n, const OnnxWindow *w, const Expr *const *image) {
    const Expr **counts = ARENA_ARRAY(&n->cx->arena, const Expr *, 1 + ONNX_SPATIAL);
    const Expr *all = n->inputs[0]->type.dims[1];
    counts[0] = ex_floordiv(n->x, all, ex_product(n->x, w->kernel, w->spatial));
    for (int i = 0; i < w->spatial; i++) counts[1 + i] = window_count(n, w, i, image[i]);
    return counts;
}

/* Integers run in f64. */
void import_col2im(OnnxNode *n) {
    ExprCx *x = n->x;
    Value *v = n->inputs[0];
    const Type *t = &v->type;
    OnnxWindow w = {0};
    int blocks;
    const Expr *const *image = onnx_lengths(n, 1, "image_shape", 0, &w.spatial);
    const Expr *const *block = onnx_lengths(n, 2, "block_shape", w.spatial, &blocks);
    if (blocks != w.spatial || w.spatial < 1)
        tn_fail(n->cx, TN_E_MODEL, "image_shape has %d entries, block_shape %d", w.spatial, blocks);
    if (w.spatial > ONNX_SPATIAL)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "%d spatial axes are unsupported, at most %d", w.spatial,
                ONNX_SPATIAL);
    if (t->rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "input 0 is %s, not of rank 3", ir_type_text(n->m, t));
    if (t->dtype == TN_I64 || t->dtype == TN_U64)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "sums of %s are unsupported", tn_dtype_name(t->dtype));
    read_blocks(n, &w, block);
    const Expr *const *counts =
        onnx_known(n, 1) && onnx_known(n, 2) ? known_counts(n, &w, image) : measured_counts(n, &w);
    const Expr *dims[TN_MAX_RANK] = {t->dims[0], counts[0]};
    for (int i = 0; i < blocks; i++) {
        dims[2 + i] = block[i];
        dims[2 + blocks + i] = counts[1 + i];
    }
    ir_same_dim(n->m, t->dims[1], ex_product(x, dims + 1, 1 + blocks), "columns and blocks");
    ir_same_dim(n->m, t->dims[2], ex_product(x, counts + 1, blocks), "columns and windows");
    v = ir_view(n->g, v, 2 + 2 * blocks, dims);
    if (!tn_is_float(t->dtype)) v = ir_cast(n->g, v, TN_F64);
    n->outputs[0] = ir_cast(n->g, col2im(n, &w, v, image), t->dtype);
}

/* --- DeformConv --- */

static Value *gather_columns(OnnxNode *n, const OnnxWindow *w, Value *x) {
    int64_t kernel[2], begins[2];
    Value *in[] = {x, operand(n, 2), operand(n, 4)};
    const Type *offset = &n->inputs[2]->type;
    if (offset->rank != 4)
        tn_fail(n->cx, TN_E_MODEL, "input 2 is %s, not of rank 4", ir_type_text(n->m, offset));
    for (int i = 0; i < 2; i++) {
        if (!ex_const(w->kernel[i], &kernel[i]))
            tn_fail(n->cx, TN_E_UNSUPPORTED, "weights %s without known kernel are unsupported",
                    ir_type_text(n->m, &n->inputs[1]->type));
        ex_const(w->begin[i], &begins[i]);
        ir_same_dim(n->m, offset->dims[2 + i], window_count(n, w, i, x->type.dims[2 + i]),
                    "offsets and windows");
    }
    Node *node = ir_node(n->g, OP_deform_columns, in[2] ? 3 : 2, in);
    ir_set_ints(node, "kernel", 2, kernel);
    ir_set_ints(node, "strides", 2, w->stride);
    ir_set_ints(node, "dilations", 2, w->dilation);
    ir_set_ints(node, "begins", 2, begins);
    ir_set_int(node, "groups", onnx_int(n, "offset_group"));
    return ir_insert(node);
}

void import_deform_conv(OnnxNode *n) {
    ExprCx *e = n->x;
    const Type *weights = &n->inputs[1]->type;
    OnnxWindow w = onnx_window(n, weights);
    int64_t groups = onnx_int(n, "group");
    if (w.spatial != 2)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "%d spatial axes are unsupported, only 2", w.spatial);
    Value *x = operand(n, 0), *columns = gather_columns(n, &w, x);
    const Type *t = &columns->type;
    const Expr *count = ex_int(e, groups), *part = onnx_part(n, t->dims[1], groups);
    const Expr *outputs = onnx_part(n, weights->dims[0], groups);
    const Expr *taps = ex_mul(e, part, ex_mul(e, t->dims[2], t->dims[3]));
    ir_same_dim(n->m, part, weights->dims[1], "input channels");
    columns = ir_view(n->g, columns, 4,
                      (const Expr *[]){t->dims[0], count, taps, ex_mul(e, t->dims[4], t->dims[5])});
    Value *a = ir_view(n->g, operand(n, 1), 3, (const Expr *[]){count, outputs, taps});
    Value *y = ir_matmul(n->g, a, columns, false, false);
    y = ir_view(n->g, y, 4, (const Expr *[]){t->dims[0], weights->dims[0], t->dims[4], t->dims[5]});
    n->outputs[0] = finish(n, y, operand(n, 3));
}
