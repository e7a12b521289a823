/* attention: o[b,s,h,e] = softmax(scale q[b,s,h,d] k[b,t,g,d]' + biases, masked) v[b,t,g,e]; h / g
 * heads share a kv head. The exact meaning of masks: attention_softmax.c.
 *
 *     task = (batch entry, kv head, run of rows), rows = queries of all heads sharing the kv head
 *
 *     k' is packed into panels of 16 keys once per task; v too, unless its rows serve in place
 *     for each block of 12 .. 96 rows:
 *         scores[rows, t] = q k'        tiles of gemm.h
 *         softmax, row by row           in cache
 *         o = scores v / sum            wide tiles: few rows, all of e
 *
 *     scratch = panels of k | of v | scores of a block | rows of the biases | allowed keys | 1 /
 * sums
 *
 * Packed keys (`starts`) are planned for entries of the most rows that there may be and run as what
 * each entry is: a batch of one.
 *
 * Only keys that some row of the block may see are packed and multiplied, where skipping the others
 * is exact: a run of them, and the sinks of a band before it. Few rows (decoding) take k in place
 * by dot products: packing would cost more than it saves. */
#include <string.h>
#include "runtime/kernels/attention.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(attention);

enum { SPLITS, BLOCK_ROWS, PACK_K, PACK_V }; /* call->tile[] */
enum {
    FLAT_ROWS = 4,
    CACHED_KEYS = 512, /* whose panels stay in cache, so that packing them costs less */
    MIN_ROWS = 12,
    MAX_ROWS = 96,
    SCORES = 32 * 1024 /* floats of a block, about */
};

static int64_t round_up(int64_t x) {
    return TN_CEIL_DIV(x, TN_PANEL) * TN_PANEL;
}

/* Floats of a row of scores: a gap for vectors that run over the end. */
static int64_t stride_of(int64_t keys) {
    return round_up(keys) + TN_PANEL;
}

static bool has_bias(const Attention *a) {
    return a->in[BIAS].data || a->in[MORE_BIAS].data;
}

/* A bias whose rows have no stride of 1 is copied row by row. */
static bool is_copied(const TnTensor *bias) {
    return bias->data && bias->strides[3] != 1;
}

static Attention attention_of(const TnCall *call) {
    Attention a = {.p = *(const ParamsAttention *)call->params,
                   .offset = call->scalars[0],
                   .out = call->operands[call->inputs]};
    for (int i = 0; i < call->inputs; i++) {
        a.in[i] = call->operands[i];
        for (int axis = 0; axis < a.in[i].rank; axis++)
            if (a.in[i].dims[axis] == 1) a.in[i].strides[axis] = 0;
    }
    a.batch = a.out.dims[0];
    a.queries = a.out.dims[1];
    a.heads = a.out.dims[2];
    a.width = a.out.dims[3];
    a.depth = a.in[Q].dims[3];
    a.keys = a.in[K].dims[1];
    a.kv_heads = a.in[K].dims[2];
    if (a.in[STARTS].data) {
        a.batch = a.in[STARTS].dims[0] - 1;
        a.keys = call->scalars[1];
        a.packed = a.p.flags & TN_ATTENTION_PACKED;
        if (a.packed) a.queries = a.keys;
    }
    a.stride = stride_of(a.keys);
    a.ranged = (a.p.flags & TN_ATTENTION_CAUSAL) || a.p.window_left >= 0 || a.p.window_right >= 0;
    a.band = a.ranged && a.p.flags & TN_ATTENTION_BAND;
    a.sinks = a.band ? call->scalars[1] : 0;
    a.skippable =
        a.p.mask_value <= MASKED_BELOW && !(a.p.flags & TN_ATTENTION_BIAS_LAST && has_bias(&a));
    for (int i = 0; i < 2; i++)
        if (a.p.bias_scale[i] == 0) a.p.bias_scale[i] = 1;
    return a;
}

static void skip_rows(TnTensor *t, int64_t rows, size_t size) {
    if (t->data) t->data = (char *)t->data + rows * t->strides[1] * (int64_t)size;
}

/* What is left of packed operands is entry b; false if it is not where it can be. */
static bool take_entry(const TnCall *call, Attention *a, int64_t b) {
    const int64_t *starts = a->in[STARTS].data, rows = a->in[K].dims[1];
    if (!starts) return true;
    int64_t start = starts[b], end = starts[b + 1];
    if (starts[0] != 0 || start < 0 || end < start || end > rows || end - start > a->keys ||
        starts[a->batch] != rows) {
        tn_fault(call, end, rows);
        return false;
    }
    a->keys = end - start;
    a->stride = stride_of(a->keys);
    skip_rows(&a->in[K], start, sizeof(float));
    skip_rows(&a->in[V], start, sizeof(float));
    skip_rows(&a->in[KEY_MASK], start, 1);
    if (!a->packed) return true;
    a->queries = a->keys;
    skip_rows(&a->in[Q], start, sizeof(float));
    skip_rows(&a->in[QUERY_MASK], start, 1);
    skip_rows(&a->out, start, sizeof(float));
    a->out.strides[0] = 0;
    return true;
}

/* Rows of a task's kv head: queries of one head after another. With a single query, the heads
 * themselves are the rows. */
static int64_t rows_of(const Attention *a) {
    return a->heads / a->kv_heads * a->queries;
}

/* Where things are in scratch, in floats. */
typedef struct Parts {
    int64_t k, v, scores, bias, allowed, inverse, end;
} Parts;

static Parts parts_of(const Attention *a, const TnCall *call) {
    Parts p = {0};
    p.v = p.k + (call->tile[PACK_K] ? round_up(a->keys) * a->depth : 0);
    p.scores = p.v + (call->tile[PACK_V] ? a->keys * round_up(a->width) : 0);
    p.bias = p.scores + call->tile[BLOCK_ROWS] * a->stride;
    bool copied = is_copied(&a->in[BIAS]) || is_copied(&a->in[MORE_BIAS]);
    p.allowed = p.bias + (copied ? 2 * a->stride : 0);
    p.inverse = p.allowed + (a->in[KEY_MASK].data ? a->stride : 0);
    p.end = p.inverse + MAX_ROWS;
    return p;
}

/* Keys that a block of rows has to do with, as a rule. */
static int64_t reach_of(const Attention *a) {
    bool both = (a->p.flags & TN_ATTENTION_CAUSAL) || a->p.window_right >= 0;
    int64_t right = a->p.window_right > 0 ? a->p.window_right : 0;
    if (!both || a->p.window_left < 0) return a->keys;
    int64_t reach = a->sinks + a->p.window_left + right + MAX_ROWS;
    return reach < a->keys ? reach : a->keys;
}

void TN_FN(attention_plan)(TnCall *call) {
    Attention a = attention_of(call);
    call->tasks = 0;
    if (a.batch == 0 || a.queries == 0 || a.heads == 0 || a.width == 0) return;
    int64_t block = SCORES / round_up(reach_of(&a) + 1) / MIN_ROWS * MIN_ROWS;
    Attention usual = a; /* entries of packed keys as they are on average */
    if (a.in[STARTS].data) usual.keys = TN_CEIL_DIV(a.in[K].dims[1], a.batch);
    if (a.packed) usual.queries = usual.keys;
    int64_t units = a.batch * a.kv_heads, rows = rows_of(&usual), reach = reach_of(&usual);
    double cells = (double)units * (double)reach * (double)(a.depth + a.width);
    double ns = 2 * cells * (double)rows / TILE_FLOPS_PER_NS + cells / 4 + 500 * (double)units;
    call->tile[BLOCK_ROWS] = block < MIN_ROWS ? MIN_ROWS : block > MAX_ROWS ? MAX_ROWS : block;
    call->tile[PACK_K] = rows > (a.keys > CACHED_KEYS ? 16 : 8);
    bool crowded = a.keys > 128 * TN_FN(tile_kernels).wide.panels ||
                   a.in[V].strides[1] * (int64_t)sizeof(float) % 2048 == 0;
    call->tile[PACK_V] = a.width % TN_PANEL != 0 || (crowded && rows > MIN_ROWS);
    bool packs = call->tile[PACK_K] || call->tile[PACK_V]; /* in each split anew */
    int64_t splits = TN_CEIL_DIV(tile_tasks(ns), units),
            most = rows / (packs ? MAX_ROWS : FLAT_ROWS);
    if (most < 1) most = 1;
    call->tile[SPLITS] = splits < most ? splits : most;
    call->tasks = units * call->tile[SPLITS];
    call->work = (int64_t)ns;
    call->scratch_bytes = (size_t)parts_of(&a, call).end * sizeof(float);
}

/* A task: one kv head of one batch entry. */
typedef struct Unit {
    const Attention *a;
    const TnCall *call;
    int64_t b;
    const float *k, *v;         /* of this kv head; v may be packed */
    int64_t packed[2];          /* keys that are packed, multiples of 16: [begin, end) */
    float *k_panels, *v_panels; /* NULL: in place */
    float *scores, *bias, *inverse;
    Keys keys;
} Unit;

static void pack_range(Unit *u, int64_t t0, int64_t t1) {
    const Attention *a = u->a;
    const int64_t *ks = a->in[K].strides, *vs = a->in[V].strides;
    for (int64_t t = t0; t < t1; t += TN_PANEL) {
        int64_t n = a->keys - t < TN_PANEL ? a->keys - t : TN_PANEL;
        if (u->k_panels)
            TN_FN(tile_pack)(u->k_panels + t * a->depth, u->k + t * ks[1], 1, ks[1], a->depth, n);
        if (!u->v_panels) continue;
        for (int64_t e = 0; e < a->width; e += TN_PANEL) {
            int64_t cols = a->width - e < TN_PANEL ? a->width - e : TN_PANEL;
            TN_FN(tile_pack)
            (u->v_panels + e * a->keys + t * TN_PANEL, u->v + t * vs[1] + e, vs[1], 1, n, cols);
        }
    }
}

/* Packs what is not yet packed of keys [t0, t1). */
static void pack(Unit *u, int64_t t0, int64_t t1) {
    t0 = t0 / TN_PANEL * TN_PANEL;
    t1 = round_up(t1);
    if (u->packed[0] >= u->packed[1]) u->packed[0] = u->packed[1] = t0;
    if (t0 < u->packed[0]) {
        pack_range(u, t0, u->packed[0]);
        u->packed[0] = t0;
    }
    if (t1 > u->packed[1]) {
        pack_range(u, u->packed[1], t1);
        u->packed[1] = t1;
    }
}

/* A block of rows with one stride: queries of one head, or the heads of a single query. */
typedef struct Block {
    int64_t h, i, rows; /* the first row */
    int64_t q_row, o_row;
    const float *q;
    float *o;
    int64_t t0, t1; /* keys in use, ... */
    int64_t sinks;  /* and these before them */
} Block;

static Row row_of(const Unit *u, const Block *block, int64_t r) {
    bool by_head = u->a->queries == 1;
    return TN_FN(attention_row)(u->a, &u->keys, u->b, block->h + (by_head ? r : 0),
                                block->i + (by_head ? 0 : r));
}

static void scores_by_tiles(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    const Attention *a = u->a;
    TileShape shape = tile_shape(block->rows, block->q_row);
    int64_t tiles = TN_CEIL_DIV(block->rows, shape.rows), first = t0 / TN_PANEL,
            last = TN_CEIL_DIV(t1, TN_PANEL);
    Tile t = {.k = a->depth,
              .a_row = block->q_row,
              .b_row = TN_PANEL,
              .b_panel = a->depth * TN_PANEL,
              .c_row = a->stride};
    for (int64_t p = first; p < last; p += shape.panels) {
        int64_t panels = last - p < shape.panels ? last - p : shape.panels;
        t.b = u->k_panels + p * t.b_panel;
        t.prefetch = (const char *)t.b;
        for (int64_t i = 0; i < tiles; i++) {
            int64_t r = deal(block->rows, tiles, i);
            t.a = block->q + r * block->q_row;
            t.c = u->scores + r * t.c_row + p * TN_PANEL;
            TN_FN(tile_kernels).tile[panels][deal(block->rows, tiles, i + 1) - r](&t);
        }
    }
}

/* Each key passes by once for `rows` rows from r on. */
ALWAYS_INLINE void dots(const Unit *u, const Block *block, int64_t r, int64_t t0, int64_t t1,
                        int rows) {
    const int64_t depth = u->a->depth, stride = u->a->in[K].strides[1], q_row = block->q_row;
    const float *q = block->q + r * q_row, *k = u->k + t0 * stride;
    float *scores = u->scores + r * u->a->stride;
    for (int64_t t = t0; t < t1; t++, k += stride) {
        vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
        int64_t d = 0;
        for (; d + VF_WIDTH <= depth; d += VF_WIDTH) {
            const vf key = vf_load(k + d);
            UNROLL for (int i = 0; i < rows; i++) {
                sum[i] = vf_fma(vf_load(q + i * q_row + d), key, sum[i]);
            }
        }
        if (d < depth) {
            const vf key = vf_load_n(k + d, depth - d);
            UNROLL for (int i = 0; i < rows; i++) {
                sum[i] = vf_fma(vf_load_n(q + i * q_row + d, depth - d), key, sum[i]);
            }
        }
        UNROLL for (int i = 0; i < rows; i++) {
            scores[i * u->a->stride + t] = vf_sum(sum[i]);
        }
    }
}

static void scores_by_dots(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    int64_t r = 0;
    for (; r + 4 <= block->rows; r += 4) dots(u, block, r, t0, t1, 4);
    for (; r < block->rows; r++) dots(u, block, r, t0, t1, 1);
}

/* o = inverse[r] * tile, columns 0..cols-1; or added to o. */
static void store_rows(const float *tile, int64_t tile_row, int64_t rows, int64_t cols,
                       const float *inverse, float *o, int64_t o_row, bool add) {
    for (int64_t r = 0; r < rows; r++, tile += tile_row, o += o_row) {
        const vf factor = vf_set1(inverse[r]);
        int64_t n = 0;
        for (; n + VF_WIDTH <= cols; n += VF_WIDTH) {
            vf y = vf_mul(factor, vf_load(tile + n));
            vf_store(o + n, add ? vf_add(y, vf_load(o + n)) : y);
        }
        if (n == cols) continue;
        vf y = vf_mul(factor, vf_load(tile + n));
        vf_store_n(o + n, add ? vf_add(y, vf_load_n(o + n, cols - n)) : y, cols - n);
    }
}

static void weigh_values(const Unit *u, const Block *block, int64_t t0, int64_t t1, bool add) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    const Attention *a = u->a;
    const TileKernels *kernels = &TN_FN(tile_kernels);
    const TileShape shape = block->rows <= FLAT_ROWS ? kernels->flat : kernels->wide;
    int64_t tiles = TN_CEIL_DIV(block->rows, shape.rows), all = TN_CEIL_DIV(a->width, TN_PANEL);
    Tile t = {.k = t1 - t0, .a_row = a->stride, .c = buffer};
    t.b_row = u->v_panels ? TN_PANEL : a->in[V].strides[1];
    t.b_panel = u->v_panels ? a->keys * TN_PANEL : TN_PANEL;
    for (int64_t p = 0; p < all; p += shape.panels) {
        int64_t panels = all - p < shape.panels ? all - p : shape.panels, e = p * TN_PANEL;
        int64_t cols = a->width - e < panels * TN_PANEL ? a->width - e : panels * TN_PANEL;
        t.b = (u->v_panels ? u->v_panels : u->v) + p * t.b_panel + t0 * t.b_row;
        t.prefetch = (const char *)t.b;
        t.c_row = panels * TN_PANEL;
        for (int64_t i = 0; i < tiles; i++) {
            int64_t r = deal(block->rows, tiles, i), rows = deal(block->rows, tiles, i + 1) - r;
            t.a = u->scores + r * t.a_row + t0;
            kernels->tile[panels][rows](&t);
            store_rows(buffer, t.c_row, rows, cols, u->inverse + r, block->o + r * block->o_row + e,
                       block->o_row, add);
        }
    }
}

static void scores_of(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    if (u->k_panels)
        scores_by_tiles(u, block, t0, t1);
    else
        scores_by_dots(u, block, t0, t1);
}

/* Scores and their softmax over the keys in use; false if some row needs all that exist. */
static bool probabilities(Unit *u, const Block *block, bool full) {
    pack(u, block->t0, block->t1);
    if (block->sinks) scores_of(u, block, 0, block->sinks);
    scores_of(u, block, block->t0, block->t1);
    for (int64_t r = 0; r < block->rows; r++) {
        Row row = row_of(u, block, r);
        if (!TN_FN(attention_softmax)(u->a, &u->keys, &row, u->scores + r * u->a->stride, block->t0,
                                      block->t1, full, u->bias, &u->inverse[r]))
            return false;
    }
    return true;
}

/* The keys in use: all that exist for some row, or all that some row may see. */
static void choose_keys(const Unit *u, Block *block, bool full) {
    block->t0 = u->a->keys;
    block->t1 = 0;
    for (int64_t r = 0; r < block->rows; r++) {
        Row row = row_of(u, block, r);
        int64_t first = full ? row.from : row.first, end = full ? row.to : row.end;
        if (first < block->t0) block->t0 = first;
        if (end > block->t1) block->t1 = end;
    }
    block->sinks = u->a->sinks;
    if (block->t0 <= block->sinks + TN_PANEL) block->t0 = block->sinks = 0;
    if (block->t1 < block->t0) block->t1 = block->t0;
}

static void run_block(Unit *u, Block *block) {
    bool full = false;
    for (int64_t r = 0; r < block->rows && !full; r++) {
        Row row = row_of(u, block, r);
        bool masked = row.first > row.from || row.end < row.to || u->keys.gaps || row.blind;
        full = row.blind || (masked && !u->a->skippable);
    }
    choose_keys(u, block, full);
    if (!probabilities(u, block, full)) {
        choose_keys(u, block, true);
        probabilities(u, block, true);
    }
    if (block->sinks) weigh_values(u, block, 0, block->sinks, false);
    weigh_values(u, block, block->t0, block->t1, block->sinks > 0);
}

/* Without keys there is nothing to sum. */
static void clear_rows(const Block *block, int64_t width) {
    for (int64_t r = 0; r < block->rows; r++)
        memset(block->o + r * block->o_row, 0, (size_t)width * sizeof *block->o);
}

static Unit unit_of(const TnCall *call, const Attention *a, int64_t b, int64_t g, float *scratch) {
    Parts parts = parts_of(a, call);
    Unit u = {.a = a, .call = call, .b = b};
    u.k = (const float *)a->in[K].data + b * a->in[K].strides[0] + g * a->in[K].strides[2];
    u.v = (const float *)a->in[V].data + b * a->in[V].strides[0] + g * a->in[V].strides[2];
    u.k_panels = call->tile[PACK_K] ? scratch + parts.k : NULL;
    u.v_panels = call->tile[PACK_V] ? scratch + parts.v : NULL;
    u.scores = scratch + parts.scores;
    u.bias = scratch + parts.bias;
    u.inverse = scratch + parts.inverse;
    u.keys = TN_FN(attention_keys)(a, b, scratch + parts.allowed);
    if (a->sinks) pack_range(&u, 0, round_up(a->sinks));
    return u;
}

void TN_FN(attention_run)(const TnCall *call, int64_t task, void *scratch) {
    Attention a = attention_of(call);
    int64_t splits = call->tile[SPLITS], split = task % splits, g = task / splits % a.kv_heads,
            b = task / splits / a.kv_heads;
    if (!take_entry(call, &a, b)) return;
    Unit u = unit_of(call, &a, b, g, scratch);
    const int64_t *qs = a.in[Q].strides, *os = a.out.strides;
    bool by_head = a.queries == 1;
    int64_t rows = rows_of(&a), r = deal(rows, splits, split), end = deal(rows, splits, split + 1);
    while (r < end) {
        /* As many rows as follow in this head, in even blocks. */
        int64_t left = by_head ? end - r : a.queries - r % a.queries;
        if (left > end - r) left = end - r;
        Block block = {.h = g * (a.heads / a.kv_heads) + r / a.queries, .i = r % a.queries};
        block.rows = TN_CEIL_DIV(left, TN_CEIL_DIV(left, call->tile[BLOCK_ROWS]));
        block.q_row = qs[by_head ? 2 : 1];
        block.o_row = os[by_head ? 2 : 1];
        block.q = (const float *)a.in[Q].data + b * qs[0] + block.i * qs[1] + block.h * qs[2];
        block.o = (float *)a.out.data + b * os[0] + block.i * os[1] + block.h * os[2];
        if (a.keys == 0)
            clear_rows(&block, a.width);
        else
            run_block(&u, &block);
        r += block.rows;
    }
}
