/* gemm: c[.., n] = act(a[.., k] b[k, n] + bias[n]) + residual[.., n], b a packed constant (pack.h);
 * the residual may be added before the activation instead. Columns of C may be heads, [.., h, d]
 * with n = h d, each a run of d floats somewhere else.
 *
 * M = product of the leading dims. A stays where it is. A task owns a block of rows and a run of
 * B's panels, contiguous in memory:
 *
 *     for each group of 1, 2 or 4 panels      in L2 for all rows; the next one is prefetched
 *         for each tile of 8 or 12 rows       all of K at once, C in registers (gemm.h)
 *             bias, activation, residual      the tile is in L1; one store to C
 *
 * A, C and the residual are f32 or bf16, each by itself. Where B is in pairs of bf16 and the CPU
 * multiplies those, rows of A are pairs of bf16, else floats; rows in another form are converted in
 * scratch, once by each lane if a task has all of them. Panels of f16 or bf16 and records
 * (records.h) are widened in scratch, a group at a time, before many rows pass over them.
 *
 * With few rows (M <= 4) B passes by once, as a few linear streams: memory is the bound, and gives
 * several more than one. So do records, a few rows at a time, with as many rows as that is faster
 * for than tiles. A task's panels are dealt out to streams in runs:
 *
 *     for i < apart           all of K of panels p + i, p + apart + i, p + 2 apart + i, ..
 *
 * Every element of C is one sum in an order that depends on dims only, so threads don't change a
 * bit of it. */
#include "runtime/kernels/gemm_shape.h"
#include "runtime/kernels/map.h"

TN_COMMON_FAMILY(gemm);

enum { ROW_BLOCKS, PANEL_BLOCKS }; /* call->tile[] */
enum { START_BYTES = 2048 };       /* of a stream */

/* Scratch: a line that says which block of rows is there, those rows of A, panels that are widened;
 * but for the panels only if rows are copied. */
enum { LINE = 64 };

/* Of the line and the rows of a task, a multiple of LINE. */
static size_t copied_bytes(const Gemm *g, int64_t row_blocks) {
    if (!g->copied) return 0;
    int64_t bytes = TN_CEIL_DIV(g->m, row_blocks) * tn_gemm_copied_row(g) * float_size(g->pairs);
    return LINE + (size_t)TN_CEIL_DIV(bytes, LINE) * LINE;
}

/* Tasks as short as ten times a region, 5 us: panels are shared out for nothing, but for copies of
 * A's rows, which each lane makes. */
static int64_t tasks_for(const Gemm *g, double ns) {
    const int64_t columns = g->copied ? 384 : TN_PANEL; /* at least */
    int64_t tasks = tile_tasks(ns);
    while (tasks < 8 && ns > 1e4 * (double)tasks && g->n >= 2 * columns * tasks) tasks *= 2;
    return tasks;
}

void gemm_plan_common(TnCall *call) {
    Gemm g = tn_gemm_of(call);
    call->tasks = 0;
    call->scratch_bytes = 0;
    if (g.m == 0 || g.n == 0) return;
    TileShape shape = tn_gemm_tiles(&g);
    int64_t groups = TN_CEIL_DIV(g.n, TN_PANEL * shape.panels);
    double flops = 2.0 * (double)g.m * (double)g.n * (double)g.k,
           bytes = (double)g.panel_bytes * (double)TN_CEIL_DIV(g.n, TN_PANEL);
    double per_ns = g.isa->flops_per_ns * (g.pairs || tn_gemm_is_prepared(&g) ? 2 : 1);
    double ns = flops / per_ns + bytes / 20 + 1000;
    int64_t want = tasks_for(&g, ns);
    int64_t row_blocks = g.m >= 512 ? TN_CEIL_DIV(g.m, 256) : 1;
    if (tn_gemm_is_prepared(&g)) row_blocks = TN_CEIL_DIV(g.m, 128); /* in L2 beside a panel */
    int64_t panel_blocks = TN_CEIL_DIV(want, row_blocks);
    if (panel_blocks > groups) {
        panel_blocks = groups;
        int64_t most = TN_CEIL_DIV(g.m, 4 * shape.rows), more = TN_CEIL_DIV(want, groups);
        if (more > most) more = most;
        if (more > row_blocks) row_blocks = more;
    }
    call->tile[ROW_BLOCKS] = row_blocks;
    call->tile[PANEL_BLOCKS] = panel_blocks;
    call->tasks = row_blocks * panel_blocks;
    call->work = (int64_t)ns;
    call->keeps = g.copied;
    call->scratch_bytes = copied_bytes(&g, row_blocks);
    if (tn_gemm_is_widened(&g))
        call->scratch_bytes += (size_t)(g.depth * shape.panels * TN_PANEL) * sizeof(float);
}

static void *matrix_at(const Gemm *g, int matrix, int64_t offset) {
    return float_at(g->base[matrix], g->bf16[matrix], offset);
}

/* Columns [column, column + cols) of a tile, at `tile`, become C's; with the bias, where the tile
 * has not `begun` with it. */
static void end_tile(const Gemm *g, float *tile, int64_t tile_row, int64_t rows, int64_t column,
                     int64_t cols, bool begun, const int64_t offset[MATRICES]) {
    int64_t head = 0, within = column;
    if (column >= g->head) head = column / g->head, within = column % g->head;
    TileEnd end = g->end;
    for (int64_t j = 0, run; j < cols; j += run, within = 0, head++) {
        run = cols - j < g->head - within ? cols - j : g->head - within;
        end.c = matrix_at(g, C, offset[C] + head * g->head_stride + within);
        if (g->bias && !begun) end.bias = g->bias + column + j;
        if (g->base[RESIDUAL]) end.residual = matrix_at(g, RESIDUAL, offset[RESIDUAL] + column + j);
        g->isa->tiles->end(&end, tile + j, tile_row, rows, run);
    }
}

/* One tile: `rows` rows, those of A at t->a, the others at offset[]; `panels` panels from column
 * `column`. */
static void run_tile(const Gemm *g, TileFn *kernel, Tile *t, int64_t rows, int panels,
                     int64_t column, const int64_t offset[MATRICES]) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    int64_t cols = g->n - column < panels * TN_PANEL ? g->n - column : panels * TN_PANEL;
    int64_t head = 0, within = column;
    if (column >= g->head) head = column / g->head, within = column % g->head;
    void *c = matrix_at(g, C, offset[C] + head * g->head_stride + within);
    TileEnd end = g->end;
    end.c = c;
    if (end.residual) end.residual = matrix_at(g, RESIDUAL, offset[RESIDUAL] + column);
    /* Where some tiles do all of their end, all begin with the bias: equal rows give equal bits. */
    const bool whole = cols == panels * TN_PANEL && within + cols <= g->head;
    const bool started = whole && g->begun && (g->bare || g->ends);
    const bool itself =
        whole && (g->bare || (g->ends && rows * panels >= g->isa->tiles->end_vectors));
    t->start = started && g->bias ? g->bias + column : NULL;
    t->end = itself && !g->bare ? &end : NULL;
    t->c_bf16 = itself && g->bf16[C];
    t->c = itself ? c : buffer;
    t->c_panel = TN_PANEL;
    t->c_row = itself ? g->row[C] : panels * TN_PANEL;
    t->claim = c;
    t->claim_row = g->row[C] * float_size(g->bf16[C]);
    t->claim_every = TN_CEIL_DIV(g->pairs ? t->k / 2 : t->k, rows);
    kernel(t);
    if (!itself) end_tile(g, buffer, t->c_row, rows, column, cols, started, offset);
}

/* The same of panels that are `apart`. */
static void run_apart(const Gemm *g, TileFn *kernel, Tile *t, int64_t rows, int panels,
                      int64_t apart, int64_t column, const int64_t offset[MATRICES]) {
    _Alignas(64) float buffer[STREAM_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    const int64_t last = column + (panels - 1) * apart * TN_PANEL;
    const bool plain = g->bare && !g->bias && last + TN_PANEL <= g->n && g->head == g->n;
    t->start = NULL;
    t->c = plain ? (float *)matrix_at(g, C, offset[C] + column) : buffer;
    t->c_row = plain ? g->row[C] : panels * TN_PANEL;
    t->c_panel = plain ? apart * TN_PANEL : TN_PANEL;
    kernel(t);
    for (int j = 0; j < panels && !plain; j++, column += apart * TN_PANEL) {
        int64_t cols = g->n - column < TN_PANEL ? g->n - column : TN_PANEL;
        end_tile(g, buffer + j * TN_PANEL, t->c_row, rows, column, cols, false, offset);
    }
}

static const void *panel_at(const Gemm *g, int64_t p) {
    return (const char *)g->b + p * g->panel_bytes;
}

/* `panels` panels from number p on: where they are, or widened in scratch. */
static const void *panels_of(const Gemm *g, int64_t p, int panels, float *scratch) {
    if (!tn_gemm_is_widened(g)) return panel_at(g, p);
    if (g->in_pairs)
        g->isa->bf16->panels(scratch, panel_at(g, p), panels * g->depth / 2);
    else if (g->records)
        g->records->panels(scratch, g->layout, panel_at(g, p), panels, g->k);
    else
        g->isa->map->load(scratch, panel_at(g, p), g->b_dtype, 1, panels * g->k * TN_PANEL);
    return scratch;
}

/* What a task has of its own. */
typedef struct Task {
    int64_t r0, r1, max_rows; /* rows; of a tile */
    char *rows;               /* of A, converted; NULL: in place */
    float *panels;            /* room for a group */
} Task;

static const void *rows_at(const Gemm *g, const Task *task, int64_t row, int64_t offset) {
    if (!g->copied) return matrix_at(g, A, offset);
    return task->rows + (row - task->r0) * tn_gemm_copied_row(g) * float_size(g->pairs);
}

static void copy_rows(const Gemm *g, const Task *task) {
    const int last = g->rows.rank - 1;
    int64_t step = tn_gemm_copied_row(g);
    char *to = task->rows;
    if (tn_gemm_is_prepared(g)) {
        g->records->prepare((float *)(void *)to, step, matrix_at(g, A, task->r0 * g->row[A]),
                            g->row[A], task->r1 - task->r0, g->k);
        return;
    }
    for (int64_t r = task->r0, count; r < task->r1; r += count) {
        LoopAt at;
        loop_seek(&g->rows, last + 1, r, &at);
        count = g->rows.dims[last] - at.index[last];
        if (count > task->r1 - r) count = task->r1 - r;
        g->isa->bf16->rows(to, step, g->pairs, matrix_at(g, A, at.offset[A]), g->row[A], g->bf16[A],
                           count, g->k);
        to = float_at(to, g->pairs, count * step);
    }
}

/* All rows of a task for one group of panels. Fetching the next group is shared out over the tiles;
 * it may be the next task's or, after the last, what follows in the plan: the next weights. */
static void run_group(const Gemm *g, const Task *task, Tile *t, int64_t p, int panels) {
    int64_t r0 = task->r0, r1 = task->r1;
    int64_t max_rows = task->max_rows, tiles_in_all = tiles_of(r1 - r0, max_rows);
    const int64_t steps = g->pairs ? g->depth / 2 : g->depth;
    int64_t most = panels > 1 ? 128 : 64;
    int64_t step = TN_CEIL_DIV(g->panel_bytes * panels, (steps ? steps : 1) * tiles_in_all);
    TileFn *const *kernel = (g->pairs ? g->isa->pairs->tile : g->isa->tiles->tile)[panels];
    const int last = g->rows.rank - 1;
    t->b = panels_of(g, p, panels, task->panels);
    t->prefetch = panel_at(g, p + panels);
    t->prefetch_step = step < most ? step : most;
    while (r0 < r1) {
        LoopAt at;
        if (r0 > 0)
            loop_seek(&g->rows, last + 1, r0, &at);
        else
            loop_start(&g->rows, last + 1, &at);
        int64_t count = g->rows.dims[last] - at.index[last];
        if (count > r1 - r0) count = r1 - r0;
        int64_t tiles = tiles_of(count, max_rows);
        for (int64_t i = 0, done = 0, rows; i < tiles; i++, done += rows) {
            rows = deal(count, tiles, i + 1) - done;
            t->a = rows_at(g, task, r0 + done, at.offset[A]);
            run_tile(g, kernel[rows], t, rows, panels, p * TN_PANEL, at.offset);
            t->prefetch += steps * t->prefetch_step;
            for (int j = 0; j < MATRICES; j++) at.offset[j] += rows * g->row[j];
        }
        r0 += count;
    }
}

/* Panels p, p + apart and so on. They are read again from the cache where there are more rows than
 * a kernel takes, one by one by rows that no kernel takes over so many panels. */
static void stream_panels(const Gemm *g, const Task *task, Tile *t, int64_t p, int panels,
                          int64_t apart) {
    const Streams *streams = tn_gemm_streams(g);
    t->b_panel = apart * g->panel_bytes / (int64_t)tn_dtype_size(g->b_dtype);
    for (int64_t r = task->r0, rows; r < task->r1; r += rows) {
        int64_t offset[MATRICES];
        for (int j = 0; j < MATRICES; j++) offset[j] = r * g->row[j];
        rows = task->r1 - r < STREAM_MAX_ROWS ? task->r1 - r : STREAM_MAX_ROWS;
        while (rows > 1 && !(*streams)[panels][rows]) rows--;
        const int some = (*streams)[panels][rows] ? panels : 1;
        TileFn *kernel = (*streams)[some][rows];
        t->a = rows_at(g, task, r, offset[A]);
        for (int64_t at = p; at < p + panels * apart; at += some * apart) {
            t->b = panel_at(g, at);
            if (some == 1 || apart == 1)
                run_tile(g, kernel, t, rows, some, at * TN_PANEL, offset);
            else
                run_apart(g, kernel, t, rows, some, apart, at * TN_PANEL, offset);
        }
    }
}

/* Panels [p, end): as many runs of them as streams are read at once, then what is left. */
static void run_streams(const Gemm *g, const Task *task, Tile *t, int64_t p, int64_t end) {
    const int panels = (int)tn_gemm_tiles(g).panels;
    const int64_t apart = (end - p) / panels, rest = p + panels * apart;
    for (int64_t last = p + apart - 1; p <= last; p++) {
        t->prefetch = panel_at(g, p < last ? p + 1 : end);
        stream_panels(g, task, t, p, panels, panels > 1 ? apart : 1);
    }
    for (p = rest; p < end; p++) {
        t->prefetch = panel_at(g, p + 1);
        stream_panels(g, task, t, p, 1, 1);
    }
}

/* Asks memory for what the streams of panels [p, end) begin with. */
static void fetch_streams(const Gemm *g, int64_t p, int64_t end) {
    const int panels = tn_gemm_tiles(g).panels;
    const int64_t apart = (end - p) / panels * g->panel_bytes;
    for (int64_t at = 0; at < START_BYTES; at += 64)
        for (int j = 0; j < panels; j++)
            __builtin_prefetch((const char *)panel_at(g, p) + j * apart + at, 0, 2);
}

void gemm_run_common(const TnCall *call, int64_t number, void *scratch) {
    Gemm g = tn_gemm_of(call);
    const TileShape shape = tn_gemm_tiles(&g);
    int64_t panels = TN_CEIL_DIV(g.n, TN_PANEL), group = shape.panels,
            groups = TN_CEIL_DIV(panels, group);
    int64_t row_blocks = call->tile[ROW_BLOCKS], row_block = number % row_blocks,
            panel_block = number / row_blocks;
    Task task = {.rows = (char *)scratch + LINE, .max_rows = shape.rows};
    task.r0 = deal(g.m, row_blocks, row_block);
    task.r1 = deal(g.m, row_blocks, row_block + 1);
    task.panels = (float *)(void *)((char *)scratch + copied_bytes(&g, row_blocks));
    int64_t p = deal(groups, call->tile[PANEL_BLOCKS], panel_block) * group;
    int64_t end = deal(groups, call->tile[PANEL_BLOCKS], panel_block + 1) * group;
    if (end > panels) end = panels;
    Tile t = {.k = g.depth,
              .a_row = g.copied ? tn_gemm_copied_row(&g) : g.row[A],
              .b_row = g.pairs ? 2 * TN_PANEL : TN_PANEL,
              .b_panel = g.depth * TN_PANEL};
    if (tn_gemm_is_stream(&g)) fetch_streams(&g, p, end);
    int64_t *kept = scratch; /* 1 more than the block of rows */
    if (g.copied && *kept != row_block + 1) {
        copy_rows(&g, &task);
        *kept = row_block + 1;
    }
    if (tn_gemm_is_stream(&g)) {
        if (g.records) t.b_row = g.layout;
        run_streams(&g, &task, &t, p, end);
        return;
    }
    for (int some; p < end; p += some) {
        some = tile_panels(shape, end - p, g.pairs);
        run_group(&g, &task, &t, p, some);
    }
}
