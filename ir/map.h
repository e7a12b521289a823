/* The types of a map's program. Registers are the operands, then one per step. */
#ifndef TENON_IR_MAP_H
#define TENON_IR_MAP_H

#include "ir/ir.h"

/* A step's type unless stated: that of its operands; bool for comparisons; TN_NONE where it must be
 * stated (splat, cast). `types` are those of the registers before it. */
TnDType map_step_type(const MapStep *s, const TnDType *types);
/* The operators on the bits of integers. */
bool map_is_bitwise(OpKind op);
/* NULL if the step, which reads existing registers only, is well-typed; else what is wrong. */
const char *map_check_step(const MapStep *s, const TnDType *types);
/* The same for all steps of the map n, and that they read operands and earlier steps only. */
const char *map_check(const Node *n);

#endif
