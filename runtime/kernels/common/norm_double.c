/* A row of a norm in f64: plain loops, in the order and with the overlaps of the f32 kernel. */
#include <math.h>
#include <string.h>
#include "runtime/kernels/norm.h"

/* s = x + residual, where the caller wants it or else in y's row; x itself without a residual. */
static const double *sum_of(const NormRow *r, int64_t n) {
    const double *x = r->x, *residual = r->residual;
    if (!residual) {
        if (r->s && r->s != r->x) memcpy(r->s, r->x, (size_t)n * sizeof *x);
        return x;
    }
    double *s = r->s ? r->s : r->y;
    for (int64_t i = 0; i < n; i++) s[i] = x[i] + residual[i];
    return s;
}

void tn_norm_row_double(const NormRow *r, const ParamsNorm *params, int64_t n) {
    const double *s = sum_of(r, n), *gamma = r->gamma, *beta = r->beta;
    double *y = r->y, mean = 0, variance = 0;
    for (int64_t i = 0; i < n && !params->rms; i++) mean += s[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) variance += (s[i] - mean) * (s[i] - mean);
    double scale = 1 / sqrt(variance / (double)n + (double)params->epsilon);
    for (int64_t i = 0; i < n; i++)
        y[i] = (s[i] - mean) * scale * (gamma ? gamma[i] : 1) + (beta ? beta[i] : 0);
}
