/* Tiles for AVX-512, all accumulators in registers; for floats, and for pairs of bf16.
 *
 * 24 accumulators, up to 4 vectors of B and a broadcast of A use 29 of 32 registers. Loads per step
 * are rows + panels against rows x panels multiplications, so the multipliers stay busy from about
 * 8 accumulators on.
 *
 * The file that includes this says what an Element is, how many of A's row a STEP takes, and how to
 * broadcast them, load a vector of B and multiply_add, and load_floats of a residual; and how sums
 * end. */
#include <immintrin.h>
#include "runtime/kernels/gemm.h"

enum { END_VECTORS = 14 };

/* acc[i][j] += A[i, k] B[k, 16 j ..] for all rows i and panels j; then on to the next k. Row i of A
 * is found at a[i / 3] + (i % 3) * a_row: one addressing mode away from one of four pointers, so
 * that no address is spilled. */
ALWAYS_INLINE void step(__m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS], const Element *a[4],
                        int64_t a_row, const Element *b, int64_t b_panel, int rows, int panels) {
    __m512 bv[TILE_MAX_PANELS];
    UNROLL for (int j = 0; j < panels; j++) {
        bv[j] = load(b + j * b_panel);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        __m512 av = broadcast(a[i / 3] + i % 3 * a_row);
        UNROLL for (int j = 0; j < panels; j++) {
            acc[i][j] = multiply_add(acc[i][j], av, bv[j]);
        }
    }
    UNROLL for (int i = 0; i < 4; i++) {
        a[i] += STEP;
    }
}

ALWAYS_INLINE void store_floats(const Tile *t, __m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS], int rows,
                                int panels) {
    float *c = t->c;
    const int64_t c_row = t->c_row;
    UNROLL for (int i = 0; i < rows; i++, c += c_row) {
        UNROLL for (int j = 0; j < panels; j++) {
            _mm512_storeu_ps(c + TN_PANEL * j, acc[i][j]);
        }
    }
}

ALWAYS_INLINE __m512 start(const Tile *t, int panel) {
    return t->start ? _mm512_loadu_ps(t->start + TN_PANEL * panel) : _mm512_setzero_ps();
}

ALWAYS_INLINE void end(const Tile *t, __m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS], int rows,
                       int panels);

/* The residual and ReLU of a tile that ends itself. */
ALWAYS_INLINE void finish(const TileEnd *e, __m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS], int rows,
                          int panels) {
    if (e->residual) {
        const Element *residual = e->residual;
        const int64_t row = e->residual_row;
        UNROLL for (int i = 0; i < rows; i++, residual += row) {
            UNROLL for (int j = 0; j < panels; j++) {
                acc[i][j] = _mm512_add_ps(acc[i][j], load_floats(residual + TN_PANEL * j));
            }
        }
    }
    if (e->activation == TN_ACT_RELU) {
        UNROLL for (int i = 0; i < rows; i++) {
            UNROLL for (int j = 0; j < panels; j++) {
                acc[i][j] = _mm512_max_ps(_mm512_setzero_ps(), acc[i][j]); /* of NaN: NaN */
            }
        }
    }
}

ALWAYS_INLINE void tile(const Tile *t, int rows, int panels) {
    const int64_t a_row = t->a_row, b_row = t->b_row, b_panel = t->b_panel, depth = t->k / STEP;
    const int64_t step_bytes = t->prefetch_step;
    const char *next = t->prefetch, *claimed = t->claim;
    /* Lines asked for into L1, too, are there in time more often (measured: 2 to 8 % with cold
     * weights). Not where rows are so few that memory is the bound, and loads would wait behind
     * them; nor so many that there is time enough, and they would only displace A and B: then it is
     * a line that is there, which costs less than a branch. */
    const bool in_time = t->prefetch_step >= 8 && 5 * t->prefetch_step < 16 * rows * panels;
    const char *near = in_time ? next : (const char *)t->b;
    const int64_t near_step = in_time ? t->prefetch_step : 0;
    /* A loop per claim: a count in the loop over k would cost it registers that it has not. */
    const int64_t every = t->claim_every ? t->claim_every : depth;
    __m512 acc[TILE_MAX_ROWS][TILE_MAX_PANELS];
    UNROLL for (int j = 0; j < panels; j++) {
        acc[0][j] = start(t, j);
        UNROLL for (int i = 1; i < rows; i++) {
            acc[i][j] = acc[0][j];
        }
    }
    int64_t r = 0;
    do {
        const TileRun at = t->run ? t->run[r] : (TileRun){0, 0};
        const Element *from = (const Element *)t->a + at.a, *b = (const Element *)t->b + at.b;
        const Element *a[4] = {from, from + 3 * a_row, from + 6 * a_row, from + 9 * a_row};
        for (int64_t left = depth; left > 0; left -= every) {
            UNROLL for (int j = 0; j < panels; j += STEP) {
                __builtin_prefetch(claimed + 64 * j / STEP, 1);
            }
            claimed += t->claim_row;
            for (int64_t k = left < every ? left : every; k > 0; k--, b += b_row) {
                _mm_prefetch(near, _MM_HINT_T0);
                _mm_prefetch(next, _MM_HINT_T1);
                _mm_prefetch(next + 64, _MM_HINT_T1);
                near += near_step;
                next += step_bytes;
                step(acc, a, a_row, b, b_panel, rows, panels);
            }
        }
    } while (++r < t->runs);
    if (rows * panels >= END_VECTORS && t->end) finish(t->end, acc, rows, panels);
    end(t, acc, rows, panels);
}

#define TILES_6(X, p) X(1, p) X(2, p) X(3, p) X(4, p) X(5, p) X(6, p)

#define TILE(m, p)                              \
    static void tile_##m##x##p(const Tile *t) { \
        tile(t, m, p);                          \
    }
#define TILE_ENTRY(m, p) [p][m] = tile_##m##x##p,
