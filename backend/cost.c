/* Counting what instructions do.
 *
 * Floating-point operations are those of the plain formula: a multiplication, an addition, a
 * comparison, an exponential each count 1. |x| is the number of elements of x.
 *
 *     gemm, matmul, matmul_int   2 |c| k
 *     attention                  2 b h s t (d + e), as if nothing were masked; t: of a band only
 *     conv                       2 |y| |w| / o, w before any transform
 *     softmax                    5 |y|: largest, difference, exp, sum, quotient
 *     norm                       8 |x|: with a residual, else 7
 *     group_norm                 7 |x|
 *     rotary                     3 per element that is rotated
 *     map                        |y| times the steps that compute
 *     reduce, cumsum             |x|
 *     pool                       |y| times the window
 *     col2im                     |x|
 *     resize, grid_sample        |y| times 2 per axis and neighbour: 4 (linear along one axis), 8
 *     resize_plane               8 |y|
 *     deformable_attention       |y| times 8 per point: 2 per corner
 *     rnn                        2 |p| h, the recurrent product
 *     dft                        5 n log2 n per line
 *     det                        2/3 n^3 per matrix
 *     all others                 0
 *
 * Bytes: operands once each; of what a gather reads only as much as it writes, and nothing of what
 * attention may read in place of rows of k and v. */
#include "backend/cost.h"

#include <math.h>
#include "runtime/instrs.h"
#include "runtime/pack.h"
#include "runtime/params.h"

static double elements(const TnTensor *t) {
    double n = 1;
    for (int i = 0; i < t->rank; i++) n *= (double)t->dims[i];
    return n;
}

/* Elements that differ in their place; panels are all there. */
static double distinct(const TnTensor *t) {
    double n = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->layout != TN_LAYOUT_STRIDED || t->strides[i] || !t->dims[i]) n *= (double)t->dims[i];
    return n;
}

static double bytes_of(const TnTensor *t) {
    if (tn_is_records((TnLayout)t->layout))
        return 4 * (double)tn_packed_elements((TnLayout)t->layout, t->dims[0], t->dims[1]);
    return distinct(t) * (double)tn_dtype_size((TnDType)t->dtype);
}

static const TnTensor *output(const TnCall *c) {
    return &c->operands[c->inputs];
}

static double axis(const TnTensor *t, int from_last) {
    return t->rank > from_last ? (double)t->dims[t->rank - 1 - from_last] : 1;
}

static double product(const TnCall *c) {
    return 2 * elements(output(c)) * axis(&c->operands[0], 0);
}

static double attention(const TnCall *c) {
    const TnTensor *q = &c->operands[0], *k = &c->operands[1], *v = &c->operands[2];
    const ParamsAttention *p = c->params;
    double t = k->rank == 4 ? (double)k->dims[1] : 1;
    if (c->inputs > 7 && c->operands[7].rank == 1) /* packed keys: as many of each entry */
        t /= fmax((double)c->operands[7].dims[0] - 1, 1);
    if (p->flags & TN_ATTENTION_BAND && p->window_left >= 0 && p->window_right >= 0)
        t = fmin(t, 1.0 + p->window_left + p->window_right + (double)c->scalars[1]);
    return 2 * elements(q) / fmax(axis(q, 0), 1) * t * (axis(q, 0) + axis(v, 0));
}

static double conv(const TnCall *c) {
    const TnTensor *y = output(c);
    double channels = y->rank > 1 ? (double)y->dims[1] : 1;
    const ParamsConv *p = c->params;
    if (tn_conv_elements(p)) return 2 * elements(y) * 9 * (double)c->operands[1].dims[0];
    return channels ? 2 * elements(y) * elements(&c->operands[1]) / channels : 0;
}

static double softmax(const TnCall *c) {
    return 5 * elements(output(c));
}

static double norm(const TnCall *c) {
    bool residual = c->inputs > 1 && c->operands[1].dtype != TN_NONE;
    return (residual ? 8 : 7) * elements(&c->operands[0]);
}

static double rotary(const TnCall *c) {
    const ParamsRotary *p = c->params;
    const TnTensor *y = output(c);
    return axis(y, 0) > 0 ? 3 * elements(y) / axis(y, 0) * p->width : 0;
}

static double map(const TnCall *c) {
    const ParamsMap *p = c->params;
    int steps = 0;
    for (uint32_t i = 0; i < p->steps; i++)
        steps += p->step[i].op != TN_MAP_CONST && p->step[i].op != TN_MAP_COPY;
    return steps * elements(output(c));
}

static double each_input(const TnCall *c) {
    return elements(&c->operands[0]);
}

static double pool(const TnCall *c) {
    const ParamsPool *p = c->params;
    double window = 1;
    for (uint32_t i = 0; i < p->spatial && i < 3; i++) window *= p->kernel[i];
    return window * elements(output(c));
}

static double seven(const TnCall *c) {
    return 7 * elements(output(c));
}

static double four(const TnCall *c) {
    return 4 * elements(output(c));
}

static double eight(const TnCall *c) {
    return 8 * elements(output(c));
}

static double deformable(const TnCall *c) {
    return 8 * axis(&c->operands[2], 0) * elements(output(c));
}

static double rnn(const TnCall *c) {
    return 2 * elements(&c->operands[0]) * axis(&c->operands[1], 0);
}

static double dft(const TnCall *c) {
    const ParamsDft *p = c->params;
    const TnTensor *y = output(c);
    double n = p->axis < (uint32_t)y->rank ? (double)y->dims[p->axis] : 1;
    return n > 1 ? 2.5 * elements(y) * log2(n) : 0; /* two numbers per complex element */
}

static double det(const TnCall *c) {
    double n = axis(&c->operands[0], 0);
    return 2.0 / 3 * n * elements(&c->operands[0]);
}

static const struct {
    double (*flops)(const TnCall *);
    bool moves;
} rows[TN_OP_COUNT] = {
    [TN_OP_gemm] = {product, false},
    [TN_OP_matmul] = {product, false},
    [TN_OP_matmul_int] = {product, false},
    [TN_OP_attention] = {attention, false},
    [TN_OP_conv] = {conv, false},
    [TN_OP_softmax] = {softmax, false},
    [TN_OP_norm] = {norm, false},
    [TN_OP_group_norm] = {seven, false},
    [TN_OP_rotary] = {rotary, false},
    [TN_OP_map] = {map, false},
    [TN_OP_reduce] = {each_input, false},
    [TN_OP_cumsum] = {each_input, false},
    [TN_OP_col2im] = {each_input, false},
    [TN_OP_pool] = {pool, false},
    [TN_OP_resize] = {four, false},
    [TN_OP_resize_plane] = {eight, false},
    [TN_OP_grid_sample] = {eight, false},
    [TN_OP_deform_columns] = {eight, false},
    [TN_OP_deformable_attention] = {deformable, false},
    [TN_OP_rnn] = {rnn, false},
    [TN_OP_dft] = {dft, false},
    [TN_OP_det] = {det, false},
    [TN_OP_copy] = {NULL, true},
    [TN_OP_fill] = {NULL, true},
    [TN_OP_gather] = {NULL, true},
    [TN_OP_gather_elements] = {NULL, true},
    [TN_OP_gather_nd] = {NULL, true},
    [TN_OP_scatter_nd] = {NULL, true},
    [TN_OP_scatter_elements] = {NULL, true},
};

static bool looks_up(int opcode) {
    return opcode == TN_OP_gather || opcode == TN_OP_gather_elements || opcode == TN_OP_gather_nd;
}

/* Branches and loops are what they run, which is counted there. */
static bool counts(int opcode) {
    return opcode != TN_OP_if && opcode != TN_OP_loop && opcode != TN_OP_measure;
}

Cost cost_of(const TnCall *c) {
    Cost cost = {.moves = rows[c->opcode].moves};
    if (!counts(c->opcode)) return cost;
    if (rows[c->opcode].flops) cost.flops = rows[c->opcode].flops(c);
    for (int i = 0; i < c->inputs + c->outputs; i++) {
        if (c->opcode == TN_OP_attention && i >= TN_ATTENTION_PAST_K && i < c->inputs) continue;
        bool table = i == 0 && looks_up(c->opcode);
        const TnTensor *t = table ? output(c) : &c->operands[i];
        if (t->dtype != TN_NONE) cost.bytes += bytes_of(t);
    }
    return cost;
}
