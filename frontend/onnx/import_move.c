/* ONNX operators that select and rearrange elements. */
#include <string.h>
#include "frontend/onnx/measured.h"
#include "ir/infer.h"

void import_concat(OnnxNode *n) {
    n->outputs[0] = ir_concat(n->g, n->input_count, n->inputs, onnx_axis(n, 0));
}

void import_gather(OnnxNode *n) {
    n->outputs[0] = ir_gather(n->g, n->inputs[0], n->inputs[1], onnx_axis(n, 0));
}

void import_gather_elements(OnnxNode *n) {
    Node *node = ir_node(n->g, OP_gather_elements, 2, n->inputs);
    ir_set_int(node, "axis", onnx_axis(n, 0));
    n->outputs[0] = ir_insert(node);
}

void import_gather_nd(OnnxNode *n) {
    Node *node = ir_node(n->g, OP_gather_nd, 2, n->inputs);
    ir_set_int(node, "batch", onnx_int(n, "batch_dims"));
    n->outputs[0] = ir_insert(node);
}

/* --- Slice --- */

/* Bounds and steps of the axes, from attributes or operands. */
typedef struct SliceSpec {
    int count;
    const Expr *const *starts, *const *ends;
    OnnxInts axes, steps; /* one of `count` each where given */
} SliceSpec;

static SliceSpec slice_spec(OnnxNode *n) {
    SliceSpec s = {0};
    int ends;
    if (onnx_has(n, "starts")) {
        OnnxInts starts = onnx_ints(n, "starts"), list = onnx_ints(n, "ends");
        s.count = starts.count;
        s.starts = onnx_exprs(n, starts);
        s.ends = onnx_exprs(n, list);
        s.axes = onnx_ints(n, "axes");
        ends = list.count;
    } else {
        s.count = onnx_values(n, 1, "start of the slice", &s.starts);
        ends = onnx_values(n, 2, "end of the slice", &s.ends);
        s.axes = onnx_numbers(n, 3, "axes");
        s.steps = onnx_numbers(n, 4, "steps");
    }
    if (ends != s.count) tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d ends", s.count, ends);
    if (s.axes.given && s.axes.count != s.count)
        tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d axes", s.count, s.axes.count);
    if (s.steps.given && s.steps.count != s.count)
        tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d steps", s.count, s.steps.count);
    return s;
}

/* A bound as a position: negative ones count from the end. One whose sign is open is a length less
 * something; it is required not to be negative, and one that is only known not to be positive is
 * required to be negative (0 would not mean the end). -dim is the start either way. */
static const Expr *bound_position(OnnxNode *n, const Expr *v, const Expr *dim) {
    ExprCx *x = n->x;
    const Expr *zero = ex_int(x, 0), *minus_one = ex_int(x, -1);
    if (ex_nonneg(x, v)) return v;
    if (!ex_provably_ge(x, zero, v)) {
        infer_try_le(n->m, zero, v);
        return ex_norm(x, v);
    }
    const Expr *position = ex_add(x, v, dim);
    if (position != zero) infer_try_le(n->m, v, minus_one);
    return ex_norm(x, position);
}

/* A bound within [low, high]; those beyond 2^31 mean "as far as possible". */
static const Expr *clamp_bound(OnnxNode *n, const Expr *v, const Expr *dim, const Expr *low,
                               const Expr *high) {
    int64_t c;
    if (ex_const(v, &c)) {
        if (c >= INT32_MAX) return high;
        if (c <= -INT32_MAX) return low;
    }
    return ex_max(n->x, low, ex_min(n->x, bound_position(n, v, dim), high));
}

/* Who cuts out one position, x[:1] or x[-1:], means that it is there: without this its length would
 * be min(1, dim), which does not broadcast. */
static void require_single(OnnxNode *n, const Expr *start, const Expr *end, const Expr *dim) {
    int64_t from, to;
    if (!ex_const(start, &from) || !ex_const(end, &to)) return;
    if (from == -1 && to >= INT32_MAX) to = 0;
    if (from > -INT32_MAX && from < INT32_MAX && to == from + 1)
        infer_try_le(n->m, ex_int(n->x, from < 0 ? -from : to), dim);
}

/* The start along an axis of one position, max(1 - s, 0) in ALiBi's table: with 1 nothing would be
 * left, so it means that position, however far before it lies. One that may be beyond 1 leaves
 * nothing as a rule. */
static const Expr *start_of_single(OnnxNode *n, const Expr *start) {
    const Expr *zero = ex_int(n->x, 0);
    int64_t c;
    if (ex_const(start, &c) || !ex_provably_ge(n->x, ex_int(n->x, 1), start)) return start;
    infer_try_le(n->m, start, zero);
    start = ex_norm(n->x, start);
    return ex_provably_ge(n->x, zero, start) ? zero : start;
}

static Value *slice_axis(OnnxNode *n, Value *y, int axis, const Expr *start, const Expr *end,
                         int64_t step) {
    ExprCx *x = n->x;
    const Expr *dim = y->type.dims[axis], *zero = ex_int(x, 0);
    const Expr *last = ex_sub(x, dim, ex_int(x, 1)), *before = ex_int(x, -1);
    if (step == 1) require_single(n, start, end, dim);
    if (step > 0 && ex_is(dim, 1)) start = start_of_single(n, start);
    start = clamp_bound(n, start, dim, zero, step > 0 ? dim : last);
    end = step > 0 ? clamp_bound(n, end, dim, zero, dim) : clamp_bound(n, end, dim, before, last);
    const Expr *span = step > 0 ? ex_sub(x, end, start) : ex_sub(x, start, end);
    if (!ex_nonneg(x, span)) span = ex_max(x, span, zero);
    int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    const Expr *length = stride == 1 ? span : ex_ceildiv(x, span, ex_int(x, stride));
    return onnx_slice(n, y, axis, start, length, step);
}

static bool slice_is_known(const OnnxNode *n) {
    for (int i = 1; i < n->input_count; i++)
        if (!onnx_known(n, i)) return false;
    return true;
}

void import_slice(OnnxNode *n) {
    Value *y = n->inputs[0];
    if (!slice_is_known(n)) {
        measured_slice(n);
        return;
    }
    SliceSpec s = slice_spec(n);
    bool seen[TN_MAX_RANK] = {false};
    for (int i = 0; i < s.count; i++) {
        int axis = ir_axis(n->m, s.axes.given ? s.axes.v[i] : i, y->type.rank);
        int64_t step = s.steps.given ? s.steps.v[i] : 1;
        if (seen[axis]) tn_fail(n->cx, TN_E_MODEL, "axis %d is there twice", axis);
        if (step == 0) tn_fail(n->cx, TN_E_MODEL, "step 0 along axis %d", axis);
        seen[axis] = true;
        y = slice_axis(n, y, axis, s.starts[i], s.ends[i], step);
    }
    n->outputs[0] = y;
}

/* --- Split --- */

static void split_sizes(OnnxNode *n, int axis, const Expr *const *sizes, int count) {
    Value *x = n->inputs[0];
    const Expr *at = ex_int(n->x, 0);
    if (count != n->output_count)
        tn_fail(n->cx, TN_E_MODEL, "%d sizes, but %d outputs", count, n->output_count);
    for (int i = 0; i < count; i++) {
        int64_t size;
        if (ex_const(sizes[i], &size) && size < 0)
            tn_fail(n->cx, TN_E_MODEL, "size %d is %lld", i, (long long)size);
        at = ex_add(n->x, at, sizes[i]);
    }
    ir_same_dim(n->m, at, x->type.dims[axis], "the sum of the sizes and the length of the axis");
    at = ex_int(n->x, 0);
    for (int i = 0; i < count; i++) {
        n->outputs[i] = onnx_slice(n, x, axis, at, sizes[i], 1);
        at = ex_add(n->x, at, sizes[i]);
    }
}

/* Equal parts; with num_outputs the last one may be smaller. */
static void split_evenly(OnnxNode *n, int axis) {
    int parts = n->output_count;
    const Expr *dim = n->inputs[0]->type.dims[axis], *count = ex_int(n->x, parts);
    int64_t known;
    if (parts > TN_MAX_FACTS && !ex_const(dim, &known))
        tn_fail(n->cx, TN_E_LIMIT, "%d parts of %s, at most %d", parts, ex_text(n->x, dim),
                TN_MAX_FACTS);
    const Expr *size = ex_ceildiv(n->x, dim, count);
    const Expr **sizes = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)parts);
    for (int i = 0; i < parts; i++) sizes[i] = size;
    if (onnx_has(n, "num_outputs")) {
        if (onnx_int(n, "num_outputs") != parts)
            tn_fail(n->cx, TN_E_MODEL, "num_outputs is %lld, but there are %d outputs",
                    (long long)onnx_int(n, "num_outputs"), parts);
        sizes[parts - 1] = ex_sub(n->x, dim, ex_scale(n->x, size, parts - 1, 1));
    }
    split_sizes(n, axis, sizes, parts);
}

void import_split(OnnxNode *n) {
    int axis = onnx_axis(n, 0);
    const Expr *const *sizes;
    OnnxInts list = onnx_ints(n, "split");
    if (list.given) {
        split_sizes(n, axis, onnx_exprs(n, list), list.count);
    } else if (onnx_given(n, 1)) {
        int count;
        sizes = onnx_lengths(n, 1, "sizes of the parts", 0, &count);
        split_sizes(n, axis, sizes, count);
    } else {
        split_evenly(n, axis);
    }
}

/* --- blocks of pixels as channels --- */

static int64_t block_size(OnnxNode *n) {
    int64_t b = onnx_int(n, "blocksize");
    const Type *t = &n->inputs[0]->type;
    if (b < 1 || b > INT16_MAX) tn_fail(n->cx, TN_E_MODEL, "blocksize is %lld", (long long)b);
    if (t->rank != 4) tn_fail(n->cx, TN_E_MODEL, "%s does not have 4 axes", ir_type_text(n->m, t));
    return b;
}

/* DCR: channels are [block row, block column, channel]; CRD: [channel, block row, block column]. */
void import_depth_to_space(OnnxNode *n) {
    static const char *const words[] = {"DCR", "CRD", NULL};
    static const int perms[2][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}};
    const Expr *const *d = n->inputs[0]->type.dims;
    int64_t size = block_size(n);
    const Expr *b = ex_int(n->x, size), *c = onnx_part(n, d[1], size * size);
    int crd = onnx_word(n, "mode", words);
    const Expr *split[] = {d[0], crd ? c : b, b, crd ? b : c, d[2], d[3]};
    const Expr *merged[] = {d[0], c, ex_mul(n->x, d[2], b), ex_mul(n->x, d[3], b)};
    Value *y = ir_transpose(n->g, ir_view(n->g, n->inputs[0], 6, split), perms[crd]);
    n->outputs[0] = ir_view(n->g, y, 4, merged);
}

/* The same orders of channels; SpaceToDepth has had a mode since opset 28. */
void import_space_to_depth(OnnxNode *n) {
    static const char *const words[] = {"DCR", "CRD", NULL};
    static const int perms[2][6] = {{0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}};
    const Expr *const *d = n->inputs[0]->type.dims;
    int64_t size = block_size(n);
    const Expr *b = ex_int(n->x, size), *h = onnx_part(n, d[2], size),
               *w = onnx_part(n, d[3], size);
    const Expr *split[] = {d[0], d[1], h, b, w, b};
    const Expr *merged[] = {d[0], ex_scale(n->x, d[1], size * size, 1), h, w};
    Value *y = ir_view(n->g, n->inputs[0], 6, split);
    y = ir_transpose(n->g, y, perms[onnx_word(n, "mode", words)]);
    n->outputs[0] = ir_view(n->g, y, 4, merged);
}
