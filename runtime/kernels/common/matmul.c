/* matmul: c[.., m, n] = alpha * a[.., m, k] b[.., k, n] over broadcast batch axes, any strides;
 * both operands are activations.
 *
 * f32: B is packed group by group (2 or 3 panels, all of K) into scratch, right before all rows of
 * the task pass over it with the micro-kernels of gemm.h. Few rows take B's rows in place where
 * they can. A is read in place if its rows are dense, else the task's rows are copied first. A
 * result that is stored by columns is computed as C' = B' A'. bf16 goes the same way: A and B
 * become pairs where the CPU multiplies those, else floats (bf16.h), and C is of either type. Other
 * types: matmul_blas.c.
 *
 *     task = (run of batch entries) x (block of rows) x (run of panel groups)
 *     scratch = rows of A | one group of B */
#include <stdbool.h>
#include <string.h>
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/matmul.h"

TN_COMMON_FAMILY(matmul);

enum { ENTRY_BLOCKS, ROW_BLOCKS, PANEL_BLOCKS }; /* call->tile[] */

/* Strides along axes of extent 1 mean nothing: make them dense. */
static void settle_strides(Matmul *p) {
    if (p->n == 1) p->strides[B][1] = p->strides[C][1] = 1;
    if (p->k == 1) p->strides[A][1] = 1;
}

/* C' = B' A' */
static void transpose_product(Matmul *p) {
    Matmul was = *p;
    p->m = was.n;
    p->n = was.m;
    for (int i = 0; i < 3; i++) {
        int from = i == A ? B : i == B ? A : C;
        p->base[i] = was.base[from];
        p->strides[i][0] = was.strides[from][1];
        p->strides[i][1] = was.strides[from][0];
        memcpy(p->entries.strides[i], was.entries.strides[from], sizeof p->entries.strides[i]);
    }
}

static Matmul product_of(const TnCall *call) {
    Matmul p = matmul_of(call);
    p.pairs = p.bf16 && p.isa->pairs;
    settle_strides(&p);
    if (p.strides[C][1] != 1 && (p.strides[C][0] == 1 || p.m == 1)) {
        transpose_product(&p);
        settle_strides(&p);
    }
    return p;
}

/* k as the tiles see it. */
static int64_t depth_of(const Matmul *p) {
    return p->pairs ? tn_pairs_rows(p->k) : p->k;
}

/* Rows of A that are not what the tiles take. */
static bool is_copied(const Matmul *p) {
    return p->strides[A][1] != 1 || p->bf16 != p->pairs || depth_of(p) != p->k;
}

static TileShape shape_for(const Matmul *p) {
    if (p->pairs) return p->isa->pairs->shape;
    return tile_shape(p->isa->tiles, is_copied(p) ? p->k : p->strides[A][0]);
}

/* Packing costs about as much as multiplying a few rows. */
static bool in_place(const Matmul *p) {
    return p->strides[B][1] == 1 && p->m <= 2 * TILE_MAX_ROWS && !p->bf16;
}

static int64_t copied_rows(const Matmul *p, int64_t row_blocks) {
    return is_copied(p) ? TN_CEIL_DIV(p->m, row_blocks) : 0;
}

static void plan_product(TnCall *call) {
    Matmul p = product_of(call);
    TileShape shape = shape_for(&p);
    int64_t entries = loop_points(&p.entries, p.entries.rank),
            groups = TN_CEIL_DIV(p.n, TN_PANEL * shape.panels);
    double size = (double)entries * (double)p.n * (double)p.k;
    double flops_per_ns = p.isa->flops_per_ns * (p.pairs ? 2 : 1);
    double ns = 2 * size * (double)p.m / flops_per_ns + size / 2 + 200 * (double)entries;
    int64_t want = tile_tasks(ns), left = TN_CEIL_DIV(want, entries);
    /* Rows are split to bound scratch and where columns don't give enough tasks. */
    int64_t most = p.k > 1024 ? TN_CEIL_DIV(256 * 1024, p.k) : 256;
    if (most < 2 * TILE_MAX_ROWS) most = 2 * TILE_MAX_ROWS;
    int64_t row_blocks = p.m >= 2 * most ? TN_CEIL_DIV(p.m, most) : 1;
    int64_t panel_blocks = TN_CEIL_DIV(left, row_blocks);
    if (panel_blocks > groups) panel_blocks = groups;
    call->tile[ENTRY_BLOCKS] = want < entries ? want : entries;
    call->tile[ROW_BLOCKS] = row_blocks;
    call->tile[PANEL_BLOCKS] = panel_blocks;
    call->tasks = call->tile[ENTRY_BLOCKS] * row_blocks * panel_blocks;
    call->work = (int64_t)ns;
    int64_t rows = copied_rows(&p, row_blocks) + shape.panels * TN_PANEL;
    call->scratch_bytes = (size_t)(rows * depth_of(&p) * float_size(p.pairs));
}

/* C = alpha tile; columns 0..cols-1 of it exist. */
static void finish(const Matmul *p, float *tile, int panels, int64_t rows, int64_t cols, void *c) {
    const int64_t step = p->strides[C][1];
    const int64_t tile_row = panels * TN_PANEL;
    if (p->alpha != 1) p->isa->tiles->scale(tile, tile_row, rows, panels, p->alpha);
    for (int64_t i = 0; i < rows; i++, tile += tile_row) {
        if (step == 1)
            p->isa->bf16->copy(c, p->c_bf16, tile, false, cols);
        else
            for (int64_t n = 0; n < cols; n++) float_set(c, p->c_bf16, n * step, tile[n]);
        c = float_at(c, p->c_bf16, p->strides[C][0]);
    }
}

/* `rows` rows of A at t->a against the group of panels at t->b; the result's first element is c. */
static void run_rows(const Matmul *p, Tile t, TileShape shape, int64_t rows, int panels,
                     int64_t cols, void *c) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    bool plain = p->alpha == 1 && cols == panels * TN_PANEL && p->strides[C][1] == 1 && !p->c_bf16;
    int64_t tiles = TN_CEIL_DIV(rows, shape.rows);
    t.prefetch = (const char *)t.b;
    for (int64_t i = 0; i < tiles; i++) {
        int64_t count = deal(rows, tiles, i + 1) - deal(rows, tiles, i);
        t.c = plain ? c : buffer;
        t.c_row = plain ? p->strides[C][0] : panels * TN_PANEL;
        (p->pairs ? p->isa->pairs->tile : p->isa->tiles->tile)[panels][count](&t);
        if (!plain) finish(p, buffer, panels, count, cols, c);
        t.a = float_at(t.a, p->pairs, count * t.a_row);
        c = float_at(c, p->c_bf16, count * p->strides[C][0]);
    }
}

/* Row i of the copy is row i of A, dense. */
static void copy_rows(const Matmul *p, const void *from, int64_t rows, void *copy) {
    const int64_t *stride = p->strides[A], depth = depth_of(p);
    if (stride[1] == 1) {
        p->isa->bf16->rows(copy, depth, p->pairs, from, stride[0], p->bf16, rows, p->k);
        return;
    }
    if (stride[0] == 1 && !p->bf16) {
        const float *a = from;
        float *to = copy;
        for (int64_t k = 0; k < p->k; k += TN_PANEL) {
            int64_t n = p->k - k < TN_PANEL ? p->k - k : TN_PANEL;
            p->isa->tiles->transpose(to + k, p->k, a + k * stride[1], stride[1], n, rows, n);
        }
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < depth; k++) {
            float x = k < p->k ? float_get(from, p->bf16, i * stride[0] + k * stride[1]) : 0;
            float_set(copy, p->pairs, i * depth + k, x);
        }
}

/* Columns 0..n-1 of B, n <= 16, as a panel. */
static void pack_panel(const Matmul *p, void *to, const void *b, int64_t n) {
    const int64_t *stride = p->strides[B];
    if (p->k == 0) return;
    if (p->pairs) {
        p->isa->pairs->pack(to, b, stride[0], stride[1], p->k, n);
        return;
    }
    if (!p->bf16) {
        p->isa->tiles->pack(to, b, stride[0], stride[1], p->k, n);
        return;
    }
    float *panel = to;
    memset(panel, 0, (size_t)(p->k * TN_PANEL) * sizeof *panel);
    for (int64_t i = 0; i < p->k; i++)
        for (int64_t j = 0; j < n; j++)
            panel[i * TN_PANEL + j] = float_get(b, true, i * stride[0] + j * stride[1]);
}

/* One batch entry: rows [r0, r1), panels [first, last). */
static void run_entry(const Matmul *p, TileShape shape, const int64_t offset[], int64_t r0,
                      int64_t r1, int64_t first, int64_t last, void *copy, void *packed) {
    const int64_t *bs = p->strides[B], *cs = p->strides[C], depth = depth_of(p);
    const void *a = float_at(p->base[A], p->bf16, offset[A] + r0 * p->strides[A][0]);
    const void *b = float_at(p->base[B], p->bf16, offset[B]);
    void *c = float_at(p->base[C], p->c_bf16, offset[C] + r0 * cs[0]);
    Tile t = {.k = depth, .a = a, .a_row = p->strides[A][0]};
    if (is_copied(p)) {
        copy_rows(p, a, r1 - r0, copy);
        t.a = copy;
        t.a_row = depth;
    }
    for (int64_t j = first, panels; j < last; j += panels) {
        panels = tile_panels(shape, last - j, p->pairs);
        int64_t n = j * TN_PANEL,
                cols = p->n - n < panels * TN_PANEL ? p->n - n : panels * TN_PANEL;
        if (in_place(p) && cols == panels * TN_PANEL) {
            t.b = float_at(b, false, n);
            t.b_row = bs[0];
            t.b_panel = TN_PANEL;
        } else {
            t.b = packed;
            t.b_row = p->pairs ? 2 * TN_PANEL : TN_PANEL;
            t.b_panel = TN_PANEL * depth;
            for (int i = 0; i < panels; i++) {
                int64_t at = n + i * TN_PANEL, width = p->n - at < TN_PANEL ? p->n - at : TN_PANEL;
                pack_panel(p, float_at(packed, p->pairs, i * t.b_panel),
                           float_at(b, p->bf16, at * bs[1]), width);
            }
        }
        run_rows(p, t, shape, r1 - r0, (int)panels, cols, float_at(c, p->c_bf16, n * cs[1]));
    }
}

static void run_product(const TnCall *call, int64_t task, void *scratch) {
    const Matmul p = product_of(call);
    const TileShape shape = shape_for(&p);
    int64_t row_blocks = call->tile[ROW_BLOCKS], panel_blocks = call->tile[PANEL_BLOCKS],
            entry_blocks = call->tile[ENTRY_BLOCKS];
    int64_t panel_block = task % panel_blocks, row_block = task / panel_blocks % row_blocks;
    int64_t entry_block = task / panel_blocks / row_blocks;
    int64_t panels = TN_CEIL_DIV(p.n, TN_PANEL), groups = TN_CEIL_DIV(panels, shape.panels);
    int64_t first = deal(groups, panel_blocks, panel_block) * shape.panels;
    int64_t last = deal(groups, panel_blocks, panel_block + 1) * shape.panels;
    int64_t entries = loop_points(&p.entries, p.entries.rank),
            end = deal(entries, entry_blocks, entry_block + 1);
    void *copy = scratch,
         *packed = float_at(scratch, p.pairs, copied_rows(&p, row_blocks) * depth_of(&p));
    LoopAt at;
    int64_t entry = deal(entries, entry_blocks, entry_block);
    loop_seek(&p.entries, p.entries.rank, entry, &at);
    for (; entry < end; entry++, loop_next(&p.entries, p.entries.rank, &at))
        run_entry(&p, shape, at.offset, deal(p.m, row_blocks, row_block),
                  deal(p.m, row_blocks, row_block + 1), first, last < panels ? last : panels, copy,
                  packed);
}

static bool by_tiles(const TnCall *call) {
    TnDType t = (TnDType)call->operands[A].dtype;
    return t == TN_F32 || t == TN_BF16;
}

void matmul_plan_common(TnCall *call) {
    const TnTensor *c = &call->operands[2];
    call->tasks = 0;
    if (tensor_elements(c) == 0) return;
    if (by_tiles(call))
        plan_product(call);
    else
        matmul_other_plan(call);
}

void matmul_run_common(const TnCall *call, int64_t task, void *scratch) {
    if (by_tiles(call))
        run_product(call, task, scratch);
    else
        matmul_other_run(call, task);
}
