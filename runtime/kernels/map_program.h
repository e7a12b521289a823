/* A map as it is run (common/map.c): where its registers are, and which steps are taken together
 * (common/map_quantise.c). */
#ifndef TENON_RUNTIME_KERNELS_MAP_PROGRAM_H
#define TENON_RUNTIME_KERNELS_MAP_PROGRAM_H

#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

#define MAP_REGISTERS (TN_MAX_MAP_INPUTS + TN_MAX_MAP_STEPS)

typedef enum Access {
    ACCESS_UNIFORM, /* one element for all: its register is filled once */
    ACCESS_LINEAR,  /* in memory order without gaps */
    ACCESS_ROWS,    /* by rows of the innermost axis */
} Access;

/* How a register comes by its block. */
typedef enum MapHow {
    MAP_BY_STEP,
    MAP_QUANTISED, /* of register `from`: several steps in one */
    MAP_MOVED,     /* it is that of register `from` */
    MAP_UNUSED,    /* not at all: its reader's steps are taken with its own */
} MapHow;

typedef struct MapProgram {
    const MapKernels *isa;
    const TnCall *call;
    const ParamsMap *params;
    Loop loop; /* inputs, then the result */
    int inputs, registers;
    uint8_t access[LOOP_MAX];
    uint8_t dtype[MAP_REGISTERS]; /* f32 for integers that are kept as floats */
    uint8_t uniform[MAP_REGISTERS], reads[MAP_REGISTERS];
    uint8_t reader[MAP_REGISTERS]; /* the register of a step that reads it */
    uint8_t how[MAP_REGISTERS], from[MAP_REGISTERS];
    MapFn *fn[TN_MAX_MAP_STEPS];
    MapQuantise quantise[TN_MAX_MAP_STEPS];
    MapAffine loaded[TN_MAX_MAP_INPUTS]; /* what becomes of integers that are loaded as floats */
    int by_rows;   /* some operand has ACCESS_ROWS, so `at` and `column` are needed */
    int long_rows; /* ... and blocks lie within rows */
    int casts;     /* some step is a cast, without which nothing is quantised */
    int direct;    /* elements of a block of the result lie side by side */
    unsigned char *reg[MAP_REGISTERS];
    const void *value[MAP_REGISTERS]; /* where the current block of a register is */
    LoopAt at;                        /* row of the next element */
    int64_t column;
} MapProgram;

/* Whether register r holds integers as floats. */
static inline int map_is_whole(const MapProgram *p, int r) {
    return p->dtype[r] != map_register_dtype(p->call, r);
}

/* Decides which registers do. */
void map_keep_as_floats(MapProgram *p);
/* Decides which steps are taken together; registers that are uniform are filled, all others made
 * by their steps as yet. */
void map_find_quantised(MapProgram *p);

#endif
