/* Records as floats (records.h): panels of them, and products of few rows with rows of floats. */
#include "runtime/kernels/records.h"
#include "runtime/kernels/simd_half.h"

enum { PARTS = TN_PANEL / VF_WIDTH, EIGHT = 8 }; /* vectors of a row of a panel; rows of a step */

/* VF_WIDTH columns of quad 0 or 1 of eight rows, which begin at row k of a record. */
ALWAYS_INLINE vi quad_at(const unsigned char *record, TnLayout layout, int64_t k, int quad,
                         int column) {
    int64_t line = layout == TN_LAYOUT_RECORDS8 ? k / 4 + quad : k / 8;
    return vi_load((const int32_t *)(const void *)(record + 64 + line * 64 + column * 4));
}

/* Row u of such a quad. */
ALWAYS_INLINE vf row_of(vi quad, TnLayout layout, int which, int u) {
    const int bits = layout == TN_LAYOUT_RECORDS8 ? 8 : 4, at = 8 * u + (bits == 4 ? 4 * which : 0);
    return vf_of_int(vi_sra(vi_shl(quad, 32 - bits - at), 32 - bits));
}

/* Those of VF_WIDTH columns in the group of row k. */
ALWAYS_INLINE vf scales_at(const unsigned char *record, int64_t k, int column) {
    return vf_load_bf16((const uint16_t *)(const void *)record + k / TN_GROUP * TN_PANEL + column);
}

ALWAYS_INLINE void decode(float *to, const unsigned char *record, TnLayout layout) {
    for (int64_t k = 0; k < TN_RECORD; k += EIGHT)
        for (int j = 0; j < TN_PANEL; j += VF_WIDTH) {
            const vf scales = scales_at(record, k, j);
            UNROLL for (int q = 0; q < 2; q++) {
                const vi quad = quad_at(record, layout, k, q, j);
                UNROLL for (int u = 0; u < 4; u++) {
                    vf_store(to + (k + 4 * q + u) * TN_PANEL + j,
                             vf_mul(scales, row_of(quad, layout, q, u)));
                }
            }
        }
}

static void decode_8(float *to, const unsigned char *record) {
    decode(to, record, TN_LAYOUT_RECORDS8);
}

static void decode_4(float *to, const unsigned char *record) {
    decode(to, record, TN_LAYOUT_RECORDS4);
}

void TN_FN(record_panels)(float *to, TnLayout layout, const void *from, int64_t panels, int64_t k) {
    _Alignas(64) float last[TN_RECORD * TN_PANEL];
    const unsigned char *record = from;
    for (; panels > 0; panels--)
        for (int64_t i = 0, rows; i < k; i += rows, record += 64 * tn_record_lines(layout)) {
            rows = k - i < TN_RECORD ? k - i : TN_RECORD;
            float *at = rows == TN_RECORD ? to : last;
            (layout == TN_LAYOUT_RECORDS8 ? decode_8 : decode_4)(at, record);
            if (at == last) memcpy(to, last, (size_t)(rows * TN_PANEL) * sizeof *to);
            to += rows * TN_PANEL;
        }
}

#if defined(TN_ISA_avx2)
enum { STREAM_ROWS = 2 };

/* acc[i][set][j] += A[i, 0 .. 7] times the integers of eight rows, which are dealt out to sets. */
ALWAYS_INLINE void step(vf acc[STREAM_ROWS][4][PARTS], const float *a, int64_t a_row,
                        const unsigned char *record, TnLayout layout, int64_t k, int rows,
                        int sets) {
    UNROLL for (int j = 0; j < PARTS; j++) {
        UNROLL for (int q = 0; q < 2; q++) {
            const vi quad = quad_at(record, layout, k, q, j * VF_WIDTH);
            UNROLL for (int u = 0; u < 4; u++) {
                const vf b = row_of(quad, layout, q, u);
                UNROLL for (int i = 0; i < rows; i++) {
                    vf *x = &acc[i][u % sets][j];
                    *x = vf_fma(vf_set1(a[i * a_row + 4 * q + u]), b, *x);
                }
            }
        }
    }
}

/* sum[i][j] += A[i, ..] B for the group from row k of a record on. */
ALWAYS_INLINE void group(vf sum[STREAM_ROWS][PARTS], const float *a, int64_t a_row,
                         const unsigned char *record, TnLayout layout, int64_t k, int rows,
                         int sets) {
    const int64_t bytes = 64 * tn_record_lines(layout);
    vf acc[STREAM_ROWS][4][PARTS];
    UNROLL for (int i = 0; i < rows * sets * PARTS; i++) {
        acc[i / PARTS / sets][i / PARTS % sets][i % PARTS] = vf_zero();
    }
    for (int64_t e = 0; e < bytes / 2; e += 64)
        __builtin_prefetch(record + 4096 + k / TN_GROUP * bytes / 2 + e);
    for (int64_t e = 0; e < TN_GROUP; e += EIGHT)
        step(acc, a + e, a_row, record, layout, k + e, rows, sets);
    UNROLL for (int j = 0; j < PARTS; j++) {
        const vf scales = scales_at(record, k, j * VF_WIDTH);
        UNROLL for (int i = 0; i < rows; i++) {
            UNROLL for (int s = 1; s < sets; s++) {
                acc[i][0][j] = vf_add(acc[i][0][j], acc[i][s][j]);
            }
            sum[i][j] = vf_fma(acc[i][0][j], scales, sum[i][j]);
        }
    }
}

ALWAYS_INLINE void stream(const Tile *t, TnLayout layout, int rows, int sets) {
    const unsigned char *record = t->b;
    const float *a = t->a;
    vf sum[STREAM_ROWS][PARTS];
    UNROLL for (int i = 0; i < rows * PARTS; i++) sum[i / PARTS][i % PARTS] = vf_zero();
    for (int64_t k = 0; k < t->k; k += TN_GROUP) {
        group(sum, a + k, t->a_row, record, layout, k % TN_RECORD, rows, sets);
        if (k % TN_RECORD) record += 64 * tn_record_lines(layout);
    }
    UNROLL for (int i = 0; i < rows * PARTS; i++) {
        vf_store(t->c + i / PARTS * t->c_row + i % PARTS * VF_WIDTH, sum[i / PARTS][i % PARTS]);
    }
}

static int64_t row(int64_t k) {
    return TN_CEIL_DIV(k, TN_GROUP) * TN_GROUP;
}

/* Zeros up to whole groups. */
static void prepare(float *to, int64_t to_row, TnLayout layout, const float *from, int64_t from_row,
                    int64_t rows, int64_t k) {
    (void)layout;
    for (; rows > 0; rows--, to += to_row, from += from_row) {
        memcpy(to, from, (size_t)k * sizeof *to);
        memset(to + k, 0, (size_t)(row(k) - k) * sizeof *to);
    }
}

#define STREAMS(X) X(8, 1, 4) X(8, 2, 2) X(4, 1, 4) X(4, 2, 2)
#define STREAM(bits, m, sets)                        \
    static void stream_##bits##_##m(const Tile *t) { \
        stream(t, TN_LAYOUT_RECORDS##bits, m, sets); \
    }
#define ENTRY(bits, m, sets) [bits == 4][m] = stream_##bits##_##m,
STREAMS(STREAM)
const RecordStreams record_floats_avx2 = {
    .most = STREAM_ROWS, .tile = {STREAMS(ENTRY)}, .row = row, .prepare = prepare};
#endif

const RecordStreams *TN_FN(record_streams)(TnIsa isa) {
#if defined(TN_ISA_scalar)
    static const RecordStreams none;
    (void)isa;
    return &none;
#elif defined(TN_ISA_avx2)
    (void)isa;
    return &record_floats_avx2;
#else
    return isa >= TN_ISA_AVX512_VNNI ? &record_limbs_avx512 : &record_floats_avx2;
#endif
}
