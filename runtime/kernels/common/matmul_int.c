/* matmul_int: c[.., m, n] = sum over k of (a[.., m, k] - za[.., m]) (b[.., k, n] - zb[.., n]), a
 * and b of 8 bits, c i32. Any strides; the sums are exact (modulo 2^32) and so the same on every
 * ISA. The instructions for dot products of 8 bits want u8 times i8, four k at a time:
 *
 *     c[i, j] = a b - za[i] sum_k b[k, j] - zb[j] sum_k a[i, k] + K za[i] zb[j]
 *
 * with a taken as u8 (of i8: + 128, and so za) and b as i8 (of u8: - 128, and so zb). b comes in
 * quads with its sums over k (pack.h): a constant is stored like that, anything else is packed by
 * the task. The sums of rows of a are needed only where zb is not 0, and then taken once per task.
 *
 *     task = (batch entry) x (block of rows) x (run of panels)
 *
 * A packed b has no batch axes: then all leading axes are rows. Rows of a are read in place if
 * they are u8 whose k lie side by side in quads, else from a copy in scratch. As in gemm.c a group
 * of panels stays in cache for all rows, and the next is fetched meanwhile. */
#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/isa.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/matmul_int.h"

TN_COMMON_FAMILY(matmul_int);

enum { ROW_BLOCKS, PANEL_BLOCKS }; /* call->tile[] */
enum { A, B, A_ZERO, B_ZERO, C, TENSORS };
enum { OPS_PER_NS = 200 };

typedef struct Product {
    const QuadsKernels *kernels;
    const TnTensor *t[TENSORS]; /* NULL: no zeros */
    int64_t m, n, k, quads;
    Loop entries, rows;                    /* of all tensors */
    int64_t row[TENSORS], column[TENSORS]; /* strides of the last of `rows` and of the last axis */
    int64_t panel_bytes;
    int shift_a, shift_b; /* what is added to numbers of a and of b, and to their zeros */
    bool packed, copied;  /* b; rows of a */
} Product;

/* A walk of all tensors over axes [first, end) of c. What is absent or packed stays where it is. */
static Loop walk(const Product *p, int first, int end) {
    Loop l;
    for (int i = -1; i < TENSORS; i++) {
        const TnTensor *t = i < 0 ? p->t[C] : p->t[i];
        if (i >= 0 && (!t || (i == B && p->packed))) {
            loop_add_still(&l, 1);
            continue;
        }
        TnTensor axes = {.rank = end - first};
        for (int axis = first; axis < end; axis++) {
            axes.dims[axis - first] = t->dims[axis];
            axes.strides[axis - first] = t->strides[axis];
        }
        if (i < 0)
            loop_over(&l, &axes);
        else
            loop_add(&l, &axes);
    }
    loop_collapse(&l);
    return l;
}

static Product product_of(const TnCall *call) {
    const TnTensor *o = call->operands, *c = &o[call->inputs];
    const int last = c->rank - 1;
    Product p = {.kernels = tn_isa_kernels[call->isa].quads,
                 .t = {[A] = &o[A], [B] = &o[B], [C] = c}};
    for (int i = A_ZERO; i < call->inputs; i++)
        if (o[i].data) p.t[i] = &o[i];
    p.packed = o[B].layout == TN_LAYOUT_QUADS16;
    p.k = o[A].dims[last];
    p.n = c->dims[last];
    p.entries = walk(&p, 0, p.packed ? 0 : last - 1);
    p.rows = walk(&p, p.packed ? 0 : last - 1, last);
    p.m = loop_points(&p.rows, p.rows.rank);
    for (int i = 0; i < TENSORS; i++) {
        p.row[i] = p.rows.strides[i][p.rows.rank - 1];
        p.column[i] = p.t[i] && !(i == B && p.packed) ? p.t[i]->strides[p.t[i]->rank - 1] : 0;
    }
    p.quads = TN_CEIL_DIV(p.k, 4);
    p.panel_bytes = tn_packed_elements(TN_LAYOUT_QUADS16, p.k, TN_PANEL);
    p.shift_a = o[A].dtype == TN_I8 ? 128 : 0;
    p.shift_b = o[B].dtype == TN_U8 ? -128 : 0;
    p.copied = p.k > 0 && (p.k % 4 || p.column[A] != 1 || p.shift_a);
    return p;
}

/* Bytes of the copied rows of a task. */
static int64_t copied_bytes(const Product *p, int64_t row_blocks) {
    return p->copied ? TN_CEIL_DIV(p->m, row_blocks) * 4 * p->quads : 0;
}

/* Bytes of the sums of a task's rows, where a zero of b may be other than 0. */
static int64_t sums_bytes(const Product *p, int64_t row_blocks) {
    bool zeros = p->t[B_ZERO] || p->shift_b;
    return zeros ? TN_CEIL_DIV(p->m, row_blocks) * (int64_t)sizeof(uint32_t) : 0;
}

void matmul_int_plan_common(TnCall *call) {
    Product p = product_of(call);
    const int in_tile = p.kernels->panels;
    int64_t entries = loop_points(&p.entries, p.entries.rank);
    call->tasks = 0;
    call->scratch_bytes = 0;
    if (entries == 0 || p.m == 0 || p.n == 0) return;
    int64_t groups = TN_CEIL_DIV(p.n, TN_PANEL * in_tile);
    double ns = 2.0 * (double)p.m * (double)p.n * (double)p.k / OPS_PER_NS +
                (double)p.n * (double)p.k / (p.packed ? 20 : 5) + 1000;
    int64_t blocks = p.m >= 512 ? TN_CEIL_DIV(p.m, 256) : 1;
    int64_t panels = TN_CEIL_DIV(tile_tasks(ns * (double)entries), entries * blocks);
    call->tile[ROW_BLOCKS] = blocks;
    call->tile[PANEL_BLOCKS] = panels < groups ? panels : groups;
    call->tasks = entries * blocks * call->tile[PANEL_BLOCKS];
    call->work = (int64_t)(ns * (double)entries);
    call->scratch_bytes = (size_t)(copied_bytes(&p, blocks) + sums_bytes(&p, blocks) +
                                   (p.packed ? 0 : in_tile * p.panel_bytes));
}

static int byte_at(const TnTensor *t, int64_t at) {
    return t->dtype == TN_I8 ? ((const int8_t *)t->data)[at] : ((const uint8_t *)t->data)[at];
}

/* The panels at hand, and what is the same for all of their rows. */
typedef struct Group {
    int64_t column, columns;
    const int8_t *panel[QUADS_MAX_PANELS];
    uint32_t zero[QUADS_MAX_PANELS * TN_PANEL]; /* zb */
    bool zeros;                                 /* some zero is not 0 */
} Group;

/* Where panel number `panel` is: in b, or made of its columns in `room`. */
static const int8_t *panel_at(const Product *p, int64_t b, int64_t panel, int8_t *room) {
    const TnTensor *t = p->t[B];
    if (p->packed) return (const int8_t *)t->data + panel * p->panel_bytes;
    int64_t column = panel * TN_PANEL, n = p->n - column;
    p->kernels->pack(room, (const uint8_t *)t->data + b + column * p->column[B],
                     t->strides[t->rank - 2], p->column[B], p->k, n < TN_PANEL ? n : TN_PANEL,
                     p->shift_b ? QUADS_FLIP : 0);
    return room;
}

static Group group_of(const Product *p, const int64_t *at, int64_t panel, int64_t panels,
                      int8_t *room) {
    Group g = {.column = panel * TN_PANEL}; /* zeros beyond the columns, too */
    g.columns = panels * TN_PANEL < p->n - g.column ? panels * TN_PANEL : p->n - g.column;
    for (int64_t i = 0; i < QUADS_MAX_PANELS; i++) {
        g.panel[i] =
            i < panels ? panel_at(p, at[B], panel + i, room + i * p->panel_bytes) : g.panel[0];
    }
    for (int64_t j = 0; j < g.columns; j++) {
        int64_t zero_at = at[B_ZERO] + (g.column + j) * p->column[B_ZERO];
        g.zero[j] = (uint32_t)((p->t[B_ZERO] ? byte_at(p->t[B_ZERO], zero_at) : 0) + p->shift_b);
        g.zeros |= g.zero[j] != 0;
    }
    return g;
}

/* The tile for the rows from *i on of `count`: one of an even share, one that has enough of them,
 * and may begin before *i, or else the largest that has not too many. */
static int64_t choose_tile(const QuadsKernels *kernels, int64_t count, int64_t *i) {
    int64_t left = count - *i, wanted = left < QUADS_MAX_ROWS ? left : QUADS_MAX_ROWS;
    int64_t share = left / TN_CEIL_DIV(left, QUADS_MAX_ROWS);
    if (kernels->tile[share]) return share;
    for (int64_t rows = wanted; rows <= QUADS_MAX_ROWS && rows <= count; rows++) {
        if (!kernels->tile[rows]) continue;
        if (rows > left) *i = count - rows;
        return rows;
    }
    while (!kernels->tile[wanted]) wanted--;
    return wanted;
}

/* What a tile adds to its sums, from row i of those at `at` on, whose own sums are sums[i ..]. */
static void set_zeros(const Product *p, QuadsTile *t, int64_t i, int64_t rows, const int64_t *at,
                      const uint32_t *sums) {
    const TnTensor *za = p->t[A_ZERO];
    for (int64_t r = 0; r < rows; r++) {
        int64_t zero_at = at[A_ZERO] + (i + r) * p->row[A_ZERO];
        int zero = (za ? byte_at(za, zero_at) : 0) + p->shift_a;
        t->minus_zero[r] = -(uint32_t)zero;
        if (t->zero) t->rest[r] = (uint32_t)p->k * (uint32_t)zero - sums[i + r];
    }
}

/* `count` rows that lie one behind another; a is the first, the other tensors' are at `at`. */
static void run_rows(const Product *p, const Group *g, QuadsTile *t, const uint8_t *a,
                     int64_t count, const int64_t *at, const uint32_t *sums) {
    _Alignas(64) int32_t y[QUADS_MAX_ROWS * QUADS_MAX_PANELS * TN_PANEL];
    const bool in_place = g->columns == p->kernels->panels * TN_PANEL && p->column[C] == 1;
    t->c_row = in_place ? p->row[C] : QUADS_MAX_PANELS * TN_PANEL;
    for (int64_t i = 0, rows; i < count; i += rows) {
        rows = choose_tile(p->kernels, count, &i);
        int32_t *c = (int32_t *)p->t[C]->data + at[C] + i * p->row[C] + g->column * p->column[C];
        t->a = a + i * t->a_row;
        t->c = in_place ? c : y;
        t->claim = (const char *)c;
        t->claim_every = TN_CEIL_DIV(p->quads, rows);
        set_zeros(p, t, i, rows, at, sums);
        p->kernels->tile[rows](t);
        t->prefetch += p->quads * t->prefetch_step;
        for (int64_t r = 0; r < rows && !in_place; r++)
            for (int64_t j = 0; j < g->columns; j++)
                c[r * p->row[C] + j * p->column[C]] = y[r * t->c_row + j];
    }
}

/* Where row r is in every tensor, from where the entry is on; returns how many more follow it with
 * the same strides. */
static int64_t find_row(const Product *p, const int64_t *entry, int64_t r, int64_t *at) {
    const int last = p->rows.rank - 1;
    LoopAt row;
    loop_seek(&p->rows, last + 1, r, &row);
    for (int i = 0; i < TENSORS; i++) at[i] = entry[i] + row.offset[i];
    return p->rows.dims[last] - row.index[last];
}

/* Rows [r0, r1) of a group of panels. */
static void run_group(const Product *p, const Group *g, QuadsTile *t, const int64_t *entry,
                      int64_t r0, int64_t r1, const uint8_t *copy, const uint32_t *sums) {
    for (int64_t r = r0, count; r < r1; r += count) {
        int64_t at[TENSORS];
        count = find_row(p, entry, r, at);
        if (count > r1 - r) count = r1 - r;
        const uint8_t *a = (const uint8_t *)p->t[A]->data + at[A];
        run_rows(p, g, t, p->copied ? copy + (r - r0) * t->a_row : a, count, at, sums + (r - r0));
    }
}

static void copy_rows(const Product *p, const int64_t *entry, int64_t r0, int64_t r1, uint8_t *to) {
    for (int64_t r = r0; r < r1; r++, to += 4 * p->quads) {
        int64_t at[TENSORS];
        find_row(p, entry, r, at);
        p->kernels->row(to, (const uint8_t *)p->t[A]->data + at[A], p->column[A], p->k,
                        p->shift_a ? QUADS_FLIP : 0);
    }
}

static void sum_rows(const Product *p, const int64_t *entry, int64_t r0, int64_t r1,
                     const uint8_t *copy, uint32_t *to) {
    for (int64_t r = r0; r < r1; r++) {
        int64_t at[TENSORS];
        find_row(p, entry, r, at);
        const uint8_t *a = (const uint8_t *)p->t[A]->data + at[A];
        *to++ = p->kernels->sum(p->copied ? copy + (r - r0) * 4 * p->quads : a, p->k);
    }
}

void matmul_int_run_common(const TnCall *call, int64_t task, void *scratch) {
    const Product p = product_of(call);
    const QuadsKernels *kernels = p.kernels;
    const int64_t blocks = call->tile[ROW_BLOCKS], runs = call->tile[PANEL_BLOCKS];
    int64_t block = task % blocks, run = task / blocks % runs, panels = TN_CEIL_DIV(p.n, TN_PANEL),
            groups = TN_CEIL_DIV(panels, kernels->panels);
    int64_t r0 = deal(p.m, blocks, block), r1 = deal(p.m, blocks, block + 1);
    int64_t first = deal(groups, runs, run) * kernels->panels,
            end = deal(groups, runs, run + 1) * kernels->panels;
    if (end > panels) end = panels;
    LoopAt entry;
    loop_seek(&p.entries, p.entries.rank, task / blocks / runs, &entry);
    uint32_t *sums = (uint32_t *)(void *)((char *)scratch + copied_bytes(&p, blocks));
    int8_t *room = (int8_t *)sums + sums_bytes(&p, blocks);
    bool summed = false;
    if (p.copied) copy_rows(&p, entry.offset, r0, r1, scratch);
    QuadsTile t = {.a_row = p.copied ? 4 * p.quads : p.row[A],
                   .quads = p.quads,
                   .claim_row = p.row[C] * (int64_t)sizeof(int32_t)};
    int64_t step = TN_CEIL_DIV(128 * QUADS_MAX_ROWS, r1 - r0);
    t.prefetch_step = step < 128 ? step : 128;
    for (; first < end; first += kernels->panels) {
        int64_t count = end - first < kernels->panels ? end - first : kernels->panels;
        Group g = group_of(&p, entry.offset, first, count, room);
        t.b = g.panel[0];
        t.b_next = g.panel[1];
        t.zero = g.zeros ? g.zero : NULL;
        if (g.zeros && !summed) sum_rows(&p, entry.offset, r0, r1, scratch, sums);
        summed |= g.zeros;
        t.prefetch = (const char *)t.b + (p.packed ? kernels->panels * p.panel_bytes : 0);
        run_group(&p, &g, &t, entry.offset, r0, r1, scratch, sums);
    }
}
