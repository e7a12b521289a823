/* Floats of at most 8 bits, a byte each, to float and back; the same on every ISA. */
#ifndef TENON_RUNTIME_KERNELS_SMALL_FLOAT_H
#define TENON_RUNTIME_KERNELS_SMALL_FLOAT_H

#include <stdint.h>
#include "runtime/base/dtype.h"

/* n elements of type t, `stride` bytes apart. Storing rounds to nearest even (f8e8m0: towards
 * zero); beyond the largest number are infinity, else NaN, else (f4e2m1) the largest number. */
void tn_small_load(float *y, const uint8_t *data, TnDType t, int64_t stride, int64_t n);
void tn_small_store(uint8_t *data, TnDType t, int64_t stride, const float *x, int64_t n);
/* Rounds x to numbers of type t. */
void tn_small_fit(float *x, TnDType t, int64_t n);

#endif
