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
#include "runtime/kernels/simd.h"

enum { LINE = 64, LARGEST = 127 * 256 + 127 }; /* whose high limb is 127 after rounding */

static int64_t groups_of(int64_t k) {
    return TN_CEIL_DIV(k, TN_RECORD) * 2;
}

/* In floats, to a multiple of a line. */
static int64_t row(int64_t k) {
    return TN_CEIL_DIV(groups_of(k) * (TN_PANEL + 1) + 1, TN_PANEL) * TN_PANEL;
}

static __mmask16 lanes(int64_t n) {
    return n >= TN_PANEL ? 0xffff : n > 0 ? (__mmask16)((1u << n) - 1) : 0;
}

/* What 1 of the integers of a row is; NaN if the row has an element that is not finite. */
static float scale_of(const float *from, int64_t k) {
    __m512 most = _mm512_setzero_ps(), zero = _mm512_setzero_ps();
    for (int64_t i = 0; i < k; i += TN_PANEL) {
        __m512 x = _mm512_maskz_loadu_ps(lanes(k - i), from + i);
        most = _mm512_max_ps(most, _mm512_abs_ps(x));
        zero = _mm512_fmadd_ps(x, _mm512_setzero_ps(), zero);
    }
    return _mm512_reduce_max_ps(most) / LARGEST + _mm512_reduce_add_ps(zero);
}

static void prepare(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                    int64_t k) {
    const int64_t groups = groups_of(k);
    for (; rows > 0; rows--, to += to_row, from += from_row) {
        const float scale = scale_of(from, k), inverse = 1 / scale;
        const bool counts = inverse <= FLT_MAX; /* else zeros: it is infinite or NaN */
        const __m512 per = _mm512_set1_ps(counts ? inverse : 0);
        __m128i *limbs = (__m128i *)(void *)to;
        int32_t *off = (int32_t *)(void *)(to + groups * TN_PANEL);
        for (int64_t g = 0; g < groups; g++) {
            __m512i sum = _mm512_setzero_si512();
            for (int64_t i = g * TN_GROUP; i < (g + 1) * TN_GROUP; i += TN_PANEL, limbs += 2) {
                __m512 x = _mm512_maskz_loadu_ps(counts ? lanes(k - i) : 0, from + i);
                __m512i y = _mm512_cvtps_epi32(_mm512_mul_ps(x, per));
                __m512i up = _mm512_srai_epi32(_mm512_add_epi32(y, _mm512_set1_epi32(128)), 8);
                __m128i high = _mm512_cvtepi32_epi8(up),
                        low = _mm512_cvtepi32_epi8(_mm512_sub_epi32(y, _mm512_slli_epi32(up, 8)));
                _mm_storeu_si128(limbs, _mm_unpacklo_epi64(high, low));
                _mm_storeu_si128(limbs + 1, _mm_unpackhi_epi64(high, low));
                sum = _mm512_add_epi32(sum, y);
            }
            off[g] = -128 * _mm512_reduce_add_epi32(sum);
        }
        memcpy(off + groups, &scale, sizeof scale);
    }
}

ALWAYS_INLINE __m512i limbs_at(const char *a) {
    int32_t quad;
    memcpy(&quad, a, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* sum[i] += row i of A times the group whose rows and scales are given. */
ALWAYS_INLINE void add_group(__m512 sum[STREAM_MAX_ROWS], const char *a, const char *off,
                             int64_t a_row, const unsigned char *b, const unsigned char *scales,
                             const RecordForm *f, int rows) {
    const __m512i mask = _mm512_set1_epi32(f->mask), middle = _mm512_set1_epi8(-128);
    const __m512i shift = _mm512_set1_epi32(f->shift);
    __m512i high[STREAM_MAX_ROWS], low[STREAM_MAX_ROWS];
    UNROLL for (int i = 0; i < rows; i++) {
        high[i] = _mm512_setzero_si512();
        low[i] = limbs_at(off + i * a_row);
    }
    for (const char *end = a + LINE; a < end; a += 16, b += f->next) {
        _mm_prefetch((const char *)b + 4096, _MM_HINT_T0);
        _mm_prefetch((const char *)b + 4096 + f->second, _MM_HINT_T0);
        UNROLL for (int q = 0; q < 2; q++) {
            __m512i w = _mm512_loadu_si512(b + q * f->second);
            if (!q) w = _mm512_sllv_epi32(w, shift);
            w = _mm512_ternarylogic_epi32(w, mask, middle, 0x6a); /* (w & mask) ^ middle */
            UNROLL for (int i = 0; i < rows; i++) {
                const char *x = a + i * a_row + q * 4;
                high[i] = vi_add_dots(high[i], w, limbs_at(x));
                low[i] = vi_add_dots(low[i], w, limbs_at(x + 8));
            }
        }
    }
    const __m256i bits = _mm256_loadu_si256((const __m256i *)(const void *)scales);
    const __m512 scale = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
    UNROLL for (int i = 0; i < rows; i++) {
        __m512i total = _mm512_add_epi32(_mm512_slli_epi32(high[i], 8), low[i]);
        sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), scale, sum[i]);
    }
}

/* One panel, prefetched 4 KiB ahead of itself. */
ALWAYS_INLINE void stream(const Tile *t, int rows) {
    const RecordForm form = record_form((TnLayout)t->b_row);
    const int64_t groups = groups_of(t->k), a_row = t->a_row * (int64_t)sizeof(float);
    const unsigned char *record = t->b;
    const char *a = t->a, *off = a + groups * LINE;
    __m512 sum[STREAM_MAX_ROWS];
    UNROLL for (int i = 0; i < rows; i++) sum[i] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g++, a += LINE, off += 4) {
        add_group(sum, a, off, a_row, record + LINE + g % 2 * 4 * form.next,
                  record + g % 2 * (LINE / 2), &form, rows);
        if (g % 2 == 0) continue;
        record += form.bytes;
        _mm_prefetch((const char *)record + 4096, _MM_HINT_T0);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        float scale;
        memcpy(&scale, off + i * a_row, sizeof scale);
        _mm512_storeu_ps(t->c + i * t->c_row,
                         _mm512_mul_ps(sum[i], _mm512_set1_ps(scale * form.unit)));
    }
}

#define STREAMS(X) X(1) X(2) X(4)
#define STREAM(m)                           \
    static void stream_##m(const Tile *t) { \
        stream(t, m);                       \
    }
#define ENTRY(m) [m] = stream_##m,
STREAMS(STREAM)

const RecordStreams record_limbs_avx512 = {.most = INT64_MAX,
                                           .tile = {STREAMS(ENTRY)},
                                           .row = row,
                                           .prepare = prepare,
                                           .panels = record_panels_avx512};
