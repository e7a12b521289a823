/* In-place marks: a result takes over the buffer of an operand that nobody reads afterwards.
 *
 * Only where the instruction's row in instrs.def allows it for that operand, both views are the
 * whole dense buffer, and the buffer is the arena's own. The two buffers become one; every view of
 * either is a view of that one. */
#include "backend/lower.h"

static uint32_t root(const Lower *lo, uint32_t b) {
    while (lo->buffers[b].merged != TN_NO_ID) b = lo->buffers[b].merged;
    return b;
}

static size_t *last_uses(Lower *lo) {
    size_t *last = ARENA_ARRAY(&lo->cx->arena, size_t, lo->buffer_count + 1);
    for (size_t i = 0; i < lo->instr_count; i++)
        for (int k = 0; k < lo->instrs[i].inputs + lo->instrs[i].outputs; k++)
            if (lo->instrs[i].operand[k].buffer != TN_NO_ID)
                last[lo->instrs[i].operand[k].buffer] = i;
    return last;
}

static bool whole(Lower *lo, const View *v) {
    const Expr *n = ex_int(lo->x, 1);
    for (int i = 0; i < v->rank; i++) n = ex_mul(lo->x, n, v->dims[i]);
    return view_is_dense(lo, v) && ex_is(v->offset, 0) && lo->buffers[v->buffer].elements == n;
}

static bool same_shape(const View *a, const View *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

/* The operand's buffer occurs once among the operands: no other input reads it at another place. */
static bool read_once(const Lower *lo, const LInstr *in, int i) {
    for (int k = 0; k < in->inputs; k++)
        if (k != i && in->operand[k].buffer != TN_NO_ID &&
            root(lo, in->operand[k].buffer) == root(lo, in->operand[i].buffer))
            return false;
    return true;
}

void order_in_place(Lower *lo) {
    size_t *last = last_uses(lo);
    for (size_t i = 0; i < lo->instr_count; i++) {
        LInstr *in = &lo->instrs[i];
        const View *out = &in->operand[in->inputs];
        uint32_t allowed = tn_instr(in->kind)->flags & TN_INPLACE_MASK;
        if (!allowed || out->buffer == TN_NO_ID ||
            lo->buffers[out->buffer].kind != TN_BUFFER_ARENA || !whole(lo, out))
            continue;
        for (int k = 0; k < in->inputs && k < 16; k++) {
            const View *v = &in->operand[k];
            if (!(allowed >> k & 1) || v->buffer == TN_NO_ID) continue;
            uint32_t b = root(lo, v->buffer);
            if (lo->buffers[b].kind != TN_BUFFER_ARENA || last[b] != i ||
                b == root(lo, out->buffer))
                continue;
            if (!same_shape(v, out) || !whole(lo, v) || !read_once(lo, in, k)) continue;
            lo->buffers[out->buffer].merged = b;
            last[b] = last[out->buffer];
            break;
        }
    }
}
