/* reduce: sum, mean, maximum, minimum or product over the axes of a bit mask; y has extent 1 there.
 *
 * Results are accumulated in double (floats) or int64_t (integers, bool) in a fixed order; floats
 * are first summed by vector, rows over at most CHUNK elements and columns over at most ROWS. A NaN
 * wins in max and min. Over no elements: sum 0, product 1, mean NaN (integers: 0), max and min the
 * identity of the type.
 *
 * There are two shapes of loop: `rows`, where the reduced axes hold x's dense axis (one result at a
 * time), and `columns`, where a kept axis does (a block of neighbouring results at a time).
 *
 *     x[4, 7, 768] over axis 2: rows
 *     x[4, 7, 768] over axis 1: columns, y[4, 1, 768] in blocks of WIDTH */
#include <math.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(reduce);

#define TASK_ELEMENTS 32768
#define WIDTH         128 /* results of a block in `columns`, */
#define NARROW        32  /* if these make few blocks: these many */
#define FEW           8
#define ROWS          32
#define CHUNK         (32 * VF_WIDTH) /* elements of a row at a time; at most MAP_BLOCK */

/* Accumulators of a block of results: real for floats, whole for integers. */
typedef union Totals {
    double real[WIDTH];
    int64_t whole[WIDTH];
} Totals;

typedef struct Reduction {
    Loop kept;                      /* x, y over the axes that stay */
    Loop reduced;                   /* x over those that go */
    int64_t width, columns_per_row; /* results per block; extent of the innermost kept axis */
    int64_t blocks_per_row, blocks; /* a block is `width` neighbours along that axis */
    int in_place;                   /* x's runs of f32 are read where they are */
    TnDType dtype;
    TnReduction kind;
    MapClass class;
} Reduction;

/* As x lies in memory, whatever the order of its axes. */
static void in_memory_order(Loop *l) {
    loop_collapse(l);
    loop_sort(l, 0);
    loop_collapse(l);
}

static Reduction reduction_of(const TnCall *call) {
    const ParamsReduce *params = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    Reduction r;
    r.dtype = (TnDType)x->dtype;
    loop_over(&r.kept, x);
    loop_over(&r.reduced, x);
    r.kind = (TnReduction)params->kind;
    r.class = map_class(r.dtype);
    loop_add(&r.kept, x);
    loop_add(&r.kept, y);
    loop_add(&r.reduced, x);
    for (int i = 0; i < x->rank; i++) (params->axes >> i & 1 ? &r.kept : &r.reduced)->dims[i] = 1;
    in_memory_order(&r.kept);
    in_memory_order(&r.reduced);
    int inner = r.kept.rank - 1;
    int64_t row_stride = r.reduced.strides[0][r.reduced.rank - 1];
    int columns = r.kept.dims[inner] > 1 && r.kept.strides[0][inner] == 1 && row_stride != 1;
    int64_t rows = loop_points(&r.kept, inner);
    r.columns_per_row = r.kept.dims[inner];
    r.width = !columns ? 1 : rows * r.columns_per_row < FEW * WIDTH ? NARROW : WIDTH;
    r.blocks_per_row = TN_CEIL_DIV(r.columns_per_row, r.width);
    r.blocks = rows * r.blocks_per_row;
    r.in_place = r.dtype == TN_F32 && (columns || row_stride == 1);
    return r;
}

void TN_FN(reduce_plan)(TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    call->tasks = call->work = 0;
    call->scratch_bytes = MAP_BLOCK * sizeof(double);
    if (tensor_elements(y) == 0) return;
    Reduction r = reduction_of(call);
    int64_t per_block = loop_points(&r.reduced, r.reduced.rank) * r.width;
    call->tile[0] = per_block > 0 && per_block < TASK_ELEMENTS ? TASK_ELEMENTS / per_block : 1;
    call->tasks = TN_CEIL_DIV(r.blocks, call->tile[0]);
    call->work = tensor_elements(x) / (r.in_place ? 16 : 2) + tensor_elements(y);
}

static double identity_real(TnReduction kind) {
    switch (kind) {
    case TN_REDUCE_PROD: return 1;
    case TN_REDUCE_MAX: return -INFINITY;
    case TN_REDUCE_MIN: return INFINITY;
    default: return 0;
    }
}

static int64_t identity_whole(TnReduction kind, TnDType t) {
    int bits = tn_dtype_bits(t), is_signed = tn_dtype_class(t) == TN_CLASS_INT;
    int64_t most = t == TN_BOOL ? 1 : (int64_t)(UINT64_MAX >> (64 - bits + is_signed));
    switch (kind) {
    case TN_REDUCE_PROD: return 1;
    case TN_REDUCE_MAX: return is_signed ? -most - 1 : 0;
    case TN_REDUCE_MIN: return most;
    default: return 0;
    }
}

static void start_totals(const Reduction *r, Totals *t, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (r->class == MAP_INT)
            t->whole[i] = identity_whole(r->kind, r->dtype);
        else
            t->real[i] = identity_real(r->kind);
}

static inline double more(double a, double b) {
    return a > b || a != a ? a : b;
}

static inline double less(double a, double b) {
    return a < b || a != a ? a : b;
}

/* Sum of at most CHUNK floats. */
static float sum_floats(const float *x, int64_t n) {
    vf even = vf_zero(), odd = vf_zero();
    int64_t i = 0;
    for (; i + 2 * VF_WIDTH <= n; i += 2 * VF_WIDTH) {
        even = vf_add(even, vf_load(x + i));
        odd = vf_add(odd, vf_load(x + i + VF_WIDTH));
    }
    for (; i < n; i += VF_WIDTH)
        even = vf_add(even, vf_load_n(x + i, n - i < VF_WIDTH ? n - i : VF_WIDTH));
    return vf_sum(vf_add(even, odd));
}

/* Largest of sign * x; NaN if there is one. */
static float extreme_float(const float *x, int64_t n, float sign) {
    vf s = vf_set1(sign), most = vf_set1(-INFINITY);
    vm nan = vm_first(0);
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        vf a = vf_mul(vf_load(x + i), s);
        most = vf_max(most, a);
        nan = vm_or(nan, vf_unordered(a, a));
    }
    float largest = vf_max_lane(most);
    int found = vm_any(nan);
    for (; i < n; i++) {
        largest = x[i] * sign > largest ? x[i] * sign : largest;
        found |= x[i] != x[i];
    }
    return found ? NAN : largest;
}

static void fold_floats(TnReduction kind, double *t, const float *x, int64_t n) {
    switch (kind) {
    case TN_REDUCE_MAX: *t = more(*t, extreme_float(x, n, 1)); break;
    case TN_REDUCE_MIN: *t = less(*t, -extreme_float(x, n, -1)); break;
    case TN_REDUCE_PROD:
        for (int64_t i = 0; i < n; i++) *t *= x[i];
        break;
    default: *t += sum_floats(x, n); break;
    }
}

/* Folds x[i] into t[at]: at = 0 makes one total of a row, at = i continues a block of totals. */
#define FOLD(name, type, total, at, max, min)                                         \
    static void name(TnReduction kind, total *restrict t, const type *x, int64_t n) { \
        switch (kind) {                                                               \
        case TN_REDUCE_MAX:                                                           \
            for (int64_t i = 0; i < n; i++) t[at] = max(t[at], x[i]);                 \
            break;                                                                    \
        case TN_REDUCE_MIN:                                                           \
            for (int64_t i = 0; i < n; i++) t[at] = min(t[at], x[i]);                 \
            break;                                                                    \
        case TN_REDUCE_PROD:                                                          \
            for (int64_t i = 0; i < n; i++) t[at] = TIMES(t[at], x[i]);               \
            break;                                                                    \
        default:                                                                      \
            for (int64_t i = 0; i < n; i++) t[at] = PLUS(t[at], x[i]);                \
            break;                                                                    \
        }                                                                             \
    }

#define PLUS(a, b)  ((a) + (b))
#define TIMES(a, b) ((a) * (b))
FOLD(fold_doubles, double, double, 0, more, less)
FOLD(fold_float_columns, float, double, i, more, less)
FOLD(fold_double_columns, double, double, i, more, less)
#undef PLUS
#undef TIMES

/* Integers wrap; u64 lies in int64_t as its bits. */
#define PLUS(a, b)      ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define TIMES(a, b)     ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
#define LARGER(a, b)    ((a) > (b) ? (a) : (b))
#define SMALLER(a, b)   ((a) < (b) ? (a) : (b))
#define LARGER_U(a, b)  ((uint64_t)(a) > (uint64_t)(b) ? (a) : (b))
#define SMALLER_U(a, b) ((uint64_t)(a) < (uint64_t)(b) ? (a) : (b))
FOLD(fold_ints, int64_t, int64_t, 0, LARGER, SMALLER)
FOLD(fold_u64s, int64_t, int64_t, 0, LARGER_U, SMALLER_U)
FOLD(fold_int_columns, int64_t, int64_t, i, LARGER, SMALLER)
FOLD(fold_u64_columns, int64_t, int64_t, i, LARGER_U, SMALLER_U)

/* n elements of x with `stride` into one total. */
static void fold_row(const Reduction *r, Totals *t, const char *x, int64_t stride, int64_t n,
                     void *block) {
    if (r->in_place) {
        for (int64_t done = 0; done < n; done += CHUNK)
            fold_floats(r->kind, t->real, (const float *)x + done,
                        n - done < CHUNK ? n - done : CHUNK);
        return;
    }
    int64_t size = (int64_t)tn_dtype_size(r->dtype);
    for (int64_t done = 0; done < n; done += CHUNK) {
        int64_t part = n - done < CHUNK ? n - done : CHUNK;
        TN_FN(map_load)(block, x + done * stride * size, r->dtype, stride, part);
        if (r->class == MAP_FLOAT)
            fold_floats(r->kind, t->real, block, part);
        else if (r->class == MAP_DOUBLE)
            fold_doubles(r->kind, t->real, block, part);
        else
            (r->dtype == TN_U64 ? fold_u64s : fold_ints)(r->kind, t->whole, block, part);
    }
}

/* Totals of n <= `vectors` of neighbouring columns over some rows that are `step` apart: sums, or
 * with sign = +-1 the largest of sign * x. */
ALWAYS_INLINE void fold_vectors(float *part, const float *x, int64_t step, int64_t rows, float sign,
                                int vectors, int64_t n) {
    vf total[4], s = vf_set1(sign);
    int64_t last = n - (vectors - 1) * VF_WIDTH;
    UNROLL for (int v = 0; v < vectors; v++) total[v] = vf_set1(sign == 0 ? 0 : -INFINITY);
    for (int64_t i = 0; i < rows; i++, x += step) {
        UNROLL for (int v = 0; v < vectors; v++) {
            vf a = vectors == 1 ? vf_load_n(x, last) : vf_load(x + v * VF_WIDTH), b = vf_mul(a, s);
            vf most = vf_max(b, total[v]); /* stays NaN, but does not become it */
            total[v] = sign == 0 ? vf_add(total[v], a) : vf_select(vf_unordered(b, b), b, most);
        }
    }
    UNROLL for (int v = 0; v < vectors; v++) vf_store(part + v * VF_WIDTH, total[v]);
}

/* n neighbouring elements of `rows` rows in place into as many totals; any kind but products. */
static void fold_rows(TnReduction kind, double *t, const float *x, int64_t step, int64_t rows,
                      int64_t n) {
    _Alignas(64) float part[4 * VF_WIDTH];
    float sign = kind == TN_REDUCE_MAX ? 1 : kind == TN_REDUCE_MIN ? -1 : 0;
    for (int64_t done = 0; done < rows; done += ROWS, x += ROWS * step) {
        int64_t some = rows - done < ROWS ? rows - done : ROWS;
        for (int64_t c = 0, columns; c < n; c += columns) {
            columns = n - c < 4 * VF_WIDTH ? n - c < VF_WIDTH ? n - c : VF_WIDTH : 4 * VF_WIDTH;
            if (columns < 4 * VF_WIDTH)
                fold_vectors(part, x + c, step, some, sign, 1, columns);
            else if (sign == 0)
                fold_vectors(part, x + c, step, some, 0, 4, columns);
            else
                fold_vectors(part, x + c, step, some, sign, 4, columns);
            for (int64_t i = 0; i < columns && sign < 0; i++) part[i] = -part[i];
            fold_float_columns(kind, t + c, part, columns);
        }
    }
}

/* n neighbouring elements into as many totals. */
static void fold_columns(const Reduction *r, Totals *t, const char *x, int64_t n, void *block) {
    TN_FN(map_load)(block, x, r->dtype, 1, n);
    if (r->class == MAP_FLOAT)
        fold_float_columns(r->kind, t->real, block, n);
    else if (r->class == MAP_DOUBLE)
        fold_double_columns(r->kind, t->real, block, n);
    else
        (r->dtype == TN_U64 ? fold_u64_columns : fold_int_columns)(r->kind, t->whole, block, n);
}

static void divide_totals(const Reduction *r, Totals *t, int64_t n) {
    int64_t count = loop_points(&r->reduced, r->reduced.rank);
    for (int64_t i = 0; i < n; i++)
        if (r->class != MAP_INT)
            t->real[i] /= (double)count;
        else if (count == 0)
            t->whole[i] = 0;
        else if (r->dtype == TN_U64)
            t->whole[i] = (int64_t)((uint64_t)t->whole[i] / (uint64_t)count);
        else
            t->whole[i] /= count;
}

static void store_totals(const Reduction *r, void *y, int64_t stride, Totals *t, int64_t n) {
    float floats[WIDTH];
    const void *from = t;
    if (r->class == MAP_FLOAT) {
        for (int64_t i = 0; i < n; i++) floats[i] = (float)t->real[i];
        from = floats;
    } else {
        TN_FN(map_fit)(t, r->dtype, n);
    }
    TN_FN(map_store)(y, r->dtype, stride, from, n);
}

/* The result of one run of floats. */
static float reduce_run_of_floats(const Reduction *r, const float *x) {
    int64_t n = r->reduced.dims[0];
    double total = identity_real(r->kind);
    for (int64_t done = 0; done < n; done += CHUNK)
        fold_floats(r->kind, &total, x + done, n - done < CHUNK ? n - done : CHUNK);
    return (float)(r->kind == TN_REDUCE_MEAN ? total / (double)n : total);
}

/* Results [0, n) of a block whose first element of x and y is given. */
static void reduce_block(const Reduction *r, const char *x, char *y, int64_t n, void *block) {
    if (r->in_place && r->width == 1 && r->reduced.rank == 1) {
        *(float *)(void *)y = reduce_run_of_floats(r, (const float *)(const void *)x);
        return;
    }
    Totals totals;
    int64_t size = (int64_t)tn_dtype_size(r->dtype);
    int rows = r->width == 1, by_runs = rows || (r->in_place && r->kind != TN_REDUCE_PROD);
    int inner = r->reduced.rank - by_runs;
    int64_t points = loop_points(&r->reduced, inner);
    start_totals(r, &totals, n);
    LoopAt at;
    loop_start(&r->reduced, inner, &at);
    for (int64_t p = 0; p < points; p++, loop_next(&r->reduced, inner, &at)) {
        const char *from = x + at.offset[0] * size;
        if (rows)
            fold_row(r, &totals, from, r->reduced.strides[0][inner], r->reduced.dims[inner], block);
        else if (by_runs)
            fold_rows(r->kind, totals.real, (const float *)(const void *)from,
                      r->reduced.strides[0][inner], r->reduced.dims[inner], n);
        else
            fold_columns(r, &totals, from, n, block);
    }
    if (r->kind == TN_REDUCE_MEAN) divide_totals(r, &totals, n);
    store_totals(r, y, r->kept.strides[1][r->kept.rank - 1], &totals, n);
}

void TN_FN(reduce_run)(const TnCall *call, int64_t task, void *scratch) {
    Reduction r = reduction_of(call);
    int64_t size = (int64_t)tn_dtype_size(r.dtype), block = task * call->tile[0];
    int64_t last = block + call->tile[0] < r.blocks ? block + call->tile[0] : r.blocks;
    int64_t piece = block % r.blocks_per_row;
    int inner = r.kept.rank - 1;
    LoopAt at;
    loop_seek(&r.kept, inner, block / r.blocks_per_row, &at);
    for (; block < last; block++) {
        int64_t column = piece * r.width, rest = r.columns_per_row - column;
        int64_t x = at.offset[0] + column * r.kept.strides[0][inner];
        int64_t y = at.offset[1] + column * r.kept.strides[1][inner];
        reduce_block(&r, (const char *)call->operands[0].data + x * size,
                     (char *)call->operands[1].data + y * size, rest < r.width ? rest : r.width,
                     scratch);
        if (++piece < r.blocks_per_row) continue;
        piece = 0;
        loop_next(&r.kept, inner, &at);
    }
}
