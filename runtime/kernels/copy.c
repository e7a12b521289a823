/* copy: y[i] = x[i] between any two stride patterns; elements of 1, 2, 4 or 8 bytes.
 *
 * After collapsing axes one of three ways applies:
 *
 *     runs     both innermost strides are 1: memcpy of whole runs, or past the caches
 *     tiles    y is dense along its last axis, x along another (a transposition of these two):
 *              bands of TILE rows in squares, so that the cache lines of both are used whole, those
 *              of 4 bytes by vector
 *     single   anything else, element by element (stride 0 of x: a fill)
 *
 * The work is cut into units - pieces of COLUMNS along the last axis of one point of the other axes
 * or, with tiles, bands of TILE along x's dense axis - and a task takes a number of units. */
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(copy);

#define TILE       32
#define SQUARE     16
#define TASK_BYTES 65536
#define COLUMNS    16384

enum { UNITS, STREAM }; /* call->tile[] */
enum {
    STREAM_BYTES = 1 << 20, /* of a copy that would leave little else in cache */
    STREAM_RUN = 1024       /* bytes of its runs, whose ends are written like any others */
};

typedef struct CopyLoop {
    Loop loop; /* operand 0: x, operand 1: y; when tiled, without the two axes of the tiles */
    int tiled;
    int64_t rows, x_row, y_row;    /* tiled: extent and strides of x's dense axis */
    int64_t columns, x_col, y_col; /* last axis */
    int64_t pieces;                /* units per point of `loop` */
} CopyLoop;

/* The axis along which x is dense, if tiles help. */
static int tile_axis(const Loop *l) {
    int last = l->rank - 1;
    if (l->strides[0][last] == 1 || l->strides[1][last] != 1 || l->strides[0][last] == 0) return -1;
    for (int i = 0; i < last; i++)
        if (l->strides[0][i] == 1 && l->dims[i] > 1) return i;
    return -1;
}

static CopyLoop copy_loop(const TnTensor *x, const TnTensor *y) {
    CopyLoop c;
    c.tiled = 0;
    loop_over(&c.loop, y);
    loop_add(&c.loop, x);
    loop_add(&c.loop, y);
    loop_collapse(&c.loop);
    int axis = tile_axis(&c.loop), last = c.loop.rank - 1;
    c.columns = c.loop.dims[last];
    c.x_col = c.loop.strides[0][last];
    c.y_col = c.loop.strides[1][last];
    c.pieces = TN_CEIL_DIV(c.columns, COLUMNS);
    c.loop.rank--;
    if (axis < 0) return c;
    c.tiled = 1;
    c.rows = c.loop.dims[axis];
    c.x_row = c.loop.strides[0][axis];
    c.y_row = c.loop.strides[1][axis];
    c.pieces = TN_CEIL_DIV(c.rows, TILE);
    loop_drop_axis(&c.loop, axis);
    return c;
}

void TN_FN(copy_plan)(TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int64_t bytes = tensor_elements(y) * (int64_t)tn_dtype_size((TnDType)y->dtype);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (bytes == 0) return;
    CopyLoop c = copy_loop(x, y);
    int64_t units = loop_points(&c.loop, c.loop.rank) * c.pieces;
    int64_t unit_bytes = bytes / units > 0 ? bytes / units : 1;
    call->tile[UNITS] = unit_bytes < TASK_BYTES ? TASK_BYTES / unit_bytes : 1;
    call->tile[STREAM] = ((const ParamsCopy *)call->params)->stream && c.x_col == 1 &&
                         c.y_col == 1 && VF_WIDTH > 1 && bytes >= STREAM_BYTES &&
                         unit_bytes >= STREAM_RUN;
    call->tasks = TN_CEIL_DIV(units, call->tile[UNITS]);
    call->work = c.tiled ? bytes / 8 : bytes / 16;
}

/* One function per element size. */
#define SINGLE(type)                                                                       \
    static void single_##type(type *y, int64_t sy, const type *x, int64_t sx, int64_t n) { \
        if (sy == 1 && sx == 0)                                                            \
            for (int64_t i = 0; i < n; i++) y[i] = *x;                                     \
        else                                                                               \
            for (int64_t i = 0; i < n; i++) y[i * sy] = x[i * sx];                         \
    }

/* Rows are dense in x, columns in y. */
#define BAND(type)                                                                        \
    static void band_##type(type *y, int64_t sy, const type *x, int64_t sx, int64_t rows, \
                            int64_t columns) {                                            \
        for (int64_t k = 0, n; k < columns; k += n) {                                     \
            n = columns - k < SQUARE ? columns - k : SQUARE;                              \
            for (int64_t i = 0; i < rows; i++)                                            \
                for (int64_t j = k; j < k + n; j++) y[i * sy + j] = x[j * sx + i];        \
        }                                                                                 \
    }

SINGLE(uint8_t)
SINGLE(uint16_t)
SINGLE(uint32_t)
SINGLE(uint64_t)
BAND(uint8_t)
BAND(uint16_t)
BAND(uint64_t)

static void band_by_vector(float *y, int64_t sy, const float *x, int64_t sx, int64_t rows,
                           int64_t columns) {
    for (int64_t j = 0; j < columns; j += SQUARE) {
        int64_t n = columns - j < SQUARE ? columns - j : SQUARE;
        TN_FN(tile_kernels).transpose(y + j, sy, x + j * sx, sx, n, rows, n);
    }
}

/* Whole vectors of y past the caches: what is there is not read before it is written. */
static void stream(void *y, const void *x, size_t bytes) {
    const size_t vector = sizeof(vf), before = -(uintptr_t)y % vector;
    char *to = y;
    const char *from = x;
    size_t i = before < bytes ? before : bytes;
    memcpy(to, from, i);
    for (; i + vector <= bytes; i += vector)
        vf_stream((float *)(void *)(to + i), vf_load((const float *)(const void *)(from + i)));
    vf_stream_end();
    memcpy(to + i, from + i, bytes - i);
}

static void copy_columns(const CopyLoop *c, void *y, const void *x, int64_t n, size_t size) {
    if (c->x_col == 1 && c->y_col == 1) {
        memcpy(y, x, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1: single_uint8_t(y, c->y_col, x, c->x_col, n); break;
    case 2: single_uint16_t(y, c->y_col, x, c->x_col, n); break;
    case 4: single_uint32_t(y, c->y_col, x, c->x_col, n); break;
    default: single_uint64_t(y, c->y_col, x, c->x_col, n); break;
    }
}

static void copy_band(const CopyLoop *c, void *y, const void *x, int64_t rows, size_t size) {
    switch (size) {
    case 1: band_uint8_t(y, c->y_row, x, c->x_col, rows, c->columns); break;
    case 2: band_uint16_t(y, c->y_row, x, c->x_col, rows, c->columns); break;
    case 4: band_by_vector(y, c->y_row, x, c->x_col, rows, c->columns); break;
    default: band_uint64_t(y, c->y_row, x, c->x_col, rows, c->columns); break;
    }
}

void TN_FN(copy_run)(const TnCall *call, int64_t task, void *scratch) {
    (void)scratch;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    size_t size = tn_dtype_size((TnDType)y->dtype);
    CopyLoop c = copy_loop(x, y);
    int64_t units = loop_points(&c.loop, c.loop.rank) * c.pieces, unit = task * call->tile[UNITS];
    int64_t last = unit + call->tile[UNITS] < units ? unit + call->tile[UNITS] : units;
    int64_t piece = unit % c.pieces, step = c.tiled ? TILE : COLUMNS;
    int64_t extent = c.tiled ? c.rows : c.columns;
    int64_t x_step = c.tiled ? c.x_row : c.x_col, y_step = c.tiled ? c.y_row : c.y_col;
    LoopAt at;
    loop_seek(&c.loop, c.loop.rank, unit / c.pieces, &at);
    for (; unit < last; unit++) {
        int64_t begin = piece * step, n = extent - begin < step ? extent - begin : step;
        const void *from = (const char *)x->data + (at.offset[0] + begin * x_step) * (int64_t)size;
        void *to = (char *)y->data + (at.offset[1] + begin * y_step) * (int64_t)size;
        if (c.tiled)
            copy_band(&c, to, from, n, size);
        else if (call->tile[STREAM])
            stream(to, from, (size_t)n * size);
        else
            copy_columns(&c, to, from, n, size);
        if (++piece < c.pieces) continue;
        piece = 0;
        loop_next(&c.loop, c.loop.rank, &at);
    }
}
