/* Bytes that a plan's first function reads and writes, counted at given lengths. */
#ifndef TENON_BACKEND_MOVEMENT_H
#define TENON_BACKEND_MOVEMENT_H

#include "backend/sample.h"

typedef struct Movement {
    double bytes; /* of all instructions that can be counted, see cost.h */
    double moved; /* of those that only move elements */
    double flops;
    int unknown; /* instructions whose lengths a run has to measure: not counted */
} Movement;

/* `values` of the plan's expressions: see sample_values. Branches and loops count as nothing. */
Movement movement_at(const Image *im, const int64_t *values);

#endif
