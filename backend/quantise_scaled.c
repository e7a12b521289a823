/* Weights that are integers times scales to begin with, as quantised models have them:
 * DequantizeLinear of a constant, MatMulNBits or the same by hand. They are found by their values,
 * so what was done to the matrix since, a transpose, a slice, a factor for each column, is of no
 * matter:
 *
 *     x = 0.06, -0.1, 0.02, 0, ..   32 rows of a column    =>   0.02 times 3, -5, 1, 0, ..
 *
 * Integers and scale stand for a group if each integer times the scale is the number but for the
 * rounding that its type brings with it. One of the integers belongs to the largest number, x: for
 * each that it may be, m, the scale is about x / m, which says what all the others are, and which
 * scales round to each number lies between bounds that must have one in common. */
#include <float.h>
#include <math.h>
#include "backend/quantise.h"
#include "ir/element.h"

#define SMALLEST 0x1p-100f

/* How far a number may be from what it was rounded from, beside it; once more for a factor that was
 * multiplied into an f32. */
static double rounding(TnDType t) {
    return t == TN_F16 ? 0x1p-11 : 0x1p-23;
}

/* The scale with which integers of `bits` bits are the numbers, if it is near `about`. */
static bool fits_near(const float *x, double about, int bits, double error, float *scale,
                      int8_t *integer) {
    const double low = -(1 << (bits - 1)), per = 1 / about, sign = about < 0 ? -1 : 1;
    double least = 0, most = DBL_MAX;
    for (int i = 0; i < TN_GROUP; i++) {
        const double q = x[i] * per + 0x1.8p52 - 0x1.8p52; /* to the nearest */
        if (!(q >= low && q <= -1 - low) || (q == 0 && x[i] != 0)) return false;
        integer[i] = (int8_t)q;
        if (q == 0) continue;
        const double one = x[i] / q * sign, low_end = one * (1 - error),
                     high_end = one * (1 + error);
        if (low_end > least) least = low_end;
        if (high_end < most) most = high_end;
        if (least > most) return false;
    }
    *scale = (float)((least + most) / 2 * sign);
    return true;
}

bool quantise_scaled_group(TnDType t, int bits, const float *x, float before, float *scale,
                           int8_t *integer) {
    const int low = -(1 << (bits - 1));
    float largest = 0;
    *scale = 0;
    for (int i = 0; i < TN_GROUP; i++) {
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
        integer[i] = 0;
        if (!isfinite(x[i])) return false;
    }
    if (largest == 0) return true;
    if (fabsf(largest) < SMALLEST) return false;
    const double error = rounding(t);
    if (before != 0 && fits_near(x, before, bits, error, scale, integer)) return true;
    for (int m = -1 - low; m > 0; m--)
        if (fits_near(x, fabs((double)largest) / m, bits, error, scale, integer)) return true;
    return fits_near(x, (double)largest / low, bits, error, scale, integer);
}

/* Column n of a matrix: k rows, `step` apart. */
static bool is_scaled_column(const Constant *c, int bits, int64_t first, int64_t step, int64_t k) {
    float scale = 0;
    for (int64_t i = 0; i < k; i += TN_GROUP) {
        float x[TN_GROUP] = {0};
        int8_t integer[TN_GROUP];
        for (int64_t j = 0; j < TN_GROUP && i + j < k; j++)
            x[j] = (float)ir_element_f64(c->dtype, c->data, first + (i + j) * step);
        if (!quantise_scaled_group(c->dtype, bits, x, scale, &scale, integer)) return false;
    }
    return true;
}

int quantise_scaled_bits(const Constant *c, bool transposed) {
    if (!quantise_fits(c) || c->dtype == TN_BF16) return 0; /* whose rounding hides the integers */
    const int64_t k = c->dims[transposed], n = c->dims[!transposed];
    for (int bits = 4; bits <= 8; bits += 4) {
        int64_t i = 0;
        while (i < n && is_scaled_column(c, bits, transposed ? i * k : i, transposed ? 1 : n, k))
            i++;
        if (i == n) return bits;
    }
    return 0;
}
