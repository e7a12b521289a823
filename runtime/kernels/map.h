/* Inner interface of the map family: what a register is and how steps act on blocks of them.
 *
 * A register holds MAP_BLOCK elements as float (f32 and narrower), double (f64) or int64_t
 * (integers and bool; u64 as its bit pattern). Its values always lie in its element type: f16 and
 * bf16 are rounded, integers wrapped, bool is 0 or 1. */
#ifndef TENON_RUNTIME_KERNELS_MAP_H
#define TENON_RUNTIME_KERNELS_MAP_H

#include "runtime/kernels/family.h"
#include "runtime/params.h"

#define MAP_BLOCK 512

typedef enum MapClass { MAP_FLOAT, MAP_DOUBLE, MAP_INT } MapClass;

static inline MapClass map_class(TnDType t) {
    if (t == TN_F64) return MAP_DOUBLE;
    return tn_is_float(t) ? MAP_FLOAT : MAP_INT;
}

static inline size_t map_register_bytes(TnDType t) {
    return MAP_BLOCK * (map_class(t) == MAP_FLOAT ? sizeof(float) : sizeof(int64_t));
}

/* The element type of register r: inputs come first, then the results of steps. */
static inline TnDType map_register_dtype(const TnCall *call, int r) {
    const ParamsMap *params = call->params;
    return (TnDType)(r < call->inputs ? call->operands[r].dtype
                                      : params->step[r - call->inputs].dtype);
}

/* y[i] = op(x[0][i], x[1][i], x[2][i]) for i < n; y may be one of x. */
typedef void MapFn(void *y, const void *const *x, int64_t n);

/* The function of an op whose operands (for WHERE: the last two) are floats, doubles or integers
 * of type t; NULL if the op means nothing there. CONST and CAST are not among them. */
MapFn *TN_FN(map_float_op)(int op);
MapFn *tn_map_double(int op);
MapFn *tn_map_int(int op, TnDType t);

/* The functions of floats and of doubles that are too rare to exist per ISA; NULL for others. */
MapFn *tn_map_rare_float(int op);
MapFn *tn_map_rare_double(int op);

/* Register y of type `to` from register x of type `from`. */
typedef void MapCastFn(void *y, TnDType to, const void *x, TnDType from, int64_t n);
/* Brings results of arithmetic in a register back into type t. */
typedef void MapFitFn(void *y, TnDType t, int64_t n);
/* n elements in memory to or from a register, `stride` elements apart. */
typedef void MapLoadFn(void *y, const void *data, TnDType t, int64_t stride, int64_t n);
typedef void MapStoreFn(void *data, TnDType t, int64_t stride, const void *x, int64_t n);

/* (x + shift) by */
typedef struct MapAffine {
    float shift, by;
} MapAffine;

/* Integers as floats, from x / scale, or x scale: rounded or not, zero added, as a cast to bytes
 * would do it, and `after`. */
typedef struct MapQuantise {
    float scale, zero, low, high;
    MapAffine after;
    uint8_t divide, round;
} MapQuantise;

static inline int map_is_byte(int t) {
    return t == TN_I8 || t == TN_U8;
}

/* A cast to i8 or u8, without any other step. */
static inline MapQuantise map_plain_cast(TnDType t) {
    return (MapQuantise){1, 0, t == TN_I8 ? -128 : 0, t == TN_I8 ? 127 : 255, {0, 1}, 0, 0};
}

/* As MapLoadFn, of i8, u8 or i32 to floats. */
typedef void MapLoadWholeFn(float *y, const void *data, TnDType t, int64_t stride, int64_t n,
                            const MapAffine *a);
typedef void MapQuantiseFn(float *y, const float *x, int64_t n, const MapQuantise *q);
/* To memory, without `after`. */
typedef void MapQuantiseBytesFn(uint8_t *data, const float *x, int64_t n, const MapQuantise *q);
/* Rows of floats side by side in a register. */
typedef void MapGatherFn(float *y, const float *x, int64_t row_stride, int64_t stride, int64_t rows,
                         int64_t columns);

/* map_move.c, map_cast.c */
MapLoadFn TN_FN(map_load);
MapStoreFn TN_FN(map_store);
MapGatherFn TN_FN(map_gather_rows);
MapFitFn TN_FN(map_fit);
MapCastFn TN_FN(map_cast);
MapLoadWholeFn TN_FN(map_load_whole);
MapQuantiseFn TN_FN(map_quantise);
MapQuantiseBytesFn TN_FN(map_quantise_bytes);

typedef struct MapKernels {
    MapFn *(*op)(int op); /* map_float_op */
    MapCastFn *cast;
    MapFitFn *fit;
    MapLoadFn *load;
    MapLoadWholeFn *load_whole;
    MapStoreFn *store;
    MapQuantiseFn *quantise;
    MapQuantiseBytesFn *quantise_bytes;
    MapGatherFn *gather_rows;
} MapKernels;

extern const MapKernels TN_FN(map_kernels); /* map_float.c */

/* to[i] = formula(from[i]) for i < n, in runs of a fixed length: those become vectors. */
enum { MAP_RUN = 16 };
#define MAP_BY_RUNS(to, from, formula)                                         \
    for (int64_t i = 0; i < n; i += MAP_RUN, from += MAP_RUN, to += MAP_RUN) { \
        if (n - i >= MAP_RUN)                                                  \
            for (int j = 0; j < MAP_RUN; j++) to[j] = formula(from[j]);        \
        else                                                                   \
            for (int j = 0; j < n - i; j++) to[j] = formula(from[j]);          \
    }

#endif
