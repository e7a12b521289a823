/* Shared by common/attention.c (tasks), common/attention_blocks.c (blocks of rows),
 * common/attention_masks.c (which keys a row sees), common/attention_products.c (packing and
 * products), attention_rows.c (rows of products) and attention_softmax.c (rows of scores); and, for
 * few keys, by common/attention_lanes.c (panels of queries) and attention_lanes.c (their softmax
 * and sums). */
#ifndef TENON_RUNTIME_KERNELS_ATTENTION_H
#define TENON_RUNTIME_KERNELS_ATTENTION_H

#include <stdbool.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/isa.h"
#include "runtime/params.h"

enum { SPLITS, UNITS, BLOCK_ROWS, PACK_K, PACK_V, LANES }; /* call->tile[] */
enum { Q, K, V, KEY_MASK, QUERY_MASK, BIAS, MORE_BIAS, STARTS, PAST_K, PAST_V, INPUTS };
_Static_assert((int)K == TN_ATTENTION_K && (int)PAST_K == TN_ATTENTION_PAST_K, "as in params.h");

/* A mask_value this small beside an allowed x this large
 * leaves a masked key a probability of exactly 0. */
#define MASKED_BELOW  -1e30f
#define ALLOWED_ABOVE -1e29f

typedef struct Attention {
    const TnIsaKernels *isa;
    int64_t batch, queries, heads, depth; /* b, s, h, d */
    int64_t keys, kv_heads, width;        /* t, g, e */
    int64_t share;                        /* heads of a kv head */
    int64_t past;             /* whole panels of keys that are read where k and v have them from */
    TnTensor in[INPUTS], out; /* strides are 0 along axes of extent 1; absent ones have no data */
    ParamsAttention p;
    int64_t offset, sinks;
    float scale;           /* of scores, unless they are capped, which takes place before */
    int64_t stride;        /* floats from one row of scores, or of biases, to the next */
    bool ranged;           /* which keys a row may see depends on its position: causal or window */
    bool band;             /* ... and no other keys but the first `sinks` exist */
    bool alike;            /* all rows see the same keys */
    bool skippable;        /* what is masked is at most MASKED_BELOW */
    bool packed;           /* queries lie behind one another as packed keys do */
    bool bf16, out_bf16;   /* q, k and v are; o is. Else f32 */
    bool k_pairs, v_pairs; /* ... and are multiplied as pairs of bf16, packed as such or in place */
} Attention;

enum { ATTENTION_FLAT_ROWS = 4, ATTENTION_MAX_ROWS = 96, ATTENTION_FEW_KEYS = 2 };

static inline int64_t attention_round_up(int64_t x) {
    return TN_CEIL_DIV(x, TN_PANEL) * TN_PANEL;
}

/* Keys of a panel of v. */
static inline int64_t attention_v_rows(const Attention *a) {
    return a->v_pairs ? attention_round_up(a->keys) : a->keys;
}

/* Keys from here on are so few for a panel that their scores are dot products with all queries. */
static inline int64_t attention_k_packed(const Attention *a) {
    int64_t whole = a->keys / TN_PANEL * TN_PANEL;
    bool in_place = !a->bf16 || a->k_pairs;
    return in_place && whole > 0 && a->keys - whole <= ATTENTION_FEW_KEYS ? whole : a->keys;
}

/* Which keys the key mask of one batch entry allows. */
typedef struct Keys {
    int64_t first, end; /* none outside [first, end) */
    bool gaps;          /* nor some inside */
    float *allowed;     /* 1 or 0 per key, zeros beyond; NULL without a key mask */
} Keys;

/* A row of scores. */
typedef struct Row {
    int64_t b, h, i;    /* batch entry, head, query */
    int64_t from, to;   /* keys that exist, besides the sinks, which come before: all, or a band */
    int64_t first, end; /* those of them that it may see, if any: those outside are masked */
    bool blind;         /* the query mask or an empty range masks them all */
} Row;

static inline int64_t attention_clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* common/attention_masks.c. `allowed` is room for a->stride floats. */
Keys tn_attention_keys(const Attention *a, int64_t b, float *allowed);
Row tn_attention_row(const Attention *a, const Keys *keys, int64_t b, int64_t h, int64_t i);

/* Whether some key that exists for the row is. */
static inline bool attention_is_masked(const Keys *keys, const Row *row) {
    return row->first > row->from || row->end < row->to || keys->gaps || row->blind;
}

/* At the start of scratch, from one task to the next: whose panels lie there. */
typedef struct Kept {
    int64_t unit; /* counted from 1 */
    int64_t packed[2];
} Kept;

/* Rows of k or v, of one kv head: floats or bf16. */
typedef struct Rows {
    const void *at; /* of key 0 */
    int64_t row;
} Rows;

/* A task: one kv head of one batch entry. */
typedef struct Unit {
    const Attention *a;
    const TnCall *call;
    int64_t b;
    Rows rows_of[2][2];         /* k and v of this kv head; both of its past */
    int64_t packed[2];          /* keys that are packed, multiples of 16: [begin, end) */
    float *k_panels, *v_panels; /* of floats or of pairs; NULL: in place */
    float *rows;                /* room for 16 keys or values, and the block's queries, as floats */
    float *scores, *bias, *inverse, *allowed;
    Keys keys; /* of entry b */
    Kept *kept;
} Unit;

/* Of K or V the rows of keys from `t` on, as far as those of the past or to the end. */
static inline Rows attention_rows_of(const Unit *u, int operand, int64_t t) {
    return u->rows_of[t < u->a->past][operand - K];
}

/* A block of rows with one stride: queries of one head, or the heads of a single query. */
typedef struct Block {
    int64_t h, i, rows; /* the first row */
    int64_t q_row, o_row;
    const void *q; /* floats, or pairs if k is packed as such */
    void *o;
    int64_t t0, t1; /* keys in use, whole pairs if v is in pairs, ... */
    int64_t sinks;  /* and these before them */
} Block;

/* common/attention_blocks.c. Without t0, t1 and sinks, which are found. */
void tn_attention_block(Unit *u, Block *block);

/* common/attention_products.c. What is not yet packed of keys [t0, t1); of all blocks, in any
 * order. */
void tn_attention_pack(Unit *u, int64_t t0, int64_t t1);
void tn_attention_pack_sinks(const Unit *u);
/* Scores of keys [t0, t1) and more, up to the next multiple of 16. */
void tn_attention_scores(const Unit *u, const Block *block, int64_t t0, int64_t t1);
/* o = the weighted sums of values [0, sinks) and [t0, t1). With pairs of v the weights are bf16 by
 * then, and all three even. */
void tn_attention_values(const Unit *u, const Block *block, int64_t sinks, int64_t t0, int64_t t1);

/* Scores of a head, a row of TN_PANEL queries for each key. */
typedef struct Lanes {
    const Attention *a;
    int64_t t0, t1; /* keys in use */
    float *scores;
    const float *bias[2]; /* lie as scores do; NULL: none */
    const float *allowed; /* NULL, or 0 for keys that no query may see */
    const float *seen[2]; /* the first key that each query may see, and the end */
    bool masked;          /* some key in use is, for some query */
    float *inverse;       /* 1 / sum of each query */
} Lanes;

/* common/attention_lanes.c. Whether entries are such, how many floats of scratch they take, and
 * heads [h, end) of entry `b`. */
bool tn_attention_is_lanes(const Attention *a);
int64_t tn_attention_lanes_room(const Attention *a);
void tn_attention_lanes(const Attention *a, int64_t b, int64_t h, int64_t end, float *scratch);

/* attention_lanes.c */
typedef struct AttentionLanes {
    /* scores := exp(x - max x), x as attention_softmax.c says. Whether all queries have a score
     * that is ALLOWED_ABOVE, as they must for keys to be left out. */
    bool (*softmax)(const Lanes *z);
    /* o[e, query] = inverse sum of scores[t, query] v[t, e]. */
    void (*sums)(const Lanes *z, float *o, const float *v, int64_t v_row);
} AttentionLanes;

typedef struct AttentionRows {
    /* scores[i, t] of `rows` queries and n <= 16 keys. */
    void (*dots)(float *scores, int64_t stride, const float *q, int64_t q_row, int64_t rows,
                 const float *k, int64_t k_row, int64_t n, int64_t depth);
    /* One row of sums of n values of bf16 in place, for whole panels of columns. */
    void (*sums)(float *to, int64_t cols, const float *weight, const uint16_t *v, int64_t v_row,
                 int64_t n);
    /* o = inverse[r] * (tile + more), columns e.. of `cols`; more: NULL if there is none. */
    void (*store)(const Unit *u, const Block *block, int64_t r, int64_t rows, float *tile,
                  const float *more, int64_t tile_row, int64_t e, int64_t cols);
} AttentionRows;

typedef struct AttentionKernels {
    const AttentionRows *rows; /* attention_rows.c */
    const AttentionLanes *lanes;
    /* attention_softmax.c */
    void (*cap)(const Attention *a, float *scores, int64_t t0, int64_t t1);
    /* Turns scores q k' of the sinks and of keys [t0, t1) into exp(score - maximum) and returns
     * 1 / sum through `inverse`. With `full`, masks are applied as written, and [t0, t1) has all
     * keys that exist for the row; else masked keys count as impossible, and the result is false
     * (and the scores lost) if the row turns out to need `full`. scores[t] is key t; VF_WIDTH
     * floats beyond t1 are scratch, `bias` is room for a row of each bias. Where v is in pairs, t0
     * and t1 are even, and what comes out is bf16, the first of the row at scores; an odd number of
     * sinks is followed by a 0. */
    bool (*softmax)(const Attention *a, const Keys *keys, const Row *row, float *scores, int64_t t0,
                    int64_t t1, bool full, float *bias, float *inverse);
    /* The same for a number of rows that 4 divides, without `full`: where each sees one run of
     * keys, and biases lie as they are added. One Row if all are alike. */
    bool (*are_runs)(const Attention *a, const Keys *keys, bool full);
    bool (*softmax_runs)(const Attention *a, const Keys *keys, const Row *row, int64_t rows,
                         float *scores, int64_t t0, int64_t t1, float *inverse);
} AttentionKernels;

extern const AttentionRows TN_FN(attention_rows);
extern const AttentionLanes TN_FN(attention_lanes);
extern const AttentionKernels TN_FN(attention_kernels);

#endif
