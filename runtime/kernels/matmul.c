/* matmul: c[.., m, n] = alpha * a[.., m, k] b[.., k, n] over broadcast batch axes, any strides;
 * both operands are activations.
 *
 * f32: B is packed group by group (2 or 3 panels, all of K) into scratch, right before all rows of
 * the task pass over it with the micro-kernels of gemm.h. Few rows take B's rows in place where
 * they can. A is read in place if its rows are dense, else the task's rows are copied first. A
 * result that is stored by columns is computed as C' = B' A'. Other types: matmul_blas.c.
 *
 *     task = (run of batch entries) x (block of rows) x (run of panel groups)
 *     scratch = rows of A | one group of B */
#include <stdbool.h>
#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/matmul.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(matmul);

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

static Matmul f32_of(const TnCall *call) {
    Matmul p = matmul_of(call);
    settle_strides(&p);
    if (p.strides[C][1] != 1 && (p.strides[C][0] == 1 || p.m == 1)) {
        transpose_product(&p);
        settle_strides(&p);
    }
    return p;
}

static TileShape shape_for(const Matmul *p) {
    return tile_shape(p->m, p->strides[A][1] == 1 ? p->strides[A][0] : p->k);
}

/* Packing costs about as much as multiplying a few rows. */
static bool in_place(const Matmul *p) {
    return p->strides[B][1] == 1 && p->m <= 2 * TILE_MAX_ROWS;
}

static int64_t copied_rows(const Matmul *p, int64_t row_blocks) {
    return p->strides[A][1] == 1 ? 0 : TN_CEIL_DIV(p->m, row_blocks);
}

static void plan_f32(TnCall *call) {
    Matmul p = f32_of(call);
    TileShape shape = shape_for(&p);
    int64_t entries = loop_points(&p.entries, p.entries.rank),
            groups = TN_CEIL_DIV(p.n, TN_PANEL * shape.panels);
    double size = (double)entries * (double)p.n * (double)p.k;
    double ns = 2 * size * (double)p.m / TILE_FLOPS_PER_NS + size / 2 + 200 * (double)entries;
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
    int64_t floats = copied_rows(&p, row_blocks) * p.k + shape.panels * TN_PANEL * p.k;
    call->scratch_bytes = (size_t)floats * sizeof(float);
}

/* C = alpha tile; columns 0..cols-1 of it exist. */
static void finish(const Matmul *p, const float *tile, int64_t tile_row, int64_t rows, int64_t cols,
                   float *c) {
    const vf alpha = vf_set1(p->alpha);
    const int64_t step = p->strides[C][1];
    for (int64_t i = 0; i < rows; i++, tile += tile_row, c += p->strides[C][0]) {
        if (step != 1) {
            for (int64_t n = 0; n < cols; n++) c[n * step] = p->alpha * tile[n];
            continue;
        }
        int64_t n = 0;
        for (; n + VF_WIDTH <= cols; n += VF_WIDTH)
            vf_store(c + n, vf_mul(alpha, vf_load(tile + n)));
        if (n < cols) vf_store_n(c + n, vf_mul(alpha, vf_load(tile + n)), cols - n);
    }
}

/* `rows` rows of A at t->a against the group of panels at t->b; the result's first element is c. */
static void run_rows(const Matmul *p, Tile t, TileShape shape, int64_t rows, int panels,
                     int64_t cols, float *c) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    bool plain = p->alpha == 1 && cols == panels * TN_PANEL && p->strides[C][1] == 1;
    int64_t tiles = TN_CEIL_DIV(rows, shape.rows);
    const float *a = t.a;
    t.prefetch = (const char *)t.b;
    for (int64_t i = 0; i < tiles; i++) {
        int64_t count = deal(rows, tiles, i + 1) - deal(rows, tiles, i);
        t.a = a;
        t.c = plain ? c : buffer;
        t.c_row = plain ? p->strides[C][0] : panels * TN_PANEL;
        TN_FN(tile_kernels).tile[panels][count](&t);
        if (!plain) finish(p, buffer, t.c_row, count, cols, c);
        a += count * t.a_row;
        c += count * p->strides[C][0];
    }
}

/* Row i of the copy is row i of A, dense. */
static void copy_rows(const Matmul *p, const float *a, int64_t rows, float *to) {
    const int64_t *stride = p->strides[A];
    if (stride[0] == 1) {
        for (int64_t k = 0; k < p->k; k += TN_PANEL) {
            int64_t n = p->k - k < TN_PANEL ? p->k - k : TN_PANEL;
            TN_FN(tile_kernels).transpose(to + k, p->k, a + k * stride[1], stride[1], n, rows, n);
        }
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < p->k; k++) to[i * p->k + k] = a[i * stride[0] + k * stride[1]];
}

/* One batch entry: rows [r0, r1), panels [first, last). */
static void run_entry(const Matmul *p, TileShape shape, const int64_t offset[], int64_t r0,
                      int64_t r1, int64_t first, int64_t last, float *copy, float *packed) {
    const float *a = p->base[A], *b = p->base[B];
    float *c = p->base[C];
    const int64_t *bs = p->strides[B], *cs = p->strides[C];
    a += offset[A] + r0 * p->strides[A][0];
    b += offset[B];
    c += offset[C] + r0 * cs[0];
    Tile t = {.k = p->k, .a = a, .a_row = p->strides[A][0]};
    if (p->strides[A][1] != 1) {
        copy_rows(p, a, r1 - r0, copy);
        t.a = copy;
        t.a_row = p->k;
    }
    for (int64_t j = first; j < last; j += shape.panels) {
        int panels = (int)(last - j < shape.panels ? last - j : shape.panels);
        int64_t n = j * TN_PANEL,
                cols = p->n - n < panels * TN_PANEL ? p->n - n : panels * TN_PANEL;
        if (in_place(p) && cols == panels * TN_PANEL) {
            t.b = b + n;
            t.b_row = bs[0];
            t.b_panel = TN_PANEL;
        } else {
            t.b = packed;
            t.b_row = TN_PANEL;
            t.b_panel = TN_PANEL * p->k;
            for (int i = 0; i < panels; i++) {
                int64_t at = n + i * TN_PANEL, width = p->n - at < TN_PANEL ? p->n - at : TN_PANEL;
                TN_FN(tile_pack)(packed + i * t.b_panel, b + at * bs[1], bs[0], bs[1], p->k, width);
            }
        }
        run_rows(p, t, shape, r1 - r0, panels, cols, c + n * cs[1]);
    }
}

static void run_f32(const TnCall *call, int64_t task, void *scratch) {
    const Matmul p = f32_of(call);
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
    float *copy = scratch, *packed = copy + copied_rows(&p, row_blocks) * p.k;
    LoopAt at;
    int64_t entry = deal(entries, entry_blocks, entry_block);
    loop_seek(&p.entries, p.entries.rank, entry, &at);
    for (; entry < end; entry++, loop_next(&p.entries, p.entries.rank, &at))
        run_entry(&p, shape, at.offset, deal(p.m, row_blocks, row_block),
                  deal(p.m, row_blocks, row_block + 1), first, last < panels ? last : panels, copy,
                  packed);
}

void TN_FN(matmul_plan)(TnCall *call) {
    const TnTensor *c = &call->operands[2];
    call->tasks = 0;
    if (tensor_elements(c) == 0) return;
    if (c->dtype == TN_F32)
        plan_f32(call);
    else
        matmul_other_plan(call);
}

void TN_FN(matmul_run)(const TnCall *call, int64_t task, void *scratch) {
    if (call->operands[2].dtype == TN_F32)
        run_f32(call, task, scratch);
    else
        matmul_other_run(call, task);
}
