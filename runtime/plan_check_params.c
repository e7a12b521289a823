/* Verification of parameter records: every field of every struct of params.h, against the operands'
 * types and ranks where they matter. Extents are not known yet; what depends on them is in
 * extents.c. */
#include <math.h>
#include "runtime/pack.h"
#include "runtime/params.h"
#include "runtime/runtime.h"

static int rank_of(const PlanCheck *c, const PlanInstruction *i, int operand) {
    return plan_operand(c->plan, i, operand)->rank;
}

static bool check_ParamsNone(PlanCheck *c, const PlanInstruction *i, const void *record) {
    (void)c, (void)i, (void)record;
    return true;
}

#define check_ParamsFill check_ParamsNone /* any value */
#define check_ParamsIf   check_ParamsNone /* and loop: plan_check_control.c */
#define check_ParamsLoop check_ParamsNone
#define check_ParamsMap  plan_check_map

static bool check_ParamsCopy(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsCopy *p = record;
    (void)i;
    return p->stream <= 1 || plan_invalid(c, "stream %u", p->stream);
}

/* How a gemm or a convolution ends. */
static bool check_end(PlanCheck *c, uint32_t activation, uint32_t flags, uint32_t known) {
    return (activation < TN_ACT_COUNT && !(flags & ~(known | TN_RESIDUAL_FIRST))) ||
           plan_invalid(c, "activation %u, flags 0x%x", activation, flags);
}

static bool check_ParamsGemm(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsGemm *p = record;
    (void)i;
    return check_end(c, p->activation, p->flags, 0);
}

static bool check_ParamsMatmul(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsMatmul *p = record;
    (void)i;
    return isfinite(p->alpha) || plan_invalid(c, "alpha %g", (double)p->alpha);
}

static bool check_ParamsAttention(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsAttention *p = record;
    if (!isfinite(p->scale) || isnan(p->mask_value) || !isfinite(p->softcap) || p->softcap < 0)
        return plan_invalid(c, "scale %g, mask value %g, cap %g", (double)p->scale,
                            (double)p->mask_value, (double)p->softcap);
    if (!isfinite(p->bias_scale[0]) || !isfinite(p->bias_scale[1]))
        return plan_invalid(c, "scales %g and %g of biases", (double)p->bias_scale[0],
                            (double)p->bias_scale[1]);
    if (p->flags & ~(TN_ATTENTION_CAUSAL | TN_ATTENTION_SELECT | TN_ATTENTION_ZERO_NAN |
                     TN_ATTENTION_BIAS_LAST | TN_ATTENTION_BAND | TN_ATTENTION_PACKED))
        return plan_invalid(c, "flags 0x%x", p->flags);
    bool starts = i->inputs > 7 && plan_operand(c->plan, i, 7), band = p->flags & TN_ATTENTION_BAND;
    if (starts ? band : p->flags & TN_ATTENTION_PACKED)
        return plan_invalid(c, "flags 0x%x with%s packed keys", p->flags, starts ? "" : "out");
    if (i->scalar_count != (band || starts ? 2 : 1))
        return plan_invalid(c, "%u scalars under flags 0x%x", i->scalar_count, p->flags);
    if (p->window_left < -1 || p->window_right < -1)
        return plan_invalid(c, "window %d, %d", p->window_left, p->window_right);
    return true;
}

static bool check_ParamsSoftmax(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsSoftmax *p = record;
    if (p->log > 1) return plan_invalid(c, "log %u", p->log);
    return p->axis < (uint32_t)rank_of(c, i, 0) ||
           plan_invalid(c, "axis %u of rank %d", p->axis, rank_of(c, i, 0));
}

static bool check_ParamsNorm(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsNorm *p = record;
    (void)i;
    if (p->rms > 1) return plan_invalid(c, "rms %u", p->rms);
    return (isfinite(p->epsilon) && p->epsilon >= 0) ||
           plan_invalid(c, "epsilon %g", (double)p->epsilon);
}

static bool check_ParamsGroupNorm(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsGroupNorm *p = record;
    if (p->groups < 1 || p->groups > INT32_MAX || rank_of(c, i, 0) < 2)
        return plan_invalid(c, "%u groups, rank %d", p->groups, rank_of(c, i, 0));
    return (isfinite(p->epsilon) && p->epsilon >= 0) ||
           plan_invalid(c, "epsilon %g", (double)p->epsilon);
}

static bool check_ParamsRotary(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsRotary *p = record;
    (void)i;
    if (p->interleaved > 1) return plan_invalid(c, "interleaved %u", p->interleaved);
    return (p->width > 0 && p->width <= INT32_MAX && p->width % 2 == 0) ||
           plan_invalid(c, "width %u", p->width);
}

static bool check_ParamsReduce(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsReduce *p = record;
    if (p->kind >= TN_REDUCE_COUNT) return plan_invalid(c, "reduction %u", p->kind);
    return p->axes >> rank_of(c, i, 0) == 0 ||
           plan_invalid(c, "axes 0x%x of rank %d", p->axes, rank_of(c, i, 0));
}

static bool check_ParamsGather(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsGather *p = record;
    uint32_t x = (uint32_t)rank_of(c, i, 0), index = (uint32_t)rank_of(c, i, 1);
    if (p->axis >= x) return plan_invalid(c, "axis %u of rank %u", p->axis, x);
    bool fits = p->batch_dims <= index && p->batch_dims <= x;
    if (i->opcode == TN_OP_gather) fits = fits && p->batch_dims <= p->axis;
    if (i->opcode == TN_OP_gather_elements) fits = p->batch_dims == 0 && index == x;
    if (i->opcode == TN_OP_gather_nd)
        fits = p->axis == 0 && p->batch_dims < index && p->batch_dims < x;
    return fits || plan_invalid(c, "%u batch axes, ranks %u and %u", p->batch_dims, x, index);
}

static bool check_ParamsScatter(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsScatter *p = record;
    uint32_t x = (uint32_t)rank_of(c, i, 0), index = (uint32_t)rank_of(c, i, 1);
    bool elements = i->opcode == TN_OP_scatter_elements;
    if (p->reduction >= TN_SCATTER_COUNT) return plan_invalid(c, "reduction %u", p->reduction);
    bool fits = elements ? p->axis < x && index == x : p->axis == 0 && index > 0 && x > 0;
    return fits || plan_invalid(c, "axis %u, ranks %u and %u", p->axis, x, index);
}

static bool check_ParamsTopk(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsTopk *p = record;
    if (p->flags & ~TN_TOPK_SMALLEST) return plan_invalid(c, "flags 0x%x", p->flags);
    return p->axis < (uint32_t)rank_of(c, i, 0) ||
           plan_invalid(c, "axis %u of rank %d", p->axis, rank_of(c, i, 0));
}

static bool check_ParamsUnique(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsUnique *p = record;
    if (p->unsorted > 1) return plan_invalid(c, "unsorted %u", p->unsorted);
    return p->axis < (uint32_t)rank_of(c, i, 0) ||
           plan_invalid(c, "axis %u of rank %d", p->axis, rank_of(c, i, 0));
}

static bool check_ParamsNms(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsNms *p = record;
    (void)i;
    return p->center <= 1 || plan_invalid(c, "center %u", p->center);
}

static bool check_ParamsCumsum(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsCumsum *p = record;
    if (p->flags & ~(TN_CUMSUM_EXCLUSIVE | TN_CUMSUM_REVERSE | TN_CUMSUM_PRODUCT))
        return plan_invalid(c, "flags 0x%x", p->flags);
    return p->axis < (uint32_t)rank_of(c, i, 0) ||
           plan_invalid(c, "axis %u of rank %d", p->axis, rank_of(c, i, 0));
}

/* f32 and f64 have kernels, the narrower floats are cast. */
static bool check_wide_float(PlanCheck *c, const PlanInstruction *i) {
    TnDType t = (TnDType)plan_operand(c->plan, i, 0)->dtype;
    return t == TN_F32 || t == TN_F64 ||
           plan_invalid(c, "%s of %s", tn_instr(i->opcode)->name, tn_dtype_name(t));
}

#define CONV_FORMS (TN_CONV_WINOGRAD2 | TN_CONV_WINOGRAD4 | TN_CONV_PLACES)

/* Forms of weights for neighbouring results, one at most: Winograd's transforms are of 3 x 3 taps,
 * those of small tiles of stride 1 or 2. */
static bool check_conv_form(PlanCheck *c, const ParamsConv *p, const PlanView *w) {
    const uint32_t form = p->flags & CONV_FORMS;
    const bool winograd = form & (TN_CONV_WINOGRAD2 | TN_CONV_WINOGRAD4);
    const bool panels = w->layout == TN_LAYOUT_PANELS16 && w->dtype == TN_F32;
    const bool pairs = w->layout == TN_LAYOUT_PAIRS16 && !winograd;
    if (!form) return true;
    if (!(panels || pairs) || p->groups != 1 || p->spatial > 2 || form & (form - 1) ||
        (winograd && p->spatial != 2))
        return plan_invalid(c, "weights of layout %d, flags 0x%x, %u groups, %u spatial axes",
                            w->layout, p->flags, p->groups, p->spatial);
    const uint32_t stride = form == TN_CONV_WINOGRAD2 && p->stride[0] == 2 ? 2 : 1;
    for (uint32_t a = 0; a < p->spatial; a++)
        if (p->stride[a] != stride || (winograd && (p->kernel[a] != 3 || p->dilation[a] != 1)))
            return plan_invalid(c, "flags 0x%x with kernel %u, stride %u, dilation %u", p->flags,
                                p->kernel[a], p->stride[a], p->dilation[a]);
    return true;
}

static bool check_ParamsConv(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsConv *p = record;
    if (p->spatial < 1 || p->spatial > 3 || p->groups < 1)
        return plan_invalid(c, "%u spatial axes, %u groups", p->spatial, p->groups);
    const PlanView *x = plan_operand(c->plan, i, 0), *w = plan_operand(c->plan, i, 1);
    bool packed = w->layout != TN_LAYOUT_STRIDED;
    int w_rank = packed ? 2 : (int)p->spatial + 2;
    if (rank_of(c, i, 0) != (int)p->spatial + 2 || rank_of(c, i, 1) != w_rank)
        return plan_invalid(c, "%u spatial axes for ranks %d and %d", p->spatial, rank_of(c, i, 0),
                            rank_of(c, i, 1));
    for (uint32_t a = 0; a < p->spatial; a++) {
        if (packed && (p->kernel[a] < 1 || p->kernel[a] > INT32_MAX))
            return plan_invalid(c, "kernel %u", p->kernel[a]);
        if (p->stride[a] < 1 || p->dilation[a] < 1 || p->stride[a] > INT32_MAX ||
            p->dilation[a] > INT32_MAX)
            return plan_invalid(c, "stride %u, dilation %u", p->stride[a], p->dilation[a]);
        if (p->pad_begin[a] > INT32_MAX || p->pad_end[a] > INT32_MAX)
            return plan_invalid(c, "padding %u, %u", p->pad_begin[a], p->pad_end[a]);
    }
    bool residual = i->inputs > 3 && plan_operand(c->plan, i, 3);
    if (x->dtype == TN_F64 && (p->activation != TN_ACT_NONE || residual))
        return plan_invalid(c, "activation or residual of f64");
    return check_end(c, p->activation, p->flags, CONV_FORMS) && check_conv_form(c, p, w);
}

/* Strides and dilations of the first axes. */
static bool check_steps(PlanCheck *c, const uint32_t *stride, const uint32_t *dilation,
                        uint32_t axes) {
    for (uint32_t a = 0; a < axes; a++)
        if (stride[a] - 1 >= INT32_MAX || dilation[a] - 1 >= INT32_MAX)
            return plan_invalid(c, "stride %u, dilation %u", stride[a], dilation[a]);
    return true;
}

static bool check_ParamsCol2im(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsCol2im *p = record;
    if (p->spatial < 1 || p->spatial > 3 || rank_of(c, i, 0) != (int)(2 + 2 * p->spatial) ||
        rank_of(c, i, 1) != (int)(2 + p->spatial) || i->scalar_count != p->spatial)
        return plan_invalid(c, "%u spatial axes and %u paddings for ranks %d and %d", p->spatial,
                            i->scalar_count, rank_of(c, i, 0), rank_of(c, i, 1));
    return check_wide_float(c, i) && check_steps(c, p->stride, p->dilation, p->spatial);
}

static bool check_ParamsDeform(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsDeform *p = record;
    if (p->groups < 1 || p->groups > INT32_MAX) return plan_invalid(c, "%u groups", p->groups);
    for (int k = 0; k < 2; k++)
        if (p->kernel[k] - 1 >= INT32_MAX || p->pad[k] > INT32_MAX)
            return plan_invalid(c, "kernel %u, padding %u", p->kernel[k], p->pad[k]);
    return check_wide_float(c, i) && check_steps(c, p->stride, p->dilation, 2);
}

static bool check_ParamsPool(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsPool *p = record;
    TnDType t = (TnDType)plan_operand(c->plan, i, 0)->dtype;
    if (p->spatial < 1 || p->spatial > 3 || rank_of(c, i, 0) != (int)p->spatial + 2 ||
        i->scalar_count != 2 * p->spatial)
        return plan_invalid(c, "%u spatial axes and %u paddings for rank %d", p->spatial,
                            i->scalar_count, rank_of(c, i, 0));
    if (p->mode >= TN_POOL_MODE_COUNT || p->flags & ~(TN_POOL_COUNT_PADS | TN_POOL_COLUMNS))
        return plan_invalid(c, "mode %u, flags 0x%x", p->mode, p->flags);
    if (p->mode == TN_POOL_MAX ? t == TN_U64 || t == TN_I64 || t == TN_BOOL : !tn_is_float(t))
        return plan_invalid(c, "%s is not pooled", tn_dtype_name(t));
    for (uint32_t a = 0; a < p->spatial; a++)
        if (p->kernel[a] - 1 >= INT32_MAX || p->stride[a] - 1 >= INT32_MAX ||
            p->dilation[a] - 1 >= INT32_MAX)
            return plan_invalid(c, "kernel %u, stride %u, dilation %u", p->kernel[a], p->stride[a],
                                p->dilation[a]);
    return (isfinite(p->p) && p->p > 0) || plan_invalid(c, "p = %g", p->p);
}

static bool check_resized_axis(PlanCheck *c, const PlanInstruction *i, uint32_t axis) {
    return axis < (uint32_t)rank_of(c, i, 0) ||
           plan_invalid(c, "axis %u of rank %d", axis, rank_of(c, i, 0));
}

static bool check_ParamsResize(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsResize *p = record;
    TnDType t = (TnDType)plan_operand(c->plan, i, 0)->dtype;
    if (!check_resized_axis(c, i, p->axis)) return false;
    if (p->mode >= TN_RESIZE_MODE_COUNT || p->coordinates >= TN_RESIZE_COORDINATES_COUNT ||
        p->nearest >= TN_RESIZE_ROUNDING_COUNT ||
        p->flags & ~(TN_RESIZE_EXCLUDE_OUTSIDE | TN_RESIZE_ANTIALIAS))
        return plan_invalid(c, "mode %u, coordinates %u, nearest %u, flags 0x%x", p->mode,
                            p->coordinates, p->nearest, p->flags);
    if (p->mode != TN_RESIZE_NEAREST && t != TN_F32 && t != TN_F64)
        return plan_invalid(c, "%s is not interpolated", tn_dtype_name(t));
    return isfinite(p->cubic_a) || plan_invalid(c, "a = %g", p->cubic_a);
}

static bool check_ParamsResizePlane(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsResizePlane *p = record;
    if (!check_ParamsResize(c, i, &p->resize) || !check_resized_axis(c, i, p->down)) return false;
    if (p->down == p->resize.axis || p->resize.coordinates == TN_RESIZE_CROP ||
        p->resize.flags & TN_RESIZE_ANTIALIAS)
        return plan_invalid(c, "axes %u and %u, coordinates %u, flags 0x%x", p->resize.axis,
                            p->down, p->resize.coordinates, p->resize.flags);
    return true;
}

static bool check_ParamsGridSample(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsGridSample *p = record;
    TnDType t = (TnDType)plan_operand(c->plan, i, 0)->dtype;
    if (p->mode >= TN_RESIZE_MODE_COUNT || p->padding >= TN_PADDING_COUNT || p->align_corners > 1)
        return plan_invalid(c, "mode %u, padding %u, corners %u", p->mode, p->padding,
                            p->align_corners);
    if (rank_of(c, i, 0) < 3 || rank_of(c, i, 0) > 5)
        return plan_invalid(c, "samples of rank %d", rank_of(c, i, 0));
    return t == TN_F32 || t == TN_F64 || plan_invalid(c, "samples of %s", tn_dtype_name(t));
}

static bool check_ParamsDeformable(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsDeformable *p = record;
    if (p->softmax > 1) return plan_invalid(c, "softmax %u", p->softmax);
    return i->scalar_count % 2 == 0 ||
           plan_invalid(c, "%u heights and widths of levels", i->scalar_count);
}

static bool check_ParamsRoiAlign(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsRoiAlign *p = record;
    (void)i;
    if (!isfinite(p->scale) || p->samples > 4096 || p->max > 1 || p->half_pixel > 1)
        return plan_invalid(c, "scale %g, %u samples, max %u, half a pixel %u", (double)p->scale,
                            p->samples, p->max, p->half_pixel);
    return true;
}

static bool check_ParamsRnn(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsRnn *p = record;
    (void)i;
    if (p->mode >= TN_RNN_MODE_COUNT ||
        p->flags & ~(TN_RNN_REVERSE | TN_RNN_COUPLED | TN_RNN_LINEAR) || isnan(p->clip))
        return plan_invalid(c, "mode %u, flags 0x%x, clip %g", p->mode, p->flags, (double)p->clip);
    for (int k = 0; k < 3; k++)
        if (p->activation[k].function >= TN_RNN_FUNCTION_COUNT)
            return plan_invalid(c, "activation %u", p->activation[k].function);
    return true;
}

static bool check_ParamsDft(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsDft *p = record;
    if (p->inverse > 1) return plan_invalid(c, "inverse %u", p->inverse);
    return (uint64_t)p->axis + 1 < (uint64_t)rank_of(c, i, 0) ||
           plan_invalid(c, "axis %u of rank %d", p->axis, rank_of(c, i, 0));
}

bool plan_check_params(PlanCheck *c, const PlanInstruction *instruction, const void *record) {
    switch ((TnOpcode)instruction->opcode) {
#define INSTR(name, opcode, kernels, min_in, max_in, out, min_sc, max_sc, params, ...) \
    case TN_OP_##name:                                                                 \
        return check_##params(c, instruction, record);
#include "runtime/instrs.def"
#undef INSTR
    case TN_OP_COUNT: break;
    }
    return false;
}
