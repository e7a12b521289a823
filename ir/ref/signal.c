/* Discrete Fourier transforms as their sums, determinants by elimination. */
#include "ir/ref/ref.h"

#include <math.h>

/* Element j of a line of x as a complex number; bins above n / 2 of a onesided spectrum are
 * conjugates. */
static void dft_element(const Tensor *t, const double *x, int64_t line, int64_t step, int64_t count,
                        int64_t n, int64_t j, bool half, double *re, double *im) {
    int parts = (int)t->dims[t->rank - 1];
    bool mirrored = half && j > n / 2;
    int64_t i = mirrored ? n - j : j;
    *re = *im = 0;
    if (i >= count) return;
    *re = x[line + i * step];
    if (parts == 2) *im = x[line + i * step + 1];
    if (half && (i == 0 || 2 * i == n)) *im = 0;
    if (mirrored) *im = -*im;
}

void ref_dft(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    int axis = ref_axis(call, "axis", x->rank);
    int64_t n = ref_expr(call, attr_dim(call->node, "length"));
    bool inverse = attr_bool(call->node, "inverse");
    bool half = inverse && attr_bool(call->node, "onesided");
    double *xs = ref_doubles(call, x), turn = (inverse ? 2 : -2) * 3.14159265358979323846;
    int64_t from = x->dims[x->rank - 1], to = y->dims[y->rank - 1], bins = y->dims[axis];
    int64_t inner = ref_split(y, axis).inner / to, total = tensor_count(y) / to;
    if (n < 1) ref_fail(call, TN_E_SHAPE, "a transform of length %lld", (long long)n);
    for (int64_t i = 0; i < total; i++) {
        int64_t k = i / inner % bins, row = i / inner / bins;
        int64_t line = (row * x->dims[axis] * inner + i % inner) * from;
        double re = 0, im = 0, a, b;
        for (int64_t j = 0; j < n; j++) {
            double angle = turn * (double)(j * k % n) / (double)n;
            dft_element(x, xs, line, inner * from, x->dims[axis], n, j, half, &a, &b);
            re += a * cos(angle) - b * sin(angle);
            im += a * sin(angle) + b * cos(angle);
        }
        double scale = inverse ? 1 / (double)n : 1;
        ir_store_f64(y->dtype, y->data, i * to, re * scale);
        if (to == 2) ir_store_f64(y->dtype, y->data, i * to + 1, im * scale);
    }
}

static double determinant(double *a, int64_t n) {
    double result = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        if (a[pivot * n + k] == 0) return 0;
        for (int64_t j = 0; j < n && pivot != k; j++) {
            double kept = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = -kept;
        }
        result *= a[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (int64_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
        }
    }
    return result;
}

void ref_det(RefCall *call) {
    const Tensor *x = call->in[0];
    int64_t n = x->dims[x->rank - 1];
    double *xs = ref_doubles(call, x);
    for (int64_t i = 0; i < tensor_count(call->out); i++)
        ir_store_f64(call->out->dtype, call->out->data, i, determinant(xs + i * n * n, n));
}
