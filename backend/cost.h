/* What an instruction costs at given lengths: arithmetic and bytes, counted, not measured. For
 * profiles and reports. */
#ifndef TENON_BACKEND_COST_H
#define TENON_BACKEND_COST_H

#include "runtime/kernels.h"

typedef struct Cost {
    double flops; /* see cost.c for what is counted */
    double bytes; /* of every element read and written, once; repeated ones (stride 0) count once */
    bool moves;   /* it only moves elements: copy, fill, gather, scatter */
} Cost;

/* Reads opcode, params, operands and their number only; operands need no data but for NULL where
 * one is absent (its dtype is TN_NONE then). */
Cost cost_of(const TnCall *call);

#endif
