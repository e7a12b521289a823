/* Products of attention: scores q k' and sums of values, over panels made of k and v, or in place.
 *
 * Operands of bf16 are taken in pairs where the CPU multiplies those: of neighbouring d for the
 * scores, of neighbouring keys for the values; they are packed as such, or lie in rows
 * (attention_pairs_avx512.c). Otherwise they become floats, and queries have been made floats. */
#include "runtime/kernels/attention.h"
#include "runtime/kernels/bf16.h"

enum { LINE = 64 }; /* bytes of cache */

/* `n` <= 16 rows from number t on of K or V as floats: in place, or in u->rows. */
static const float *float_rows(const Unit *u, int operand, int64_t t, int64_t n, int64_t *row) {
    const int64_t width = u->a->in[operand].dims[3];
    const Rows rows = attention_rows_of(u, operand, t);
    const void *from = float_at(rows.at, u->a->bf16, t * rows.row);
    *row = u->a->bf16 ? width : rows.row;
    if (!u->a->bf16) return from;
    for (int64_t i = 0; i < n; i++)
        u->a->isa->bf16->copy(u->rows + i * width, false, float_at(from, true, i * rows.row), true,
                              width);
    return u->rows;
}

static void pack_keys(const Unit *u, int64_t t, int64_t n) {
    const Attention *a = u->a;
    const Rows k = attention_rows_of(u, K, t);
    int64_t row;
    if (a->k_pairs) {
        uint16_t *to = float_at(u->k_panels, true, t * a->depth);
        a->isa->pairs->pack(to, float_at(k.at, true, t * k.row), 1, k.row, a->depth, n);
        return;
    }
    const float *from = float_rows(u, K, t, n, &row);
    a->isa->tiles->pack(u->k_panels + t * a->depth, from, 1, row, a->depth, n);
}

static void pack_values(const Unit *u, int64_t t, int64_t n) {
    const Attention *a = u->a;
    const Rows v = attention_rows_of(u, V, t);
    int64_t row, rows = attention_v_rows(a);
    const float *from = a->v_pairs ? NULL : float_rows(u, V, t, n, &row);
    for (int64_t e = 0; e < a->width; e += TN_PANEL) {
        int64_t cols = a->width - e < TN_PANEL ? a->width - e : TN_PANEL;
        int64_t at = e * rows + t * TN_PANEL;
        if (a->v_pairs)
            a->isa->pairs->pack(float_at(u->v_panels, true, at),
                                float_at(v.at, true, t * v.row + e), v.row, 1, n, cols);
        else
            a->isa->tiles->pack(u->v_panels + at, from + e, row, 1, n, cols);
    }
}

/* What is packed next comes from all over memory: asked for while there is something to do. */
ALWAYS_INLINE void fetch_rows(const Unit *u, int operand, int64_t t) {
    const int64_t bytes = u->a->in[operand].dims[3] * float_size(u->a->bf16);
    const Rows rows = attention_rows_of(u, operand, t);
    for (int64_t end = t + TN_PANEL < u->a->keys ? t + TN_PANEL : u->a->keys; t < end; t++) {
        const char *row = float_at(rows.at, u->a->bf16, t * rows.row);
        for (int64_t i = 0; i < bytes; i += LINE) __builtin_prefetch(row + i);
    }
}

static void pack_range(const Unit *u, int64_t t0, int64_t t1) {
    for (int64_t t = t0; t < t1; t += TN_PANEL) {
        int64_t n = u->a->keys - t < TN_PANEL ? u->a->keys - t : TN_PANEL;
        if (u->k_panels) fetch_rows(u, K, t + TN_PANEL);
        if (u->v_panels) fetch_rows(u, V, t + TN_PANEL);
        if (u->k_panels && t < attention_k_packed(u->a)) pack_keys(u, t, n);
        if (u->v_panels) pack_values(u, t, n);
    }
}

void tn_attention_pack_sinks(const Unit *u) {
    pack_range(u, 0, attention_round_up(u->a->sinks));
}

void tn_attention_pack(Unit *u, int64_t t0, int64_t t1) {
    t0 = t0 / TN_PANEL * TN_PANEL;
    t1 = attention_round_up(t1);
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

static void scores_by_tiles(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    const Attention *a = u->a;
    const TileKernels *kernels = a->isa->tiles;
    const bool pairs = a->k_pairs;
    TileShape shape = pairs ? a->isa->pairs->shape : tile_shape(kernels, block->q_row);
    int64_t tiles = tiles_of(block->rows, shape.rows), last = TN_CEIL_DIV(t1, TN_PANEL);
    Tile t = {.k = a->depth,
              .a_row = block->q_row,
              .b_row = pairs ? 2 * TN_PANEL : TN_PANEL,
              .b_panel = a->depth * TN_PANEL,
              .c_row = a->stride};
    for (int64_t p = t0 / TN_PANEL, panels; p < last; p += panels) {
        panels = tile_panels(shape, last - p, pairs);
        TileFn *const *kernel = pairs ? a->isa->pairs->tile[panels] : kernels->tile[panels];
        t.b = float_at(u->k_panels, pairs, p * t.b_panel);
        t.prefetch = t.b;
        for (int64_t i = 0; i < tiles; i++) {
            int64_t r = deal(block->rows, tiles, i);
            t.a = float_at(block->q, pairs, r * block->q_row);
            t.c = u->scores + r * t.c_row + p * TN_PANEL;
            kernel[deal(block->rows, tiles, i + 1) - r](&t);
        }
    }
}

/* 16 keys at a time, in cache for all rows; those of bf16 become floats first. */
static void scores_by_dots(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    for (int64_t t = t0, n, k_row; t < t1; t += n) {
        n = t1 - t < TN_PANEL ? t1 - t : TN_PANEL;
        const float *keys = float_rows(u, K, t, n, &k_row);
        u->a->isa->attention->rows->dots(u->scores + t, u->a->stride, block->q, block->q_row,
                                         block->rows, keys, k_row, n, u->a->depth);
    }
}

static void scores_in_place(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    const Rows k = attention_rows_of(u, K, t0);
    Tile t = {.k = u->a->depth,
              .a = block->q,
              .b = float_at(k.at, true, t0 * k.row),
              .c = u->scores + t0,
              .a_row = block->q_row,
              .b_row = k.row,
              .c_row = u->a->stride};
    u->a->isa->pairs->in_place->dots(&t, t1 - t0, block->rows);
}

/* Of queries with few keys, the other way round: those are the rows. */
static void scores_of_few(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    const Attention *a = u->a;
    const Rows from = attention_rows_of(u, K, t0);
    const int64_t k_row = from.row, keys = t1 - t0;
    const void *k = float_at(from.at, a->k_pairs, t0 * k_row);
    float dots[ATTENTION_FEW_KEYS][2 * TN_PANEL];
    for (int64_t r = 0, n; r < block->rows; r += n) {
        n = block->rows - r < TN_PANEL ? block->rows - r : TN_PANEL;
        const void *q = float_at(block->q, a->k_pairs, r * block->q_row);
        Tile t = {.k = a->depth,
                  .a = k,
                  .b = q,
                  .c = dots[0],
                  .a_row = k_row,
                  .b_row = block->q_row,
                  .c_row = 2 * TN_PANEL};
        if (a->k_pairs)
            a->isa->pairs->in_place->dots(&t, n, keys);
        else
            a->isa->attention->rows->dots(t.c, t.c_row, k, k_row, keys, q, t.b_row, n, t.k);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < keys; j++) u->scores[(r + i) * a->stride + t0 + j] = dots[j][i];
    }
}

/* Keys [t0, the end of these) of [t0, t1) lie in rows of one kind. */
static int64_t end_of_rows(const Unit *u, int64_t t0, int64_t t1) {
    return t0 < u->a->past && u->a->past < t1 ? u->a->past : t1;
}

void tn_attention_scores(const Unit *u, const Block *block, int64_t t0, int64_t t1) {
    const int64_t packed = attention_k_packed(u->a), end = t1 < packed ? t1 : packed;
    if (u->k_panels) {
        if (t0 < end) scores_by_tiles(u, block, t0, end);
        if (end < t1) scores_of_few(u, block, t0 > end ? t0 : end, t1);
        return;
    }
    for (int64_t last; t0 < t1; t0 = last) {
        last = end_of_rows(u, t0, t1);
        (u->a->k_pairs ? scores_in_place : scores_by_dots)(u, block, t0, last);
    }
}

enum { TILE_FLOATS = TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL };

/* Values of keys from t on, columns from panel p on; in place of as many keys as end_of_rows says.
 */
static Rows values_at(const Unit *u, int64_t p, int64_t t) {
    const bool pairs = u->a->v_pairs;
    if (u->v_panels) {
        const int64_t at = (p * attention_v_rows(u->a) + t) * TN_PANEL;
        return (Rows){float_at(u->v_panels, pairs, at), pairs ? 2 * TN_PANEL : TN_PANEL};
    }
    const Rows v = attention_rows_of(u, V, t);
    return (Rows){float_at(v.at, u->a->bf16, t * v.row + p * TN_PANEL), v.row};
}

/* The tile of keys [t0, t1). */
static void sum_values(const Unit *u, TileFn *kernel, Tile *t, int64_t r, int64_t p, int64_t t0,
                       int64_t t1, float *to) {
    const bool pairs = u->a->v_pairs;
    const Rows v = values_at(u, p, t0);
    if (u->a->bf16 && !u->v_panels && !pairs) {
        const float *weight = u->scores + r * u->a->stride + t0;
        u->a->isa->attention->rows->sums(to, t->c_row, weight, v.at, v.row, t1 - t0);
        return;
    }
    t->k = t1 - t0;
    t->a = float_at(u->scores + r * u->a->stride, pairs, t0);
    t->b = t->prefetch = v.at;
    t->b_row = v.row;
    t->c = to;
    kernel(t);
}

void tn_attention_values(const Unit *u, const Block *block, int64_t sinks, int64_t t0, int64_t t1) {
    _Alignas(64) float tile[TILE_FLOATS], more[TILE_FLOATS];
    const Attention *a = u->a;
    const TileKernels *kernels = a->isa->tiles;
    const bool pairs = a->v_pairs, packed = u->v_panels;
    const TileShape one = {1, TILE_MAX_PANELS}, in_place = {PAIRS_IN_PLACE_ROWS, TILE_MAX_PANELS};
    const int64_t all = TN_CEIL_DIV(a->width, TN_PANEL);
    const TileShape shape = pairs && packed                      ? a->isa->pairs->shape
                            : pairs                              ? in_place
                            : a->bf16 && !packed                 ? one
                            : block->rows <= ATTENTION_FLAT_ROWS ? kernels->flat
                            : all <= kernels->tall.panels        ? kernels->tall
                                                                 : kernels->wide;
    int64_t tiles = tiles_of(block->rows, shape.rows), first = 0, end = sinks;
    Tile t = {.a_row = pairs ? 2 * a->stride : a->stride,
              .b_panel = packed ? attention_v_rows(a) * TN_PANEL : TN_PANEL};
    if (pairs && !packed && t1 > a->keys) t1 = a->keys; /* what follows the last is 0 */
    if (!packed && end_of_rows(u, t0, t1) < t1) {       /* then there are no sinks */
        first = t0;
        end = t0 = a->past;
    }
    for (int64_t p = 0, panels; p < all; p += panels) {
        panels = tile_panels(shape, all - p, pairs);
        TileFn *const *kernel = !pairs   ? kernels->tile[panels]
                                : packed ? a->isa->pairs->tile[panels]
                                         : a->isa->pairs->in_place->sums;
        int64_t e = p * TN_PANEL, left = a->width - e,
                cols = left < panels * TN_PANEL ? left : panels * TN_PANEL;
        t.c_row = panels * TN_PANEL;
        for (int64_t i = 0; i < tiles; i++) {
            int64_t r = deal(block->rows, tiles, i), rows = deal(block->rows, tiles, i + 1) - r;
            if (first < end) sum_values(u, kernel[rows], &t, r, p, first, end, more);
            sum_values(u, kernel[rows], &t, r, p, t0, t1, tile);
            a->isa->attention->rows->store(u, block, r, rows, tile, first < end ? more : NULL,
                                           t.c_row, e, cols);
        }
    }
}
