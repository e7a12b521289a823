/* softmax along one axis, m = max x:
 *
 *     y = exp(x - m) / sum exp(x - m)      or its logarithm  x - m - log sum exp(x - m)
 *
 * Rows of f32 with both strides 1 are computed where they are; any other row (strided, f16, bf16,
 * f64) is brought into scratch, computed there as float or double, and written back. A row with a
 * NaN, with +inf, or of nothing but -inf becomes NaN throughout. y may lie on x. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(softmax);

#define TASK_ELEMENTS 8192

static int direct(const TnTensor *x, const TnTensor *y, int axis) {
    int dense = x->strides[axis] == 1 && y->strides[axis] == 1;
    return x->dtype == TN_F32 && (dense || x->dims[axis] == 1);
}

void TN_FN(softmax_plan)(TnCall *call) {
    const ParamsSoftmax *params = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int64_t elements = tensor_elements(x), n = x->dims[params->axis];
    call->tile[0] = n > 0 && n < TASK_ELEMENTS ? TASK_ELEMENTS / n : 1;
    call->tasks = elements == 0 ? 0 : TN_CEIL_DIV(elements / n, call->tile[0]);
    int quick = direct(x, y, (int)params->axis);
    call->work = x->dtype == TN_F64 ? elements * 20 : quick ? elements / 2 : elements * 2;
    call->scratch_bytes = quick ? 0 : (size_t)n * sizeof(double);
}

static float row_max(const float *x, int64_t n) {
    vf most = vf_set1(-INFINITY);
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) most = vf_max(most, vf_load(x + i));
    if (i < n) most = vf_max(most, vf_select(vm_first(n - i), vf_load_n(x + i, n - i), most));
    return vf_max_lane(most);
}

/* Sum of exp(x - m); the terms are stored when y is given. */
static inline float row_exp(float *y, const float *x, float m, int64_t n) {
    vf most = vf_set1(m), sum = vf_zero();
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        vf e = vf_exp(vf_sub(vf_load(x + i), most));
        if (y) vf_store(y + i, e);
        sum = vf_add(sum, e);
    }
    if (i < n) {
        vf e = vf_exp(vf_sub(vf_load_n(x + i, n - i), most));
        if (y) vf_store_n(y + i, e, n - i);
        sum = vf_add(sum, vf_select(vm_first(n - i), e, vf_zero()));
    }
    return vf_sum(sum);
}

/* y = (x - shift) scale */
static void row_affine(float *y, const float *x, float shift, float scale, int64_t n) {
    vf a = vf_set1(shift), b = vf_set1(scale);
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) vf_store(y + i, vf_mul(vf_sub(vf_load(x + i), a), b));
    if (i < n) vf_store_n(y + i, vf_mul(vf_sub(vf_load_n(x + i, n - i), a), b), n - i);
}

static void softmax_row(float *y, const float *x, int64_t n, int want_log) {
    float m = row_max(x, n);
    if (want_log) {
        float sum = row_exp(NULL, x, m, n);
        row_affine(y, x, m, 1, n);
        row_affine(y, y, logf(sum), 1, n);
    } else {
        float sum = row_exp(y, x, m, n);
        row_affine(y, y, 0, 1 / sum, n);
    }
}

static void softmax_row_f64(double *x, int64_t n, int want_log) {
    double m = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) m = x[i] > m ? x[i] : m;
    for (int64_t i = 0; i < n; i++) {
        double e = exp(x[i] - m);
        sum += e;
        x[i] = want_log ? x[i] - m : e;
    }
    double log_sum = log(sum);
    for (int64_t i = 0; i < n; i++) x[i] = want_log ? x[i] - log_sum : x[i] / sum;
}

void TN_FN(softmax_run)(const TnCall *call, int64_t task, void *scratch) {
    const ParamsSoftmax *params = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int axis = (int)params->axis, want_log = params->log != 0;
    int64_t n = x->dims[axis], size = (int64_t)tn_dtype_size((TnDType)x->dtype);
    int quick = direct(x, y, axis);

    Loop l;
    loop_over(&l, x);
    loop_add(&l, x);
    loop_add(&l, y);
    LoopLines t = loop_lines(&l, axis, task, call->tile[0]);
    for (; t.i < t.last; loop_next_line(&l, &t)) {
        const void *from = (const char *)x->data + t.at.offset[0] * size;
        void *to = (char *)y->data + t.at.offset[1] * size;
        if (quick) {
            softmax_row(to, from, n, want_log);
            continue;
        }
        TN_FN(map_load)(scratch, from, (TnDType)x->dtype, x->strides[axis], n);
        if (x->dtype == TN_F64)
            softmax_row_f64(scratch, n, want_log);
        else
            softmax_row(scratch, scratch, n, want_log);
        TN_FN(map_store)(to, (TnDType)y->dtype, y->strides[axis], scratch, n);
    }
}
