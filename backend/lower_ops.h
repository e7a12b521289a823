/* One function per operator that has an instruction or is a view. A row of ops.def that is not here
 * has no lowering: compiling a graph that still has it fails as unsupported. */
#ifndef TENON_BACKEND_LOWER_OPS_H
#define TENON_BACKEND_LOWER_OPS_H

#include "backend/lower.h"

/* One row per line, sorted. */
/* clang-format off */
#define LOWERED_OPS(X)   \
    X(add_norm)          \
    X(attention)         \
    X(bitcast)           \
    X(col2im)            \
    X(concat)            \
    X(conv)              \
    X(cumprod)           \
    X(cumsum)            \
    X(deform_columns)    \
    X(deformable_attention) \
    X(det)               \
    X(dft)               \
    X(expand)            \
    X(gather)            \
    X(gather_elements)   \
    X(gather_nd)         \
    X(grid_sample)       \
    X(if)                \
    X(iota)              \
    X(layer_norm)        \
    X(linear)            \
    X(log_softmax)       \
    X(loop)              \
    X(map)               \
    X(matmul)            \
    X(matmul_int)        \
    X(measure)           \
    X(nms)               \
    X(nonzero)           \
    X(pad)               \
    X(pool)              \
    X(qkv)               \
    X(reduce_max)        \
    X(reduce_mean)       \
    X(reduce_min)        \
    X(reduce_prod)       \
    X(reduce_sum)        \
    X(resize)            \
    X(rms_norm)          \
    X(rnn)               \
    X(roi_align)         \
    X(roll)              \
    X(rotary)            \
    X(scalars)           \
    X(scatter_elements)  \
    X(scatter_nd)        \
    X(slice)             \
    X(softmax)           \
    X(splat)             \
    X(topk)              \
    X(transpose)         \
    X(unique)            \
    X(view)
/* clang-format on */

#define X(name) LowerFn lower_##name;
LOWERED_OPS(X)
#undef X

#endif
