/* A result is written once, and where no other operand of its instruction is read or written.
 *
 * Operands are views of buffers, so this is arithmetic of extents and strides once prepare knows
 * them. It is asked in terms of steps, not element by element: a slice of y[4, 6] from column 0 on
 * and one from column 3 on share a range of addresses but, modulo the stride 6, no place. What
 * cannot be told apart like this is refused. */
#include "runtime/runtime.h"

/* No element of a result is written twice: with axes by rising stride, each stride exceeds the
 * reach of those before. */
static bool is_injective(const TnTensor *t) {
    int64_t strides[TN_MAX_RANK], dims[TN_MAX_RANK], reach = 0;
    int n = 0;
    for (int i = 0; i < t->rank; i++) {
        int at = n;
        if (t->dims[i] == 0) return true;
        if (t->dims[i] == 1) continue;
        for (; at > 0 && strides[at - 1] > t->strides[i]; at--) {
            strides[at] = strides[at - 1];
            dims[at] = dims[at - 1];
        }
        strides[at] = t->strides[i];
        dims[at] = t->dims[i];
        n++;
    }
    for (int i = 0; i < n; i++) {
        if (strides[i] <= reach) return false;
        reach += (dims[i] - 1) * strides[i];
    }
    return true;
}

/* Elements [*first, *end) of the buffer that an operand touches; empty if it has none. */
static void touched(const TnTensor *t, int64_t offset, int64_t *first, int64_t *end) {
    *first = offset;
    *end = offset + 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] == 0) {
            *end = offset;
            return;
        }
        *end += (t->dims[i] - 1) * t->strides[i];
    }
}

/* From the first element of `t` behind the last, modulo `step`. */
static int64_t run_within(const TnTensor *t, int64_t step) {
    int64_t run = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->strides[i] % step) run += (t->dims[i] - 1) * t->strides[i];
    return run;
}

/* Slices of one tensor along an axis lie between each other, as the parts of a concat: seen modulo
 * the stride of an axis before that one, b begins where a has ended and ends before it begins
 * again.
 */
static bool lie_between(const TnTensor *a, const TnTensor *b, int64_t b_offset) {
    for (int i = 0; i < a->rank; i++) {
        int64_t step = a->strides[i];
        if (step <= 0) continue;
        int64_t apart = b_offset % step;
        if (apart < 0) apart += step;
        if (run_within(a, step) <= apart && run_within(b, step) <= step - apart) return true;
    }
    return false;
}

/* The axis of the largest stride, apart from those of extent 1; -1: there is none. */
static int widest_axis(const TnTensor *t) {
    int widest = -1;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] > 1 && (widest < 0 || t->strides[i] > t->strides[widest])) widest = i;
    return widest;
}

/* The same where rows are part of larger ones: an axis is left out of both if, without it, all that
 * they touch lies within one of its steps, so that only equal places along it can meet. Neither is
 * empty; b_offset counts from where a begins. */
static bool interleaved(const TnTensor *a, const TnTensor *b, int64_t b_offset) {
    TnTensor x = *a, y = *b;
    while (!lie_between(&x, &y, b_offset)) {
        int64_t x_first, x_end, y_first, y_end;
        int i = widest_axis(&x), j = widest_axis(&y);
        if (i < 0 || j < 0 || x.strides[i] != y.strides[j]) return false;
        x.dims[i] = y.dims[j] = 1;
        touched(&x, 0, &x_first, &x_end);
        touched(&y, b_offset, &y_first, &y_end);
        int64_t first = x_first < y_first ? x_first : y_first, end = x_end > y_end ? x_end : y_end;
        if (end - first > x.strides[i]) return false;
    }
    return true;
}

static bool same_place(const TnTensor *a, int64_t a_offset, const TnTensor *b, int64_t b_offset) {
    if (a_offset != b_offset || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || (a->dims[i] > 1 && a->strides[i] != b->strides[i]))
            return false;
    return true;
}

tenon_status overlap_check(const tenon_session *s, const TnCall *c,
                           const PlanInstruction *instruction, tenon_error *err) {
    const TnInstr *row = tn_instr(c->opcode);
    const int64_t *offsets = s->offsets + (c->operands - s->operands);
    for (int o = c->inputs; o < c->inputs + c->outputs; o++) {
        const PlanView *result = plan_operand(s->plan, instruction, o);
        if (!result || c->operands[o].dtype == TN_NONE) continue;
        if (!is_injective(&c->operands[o]))
            return call_error(s, c->index, err, TENON_E_INVALID,
                              "operand %d is written to itself twice", o);
        for (int i = 0; i < o; i++) {
            const PlanView *other = plan_operand(s->plan, instruction, i);
            int64_t first, end, other_first, other_end;
            if (!other || other->buffer != result->buffer) continue;
            touched(&c->operands[o], offsets[o], &first, &end);
            touched(&c->operands[i], offsets[i], &other_first, &other_end);
            if (first >= other_end || other_first >= end || first == end ||
                other_first == other_end ||
                interleaved(&c->operands[o], &c->operands[i], offsets[i] - offsets[o]))
                continue;
            bool in_place =
                o == c->inputs && i < c->inputs && (row->flags & TN_INPLACE_MASK & 1u << i);
            if (!in_place || !same_place(&c->operands[o], offsets[o], &c->operands[i], offsets[i]))
                return call_error(s, c->index, err, TENON_E_INVALID, "operands %d and %d overlap",
                                  i, o);
        }
    }
    return TENON_OK;
}
