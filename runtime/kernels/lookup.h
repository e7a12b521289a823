/* Positions read from an index tensor (i32 or i64), checked. A negative one counts from the end of
 * its axis. */
#ifndef TENON_RUNTIME_KERNELS_LOOKUP_H
#define TENON_RUNTIME_KERNELS_LOOKUP_H

#include "runtime/kernels.h"

/* The index at `offset` of the tensor, in [0, bound); -1, and a fault, if it is outside. */
static inline int64_t read_index(const TnCall *call, const TnTensor *index, int64_t offset,
                                 int64_t bound) {
    int64_t found = index->dtype == TN_I32 ? ((const int32_t *)index->data)[offset]
                                           : ((const int64_t *)index->data)[offset];
    int64_t i = found < 0 ? found + bound : found;
    if (i >= 0 && i < bound) return i;
    tn_fault(call, found, bound);
    return -1;
}

#endif
