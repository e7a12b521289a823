/* Weights in fewer bits: panels of floats as records (runtime/pack.h). */
#ifndef TENON_BACKEND_QUANTISE_H
#define TENON_BACKEND_QUANTISE_H

#include "ir/ir.h"
#include "runtime/pack.h"

/* Whether a product may read the constant from records: a matrix of floats with at least a group
 * of rows and columns, which takes less room there however it is turned. */
bool quantise_fits(const Constant *c);
/* Whether rows of the constant table that a gather reads may be rounded. */
bool quantise_fits_rows(const Node *gather);
/* Of how many bits, 4 or 8, the integers are of which the constant consists, times a scale for each
 * group of the column of a product with it; 0 if it does not. */
int quantise_scaled_bits(const Constant *c, bool transposed);
/* The same of one group of numbers that were of type t. `before` is a scale to try first, or 0. */
bool quantise_scaled_group(TnDType t, int bits, const float *x, float before, float *scale,
                           int8_t *integer);
/* Makes the records of a panel, k rows of TN_PANEL elements, of which `columns` are in use; the
 * records are zeros before. A group with a number that is not finite becomes NaN. */
void quantise_panel(TnLayout layout, TnDType t, const void *panel, int64_t k, int64_t columns,
                    unsigned char *records);

#endif
