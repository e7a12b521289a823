/* Marks over the finished list of instructions.
 *
 * In-place: a result takes over the buffer of an operand that nobody reads afterwards.
 *
 * Only where the instruction's row in instrs.def allows it for that operand, both views show the
 * same elements of a whole buffer, in whichever memory order, and the buffer is the arena's own.
 * The two buffers become one; every view of either is a view of that one. A buffer that earlier
 * instructions write too (of a concat, in parts) is none that a result can move out of.
 *
 * Streams: a copy into a result of the function that no instruction reads, but for attention that
 * is told of what was copied (past.c), need not stay in cache. */
#include "backend/lower.h"

static uint32_t root(const Lower *lo, uint32_t b) {
    while (lo->buffers[b].merged != TN_NO_ID) b = lo->buffers[b].merged;
    return b;
}

typedef struct Lifetime {
    size_t first, last; /* instruction; first: plus 1 */
} Lifetime;

static Lifetime *lifetimes(Lower *lo) {
    Lifetime *lives = ARENA_ARRAY(&lo->cx->arena, Lifetime, lo->buffer_count + 1);
    for (size_t i = 0; i < lo->instr_count; i++)
        for (int k = 0; k < lo->instrs[i].inputs + lo->instrs[i].outputs; k++) {
            uint32_t b = lo->instrs[i].operand[k].buffer;
            if (b == TN_NO_ID) continue;
            if (!lives[b].first) lives[b].first = i + 1;
            lives[b].last = i;
        }
    return lives;
}

static bool whole(Lower *lo, const View *v) {
    const Expr *n = ex_int(lo->x, 1);
    IntList order;
    for (int i = 0; i < v->rank; i++) n = ex_mul(lo->x, n, v->dims[i]);
    if (!ex_is(v->offset, 0) || lo->buffers[v->buffer].elements != n || !view_order(lo, v, &order))
        return false;
    View laid = view_permute(v, &order);
    return view_is_dense(lo, &laid);
}

static bool same_elements(const View *a, const View *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || (a->strides[i] != b->strides[i] && !ex_is(a->dims[i], 1)))
            return false;
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
    Lifetime *lives = lifetimes(lo);
    for (size_t i = 0; i < lo->instr_count; i++) {
        LInstr *in = &lo->instrs[i];
        const View *out = &in->operand[in->inputs];
        uint32_t allowed = tn_instr(in->kind)->flags & TN_INPLACE_MASK;
        if (!allowed || out->buffer == TN_NO_ID ||
            lo->buffers[out->buffer].kind != TN_BUFFER_ARENA || lives[out->buffer].first <= i ||
            !whole(lo, out))
            continue;
        for (int k = 0; k < in->inputs && k < 16; k++) {
            const View *v = &in->operand[k];
            if (!(allowed >> k & 1) || v->buffer == TN_NO_ID) continue;
            uint32_t b = root(lo, v->buffer);
            if (lo->buffers[b].kind != TN_BUFFER_ARENA || lives[b].last != i ||
                b == root(lo, out->buffer))
                continue;
            if (!same_elements(v, out) || !whole(lo, v) || !read_once(lo, in, k)) continue;
            lo->buffers[out->buffer].merged = b;
            lives[b].last = lives[out->buffer].last;
            break;
        }
    }
}

/* Whether attention reads what operand k has a copy of where it was copied from. */
static bool is_past(const LInstr *in, int k) {
    return in->kind == TN_OP_attention && in->inputs > TN_ATTENTION_PAST_K &&
           (k == TN_ATTENTION_K || k == TN_ATTENTION_K + 1);
}

void order_streams(Lower *lo) {
    bool *read = ARENA_ARRAY(&lo->cx->arena, bool, lo->buffer_count + 1);
    const int to_past = TN_ATTENTION_PAST_K - TN_ATTENTION_K;
    uint32_t *past = ARENA_ARRAY(&lo->cx->arena, uint32_t, lo->buffer_count + 1); /* plus 1 */
    for (size_t i = 0; i < lo->instr_count; i++) {
        const LInstr *in = &lo->instrs[i];
        for (int k = 0; k < in->inputs; k++) {
            if (in->operand[k].buffer == TN_NO_ID) continue;
            const uint32_t b = root(lo, in->operand[k].buffer);
            if (is_past(in, k))
                past[b] = root(lo, in->operand[to_past + k].buffer) + 1;
            else
                read[b] = true;
        }
    }
    static const ParamsCopy stream = {.stream = 1};
    for (size_t i = 0; i < lo->instr_count; i++) {
        LInstr *in = &lo->instrs[i];
        if (in->kind != TN_OP_copy) continue;
        const uint32_t to = root(lo, in->operand[1].buffer);
        if (lo->buffers[to].kind == TN_BUFFER_OUTPUT && !read[to] &&
            (!past[to] || past[to] == root(lo, in->operand[0].buffer) + 1))
            in->params = &stream;
    }
}
