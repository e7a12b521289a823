/* Bytes that a plan's first function reads and writes, counted at given lengths. */
#ifndef TENON_BACKEND_MOVEMENT_H
#define TENON_BACKEND_MOVEMENT_H

#include "backend/image.h"

typedef struct Movement {
    double bytes; /* of all instructions that can be counted, see cost.h */
    double moved; /* of those that only move elements */
    double flops;
    int unknown; /* instructions whose lengths a run has to measure: not counted */
} Movement;

/* `lengths`: per symbol of the plan, -1 = unknown. Branches and loops count as nothing. */
Movement movement_at(const Image *im, const int64_t *lengths);

#endif
