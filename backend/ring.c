/* Rings: shifts of an axis that cost nothing until an instruction needs the elements.
 *
 * Element i of an axis that is a ring lies where index (from + i) mod period would, 0 <= from <=
 * period, and the axis is at most one turn long. No instruction knows of rings: lower_emit_boxes
 * gives it the elements up to where the ring closes and those behind, as two instructions; a shift
 * of an image by rows and columns makes four.
 *
 *     x[8] shifted by 3:   3 4 5 6 7 | 0 1 2       runs of 5 and 3 elements, starting at 3 and 0
 */
#include "backend/lower.h"

#include <string.h>

bool view_has_ring(const View *v) {
    for (int i = 0; i < v->rank; i++)
        if (v->from[i]) return true;
    return false;
}

/* A ring that does not close within the axis is none. */
static void unroll(Lower *lo, View *v, int axis) {
    const Expr *from = v->from[axis];
    if (!ex_provably_ge(lo->x, v->period[axis], ex_add(lo->x, from, v->dims[axis]))) return;
    v->offset = ex_add(lo->x, v->offset, ex_mul(lo->x, from, v->strides[axis]));
    v->from[axis] = v->period[axis] = NULL;
}

/* Starts the ring `by` elements later; false: it is not known whether it closes before. */
static bool advance(Lower *lo, View *v, int axis, const Expr *by) {
    const Expr *at = ex_add(lo->x, v->from[axis], by), *period = v->period[axis];
    if (ex_provably_ge(lo->x, at, period))
        at = ex_sub(lo->x, at, period);
    else if (!ex_provably_ge(lo->x, period, at))
        return false;
    v->from[axis] = at;
    return true;
}

static bool roll(Lower *lo, View *v, int axis, const Expr *start) {
    if (!v->from[axis]) {
        v->from[axis] = start;
        v->period[axis] = v->dims[axis];
    } else if (v->period[axis] != v->dims[axis] || !advance(lo, v, axis, start)) {
        return false;
    }
    unroll(lo, v, axis);
    return true;
}

bool view_slice_ring(Lower *lo, const View *v, int axis, const Expr *start, const Expr *length,
                     int64_t step, View *out) {
    if (!v->from[axis]) {
        *out = view_slice(lo, v, axis, start, length, step);
        return true;
    }
    *out = *v;
    out->dims[axis] = length;
    if (step != 1 || !advance(lo, out, axis, start)) return false;
    unroll(lo, out, axis);
    return true;
}

bool view_roll(Lower *lo, const View *v, const DimList *starts, bool back, View *out) {
    *out = *v;
    for (int i = 0; i < starts->count; i++) {
        const Expr *start = back ? ex_sub(lo->x, v->dims[i], starts->e[i]) : starts->e[i];
        if (ex_is(starts->e[i], 0)) continue;
        if (!roll(lo, out, i, start)) return false;
    }
    return true;
}

/* Elements before the ring closes. */
static const Expr *closes_after(Lower *lo, const View *v, int axis) {
    const Expr *run = ex_sub(lo->x, v->period[axis], v->from[axis]);
    return v->period[axis] == v->dims[axis] ? run : ex_min(lo->x, run, v->dims[axis]);
}

bool view_rings_meet(Lower *lo, const View *a, const View *b) {
    for (int i = 0; i < a->rank && i < b->rank; i++)
        if (a->from[i] && b->from[i] && closes_after(lo, a, i) != closes_after(lo, b, i))
            return false;
    return true;
}

/* The first `run` elements of an axis or those behind them, where its ring closes if it is one. */
static View part(Lower *lo, const View *v, int axis, const Expr *run, bool behind) {
    const Expr *length = behind ? ex_sub(lo->x, v->dims[axis], run) : run;
    const Expr *start = ex_int(lo->x, 0);
    if (v->from[axis] ? !behind : behind) start = v->from[axis] ? v->from[axis] : run;
    View out = view_slice(lo, v, axis, start, length, 1);
    out.from[axis] = out.period[axis] = NULL;
    return out;
}

typedef struct Boxes {
    Lower *lo;
    TnOpcode kind;
    int inputs, outputs;
    uint32_t walkers;
    const void *params;
    uint32_t params_bytes;
} Boxes;

static void emit_boxes(const Boxes *b, int axis, const View *operand) {
    Lower *lo = b->lo;
    int count = b->inputs + b->outputs, rank = 0;
    const Expr *run = NULL;
    for (int i = 0; i < count; i++) {
        if (!(b->walkers >> i & 1) || operand[i].buffer == TN_NO_ID) continue;
        rank = operand[i].rank;
        if (axis < rank && operand[i].from[axis]) run = closes_after(lo, &operand[i], axis);
    }
    if (axis >= rank) {
        lower_emit(lo, b->kind, b->inputs, operand, b->outputs, operand + b->inputs, b->params,
                   b->params_bytes);
        return;
    }
    if (!run) {
        emit_boxes(b, axis + 1, operand);
        return;
    }
    View *cut = ARENA_ARRAY(&lo->cx->arena, View, (size_t)count);
    for (int behind = 0; behind < 2; behind++) {
        for (int i = 0; i < count; i++) {
            bool walks = (b->walkers >> i & 1) && operand[i].buffer != TN_NO_ID;
            cut[i] = walks ? part(lo, &operand[i], axis, run, behind) : operand[i];
        }
        emit_boxes(b, axis + 1, cut);
    }
}

void lower_emit_boxes(Lower *lo, TnOpcode kind, int inputs, const View *in, int outputs,
                      const View *out, uint32_t walkers, const void *params,
                      uint32_t params_bytes) {
    View operand[TN_MAX_MAP_INPUTS + 2];
    if (inputs) memcpy(operand, in, (size_t)inputs * sizeof *in);
    memcpy(operand + inputs, out, (size_t)outputs * sizeof *out);
    Boxes b = {lo, kind, inputs, outputs, walkers, params, params_bytes};
    emit_boxes(&b, 0, operand);
}
