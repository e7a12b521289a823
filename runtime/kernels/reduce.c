/* reduce: sum, mean, maximum, minimum or product of x over the axes of a bit mask; y has extent 1
 * there.
 *
 * Results are accumulated in double (floats) or int64_t (integers, bool) in a fixed order: f32 rows
 * are first summed by vector over at most MAP_BLOCK elements, then the partial sums in double. A
 * NaN wins in max and min. Over no elements: sum 0, product 1, mean NaN (integers: 0), max and min
 * the identity of the type.
 *
 * Two shapes of loop: `rows`, where the reduced axes hold x's dense axis (one result at a time),
 * and `columns`, where a kept axis does (a block of neighbouring results at a time): x[4, 7, 768]
 * over axis 2: rows;  over axis 1: columns, y[4, 768] in blocks of 256 */
#include <math.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(reduce);

#define TASK_ELEMENTS 32768

/* Accumulator of one result: real for floats, whole for integers. */
typedef union Total {
    double real;
    int64_t whole;
} Total;

typedef struct Reduction {
    Loop kept;                      /* x, y over the axes that stay */
    Loop reduced;                   /* x over those that go */
    int64_t width, columns_per_row; /* results per block; extent of the innermost kept axis */
    int64_t blocks_per_row, blocks; /* a block is `width` neighbours along that axis */
    TnDType dtype;
    TnReduction kind;
    MapClass class;
} Reduction;

static Reduction reduction_of(const TnCall *call) {
    const ParamsReduce *params = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    Reduction r = {.kept = loop_over(x), .reduced = loop_over(x), .dtype = (TnDType)x->dtype};
    r.kind = (TnReduction)params->kind;
    r.class = map_class(r.dtype);
    loop_add(&r.kept, x);
    loop_add(&r.kept, y);
    loop_add(&r.reduced, x);
    for (int i = 0; i < x->rank; i++) (params->axes >> i & 1 ? &r.kept : &r.reduced)->dims[i] = 1;
    loop_collapse(&r.kept);
    loop_collapse(&r.reduced);
    int inner = r.kept.rank - 1;
    int64_t row_stride = r.reduced.strides[0][r.reduced.rank - 1];
    int columns = r.kept.dims[inner] > 1 && r.kept.strides[0][inner] == 1 && row_stride != 1;
    r.columns_per_row = r.kept.dims[inner];
    r.width = columns ? MAP_BLOCK : 1;
    r.blocks_per_row = TN_CEIL_DIV(r.columns_per_row, r.width);
    r.blocks = loop_points(&r.kept, inner) * r.blocks_per_row;
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
    call->work = tensor_elements(x) / (r.class == MAP_FLOAT ? 8 : 2) + tensor_elements(y);
}

static Total identity(const Reduction *r) {
    int real = r->class != MAP_INT, bits = (int)tn_dtype_size(r->dtype) * 8;
    int is_signed = tn_dtype_class(r->dtype) == TN_CLASS_INT;
    int64_t most = r->dtype == TN_BOOL ? 1 : (int64_t)(UINT64_MAX >> (64 - bits + is_signed));
    switch (r->kind) {
    case TN_REDUCE_PROD: return real ? (Total){.real = 1} : (Total){.whole = 1};
    case TN_REDUCE_MAX:
        if (real) return (Total){.real = -INFINITY};
        return (Total){.whole = is_signed ? -most - 1 : 0};
    case TN_REDUCE_MIN: return real ? (Total){.real = INFINITY} : (Total){.whole = most};
    default: return real ? (Total){.real = 0} : (Total){.whole = 0};
    }
}

static inline double more(double a, double b) {
    return a > b || a != a ? a : b;
}

static inline double less(double a, double b) {
    return a < b || a != a ? a : b;
}

/* Sum of at most MAP_BLOCK floats. */
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

static Total fold_floats(TnReduction kind, Total t, const float *x, int64_t n) {
    switch (kind) {
    case TN_REDUCE_MAX: t.real = more(t.real, extreme_float(x, n, 1)); break;
    case TN_REDUCE_MIN: t.real = less(t.real, -extreme_float(x, n, -1)); break;
    case TN_REDUCE_PROD:
        for (int64_t i = 0; i < n; i++) t.real *= x[i];
        break;
    default: t.real += sum_floats(x, n); break;
    }
    return t;
}

/* FOLD_ROW takes n elements into one total, FOLD_COLUMNS the i-th element into the i-th. */
#define FOLD_ROW(name, type, member, max, min)                                \
    static Total name(TnReduction kind, Total t, const type *x, int64_t n) {  \
        switch (kind) {                                                       \
        case TN_REDUCE_MAX:                                                   \
            for (int64_t i = 0; i < n; i++) t.member = max(t.member, x[i]);   \
            break;                                                            \
        case TN_REDUCE_MIN:                                                   \
            for (int64_t i = 0; i < n; i++) t.member = min(t.member, x[i]);   \
            break;                                                            \
        case TN_REDUCE_PROD:                                                  \
            for (int64_t i = 0; i < n; i++) t.member = TIMES(t.member, x[i]); \
            break;                                                            \
        default:                                                              \
            for (int64_t i = 0; i < n; i++) t.member = PLUS(t.member, x[i]);  \
            break;                                                            \
        }                                                                     \
        return t;                                                             \
    }

#define FOLD_COLUMNS(name, type, member, max, min)                                  \
    static void name(TnReduction kind, Total *t, const type *x, int64_t n) {        \
        switch (kind) {                                                             \
        case TN_REDUCE_MAX:                                                         \
            for (int64_t i = 0; i < n; i++) t[i].member = max(t[i].member, x[i]);   \
            break;                                                                  \
        case TN_REDUCE_MIN:                                                         \
            for (int64_t i = 0; i < n; i++) t[i].member = min(t[i].member, x[i]);   \
            break;                                                                  \
        case TN_REDUCE_PROD:                                                        \
            for (int64_t i = 0; i < n; i++) t[i].member = TIMES(t[i].member, x[i]); \
            break;                                                                  \
        default:                                                                    \
            for (int64_t i = 0; i < n; i++) t[i].member = PLUS(t[i].member, x[i]);  \
            break;                                                                  \
        }                                                                           \
    }

#define PLUS(a, b)  ((a) + (b))
#define TIMES(a, b) ((a) * (b))
FOLD_ROW(fold_doubles, double, real, more, less)
FOLD_COLUMNS(fold_float_columns, float, real, more, less)
FOLD_COLUMNS(fold_double_columns, double, real, more, less)
#undef PLUS
#undef TIMES

/* Integers wrap. The order of u64 is that of int64_t with the top bit flipped. */
#define PLUS(a, b)      ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define TIMES(a, b)     ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
#define LARGER(a, b)    ((a) > (b) ? (a) : (b))
#define SMALLER(a, b)   ((a) < (b) ? (a) : (b))
#define LARGER_U(a, b)  ((uint64_t)(a) > (uint64_t)(b) ? (a) : (b))
#define SMALLER_U(a, b) ((uint64_t)(a) < (uint64_t)(b) ? (a) : (b))
FOLD_ROW(fold_ints, int64_t, whole, LARGER, SMALLER)
FOLD_ROW(fold_u64s, int64_t, whole, LARGER_U, SMALLER_U)
FOLD_COLUMNS(fold_int_columns, int64_t, whole, LARGER, SMALLER)
FOLD_COLUMNS(fold_u64_columns, int64_t, whole, LARGER_U, SMALLER_U)

/* n elements of x with `stride` into one total. */
static Total fold_row(const Reduction *r, Total t, const char *x, int64_t stride, int64_t n,
                      void *block) {
    int64_t size = (int64_t)tn_dtype_size(r->dtype);
    for (int64_t done = 0; done < n; done += MAP_BLOCK) {
        int64_t part = n - done < MAP_BLOCK ? n - done : MAP_BLOCK;
        TN_FN(map_load)(block, x + done * stride * size, r->dtype, stride, part);
        if (r->class == MAP_FLOAT)
            t = fold_floats(r->kind, t, block, part);
        else if (r->class == MAP_DOUBLE)
            t = fold_doubles(r->kind, t, block, part);
        else
            t = (r->dtype == TN_U64 ? fold_u64s : fold_ints)(r->kind, t, block, part);
    }
    return t;
}

static void fold_columns(const Reduction *r, Total *t, const char *x, int64_t n, void *block) {
    TN_FN(map_load)(block, x, r->dtype, 1, n);
    if (r->class == MAP_FLOAT)
        fold_float_columns(r->kind, t, block, n);
    else if (r->class == MAP_DOUBLE)
        fold_double_columns(r->kind, t, block, n);
    else
        (r->dtype == TN_U64 ? fold_u64_columns : fold_int_columns)(r->kind, t, block, n);
}

static void store_totals(const Reduction *r, void *y, int64_t stride, Total *t, int64_t n) {
    int64_t count = loop_points(&r->reduced, r->reduced.rank);
    if (r->kind == TN_REDUCE_MEAN)
        for (int64_t i = 0; i < n; i++) {
            if (r->class != MAP_INT)
                t[i].real /= (double)count;
            else if (count == 0)
                t[i].whole = 0;
            else if (r->dtype == TN_U64)
                t[i].whole = (int64_t)((uint64_t)t[i].whole / (uint64_t)count);
            else
                t[i].whole /= count;
        }
    float floats[MAP_BLOCK];
    const void *from = t;
    if (r->class == MAP_FLOAT) {
        for (int64_t i = 0; i < n; i++) floats[i] = (float)t[i].real;
        from = floats;
    } else {
        TN_FN(map_fit)(t, r->dtype, n);
    }
    TN_FN(map_store)(y, r->dtype, stride, from, n);
}

/* Results [0, n) of a block whose first element of x and y is given. */
static void reduce_block(const Reduction *r, const char *x, char *y, int64_t n, void *block) {
    Total totals[MAP_BLOCK];
    int64_t size = (int64_t)tn_dtype_size(r->dtype);
    int rows = r->width == 1, inner = r->reduced.rank - (rows ? 1 : 0);
    int64_t points = loop_points(&r->reduced, inner);
    for (int64_t i = 0; i < n; i++) totals[i] = identity(r);
    LoopAt at;
    loop_seek(&r->reduced, inner, 0, &at);
    for (int64_t p = 0; p < points; p++, loop_next(&r->reduced, inner, &at)) {
        const char *from = x + at.offset[0] * size;
        if (rows)
            totals[0] = fold_row(r, totals[0], from, r->reduced.strides[0][inner],
                                 r->reduced.dims[inner], block);
        else
            fold_columns(r, totals, from, n, block);
    }
    store_totals(r, y, r->kept.strides[1][r->kept.rank - 1], totals, n);
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
