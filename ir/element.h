/* Elements of dense tensors as numbers, for every element type. */
#ifndef TENON_IR_ELEMENT_H
#define TENON_IR_ELEMENT_H

#include "runtime/base/dtype.h"

double ir_element_f64(TnDType t, const void *data, int64_t i);  /* element i of dense data */
int64_t ir_element_i64(TnDType t, const void *data, int64_t i); /* of an integer or bool type */
void ir_store_f64(TnDType t, void *data, int64_t i, double v);  /* rounds to t */
void ir_round_bf16(TnDType t, const void *data, int64_t n, void *to); /* all n elements */
void ir_store_i64(TnDType t, void *data, int64_t i, int64_t v);       /* wraps to t */

#endif
