/* bf16 to floats and back, and products of few rows with panels of pairs or of plain f16 or bf16:
 * every multiplication is one of floats, exact but for its rounding. */
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/simd_half.h"

static void widen(float *to, const uint16_t *from, int64_t n) {
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) vf_store(to + i, vf_load_bf16(from + i));
    for (; i < n; i++) to[i] = float_of_bf16(from[i]);
}

static void narrow(uint16_t *to, const float *from, int64_t n) {
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) vf_store_bf16(to + i, vf_load(from + i));
    for (; i < n; i++) to[i] = bf16_of_float(from[i]);
}

void TN_FN(bf16_copy)(void *to, bool to_bf16, const void *from, bool from_bf16, int64_t n) {
    if (to_bf16 == from_bf16)
        memcpy(to, from, (size_t)(n * float_size(to_bf16)));
    else if (to_bf16)
        narrow(to, from, n);
    else
        widen(to, from, n);
}

static void copy_rows(void *to, int64_t to_row, bool to_bf16, const void *from, int64_t from_row,
                      bool from_bf16, int64_t rows, int64_t k) {
    for (int64_t i = 0; i < rows; i++) {
        TN_FN(bf16_copy)(to, to_bf16, from, from_bf16, k);
        if (k % 2 && k < to_row) memset(float_at(to, to_bf16, k), 0, (size_t)float_size(to_bf16));
        to = float_at(to, to_bf16, to_row);
        from = float_at(from, from_bf16, from_row);
    }
}

/* The elements of even k, and of odd k, of VF_WIDTH columns. */
typedef struct Pair {
    vf even, odd;
} Pair;

static inline Pair pair_at(const uint16_t *p) {
    vi bits = vi_load((const int32_t *)(const void *)p);
    return (Pair){vf_of_bits(vi_shl(bits, 16)), vf_of_bits(vi_and(bits, vi_set1(-0x10000)))};
}

static void panels(float *to, const uint16_t *from, int64_t pairs) {
    for (int64_t k = 0; k < pairs; k++, to += 2 * TN_PANEL, from += 2 * TN_PANEL)
        for (int n = 0; n < TN_PANEL; n += VF_WIDTH) {
            Pair pair = pair_at(from + 2 * n);
            vf_store(to + n, pair.even);
            vf_store(to + TN_PANEL + n, pair.odd);
        }
}

#if VF_WIDTH > 1
enum { PARTS = TN_PANEL / VF_WIDTH }; /* vectors of a row of a panel */

/* acc[i][s][j] += A[i, k .. k + 1] B, for all rows i. */
ALWAYS_INLINE void step(vf acc[BF16_STREAM_ROWS][4][PARTS], const float *a, int64_t a_row,
                        const uint16_t *b, int rows, int even, int odd) {
    UNROLL for (int j = 0; j < PARTS; j++) {
        const Pair pair = pair_at(b + 2 * VF_WIDTH * j);
        UNROLL for (int i = 0; i < rows; i++) {
            vf *x = &acc[i][even][j];
            *x = vf_fma(vf_set1(a[i * a_row]), pair.even, *x);
            x = &acc[i][odd][j];
            *x = vf_fma(vf_set1(a[i * a_row + 1]), pair.odd, *x);
        }
    }
}

/* Fetches two lines that follow. With more than a row of floats, which take twice the loads, they
 * come to L2 only, so that A's rows need not wait behind them. */
ALWAYS_INLINE void fetch_after(const uint16_t *b, int rows) {
    const char *line = (const char *)b + (rows > 1 ? 8192 : 4096);
    UNROLL for (int i = 0; i < 2; i++, line += 64) {
        if (rows > 1)
            __builtin_prefetch(line, 0, 2);
        else
            __builtin_prefetch(line);
    }
}

ALWAYS_INLINE void clear_sums(vf acc[BF16_STREAM_ROWS][4][PARTS], int rows, int sets) {
    UNROLL for (int i = 0; i < rows * sets * PARTS; i++) {
        acc[i / PARTS / sets][i / PARTS % sets][i % PARTS] = vf_zero();
    }
}

ALWAYS_INLINE void store_sums(const Tile *t, vf acc[BF16_STREAM_ROWS][4][PARTS], int rows,
                              int sets) {
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < PARTS; j++) {
            vf sum = acc[i][0][j];
            UNROLL for (int s = 1; s < sets; s++) sum = vf_add(sum, acc[i][s][j]);
            vf_store(t->c + i * t->c_row + VF_WIDTH * j, sum);
        }
    }
}

enum { PAIRS, F16, BF16 }; /* what a panel holds */

/* acc[i][set][j] += A[i, k] B, for all rows i, of a panel that is no pairs. */
ALWAYS_INLINE void step_plain(vf acc[BF16_STREAM_ROWS][4][PARTS], const float *a, int64_t a_row,
                              const uint16_t *b, int kind, int rows, int set) {
    UNROLL for (int j = 0; j < PARTS; j++) {
        const uint16_t *at = b + VF_WIDTH * j;
        const vf x = kind == F16 ? vf_load_f16(at) : vf_load_bf16(at);
        UNROLL for (int i = 0; i < rows; i++) {
            acc[i][set][j] = vf_fma(vf_set1(a[i * a_row]), x, acc[i][set][j]);
        }
    }
}

ALWAYS_INLINE void two_steps(vf acc[BF16_STREAM_ROWS][4][PARTS], const float *a, int64_t a_row,
                             const uint16_t *b, int kind, int rows, int even, int odd) {
    if (kind == PAIRS) {
        step(acc, a, a_row, b, rows, even, odd);
        return;
    }
    step_plain(acc, a, a_row, b, kind, rows, even);
    step_plain(acc, a + 1, a_row, b + TN_PANEL, kind, rows, odd);
}

/* As in gemm_<isa>.c: one panel, prefetched ahead of itself, k dealt out to `sets`. */
ALWAYS_INLINE void stream(const Tile *t, int kind, int rows, int sets) {
    const float *a = t->a;
    const uint16_t *b = t->b;
    vf acc[BF16_STREAM_ROWS][4][PARTS];
    clear_sums(acc, rows, sets);
    int64_t k = 0;
    for (; k + 4 <= t->k; k += 4, b += 4 * TN_PANEL) {
        fetch_after(b, rows);
        two_steps(acc, a + k, t->a_row, b, kind, rows, 0, 1 % sets);
        two_steps(acc, a + k + 2, t->a_row, b + 2 * TN_PANEL, kind, rows, 2 % sets, 3 % sets);
    }
    for (; k + 2 <= t->k; k += 2, b += 2 * TN_PANEL)
        two_steps(acc, a + k, t->a_row, b, kind, rows, 0, 1 % sets);
    if (kind != PAIRS && k < t->k) step_plain(acc, a + k, t->a_row, b, kind, rows, 0);
    store_sums(t, acc, rows, sets);
}

/* Rows `from`..`to` of four panels, each fetched to L2 `ahead` bytes ahead of itself. */
ALWAYS_INLINE void add_rows(vf acc[BF16_STREAM_ROWS][4][PARTS], const Tile *t, int64_t from,
                            int64_t to, int64_t ahead, int rows) {
    const uint16_t *b = (const uint16_t *)t->b + from * TN_PANEL;
    for (int64_t k = from; k < to; k += 2, b += 2 * TN_PANEL) {
        UNROLL for (int j = 0; j < 4; j++) {
            __builtin_prefetch((const char *)(b + j * t->b_panel) + ahead, 0, 2);
            step(acc, (const float *)t->a + k, t->a_row, b + j * t->b_panel, rows, j, j);
        }
    }
}

/* Four panels at once; towards their ends those that come next are fetched. */
ALWAYS_INLINE void stream_four(const Tile *t, int rows) {
    enum { AHEAD = 1024, STEPS = AHEAD / 64 * 2 };
    const int64_t turn = t->k > STEPS ? t->k - t->k % 2 - STEPS : 0;
    const int64_t skipped = t->prefetch - (const char *)((const uint16_t *)t->b + t->k * TN_PANEL);
    vf acc[BF16_STREAM_ROWS][4][PARTS];
    clear_sums(acc, rows, 4);
    add_rows(acc, t, 0, turn, AHEAD, rows);
    add_rows(acc, t, turn, t->k, AHEAD + skipped, rows);
    UNROLL for (int i = 0; i < rows * 4 * PARTS; i++) {
        float *c = t->c + i / PARTS / 4 * t->c_row + i / PARTS % 4 * t->c_panel;
        vf_store(c + i % PARTS * VF_WIDTH, acc[i / PARTS / 4][i / PARTS % 4][i % PARTS]);
    }
}

#define STREAMS(X) X(1, 4) X(2, VF_WIDTH / 4)
#define STREAM(m, sets)                     \
    static void stream_##m(const Tile *t) { \
        stream(t, PAIRS, m, sets);          \
    }                                       \
    static void f16_##m(const Tile *t) {    \
        stream(t, F16, m, sets);            \
    }                                       \
    static void bf16_##m(const Tile *t) {   \
        stream(t, BF16, m, sets);           \
    }
#define PAIRS_ENTRY(m, sets) [1][m] = stream_##m,
#define F16_ENTRY(m, sets)   [1][m] = f16_##m,
#define BF16_ENTRY(m, sets)  [1][m] = bf16_##m,
STREAMS(STREAM)
#if VF_WIDTH == 16
#define FOURS(X) X(1) X(2)
#else
#define FOURS(X) X(1)
#endif
#define FOUR(m)                                  \
    static void stream_four_##m(const Tile *t) { \
        stream_four(t, m);                       \
    }
#define FOUR_ENTRY(m) [4][m] = stream_four_##m,
FOURS(FOUR)
#else
#define FOURS(X)
#define STREAMS(X) \
    { NULL }
#endif

const Bf16Kernels TN_FN(bf16_kernels) = {TN_FN(bf16_copy),
                                         copy_rows,
                                         panels,
                                         {STREAMS(PAIRS_ENTRY) FOURS(FOUR_ENTRY)},
                                         {STREAMS(F16_ENTRY)},
                                         {STREAMS(BF16_ENTRY)}};
