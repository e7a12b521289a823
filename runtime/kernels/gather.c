/* gather, gather_elements, gather_nd: elements of x at positions read from an integer tensor.
 *
 *     gather           y[..c, ..a, ..i, ..b] = x[..c, ..a, index[..c, ..i], ..b]
 *     gather_elements  y[i] = x[i with its component along `axis` replaced by index[i]]
 *     gather_nd        y[..c, ..i, ..r] = x[..c, index[..c, ..i, 0], index[..c, ..i, 1], .., ..r]
 *
 * where c are the batch_dims first axes. All three are one loop over y: x has a stride of 0 along
 * axes that an index stands for, the index tensor a stride of 0 along those it does not depend on,
 * and every point adds index * stride for each of `depth` looked-up axes of x. Where the innermost
 * axis does not touch the index, a whole run is copied per look-up. A negative index counts from
 * the end; one outside [-bound, bound) is reported by tn_fault and yields 0.
 *
 * gather reads x also from panels, of rows, of pairs of rows or of records (pack.h): a table of N
 * rows with K elements each, which is stored as the view [K, N]. */
#include <stddef.h>
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/lookup.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/records.h"
#include "runtime/params.h"

TN_FAMILY(gather);
TN_FAMILY(gather_elements);
TN_FAMILY(gather_nd);

#define TASK_BYTES 32768

enum { X, INDEX, Y };

typedef struct Lookup {
    size_t size; /* of an element */
    int depth;
    int64_t bound[TN_MAX_RANK],
        stride[TN_MAX_RANK]; /* extents and strides of the looked-up axes of x */
    int64_t index_stride;    /* between the components of one look-up */
    TnLayout layout;         /* of x; if it is packed, with K = panel_rows */
    int64_t panel_rows;
    Loop loop; /* operands X, INDEX, Y */
} Lookup;

typedef void LookupFn(const TnCall *call, Lookup *l);

/* Strides of operand `which` of the loop along y's axes
 * [axis, axis + count), from axis `from` of t. */
static void follow(Lookup *l, int which, int axis, const TnTensor *t, int from, int count) {
    for (int i = 0; i < count; i++) l->loop.strides[which][axis + i] = t->strides[from + i];
}

static void look_up_axis(Lookup *l, const TnTensor *x, int axis) {
    l->bound[l->depth] = x->dims[axis];
    l->stride[l->depth++] = x->strides[axis];
}

static void lookup_gather(const TnCall *call, Lookup *l) {
    const TnTensor *x = &call->operands[X], *index = &call->operands[INDEX];
    const ParamsGather *params = call->params;
    int axis = (int)params->axis, batch = (int)params->batch_dims;
    int after = axis + index->rank - batch;
    follow(l, INDEX, 0, index, 0, batch);
    follow(l, INDEX, axis, index, batch, index->rank - batch);
    if (x->layout != TN_LAYOUT_STRIDED) {
        l->layout = (TnLayout)x->layout;
        l->panel_rows = x->dims[0];
        l->depth = 1;
        l->bound[0] = x->dims[1];
        l->loop.strides[X][after] = TN_PANEL;
        return;
    }
    follow(l, X, 0, x, 0, axis);
    follow(l, X, after, x, axis + 1, x->rank - axis - 1);
    look_up_axis(l, x, axis);
}

static void lookup_gather_elements(const TnCall *call, Lookup *l) {
    const TnTensor *x = &call->operands[X], *index = &call->operands[INDEX];
    int axis = (int)((const ParamsGather *)call->params)->axis;
    follow(l, INDEX, 0, index, 0, index->rank);
    follow(l, X, 0, x, 0, x->rank);
    l->loop.strides[X][axis] = 0;
    look_up_axis(l, x, axis);
}

static void lookup_gather_nd(const TnCall *call, Lookup *l) {
    const TnTensor *x = &call->operands[X], *index = &call->operands[INDEX];
    int batch = (int)((const ParamsGather *)call->params)->batch_dims, points = index->rank - 1;
    int depth = (int)index->dims[points];
    follow(l, INDEX, 0, index, 0, points);
    follow(l, X, 0, x, 0, batch);
    follow(l, X, points, x, batch + depth, x->rank - batch - depth);
    for (int i = 0; i < depth; i++) look_up_axis(l, x, batch + i);
    l->index_stride = index->strides[points];
}

static void plan(TnCall *call) {
    const TnTensor *y = &call->operands[Y];
    int64_t elements = tensor_elements(y), size = (int64_t)tn_dtype_size((TnDType)y->dtype);
    call->tile[0] = TASK_BYTES / size;
    call->tasks = TN_CEIL_DIV(elements, call->tile[0]);
    call->work = elements;
    call->scratch_bytes = 0;
}

/* Where row i of the table starts. */
static int64_t row_at(const Lookup *l, int k, int64_t i) {
    switch (l->layout) {
    case TN_LAYOUT_PANELS16: return tn_panels_index(l->panel_rows, 0, i);
    case TN_LAYOUT_PAIRS16: return tn_pairs_index(l->panel_rows, 0, i);
    default: return tn_is_records(l->layout) ? i /* the row, not its place */ : i * l->stride[k];
    }
}

/* Element offset that the indices at `offset` of the index
 * tensor add in x; -1 if one is out of range. */
static int64_t resolve(const TnCall *call, const Lookup *l, int64_t offset) {
    int64_t sum = 0;
    for (int k = 0; k < l->depth; k++) {
        int64_t i =
            read_index(call, &call->operands[INDEX], offset + k * l->index_stride, l->bound[k]);
        if (i < 0) return -1;
        sum += row_at(l, k, i);
    }
    return sum;
}

static void copy_strided(char *y, int64_t sy, const char *x, int64_t sx, int64_t n, size_t size) {
    if (sy == 1 && sx == 1) {
        memcpy(y, x, (size_t)n * size);
    } else if (size == 4) {
        for (int64_t i = 0; i < n; i++) memcpy(y + i * sy * 4, x + i * sx * 4, 4);
    } else {
        int64_t step = (int64_t)size;
        for (int64_t i = 0; i < n; i++) memcpy(y + i * sy * step, x + i * sx * step, size);
    }
}

/* Elements from number `first` on of a row at x, in pairs. */
static void copy_pairs(char *y, int64_t sy, const char *x, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * sy * 2, x + tn_pairs_index(0, first + i, 0) * 2, 2);
}

/* The same of row `row` of a table in records. */
static void copy_records(float *y, int64_t sy, const Lookup *l, const char *x, int64_t row,
                         int64_t first, int64_t n) {
    int64_t panel = tn_packed_elements(l->layout, l->panel_rows, TN_PANEL) * 4;
    const unsigned char *from = (const unsigned char *)x + row / TN_PANEL * panel;
    for (int64_t i = 0; i < n; i++)
        y[i * sy] = record_element(from, l->layout, (uint64_t)(first + i), row % TN_PANEL);
}

static void zero_strided(char *y, int64_t sy, int64_t n, size_t size) {
    for (int64_t i = 0; i < n; i++) memset(y + i * sy * (int64_t)size, 0, size);
}

/* n elements of one row from column `column` on. */
static void gather_row(const TnCall *call, const Lookup *l, const LoopAt *at, int64_t column,
                       int64_t n) {
    int last = l->loop.rank - 1;
    const size_t size = l->size;
    int64_t sx = l->loop.strides[X][last], si = l->loop.strides[INDEX][last];
    int64_t sy = l->loop.strides[Y][last], run = si == 0 ? n : 1;
    const char *x = call->operands[X].data;
    char *y = call->operands[Y].data;
    if (si == 0 && sy == 1 && sx == 1 && l->layout == TN_LAYOUT_STRIDED) { /* as embeddings are */
        const int64_t found = resolve(call, l, at->offset[INDEX]);
        char *to = y + (at->offset[Y] + column) * (int64_t)size;
        if (found >= 0)
            memcpy(to, x + (at->offset[X] + found + column) * (int64_t)size, (size_t)n * size);
        else
            memset(to, 0, (size_t)n * size);
        return;
    }
    for (int64_t i = column; i < column + n; i += run) {
        char *to = y + (at->offset[Y] + i * sy) * (int64_t)size;
        int64_t found = resolve(call, l, at->offset[INDEX] + i * si);
        if (found < 0)
            zero_strided(to, sy, run, size);
        else if (l->layout == TN_LAYOUT_PAIRS16 && sx)
            copy_pairs(to, sy, x + (at->offset[X] + found) * 2, i, run);
        else if (tn_is_records(l->layout))
            copy_records((float *)(void *)to, sy, l, x, found, sx ? i : 0, run);
        else
            copy_strided(to, sy, x + (at->offset[X] + found + i * sx) * (int64_t)size, sx, run,
                         size);
    }
}

static void run(const TnCall *call, int64_t task, LookupFn *look_up) {
    const TnTensor *y = &call->operands[Y];
    Lookup l;
    memset(&l, 0, offsetof(Lookup, loop));
    l.size = tn_dtype_size((TnDType)y->dtype);
    loop_over(&l.loop, y);
    loop_add_still(&l.loop, 3);
    follow(&l, Y, 0, y, 0, y->rank);
    look_up(call, &l);
    loop_collapse(&l.loop);

    int outer = l.loop.rank - 1;
    int64_t columns = l.loop.dims[outer], elements = loop_points(&l.loop, l.loop.rank);
    int64_t i = task * call->tile[0], column = i % columns;
    int64_t last = i + call->tile[0] < elements ? i + call->tile[0] : elements;
    LoopAt at;
    loop_seek(&l.loop, outer, i / columns, &at);
    for (int64_t n; i < last; i += n, column = 0, loop_next(&l.loop, outer, &at)) {
        n = columns - column < last - i ? columns - column : last - i;
        gather_row(call, &l, &at, column, n);
    }
}

void TN_FN(gather_plan)(TnCall *call) {
    plan(call);
}

void TN_FN(gather_run)(const TnCall *call, int64_t task, void *scratch) {
    (void)scratch;
    run(call, task, lookup_gather);
}

void TN_FN(gather_elements_plan)(TnCall *call) {
    plan(call);
}

void TN_FN(gather_elements_run)(const TnCall *call, int64_t task, void *scratch) {
    (void)scratch;
    run(call, task, lookup_gather_elements);
}

void TN_FN(gather_nd_plan)(TnCall *call) {
    plan(call);
}

void TN_FN(gather_nd_run)(const TnCall *call, int64_t task, void *scratch) {
    (void)scratch;
    run(call, task, lookup_gather_nd);
}
