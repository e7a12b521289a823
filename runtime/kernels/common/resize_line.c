/* Tasks of resize: x resampled to another length along one axis; x and y of any strides, grid f32
 * [3] or absent.
 *
 *     y[.., j, ..] = sum over i of weight(i - source(j)) x[.., i, ..]      (resize.h)
 *
 * A task lists the taps of some of the positions once and applies them to some of the rows: as
 * lanes of a vector where the resized axis is dense, else as a sum of rows of what is dense in x
 * and y. */
#include "runtime/kernels/resize.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

#define TABLE_ENTRIES  8192
#define RESULTS_PER_NS 2.0 /* written to memory */
#define TAPS_PER_NS    8.0

enum { TILE_POSITIONS, TILE_ROWS };

typedef struct Resize {
    ResizeAxis axis;
    TnDType dtype;
    int64_t size;           /* of an element */
    Loop loop;              /* operands x, y: the other axes, without the rows */
    int64_t outer, inner;   /* points of the loop, elements of a row */
    int64_t x_step, y_step; /* bytes from one position to the next */
} Resize;

static Resize resize_of(const TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[call->inputs];
    const ParamsResize *p = call->params;
    Resize r = {.dtype = (TnDType)x->dtype};
    int axis = (int)p->axis;
    r.axis = tn_resize_axis(p, r.dtype, x->dims[axis], y->dims[axis], NULL);
    r.size = (int64_t)tn_dtype_size(r.dtype);
    loop_over(&r.loop, x);
    r.loop.dims[axis] = 1;
    loop_add(&r.loop, x);
    loop_add(&r.loop, y);
    loop_collapse(&r.loop);
    loop_sort(&r.loop, 1);
    loop_collapse(&r.loop);
    int last = r.loop.rank - 1;
    r.x_step = x->strides[axis] * r.size;
    r.y_step = y->strides[axis] * r.size;
    /* where the axis is dense, no other one is */
    bool rows = r.loop.strides[0][last] == 1 && r.loop.strides[1][last] == 1;
    r.inner = rows ? r.loop.dims[last] : 1;
    if (rows) r.loop.dims[last] = 1;
    r.outer = loop_points(&r.loop, r.loop.rank);
    return r;
}

/* Rows are dealt out first, since each task makes a table of its own. */
void tn_resize_plan(TnCall *call) {
    Resize r = resize_of(call);
    int64_t results = tensor_elements(&call->operands[call->inputs]), m = r.axis.m;
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (results == 0) return;
    int64_t taps = tn_resize_taps(&r.axis);
    double ns = (double)results / RESULTS_PER_NS + (double)(results * taps) / TAPS_PER_NS;
    int64_t want = tile_tasks(ns), rows = TN_CEIL_DIV(r.outer, want);
    int64_t positions = TN_CEIL_DIV(m, TN_CEIL_DIV(want, TN_CEIL_DIV(r.outer, rows)));
    int64_t most = TABLE_ENTRIES / taps / 16 * 16;
    if (positions > most) positions = most > 16 ? most : 16;
    if (positions > m) positions = m;
    call->tile[TILE_POSITIONS] = positions;
    call->tile[TILE_ROWS] = rows;
    call->tasks = TN_CEIL_DIV(m, positions) * TN_CEIL_DIV(r.outer, rows);
    call->work = (int64_t)ns + 1;
    call->scratch_bytes = tn_resize_table(&r.axis, positions);
}

#define COPY_ELEMENTS(type)                            \
    for (int64_t i = 0; i < t->n; i++, y += r->y_step) \
    memcpy(y, x + t->index[i] * r->x_step, sizeof(type))

/* One element or row of `inner` per position. */
static void copy_nearest(const Resize *r, const Taps *t, char *y, const char *x) {
    int64_t bytes = r->inner * r->size;
    switch (bytes) {
    case 1: COPY_ELEMENTS(uint8_t); return;
    case 2: COPY_ELEMENTS(uint16_t); return;
    case 4: COPY_ELEMENTS(uint32_t); return;
    case 8: COPY_ELEMENTS(uint64_t); return;
    default: break;
    }
    for (int64_t i = 0; i < t->n; i++, y += r->y_step)
        memcpy(y, x + t->index[i] * r->x_step, (size_t)bytes);
}

static void sum_rows_f64(const Taps *t, int64_t i, double *y, const double *x, int64_t step,
                         int64_t inner) {
    const double *weight = (const double *)t->weight + i;
    const int32_t *index = t->index + i;
    for (int64_t c = 0; c < inner; c++) {
        double sum = 0;
        for (int64_t at = 0; at < t->taps * t->pitch; at += t->pitch)
            sum += weight[at] * x[index[at] * step + c];
        y[c] = sum;
    }
}

static void interpolate_f64(const Resize *r, const Taps *t, char *y, const char *x) {
    int64_t step = r->x_step / r->size;
    for (int64_t i = 0; i < t->n; i++, y += r->y_step)
        sum_rows_f64(t, i, (double *)y, (const double *)x, step, r->inner);
}

/* What lies beyond the crop gets one value, which `block` has room for. */
static void fill_outside(const Resize *r, char *y, int64_t first, int64_t n, void *block) {
    double outside = r->axis.p->outside;
    TN_FN(map_cast)(block, r->dtype, &outside, TN_F64, 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t at = 0; tn_resize_beyond(&r->axis, first + i) && at < r->inner; at++)
            TN_FN(map_store)(y + i * r->y_step + at * r->size, r->dtype, 1, block, 1);
}

void tn_resize_run(const TnCall *call, int64_t task, void *scratch, const ResizeLoops *loops) {
    Resize r = resize_of(call);
    const ParamsResize *p = call->params;
    const float *grid = call->inputs > 1 ? call->operands[1].data : NULL;
    r.axis = tn_resize_axis(p, r.dtype, r.axis.n, r.axis.m, grid);
    int64_t rows = call->tile[TILE_ROWS], blocks = TN_CEIL_DIV(r.outer, rows);
    int64_t positions = call->tile[TILE_POSITIONS], first = task / blocks * positions;
    int64_t n = r.axis.m - first < positions ? r.axis.m - first : positions;
    int64_t row = task % blocks * rows, last = row + rows < r.outer ? row + rows : r.outer;
    Taps taps = tn_resize_list(&r.axis, first, n, scratch);
    const char *x = call->operands[0].data;
    char *y = call->operands[call->inputs].data;
    double block[1];
    LoopAt at;
    loop_seek(&r.loop, r.loop.rank, row, &at);
    for (; row < last; row++, loop_next(&r.loop, r.loop.rank, &at)) {
        const char *from = x + at.offset[0] * r.size;
        char *to = y + at.offset[1] * r.size + first * r.y_step;
        if (p->mode == TN_RESIZE_NEAREST)
            copy_nearest(&r, &taps, to, from);
        else if (r.dtype == TN_F64)
            interpolate_f64(&r, &taps, to, from);
        else
            loops->interpolate(&taps, (float *)to, r.y_step / r.size, (const float *)from,
                               r.x_step / r.size, r.inner);
        if (p->coordinates == TN_RESIZE_CROP) fill_outside(&r, to, first, n, block);
    }
}
