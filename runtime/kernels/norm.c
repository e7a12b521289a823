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
#define L1_ELEMENTS   4096 /* of rows that are worked on together */
#define MOST_ROWS     16
#define TOGETHER      4 /* rows of a pass at once */

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

void TN_FN(norm_plan)(TnCall *call) {
    const TnTensor *y = &call->operands[call->inputs];
    int64_t n = y->dims[y->rank - 1], rows = tensor_extent(y, 0, y->rank - 1);
    call->tile[0] = n < TASK_ELEMENTS && n > 0 ? TASK_ELEMENTS / n : 1;
    call->tasks = n == 0 ? 0 : TN_CEIL_DIV(rows, call->tile[0]);
    call->work = rows * n / 6;
    call->scratch_bytes = 0;
    for (int i = 0; i < OPERANDS; i++)
        if (is_bf16(operand(call, i))) call->scratch_bytes = OPERANDS * row_bytes(n);
}

/* The passes over `rows` rows, one or TOGETHER of them: what one waits for is what the others do.
 * Each is summed in two parts, of vectors with even and with odd numbers, whatever its company. */

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
        const int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        UNROLL for (int k = 0; k < rows; k++) {
            vf a = vf_add(vf_load_n(r[k].x + i, rest), vf_load_n(r[k].residual + i, rest));
            vf_store_n(r[k].s + i, a, rest);
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
        const int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        UNROLL for (int k = 0; k < rows; k++) sum[k] = vf_add(sum[k], vf_load_n(r[k].x + i, rest));
    }
    UNROLL for (int k = 0; k < rows; k++) sum[k] = vf_add(sum[k], odd[k]);
}

/* Sums of (x - mean)^2. */
ALWAYS_INLINE void sum_squares(const Row *r, const float *mean, int64_t n, vf *sum, int rows) {
    vf odd[TOGETHER], middle[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) {
        sum[k] = odd[k] = vf_zero();
        middle[k] = vf_set1(mean[k]);
    }
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
        const int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        UNROLL for (int k = 0; k < rows; k++) {
            vf a = vf_sub(vf_load_n(r[k].x + i, rest), middle[k]);
            a = vf_select(vm_first(rest), a, vf_zero());
            sum[k] = vf_fma(a, a, sum[k]);
        }
    }
    UNROLL for (int k = 0; k < rows; k++) sum[k] = vf_add(sum[k], odd[k]);
}

ALWAYS_INLINE void scale_rows(const Norm *z, const Row *r, const float *mean, const float *scale,
                              int rows) {
    const float *gamma = z->gamma, *beta = z->beta;
    vf middle[TOGETHER], factor[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) {
        middle[k] = vf_set1(mean[k]);
        factor[k] = vf_set1(scale[k]);
    }
    for (int64_t i = 0; i < z->n; i += VF_WIDTH) {
        const int64_t rest = z->n - i < VF_WIDTH ? z->n - i : VF_WIDTH;
        const vf times = gamma ? vf_load_n(gamma + i, rest) : vf_set1(1);
        const vf plus = beta ? vf_load_n(beta + i, rest) : vf_zero();
        UNROLL for (int k = 0; k < rows; k++) {
            vf y = vf_mul(vf_sub(vf_load_n(r[k].x + i, rest), middle[k]), factor[k]);
            vf_store_n(r[k].y + i, vf_fma(y, times, plus), rest);
        }
    }
}

/* What one pass finds of a row. */
typedef struct Sums {
    float mean[MOST_ROWS], scale[MOST_ROWS]; /* their sums at first; 0 beyond the last row */
} Sums;

/* Sum of each row's lanes. */
ALWAYS_INLINE void sum_lanes(float *total, const vf *sum, int rows) {
    if (rows == TOGETHER)
        vf_store_sums(total, sum[0], sum[1], sum[2], sum[3]);
    else
        total[0] = vf_sum(sum[0]);
}

enum { FIRST, SECOND, THIRD, PASSES };

/* A pass over `rows` rows. */
ALWAYS_INLINE void pass_over(const Norm *z, int pass, Row *row, float *mean, float *scale,
                             int rows) {
    Row r[TOGETHER]; /* of this call, as nothing points to it */
    vf sum[TOGETHER];
    UNROLL for (int k = 0; k < rows; k++) r[k] = row[k];
    if (pass == THIRD) {
        scale_rows(z, r, mean, scale, rows);
    } else if (pass == SECOND) {
        sum_squares(r, mean, z->n, sum, rows);
        sum_lanes(scale, sum, rows);
    } else {
        if (r[0].residual)
            add_rows(r, z->n, sum, rows);
        else
            sum_rows(r, z->n, sum, rows);
        sum_lanes(mean, sum, rows);
    }
}

static void pass(const Norm *z, int which, Row *r, Sums *sums, int rows) {
    int i = 0;
    for (; i + TOGETHER <= rows; i += TOGETHER)
        pass_over(z, which, r + i, sums->mean + i, sums->scale + i, TOGETHER);
    for (; i < rows; i++) pass_over(z, which, r + i, sums->mean + i, sums->scale + i, 1);
}

/* At most MOST_ROWS rows, which stay in L1 from pass to pass. */
static void norm_rows(const Norm *z, Row *r, int rows) {
    Sums sums = {{0}, {0}};
    const bool rms = z->params->rms;
    if (!rms || r[0].residual) pass(z, FIRST, r, &sums, rows);
    for (int i = 0; i < rows; i++) {
        if (r[i].residual)
            r[i].x = r[i].s;
        else if (r[i].s != r[i].y && r[i].s != r[i].x)
            memcpy(r[i].s, r[i].x, (size_t)z->n * sizeof(float));
    }
    /* one by one: what has just been stored in parts can't be had as a vector for a while */
    const float share = 1 / (float)z->n;
    for (int i = 0; i < rows; i++) sums.mean[i] = rms ? 0 : sums.mean[i] * share;
    pass(z, SECOND, r, &sums, rows);
    for (int i = 0; i < rows; i++)
        sums.scale[i] = 1 / sqrtf(sums.scale[i] * share + z->params->epsilon);
    pass(z, THIRD, r, &sums, rows);
}

static void write_row(const TnTensor *t, int64_t offset, const float *row, int64_t n) {
    if (is_bf16(t)) TN_FN(map_store)((uint16_t *)t->data + offset, TN_BF16, 1, row, n);
}

/* Rows of bf16 have room for one. */
static int rows_together(const TnCall *call, int64_t n) {
    if (call->scratch_bytes || 2 * n > L1_ELEMENTS) return 1;
    return L1_ELEMENTS / n < MOST_ROWS ? (int)(L1_ELEMENTS / n) : MOST_ROWS;
}

void TN_FN(norm_run)(const TnCall *call, int64_t task, void *scratch) {
    const TnTensor *t[OPERANDS];
    float *room[OPERANDS] = {NULL};
    for (int i = 0; i < OPERANDS; i++) t[i] = operand(call, i);
    int64_t n = t[Y]->dims[t[Y]->rank - 1];
    for (int i = 0; i < OPERANDS && call->scratch_bytes; i++)
        room[i] = (float *)((char *)scratch + (size_t)i * row_bytes(n));

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
    const int most = rows_together(call, n);
    while (i < last) {
        const int64_t left = columns - column < last - i ? columns - column : last - i;
        const int together = left < most ? (int)left : most;
        float *row[WALKED];
        int64_t offset[WALKED];
        Row r[MOST_ROWS];
        for (int o = 0; o < WALKED; o++) {
            const TnTensor *of = t[walked[o]] ? t[walked[o]] : t[Y];
            offset[o] = at.offset[o] + column * l.strides[o][outer];
            row[o] = (float *)of->data + offset[o];
            if (!is_bf16(of)) continue;
            row[o] = room[walked[o]];
            if (walked[o] < GAMMA)
                TN_FN(map_load)(row[o], (uint16_t *)of->data + offset[o], TN_BF16, 1, n);
        }
        for (int k = 0; k < together; k++) {
            r[k] = (Row){row[0], t[RESIDUAL] ? row[1] : NULL, row[2], t[S] ? row[3] : row[2]};
            for (int o = 0; o < WALKED; o++) row[o] += l.strides[o][outer];
        }
        norm_rows(&z, r, together);
        if (call->scratch_bytes) {
            write_row(t[Y], offset[2], r[0].y, n);
            write_row(t[S], offset[3], r[0].s, n);
        }
        i += together;
        column += together;
        if (column < columns) continue;
        column = 0;
        loop_next(&l, outer, &at);
    }
}
