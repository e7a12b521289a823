/* One function per operator that has an instruction or is a view. A row of ops.def that is not here
 * has no lowering: compiling a graph that still has it fails as unsupported. */
#ifndef TENON_BACKEND_LOWER_OPS_H
#define TENON_BACKEND_LOWER_OPS_H

#include "backend/lower.h"

/* clang-format off */
#define LOWERED_OPS(X)                                                                            \
    X(splat) X(iota) X(scalars)                                                                   \
    X(view) X(transpose) X(expand) X(slice) X(concat) X(pad)                                      \
    X(gather) X(gather_elements) X(gather_nd)                                                     \
    X(scatter_elements) X(scatter_nd) X(topk) X(nonzero) X(unique) X(nms)                         \
    X(reduce_sum) X(reduce_mean) X(reduce_max) X(reduce_min) X(reduce_prod) X(cumsum) X(cumprod)  \
    X(matmul) X(conv) X(softmax) X(log_softmax) X(layer_norm) X(rms_norm)                         \
    X(matmul) X(conv) X(pool) X(softmax) X(log_softmax) X(layer_norm) X(rms_norm)                         \
    X(bitcast)                                                                                    \
    X(measure) X(if) X(loop)                                                                      \
    X(matmul_int)                                                                                 \
    X(rnn)                                                                                        \
    X(scatter_elements) X(scatter_nd) X(topk) X(nonzero) X(unique) X(nms) X(cumprod)              \
    X(reduce_sum) X(reduce_mean) X(reduce_max) X(reduce_min) X(reduce_prod) X(cumsum)             \
    X(matmul) X(matmul_int) X(conv) X(pool) X(softmax) X(log_softmax) X(layer_norm) X(rms_norm)   \
    X(bitcast)                                                                                    \
    X(measure) X(if) X(loop)                                                                      \
    X(resize) X(grid_sample) X(roi_align)                                                         \
    X(linear) X(qkv) X(add_norm) X(attention) X(map)
/* clang-format on */

#define X(name) LowerFn lower_##name;
LOWERED_OPS(X)
#undef X

#endif
