/* Products with records, a few rows at a time, for CPUs that add four products of 8 bits
 * (records.h). The instruction multiplies unsigned numbers with signed ones, so bytes of weights
 * are made unsigned, 128 above themselves, and 128 times the sum of A over the group is taken off
 * again.
 *
 * A row of A is ready as the high limbs of 8 elements, their low limbs, and so on; then what is
 * taken off, an integer per group; then the row's scale. The number of groups is even: whole
 * records. */
#include <float.h>
#include <immintrin.h>
#include "runtime/kernels/records.h"
#include "runtime/kernels/simd_half.h"

enum { LINE = 64, LARGEST = 127 * 256 + 127 }; /* whose high limb is 127 after rounding */

static int64_t groups_of(int64_t k) {
    return TN_CEIL_DIV(k, TN_RECORD) * 2;
}

/* In floats, to a multiple of a line. */
static int64_t row(int64_t k) {
    return TN_CEIL_DIV(groups_of(k) * (TN_PANEL + 1) + 1, TN_PANEL) * TN_PANEL;
}

/* What is read of a row, TN_RECORD elements at a time: the last ones have zeros after them. */
typedef struct Row {
    const float *from, *end; /* of whole runs */
    float last[TN_RECORD];
} Row;

ALWAYS_INLINE const float *run_at(const Row *row, int64_t i) {
    return row->from + i < row->end ? row->from + i : row->last;
}

/* What 1 of the integers of a row is; NaN if the row has an element that is not finite. Without
 * their signs floats are ordered as integers, what is not finite above all others. */
static float scale_of(const Row *row, int64_t k) {
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    __m512i most[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (int64_t i = 0; i < k; i += TN_RECORD) {
        const float *from = run_at(row, i);
        UNROLL for (int j = 0; j < TN_RECORD / TN_PANEL; j++) {
            __m512i x = _mm512_loadu_si512(from + j * TN_PANEL);
            most[j % 2] = _mm512_max_epi32(most[j % 2], _mm512_andnot_si512(sign, x));
        }
    }
    const int32_t bits = _mm512_reduce_max_epi32(_mm512_max_epi32(most[0], most[1]));
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    return largest / LARGEST + largest * 0;
}

/* 32 integers of a group, as int16 in the order that packing leaves; zeros unless `all`. */
ALWAYS_INLINE __m512i integers_at(const float *from, __mmask16 all, __m512 per) {
    __m512i y[2];
    UNROLL for (int j = 0; j < 2; j++) {
        y[j] =
            _mm512_maskz_cvtps_epi32(all, _mm512_mul_ps(_mm512_loadu_ps(from + j * TN_PANEL), per));
    }
    return _mm512_packs_epi32(y[0], y[1]);
}

/* Their limbs: low ones are the low bytes, high ones those of the high half of 128 more. */
ALWAYS_INLINE __m512i limbs_of(__m512i y) {
    const __m512i apart =
        _mm512_broadcast_i32x4(_mm_setr_epi8(1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 14));
    const __m512i order = _mm512_setr_epi32(0, 4, 2, 6, 8, 12, 10, 14, 1, 5, 3, 7, 9, 13, 11, 15);
    __m512i up = _mm512_add_epi16(y, _mm512_set1_epi16(128));
    __m512i bytes = _mm512_mask_blend_epi8(0x5555555555555555, up, y);
    return _mm512_permutexvar_epi32(order, _mm512_shuffle_epi8(bytes, apart));
}

/* What is taken off for two groups, in the lower half. */
ALWAYS_INLINE __m128i off_of(__m512i y0, __m512i y1) {
    const __m512i each = _mm512_set1_epi16(-128);
    __m512i x0 = _mm512_madd_epi16(y0, each), x1 = _mm512_madd_epi16(y1, each);
    __m512i x = _mm512_add_epi32(_mm512_unpacklo_epi32(x0, x1), _mm512_unpackhi_epi32(x0, x1));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    __m128i quarter =
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    return _mm_add_epi32(quarter, _mm_unpackhi_epi64(quarter, quarter));
}

static void prepare_row(float *to, const Row *row, int64_t k) {
    const float scale = scale_of(row, k), inverse = 1 / scale;
    const bool counts = inverse <= FLT_MAX; /* else zeros: it is infinite or NaN */
    const __mmask16 all = counts ? 0xffff : 0;
    const __m512 per = _mm512_set1_ps(inverse);
    float *off = to + groups_of(k) * TN_PANEL;
    for (int64_t i = 0; i < k; i += TN_RECORD, to += 2 * TN_PANEL, off += 2) {
        const float *from = run_at(row, i);
        __m512i y0 = integers_at(from, all, per), y1 = integers_at(from + TN_GROUP, all, per);
        _mm512_storeu_si512(to, limbs_of(y0));
        _mm512_storeu_si512(to + TN_PANEL, limbs_of(y1));
        _mm_storel_epi64((__m128i *)(void *)off, off_of(y0, y1));
    }
    memcpy(off, &scale, sizeof scale);
}

static void prepare(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                    int64_t k) {
    const int64_t whole = k / TN_RECORD * TN_RECORD;
    Row row = {.last = {0}};
    for (; rows > 0; rows--, to += to_row, from += from_row) {
        row.from = from;
        row.end = from + whole;
        if (k > whole) memcpy(row.last, row.end, (size_t)(k - whole) * sizeof *from);
        prepare_row(to, &row, k);
    }
}

ALWAYS_INLINE __m512i limbs_at(const char *a) {
    int32_t quad;
    memcpy(&quad, a, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* Eight rows of a group in panels, and where those are: bytes from the first panel to the second
 * and to the fourth. */
typedef struct Panels {
    const unsigned char *rows, *ahead; /* and what is fetched to L2 meanwhile */
    int64_t second, fourth;
} Panels;

/* Two registers and a place say where four panels are. */
ALWAYS_INLINE int64_t to_panel(const Panels *b, int j) {
    return j == 3 ? b->fourth : j * b->second;
}

/* Asks for what a line is followed by. What is in L2 already comes to L1 `near` bytes ahead, 0:
 * when it is read. */
ALWAYS_INLINE void fetch(const Panels *b, int j, int64_t line, int64_t near) {
    _mm_prefetch((const char *)b->ahead + to_panel(b, j) + line, _MM_HINT_T1);
    if (near) _mm_prefetch((const char *)b->rows + to_panel(b, j) + line + near, _MM_HINT_T0);
}

/* Quad q of eight rows of panel j, as unsigned bytes. */
ALWAYS_INLINE __m512i quad_at(const Panels *b, int j, int q, const RecordForm *f) {
    const __m512i middle = _mm512_set1_epi8(-128);
    __m512i w = _mm512_loadu_si512(b->rows + to_panel(b, j) + q * f->second);
    if (!f->shift) return _mm512_xor_si512(w, middle);
    if (!q) w = _mm512_slli_epi32(w, 4);
    return _mm512_ternarylogic_epi32(w, _mm512_set1_epi32(f->mask), middle, 0x6a); /* & ^ */
}

/* Of a group, as record_scale. */
ALWAYS_INLINE __m512 scales_at(const unsigned char *at, int64_t more) {
    const __m512 scale = vf_load_bf16((const uint16_t *)(const void *)at);
    if (!more) return scale;
    const __m256i next = _mm256_loadu_si256((const __m256i *)(const void *)(at + more));
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(scale), _mm512_cvtepi16_epi32(next)));
}

/* sum[i][j] += row i of A times the group of panel j that begins at b.rows, its scales at
 * `scales`. */
ALWAYS_INLINE void add_group(__m512 sum[STREAM_MAX_ROWS][TILE_MAX_PANELS], const char *a,
                             const char *off, int64_t a_row, Panels b, const unsigned char *scales,
                             const RecordForm *f, int64_t near, int rows, int panels) {
    __m512i high[STREAM_MAX_ROWS][TILE_MAX_PANELS], low[STREAM_MAX_ROWS][TILE_MAX_PANELS];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < panels; j++) {
            high[i][j] = _mm512_setzero_si512();
            low[i][j] = limbs_at(off + i * a_row);
        }
    }
    for (const char *end = a + LINE; a < end; a += 16, b.rows += f->next, b.ahead += f->next) {
        UNROLL for (int j = 0; j < panels; j++) {
            fetch(&b, j, 0, near);
            if (f->second) fetch(&b, j, f->second, near);
        }
        UNROLL for (int q = 0; q < 2; q++) {
            __m512i w[TILE_MAX_PANELS];
            UNROLL for (int j = 0; j < panels; j++) w[j] = quad_at(&b, j, q, f);
            UNROLL for (int i = 0; i < rows; i++) {
                const __m512i h = limbs_at(a + i * a_row + q * 4),
                              l = limbs_at(a + i * a_row + q * 4 + 8);
                UNROLL for (int j = 0; j < panels; j++) {
                    high[i][j] = vi_add_dots(high[i][j], w[j], h);
                    low[i][j] = vi_add_dots(low[i][j], w[j], l);
                }
            }
        }
    }
    UNROLL for (int j = 0; j < panels; j++) {
        const __m512 scale = scales_at(scales + to_panel(&b, j), f->more);
        UNROLL for (int i = 0; i < rows; i++) {
            __m512i total = _mm512_add_epi32(_mm512_slli_epi32(high[i][j], 8), low[i][j]);
            sum[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), scale, sum[i][j]);
        }
    }
}

/* How far ahead of itself a stream is fetched to L2. Several wait for memory together: each has the
 * less to fetch, the fewer operations its bytes cost. As measured. */
ALWAYS_INLINE int64_t far_ahead(int rows, int panels, const RecordForm *f) {
    return panels == 1 ? 8192 : panels == 4 && f->second ? 1024 : 1024 * rows;
}

/* The same to L1: not at all if bytes come so fast that they would keep others from there. */
ALWAYS_INLINE int64_t near_ahead(int rows, int panels, const RecordForm *f) {
    return panels == 1 ? 1024 : f->second ? 0 : rows == 1 ? 256 : 512;
}

/* One panel, or several; the last records fetch those of the panels that come next. */
ALWAYS_INLINE void stream(const Tile *t, int rows, int panels, TnLayout layout) {
    const RecordForm form = record_form(layout);
    const int64_t groups = groups_of(t->k), a_row = t->a_row * (int64_t)sizeof(float),
                  apart = t->b_panel * (int64_t)sizeof(float);
    const int64_t far = far_ahead(rows, panels, &form), near = near_ahead(rows, panels, &form);
    const unsigned char *record = t->b, *panel_end = record + groups / 2 * form.bytes;
    const int64_t skipped = t->prefetch - (const char *)panel_end;
    const char *a = t->a, *off = a + groups * LINE;
    Panels b = {.second = apart, .fourth = 3 * apart};
    __m512 sum[STREAM_MAX_ROWS][TILE_MAX_PANELS];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < panels; j++) sum[i][j] = _mm512_setzero_ps();
    }
    for (; record < panel_end; record += form.bytes) {
        b.rows = record;
        b.ahead = record + far + (panel_end - record > far ? 0 : skipped);
        UNROLL for (int j = 0; j < panels; j++) fetch(&b, j, 0, near);
        b.rows += LINE, b.ahead += LINE;
        for (int half = 0; half < 2; half++, a += LINE, off += 4) {
            add_group(sum, a, off, a_row, b, record + half * (LINE / 2), &form, near, rows, panels);
            b.rows += 4 * form.next, b.ahead += 4 * form.next;
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        float scale;
        memcpy(&scale, off + i * a_row, sizeof scale);
        UNROLL for (int j = 0; j < panels; j++) {
            _mm512_storeu_ps(t->c + i * t->c_row + j * t->c_panel,
                             _mm512_mul_ps(sum[i][j], _mm512_set1_ps(scale * form.unit)));
        }
    }
}

#define CASE(m, p, layout)       \
    case layout:                 \
        stream(t, m, p, layout); \
        break
#define STREAM(m, p, others)                      \
    static void stream_##m##x##p(const Tile *t) { \
        switch ((TnLayout)t->b_row) {             \
            CASE(m, p, TN_LAYOUT_RECORDS8);       \
            CASE(m, p, TN_LAYOUT_RECORDS4);       \
            others                                \
        }                                         \
    }

#define SINGLE(m, p) \
    STREAM(m, p, CASE(m, p, TN_LAYOUT_RECORDS8F); default : stream(t, m, p, TN_LAYOUT_RECORDS4F);)
SINGLE(1, 1)
SINGLE(1, 4)

/* Rows and panels that have no kernel together: what one row reads, the next finds in the cache. */
static void by_rows(const Tile *t, int rows, int panels) {
    const int some = panels == 4 ? 4 : 1;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < panels; j += some) {
            Tile one = *t;
            one.a = (const float *)t->a + i * t->a_row;
            one.b = (const float *)t->b + j * t->b_panel;
            one.c = t->c + i * t->c_row + j * t->c_panel;
            (some == 4 ? stream_1x4 : stream_1x1)(&one);
        }
    }
}

/* Sums of more panels would not fit the registers; single rows do what is left of rows and panels.
 */
#define SEVERAL(m, p) STREAM(m, p, default : by_rows(t, m, p);)
SEVERAL(2, 4)
SEVERAL(4, 2)

#define ENTRY(m, p) [p][m] = stream_##m##x##p

const RecordStreams record_limbs_avx512 = {
    .most = INT64_MAX,
    .stream = {ENTRY(1, 1), ENTRY(1, 4), ENTRY(2, 4), ENTRY(4, 2)},
    .row = row,
    .prepare = prepare,
    .panels = record_panels_avx512};
