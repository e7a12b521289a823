/* ONNX operators that resample along axes: Resize, Upsample. One `resize` per axis whose length or
 * scale changes, the last axis first. */
#include <math.h>
#include <string.h>
#include "frontend/onnx/import.h"

/* What every axis of a node has in common. */
typedef struct Resampling {
    int axes[TN_MAX_RANK], count;
    Value *scales, *roi;            /* f32 vectors or NULL; an entry, resp. two, per axis */
    const Expr *sizes[TN_MAX_RANK]; /* if there are no scales */
    const char *mode, *coordinates, *nearest;
    double cubic_a, outside;
    bool exclude_outside, antialias;
} Resampling;

/* --- scales --- */

/* The simplest fraction that is this float: 0.6 stands for 3/5, so that 0.6 * 5 is 3. */
static void simple_fraction(OnnxNode *n, double scale, int64_t *num, int64_t *den) {
    int64_t before_num = 0, before_den = 1;
    double rest = scale;
    *num = 1, *den = 0;
    for (int i = 0; i < 64; i++) {
        double whole = floor(rest);
        if (!(whole * (double)*num < 0x1p40) || !(whole * (double)*den < 0x1p40)) break;
        int64_t next_num = (int64_t)whole * *num + before_num,
                next_den = (int64_t)whole * *den + before_den;
        before_num = *num, before_den = *den;
        *num = next_num, *den = next_den;
        if ((float)((double)*num / (double)*den) == (float)scale) return;
        rest = 1 / (rest - whole);
    }
    tn_fail(n->cx, TN_E_LIMIT, "the scale %g is out of range", scale);
}

/* Entry i of a vector of floats, if it is known now. */
static bool known_float(const Value *v, int i, double *x) {
    if (v->constant) {
        *x = ir_element_f64(v->constant->dtype, v->constant->data, i);
        return true;
    }
    const Expr *e = v->facts.values ? v->facts.values[i] : NULL;
    if (!e || e->count > 1 || (e->count == 1 && e->terms[0].degree > 0)) return false;
    *x = e->count ? (double)e->terms[0].coef.num / (double)e->terms[0].coef.den : 0;
    return true;
}

static const Expr *scaled_length(OnnxNode *n, const Resampling *r, int i, const Expr *d) {
    const Value *v = r->scales;
    double scale;
    if (known_float(v, i, &scale)) {
        int64_t num, den;
        if (!(scale > 0 && isfinite(scale)))
            tn_fail(n->cx, TN_E_MODEL, "scale %d is %g, not a number above 0", i, scale);
        simple_fraction(n, scale, &num, &den);
        return ex_floor(n->x, ex_scale(n->x, d, num, den));
    }
    return ex_floor(n->x, ex_mul(n->x, d, v->facts.values[i]));
}

/* --- one axis --- */

static Value *entry(OnnxNode *n, Value *v, int i, double otherwise) {
    float f = (float)otherwise;
    if (!v) return ir_tensor(n->g, NULL, TN_F32, 1, (int64_t[]){1}, &f);
    return onnx_slice(n, v, 0, ex_int(n->x, i), ex_int(n->x, 1), 1);
}

/* The kernel's f32[3]: scale, begin and end of the crop; NULL if lengths say it all. */
static Value *grid_of(OnnxNode *n, const Resampling *r, int i) {
    bool crop = r->roi && !strcmp(r->coordinates, "crop");
    if (!r->scales && !crop) return NULL;
    Value *parts[] = {entry(n, r->scales, i, 0), entry(n, crop ? r->roi : NULL, i, 0),
                      entry(n, crop ? r->roi : NULL, r->count + i, 1)};
    return ir_concat(n->g, 3, parts, 0);
}

/* Same length under a scale of 1, and no crop: nothing to do. */
static bool unchanged(const Resampling *r, int i, const Expr *d, const Expr *length) {
    double scale = 1;
    if (!strcmp(r->coordinates, "crop") || length != d) return false;
    return !r->scales || (known_float(r->scales, i, &scale) && scale == 1);
}

static Value *resample(OnnxNode *n, const Resampling *r, Value *x) {
    for (int i = r->count - 1; i >= 0; i--) {
        const Expr *d = x->type.dims[r->axes[i]];
        const Expr *length = r->sizes[i] ? r->sizes[i] : scaled_length(n, r, i, d);
        if (unchanged(r, i, d, length)) continue;
        Value *grid = grid_of(n, r, i);
        Node *node = ir_node(n->g, OP_resize, grid ? 2 : 1, (Value *[]){x, grid});
        ir_set_int(node, "axis", r->axes[i]);
        ir_set_dim(node, "length", length);
        ir_set_string(node, "mode", r->mode);
        ir_set_string(node, "coordinates", r->coordinates);
        ir_set_string(node, "nearest", r->nearest);
        ir_set_float(node, "cubic_a", r->cubic_a);
        ir_set_float(node, "outside", r->outside);
        ir_set_bool(node, "exclude_outside", r->exclude_outside);
        ir_set_bool(node, "antialias", r->antialias);
        x = ir_insert(node);
    }
    return x;
}

/* Interpolation runs in floats that hold the elements; integers are rounded at the end. */
static Value *resample_any_type(OnnxNode *n, const Resampling *r) {
    Value *x = n->inputs[0];
    TnDType t = x->type.dtype;
    if (!strcmp(r->mode, "nearest") || t == TN_F32 || t == TN_F64) return resample(n, r, x);
    bool wide = tn_is_int(t) && tn_dtype_size(t) > 2;
    Value *y = resample(n, r, ir_cast(n->g, x, wide ? TN_F64 : TN_F32));
    if (tn_is_int(t)) y = ir_unary(n->g, OP_round, y);
    return ir_cast(n->g, y, t);
}

/* --- lengths that only a run knows --- */

/* The lengths of the resampled axes, as floats of type t. */
static Value *lengths_now(OnnxNode *n, const Resampling *r, TnDType t) {
    const Expr *d[TN_MAX_RANK];
    for (int i = 0; i < r->count; i++) d[i] = n->inputs[0]->type.dims[r->axes[i]];
    return ir_cast(n->g, ir_scalars(n->g, TN_I64, r->count, d), t);
}

static void measure_sizes(OnnxNode *n, Resampling *r, Value *lengths) {
    Value *whole = ir_cast(n->g, ir_unary(n->g, OP_floor, lengths), TN_I64);
    const Expr *const *sizes = onnx_measure(n, "resized lengths", whole, 0, 0, INT64_MAX);
    for (int i = 0; i < r->count; i++) r->sizes[i] = sizes[i];
}

static bool scales_known(const Resampling *r) {
    double scale;
    for (int i = 0; i < r->count; i++)
        if (!known_float(r->scales, i, &scale) &&
            (!r->scales->facts.values || ex_mentions(r->scales->facts.values[i], ATOM_LOAD)))
            return false;
    return true;
}

static void measure_scales(OnnxNode *n, Resampling *r) {
    if (!scales_known(r))
        measure_sizes(n, r, ir_binary(n->g, OP_mul, r->scales, lengths_now(n, r, TN_F32)));
}

/* keep_aspect_ratio for sizes or lengths that are not numbers. */
static void measure_aspect_ratio(OnnxNode *n, Resampling *r, bool smallest) {
    const Expr *count = ex_int(n->x, r->count);
    Value *lengths = lengths_now(n, r, TN_F64);
    Value *sizes = ir_cast(n->g, onnx_vector(n, 3, "sizes"), TN_F64);
    Value *scale = ir_reduce(n->g, smallest ? OP_reduce_min : OP_reduce_max,
                             ir_binary(n->g, OP_div, sizes, lengths), 1, (int64_t[]){0}, true);
    r->scales = ir_cast(n->g, ir_expand(n->g, scale, 1, &count), TN_F32);
    measure_sizes(n, r, onnx_with_scalar(n, OP_add, ir_binary(n->g, OP_mul, scale, lengths), 0.5));
}

/* --- Upsample and the first Resize --- */

static Value *float_vector(OnnxNode *n, Value *v, int length, const char *what) {
    const Type *t = &v->type;
    if (!tn_is_float(t->dtype) || t->rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "%s are %s, not a vector of floats", what,
                ir_type_text(n->m, t));
    if (!ex_is(t->dims[0], length))
        tn_fail(n->cx, TN_E_MODEL, "%s entries of %s, wanted %d", ex_text(n->x, t->dims[0]), what,
                length);
    return ir_cast(n->g, v, TN_F32);
}

static bool is_shrunk(const Resampling *r) {
    double scale;
    for (int i = 0; i < r->count; i++)
        if (known_float(r->scales, i, &scale) && scale < 1) return true;
    return false;
}

static Value *attribute_scales(OnnxNode *n) {
    float two[] = {1, 1, (float)onnx_float(n, "height_scale"), (float)onnx_float(n, "width_scale")};
    const Onnx__AttributeProto *a = onnx_attribute(n, "scales");
    int64_t count = a ? (int64_t)a->n_floats : 4;
    return ir_tensor(n->g, NULL, TN_F32, 1, &count, a ? a->floats : two);
}

/* Positions are multiples of 1 / scale, the nearest is below (above if the image shrinks). */
void import_upsample(OnnxNode *n) {
    static const char *const modes[] = {"nearest", "linear", "bilinear", NULL};
    int rank = n->inputs[0]->type.rank;
    Value *scales = onnx_given(n, 1) ? n->inputs[1] : attribute_scales(n);
    Resampling r = {.count = rank, .coordinates = "asymmetric", .nearest = "floor"};
    r.scales = float_vector(n, scales, rank, "scales");
    r.mode = onnx_word(n, "mode", modes) ? "linear" : "nearest";
    r.cubic_a = -0.75;
    for (int i = 0; i < rank; i++) r.axes[i] = i;
    if (is_shrunk(&r)) r.nearest = "ceil";
    measure_scales(n, &r);
    n->outputs[0] = resample_any_type(n, &r);
}

/* --- Resize --- */

/* Operand i is there and not an empty vector, which stands for one left out. */
static bool has_entries(const OnnxNode *n, int i) {
    if (!onnx_given(n, i)) return false;
    const Type *t = &n->inputs[i]->type;
    return !(t->rank == 1 && ex_is(t->dims[0], 0));
}

static void read_axes(OnnxNode *n, Resampling *r) {
    OnnxInts axes = onnx_ints(n, "axes");
    bool marked[TN_MAX_RANK];
    int rank = n->inputs[0]->type.rank;
    onnx_mark_axes(n, axes, rank, marked);
    r->count = axes.given ? axes.count : rank;
    for (int i = 0; i < r->count; i++) r->axes[i] = axes.given ? ir_axis(n->m, axes.v[i], rank) : i;
}

static void read_words(OnnxNode *n, Resampling *r) {
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                          "ceil", NULL};
    static const char *const coordinates[] = {
        "half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel", "tf_half_pixel_for_nn",
        "align_corners", "asymmetric",           "tf_crop_and_resize", NULL};
    r->mode = modes[onnx_word(n, "mode", modes)];
    r->nearest = nearest[onnx_word(n, "nearest_mode", nearest)];
    r->coordinates = coordinates[onnx_word(n, "coordinate_transformation_mode", coordinates)];
    if (!strcmp(r->coordinates, "tf_crop_and_resize")) r->coordinates = "crop";
    r->cubic_a = onnx_float(n, "cubic_coeff_a");
    r->outside = onnx_float(n, "extrapolation_value");
    r->exclude_outside = onnx_flag(n, "exclude_outside");
    r->antialias = onnx_flag(n, "antialias");
    if (r->antialias && !strcmp(r->mode, "nearest"))
        tn_fail(n->cx, TN_E_MODEL, "mode 'nearest' has no antialiasing");
    if (!isfinite(r->cubic_a))
        tn_fail(n->cx, TN_E_MODEL, "attribute 'cubic_coeff_a' is %g", r->cubic_a);
}

static void check_sizes(OnnxNode *n, const Resampling *r) {
    int count = onnx_count(n, 3, "sizes");
    if (count != r->count) tn_fail(n->cx, TN_E_MODEL, "%d sizes for %d axes", count, r->count);
}

static void read_sizes(OnnxNode *n, Resampling *r) {
    int count;
    check_sizes(n, r);
    const Expr *const *sizes = onnx_lengths(n, 3, "sizes", 0, &count);
    onnx_check_lengths(n, "size", count, sizes);
    for (int i = 0; i < count; i++) r->sizes[i] = sizes[i];
}

/* Sizes and lengths that are numbers. */
static bool ratio_known(OnnxNode *n, const Resampling *r) {
    int64_t v;
    if (!onnx_known(n, 3)) return false;
    for (int i = 0; i < r->count; i++)
        if (!ex_const(n->inputs[0]->type.dims[r->axes[i]], &v)) return false;
    return true;
}

/* One scale for all axes: the smallest, so that no size is exceeded, or the largest. */
static void keep_aspect_ratio(OnnxNode *n, Resampling *r, bool smallest) {
    float scales[TN_MAX_RANK];
    double best = 0;
    int64_t sizes[TN_MAX_RANK], d[TN_MAX_RANK], count = r->count;
    check_sizes(n, r);
    if (!ratio_known(n, r)) {
        measure_aspect_ratio(n, r, smallest);
        return;
    }
    read_sizes(n, r);
    for (int i = 0; i < r->count; i++) {
        if (!ex_const(n->inputs[0]->type.dims[r->axes[i]], &d[i]) ||
            !ex_const(r->sizes[i], &sizes[i]) || d[i] == 0)
            tn_fail(n->cx, TN_E_MODEL, "an empty axis has no aspect ratio");
        double scale = (double)sizes[i] / (double)d[i];
        if (i == 0 || (smallest ? scale < best : scale > best)) best = scale;
    }
    for (int i = 0; i < r->count; i++) {
        double length = floor(best * (double)d[i] + 0.5);
        if (!(length <= INT32_MAX))
            tn_fail(n->cx, TN_E_LIMIT, "a length of %g is out of range", length);
        r->sizes[i] = ex_int(n->x, (int64_t)length);
        scales[i] = (float)best;
    }
    if (best > 0) r->scales = ir_tensor(n->g, NULL, TN_F32, 1, &count, scales);
}

void import_resize(OnnxNode *n) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    bool has_scales = has_entries(n, 2), has_sizes = has_entries(n, 3);
    int policy = onnx_word(n, "keep_aspect_ratio_policy", policies);
    Resampling r = {0};
    read_axes(n, &r);
    read_words(n, &r);
    if (has_scales == has_sizes && n->inputs[0]->type.rank > 0)
        tn_fail(n->cx, TN_E_MODEL,
                has_scales ? "scales and sizes are both given"
                           : "neither scales nor sizes are given");
    if (has_scales) {
        r.scales = float_vector(n, n->inputs[2], r.count, "scales");
        measure_scales(n, &r);
    } else if (has_sizes && policy) {
        keep_aspect_ratio(n, &r, policy == 1);
    } else if (has_sizes) {
        read_sizes(n, &r);
    }
    if (!strcmp(r.coordinates, "crop")) {
        if (!has_entries(n, 1))
            tn_fail(n->cx, TN_E_MODEL, "tf_crop_and_resize without a region of interest");
        r.roi = float_vector(n, n->inputs[1], 2 * r.count, "the region of interest");
    }
    n->outputs[0] = resample_any_type(n, &r);
}
