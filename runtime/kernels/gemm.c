/* gemm: c[.., n] = act(a[.., k] b[k, n] + bias[n]) + residual[.., n], b a packed constant (pack.h);
 * the residual may be added before the activation instead. Columns of C may be heads, [.., h, d]
 * with n = h d, each a run of d floats somewhere else.
 *
 * M = product of the leading dims. A stays where it is. A task owns a block of rows and a run of
 * B's panels, contiguous in memory:
 *
 *     for each group of 2 or 3 panels         in L2 for all rows; the next one is prefetched
 *         for each tile of 8 or 12 rows       all of K at once, C in registers (gemm.h)
 *             bias, activation, residual      the tile is in L1; one store to C
 *
 * Panels of f16 or bf16 are widened in scratch, a group at a time, before rows pass over them.
 *
 * With few rows (M <= 4) B passes by once, panel after panel, as one linear stream: memory is the
 * bound. Every element of C is one sum in an order that depends on K and M only, so neither tasks
 * nor threads change a bit of it. */
#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(gemm);

enum { A, C, RESIDUAL, MATRICES };               /* operands that have rows */
enum { ROWS, PANELS, ROW_BLOCKS, PANEL_BLOCKS }; /* call->tile[] */

typedef struct Gemm {
    int64_t m, n, k;
    int64_t head, head_stride; /* columns of a head, n if there are none; from one to the next */
    const void *b;             /* panels of f32, f16 or bf16 */
    TnDType b_dtype;
    const float *bias;     /* NULL if absent */
    float *base[MATRICES]; /* residual: NULL if absent */
    TnActivation activation;
    bool residual_first;
    Loop rows; /* leading axes, merged where strides allow; the longest, tiled, is last */
    int64_t row[MATRICES]; /* its strides */
} Gemm;

static void longest_axis_last(Loop *l) {
    int last = l->rank - 1, longest = last;
    for (int i = 0; i < last; i++)
        if (l->dims[i] > l->dims[longest]) longest = i;
    int64_t dim = l->dims[longest];
    l->dims[longest] = l->dims[last];
    l->dims[last] = dim;
    for (int o = 0; o < l->operands; o++) {
        int64_t stride = l->strides[o][longest];
        l->strides[o][longest] = l->strides[o][last];
        l->strides[o][last] = stride;
    }
}

static Gemm gemm_of(const TnCall *call) {
    const TnTensor *b = &call->operands[1], *c = &call->operands[call->inputs], absent = {0};
    const TnTensor *bias = call->inputs > 2 ? &call->operands[2] : &absent;
    const TnTensor *residual = call->inputs > 3 ? &call->operands[3] : &absent;
    TnTensor leading[MATRICES] = {[A] = call->operands[0], [C] = *c};
    const bool heads = c->rank > leading[A].rank;
    leading[C].rank = leading[A].rank;
    leading[RESIDUAL] = residual->data ? *residual : leading[C];
    Gemm g = {.n = b->dims[1], .k = b->dims[0], .b = b->data, .bias = bias->data};
    g.b_dtype = (TnDType)b->dtype;
    const ParamsGemm *params = call->params;
    g.activation = (TnActivation)params->activation;
    g.residual_first = params->flags & TN_RESIDUAL_FIRST;
    g.head = heads ? c->dims[c->rank - 1] : g.n;
    g.head_stride = heads ? c->strides[c->rank - 2] : 0;
    g.base[A] = call->operands[0].data;
    g.base[C] = c->data;
    g.base[RESIDUAL] = residual->data;
    for (int i = 0; i < MATRICES; i++) leading[i].rank--;
    g.rows = loop_over(&leading[C]);
    for (int i = 0; i < MATRICES; i++) loop_add(&g.rows, &leading[i]);
    loop_collapse(&g.rows);
    longest_axis_last(&g.rows);
    g.m = loop_points(&g.rows, g.rows.rank);
    for (int i = 0; i < MATRICES; i++) g.row[i] = g.rows.strides[i][g.rows.rank - 1];
    return g;
}

static bool is_stream(const Gemm *g) {
    return g->rows.rank == 1 && g->m <= TN_FN(tile_kernels).stream_rows;
}

void TN_FN(gemm_plan)(TnCall *call) {
    Gemm g = gemm_of(call);
    call->tasks = 0;
    call->scratch_bytes = 0;
    if (g.m == 0 || g.n == 0) return;
    TileShape shape = tile_shape(g.m, g.row[A]);
    int64_t groups = TN_CEIL_DIV(g.n, TN_PANEL * shape.panels);
    double flops = 2.0 * (double)g.m * (double)g.n * (double)g.k,
           bytes = 4.0 * (double)g.n * (double)g.k;
    double ns = flops / TILE_FLOPS_PER_NS + bytes / 20 + 1000;
    int64_t want = tile_tasks(ns);
    int64_t row_blocks = g.m >= 512 ? TN_CEIL_DIV(g.m, 256) : 1;
    int64_t panel_blocks = TN_CEIL_DIV(want, row_blocks);
    if (panel_blocks > groups) {
        panel_blocks = groups;
        int64_t most = TN_CEIL_DIV(g.m, 4 * shape.rows), more = TN_CEIL_DIV(want, groups);
        if (more > most) more = most;
        if (more > row_blocks) row_blocks = more;
    }
    call->tile[ROWS] = shape.rows;
    call->tile[PANELS] = shape.panels;
    call->tile[ROW_BLOCKS] = row_blocks;
    call->tile[PANEL_BLOCKS] = panel_blocks;
    call->tasks = row_blocks * panel_blocks;
    call->work = (int64_t)ns;
    call->scratch_bytes =
        g.b_dtype == TN_F32 ? 0 : (size_t)(g.k * shape.panels * TN_PANEL) * sizeof(float);
}

/* `n` floats from p on, at most a vector. */
static inline vf some(const float *p, int64_t n) {
    return n == VF_WIDTH ? vf_load(p) : vf_load_n(p, n);
}

ALWAYS_INLINE void end_as(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                          int64_t cols, TnActivation act) {
    const bool first = e->residual && e->residual_first, after = e->residual && !first;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j += VF_WIDTH) {
            const int64_t n = cols - j < VF_WIDTH ? cols - j : VF_WIDTH;
            const float *residual = e->residual ? e->residual + i * e->residual_row + j : NULL;
            float *c = e->c + i * e->c_row + j;
            vf x = some(tile + i * tile_row + j, n);
            if (e->bias) x = vf_add(x, some(e->bias + j, n));
            if (first) x = vf_add(x, some(residual, n));
            x = vf_activate(x, act);
            if (after) x = vf_add(x, some(residual, n));
            if (n == VF_WIDTH)
                vf_store(c, x);
            else
                vf_store_n(c, x, n);
        }
}

void TN_FN(tile_end)(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                     int64_t cols) {
    switch (e->activation) {
#define X(upper, lower, number) \
    case TN_ACT_##upper: end_as(e, tile, tile_row, rows, cols, TN_ACT_##upper); break;
        TN_ACTIVATIONS(X)
#undef X
    default: break;
    }
}

/* One tile: `rows` rows from those at offset[], `panels` panels from column `column`. */
static void run_tile(const Gemm *g, TileFn *kernel, Tile *t, int64_t rows, int panels,
                     int64_t column, const int64_t offset[MATRICES]) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    int64_t cols = g->n - column < panels * TN_PANEL ? g->n - column : panels * TN_PANEL;
    int64_t head = column / g->head, within = column % g->head;
    float *c = g->base[C] + offset[C] + head * g->head_stride + within;
    bool plain = !g->bias && !g->base[RESIDUAL] && g->activation == TN_ACT_NONE &&
                 cols == panels * TN_PANEL && within + cols <= g->head;
    t->a = g->base[A] + offset[A];
    t->c = plain ? c : buffer;
    t->c_row = plain ? g->row[C] : panels * TN_PANEL;
    kernel(t);
    if (plain) return;
    TileEnd end = {.c_row = g->row[C],
                   .residual_row = g->row[RESIDUAL],
                   .activation = g->activation,
                   .residual_first = g->residual_first};
    for (int64_t j = 0, run; j < cols; j += run, within = 0) {
        run = cols - j < g->head - within ? cols - j : g->head - within;
        end.c = j ? g->base[C] + offset[C] + ++head * g->head_stride : c;
        if (g->bias) end.bias = g->bias + column + j;
        if (g->base[RESIDUAL]) end.residual = g->base[RESIDUAL] + offset[RESIDUAL] + column + j;
        TN_FN(tile_end)(&end, buffer + j, t->c_row, rows, run);
    }
}

static const void *panel_at(const Gemm *g, int64_t p) {
    return (const char *)g->b + p * g->k * TN_PANEL * (int64_t)tn_dtype_size(g->b_dtype);
}

/* `panels` panels from number p on as floats: where they are, or widened in scratch. */
static const float *panels_of(const Gemm *g, int64_t p, int panels, float *scratch) {
    if (g->b_dtype == TN_F32) return panel_at(g, p);
    TN_FN(map_load)(scratch, panel_at(g, p), g->b_dtype, 1, panels * g->k * TN_PANEL);
    return scratch;
}

/* Rows [r0, r1) of one group of panels. Fetching the next group is shared out over the tiles; it
 * may be the next task's or, after the last, what follows in the plan: the next weights. */
static void run_group(const Gemm *g, const TnCall *call, Tile *t, int64_t r0, int64_t r1, int64_t p,
                      int panels, float *scratch) {
    int64_t max_rows = call->tile[ROWS], tiles_in_all = TN_CEIL_DIV(r1 - r0, max_rows);
    int64_t most = panels > 1 ? 128 : 64, step = TN_CEIL_DIV(64 * panels, tiles_in_all);
    TileFn *const *kernel = TN_FN(tile_kernels).tile[panels];
    const int last = g->rows.rank - 1;
    t->b = panels_of(g, p, panels, scratch);
    t->prefetch = panel_at(g, p + panels);
    t->prefetch_step = step < most ? step : most;
    while (r0 < r1) {
        LoopAt at;
        loop_seek(&g->rows, last + 1, r0, &at);
        int64_t count = g->rows.dims[last] - at.index[last];
        if (count > r1 - r0) count = r1 - r0;
        int64_t tiles = TN_CEIL_DIV(count, max_rows);
        for (int64_t i = 0; i < tiles; i++) {
            int64_t rows = deal(count, tiles, i + 1) - deal(count, tiles, i);
            run_tile(g, kernel[rows], t, rows, panels, p * TN_PANEL, at.offset);
            t->prefetch += g->k * t->prefetch_step;
            for (int j = 0; j < MATRICES; j++) at.offset[j] += rows * g->row[j];
        }
        r0 += count;
    }
}

void TN_FN(gemm_run)(const TnCall *call, int64_t task, void *scratch) {
    Gemm g = gemm_of(call);
    int64_t panels = TN_CEIL_DIV(g.n, TN_PANEL), group = call->tile[PANELS],
            groups = TN_CEIL_DIV(panels, group);
    int64_t row_block = task % call->tile[ROW_BLOCKS], panel_block = task / call->tile[ROW_BLOCKS];
    int64_t r0 = deal(g.m, call->tile[ROW_BLOCKS], row_block),
            r1 = deal(g.m, call->tile[ROW_BLOCKS], row_block + 1);
    int64_t p = deal(groups, call->tile[PANEL_BLOCKS], panel_block) * group;
    int64_t end = deal(groups, call->tile[PANEL_BLOCKS], panel_block + 1) * group;
    if (end > panels) end = panels;
    Tile t = {.k = g.k, .a_row = g.row[A], .b_row = TN_PANEL, .b_panel = g.k * TN_PANEL};

    if (is_stream(&g)) {
        const int64_t offset[MATRICES] = {0};
        for (; p < end; p++) {
            t.b = panels_of(&g, p, 1, scratch);
            run_tile(&g, TN_FN(tile_kernels).stream[g.m], &t, g.m, 1, p * TN_PANEL, offset);
        }
        return;
    }
    for (; p < end; p += group)
        run_group(&g, call, &t, r0, r1, p, (int)(end - p < group ? end - p : group), scratch);
}

void TN_FN(tile_pack)(float *to, const float *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n) {
    if (b_k == 1) {
        TN_FN(tile_kernels).transpose(to, TN_PANEL, b, b_n, n, k, TN_PANEL);
        return;
    }
    if (b_n == 1 && n == TN_PANEL) {
        for (int64_t i = 0; i < k; i++)
            memcpy(to + i * TN_PANEL, b + i * b_k, TN_PANEL * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < TN_PANEL; j++)
            to[i * TN_PANEL + j] = j < n ? b[i * b_k + j * b_n] : 0;
}
