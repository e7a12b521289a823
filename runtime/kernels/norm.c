/* norm: layer norm and RMS norm over the last axis (N elements), after an optional addition.
 *
 *     s = x + residual
 *     y = (s - mean s) / sqrt(mean (s - mean s)^2 + epsilon) * gamma + beta     layer norm
 *     y = s / sqrt(mean s^2 + epsilon) * gamma + beta                           rms
 *
 * Inputs x, residual?, gamma?, beta?; outputs y, s?. gamma and beta are [N] of f32, the others f32
 * or bf16, each by itself: rows of bf16 pass through scratch, so everything is computed in f32 and
 * rounded once. The last axis is dense. Leading axes have any strides; residual may be broadcast
 * over them. A row is summed, then its squared deviations are (two passes over L1), so the variance
 * does not cancel. y or s may lie on x: each row is read before it is overwritten, and s goes to
 * y's row meanwhile when the caller does not want it. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"
#include "runtime/kernels/unroll.h"
#include "runtime/params.h"

TN_FAMILY(norm);

#define TASK_ELEMENTS 12288
#define LONG          2048 /* elements of rows that are worked on one by one */
#define TOGETHER      (VF_WIDTH > 1 ? 4 : 1)

enum { X, RESIDUAL, GAMMA, BETA, Y, S, OPERANDS };

static const uint8_t walked[] = {X, RESIDUAL, Y, S};
#define WALKED 4

typedef struct Row {
    const float *x, *residual; /* NULL: absent */
    float *y, *s;              /* s: y if the caller does not want it */
} Row;

typedef struct Norm {
    const ParamsNorm *params;
    const float *gamma, *beta; /* NULL: absent */
    int64_t n;
} Norm;

/* The operand by name; NULL when absent. */
static const TnTensor *operand(const TnCall *call, int which) {
    int output = which >= Y;
    int i = output ? which - Y : which;
    if (i >= (output ? call->outputs : call->inputs)) return NULL;
    const TnTensor *t = &call->operands[output ? call->inputs + i : i];
    return t->data ? t : NULL;
}

static int is_bf16(const TnTensor *t) {
    return t && t->dtype == TN_BF16;
}

/* Room for a row as floats. */
static size_t row_bytes(int64_t n) {
    return (size_t)(n + 15) / 16 * 16 * sizeof(float);
}

/* Rows of a pass. */
static int64_t together(int64_t n) {
    return n > LONG || n % VF_WIDTH ? 1 : TOGETHER;
}

void TN_FN(norm_plan)(TnCall *call) {
    const TnTensor *y = &call->operands[call->inputs];
    int64_t n = y->dims[y->rank - 1], rows = tensor_extent(y, 0, y->rank - 1);
    call->tile[0] = n < TASK_ELEMENTS && n > 0 ? TASK_ELEMENTS / n : 1;
    call->tasks = n == 0 ? 0 : TN_CEIL_DIV(rows, call->tile[0]);
    call->work = rows * n / 6;
    call->scratch_bytes = 0;
    for (int i = 0; i < OPERANDS; i++)
        if (is_bf16(operand(call, i)))
            call->scratch_bytes = (size_t)(WALKED * together(n)) * row_bytes(n);
}

/* The passes over `rows` rows, one or TOGETHER of them: what one waits for is what the others do.
 * Each is summed in two parts, of vectors with even and with odd numbers, whatever its company.
 * What follows from the sums is computed for all rows in one vector (vf_sums4). Only one row may
 * end in part of a vector. */

ALWAYS_INLINE vf load_part(const float *p, int64_t n, int rows) {
    return rows > 1 ? vf_load(p) : vf_load_n(p, n);
}

ALWAYS_INLINE void store_part(float *p, vf x, int64_t n, int rows) {
    if (rows > 1)
        vf_store(p, x);
    else
        vf_store_n(p, x, n);
}

static inline int64_t part_of(int64_t left) {
    return left < VF_WIDTH ? left : VF_WIDTH;
}

/* s = x + residual, and the sums of its lanes. */
ALWAYS_INLINE void add_rows(const Row *r, int64_t n, vf *sum, int rows) {
    vf odd[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) sum[k] = odd[k] = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        UNROLL for (int k = 0; k < rows; k++) {
            vf a = vf_add(vf_load(r[k].x + i), vf_load(r[k].residual + i));
            vf b = vf_add(vf_load(r[k].x + i + VF_WIDTH), vf_load(r[k].residual + i + VF_WIDTH));
            vf_store(r[k].s + i, a);
            vf_store(r[k].s + i + VF_WIDTH, b);
            sum[k] = vf_add(sum[k], a);
            odd[k] = vf_add(odd[k], b);
        }
    }
    for (; i < n; i += VF_WIDTH) {
        const int64_t part = part_of(n - i);
        UNROLL for (int k = 0; k < rows; k++) {
            vf a =
                vf_add(load_part(r[k].x + i, part, rows), load_part(r[k].residual + i, part, rows));
            store_part(r[k].s + i, a, part, rows);
            sum[k] = vf_add(sum[k], a);
        }
    }
    UNROLL for (int k = 0; k < rows; k++) sum[k] = vf_add(sum[k], odd[k]);
}

ALWAYS_INLINE void sum_rows(const Row *r, int64_t n, vf *sum, int rows) {
    vf odd[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) sum[k] = odd[k] = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        UNROLL for (int k = 0; k < rows; k++) {
            sum[k] = vf_add(sum[k], vf_load(r[k].x + i));
            odd[k] = vf_add(odd[k], vf_load(r[k].x + i + VF_WIDTH));
        }
    }
    for (; i < n; i += VF_WIDTH) {
        const int64_t part = part_of(n - i);
        UNROLL for (int k = 0; k < rows; k++) sum[k] =
            vf_add(sum[k], load_part(r[k].x + i, part, rows));
    }
    UNROLL for (int k = 0; k < rows; k++) sum[k] = vf_add(sum[k], odd[k]);
}

/* Sums of (x - middle)^2. */
ALWAYS_INLINE void sum_squares(const Row *r, const vf *middle, int64_t n, vf *sum, int rows) {
    vf odd[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) sum[k] = odd[k] = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        UNROLL for (int k = 0; k < rows; k++) {
            vf a = vf_sub(vf_load(r[k].x + i), middle[k]);
            vf b = vf_sub(vf_load(r[k].x + i + VF_WIDTH), middle[k]);
            sum[k] = vf_fma(a, a, sum[k]);
            odd[k] = vf_fma(b, b, odd[k]);
        }
    }
    for (; i < n; i += VF_WIDTH) {
        const int64_t part = part_of(n - i);
        UNROLL for (int k = 0; k < rows; k++) {
            vf a = vf_sub(load_part(r[k].x + i, part, rows), middle[k]);
            if (rows == 1) a = vf_select(vm_first(part), a, vf_zero());
            sum[k] = vf_fma(a, a, sum[k]);
        }
    }
    UNROLL for (int k = 0; k < rows; k++) sum[k] = vf_add(sum[k], odd[k]);
}

ALWAYS_INLINE void scale_rows(const Norm *z, const Row *r, const vf *middle, const vf *factor,
                              int rows) {
    const float *gamma = z->gamma, *beta = z->beta;
    for (int64_t i = 0; i < z->n; i += VF_WIDTH) {
        const int64_t part = part_of(z->n - i);
        const vf times = gamma ? load_part(gamma + i, part, rows) : vf_set1(1);
        const vf plus = beta ? load_part(beta + i, part, rows) : vf_zero();
        UNROLL for (int k = 0; k < rows; k++) {
            const vf x = load_part(r[k].x + i, part, rows);
            const vf y = vf_fma(vf_mul(vf_sub(x, middle[k]), factor[k]), times, plus);
            store_part(r[k].y + i, y, part, rows);
        }
    }
}

/* Sum of each row's lanes; and what has become of it, in all lanes of a vector per row. */
ALWAYS_INLINE vf sum_lanes(const vf *sum, int rows) {
    return rows == 1 ? vf_set1(vf_sum(sum[0])) : vf_sums4(sum);
}

ALWAYS_INLINE void spread(vf *to, vf x, int rows) {
    UNROLL for (int k = 0; k < rows; k++) to[k] = rows == 1 ? x : vf_spread4(x, k);
}

/* The rows k steps after the first for k < rows. */
ALWAYS_INLINE void norm_rows(const Norm *z, const Row *first, const int64_t *step, int rows) {
    const vf share = vf_set1(1 / (float)z->n), epsilon = vf_set1(z->params->epsilon);
    const bool rms = z->params->rms;
    vf sum[TOGETHER], middle[TOGETHER], factor[TOGETHER];
    Row r[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) {
        r[k] = (Row){first->x + k * step[0], first->residual, first->y + k * step[2],
                     first->s + k * step[3]};
        if (r[k].residual) r[k].residual += k * step[1];
    }
    for (int k = 0; k < rows; k++)
        if (!r[k].residual && r[k].s != r[k].y && r[k].s != r[k].x)
            memcpy(r[k].s, r[k].x, (size_t)z->n * sizeof(float));
    vf mean = vf_zero();
    if (first->residual) {
        add_rows(r, z->n, sum, rows);
        UNROLL for (int k = 0; k < rows; k++) r[k].x = r[k].s;
    } else if (!rms) {
        sum_rows(r, z->n, sum, rows);
    }
    if (!rms) mean = vf_mul(sum_lanes(sum, rows), share);
    spread(middle, mean, rows);
    sum_squares(r, middle, z->n, sum, rows);
    vf variance = vf_fma(sum_lanes(sum, rows), share, epsilon);
    spread(factor, vf_div(vf_set1(1), vf_sqrt(variance)), rows);
    scale_rows(z, r, middle, factor, rows);
}

static void write_row(const TnTensor *t, int64_t offset, const float *row, int64_t n) {
    if (is_bf16(t)) TN_FN(map_store)((uint16_t *)t->data + offset, TN_BF16, 1, row, n);
}

/* `rows` rows of floats, each a step after the one before. */
static void norm_floats(const Norm *z, Row r, const int64_t *step, int64_t rows) {
    const int64_t group = together(z->n);
    for (int64_t some; rows > 0; rows -= some) {
        some = rows < group ? 1 : group;
        if (some == TOGETHER)
            norm_rows(z, &r, step, TOGETHER);
        else
            norm_rows(z, &r, step, 1);
        r.x += some * step[0];
        if (r.residual) r.residual += some * step[1];
        r.y += some * step[2];
        r.s += some * step[3];
    }
}

/* The same, but for operands of bf16, which are in scratch meanwhile: at most as many as are worked
 * on together. */
static void norm_narrow(const Norm *z, const TnTensor *const *t, const int64_t *offset, Row r,
                        const int64_t *stride, int64_t rows, float *room) {
    const int64_t row = (int64_t)(row_bytes(z->n) / sizeof(float));
    int64_t step[WALKED];
    memcpy(step, stride, sizeof step);
    for (int o = 0; o < WALKED; o++, room += rows * row) {
        const TnTensor *of = t[walked[o]];
        if (!is_bf16(of)) continue;
        for (int64_t k = 0; k < rows && walked[o] < GAMMA; k++) {
            const uint16_t *from = (const uint16_t *)of->data + offset[o] + k * stride[o];
            TN_FN(map_load)(room + k * row, from, TN_BF16, 1, z->n);
        }
        if (o == 0) r.x = room;
        if (o == 1) r.residual = room;
        if (o == 2) r.y = room;
        if (o == 3) r.s = room;
        step[o] = row;
    }
    if (!t[S]) r.s = r.y, step[3] = step[2];
    norm_floats(z, r, step, rows);
    for (int64_t k = 0; k < rows; k++) {
        write_row(t[Y], offset[2] + k * stride[2], r.y + k * step[2], z->n);
        write_row(t[S], offset[3] + k * stride[3], r.s + k * step[3], z->n);
    }
}

void TN_FN(norm_run)(const TnCall *call, int64_t task, void *scratch) {
    const TnTensor *t[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) t[i] = operand(call, i);
    int64_t n = t[Y]->dims[t[Y]->rank - 1];
    Loop l;
    loop_over(&l, t[Y]);
    for (int i = 0; i < WALKED; i++) loop_add(&l, t[walked[i]] ? t[walked[i]] : t[Y]);
    l.rank--; /* rows only */
    loop_collapse(&l);
    const int outer = l.rank - 1;
    int64_t columns = l.dims[outer], rows = loop_points(&l, l.rank), i = task * call->tile[0];
    int64_t last = i + call->tile[0] < rows ? i + call->tile[0] : rows, column = i % columns;
    LoopAt at;
    loop_seek(&l, outer, i / columns, &at);
    const Norm z = {call->params, t[GAMMA] ? t[GAMMA]->data : NULL, t[BETA] ? t[BETA]->data : NULL,
                    n};
    int64_t stride[WALKED], offset[WALKED];
    float *base[WALKED];
    for (int o = 0; o < WALKED; o++) stride[o] = l.strides[o][outer];
    for (int64_t some; i < last; i += some) {
        some = columns - column < last - i ? columns - column : last - i;
        if (call->scratch_bytes && some > together(n)) some = together(n);
        for (int o = 0; o < WALKED; o++) {
            offset[o] = at.offset[o] + column * stride[o];
            base[o] = (float *)(t[walked[o]] ? t[walked[o]] : t[Y])->data + offset[o];
        }
        const Row r = {base[0], t[RESIDUAL] ? base[1] : NULL, base[2], base[3]};
        if (call->scratch_bytes)
            norm_narrow(&z, t, offset, r, stride, some, scratch);
        else
            norm_floats(&z, r, stride, some);
        column += some;
        if (column < columns) continue;
        column = 0;
        loop_next(&l, outer, &at);
    }
}
