/* ONNX operators that pool: over windows, over all spatial axes, over neighbouring channels. */
#include "frontend/onnx/window.h"
#include "ir/infer.h"

/* --- over windows --- */

/* How many windows there are along an axis of length d. With ceil_mode also one that ends beyond
 * the padding, as long as it starts before the padding at the end:
 *
 *     (min(d + begin + end - reach + stride - 1, d + begin - 1) // stride) + 1 */
static const Expr *windows(OnnxNode *n, const OnnxWindow *w, int i, const Expr *d, bool ceil) {
    ExprCx *x = n->x;
    const Expr *stride = ex_int(x, w->stride[i]), *one = ex_int(x, 1);
    if (w->auto_pad == PAD_SAME_UPPER || w->auto_pad == PAD_SAME_LOWER)
        return ex_ceildiv(x, d, stride);
    const Expr *start = ex_add(x, d, w->begin[i]);
    const Expr *rest = ex_sub(x, w->end[i], w->reach[i]);
    if (ceil && w->auto_pad == PAD_NOTSET) {
        rest = ex_min(x, ex_add(x, rest, stride), ex_int(x, 0));
        rest = ex_sub(x, rest, one);
    }
    infer_require_le(n->m, ex_scale(x, rest, -1, 1), start, "the kernel is longer than the input");
    return ex_add(x, ex_floordiv(x, ex_norm(x, ex_add(x, start, rest)), stride), one);
}

static Node *pool(OnnxNode *n, const char *mode) {
    const Type *x = &n->inputs[0]->type;
    OnnxWindow w = onnx_window(n, NULL);
    const Expr *dims[ONNX_SPATIAL];
    int64_t kernel[ONNX_SPATIAL];
    bool ceil = onnx_has(n, "ceil_mode") && onnx_flag(n, "ceil_mode");
    onnx_window_pads(n, &w, x->dims + 2);
    for (int i = 0; i < w.spatial; i++) {
        dims[i] = windows(n, &w, i, x->dims[2 + i], ceil);
        ex_const(w.kernel[i], &kernel[i]);
    }
    Node *node = ir_node(n->g, OP_pool, 1, n->inputs);
    ir_set_string(node, "mode", mode);
    ir_set_dims(node, "dims", w.spatial, dims);
    ir_set_ints(node, "kernel", w.spatial, kernel);
    ir_set_ints(node, "strides", w.spatial, w.stride);
    ir_set_ints(node, "dilations", w.spatial, w.dilation);
    ir_set_dims(node, "begins", w.spatial, w.begin);
    ir_set_dims(node, "ends", w.spatial, w.end);
    return node;
}

void import_max_pool(OnnxNode *n) {
    Node *node = pool(n, "max");
    bool columns = onnx_flag(n, "storage_order");
    bool places = n->output_count > 1;
    if (places) ir_set_string(node, "places", columns ? "columns" : "rows");
    n->outputs[0] = ir_insert(node);
    if (places) n->outputs[1] = node->outputs[1];
}

void import_average_pool(OnnxNode *n) {
    Node *node = pool(n, "avg");
    ir_set_bool(node, "count_pads", onnx_flag(n, "count_include_pad"));
    n->outputs[0] = ir_insert(node);
}

/* p is a float in opset 1. */
static double norm_order(OnnxNode *n) {
    double p = n->row->until ? onnx_float(n, "p") : (double)onnx_int(n, "p");
    if (!(p > 0 && p <= INT32_MAX)) tn_fail(n->cx, TN_E_MODEL, "p is %g, wanted more than 0", p);
    return p;
}

void import_lp_pool(OnnxNode *n) {
    Node *node = pool(n, "lp");
    ir_set_float(node, "p", norm_order(n));
    n->outputs[0] = ir_insert(node);
}

/* --- MaxUnpool --- */

/* Length that was pooled with a window of this kernel. */
static const Expr *unpooled(OnnxNode *n, const Expr *d, int64_t stride, int64_t kernel,
                            int64_t pads) {
    const Expr *last = ex_scale(n->x, ex_sub(n->x, d, ex_int(n->x, 1)), stride, 1);
    return ex_add(n->x, last, ex_int(n->x, kernel - pads));
}

/* The places count the elements of the tensor that the attributes give. A larger output_shape puts
 * zeros around its end. */
static Value *within(OnnxNode *n, Value *y) {
    int count;
    const Expr *zeros[TN_MAX_RANK], *after[TN_MAX_RANK];
    const Expr *const *dims = onnx_lengths(n, 2, "output_shape", 0, &count);
    if (count != y->type.rank)
        tn_fail(n->cx, TN_E_MODEL, "output_shape has %d entries, wanted %d", count, y->type.rank);
    for (int i = 0; i < count; i++) {
        infer_require_le(n->m, y->type.dims[i], dims[i], "output_shape is less than was pooled");
        zeros[i] = ex_int(n->x, 0);
        after[i] = ex_sub(n->x, dims[i], y->type.dims[i]);
    }
    Node *node = ir_node(n->g, OP_pad, 1, &y);
    ir_set_dims(node, "before", count, zeros);
    ir_set_dims(node, "after", count, after);
    return ir_insert(node);
}

void import_max_unpool(OnnxNode *n) {
    Value *x = n->inputs[0];
    const Type *t = &x->type;
    int spatial = onnx_spatial(n, 0);
    int64_t kernel[ONNX_SPATIAL], strides[ONNX_SPATIAL], pads[2 * ONNX_SPATIAL];
    const Expr *dims[TN_MAX_RANK] = {t->dims[0], t->dims[1]};
    onnx_window_list(n, "kernel_shape", spatial, 1, kernel);
    onnx_window_list(n, "strides", spatial, 1, strides);
    onnx_window_list(n, "pads", 2 * spatial, 0, pads);
    onnx_need_same_dims(n, x, n->inputs[1]);
    for (int i = 0; i < spatial; i++) {
        dims[2 + i] =
            unpooled(n, t->dims[2 + i], strides[i], kernel[i], pads[i] + pads[i + spatial]);
        infer_require_le(n->m, ex_int(n->x, 0), dims[2 + i], "more padding than was pooled");
    }
    const Expr *all = ex_product(n->x, dims, t->rank), *some = ir_elements(n->m, t);
    Value *operands[] = {ir_splat(n->g, t->dtype, 1, &all, 0),
                         ir_view(n->g, n->inputs[1], 1, &some), ir_view(n->g, x, 1, &some)};
    Node *node = ir_node(n->g, OP_scatter_elements, 3, operands);
    Value *y = ir_view(n->g, ir_insert(node), t->rank, dims);
    n->outputs[0] = onnx_given(n, 2) ? within(n, y) : y;
}

/* --- over all spatial axes --- */

static Value *over_space(OnnxNode *n, OpKind op, Value *x) {
    int64_t axes[TN_MAX_RANK];
    int count = x->type.rank - 2;
    if (count < 1)
        tn_fail(n->cx, TN_E_MODEL, "input 0 is %s, without spatial axes",
                ir_type_text(n->m, &x->type));
    for (int i = 0; i < count; i++) axes[i] = i + 2;
    return ir_reduce(n->g, op, x, count, axes, true);
}

void import_global_pool(OnnxNode *n) {
    n->outputs[0] = over_space(n, n->row->op, n->inputs[0]);
}

void import_global_lp_pool(OnnxNode *n) {
    double p = norm_order(n);
    Value *x = ir_unary(n->g, OP_abs, n->inputs[0]);
    if (p != 1) x = onnx_with_scalar(n, OP_pow, x, p);
    Value *y = over_space(n, OP_reduce_sum, x);
    n->outputs[0] = p == 1 ? y : onnx_with_scalar(n, OP_pow, y, 1 / p);
}

/* --- LRN --- */

/* x / (bias + alpha / size * sum of x^2 over `size` channels around)^beta: the sum over size is a
 * mean over windows of channels that counts its padding. */
void import_lrn(OnnxNode *n) {
    Graph *g = n->g;
    Value *x = n->inputs[0];
    const Type *t = &x->type;
    int64_t size = onnx_int(n, "size"), kernel[] = {size, 1}, ones[] = {1, 1};
    if (size < 1 || size > INT32_MAX)
        tn_fail(n->cx, TN_E_MODEL, "attribute 'size' is %lld", (long long)size);
    if (t->rank < 2) onnx_spatial(n, 0);
    const Expr *zero = ex_int(n->x, 0), *one = ex_int(n->x, 1);
    const Expr *rest = ex_product(n->x, t->dims + 2, t->rank - 2);
    const Expr *dims[] = {t->dims[0], one, t->dims[1], rest};
    Value *square = ir_view(g, ir_binary(g, OP_mul, x, x), 4, dims);
    Node *node = ir_node(g, OP_pool, 1, &square);
    ir_set_string(node, "mode", "avg");
    ir_set_bool(node, "count_pads", true);
    ir_set_dims(node, "dims", 2, dims + 2);
    ir_set_ints(node, "kernel", 2, kernel);
    ir_set_ints(node, "strides", 2, ones);
    ir_set_ints(node, "dilations", 2, ones);
    ir_set_dims(node, "begins", 2, (const Expr *[]){ex_int(n->x, (size - 1) / 2), zero});
    ir_set_dims(node, "ends", 2, (const Expr *[]){ex_int(n->x, size / 2), zero});
    Value *mean = ir_view(g, ir_insert(node), t->rank, t->dims);
    Value *scale = onnx_with_scalar(n, OP_mul, mean, onnx_float(n, "alpha"));
    scale = onnx_with_scalar(n, OP_add, scale, onnx_float(n, "bias"));
    scale = onnx_with_scalar(n, OP_pow, scale, onnx_float(n, "beta"));
    n->outputs[0] = ir_binary(g, OP_div, x, scale);
}
