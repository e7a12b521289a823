/* Steps of a map on float registers, by vector. */
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

#define UNARY(name, formula)                                        \
    static void name(void *out, const void *const *in, int64_t n) { \
        const float *p = in[0];                                     \
        float *y = out;                                             \
        int64_t i = 0;                                              \
        for (; i + VF_WIDTH <= n; i += VF_WIDTH) {                  \
            vf a = vf_load(p + i);                                  \
            vf_store(y + i, formula);                               \
        }                                                           \
        if (i == n) return;                                         \
        vf a = vf_load_n(p + i, n - i);                             \
        vf_store_n(y + i, formula, n - i);                          \
    }

#define BINARY(name, formula)                                        \
    static void name(void *out, const void *const *in, int64_t n) {  \
        const float *p = in[0], *q = in[1];                          \
        float *y = out;                                              \
        int64_t i = 0;                                               \
        for (; i + VF_WIDTH <= n; i += VF_WIDTH) {                   \
            vf a = vf_load(p + i), b = vf_load(q + i);               \
            vf_store(y + i, formula);                                \
        }                                                            \
        if (i == n) return;                                          \
        vf a = vf_load_n(p + i, n - i), b = vf_load_n(q + i, n - i); \
        vf_store_n(y + i, formula, n - i);                           \
    }

/* A bool register is int64_t. */
#define COMPARE(name, operator)                                     \
    static void name(void *out, const void *const *in, int64_t n) { \
        const float *p = in[0], *q = in[1];                         \
        int64_t *y = out;                                           \
        for (int64_t i = 0; i < n; i++) y[i] = p[i] operator q[i];  \
    }

/* A NaN in either operand is the result. */
static inline vf min_nan(vf a, vf b) {
    return vf_select(vf_unordered(a, b), vf_add(a, b), vf_min(a, b));
}

static inline vf max_nan(vf a, vf b) {
    return vf_select(vf_unordered(a, b), vf_add(a, b), vf_max(a, b));
}

static inline vf sign(vf a) {
    vf one = vf_copysign(vf_set1(1), a);
    return vf_select(vf_lt(vf_zero(), vf_abs(a)), one, a);
}

/* Remainder with the sign of the divisor. */
static float floor_mod(float a, float b) {
    float r = fmodf(a, b);
    if (r == 0) return copysignf(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

UNARY(copy, a)
UNARY(neg, vf_neg(a))
UNARY(abs_, vf_abs(a))
UNARY(sqrt_, vf_sqrt(a))
UNARY(reciprocal, vf_div(vf_set1(1), a))
UNARY(exp_, vf_exp(a))
UNARY(log_, vf_log(a))
UNARY(erf_, vf_erf(a))
UNARY(tanh_, vf_tanh(a))
UNARY(sigmoid, vf_sigmoid(a))
UNARY(floor_, vf_floor(a))
UNARY(ceil_, vf_ceil(a))
UNARY(round_, vf_round(a))
UNARY(sign_, sign(a))
UNARY(relu, vf_relu(a))
UNARY(gelu, vf_gelu(a))
UNARY(gelu_tanh, vf_gelu_tanh(a))
UNARY(gelu_quick, vf_gelu_quick(a))
UNARY(silu, vf_silu(a))
BINARY(add, vf_add(a, b))
BINARY(sub, vf_sub(a, b))
BINARY(mul, vf_mul(a, b))
BINARY(div_, vf_div(a, b))
BINARY(mod, vf_lanes2(a, b, floor_mod))
BINARY(pow_, vf_pow(a, b))
BINARY(min, min_nan(a, b))
BINARY(max, max_nan(a, b))
BINARY(fmod_, vf_lanes2(a, b, fmodf))
COMPARE(eq, ==)
COMPARE(lt, <)
COMPARE(le, <=)

static void sine(float *y, const float *x, int64_t n, int32_t cosine) {
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        vf a = vf_sine(vf_load_n(x + i, rest), cosine);
        if (rest == VF_WIDTH)
            vf_store(y + i, a);
        else
            vf_store_n(y + i, a, rest);
    }
}

static void sin_(void *out, const void *const *in, int64_t n) {
    sine(out, in[0], n, 0);
}

static void cos_(void *out, const void *const *in, int64_t n) {
    sine(out, in[0], n, 1);
}

static void where(void *out, const void *const *in, int64_t n) {
    const int64_t *chosen = in[0];
    const float *a = in[1], *b = in[2];
    float *y = out;
    for (int64_t i = 0; i < n; i++) y[i] = chosen[i] ? a[i] : b[i];
}

MapFn *TN_FN(map_float_op)(int op) {
    static MapFn *const table[TN_MAP_OP_COUNT] = {
        [TN_MAP_COPY] = copy,
        [TN_MAP_ADD] = add,
        [TN_MAP_SUB] = sub,
        [TN_MAP_MUL] = mul,
        [TN_MAP_DIV] = div_,
        [TN_MAP_MOD] = mod,
        [TN_MAP_POW] = pow_,
        [TN_MAP_MIN] = min,
        [TN_MAP_MAX] = max,
        [TN_MAP_FMOD] = fmod_,
        [TN_MAP_NEG] = neg,
        [TN_MAP_ABS] = abs_,
        [TN_MAP_SQRT] = sqrt_,
        [TN_MAP_RECIPROCAL] = reciprocal,
        [TN_MAP_EXP] = exp_,
        [TN_MAP_LOG] = log_,
        [TN_MAP_ERF] = erf_,
        [TN_MAP_TANH] = tanh_,
        [TN_MAP_SIGMOID] = sigmoid,
        [TN_MAP_SIN] = sin_,
        [TN_MAP_COS] = cos_,
        [TN_MAP_FLOOR] = floor_,
        [TN_MAP_CEIL] = ceil_,
        [TN_MAP_ROUND] = round_,
        [TN_MAP_SIGN] = sign_,
        [TN_MAP_RELU] = relu,
        [TN_MAP_GELU] = gelu,
        [TN_MAP_GELU_TANH] = gelu_tanh,
        [TN_MAP_GELU_QUICK] = gelu_quick,
        [TN_MAP_SILU] = silu,
        [TN_MAP_EQ] = eq,
        [TN_MAP_LT] = lt,
        [TN_MAP_LE] = le,
        [TN_MAP_WHERE] = where,
    };
    return table[op] ? table[op] : tn_map_rare_float(op);
}

const MapKernels TN_FN(map_kernels) = {
    .op = TN_FN(map_float_op),
    .cast = TN_FN(map_cast),
    .fit = TN_FN(map_fit),
    .load = TN_FN(map_load),
    .load_whole = TN_FN(map_load_whole),
    .store = TN_FN(map_store),
    .quantise = TN_FN(map_quantise),
    .quantise_bytes = TN_FN(map_quantise_bytes),
    .gather_rows = TN_FN(map_gather_rows),
};
