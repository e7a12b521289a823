/* Which operators have an instruction. */
#include "backend/lower_ops.h"

static LowerFn *const table[OP_COUNT] = {
#define X(name) [OP_##name] = lower_##name,
    LOWERED_OPS(X)
#undef X
};

LowerFn *lower_function(OpKind op) {
    return table[op];
}
