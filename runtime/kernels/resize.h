/* What resampling kernels share: where the results along one axis come from, and their taps.
 *
 * source(j), with n -> m the lengths, s = grid[0] or m / n, and l = s n the exact new length:
 *
 *     half_pixel            (j + 0.5) / s - 0.5
 *     half_pixel_symmetric  the same + n / 2 (1 - m / l)
 *     pytorch_half_pixel    the same, but -0.5 if l = 1
 *     tf_half_pixel_for_nn  (j + 0.5) / s
 *     asymmetric            j / s
 *     align_corners         j (n - 1) / (l - 1), 0 if l = 1
 *     crop                  begin (n - 1) + j (end - begin) (n - 1) / (l - 1), the middle if l = 1;
 *                           `outside` where that lies outside [0, n - 1]
 *
 * weight is 1 for the nearest, a triangle for linear, Keys' cubic with parameter a; with
 * antialiasing it is stretched by 1 / s where s < 1 and normalised. Taps beyond the edge read the
 * edge, or weigh nothing and the others are normalised (exclude_outside).
 *
 * Sources are computed in double. `nearest` and the crop's edge round them to float first, which
 * makes 2.9999999999 the 3 that it stands for. Any s, also NaN, stays inside x. */
#ifndef TENON_RUNTIME_KERNELS_RESIZE_H
#define TENON_RUNTIME_KERNELS_RESIZE_H

#include <stdbool.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/taps.h"
#include "runtime/params.h"

typedef struct ResizeAxis {
    const ParamsResize *p;
    TnDType dtype;                     /* of weights */
    int64_t n, m;                      /* old and new length */
    double length, step_over, step_by; /* l; 1 / s = step_over / step_by */
    double begin, end;
    double stretch; /* of the weights: min(s, 1) if antialiased, else 1 */
} ResizeAxis;

/* grid: [3] or NULL. */
ResizeAxis tn_resize_axis(const ParamsResize *p, TnDType dtype, int64_t n, int64_t m,
                          const float *grid);
/* Taps of a result, at most. */
int64_t tn_resize_taps(const ResizeAxis *a);
/* Bytes of a table of `positions` results, a multiple of 64. */
size_t tn_resize_table(const ResizeAxis *a, int64_t positions);
/* The table of results [first, first + n), at `table`. */
Taps tn_resize_list(const ResizeAxis *a, int64_t first, int64_t n, void *table);
/* Whether a result of a crop comes from nowhere. */
bool tn_resize_beyond(const ResizeAxis *a, int64_t position);

/* y[i] = sum of weight[t] line[t][i] + addend[i], i < n; y may be the addend. */
typedef struct LineSum {
    int64_t lines, n;
    const float *const *line, *weight;
    const float *addend; /* NULL: none */
    float *y;
    bool stream; /* past the caches */
} LineSum;

/* What exists once per instruction set. interpolate: all results of a table for rows of n floats
 * that are x_step and y_step apart. */
typedef struct ResizeLoops {
    void (*interpolate)(const Taps *t, float *y, int64_t y_step, const float *x, int64_t x_step,
                        int64_t n);
    void (*add)(const LineSum *s);
} ResizeLoops;

void tn_resize_plan(TnCall *call);
void tn_resize_run(const TnCall *call, int64_t task, void *scratch, const ResizeLoops *loops);
void tn_resize_plane_plan(TnCall *call);
void tn_resize_plane_run(const TnCall *call, int64_t task, void *scratch, const ResizeLoops *loops);

#endif
