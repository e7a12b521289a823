/* A block of rows of attention: scores, softmax and sums of the keys in use.
 *
 * Skipping masked keys is tried first, where it may be exact. If the softmax finds that it is not
 * (a row whose allowed scores are no larger than what masked keys count as), the block is done
 * again over all keys that exist for some row. */
#include <string.h>
#include "runtime/kernels/attention.h"
#include "runtime/kernels/bf16.h"

static Row row_of(const Unit *u, const Block *block, int64_t r) {
    bool by_head = u->a->queries == 1;
    return tn_attention_row(u->a, &u->keys, u->b, block->h + (by_head ? r : 0),
                            block->i + (by_head ? 0 : r));
}

/* As many rows as may differ in the keys that they see. */
static int64_t kinds_of_rows(const Unit *u, const Block *block) {
    return u->a->alike ? 1 : block->rows;
}

static void scores_of(Unit *u, const Block *block) {
    const int64_t end = block->t1 < u->a->keys ? block->t1 : u->a->keys;
    tn_attention_pack(u, block->t0, block->t1);
    if (block->sinks) tn_attention_scores(u, block, 0, block->sinks);
    tn_attention_scores(u, block, block->t0, end);
    for (int64_t r = 0; r < block->rows && u->a->p.softcap != 0; r++) {
        float *scores = u->scores + r * u->a->stride;
        /* none twice: sinks are apart by more than a panel, which a vector may write beyond them */
        if (block->sinks) u->a->isa->attention->cap(u->a, scores, 0, block->sinks);
        u->a->isa->attention->cap(u->a, scores, block->t0, end);
    }
}

/* Scores and their softmax over the keys in use; false if some row needs all that exist. */
static bool probabilities(Unit *u, const Block *block, Row *rows, bool full) {
    const AttentionKernels *kernels = u->a->isa->attention;
    scores_of(u, block);
    int64_t r = 0;
    if (kernels->are_runs(u->a, &u->keys, full)) {
        rows->h = block->h;
        rows->i = block->i;
        r = block->rows / 4 * 4;
        if (r && !kernels->softmax_runs(u->a, &u->keys, rows, r, u->scores, block->t0, block->t1,
                                        u->inverse))
            return false;
    }
    const bool alike = u->a->alike, by_head = u->a->queries == 1;
    for (; r < block->rows; r++) {
        Row *row = rows + (alike ? 0 : r);
        row->h = block->h + (by_head ? r : 0);
        row->i = block->i + (by_head ? 0 : r);
        if (!kernels->softmax(u->a, &u->keys, row, u->scores + r * u->a->stride, block->t0,
                              block->t1, full, u->bias, &u->inverse[r]))
            return false;
    }
    return true;
}

/* The keys in use: all that exist for some row, or all that some row may see. */
static void choose_keys(const Unit *u, Block *block, const Row *rows, bool full) {
    block->t0 = u->a->keys;
    block->t1 = 0;
    for (int64_t r = 0; r < kinds_of_rows(u, block); r++) {
        int64_t first = full ? rows[r].from : rows[r].first, end = full ? rows[r].to : rows[r].end;
        if (first < block->t0) block->t0 = first;
        if (end > block->t1) block->t1 = end;
    }
    block->sinks = u->a->sinks;
    if (block->t0 <= block->sinks + TN_PANEL) block->t0 = block->sinks = 0;
    if (block->t1 < block->t0) block->t1 = block->t0;
    if (u->a->v_pairs) {
        block->t0 -= block->t0 % 2;
        block->t1 += block->t1 % 2;
    }
}

/* Without keys there is nothing to sum. */
static void clear_rows(const Block *block, bool bf16, int64_t width) {
    for (int64_t r = 0; r < block->rows; r++)
        memset(float_at(block->o, bf16, r * block->o_row), 0, (size_t)(width * float_size(bf16)));
}

void tn_attention_block(Unit *u, Block *block) {
    const int64_t unit = u->a->v_pairs ? 2 : 1; /* of keys that are summed */
    Row rows[ATTENTION_MAX_ROWS];
    bool full = false;
    if (u->a->keys == 0) {
        clear_rows(block, u->a->out_bf16, u->a->width);
        return;
    }
    for (int64_t r = 0; r < kinds_of_rows(u, block); r++) {
        Row *row = &rows[r];
        *row = row_of(u, block, r);
        full |= row->blind || (attention_is_masked(&u->keys, row) && !u->a->skippable);
    }
    choose_keys(u, block, rows, full);
    if (!probabilities(u, block, rows, full)) {
        choose_keys(u, block, rows, true);
        probabilities(u, block, rows, true);
    }
    tn_attention_values(u, block, TN_CEIL_DIV(block->sinks, unit) * unit, block->t0, block->t1);
}
