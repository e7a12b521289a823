/* matmul_int: c[.., m, n] = sum over k of (a[.., m, k] - za[.., m]) (b[.., k, n] - zb[.., n]), a
 * and b of 8 bits, c i32. Any strides; the sums are exact (modulo 2^32) and so the same on every
 * ISA. A constant b is left to matmul_quads.c.
 *
 * Differences fit 16 bits and a sum of two products fits 32, so the inner step multiplies pairs of
 * neighbours along k and adds the two products: one instruction without saturation (pmaddwd). For
 * each block of DEPTH along k, a task packs its rows of a as pairs and, panel by panel, PANEL
 * columns of b, pair next to pair:
 *
 *     packed a: [rows][DEPTH / 2][2]     packed b: [DEPTH / 2][PANEL][2]
 *
 *     task = (batch entry) x (block of ROWS rows) x (group of GROUP panels) */
#include "runtime/kernels/loop.h"
#include "runtime/kernels/matmul_quads.h"
#include "runtime/kernels/simd.h"

TN_FAMILY(matmul_int);

#define ROWS  128
#define DEPTH 512
#define PANEL 32
#define GROUP 8

enum { A, B, A_ZERO, B_ZERO };

/* One line per word: sums of PANEL columns for one or several rows. */
#if defined(TN_ISA_avx512)
#define TILE_ROWS 8
#define LANES     16
typedef __m512i Sums;
#define SUMS_ZERO()         _mm512_setzero_si512()
#define SUMS_STORE(p, x)    _mm512_storeu_si512(p, x)
#define SUMS_STEP(s, pa, b) _mm512_add_epi32(s, _mm512_madd_epi16(_mm512_set1_epi32(pa), b))
#define SUMS_LOAD(p)        _mm512_loadu_si512(p)
#elif defined(TN_ISA_avx2)
#define TILE_ROWS           2
#define LANES               8
typedef __m256i Sums;
#define SUMS_ZERO()         _mm256_setzero_si256()
#define SUMS_STORE(p, x)    _mm256_storeu_si256((__m256i *)(p), x)
#define SUMS_STEP(s, pa, b) _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_set1_epi32(pa), b))
#define SUMS_LOAD(p)        _mm256_loadu_si256((const __m256i *)(p))
#else
#define TILE_ROWS 1
#endif

typedef struct Product {
    int64_t m, n, k;
    Loop entries;          /* batch axes: a, b, za, zb, c; absent operands follow c */
    int64_t strides[3][2]; /* of the last two axes: a {m, k}, b {k, n}, c {m, n} */
    int64_t za_step, zb_step;
    const TnTensor *operand[5];
} Product;

static Product product_of(const TnCall *call) {
    const TnTensor *c = &call->operands[call->inputs];
    Product p = {.m = c->dims[c->rank - 2], .n = c->dims[c->rank - 1]};
    TnTensor leading[5];
    for (int i = 0; i < 5; i++) {
        const TnTensor *t = i == 4 ? c : i < call->inputs ? &call->operands[i] : NULL;
        p.operand[i] = t && t->data ? t : NULL;
        leading[i] = p.operand[i] ? *t : *c;
        leading[i].rank -= 2;
    }
    const TnTensor *a = p.operand[A], *b = p.operand[B];
    p.k = a->dims[a->rank - 1];
    for (int i = 0; i < 2; i++) {
        p.strides[0][i] = a->strides[a->rank - 2 + i];
        p.strides[1][i] = b->strides[b->rank - 2 + i];
        p.strides[2][i] = c->strides[c->rank - 2 + i];
    }
    if (p.operand[A_ZERO]) p.za_step = p.operand[A_ZERO]->strides[c->rank - 2];
    if (p.operand[B_ZERO]) p.zb_step = p.operand[B_ZERO]->strides[c->rank - 1];
    p.entries = loop_over(&leading[4]);
    for (int i = 0; i < 5; i++) loop_add(&p.entries, &leading[i]);
    loop_collapse(&p.entries);
    return p;
}

static bool is_packed(const TnCall *call) {
    return call->operands[B].layout == TN_LAYOUT_QUADS16;
}

void TN_FN(matmul_int_plan)(TnCall *call) {
    if (is_packed(call)) {
        TN_FN(matmul_quads_plan)(call);
        return;
    }
    Product p = product_of(call);
    int64_t entries = loop_points(&p.entries, p.entries.rank);
    call->tile[0] = TN_CEIL_DIV(p.m, ROWS);
    call->tile[1] = TN_CEIL_DIV(p.n, PANEL * GROUP);
    call->tasks = entries * call->tile[0] * call->tile[1];
    double ns = (double)entries * (double)p.m * (double)p.n * (double)p.k / 32;
    call->work = ns < 1e15 ? (int64_t)ns + 1 : (int64_t)1e15;
    call->scratch_bytes = (ROWS + PANEL) * DEPTH * sizeof(int16_t);
}

static int zero_at(const TnTensor *t, int64_t offset) {
    if (!t) return 0;
    return t->dtype == TN_I8 ? ((const int8_t *)t->data)[offset]
                             : ((const uint8_t *)t->data)[offset];
}

/* y[i * step] = x[i * stride] - zero[i] or, without zeros, - `zero_all`; one copy per type of x. */
#define PACK(type)                                                                              \
    static void pack_##type(int16_t *restrict y, const type *restrict x, int64_t stride,        \
                            const int16_t *restrict zeros, int zero_all, int64_t n, int step) { \
        if (zeros && stride == 1)                                                               \
            for (int64_t i = 0; i < n; i++) y[i * 2] = (int16_t)(x[i] - zeros[i]);              \
        else if (zeros)                                                                         \
            for (int64_t i = 0; i < n; i++) y[i * 2] = (int16_t)(x[i * stride] - zeros[i]);     \
        else                                                                                    \
            for (int64_t i = 0; i < n; i++) y[i * step] = (int16_t)(x[i * stride] - zero_all);  \
    }
PACK(int8_t)
PACK(uint8_t)

static void pack(int16_t *y, const TnTensor *t, int64_t offset, int64_t stride,
                 const int16_t *zeros, int zero_all, int64_t n, int step) {
    if (t->dtype == TN_I8)
        pack_int8_t(y, (const int8_t *)t->data + offset, stride, zeros, zero_all, n, step);
    else
        pack_uint8_t(y, (const uint8_t *)t->data + offset, stride, zeros, zero_all, n, step);
}

/* Rows of DEPTH numbers; an odd depth is padded with 0. */
static void pack_a(const Product *p, const int64_t *at, int64_t row, int64_t rows, int64_t k,
                   int64_t depth, int16_t *to) {
    for (int64_t i = row; i < row + rows; i++, to += DEPTH) {
        int zero = zero_at(p->operand[A_ZERO], at[A_ZERO] + i * p->za_step);
        pack(to, p->operand[A], at[A] + i * p->strides[0][0] + k * p->strides[0][1],
             p->strides[0][1], NULL, zero, depth, 1);
        if (depth % 2) to[depth] = 0;
    }
}

/* Columns [column, column + n) of a panel; those beyond are 0. */
static void pack_b(const Product *p, const int64_t *at, int64_t column, int64_t n, int64_t k,
                   int64_t depth, int16_t *to) {
    int16_t zeros[PANEL];
    for (int64_t j = 0; j < n; j++)
        zeros[j] = (int16_t)zero_at(p->operand[B_ZERO], at[B_ZERO] + (column + j) * p->zb_step);
    if (n < PANEL || depth % 2) memset(to, 0, (size_t)(depth + 1) / 2 * PANEL * 2 * sizeof *to);
    for (int64_t i = 0; i < depth; i++)
        pack(to + i / 2 * PANEL * 2 + i % 2, p->operand[B],
             at[B] + (k + i) * p->strides[1][0] + column * p->strides[1][1], p->strides[1][1],
             zeros, 0, n, 2);
}

#if defined(TN_ISA_avx512) || defined(TN_ISA_avx2)
static inline __attribute__((always_inline)) void tile(int32_t (*y)[PANEL], const int16_t *a,
                                                       const int16_t *b, int64_t pairs, int rows) {
    Sums sum[TILE_ROWS][PANEL / LANES];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < PANEL / LANES; j++) sum[i][j] = SUMS_ZERO();
    for (int64_t k = 0; k < pairs; k++, b += PANEL * 2) {
        Sums column[PANEL / LANES];
        for (int j = 0; j < PANEL / LANES; j++) column[j] = SUMS_LOAD(b + j * LANES * 2);
        for (int i = 0; i < rows; i++) {
            int32_t pair;
            memcpy(&pair, a + i * DEPTH + k * 2, sizeof pair);
            for (int j = 0; j < PANEL / LANES; j++)
                sum[i][j] = SUMS_STEP(sum[i][j], pair, column[j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < PANEL / LANES; j++) SUMS_STORE(&y[i][j * LANES], sum[i][j]);
}
#else
static void tile(int32_t (*y)[PANEL], const int16_t *a, const int16_t *b, int64_t pairs, int rows) {
    (void)rows;
    int32_t sum[PANEL] = {0};
    for (int64_t k = 0; k < pairs; k++, b += PANEL * 2, a += 2)
        for (int j = 0; j < PANEL; j++)
            sum[j] =
                (int32_t)((uint32_t)sum[j] + (uint32_t)(a[0] * b[2 * j] + a[1] * b[2 * j + 1]));
    memcpy(y[0], sum, sizeof sum);
}
#endif

/* c = y, or c += y for all but the first block along k. */
static void finish(const Product *p, const int32_t (*y)[PANEL], int32_t *c, int64_t rows, int64_t n,
                   int first) {
    for (int64_t i = 0; i < rows; i++, c += p->strides[2][0])
        for (int64_t j = 0; j < n; j++) {
            int32_t *to = c + j * p->strides[2][1];
            *to = first ? y[i][j] : (int32_t)((uint32_t)*to + (uint32_t)y[i][j]);
        }
}

static void run_panel(const Product *p, const int16_t *a, const int16_t *b, int32_t *c,
                      int64_t rows, int64_t n, int64_t pairs, int first) {
    int32_t y[TILE_ROWS][PANEL];
    for (int64_t i = 0, count; i < rows; i += count, a += count * DEPTH) {
        count = rows - i >= TILE_ROWS ? TILE_ROWS : 1;
        if (count == TILE_ROWS)
            tile(y, a, b, pairs, TILE_ROWS);
        else
            tile(y, a, b, pairs, 1);
        finish(p, (const int32_t(*)[PANEL])y, c + i * p->strides[2][0], count, n, first);
    }
}

void TN_FN(matmul_int_run)(const TnCall *call, int64_t task, void *scratch) {
    if (is_packed(call)) {
        TN_FN(matmul_quads_run)(call, task, scratch);
        return;
    }
    Product p = product_of(call);
    int64_t groups = call->tile[1], row = task / groups % call->tile[0] * ROWS;
    int64_t first = task % groups * GROUP * PANEL, last = first + GROUP * PANEL;
    int64_t rows = p.m - row < ROWS ? p.m - row : ROWS;
    int16_t *a = scratch, *b = a + ROWS * DEPTH;
    LoopAt at;
    loop_seek(&p.entries, p.entries.rank, task / groups / call->tile[0], &at);
    if (last > p.n) last = p.n;
    int32_t *c = (int32_t *)p.operand[4]->data + at.offset[4] + row * p.strides[2][0];
    for (int64_t k = 0; k < p.k || k == 0; k += DEPTH) {
        int64_t depth = p.k - k < DEPTH ? p.k - k : DEPTH;
        pack_a(&p, at.offset, row, rows, k, depth, a);
        for (int64_t j = first; j < last; j += PANEL) {
            int64_t n = last - j < PANEL ? last - j : PANEL;
            pack_b(&p, at.offset, j, n, k, depth, b);
            run_panel(&p, a, b, c + j * p.strides[2][1], rows, n, (depth + 1) / 2, k == 0);
        }
    }
}
