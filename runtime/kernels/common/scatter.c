/* scatter_elements, scatter_nd: x with elements at positions read from an integer tensor replaced
 * by, or combined with, those of u.
 *
 *     scatter_elements  y[i with its component along `axis` replaced by index[i]] op= u[i]
 *     scatter_nd        y[index[..i, 0], index[..i, 1], .., ..r] op= u[..i, ..r]
 *
 * Both are one loop over u in row-major order, so where updates meet the last one wins, or they are
 * combined in that order: y has a stride of 0 along axes that an index stands for, the index tensor
 * along those it does not depend on, and every point adds index * stride for each looked-up axis of
 * y. Tasks divide an axis of y that no index stands for: every element belongs to one task,
 * whatever the number of threads. Without such an axis there is one task. A task first copies its
 * part of x, unless y is x (in place). An index outside its axis is reported by tn_fault and its
 * update left out. */
#include <string.h>
#include "runtime/instrs.h"
#include "runtime/kernels/family.h"
#include "runtime/kernels/lookup.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

TN_COMMON_FAMILY(scatter_elements);
TN_COMMON_FAMILY(scatter_nd);

#define TASK_BYTES 65536
#define MAX_TASKS  16 /* each of them reads all the indices */

enum { X, INDEX, U, Y };

/* Axes [first, first + depth) of y are looked up; along u's axes, `points` come before the rest. */
typedef struct Places {
    int first, depth;
    int shift;            /* axis a of y that is not looked up is axis a + shift of u */
    int64_t index_stride; /* between the components of one look-up */
} Places;

static Places places_of(const TnCall *call) {
    const TnTensor *index = &call->operands[INDEX];
    if (call->opcode == TN_OP_scatter_elements)
        return (Places){.first = (int)((const ParamsScatter *)call->params)->axis, .depth = 1};
    int points = index->rank - 1, depth = (int)index->dims[points];
    return (Places){
        .depth = depth, .shift = points - depth, .index_stride = index->strides[points]};
}

/* The longest axis of y that no index stands for; -1 if there is none. */
static int free_axis(const TnTensor *y, const Places *p) {
    int longest = -1;
    for (int i = 0; i < y->rank; i++) {
        if (i >= p->first && i < p->first + p->depth) continue;
        if (longest < 0 || y->dims[i] > y->dims[longest]) longest = i;
    }
    return longest;
}

static void plan(TnCall *call) {
    const TnTensor *y = &call->operands[Y];
    int64_t elements = tensor_elements(y), bytes = (int64_t)tn_dtype_size((TnDType)y->dtype);
    Places p = places_of(call);
    int axis = free_axis(y, &p);
    call->tile[0] = 0;
    call->tasks = elements > 0;
    call->work = elements / 4 + tensor_elements(&call->operands[U]) * 4;
    call->scratch_bytes = 2 * MAP_BLOCK * sizeof(int64_t);
    if (axis < 0 || elements == 0) return;
    int64_t length = y->dims[axis], slice = elements / length * bytes;
    int64_t part = TN_CEIL_DIV(TASK_BYTES, slice), least = TN_CEIL_DIV(length, MAX_TASKS);
    if (part < least) part = least;
    if (y->strides[axis] == 1) part = TN_CEIL_DIV(part, 64) * 64; /* whole cache lines */
    call->tile[0] = part;
    call->tile[1] = axis;
    call->tasks = TN_CEIL_DIV(length, part);
}

/* The part [first, first + length) of an axis, as far as the tensor has it. */
static void narrow(TnTensor *t, int axis, int64_t first, int64_t length) {
    if (first > t->dims[axis]) first = t->dims[axis];
    if (length > t->dims[axis] - first) length = t->dims[axis] - first;
    t->data = (char *)t->data + first * t->strides[axis] * (int64_t)tn_dtype_size(t->dtype);
    t->dims[axis] = length;
}

static void copy_strided(char *y, int64_t sy, const char *x, int64_t sx, int64_t n, size_t size) {
    int64_t step = (int64_t)size;
    if (sy == 1 && sx == 1)
        memcpy(y, x, (size_t)n * size);
    else
        for (int64_t i = 0; i < n; i++) memcpy(y + i * sy * step, x + i * sx * step, size);
}

static void copy_all(const TnTensor *x, const TnTensor *y) {
    Loop l;
    loop_over(&l, y);
    loop_add(&l, x);
    loop_add(&l, y);
    loop_collapse(&l);
    int last = l.rank - 1;
    size_t size = tn_dtype_size((TnDType)y->dtype);
    LoopAt at;
    loop_start(&l, last, &at);
    for (int64_t i = 0, rows = loop_points(&l, last); i < rows; i++, loop_next(&l, last, &at))
        copy_strided((char *)y->data + at.offset[1] * (int64_t)size, l.strides[1][last],
                     (const char *)x->data + at.offset[0] * (int64_t)size, l.strides[0][last],
                     l.dims[last], size);
}

static MapFn *combining(uint32_t reduction, TnDType t) {
    static const int ops[] = {TN_MAP_COPY, TN_MAP_ADD, TN_MAP_MUL, TN_MAP_MIN, TN_MAP_MAX};
    switch (map_class(t)) {
    case MAP_FLOAT: return TN_FN(map_float_op)(ops[reduction]);
    case MAP_DOUBLE: return tn_map_double(ops[reduction]);
    default: return tn_map_int(ops[reduction], t);
    }
}

/* y[i] op= u[i] for n elements at different places, `function` NULL to replace them. */
static void update(MapFn *function, TnDType t, char *y, int64_t sy, const char *u, int64_t su,
                   int64_t n, void *scratch) {
    int64_t size = (int64_t)tn_dtype_size(t);
    void *mine = scratch, *theirs = (char *)scratch + MAP_BLOCK * sizeof(int64_t);
    const void *operands[] = {mine, theirs, NULL};
    if (!function) {
        copy_strided(y, sy, u, su, n, (size_t)size);
        return;
    }
    for (int64_t i = 0; i < n; i += MAP_BLOCK) {
        int64_t count = n - i < MAP_BLOCK ? n - i : MAP_BLOCK;
        TN_FN(map_load)(mine, y + i * sy * size, t, sy, count);
        TN_FN(map_load)(theirs, u + i * su * size, t, su, count);
        function(mine, operands, count);
        TN_FN(map_fit)(mine, t, count);
        TN_FN(map_store)(y + i * sy * size, t, sy, mine, count);
    }
}

/* Element offset of the look-up at `offset` of the index tensor; -1 if it is out of range. */
static int64_t resolve(const TnCall *call, const Places *p, const TnTensor *index,
                       const TnTensor *y, int64_t offset) {
    int64_t sum = 0;
    for (int k = 0; k < p->depth; k++) {
        int axis = p->first + k;
        int64_t i = read_index(call, index, offset + k * p->index_stride, y->dims[axis]);
        if (i < 0) return -1;
        sum += i * y->strides[axis];
    }
    return sum;
}

/* The loop over u: operand 0 the index tensor, 1 u, 2 y. */
static Loop update_loop(const TnCall *call, const Places *p, const TnTensor *index,
                        const TnTensor *u, const TnTensor *y) {
    Loop l;
    loop_over(&l, u);
    loop_add_still(&l, 3);
    int index_axes = call->opcode == TN_OP_scatter_elements ? index->rank : index->rank - 1;
    for (int i = 0; i < u->rank; i++) l.strides[1][i] = u->strides[i];
    for (int i = 0; i < index_axes; i++) l.strides[0][i] = index->strides[i];
    for (int i = 0; i < y->rank; i++)
        if (i < p->first || i >= p->first + p->depth) l.strides[2][i + p->shift] = y->strides[i];
    loop_collapse(&l);
    return l;
}

static void apply_updates(const TnCall *call, const Places *p, const TnTensor *index,
                          const TnTensor *u, const TnTensor *y, void *scratch) {
    uint32_t reduction = ((const ParamsScatter *)call->params)->reduction;
    TnDType t = (TnDType)y->dtype;
    MapFn *function = reduction == TN_SCATTER_NONE ? NULL : combining(reduction, t);
    int64_t size = (int64_t)tn_dtype_size(t);
    Loop l = update_loop(call, p, index, u, y);
    int outer = l.rank - 1;
    int64_t si = l.strides[0][outer], su = l.strides[1][outer], sy = l.strides[2][outer];
    int64_t n = l.dims[outer], run = si == 0 && sy != 0 ? n : 1;
    LoopAt at;
    loop_start(&l, outer, &at);
    for (int64_t row = 0, rows = n ? loop_points(&l, outer) : 0; row < rows;
         row++, loop_next(&l, outer, &at))
        for (int64_t i = 0; i < n; i += run) {
            int64_t found = resolve(call, p, index, y, at.offset[0] + i * si);
            if (found < 0) continue;
            update(function, t, (char *)y->data + (at.offset[2] + found + i * sy) * size, sy,
                   (const char *)u->data + (at.offset[1] + i * su) * size, su, run, scratch);
        }
}

static void run(const TnCall *call, int64_t task, void *scratch) {
    TnTensor x = call->operands[X], index = call->operands[INDEX], u = call->operands[U],
             y = call->operands[Y];
    Places p = places_of(call);
    if (call->tile[0] > 0) {
        int axis = (int)call->tile[1];
        int64_t first = task * call->tile[0];
        narrow(&x, axis, first, call->tile[0]);
        narrow(&y, axis, first, call->tile[0]);
        narrow(&u, axis + p.shift, first, call->tile[0]);
        if (call->opcode == TN_OP_scatter_elements) narrow(&index, axis, first, call->tile[0]);
    }
    if (x.data != y.data) copy_all(&x, &y);
    apply_updates(call, &p, &index, &u, &y, scratch);
}

void scatter_elements_plan_common(TnCall *call) {
    plan(call);
}

void scatter_elements_run_common(const TnCall *call, int64_t task, void *scratch) {
    run(call, task, scratch);
}

void scatter_nd_plan_common(TnCall *call) {
    plan(call);
}

void scatter_nd_run_common(const TnCall *call, int64_t task, void *scratch) {
    run(call, task, scratch);
}
