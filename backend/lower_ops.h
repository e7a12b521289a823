/* One function per operator that has an instruction or is a view. A row of ops.def that is not here
 * has no lowering: compiling a graph that still has it fails as unsupported. */
#ifndef TENON_BACKEND_LOWER_OPS_H
#define TENON_BACKEND_LOWER_OPS_H

#include "backend/lower.h"

/* One row per line, sorted: X(name, reads, writes, order).
 *
 * reads, writes: what the kernel asks of the memory of operands and results (PlaceForm in place.h),
 * VIEW as writes: results are views of operands. order: in which order the axes of a result lie in
 * memory where nothing else decides (PlaceOrder).
 *
 * `reads` is what lower_<name> asks for by lower_operand, lower_rows and lower_dense, of those
 * operands that may be large. */
/* clang-format off */
#define LOWERED_OPS(X)                             \
    X(add_norm,         ROWS,  ROWS,  ROW_MAJOR)   \
    X(attention,        ROWS,  ROWS,  ROW_MAJOR)   \
    X(bitcast,          ANY,   ANY,   OPERAND)     \
    X(col2im,           DENSE, DENSE, ROW_MAJOR)   \
    X(concat,           ANY,   ANY,   OPERAND)     \
    X(conv,             ANY,   ANY,   CHANNELS_LAST) \
    X(cumprod,          ANY,   ANY,   OPERAND)     \
    X(cumsum,           ANY,   ANY,   OPERAND)     \
    X(deform_columns,   DENSE, DENSE, ROW_MAJOR)   \
    X(deformable_attention, ROWS, DENSE, ROW_MAJOR) \
    X(det,              DENSE, DENSE, ROW_MAJOR)   \
    X(dft,              DENSE, DENSE, ROW_MAJOR)   \
    X(expand,           ANY,   VIEW,  ROW_MAJOR)   \
    X(gather,           ANY,   ANY,   ROW_MAJOR)   \
    X(gather_elements,  ANY,   ANY,   ROW_MAJOR)   \
    X(gather_nd,        ANY,   ANY,   ROW_MAJOR)   \
    X(grid_sample,      DENSE, DENSE, ROW_MAJOR)   \
    X(group_norm,       ROWS,  ROWS,  ROW_MAJOR)   \
    X(if,               DENSE, DENSE, ROW_MAJOR)   \
    X(iota,             ANY,   ANY,   ROW_MAJOR)   \
    X(layer_norm,       ROWS,  ROWS,  ROW_MAJOR)   \
    X(linear,           ROWS,  ROWS,  ROW_MAJOR)   \
    X(log_softmax,      ANY,   ANY,   OPERAND)     \
    X(loop,             DENSE, DENSE, ROW_MAJOR)   \
    X(map,              ANY,   ANY,   OPERAND)     \
    X(matmul,           ANY,   ANY,   ROW_MAJOR)   \
    X(matmul_int,       ANY,   ANY,   ROW_MAJOR)   \
    X(measure,          DENSE, VIEW,  ROW_MAJOR)   \
    X(nms,              ANY,   DENSE, ROW_MAJOR)   \
    X(nonzero,          ANY,   DENSE, ROW_MAJOR)   \
    X(pad,              ANY,   ANY,   OPERAND)     \
    X(pool,             ANY,   ANY,   OPERAND)     \
    X(qkv,              ROWS,  ROWS,  ROW_MAJOR)   \
    X(reduce_max,       ANY,   ANY,   OPERAND)     \
    X(reduce_mean,      ANY,   ANY,   OPERAND)     \
    X(reduce_min,       ANY,   ANY,   OPERAND)     \
    X(reduce_prod,      ANY,   ANY,   OPERAND)     \
    X(reduce_sum,       ANY,   ANY,   OPERAND)     \
    X(resize,           ANY,   ANY,   OPERAND)     \
    X(resize_plane,     ANY,   ANY,   OPERAND)     \
    X(rms_norm,         ROWS,  ROWS,  ROW_MAJOR)   \
    X(rnn,              DENSE, DENSE, ROW_MAJOR)   \
    X(roi_align,        DENSE, DENSE, ROW_MAJOR)   \
    X(roll,             ANY,   VIEW,  ROW_MAJOR)   \
    X(rotary,           ROWS,  ROWS,  OPERAND)     \
    X(scalars,          ANY,   ANY,   ROW_MAJOR)   \
    X(scatter_elements, DENSE, DENSE, ROW_MAJOR)   \
    X(scatter_nd,       DENSE, DENSE, ROW_MAJOR)   \
    X(slice,            ANY,   VIEW,  ROW_MAJOR)   \
    X(softmax,          ANY,   ANY,   OPERAND)     \
    X(splat,            ANY,   ANY,   ROW_MAJOR)   \
    X(topk,             ANY,   ANY,   ROW_MAJOR)   \
    X(transpose,        ANY,   VIEW,  ROW_MAJOR)   \
    X(unique,           ANY,   DENSE, ROW_MAJOR)   \
    X(view,             ANY,   VIEW,  ROW_MAJOR)
/* clang-format on */

#define X(name, reads, writes, order) LowerFn lower_##name;
LOWERED_OPS(X)
#undef X

/* What of lower_pad place.c needs: the borders are written before the producer of x writes the rest
 * in place. Both are false resp. nothing for a pad that has to be done as a whole. */
bool lower_pad_has_borders(Lower *lo, const Node *n);
typedef struct PadCut {
    View inner, border[2 * TN_MAX_RANK];
    int borders;
} PadCut;
/* The parts of the pad's result; false: a shifted one may close its ring anywhere. */
bool lower_pad_cut(Lower *lo, const Node *n, const View *out, PadCut *cut);
void lower_pad_borders(Lower *lo, const Node *n, const View *out);

#endif
