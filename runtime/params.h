/* Parameter records of instructions: fixed little-endian structs stored in the plan, one per row of
 * instrs.def.
 *
 * A record may grow at its end in later versions: the loader zero-fills what an older plan lacks
 * and refuses a longer one. Every field is verified by plan_check_params.c before a kernel sees it.
 */
#ifndef TENON_RUNTIME_PARAMS_H
#define TENON_RUNTIME_PARAMS_H

#include <stdint.h>

/* Activations of the gemm epilogue; numbers are part of the format. */
/* clang-format off */
#define TN_ACTIVATIONS(X)                                                                \
    X(NONE,       none,       0)                                                         \
    X(RELU,       relu,       1)                                                         \
    X(GELU,       gelu,       2) /* x Phi(x), erf form */                                \
    X(GELU_TANH,  gelu_tanh,  3) /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */   \
    X(GELU_QUICK, gelu_quick, 4) /* x sigmoid(1.702 x) */                                \
    X(SILU,       silu,       5) /* x sigmoid(x) */                                      \
    X(TANH,       tanh,       6)                                                         \
    X(SIGMOID,    sigmoid,    7)
/* clang-format on */

typedef enum TnActivation {
#define X(upper, lower, number) TN_ACT_##upper = number,
    TN_ACTIVATIONS(X)
#undef X
        TN_ACT_COUNT
} TnActivation;

typedef struct ParamsNone {
    uint32_t reserved;
} ParamsNone;

typedef struct ParamsCopy {
    uint32_t stream; /* 1: nobody reads the result soon, so that it needs no room in caches */
} ParamsCopy;

/* C[.., N] = act(A[.., K] B + bias) + residual */
#define TN_RESIDUAL_FIRST 1u /* act(A B + bias + residual) */
typedef struct ParamsGemm {
    uint32_t activation; /* TnActivation */
    uint32_t flags;      /* TN_RESIDUAL_FIRST */
} ParamsGemm;

/* C = alpha A B over broadcast batch axes */
typedef struct ParamsMatmul {
    float alpha;
    uint32_t reserved;
} ParamsMatmul;

/* Operands of attention: k, v behind it, and from where these two were copied in part. */
enum { TN_ATTENTION_K = 1, TN_ATTENTION_PAST_K = 8 };

/* Whole attention. Key j is allowed to query i iff  p - window_left <= j <= p + window_right  with
 * p = i + offset, and j <= p if causal; the offset is scalar 0 of the instruction. See
 * kernels/attention_softmax.c for the exact semantics of masks. */
#define TN_ATTENTION_CAUSAL    1u /* key j allowed iff j <= i + offset */
#define TN_ATTENTION_SELECT    2u /* mask_value replaces a masked score; otherwise it is added */
#define TN_ATTENTION_ZERO_NAN  4u /* a row whose probabilities are NaN gives zeros */
#define TN_ATTENTION_BIAS_LAST 8u /* the bias is added to what is masked, too */
#define TN_ATTENTION_BAND      16u /* other keys do not exist, but for the first `scalar 1` of them */
#define TN_ATTENTION_PACKED    32u /* `starts` also says whose queries are whose */
typedef struct ParamsAttention {
    float scale;      /* multiplies q k' */
    float mask_value; /* what a masked score gets: added or selected */
    float softcap;    /* 0 = off; else scores become cap tanh(scores / cap) before masks */
    uint32_t flags;   /* TN_ATTENTION_* */
    int32_t window_left, window_right; /* -1 = unbounded */
    float bias_scale[2];               /* multiply the biases; 0 = 1 */
} ParamsAttention;

typedef struct ParamsSoftmax {
    uint32_t axis;
    uint32_t log; /* 1: the logarithm of the softmax */
} ParamsSoftmax;

/* Over the last axis; rms = 1: no mean is subtracted. */
typedef struct ParamsNorm {
    float epsilon;
    uint32_t rms;
} ParamsNorm;

/* Over groups of channels, the last axis, and all axes but the first. */
typedef struct ParamsGroupNorm {
    float epsilon;
    uint32_t groups;
} ParamsGroupNorm;

/* Pairs (i, i + width/2) of the last axis, or (2i, 2i + 1), are rotated for 2i < width. */
typedef struct ParamsRotary {
    uint32_t width;
    uint32_t interleaved; /* 0 or 1 */
} ParamsRotary;

#define TN_REDUCTIONS(X) \
    X(SUM, sum, 0)       \
    X(MEAN, mean, 1)     \
    X(MAX, max, 2)       \
    X(MIN, min, 3)       \
    X(PROD, prod, 4)

typedef enum TnReduction {
#define X(upper, lower, number) TN_REDUCE_##upper = number,
    TN_REDUCTIONS(X)
#undef X
        TN_REDUCE_COUNT
} TnReduction;

/* Bit i of axes: axis i is reduced, and has extent 1 in the result. */
typedef struct ParamsReduce {
    uint32_t kind; /* TnReduction */
    uint32_t axes;
} ParamsReduce;

typedef struct ParamsFill {
    double value;    /* of float types */
    int64_t integer; /* of the rest */
} ParamsFill;

typedef struct ParamsGather {
    uint32_t axis;
    uint32_t batch_dims;
} ParamsGather;

/* How an update meets what is there. */
#define TN_SCATTERS(X) \
    X(NONE, none, 0)   \
    X(ADD, add, 1)     \
    X(MUL, mul, 2)     \
    X(MIN, min, 3)     \
    X(MAX, max, 4)

typedef enum TnScatter {
#define X(upper, lower, number) TN_SCATTER_##upper = number,
    TN_SCATTERS(X)
#undef X
        TN_SCATTER_COUNT
} TnScatter;

typedef struct ParamsScatter {
    uint32_t axis;      /* of scatter_elements; 0 otherwise */
    uint32_t reduction; /* TnScatter */
} ParamsScatter;

#define TN_TOPK_SMALLEST 1u
typedef struct ParamsTopk {
    uint32_t axis;
    uint32_t flags;
} ParamsTopk;

typedef struct ParamsUnique {
    uint32_t axis;
    uint32_t unsorted; /* 1: groups in the order of their first items */
} ParamsUnique;

typedef struct ParamsNms {
    uint32_t center; /* 1: boxes are x, y of the centre, width, height */
    uint32_t reserved;
} ParamsNms;

#define TN_CUMSUM_EXCLUSIVE 1u
#define TN_CUMSUM_REVERSE   2u
#define TN_CUMSUM_PRODUCT   4u
typedef struct ParamsCumsum {
    uint32_t axis;
    uint32_t flags;
} ParamsCumsum;

/* Convolution in up to 3 spatial axes, ended as a gemm is. */
#define TN_CONV_WINOGRAD2                                                               \
    2u                       /* the weights are transformed (pack.h) for tiles of 2 x 4 \
                              * results, or with stride 2 of 2 x 2 */
#define TN_CONV_PLACES    4u /* the weights are the matrix [C, kernel O] (pack.h) */
#define TN_CONV_WINOGRAD4 8u /* the weights are transformed for tiles of 4 x 4 results (pack.h) */
typedef struct ParamsConv {
    uint32_t spatial, groups;
    uint32_t kernel[3]; /* of weights in panels; else they have these dims */
    uint32_t stride[3], dilation[3], pad_begin[3], pad_end[3];
    uint32_t activation; /* TnActivation */
    uint32_t flags;      /* TN_RESIDUAL_FIRST; TN_CONV_WINOGRAD2, _WINOGRAD4 or _PLACES */
} ParamsConv;

/* Elements of a transformed weight; 0: it is not transformed. */
static inline int tn_conv_elements(const ParamsConv *p) {
    if (p->flags & TN_CONV_WINOGRAD4) return 6 * 6;
    return p->flags & TN_CONV_WINOGRAD2 ? p->stride[0] == 2 ? 4 * 4 : 4 * 6 : 0;
}

/* Pooling over up to 3 spatial axes; the padding is the instruction's scalars. */
#define TN_POOL_MODES(X) X(MAX, max, 0) X(AVG, avg, 1) X(LP, lp, 2)

typedef enum TnPoolMode {
#define X(upper, lower, number) TN_POOL_##upper = number,
    TN_POOL_MODES(X)
#undef X
        TN_POOL_MODE_COUNT
} TnPoolMode;

#define TN_POOL_COUNT_PADS 1u /* of a mean: padding counts as zeros */
#define TN_POOL_COLUMNS    2u /* places count the first spatial axis fastest, not the last */
typedef struct ParamsPool {
    uint32_t spatial, mode, flags, reserved;
    uint32_t kernel[3], stride[3], dilation[3], reserved2;
    double p; /* of the p-norm */
} ParamsPool;

/* Columns of up to 3 spatial axes back into an image; the padding is the instruction's scalars. */
typedef struct ParamsCol2im {
    uint32_t spatial, reserved;
    uint32_t stride[3], dilation[3];
} ParamsCol2im;

/* What a deformable convolution multiplies with its weights. */
typedef struct ParamsDeform {
    uint32_t groups, reserved;
    uint32_t kernel[2], stride[2], dilation[2], pad[2];
} ParamsDeform;

/* Resampling of one axis; see kernels/resize.c for the formulas. */
#define TN_RESIZE_EXCLUDE_OUTSIDE 1u /* taps outside weigh nothing; otherwise the edge repeats */
#define TN_RESIZE_ANTIALIAS       2u /* a shrinking kernel is as wide as the step */
/* clang-format off */
#define TN_RESIZE_MODES(X) X(NEAREST, nearest, 0) X(LINEAR, linear, 1) X(CUBIC, cubic, 2)
#define TN_RESIZE_COORDINATES(X)                                                         \
    X(HALF_PIXEL, half_pixel, 0)                                                         \
    X(HALF_PIXEL_SYMMETRIC, half_pixel_symmetric, 1)                                     \
    X(PYTORCH_HALF_PIXEL, pytorch_half_pixel, 2)                                         \
    X(TF_HALF_PIXEL, tf_half_pixel_for_nn, 3)                                            \
    X(ASYMMETRIC, asymmetric, 4)                                                         \
    X(ALIGN_CORNERS, align_corners, 5)                                                   \
    X(CROP, crop, 6)
#define TN_RESIZE_ROUNDINGS(X)                                                             \
    X(ROUND_DOWN, round_prefer_floor, 0) X(ROUND_UP, round_prefer_ceil, 1)               \
    X(FLOOR, floor, 2) X(CEIL, ceil, 3)
/* clang-format on */

typedef enum TnResizeMode {
#define X(upper, lower, number) TN_RESIZE_##upper = number,
    TN_RESIZE_MODES(X)
#undef X
        TN_RESIZE_MODE_COUNT
} TnResizeMode;

typedef enum TnResizeCoordinates {
#define X(upper, lower, number) TN_RESIZE_##upper = number,
    TN_RESIZE_COORDINATES(X)
#undef X
        TN_RESIZE_COORDINATES_COUNT
} TnResizeCoordinates;

typedef enum TnResizeRounding {
#define X(upper, lower, number) TN_RESIZE_##upper = number,
    TN_RESIZE_ROUNDINGS(X)
#undef X
        TN_RESIZE_ROUNDING_COUNT
} TnResizeRounding;

typedef struct ParamsResize {
    uint32_t axis, mode, coordinates, nearest;
    uint32_t flags; /* TN_RESIZE_EXCLUDE_OUTSIDE, TN_RESIZE_ANTIALIAS */
    uint32_t reserved;
    double cubic_a, outside; /* outside: the value beyond a crop */
} ParamsResize;

/* Along two axes: first resize.axis, then `down`. No crop, no antialiasing. */
typedef struct ParamsResizePlane {
    ParamsResize resize;
    uint32_t down, reserved;
} ParamsResizePlane;

/* Both functions have the instruction's captures as inputs and its results as outputs. */
typedef struct ParamsIf {
    uint32_t then_function, else_function; /* internal functions */
} ParamsIf;

/* The body has inputs i (i64), cond (bool), carried values and captures, and outputs cond, carried
 * values and scans. */
typedef struct ParamsLoop {
    uint32_t body;    /* internal function */
    uint32_t carried; /* values that go from one iteration to the next */
} ParamsLoop;

/* clang-format off */
#define TN_PADDINGS(X) X(ZEROS, zeros, 0) X(BORDER, border, 1) X(REFLECTION, reflection, 2)
/* clang-format on */

typedef enum TnPadding {
#define X(upper, lower, number) TN_PADDING_##upper = number,
    TN_PADDINGS(X)
#undef X
        TN_PADDING_COUNT
} TnPadding;

typedef struct ParamsGridSample {
    uint32_t mode;    /* TnResizeMode */
    uint32_t padding; /* TnPadding */
    uint32_t align_corners, reserved;
} ParamsGridSample;

typedef struct ParamsDeformable {
    uint32_t softmax; /* 1: of the weights first */
    uint32_t reserved;
} ParamsDeformable;

typedef struct ParamsRoiAlign {
    float scale;
    uint32_t samples; /* per bin and axis; 0: by the bin's length */
    uint32_t max, half_pixel;
} ParamsRoiAlign;

/* One direction of a recurrent network; see kernels/rnn.c for the formulas. */
#define TN_RNN_REVERSE 1u
#define TN_RNN_COUPLED 2u /* LSTM: the forget gate is 1 - the input gate */
#define TN_RNN_LINEAR  4u /* GRU: the reset gate applies after the product */
/* clang-format off */
#define TN_RNN_MODES(X) X(RNN, rnn, 0) X(GRU, gru, 1) X(LSTM, lstm, 2)
#define TN_RNN_FUNCTIONS(X)                                                              \
    X(TANH, Tanh, 0)                 X(SIGMOID, Sigmoid, 1)                              \
    X(RELU, Relu, 2)                 X(AFFINE, Affine, 3)                                \
    X(LEAKY_RELU, LeakyRelu, 4)      X(THRESHOLDED_RELU, ThresholdedRelu, 5)             \
    X(SCALED_TANH, ScaledTanh, 6)    X(HARD_SIGMOID, HardSigmoid, 7)                     \
    X(ELU, Elu, 8)                   X(SOFTSIGN, Softsign, 9)                            \
    X(SOFTPLUS, Softplus, 10)
/* clang-format on */

typedef enum TnRnnMode {
#define X(upper, name, number) TN_RNN_##upper = number,
    TN_RNN_MODES(X)
#undef X
        TN_RNN_MODE_COUNT
} TnRnnMode;

typedef enum TnRnnFunction {
#define X(upper, name, number) TN_RNN_##upper = number,
    TN_RNN_FUNCTIONS(X)
#undef X
        TN_RNN_FUNCTION_COUNT
} TnRnnFunction;

typedef struct TnRnnActivation {
    uint32_t function; /* TnRnnFunction */
    float alpha, beta;
} TnRnnActivation;

typedef struct ParamsRnn {
    uint32_t mode, flags;
    float clip; /* of what activations of gates are given; 0: none */
    TnRnnActivation activation[3];
} ParamsRnn;

/* Along `axis`, of the length that is scalar 0. */
typedef struct ParamsDft {
    uint32_t axis;
    uint32_t inverse;
} ParamsDft;

/* A program over registers that computes one element of the result from one element of every input.
 * Registers 0..inputs-1 hold the inputs; step s writes register inputs + s; the last step's
 * register is the result.
 *
 * X(name, operator, number, operands, types): numbers are part of the format. Operands and result
 * are of ANY one type, of one of the FLOATS, or BITS of one integer type; a COMPARE of any one type
 * gives BOOL; LOGIC is all BOOL; a SELECT has a BOOL before its operands; a CAST, and a CONSTANT,
 * gives any type. */
/* clang-format off */
#define TN_MAP_OPERATORS(X) /* each is the IR's operator of that name */                       \
    X(CAST, cast, 2, 1, CAST)                     X(ADD, add, 10, 2, ANY)                      \
    X(SUB, sub, 11, 2, ANY)                       X(MUL, mul, 12, 2, ANY)                      \
    X(DIV, div, 13, 2, ANY)                       X(MOD, mod, 14, 2, ANY)                      \
    X(POW, pow, 15, 2, ANY)                       X(MIN, min, 16, 2, ANY)                      \
    X(MAX, max, 17, 2, ANY)                       X(FMOD, fmod, 18, 2, ANY)                    \
    X(NEG, neg, 20, 1, ANY)                       X(ABS, abs, 21, 1, ANY)                      \
    X(SQRT, sqrt, 22, 1, FLOATS)                  X(RECIPROCAL, reciprocal, 23, 1, FLOATS)     \
    X(EXP, exp, 24, 1, FLOATS)                    X(LOG, log, 25, 1, FLOATS)                   \
    X(ERF, erf, 26, 1, FLOATS)                    X(TANH, tanh, 27, 1, FLOATS)                 \
    X(SIGMOID, sigmoid, 28, 1, FLOATS)            X(SIN, sin, 29, 1, FLOATS)                   \
    X(COS, cos, 30, 1, FLOATS)                    X(FLOOR, floor, 31, 1, ANY)                  \
    X(CEIL, ceil, 32, 1, ANY)                     X(ROUND, round, 33, 1, ANY)                  \
    X(SIGN, sign, 34, 1, ANY)                     X(RELU, relu, 35, 1, ANY)                    \
    X(GELU, gelu, 36, 1, FLOATS)                  X(GELU_TANH, gelu_tanh, 37, 1, FLOATS)       \
    X(GELU_QUICK, gelu_quick, 38, 1, FLOATS)      X(SILU, silu, 39, 1, FLOATS)                 \
    X(EQ, eq, 50, 2, COMPARE)                     X(LT, lt, 51, 2, COMPARE)                    \
    X(LE, le, 52, 2, COMPARE)                     X(AND, and, 60, 2, LOGIC)                    \
    X(OR, or, 61, 2, LOGIC)                       X(XOR, xor, 62, 2, LOGIC)                    \
    X(NOT, not, 63, 1, LOGIC)                     X(WHERE, where, 64, 3, SELECT)               \
    X(BIT_AND, bit_and, 70, 2, BITS)              X(BIT_OR, bit_or, 71, 2, BITS)               \
    X(BIT_XOR, bit_xor, 72, 2, BITS)              X(SHIFT_LEFT, shift_left, 73, 2, BITS)       \
    X(SHIFT_RIGHT, shift_right, 74, 2, BITS)      X(BIT_NOT, bit_not, 75, 1, BITS)             \
    X(TAN, tan, 80, 1, FLOATS)                    X(ASIN, asin, 81, 1, FLOATS)                 \
    X(ACOS, acos, 82, 1, FLOATS)                  X(ATAN, atan, 83, 1, FLOATS)                 \
    X(SINH, sinh, 84, 1, FLOATS)                  X(COSH, cosh, 85, 1, FLOATS)                 \
    X(ASINH, asinh, 86, 1, FLOATS)                X(ACOSH, acosh, 87, 1, FLOATS)               \
    X(ATANH, atanh, 88, 1, FLOATS)
#define TN_MAP_OPS(X) X(CONST, const, 0, 0, CONSTANT) X(COPY, copy, 1, 1, ANY) TN_MAP_OPERATORS(X)
/* clang-format on */

typedef enum TnMapOp {
#define X(upper, lower, number, ...) TN_MAP_##upper = number,
    TN_MAP_OPS(X)
#undef X
        TN_MAP_OP_COUNT = 128
} TnMapOp;

/* Registers that an operation reads; -1: there is no such operation. */
static inline int tn_map_operands(int op) {
    switch (op) {
#define X(upper, lower, number, operands, types) \
    case TN_MAP_##upper: return operands;
        TN_MAP_OPS(X)
#undef X
    default: return -1;
    }
}

typedef struct TnMapStep {
    uint8_t op;        /* TnMapOp */
    uint8_t dtype;     /* of the step's result; EQ, LT, LE, AND, OR, XOR, NOT give BOOL */
    uint8_t arg_dtype; /* type the operands are read in (CAST, EQ, LT, LE differ from dtype) */
    uint8_t args[3];   /* registers */
    uint16_t reserved;
    double value;    /* CONST of a float type */
    int64_t integer; /* CONST of an integer type or bool */
} TnMapStep;

#define TN_MAX_MAP_STEPS  48
#define TN_MAX_MAP_INPUTS 16

/* The record's size depends on the number of steps. */
typedef struct ParamsMap {
    uint32_t steps;
    uint32_t reserved;
    TnMapStep step[];
} ParamsMap;

#endif
