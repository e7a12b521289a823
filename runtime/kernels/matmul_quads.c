/* matmul_int with a constant b in quads (pack.h), which the instructions for dot products of 8 bits
 * want:
 *
 *     c[i, j] = sum over k of (a[i, k] - za[i]) (b[k, j] - zb[j])
 *             = a b - za[i] sum_k b[k, j] - zb[j] sum_k a[i, k] + K za[i] zb[j]
 *
 * with a taken as u8 (of i8: + 128, and so za) and b as i8 (of u8: - 128, and so zb; pack.h stores
 * it like that, with the sums over k). The sums of rows of a are needed only where zb is not 0,
 * which is rare.
 *
 *     task = (block of rows) x (run of panels); rows of a are read in place if their k lie side by
 *     side in quads, else from a copy in scratch
 *
 * As in gemm.c a group of panels stays in cache for all rows, and the next is fetched meanwhile. */
#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/matmul_quads.h"

enum { ROW_BLOCKS, PANEL_BLOCKS }; /* call->tile[] */
enum { LA, LZERO, LC };            /* operands of `rows` */
enum { OPS_PER_NS = 200 };

typedef struct Quads {
    const TnTensor *a, *b, *za, *zb, *c;
    int64_t m, n, k, quads;
    Loop rows; /* of a, za and c */
    int64_t row[3];
    int64_t panel_bytes;
    int shift_a, shift_b; /* what is added to numbers of a and of b, and to their zeros */
    bool copied;          /* rows of a */
} Quads;

static Quads quads_of(const TnCall *call) {
    const TnTensor *o = call->operands, *c = &o[call->inputs];
    Quads q = {.a = &o[0], .b = &o[1], .c = c, .k = o[1].dims[0], .n = o[1].dims[1]};
    if (call->inputs > 2 && o[2].data) q.za = &o[2];
    if (call->inputs > 3 && o[3].data) q.zb = &o[3];
    const TnTensor *const all[] = {q.a, q.za ? q.za : c, c};
    TnTensor leading[3];
    for (int i = 0; i < 3; i++) {
        leading[i] = *all[i];
        leading[i].rank--;
    }
    q.rows = loop_over(&leading[LC]);
    for (int i = 0; i < 3; i++) loop_add(&q.rows, &leading[i]);
    loop_collapse(&q.rows);
    q.m = loop_points(&q.rows, q.rows.rank);
    for (int i = 0; i < 3; i++) q.row[i] = q.rows.strides[i][q.rows.rank - 1];
    q.quads = TN_CEIL_DIV(q.k, 4);
    q.panel_bytes = tn_packed_elements(TN_LAYOUT_QUADS16, q.k, TN_PANEL);
    q.shift_a = q.a->dtype == TN_I8 ? 128 : 0;
    q.shift_b = q.b->dtype == TN_U8 ? -128 : 0;
    q.copied = q.k % 4 || q.a->strides[q.a->rank - 1] != 1;
    return q;
}

void TN_FN(matmul_quads_plan)(TnCall *call) {
    Quads q = quads_of(call);
    call->tasks = 0;
    call->scratch_bytes = 0;
    if (q.m == 0 || q.n == 0) return;
    int64_t groups = TN_CEIL_DIV(q.n, TN_PANEL * TN_FN(quads_kernels)(call->isa)->panels);
    double ns = 2.0 * (double)q.m * (double)q.n * (double)q.k / OPS_PER_NS +
                (double)q.n * (double)q.k / 20 + 1000;
    int64_t want = tile_tasks(ns), rows = q.m >= 512 ? TN_CEIL_DIV(q.m, 256) : 1;
    int64_t panels = TN_CEIL_DIV(want, rows);
    call->tile[ROW_BLOCKS] = rows;
    call->tile[PANEL_BLOCKS] = panels < groups ? panels : groups;
    call->tasks = rows * call->tile[PANEL_BLOCKS];
    call->work = (int64_t)ns;
    if (q.copied) call->scratch_bytes = (size_t)(TN_CEIL_DIV(q.m, rows) * 4 * q.quads);
}

static int byte_at(const TnTensor *t, int64_t at) {
    return t->dtype == TN_I8 ? ((const int8_t *)t->data)[at] : ((const uint8_t *)t->data)[at];
}

/* Row `at` of a as it is, in quads; what is behind K meets zeros of b. */
static void copy_row(const Quads *q, int64_t at, uint8_t *to) {
    const int64_t stride = q->a->strides[q->a->rank - 1];
    const uint8_t *from = (const uint8_t *)q->a->data + at;
    for (int64_t k = 0; k < q->k; k++) to[k] = from[k * stride];
    memset(to + q->k, 0, (size_t)(4 * q->quads - q->k));
}

static uint32_t row_sum(const Quads *q, const uint8_t *a) {
    const uint8_t flip = q->shift_a ? 0x80 : 0;
    uint32_t sum = 0;
    for (int64_t k = 0; k < q->k; k++) sum += a[k] ^ flip;
    return sum;
}

/* The panels at hand, and what is the same for all of their rows. */
typedef struct Group {
    int64_t column, columns;
    const int8_t *panel[QUADS_MAX_PANELS];
    uint32_t sum[QUADS_MAX_PANELS * TN_PANEL];  /* of b along k */
    uint32_t zero[QUADS_MAX_PANELS * TN_PANEL]; /* zb */
    bool zeros;                                 /* some zero is not 0 */
} Group;

static Group group_of(const Quads *q, int64_t panel, int64_t panels) {
    Group g = {.column = panel * TN_PANEL}; /* zeros beyond the columns, too */
    g.columns = panels * TN_PANEL < q->n - g.column ? panels * TN_PANEL : q->n - g.column;
    for (int64_t p = 0; p < QUADS_MAX_PANELS; p++) {
        int64_t here = panel + (p < panels ? p : 0);
        g.panel[p] = (const int8_t *)q->b->data + here * q->panel_bytes;
        memcpy(g.sum + p * TN_PANEL, g.panel[p] + 4 * TN_PANEL * q->quads,
               TN_PANEL * sizeof *g.sum);
    }
    for (int64_t j = 0; j < g.columns; j++) {
        int zero = q->zb ? byte_at(q->zb, (g.column + j) * q->zb->strides[q->zb->rank - 1]) : 0;
        g.zero[j] = (uint32_t)(zero + q->shift_b);
        g.zeros |= g.zero[j] != 0;
    }
    return g;
}

/* c = y and the other three terms, for one row. */
static void end_row(const Quads *q, const Group *g, int32_t *y, uint32_t za, uint32_t sum,
                    int32_t *c) {
    const int64_t stride = q->c->strides[q->c->rank - 1];
    TN_FN(quads_end)(y, g->columns, za, g->sum, (uint32_t)q->k * za - sum, g->zero);
    if (stride == 1)
        memcpy(c, y, (size_t)g->columns * sizeof *c);
    else
        for (int64_t j = 0; j < g->columns; j++) c[j * stride] = y[j];
}

/* The tile for the rows from *i on of `count`: one that has enough of them, and may begin before
 * *i, or else the largest that has not too many. */
static int64_t choose_tile(const QuadsKernels *kernels, int64_t count, int64_t *i) {
    int64_t left = count - *i, wanted = left < QUADS_MAX_ROWS ? left : QUADS_MAX_ROWS;
    for (int64_t rows = wanted; rows <= QUADS_MAX_ROWS && rows <= count; rows++) {
        if (!kernels->tile[rows]) continue;
        if (rows > left) *i = count - rows;
        return rows;
    }
    while (!kernels->tile[wanted]) wanted--;
    return wanted;
}

/* `count` rows that lie one behind another from `at` on; a is the first. */
static void run_rows(const Quads *q, const Group *g, const QuadsKernels *kernels, QuadsTile *t,
                     const uint8_t *a, int64_t count, const int64_t *at) {
    for (int64_t i = 0; i < count;) {
        int64_t rows = choose_tile(kernels, count, &i);
        t->a = a + i * t->a_row;
        kernels->tile[rows](t);
        t->prefetch += q->quads * t->prefetch_step;
        for (int64_t r = 0; r < rows; r++, i++) {
            int zero = q->za ? byte_at(q->za, at[LZERO] + i * q->row[LZERO]) : 0;
            uint32_t sum = g->zeros ? row_sum(q, a + i * t->a_row) : 0;
            int32_t *c = (int32_t *)q->c->data + at[LC] + i * q->row[LC];
            end_row(q, g, t->y + r * QUADS_MAX_PANELS * TN_PANEL, (uint32_t)(zero + q->shift_a),
                    sum, c + g->column * q->c->strides[q->c->rank - 1]);
        }
    }
}

/* Rows [r0, r1) of a group of panels. */
static void run_group(const Quads *q, const Group *g, const QuadsKernels *kernels, QuadsTile *t,
                      int64_t r0, int64_t r1, const uint8_t *copy) {
    const int last = q->rows.rank - 1;
    for (int64_t r = r0, count; r < r1; r += count) {
        LoopAt at;
        loop_seek(&q->rows, last + 1, r, &at);
        count = q->rows.dims[last] - at.index[last];
        if (count > r1 - r) count = r1 - r;
        const uint8_t *a =
            copy ? copy + (r - r0) * t->a_row : (const uint8_t *)q->a->data + at.offset[LA];
        run_rows(q, g, kernels, t, a, count, at.offset);
    }
}

static void copy_rows(const Quads *q, int64_t r0, int64_t r1, uint8_t *to) {
    for (int64_t r = r0; r < r1; r++, to += 4 * q->quads) {
        LoopAt at;
        loop_seek(&q->rows, q->rows.rank, r, &at);
        copy_row(q, at.offset[LA], to);
    }
}

void TN_FN(matmul_quads_run)(const TnCall *call, int64_t task, void *scratch) {
    const Quads q = quads_of(call);
    const QuadsKernels *kernels = TN_FN(quads_kernels)(call->isa);
    int64_t blocks = call->tile[ROW_BLOCKS], run = task / blocks,
            panels = TN_CEIL_DIV(q.n, TN_PANEL), groups = TN_CEIL_DIV(panels, kernels->panels);
    int64_t r0 = deal(q.m, blocks, task % blocks), r1 = deal(q.m, blocks, task % blocks + 1);
    int64_t p = deal(groups, call->tile[PANEL_BLOCKS], run) * kernels->panels;
    int64_t end = deal(groups, call->tile[PANEL_BLOCKS], run + 1) * kernels->panels;
    if (end > panels) end = panels;
    if (q.copied) copy_rows(&q, r0, r1, scratch);
    QuadsTile t = {.a_row = q.copied ? 4 * q.quads : q.row[LA],
                   .quads = q.quads,
                   .flip = q.shift_a ? 0x80808080 : 0};
    int64_t step = TN_CEIL_DIV(128 * QUADS_MAX_ROWS, r1 - r0);
    t.prefetch_step = step < 128 ? step : 128;
    for (; p < end; p += kernels->panels) {
        Group g = group_of(&q, p, end - p < kernels->panels ? end - p : kernels->panels);
        t.b = g.panel[0];
        t.b_next = g.panel[1];
        t.prefetch = (const char *)t.b + kernels->panels * q.panel_bytes;
        run_group(&q, &g, kernels, &t, r0, r1, q.copied ? scratch : NULL);
    }
}
