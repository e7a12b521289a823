/* Attention of few keys, by panels of 16 queries: scores lie by keys, so that a softmax needs
 * nothing across the lanes of a vector and heads of any width fill them.
 *
 *     for each 16 queries
 *         for a few heads at a time               q' of all of them is packed at once,
 *             scores[t, 16] = k q'                tiles of gemm.h: k is read in place,
 *             softmax down the columns            attention_lanes.c
 *             o'[e, 16] = v' scores / sum         v in place, too
 *         o of these heads is transposed back
 *
 * Keys that no query of the panel may see are left out where that is exact, as in attention.c. */
#include "runtime/kernels/attention.h"
#include "runtime/kernels/bf16.h"

enum {
    MOST_KEYS = 64,
    FEW = 2,             /* queries beyond whole panels, for which one more is not worth it */
    HALF = TN_PANEL / 2, /* a panel of as many queries is worth it, of narrow heads sooner */
    TOGETHER = 64        /* columns of q, or of o: those of several heads */
};

bool tn_attention_is_lanes(const Attention *a) {
    const int64_t room = TN_CEIL_DIV(a->depth + a->width, TN_PANEL);
    const int64_t least = room < 2 ? 2 : room > HALF ? HALF : room, rest = a->queries % TN_PANEL;
    if (a->queries > TN_PANEL && rest > 0 && rest <= FEW) return false;
    return !a->bf16 && !a->out_bf16 && !a->band && a->keys > 0 && a->keys <= MOST_KEYS &&
           a->queries >= least && (!a->in[STARTS].data || a->packed);
}

/* Heads whose columns are one run in q and o. */
static int64_t heads_together(const Attention *a) {
    int64_t most = TOGETHER / (a->depth > a->width ? a->depth : a->width);
    bool joint = a->in[Q].strides[2] == a->depth && a->out.strides[2] == a->width;
    return joint && most > 1 ? most : 1;
}

/* Where things are in scratch, in floats. */
typedef struct Parts {
    int64_t q, o, scores, bias, seen, inverse, allowed, end;
} Parts;

static Parts parts_of(const Attention *a) {
    const int64_t heads = heads_together(a), block = a->keys * TN_PANEL;
    Parts p = {0};
    p.o = p.q + heads * a->depth * TN_PANEL;
    p.scores = p.o + heads * a->width * TN_PANEL;
    p.bias = p.scores + block;
    p.seen = p.bias + 2 * block;
    p.inverse = p.seen + 2 * TN_PANEL;
    p.allowed = p.inverse + TN_PANEL;
    p.end = p.allowed + a->stride;
    return p;
}

int64_t tn_attention_lanes_room(const Attention *a) {
    return parts_of(a).end;
}

/* What queries [i, i + n) may see; keys that none of them does count only where masks leave them
 * something. */
static void find_seen(Lanes *z, const Keys *keys, float *seen, int64_t b, int64_t i, int64_t n) {
    const Attention *a = z->a;
    Row row = tn_attention_row(a, keys, b, 0, i);
    int64_t first = row.first, end = row.end, latest = first, earliest = end;
    bool blind = row.blind;
    for (int64_t r = 0; r < TN_PANEL; r++) {
        if (r > 0 && r < n && !a->alike) {
            row = tn_attention_row(a, keys, b, 0, i + r);
            if (row.first < first) first = row.first;
            if (row.first > latest) latest = row.first;
            if (row.end > end) end = row.end;
            if (row.end < earliest) earliest = row.end;
            blind |= row.blind;
        }
        seen[r] = row.blind ? 0 : (float)row.first;
        seen[TN_PANEL + r] = row.blind ? 0 : (float)row.end;
    }
    const bool all = blind || !a->skippable;
    z->seen[0] = seen;
    z->seen[1] = seen + TN_PANEL;
    z->allowed = keys->gaps ? keys->allowed : NULL;
    z->t0 = all ? 0 : first;
    z->t1 = all ? a->keys : end;
    z->masked = blind || keys->gaps || latest > z->t0 || earliest < z->t1;
}

static void find_biases(Lanes *z, float *room, int64_t b, int64_t h, int64_t i, int64_t n) {
    for (int k = 0; k < 2; k++, room += z->a->keys * TN_PANEL) {
        const TnTensor *bias = &z->a->in[BIAS + k];
        const int64_t *s = bias->strides;
        z->bias[k] = NULL;
        if (!bias->data) continue;
        const float *from = (const float *)bias->data + b % bias->dims[0] * s[0] + h * s[1] +
                            i * s[2] + z->t0 * s[3];
        z->a->isa->tiles->pack(room + z->t0 * TN_PANEL, from, s[3], s[2], z->t1 - z->t0, n);
        z->bias[k] = room;
    }
}

static void find_scores(const Lanes *z, const float *q, const float *k, int64_t k_row) {
    const TileKernels *kernels = z->a->isa->tiles;
    const int64_t keys = z->t1 - z->t0, tiles = tiles_of(keys, kernels->tall.rows);
    Tile t = {.k = z->a->depth,
              .b = q,
              .prefetch = (const char *)q,
              .a_row = k_row,
              .b_row = TN_PANEL,
              .c_row = TN_PANEL};
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t r = z->t0 + deal(keys, tiles, i), rows = deal(keys, tiles, i + 1) - r + z->t0;
        t.a = k + r * k_row;
        t.c = z->scores + r * TN_PANEL;
        kernels->tile[1][rows](&t);
    }
}

static float *at(const TnTensor *t, int64_t b, int64_t row, int64_t head) {
    return (float *)t->data + b * t->strides[0] + row * t->strides[1] + head * t->strides[2];
}

/* Queries [i, i + n) of head h, packed at q, up to o'. */
static void run_head(const Lanes *seen, const Parts *parts, float *scratch, const int64_t *place,
                     int64_t n, const float *q, float *o) {
    const Attention *a = seen->a;
    const AttentionLanes *kernels = a->isa->attention->lanes;
    const TnTensor *k = &a->in[K], *v = &a->in[V];
    const int64_t b = place[0], i = place[1], h = place[2], g = h / a->share;
    Lanes z = *seen;
    for (bool done = false; !done;) {
        find_biases(&z, scratch + parts->bias, b, h, i, n);
        find_scores(&z, q, at(k, b, 0, g), k->strides[1]);
        done = kernels->softmax(&z) || (z.t0 == 0 && z.t1 == a->keys);
        if (done) break;
        z.t0 = 0; /* what is masked has weights, too */
        z.t1 = a->keys;
        z.masked = true;
    }
    kernels->sums(&z, o, at(v, b, 0, g), v->strides[1]);
}

void tn_attention_lanes(const Attention *a, int64_t b, int64_t h, int64_t end, float *scratch) {
    const Parts parts = parts_of(a);
    const Keys keys = tn_attention_keys(a, b, scratch + parts.allowed);
    const int64_t most = heads_together(a), first = h;
    float *const q = scratch + parts.q, *const o = scratch + parts.o;
    Lanes z = {.a = a, .scores = scratch + parts.scores, .inverse = scratch + parts.inverse};
    for (int64_t i = 0, n; i < a->queries; i += n) {
        n = a->queries - i < TN_PANEL ? a->queries - i : TN_PANEL;
        find_seen(&z, &keys, scratch + parts.seen, b, i, n);
        for (int64_t heads = 0; h < end; h += heads) {
            heads = end - h < most ? end - h : most;
            a->isa->tiles->pack(q, at(&a->in[Q], b, i, h), 1, a->in[Q].strides[1], heads * a->depth,
                                n);
            for (int64_t j = 0; j < heads; j++)
                run_head(&z, &parts, scratch, (int64_t[]){b, i, h + j}, n,
                         q + j * a->depth * TN_PANEL, o + j * a->width * TN_PANEL);
            float *to = at(&a->out, b, i, h);
            for (int64_t e = 0, all = heads * a->width, cols; e < all; e += cols) {
                cols = all - e < TN_PANEL ? all - e : TN_PANEL;
                a->isa->tiles->transpose(to + e, a->out.strides[1], o + e * TN_PANEL, TN_PANEL,
                                         cols, n, cols);
            }
        }
        h = first;
    }
}
