/* Which operators have an instruction, and what it asks of memory. */
#include "backend/lower_ops.h"
#include "backend/place.h"

static const PlaceRow places[OP_COUNT] = {
#define X(name, reads, writes, order) [OP_##name] = {PLACE_##reads, PLACE_##writes, PLACE_##order},
    LOWERED_OPS(X)
#undef X
};

static LowerFn *const table[OP_COUNT] = {
#define X(name, reads, writes, order) [OP_##name] = lower_##name,
    LOWERED_OPS(X)
#undef X
};

LowerFn *lower_function(OpKind op) {
    return table[op];
}

const PlaceRow *place_row(OpKind op) {
    return &places[op];
}
