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
#include "runtime/params.h"

TN_FAMILY(norm);

#define TASK_ELEMENTS 12288
#define L1_ELEMENTS   1536 /* of rows that are worked on together */
#define MOST_ROWS     16
#define FEW_ROWS      6

enum { X, RESIDUAL, GAMMA, BETA, Y, S, OPERANDS };

typedef struct Row {
    const float *x, *residual;
    float *y, *s;
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

/* s = x + residual and its sum. */
static float add_row(float *s, const float *x, const float *residual, int64_t n) {
    vf even = vf_zero(), odd = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        vf a = vf_add(vf_load(x + i), vf_load(residual + i));
        vf b = vf_add(vf_load(x + i + VF_WIDTH), vf_load(residual + i + VF_WIDTH));
        vf_store(s + i, a);
        vf_store(s + i + VF_WIDTH, b);
        even = vf_add(even, a);
        odd = vf_add(odd, b);
    }
    for (; i < n; i += VF_WIDTH) {
        int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        vf a = vf_add(vf_load_n(x + i, rest), vf_load_n(residual + i, rest));
        vf_store_n(s + i, a, rest);
        even = vf_add(even, a);
    }
    return vf_sum(vf_add(even, odd));
}

static float sum_row(const float *x, int64_t n) {
    vf even = vf_zero(), odd = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        even = vf_add(even, vf_load(x + i));
        odd = vf_add(odd, vf_load(x + i + VF_WIDTH));
    }
    for (; i < n; i += VF_WIDTH)
        even = vf_add(even, vf_load_n(x + i, n - i < VF_WIDTH ? n - i : VF_WIDTH));
    return vf_sum(vf_add(even, odd));
}

/* Sum of (x - mean)^2. */
static float sum_squares(const float *x, float mean, int64_t n) {
    vf m = vf_set1(mean), even = vf_zero(), odd = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        vf a = vf_sub(vf_load(x + i), m), b = vf_sub(vf_load(x + i + VF_WIDTH), m);
        even = vf_fma(a, a, even);
        odd = vf_fma(b, b, odd);
    }
    for (; i < n; i += VF_WIDTH) {
        int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        vf a = vf_select(vm_first(rest), vf_sub(vf_load_n(x + i, rest), m), vf_zero());
        even = vf_fma(a, a, even);
    }
    return vf_sum(vf_add(even, odd));
}

static void scale_row(const Norm *z, const Row *r, float mean, float scale) {
    const float *x = r->x, *gamma = z->gamma, *beta = z->beta;
    float *y = r->y;
    for (int64_t i = 0; i < z->n; i += VF_WIDTH) {
        int64_t rest = z->n - i < VF_WIDTH ? z->n - i : VF_WIDTH;
        vf v = vf_mul(vf_sub(vf_load_n(x + i, rest), vf_set1(mean)), vf_set1(scale));
        if (gamma) v = vf_mul(v, vf_load_n(gamma + i, rest));
        if (beta) v = vf_add(v, vf_load_n(beta + i, rest));
        vf_store_n(y + i, v, rest);
    }
}

/* The usual row, with gamma and beta. */
static void scale_row_affine(const Norm *z, const Row *r, float mean, float scale) {
    const float *x = r->x, *gamma = z->gamma, *beta = z->beta;
    float *y = r->y;
    vf m = vf_set1(mean), f = vf_set1(scale);
    int64_t i = 0, n = z->n;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        vf v = vf_mul(vf_sub(vf_load(x + i), m), f);
        vf_store(y + i, vf_fma(v, vf_load(gamma + i), vf_load(beta + i)));
    }
    if (i == n) return;
    vf v = vf_mul(vf_sub(vf_load_n(x + i, n - i), m), f);
    v = vf_fma(v, vf_load_n(gamma + i, n - i), vf_load_n(beta + i, n - i));
    vf_store_n(y + i, v, n - i);
}

/* What comes between the passes: total[i] / n, and 1 / sqrt(total[i] / n + epsilon). Divisions and
 * roots take as long for a vector as for one number, but numbers that have just been stored one by
 * one can only be had as a vector after a while. */
static void take_means(float *total, int rows, int64_t n) {
    if (rows < FEW_ROWS)
        for (int i = 0; i < rows; i++) total[i] /= (float)n;
    else
        for (int i = 0; i < rows; i += VF_WIDTH)
            vf_store(total + i, vf_div(vf_load(total + i), vf_set1((float)n)));
}

static void take_scales(float *total, int rows, int64_t n, float epsilon) {
    if (rows < FEW_ROWS)
        for (int i = 0; i < rows; i++) total[i] = 1 / sqrtf(total[i] / (float)n + epsilon);
    else
        for (int i = 0; i < rows; i += VF_WIDTH) {
            vf variance = vf_div(vf_load(total + i), vf_set1((float)n));
            vf root = vf_sqrt(vf_add(variance, vf_set1(epsilon)));
            vf_store(total + i, vf_div(vf_set1(1), root));
        }
}

/* At most MOST_ROWS rows, which stay in L1 from pass to pass. */
static void norm_rows(const Norm *z, Row *r, int rows) {
    float mean[MOST_ROWS] = {0}, scale[MOST_ROWS] = {0};
    const bool rms = z->params->rms;
    for (int i = 0; i < rows; i++) {
        if (r[i].residual) {
            float *sum = r[i].s ? r[i].s : r[i].y,
                  total = add_row(sum, r[i].x, r[i].residual, z->n);
            r[i].x = sum;
            if (!rms) mean[i] = total;
        } else {
            if (r[i].s && r[i].s != r[i].x) memcpy(r[i].s, r[i].x, (size_t)z->n * sizeof(float));
            if (!rms) mean[i] = sum_row(r[i].x, z->n);
        }
    }
    take_means(mean, rows, z->n);
    for (int i = 0; i < rows; i++) scale[i] = sum_squares(r[i].x, mean[i], z->n);
    take_scales(scale, rows, z->n, z->params->epsilon);
    for (int i = 0; i < rows; i++) {
        if (z->gamma && z->beta)
            scale_row_affine(z, &r[i], mean[i], scale[i]);
        else
            scale_row(z, &r[i], mean[i], scale[i]);
    }
}

/* The row at an offset: of f32 where it lies, of bf16 in `room`. */
static float *row_at(const TnTensor *t, int64_t offset, float *room) {
    if (!t) return NULL;
    return t->dtype == TN_BF16 ? room : (float *)t->data + offset;
}

static const float *read_row(const TnTensor *t, int64_t offset, float *room, int64_t n) {
    if (is_bf16(t)) TN_FN(map_load)(room, (const uint16_t *)t->data + offset, TN_BF16, 1, n);
    return row_at(t, offset, room);
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
    static const uint8_t walked[] = {X, RESIDUAL, Y, S};
    const TnTensor *t[OPERANDS];
    float *room[OPERANDS] = {NULL};
    for (int i = 0; i < OPERANDS; i++) t[i] = operand(call, i);
    int64_t n = t[Y]->dims[t[Y]->rank - 1];
    for (int i = 0; i < OPERANDS && call->scratch_bytes; i++)
        room[i] = (float *)((char *)scratch + (size_t)i * row_bytes(n));

    Loop l = loop_over(t[Y]);
    for (int i = 0; i < 4; i++) loop_add(&l, t[walked[i]] ? t[walked[i]] : t[Y]);
    l.rank--; /* rows only */
    loop_collapse(&l);
    int64_t rows = loop_points(&l, l.rank), i = task * call->tile[0];
    int64_t last = i + call->tile[0] < rows ? i + call->tile[0] : rows;
    LoopAt at;
    loop_seek(&l, l.rank, i, &at);
    const Norm z = {call->params, t[GAMMA] ? t[GAMMA]->data : NULL, t[BETA] ? t[BETA]->data : NULL,
                    n};
    const int most = rows_together(call, n);
    for (int together; i < last; i += together) {
        Row r[MOST_ROWS];
        const int64_t y_at = at.offset[2], s_at = at.offset[3]; /* of a lone row */
        together = last - i < most ? (int)(last - i) : most;
        for (int k = 0; k < together; k++, loop_next(&l, l.rank, &at)) {
            r[k].x = read_row(t[X], at.offset[0], room[X], n);
            r[k].residual = read_row(t[RESIDUAL], at.offset[1], room[RESIDUAL], n);
            r[k].y = row_at(t[Y], at.offset[2], room[Y]);
            r[k].s = row_at(t[S], at.offset[3], room[S]);
        }
        norm_rows(&z, r, together);
        if (!call->scratch_bytes) continue;
        write_row(t[Y], y_at, r[0].y, n);
        write_row(t[S], s_at, r[0].s, n);
    }
}
