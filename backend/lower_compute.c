/* Lowering of operators that compute: operands in the form the kernel reads, parameters from
 * attributes. */
#include "backend/lower_ops.h"
#include "passes/winograd.h"

#include <string.h>

static const Value *operand(const Node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

/* Axes as they lie in memory, so that the innermost one is dense. */
static void lower_reduce(Lower *lo, Node *n, TnReduction kind) {
    View x = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]), kept;
    const IntList *axes = attr_ints(n, "axes");
    IntList order;
    ParamsReduce p = {.kind = kind};
    uint32_t mask = 0;
    for (int i = 0; i < axes->count; i++) mask |= 1u << axes->v[i];
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < x.rank; i++) dims[i] = mask >> i & 1 ? ex_int(lo->x, 1) : x.dims[i];
    view_reshape(lo, &out, x.rank, dims, &kept);
    view_order(lo, &x, &order);
    for (int i = 0; i < x.rank; i++) p.axes |= (mask >> order.v[i] & 1) << i;
    x = view_permute(&x, &order);
    kept = view_permute(&kept, &order);
    lower_emit(lo, TN_OP_reduce, 1, &x, 1, &kept, &p, sizeof p);
}

void lower_reduce_sum(Lower *lo, Node *n) {
    lower_reduce(lo, n, TN_REDUCE_SUM);
}
void lower_reduce_mean(Lower *lo, Node *n) {
    lower_reduce(lo, n, TN_REDUCE_MEAN);
}
void lower_reduce_max(Lower *lo, Node *n) {
    lower_reduce(lo, n, TN_REDUCE_MAX);
}
void lower_reduce_min(Lower *lo, Node *n) {
    lower_reduce(lo, n, TN_REDUCE_MIN);
}
void lower_reduce_prod(Lower *lo, Node *n) {
    lower_reduce(lo, n, TN_REDUCE_PROD);
}

static void lower_running(Lower *lo, Node *n, uint32_t flags) {
    View x = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    ParamsCumsum p = {.axis = (uint32_t)ir_axis(lo->im->module, attr_int(n, "axis"), x.rank),
                      .flags = flags};
    if (attr_bool(n, "exclusive")) p.flags |= TN_CUMSUM_EXCLUSIVE;
    if (attr_bool(n, "reverse")) p.flags |= TN_CUMSUM_REVERSE;
    lower_emit(lo, TN_OP_cumsum, 1, &x, 1, &out, &p, sizeof p);
}

void lower_cumsum(Lower *lo, Node *n) {
    lower_running(lo, n, 0);
}
void lower_cumprod(Lower *lo, Node *n) {
    lower_running(lo, n, TN_CUMSUM_PRODUCT);
}

static View swap_last(const View *v) {
    IntList perm = {.count = v->rank};
    for (int i = 0; i < v->rank; i++) perm.v[i] = i;
    perm.v[v->rank - 1] = v->rank - 2;
    perm.v[v->rank - 2] = v->rank - 1;
    return view_permute(v, &perm);
}

/* The operand under the result's batch axes. */
static View with_batch(Lower *lo, const View *v, const View *out) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < out->rank - 2; i++) dims[i] = out->dims[i];
    dims[out->rank - 2] = v->dims[v->rank - 2];
    dims[out->rank - 1] = v->dims[v->rank - 1];
    return view_broadcast(lo, v, out->rank, dims);
}

void lower_matmul(Lower *lo, Node *n) {
    View a = lower_operand(lo, n->inputs[0]), b = lower_operand(lo, n->inputs[1]),
         out = lower_result(lo, n->outputs[0]);
    if (attr_bool(n, "ta")) a = swap_last(&a);
    if (attr_bool(n, "tb")) b = swap_last(&b);
    View in[2] = {with_batch(lo, &a, &out), with_batch(lo, &b, &out)};
    ParamsMatmul p = {.alpha = 1};
    lower_emit(lo, TN_OP_matmul, 2, in, 1, &out, &p, sizeof p);
}

/* Zero points have an entry per row of a (axis 1 before the last) or per column of b. */
static View zero_points(Lower *lo, const Value *v, const View *out, int axis) {
    const Expr *dims[TN_MAX_RANK];
    View view = lower_operand(lo, v);
    if (view.buffer == TN_NO_ID) return view;
    for (int i = 0; i < out->rank; i++) dims[i] = out->dims[i];
    dims[out->rank - 1 - !axis] = ex_int(lo->x, 1);
    return view_broadcast(lo, &view, out->rank, dims);
}

void lower_matmul_int(Lower *lo, Node *n) {
    const Constant *weight = lower_is_quads(n) ? n->inputs[1]->constant : NULL;
    View a = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]), b;
    if (weight) {
        b = lower_weight(lo, TN_LAYOUT_QUADS16, 1, &weight, false);
    } else {
        b = lower_operand(lo, n->inputs[1]);
        b = with_batch(lo, &b, &out);
    }
    View in[4] = {with_batch(lo, &a, &out), b,
                  zero_points(lo, n->input_count > 2 ? n->inputs[2] : NULL, &out, 1),
                  zero_points(lo, n->input_count > 3 ? n->inputs[3] : NULL, &out, 0)};
    int inputs = 4;
    while (inputs > 2 && in[inputs - 1].buffer == TN_NO_ID) inputs--;
    ParamsNone p = {0};
    lower_emit(lo, TN_OP_matmul_int, inputs, in, 1, &out, &p, sizeof p);
}

static void copy_ints(Lower *lo, const IntList *from, int first, int count, uint32_t *to) {
    for (int i = 0; i < count; i++) {
        int64_t v = from->v[first + i];
        if (v < 0 || v > INT32_MAX)
            tn_fail(lo->cx, TN_E_LIMIT, "stride, padding or dilation %lld is out of range",
                    (long long)v);
        to[i] = (uint32_t)v;
    }
}

static TnActivation activation(const char *word) {
#define X(upper, lower, number) \
    if (!strcmp(word, #lower)) return TN_ACT_##upper;
    TN_ACTIVATIONS(X)
#undef X
    return TN_ACT_NONE;
}

static void copy_end(const Node *n, uint32_t *act, uint32_t *flags) {
    *act = activation(attr_string(n, "act"));
    *flags = attr_bool(n, "residual_first") ? TN_RESIDUAL_FIRST : 0;
}

/* Each place is multiplied with all taps at once. */
static bool multiplies_places(const Node *n) {
    const Constant *w = n->inputs[1]->constant;
    int64_t taps = 1;
    bool pairs = lower_weight_layout(w, n->inputs[0]->type.dtype) == TN_LAYOUT_PAIRS16;
    if ((w->dtype != TN_F32 && !pairs) || w->rank > 4 || attr_int(n, "groups") != 1) return false;
    for (int i = 2; i < w->rank; i++) {
        if (attr_ints(n, "strides")->v[i - 2] != 1) return false;
        taps *= w->dims[i];
    }
    return tn_conv_by_places(taps, w->dims[1], w->dims[0]);
}

static ConvForm conv_form(const Lower *lo, const Node *n) {
    int64_t groups = attr_int(n, "groups");
    static const ConvForm filtered[] = {[WINOGRAD_2] = CONV_WINOGRAD2,
                                        [WINOGRAD_2_STRIDED] = CONV_WINOGRAD2_STRIDED,
                                        [WINOGRAD_4] = CONV_WINOGRAD4};
    const Module *m = lo->im->module; /* bf16 rounds far more than tiles of 4 x 4 do */
    Winograd winograd = winograd_choose(n, m->fast_conv || m->bf16);
    if (winograd != WINOGRAD_NONE) return filtered[winograd];
    if (multiplies_places(n)) return CONV_PLACES;
    bool product = tn_conv_is_product(groups, n->inputs[1]->constant->dims[0] / groups);
    if (!product) return CONV_ROWS;
    TnLayout layout = lower_weight_layout(n->inputs[1]->constant, n->inputs[0]->type.dtype);
    return layout == TN_LAYOUT_PAIRS16 ? CONV_PAIRS : CONV_PANELS;
}

static bool is_stored_weight(const Value *w) {
    return w->constant && w->constant->dtype != TN_F64;
}

static View conv_weight(Lower *lo, const Node *n) {
    const Value *w = n->inputs[1];
    if (is_stored_weight(w)) return lower_conv_weight(lo, w->constant, conv_form(lo, n));
    return w->type.dtype == TN_F64 ? lower_dense(lo, w) : lower_operand(lo, w);
}

void lower_conv(Lower *lo, Node *n) {
    int64_t groups = attr_int(n, "groups");
    View in[4] = {lower_operand(lo, n->inputs[0]), conv_weight(lo, n),
                  lower_dense(lo, operand(n, 2)), lower_operand(lo, operand(n, 3))};
    TnDType sums = in[0].dtype == TN_BF16 ? TN_F32 : in[0].dtype;
    if (in[1].layout == TN_LAYOUT_STRIDED && in[1].dtype != sums)
        tn_fail(lo->cx, TN_E_UNSUPPORTED, "a convolution of %s with weights of %s",
                tn_dtype_name(in[0].dtype), tn_dtype_name(in[1].dtype));
    View out = lower_result(lo, n->outputs[0]);
    int spatial = in[0].rank - 2;
    ParamsConv p = {.spatial = (uint32_t)spatial, .groups = (uint32_t)groups};
    copy_end(n, &p.activation, &p.flags);
    const Constant *w = n->inputs[1]->constant;
    ConvForm form = is_stored_weight(n->inputs[1]) ? conv_form(lo, n) : CONV_ROWS;
    static const uint32_t flags[CONV_FORMS] = {[CONV_WINOGRAD2] = TN_CONV_WINOGRAD2,
                                               [CONV_WINOGRAD2_STRIDED] = TN_CONV_WINOGRAD2,
                                               [CONV_WINOGRAD4] = TN_CONV_WINOGRAD4,
                                               [CONV_PLACES] = TN_CONV_PLACES};
    p.flags |= flags[form];
    for (int i = 0; i < spatial && in[1].layout != TN_LAYOUT_STRIDED; i++)
        p.kernel[i] = (uint32_t)w->dims[2 + i];
    copy_ints(lo, attr_ints(n, "strides"), 0, spatial, p.stride);
    copy_ints(lo, attr_ints(n, "dilations"), 0, spatial, p.dilation);
    copy_ints(lo, attr_ints(n, "pads"), 0, spatial, p.pad_begin);
    copy_ints(lo, attr_ints(n, "pads"), spatial, spatial, p.pad_end);
    int inputs = 4;
    while (inputs > 2 && in[inputs - 1].buffer == TN_NO_ID) inputs--;
    lower_emit(lo, TN_OP_conv, inputs, in, 1, &out, &p, sizeof p);
}

static void lower_any_softmax(Lower *lo, Node *n, bool logarithm) {
    View x = lower_operand(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    ParamsSoftmax p = {.axis = (uint32_t)ir_axis(lo->im->module, attr_int(n, "axis"), x.rank),
                       .log = logarithm};
    lower_emit(lo, TN_OP_softmax, 1, &x, 1, &out, &p, sizeof p);
}

void lower_softmax(Lower *lo, Node *n) {
    lower_any_softmax(lo, n, false);
}
void lower_log_softmax(Lower *lo, Node *n) {
    lower_any_softmax(lo, n, true);
}

/* Gain and bias follow what is walked: x, residual, y and s. */
static void emit_norm(Lower *lo, Node *n, bool rms, const Value *residual, int gamma,
                      const Value *sum) {
    const Value *walked[4] = {n->inputs[0], residual, n->outputs[0], sum};
    View v[4];
    lower_walked(lo, 2, 2, walked, true, v);
    View in[4] = {v[0], v[1], lower_dense(lo, operand(n, gamma)),
                  lower_dense(lo, operand(n, gamma + 1))};
    ParamsNorm p = {.epsilon = (float)attr_float(n, "eps"), .rms = rms};
    int inputs = 4;
    while (inputs > 1 && in[inputs - 1].buffer == TN_NO_ID) inputs--;
    lower_emit_boxes(lo, TN_OP_norm, inputs, in, 2, v + 2, 3u | 3u << inputs, &p, sizeof p);
}

void lower_layer_norm(Lower *lo, Node *n) {
    emit_norm(lo, n, false, NULL, 1, NULL);
}
void lower_rms_norm(Lower *lo, Node *n) {
    emit_norm(lo, n, true, NULL, 1, NULL);
}

void lower_group_norm(Lower *lo, Node *n) {
    View in[3] = {lower_rows(lo, n->inputs[0]), lower_dense(lo, operand(n, 1)),
                  lower_dense(lo, operand(n, 2))};
    View out = lower_result(lo, n->outputs[0]);
    ParamsGroupNorm p = {.epsilon = (float)attr_float(n, "eps"),
                         .groups = (uint32_t)attr_int(n, "groups")};
    lower_emit(lo, TN_OP_group_norm, n->input_count, in, 1, &out, &p, sizeof p);
}

void lower_add_norm(Lower *lo, Node *n) {
    const Value *sum = n->outputs[1];
    bool wanted = sum->use_count || ir_is_output(sum);
    emit_norm(lo, n, attr_bool(n, "rms"), n->inputs[1], 2, wanted ? sum : NULL);
}

void lower_linear(Lower *lo, Node *n) {
    const Constant *w = n->inputs[1]->constant;
    const Value *walked[3] = {n->inputs[0], operand(n, 3), n->outputs[0]};
    View v[3] = {[1] = view_absent()};
    if (walked[1] || !lower_columns(lo, walked[2], walked[0], &v[2], &v[0]))
        lower_walked(lo, 2, 1, walked, true, v);
    const bool transposed = attr_bool(n, "tb");
    TnLayout layout = lower_matrix_layout(lo->im, 1, &w, transposed, v[0].dtype);
    View in[4] = {v[0], lower_weight(lo, layout, 1, &w, transposed), lower_dense(lo, operand(n, 2)),
                  v[1]};
    ParamsGemm p = {0};
    copy_end(n, &p.activation, &p.flags);
    int inputs = 4;
    while (inputs > 2 && in[inputs - 1].buffer == TN_NO_ID) inputs--;
    uint32_t walkers = 1u | (inputs == 4) << 3 | 1u << inputs;
    lower_emit_boxes(lo, TN_OP_gemm, inputs, in, 1, v + 2, walkers, &p, sizeof p);
}

/* Masks and bias under the extents the kernel wants; axes of 1 are broadcast. */
static View attention_operand(Lower *lo, const Value *v, int rank, const Expr *const *dims) {
    View view = lower_operand(lo, v);
    return view.buffer == TN_NO_ID ? view : view_broadcast(lo, &view, rank, dims);
}

/* A bias for all heads, queries and keys, or all their distances, which are read as rows; its first
 * axis may be shorter than the batch. */
static View attention_bias(Lower *lo, const Value *v, const Expr *const *dims) {
    const Expr *all[4] = {dims[0], dims[1], dims[2], dims[3]};
    if (!v) return view_absent();
    const Expr *const *own = v->type.dims;
    const Expr *distances = ex_add(lo->x, ex_add(lo->x, dims[2], dims[3]), ex_int(lo->x, 1));
    if (!ex_is(own[0], 1)) all[0] = own[0];
    if (!ex_is(own[2], 1) || own[3] != distances) return attention_operand(lo, v, 4, all);
    all[2] = own[2];
    all[3] = distances;
    View line = lower_rows(lo, v);
    return view_broadcast(lo, &line, 4, all);
}

void lower_attention(Lower *lo, Node *n) {
    View q = lower_rows(lo, n->inputs[0]), k = lower_rows(lo, n->inputs[1]),
         v = lower_rows(lo, n->inputs[2]);
    const Value *starts = operand(n, 7);
    bool packed = attr_bool(n, "packed");
    const Expr *longest = attr_dim(n, "longest"),
               *scores[4] = {q.dims[0], q.dims[2], q.dims[1], k.dims[1]};
    if (starts) scores[3] = longest;
    if (packed) {
        scores[0] = ex_sub(lo->x, starts->type.dims[0], ex_int(lo->x, 1));
        scores[2] = longest;
    }
    View in[10] = {q,
                   k,
                   v,
                   attention_operand(lo, operand(n, 3), 2, k.dims),
                   attention_operand(lo, operand(n, 4), 2, q.dims),
                   attention_bias(lo, operand(n, 5), scores),
                   attention_bias(lo, operand(n, 6), scores),
                   lower_operand(lo, starts),
                   lower_past(lo, n->inputs[1], &k),
                   lower_past(lo, n->inputs[2], &v)};
    View *past = &in[TN_ATTENTION_PAST_K];
    if (past[0].buffer == TN_NO_ID || past[0].dims[1] != past[1].dims[1])
        past[0] = past[1] = view_absent();
    View out = lower_result(lo, n->outputs[0]);
    ParamsAttention p = {.scale = (float)attr_float(n, "scale"),
                         .mask_value = (float)attr_float(n, "mask_value"),
                         .softcap = (float)attr_float(n, "softcap"),
                         .window_left = (int32_t)attr_int(n, "left"),
                         .window_right = (int32_t)attr_int(n, "right")};
    static const char *const scales[2] = {"bias_scale", "more_scale"};
    for (int i = 0; i < 2; i++) {
        float factor = (float)attr_float(n, scales[i]);
        p.bias_scale[i] = factor == 1 ? 0 : factor; /* 0 says 1 */
    }
    if (attr_bool(n, "causal")) p.flags |= TN_ATTENTION_CAUSAL;
    if (attr_bool(n, "zero_nan")) p.flags |= TN_ATTENTION_ZERO_NAN;
    if (attr_bool(n, "bias_last")) p.flags |= TN_ATTENTION_BIAS_LAST;
    if (attr_bool(n, "band")) p.flags |= TN_ATTENTION_BAND;
    if (packed) p.flags |= TN_ATTENTION_PACKED;
    if (!strcmp(attr_string(n, "mode"), "select")) p.flags |= TN_ATTENTION_SELECT;
    int inputs = 10;
    while (inputs > 3 && in[inputs - 1].buffer == TN_NO_ID) inputs--;
    const Expr *scalars[] = {attr_dim(n, "offset"), starts ? longest : attr_dim(n, "sinks")};
    LInstr *i = lower_emit(lo, TN_OP_attention, inputs, in, 1, &out, &p, sizeof p);
    i->scalars = arena_copy(&lo->cx->arena, scalars, sizeof scalars);
    i->scalar_count = starts || p.flags & TN_ATTENTION_BAND ? 2 : 1;
}

/* A table of angles under the axes of x, its own columns. */
static View rotary_table(Lower *lo, const Value *v, const View *x) {
    View table = lower_rows(lo, v);
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < x->rank - 1; i++) dims[i] = x->dims[i];
    dims[x->rank - 1] = table.dims[table.rank - 1];
    return view_broadcast(lo, &table, x->rank, dims);
}

void lower_rotary(Lower *lo, Node *n) {
    View x = lower_rows(lo, n->inputs[0]);
    View in[3] = {x, rotary_table(lo, n->inputs[1], &x), rotary_table(lo, n->inputs[2], &x)},
         out = lower_result(lo, n->outputs[0]);
    ParamsRotary p = {.width = (uint32_t)attr_int(n, "width"),
                      .interleaved = attr_bool(n, "interleaved")};
    lower_emit(lo, TN_OP_rotary, 3, in, 1, &out, &p, sizeof p);
}
