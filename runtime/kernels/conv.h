/* Inner interface of the conv family: f64 has a file of its own. */
#ifndef TENON_RUNTIME_KERNELS_CONV_H
#define TENON_RUNTIME_KERNELS_CONV_H

#include "runtime/kernels/family.h"

void TN_FN(conv_f64_plan)(TnCall *call); /* of a call that has results */
void TN_FN(conv_f64_run)(const TnCall *call, int64_t task, void *scratch);

#endif
