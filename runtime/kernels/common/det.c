/* det: determinants of the matrices in the last two axes, by elimination with the largest pivots,
 * in double; x dense, f32 or f64. */
#include <math.h>
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"

TN_COMMON_FAMILY(det);

void det_plan_common(TnCall *call) {
    const TnTensor *x = &call->operands[0];
    int64_t n = x->dims[x->rank - 1];
    call->tasks = tensor_elements(&call->operands[1]);
    call->work = call->tasks * (n * n * n + 1);
    call->scratch_bytes = (size_t)(n * n) * sizeof(double);
}

/* Makes column k zero below row k; returns the pivot, with its sign changed if rows were swapped.
 */
static double eliminate(double *a, int64_t n, int64_t k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; i++)
        if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
    double sign = pivot == k ? 1 : -1, top = a[pivot * n + k];
    if (top == 0) return 0;
    for (int64_t j = 0; pivot != k && j < n; j++) {
        double other = a[k * n + j];
        a[k * n + j] = a[pivot * n + j];
        a[pivot * n + j] = other;
    }
    for (int64_t i = k + 1; i < n; i++) {
        double factor = a[i * n + k] / top;
        for (int64_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
    }
    return sign * top;
}

void det_run_common(const TnCall *call, int64_t task, void *scratch) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int64_t n = x->dims[x->rank - 1];
    double *a = scratch, result = 1;
    for (int64_t i = 0; i < n * n; i++)
        a[i] = x->dtype == TN_F64 ? ((const double *)x->data)[task * n * n + i]
                                  : (double)((const float *)x->data)[task * n * n + i];
    for (int64_t k = 0; k < n; k++) result *= eliminate(a, n, k);
    if (y->dtype == TN_F64)
        ((double *)y->data)[task] = result;
    else
        ((float *)y->data)[task] = (float)result;
}
