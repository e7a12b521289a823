/* ONNX operators on signals: DFT, STFT, windows, MelWeightMatrix; and Det. */
#include <math.h>
#include <string.h>
#include "frontend/onnx/import.h"

#define PI 3.14159265358979323846

static Value *with_double(OnnxNode *n, OpKind op, Value *x, double c) {
    return ir_binary(n->g, op, x, ir_scalar(n->g, x->type.dtype, c));
}

static void need_floats(OnnxNode *n, int i) {
    if (!tn_is_float(n->inputs[i]->type.dtype))
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, not of floats", i,
                ir_type_text(n->m, &n->inputs[i]->type));
}

/* f64 stays; everything else is transformed in f32. */
static TnDType signal_type(TnDType t) {
    return t == TN_F64 ? TN_F64 : TN_F32;
}

/* --- DFT, STFT --- */

static Value *dft(OnnxNode *n, Value *x, int axis, const Expr *length, bool inverse,
                  bool onesided) {
    Node *node = ir_node(n->g, OP_dft, 1, &x);
    ir_set_int(node, "axis", axis);
    ir_set_dim(node, "length", length);
    ir_set_bool(node, "inverse", inverse);
    ir_set_bool(node, "onesided", onesided);
    return ir_insert(node);
}

void import_dft(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    bool inverse = onnx_flag(n, "inverse"), onesided = onnx_flag(n, "onesided");
    int64_t at = n->row->until      ? onnx_int(n, "axis")
                 : onnx_given(n, 2) ? onnx_number(n, 2, "axis")
                                    : -2;
    need_floats(n, 0);
    if (t->rank < 2)
        tn_fail(n->cx, TN_E_MODEL, "the signal is %s, wanted at least 2 axes",
                ir_type_text(n->m, t));
    int axis = ir_axis(n->m, at, t->rank);
    if (axis == t->rank - 1)
        tn_fail(n->cx, TN_E_MODEL, "axis %lld is that of real and imaginary parts", (long long)at);
    if (onesided && !ex_is(t->dims[t->rank - 1], inverse ? 2 : 1))
        tn_fail(n->cx, TN_E_MODEL, "a onesided transform %s, but the signal is %s",
                inverse ? "back is of complex numbers" : "is of real numbers",
                ir_type_text(n->m, t));
    const Expr *length = t->dims[axis];
    if (inverse && onesided) length = ex_scale(n->x, ex_sub(n->x, length, ex_int(n->x, 1)), 2, 1);
    if (onnx_given(n, 1)) length = onnx_length(n, 1, "dft_length", 0);
    Value *x = ir_cast(n->g, n->inputs[0], signal_type(t->dtype));
    n->outputs[0] = ir_cast(n->g, dft(n, x, axis, length, inverse, onesided), t->dtype);
}

/* Positions [frames, length]: frame f begins at f * step. */
static Value *frame_positions(OnnxNode *n, const Expr *frames, const Expr *length,
                              const Expr *step) {
    const Expr *zero = ex_int(n->x, 0), *one = ex_int(n->x, 1);
    Value *begin = ir_unsqueeze(n->g, ir_iota(n->g, TN_I64, frames, zero, step), 1);
    return ir_binary(n->g, OP_add, begin, ir_iota(n->g, TN_I64, length, zero, one));
}

/* At least 1, known or measured. */
static const Expr *frame_step(OnnxNode *n) {
    int64_t v;
    if (onnx_count(n, 1, "frame_step") != 1)
        tn_fail(n->cx, TN_E_MODEL, "frame_step is %s, not a scalar",
                ir_type_text(n->m, &n->inputs[1]->type));
    Value *step = onnx_vector(n, 1, "frame_step");
    if (!onnx_known(n, 1)) return *onnx_measure(n, "frame_step", step, 1, 1, INT64_MAX);
    const Expr *e = onnx_value(n, 1, "frame_step");
    if (ex_const(e, &v) && v < 1) tn_fail(n->cx, TN_E_MODEL, "a frame_step of %lld", (long long)v);
    return e;
}

static const Expr *frame_length(OnnxNode *n) {
    const Expr *length = NULL;
    if (onnx_given(n, 3)) length = onnx_length(n, 3, "frame_length", 0);
    if (onnx_given(n, 2)) {
        const Type *w = &n->inputs[2]->type;
        if (w->rank != 1)
            tn_fail(n->cx, TN_E_MODEL, "the window is %s, not a vector", ir_type_text(n->m, w));
        length =
            length ? ir_same_dim(n->m, w->dims[0], length, "window and frame_length") : w->dims[0];
    }
    if (!length) tn_fail(n->cx, TN_E_MODEL, "neither window nor frame_length is given");
    return length;
}

/* signal [b, t, 1 or 2] -> frames [b, f, length, 1 or 2], times the window, transformed */
void import_stft(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    ExprCx *x = n->x;
    int64_t v;
    need_floats(n, 0);
    if (t->rank != 3 || !(ex_is(t->dims[2], 1) || ex_is(t->dims[2], 2)))
        tn_fail(n->cx, TN_E_MODEL, "the signal is %s, wanted [batch, length, 1 or 2]",
                ir_type_text(n->m, t));
    const Expr *step = frame_step(n), *length = frame_length(n);
    if (ex_const(length, &v) && v < 1)
        tn_fail(n->cx, TN_E_MODEL, "frames of length %lld", (long long)v);
    const Expr *room = ex_sub(x, t->dims[1], length);
    if (ex_const(room, &v) && v < 0)
        tn_fail(n->cx, TN_E_MODEL, "frames of length %s in %s", ex_text(x, length),
                ir_type_text(n->m, t));
    const Expr *frames = ex_add(x, ex_floordiv(x, room, step), ex_int(x, 1));
    TnDType type = signal_type(t->dtype);
    bool onesided = onnx_flag(n, "onesided") && ex_is(t->dims[2], 1);
    Value *y = ir_cast(n->g, n->inputs[0], type);
    y = ir_gather(n->g, y, frame_positions(n, frames, length, step), 1);
    if (onnx_given(n, 2)) {
        need_floats(n, 2);
        Value *w = ir_unsqueeze(n->g, ir_cast(n->g, n->inputs[2], type), 1);
        y = ir_binary(n->g, OP_mul, y, w);
    }
    n->outputs[0] = ir_cast(n->g, dft(n, y, 2, length, false, onesided), t->dtype);
}

/* --- windows --- */

/* a - b cos(2 pi i / m) + c cos(4 pi i / m), m = size or, if not periodic, size - 1. */
static void window(OnnxNode *n, double a, double b, double c) {
    ExprCx *x = n->x;
    const Expr *size = onnx_length(n, 0, "size", 0), *zero = ex_int(x, 0), *one = ex_int(x, 1);
    TnDType t = onnx_need_dtype(n->cx, onnx_int(n, "output_datatype"));
    if (n->inputs[0]->type.rank != 0)
        tn_fail(n->cx, TN_E_MODEL, "the size is %s, not a scalar",
                ir_type_text(n->m, &n->inputs[0]->type));
    onnx_check_lengths(n, "size", 1, &size);
    const Expr *m = onnx_flag(n, "periodic") ? size : ex_sub(x, size, one);
    m = ex_max(x, m, one); /* a window of one element is its first */
    Value *i = ir_cast(n->g, ir_iota(n->g, TN_I64, size, zero, one), TN_F64);
    Value *turn = with_double(n, OP_mul, i, 2 * PI);
    turn = ir_binary(n->g, OP_div, turn, ir_cast(n->g, ir_scalars(n->g, TN_I64, 1, &m), TN_F64));
    Value *y = with_double(n, OP_mul, ir_unary(n->g, OP_cos, turn), -b);
    y = with_double(n, OP_add, y, a);
    if (c != 0) {
        Value *twice = ir_unary(n->g, OP_cos, with_double(n, OP_mul, turn, 2));
        y = ir_binary(n->g, OP_add, y, with_double(n, OP_mul, twice, c));
    }
    n->outputs[0] = ir_cast(n->g, y, t);
}

void import_hann_window(OnnxNode *n) {
    window(n, 0.5, 0.5, 0);
}

void import_hamming_window(OnnxNode *n) {
    window(n, 25.0 / 46, 21.0 / 46, 0);
}

void import_blackman_window(OnnxNode *n) {
    window(n, 0.42, 0.5, 0.08);
}

/* --- MelWeightMatrix --- */

static double known_number(OnnxNode *n, int i, const char *what) {
    const Value *v = n->inputs[i];
    if (tn_is_int(v->type.dtype)) return (double)onnx_number(n, i, what);
    if (v->type.rank != 0 || !v->constant)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "%s that depends on data is unsupported", what);
    return ir_element_f64(v->type.dtype, v->constant->data, 0);
}

static double mel_of(double hertz) {
    return 2595 * log1p(hertz / 700) / log(10);
}

/* The bin of edge i of bands + 2 that are equally far apart in mel. */
static int64_t mel_bin(double low, double high, int64_t i, int64_t bands, double length,
                       double rate) {
    double mel = mel_of(low) + (double)i * (mel_of(high) - mel_of(low)) / (double)(bands + 2);
    return (int64_t)floor((length + 1) * 700 * expm1(mel / 2595 * log(10)) / rate);
}

/* Triangles over the bins: column b rises from edge b to 1 at edge b + 1 and falls to edge b + 2.
 */
static void fill_mel(double *w, int64_t bands, int64_t band, int64_t left, int64_t center,
                     int64_t right) {
    if (left == center) w[center * bands + band] = 1;
    for (int64_t k = left; left < center && k <= center; k++)
        w[k * bands + band] = (double)(k - left) / (double)(center - left);
    for (int64_t k = center; k < right; k++)
        w[k * bands + band] = (double)(right - k) / (double)(right - center);
}

void import_mel_weights(OnnxNode *n) {
    int64_t bands = onnx_number(n, 0, "num_mel_bins"), length = onnx_number(n, 1, "dft_length"),
            rate = onnx_number(n, 2, "sample_rate");
    double low = known_number(n, 3, "lower_edge_hertz"),
           high = known_number(n, 4, "upper_edge_hertz");
    TnDType t = onnx_need_dtype(n->cx, onnx_int(n, "output_datatype"));
    if (bands < 1 || bands > 65536 || length < 1 || length > 1 << 24 || rate < 1 ||
        bands * (length / 2 + 1) > 1 << 26)
        tn_fail(n->cx, TN_E_MODEL, "%lld bands of a transform of length %lld at %lld samples",
                (long long)bands, (long long)length, (long long)rate);
    if (!(low >= 0 && high >= low && high <= (double)rate))
        tn_fail(n->cx, TN_E_MODEL, "bands from %g to %g at %lld samples", low, high,
                (long long)rate);
    int64_t dims[] = {length / 2 + 1, bands}, edge[3];
    double *w = ARENA_ARRAY(&n->cx->arena, double, (size_t)(dims[0] * bands));
    for (int64_t b = 0; b < bands; b++) {
        for (int k = 0; k < 3; k++)
            edge[k] = mel_bin(low, high, b + k, bands, (double)length, (double)rate);
        if (edge[2] > dims[0])
            tn_fail(n->cx, TN_E_MODEL, "band %lld ends beyond the %lld bins", (long long)b,
                    (long long)dims[0]);
        if (edge[1] >= dims[0]) edge[1] = dims[0] - 1;
        fill_mel(w, bands, b, edge[0] < edge[1] ? edge[0] : edge[1], edge[1], edge[2]);
    }
    n->outputs[0] = ir_cast(n->g, ir_tensor(n->g, NULL, TN_F64, 2, dims, w), t);
}

/* --- Det --- */

void import_det(OnnxNode *n) {
    TnDType t = n->inputs[0]->type.dtype;
    need_floats(n, 0);
    Value *x = ir_cast(n->g, n->inputs[0], signal_type(t));
    n->outputs[0] = ir_cast(n->g, ir_insert(ir_node(n->g, OP_det, 1, &x)), t);
}
