/* attention: o[b,s,h,e] = softmax(scale q[b,s,h,d] k[b,t,g,d]' + biases, masked) v[b,t,g,e]; h / g
 * heads share a kv head. The exact meaning of masks: attention_softmax.c.
 *
 *     task = (batch entry, kv head, run of rows), rows = queries of all heads sharing the kv head;
 *            small ones share a task
 *
 *     k' is packed into panels of 16 keys once per task; v too, unless its rows serve in place
 *     for each block of 12 .. 96 rows:
 *         scores[rows, t] = q k'        tiles of gemm.h
 *         softmax, row by row           in cache
 *         o = scores v / sum            wide tiles: few rows, all of e
 *
 *     scratch = whose panels these are | panels of k | of v | rows as floats | scores of a block |
 * rows of the biases | allowed keys | 1 / sums
 *
 * q, k and v are f32 or all bf16 (attention_products.c), o is either. The softmax is one of floats;
 * where v is in pairs, what comes out of it is bf16.
 *
 * Packed keys (`starts`) are planned for entries of the most rows that there may be and run as what
 * each entry is: a batch of one.
 *
 * Where k and v have just been copied from, their first keys are read there: that is in cache, and
 * the copies need not be.
 *
 * Only keys that some row of the block may see are packed and multiplied, where skipping the others
 * is exact: a run of them, and the sinks of a band before it. Few rows (decoding) take k in place
 * by dot products: packing would cost more than it saves. Pairs of v are made of its rows on the
 * way, unless these are far apart. */
#include <string.h>
#include "runtime/kernels/attention.h"
#include "runtime/kernels/bf16.h"

TN_COMMON_FAMILY(attention);

enum {
    FEW_ROWS = 3,      /* for which bf16 is read in place as floats */
    EVEN_TASKS = 16,   /* more of them keep few processors no busier */
    TASK_NS = 4000,    /* of entries that share a task, each of which is less */
    CACHED_KEYS = 512, /* whose panels stay in cache, so that packing them costs less */
    SHORT = 32,        /* dot products that cost less than the sum over lanes that ends them */
    KEYS_PER_ROW = 24, /* of a block, beside which it hardly counts that its rows differ by one */
    MIN_ROWS = 12,
    SCORES = 36 * 1024 /* floats of a block, about */
};

/* Floats of a row of scores: a gap for vectors that run over the end. */
static int64_t stride_of(int64_t keys) {
    return attention_round_up(keys) + TN_PANEL;
}

static bool has_bias(const Attention *a) {
    return a->in[BIAS].data || a->in[MORE_BIAS].data;
}

/* A bias whose rows have no stride of 1 is copied row by row. */
static bool is_copied(const TnTensor *bias) {
    return bias->data && bias->strides[3] != 1;
}

/* A bias by distance, entry j - i + s for query i and key j, as one of pairs whose rows begin each
 * an element before the last. */
static void spread_line(TnTensor *bias, int64_t keys) {
    if (!bias->data || bias->dims[3] == keys) return;
    bias->data = (float *)bias->data + (bias->dims[3] - keys - 1) * bias->strides[3];
    bias->strides[2] = -bias->strides[3];
}

static Attention attention_of(const TnCall *call) {
    Attention a = {.isa = &tn_isa_kernels[call->isa],
                   .p = *(const ParamsAttention *)call->params,
                   .offset = call->scalars[0],
                   .bf16 = call->operands[Q].dtype == TN_BF16,
                   .out_bf16 = call->operands[call->inputs].dtype == TN_BF16,
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
    a.share = a.kv_heads > 0 ? a.heads / a.kv_heads : 0;
    if (a.in[STARTS].data) {
        a.batch = a.in[STARTS].dims[0] - 1;
        a.keys = call->scalars[1];
        a.packed = a.p.flags & TN_ATTENTION_PACKED;
        if (a.packed) a.queries = a.keys;
    }
    spread_line(&a.in[BIAS], a.keys);
    spread_line(&a.in[MORE_BIAS], a.keys);
    const bool pairs = a.bf16 && a.isa->pairs;
    a.v_pairs = pairs && (call->tile[PACK_V] || a.width % PAIRS_IN_PLACE_COLUMNS == 0);
    a.k_pairs = pairs && a.depth % 2 == 0;
    a.scale = a.p.softcap == 0 ? a.p.scale : 1;
    a.stride = stride_of(a.keys);
    a.ranged = (a.p.flags & TN_ATTENTION_CAUSAL) || a.p.window_left >= 0 || a.p.window_right >= 0;
    a.alike = a.queries == 1 || (!a.ranged && !a.in[QUERY_MASK].data);
    a.band = a.ranged && a.p.flags & TN_ATTENTION_BAND;
    a.sinks = a.band ? call->scalars[1] : 0;
    a.skippable =
        a.p.mask_value <= MASKED_BELOW && !(a.p.flags & TN_ATTENTION_BIAS_LAST && has_bias(&a));
    if (a.in[PAST_K].data && !a.in[STARTS].data && !a.band)
        a.past = a.in[PAST_K].dims[1] / TN_PANEL * TN_PANEL;
    for (int i = 0; i < 2; i++)
        if (a.p.bias_scale[i] == 0) a.p.bias_scale[i] = 1;
    return a;
}

static void skip_rows(TnTensor *t, int64_t rows) {
    int64_t size = (int64_t)tn_dtype_size((TnDType)t->dtype);
    if (t->data) t->data = (char *)t->data + rows * t->strides[1] * size;
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
    skip_rows(&a->in[K], start);
    skip_rows(&a->in[V], start);
    skip_rows(&a->in[KEY_MASK], start);
    if (!a->packed) return true;
    a->queries = a->keys;
    skip_rows(&a->in[Q], start);
    skip_rows(&a->in[QUERY_MASK], start);
    skip_rows(&a->out, start);
    a->out.strides[0] = 0;
    return true;
}

/* Rows of a task's kv head: queries of one head after another. With a single query, the heads
 * themselves are the rows. */
static int64_t rows_of(const Attention *a) {
    return a->share * a->queries;
}

/* Where things are in scratch, in floats. */
typedef struct Parts {
    int64_t kept, k, v, rows, scores, bias, allowed, inverse, end;
} Parts;

static Parts parts_of(const Attention *a, const TnCall *call) {
    Parts p = {.kept = 0, .k = TN_PANEL};
    int64_t k = attention_round_up(a->keys) * a->depth,
            v = attention_v_rows(a) * attention_round_up(a->width);
    p.v = p.k + (call->tile[PACK_K] ? k / (a->k_pairs ? 2 : 1) : 0);
    p.rows = p.v + (call->tile[PACK_V] ? v / (a->v_pairs ? 2 : 1) : 0);
    int64_t longest = a->depth > a->width ? a->depth : a->width;
    p.scores = p.rows + (a->bf16 ? TN_PANEL * longest + call->tile[BLOCK_ROWS] * a->depth : 0);
    p.bias = p.scores + call->tile[BLOCK_ROWS] * a->stride;
    bool copied = is_copied(&a->in[BIAS]) || is_copied(&a->in[MORE_BIAS]);
    p.allowed = p.bias + (copied ? 2 * a->stride : 0);
    p.inverse = p.allowed + (a->in[KEY_MASK].data ? a->stride : 0);
    p.end = p.inverse + ATTENTION_MAX_ROWS;
    return p;
}

/* Keys that a block of rows has to do with, as a rule. */
static int64_t reach_of(const Attention *a) {
    bool both = (a->p.flags & TN_ATTENTION_CAUSAL) || a->p.window_right >= 0;
    int64_t right = a->p.window_right > 0 ? a->p.window_right : 0;
    if (!both || a->p.window_left < 0) return a->keys;
    int64_t reach = a->sinks + a->p.window_left + right + ATTENTION_MAX_ROWS;
    return reach < a->keys ? reach : a->keys;
}

/* Rows of a block none of which sees much less than the whole block does: whole tiles of sums in
 * place, which read as many rows of weights as they can. */
static int64_t even_rows(const Attention *a) {
    bool windowed = a->p.window_left >= 0 || a->p.window_right >= 0;
    int64_t rows = (a->keys - a->queries / 2) / KEYS_PER_ROW;
    return windowed ? MIN_ROWS : rows / PAIRS_IN_PLACE_ROWS * PAIRS_IN_PLACE_ROWS;
}

/* What is read in place otherwise: k by dot products, v if its rows have whole vectors. */
static void choose_packing(TnCall *call, const Attention *a, int64_t rows) {
    const int64_t v_row = a->in[V].strides[1];
    bool dense = v_row < 2 * a->width,
         crowded = (a->keys > 128 * a->isa->tiles->wide.panels && !dense) ||
                   v_row * float_size(a->bf16) % 2048 == 0;
    call->tile[PACK_K] = rows > (a->k_pairs              ? MIN_ROWS
                                 : a->bf16               ? FEW_ROWS
                                 : a->keys > CACHED_KEYS ? 16
                                 : a->depth < SHORT      ? 3
                                                         : 8);
    bool widened = a->bf16 && !a->v_pairs, few = rows <= (widened ? FEW_ROWS : MIN_ROWS);
    call->tile[PACK_V] = a->width % TN_PANEL != 0 || (!few && (crowded || widened));
}

void attention_plan_common(TnCall *call) {
    memset(call->tile, 0, sizeof call->tile); /* nothing is packed yet */
    Attention a = attention_of(call);
    call->tasks = 0;
    if (a.batch == 0 || a.queries == 0 || a.heads == 0 || a.width == 0) return;
    int64_t block = SCORES / attention_round_up(reach_of(&a) + 1) / MIN_ROWS * MIN_ROWS;
    Attention usual = a; /* entries of packed keys as they are on average */
    if (a.in[STARTS].data) usual.keys = TN_CEIL_DIV(a.in[K].dims[1], a.batch);
    if (a.packed) usual.queries = usual.keys;
    int64_t units = a.batch * a.kv_heads, rows = rows_of(&usual), reach = reach_of(&usual);
    double cells = (double)units * (double)reach * (double)(a.depth + a.width);
    double ns = 2 * cells * (double)rows / a.isa->flops_per_ns;
    ns = (a.bf16 && a.isa->pairs ? ns / 2 : ns) + cells / 4 + 500 * (double)units;
    call->tile[LANES] = tn_attention_is_lanes(&a);
    int64_t even = a.ranged ? even_rows(&a) : ATTENTION_MAX_ROWS;
    if (block > even) block = even;
    call->tile[BLOCK_ROWS] = block < MIN_ROWS             ? MIN_ROWS
                             : block > ATTENTION_MAX_ROWS ? ATTENTION_MAX_ROWS
                                                          : block;
    choose_packing(call, &a, rows);
    int64_t splits = TN_CEIL_DIV(tile_tasks(2 * ns), units), most = rows / ATTENTION_FLAT_ROWS;
    if (call->tile[PACK_K] || call->tile[PACK_V]) { /* in each split anew */
        int64_t enough = TN_CEIL_DIV(EVEN_TASKS, units);
        most = rows / ATTENTION_MAX_ROWS;
        if (most > enough) most = enough;
    }
    if (most < 1 || call->tile[LANES]) most = 1;
    call->tile[SPLITS] = splits < most ? splits : most;
    call->keeps = call->tile[SPLITS] > 1;
    bool whole = call->tile[LANES] || (call->tile[SPLITS] == 1 && !a.in[STARTS].data);
    int64_t most_units = (int64_t)(TASK_NS * (double)units / ns);
    call->tile[UNITS] = whole && most_units > 1 ? most_units : 1;
    call->tasks = TN_CEIL_DIV(units, call->tile[UNITS]) * call->tile[SPLITS];
    call->work = (int64_t)ns;
    a = attention_of(call);
    int64_t floats = call->tile[LANES] ? tn_attention_lanes_room(&a) : parts_of(&a, call).end;
    call->scratch_bytes = (size_t)floats * sizeof(float);
}

static const void *operand_at(const Attention *a, int operand, int64_t b, int64_t i, int64_t h) {
    const int64_t *stride = a->in[operand].strides;
    return float_at(a->in[operand].data, a->bf16, b * stride[0] + i * stride[1] + h * stride[2]);
}

static void widen_queries(const Unit *u, Block *block) {
    int64_t depth = u->a->depth, longest = depth > u->a->width ? depth : u->a->width;
    float *rows = u->rows + TN_PANEL * longest;
    for (int64_t r = 0; r < block->rows; r++)
        u->a->isa->bf16->copy(rows + r * depth, false, float_at(block->q, true, r * block->q_row),
                              true, depth);
    block->q = rows;
    block->q_row = depth;
}

/* What all units of a task have in common: the room in scratch. */
static Unit room_of(const TnCall *call, const Attention *a, float *scratch) {
    const Parts parts = parts_of(a, call);
    return (Unit){.a = a,
                  .call = call,
                  .b = -1,
                  .kept = (Kept *)(void *)(scratch + parts.kept),
                  .k_panels = call->tile[PACK_K] ? scratch + parts.k : NULL,
                  .v_panels = call->tile[PACK_V] ? scratch + parts.v : NULL,
                  .rows = scratch + parts.rows,
                  .scores = scratch + parts.scores,
                  .bias = scratch + parts.bias,
                  .inverse = scratch + parts.inverse,
                  .allowed = scratch + parts.allowed};
}

/* Goes on to kv head `g` of entry `b`, whose keys are known if it was that before, and whose panels
 * are there if the lane's last task was another part of it. */
static void begin_unit(Unit *u, int64_t b, int64_t g) {
    if (b != u->b) u->keys = tn_attention_keys(u->a, b, u->allowed);
    u->b = b;
    for (int i = 0; i < 2; i++) {
        u->rows_of[0][i] = (Rows){operand_at(u->a, K + i, b, 0, g), u->a->in[K + i].strides[1]};
        if (u->a->past)
            u->rows_of[1][i] =
                (Rows){operand_at(u->a, PAST_K + i, b, 0, g), u->a->in[PAST_K + i].strides[1]};
    }
    u->packed[0] = u->packed[1] = 0;
    const int64_t unit = b * u->a->kv_heads + g + 1;
    if (u->call->keeps && u->kept->unit == unit)
        memcpy(u->packed, u->kept->packed, sizeof u->packed);
    else if (u->a->sinks)
        tn_attention_pack_sinks(u);
    u->kept->unit = unit;
}

/* Even blocks, but of whole tiles. */
static int64_t rows_of_block(int64_t left, int64_t most) {
    int64_t even = TN_CEIL_DIV(left, TN_CEIL_DIV(left, most)),
            whole = TN_CEIL_DIV(even, MIN_ROWS) * MIN_ROWS;
    return whole <= most ? whole : even;
}

/* The rows of a kv head of a batch entry that are part `split` of it. */
static void run_unit(Unit *u, int64_t b, int64_t g, int64_t split) {
    const Attention *a = u->a;
    int64_t splits = u->call->tile[SPLITS], most = u->call->tile[BLOCK_ROWS];
    begin_unit(u, b, g);
    const int64_t *qs = a->in[Q].strides, *os = a->out.strides;
    bool by_head = a->queries == 1;
    const int64_t whole = u->k_panels ? MIN_ROWS : ATTENTION_FLAT_ROWS; /* rows of tiles */
    int64_t rows = rows_of(a), groups = TN_CEIL_DIV(rows, whole),
            r = whole * deal(groups, splits, split), end = whole * deal(groups, splits, split + 1);
    if (end > rows) end = rows;
    Block block = {.h = g * a->share, .o_row = os[by_head ? 2 : 1]};
    if (r > 0) {
        block.h += r / a->queries;
        block.i = r % a->queries;
    }
    while (r < end) {
        /* As many rows as follow in this head. */
        int64_t left = by_head ? end - r : a->queries - block.i;
        if (left > end - r) left = end - r;
        block.rows = left <= most ? left : rows_of_block(left, most);
        block.q = operand_at(a, Q, b, block.i, block.h);
        block.q_row = qs[by_head ? 2 : 1];
        if (a->bf16 && !a->k_pairs) widen_queries(u, &block);
        block.o = float_at(a->out.data, a->out_bf16, b * os[0] + block.i * os[1] + block.h * os[2]);
        tn_attention_block(u, &block);
        r += block.rows;
        block.i += block.rows;
        if (by_head)
            block.h += block.rows, block.i = 0;
        else if (block.i == a->queries)
            block.h++, block.i = 0;
    }
    memcpy(u->kept->packed, u->packed, sizeof u->packed);
}

/* Units [unit, end) of few keys, as many heads of an entry at a time as there are. */
static void run_lanes(const TnCall *call, const Attention *a, int64_t unit, int64_t end,
                      float *scratch) {
    for (int64_t g, last; unit < end; unit += last - g) {
        const int64_t b = unit / a->kv_heads;
        g = unit % a->kv_heads;
        last = g + end - unit < a->kv_heads ? g + end - unit : a->kv_heads;
        Attention entry;
        if (a->packed) {
            entry = *a;
            if (!take_entry(call, &entry, b)) continue;
        }
        tn_attention_lanes(a->packed ? &entry : a, b, g * a->share, last * a->share, scratch);
    }
}

void attention_run_common(const TnCall *call, int64_t task, void *scratch) {
    Attention a = attention_of(call);
    int64_t split = task % call->tile[SPLITS], units = call->tile[UNITS],
            unit = task / call->tile[SPLITS] * units, all = a.batch * a.kv_heads,
            end = unit + units < all ? unit + units : all;
    if (call->tile[LANES]) {
        run_lanes(call, &a, unit, end, scratch);
        return;
    }
    Unit u = room_of(call, &a, scratch);
    for (int64_t b = unit / a.kv_heads, g = unit % a.kv_heads; unit < end; unit++) {
        if (take_entry(call, &a, b)) run_unit(&u, b, g, split);
        if (++g == a.kv_heads) g = 0, b++;
    }
}
