/* Records as floats (records.h): panels of them, and products of single rows with rows of floats.
 */
#include "runtime/kernels/records.h"
#include "runtime/kernels/simd_half.h"

enum { EIGHT = 8, PARTS = TN_PANEL / VF_WIDTH }; /* rows of a step; vectors of a row of a panel */

/* VF_WIDTH columns of quad q of eight rows: bytes. */
ALWAYS_INLINE vi quad_at(const unsigned char *rows, const RecordForm *f, int q, int column) {
    const vi bits = vi_load((const int32_t *)(const void *)(rows + q * f->second + column * 4));
    return vi_and(q ? bits : vi_shl(bits, f->shift), vi_set1(f->mask));
}

/* Row u of a quad. */
ALWAYS_INLINE vf row_of(vi quad, int u) {
    return vf_of_int(vi_sra(vi_shl(quad, 24 - 8 * u), 24));
}

/* What bytes of 1 stand for in VF_WIDTH columns of the group of row k. */
ALWAYS_INLINE vf units_at(const unsigned char *record, const RecordForm *f, int64_t k, int column) {
    const uint16_t *at = (const uint16_t *)(const void *)record + k / TN_GROUP * TN_PANEL + column;
    vf scales = vf_load_bf16(at);
    if (f->more) {
        const vi more = vi_sra(vi_of_bits(vf_load_bf16(at + f->more / 2)), 16);
        scales = vf_of_bits(vi_add(vi_of_bits(scales), more));
    }
    return vf_mul(scales, vf_set1(f->unit));
}

static void decode(float *to, const unsigned char *record, const RecordForm *f) {
    for (int64_t k = 0; k < TN_RECORD; k += EIGHT)
        for (int j = 0; j < TN_PANEL; j += VF_WIDTH) {
            const vf units = units_at(record, f, k, j);
            UNROLL for (int q = 0; q < 2; q++) {
                const vi quad = quad_at(record + 64 + k / EIGHT * f->next, f, q, j);
                UNROLL for (int u = 0; u < 4; u++) {
                    vf_store(to + (k + 4 * q + u) * TN_PANEL + j, vf_mul(units, row_of(quad, u)));
                }
            }
        }
}

void TN_FN(record_panels)(float *to, TnLayout layout, const void *from, int64_t panels, int64_t k) {
    _Alignas(64) float last[TN_RECORD * TN_PANEL];
    const RecordForm form = record_form(layout);
    const unsigned char *record = from;
    for (; panels > 0; panels--)
        for (int64_t i = 0, rows; i < k; i += rows, record += form.bytes) {
            rows = k - i < TN_RECORD ? k - i : TN_RECORD;
            decode(rows == TN_RECORD ? to : last, record, &form);
            if (rows < TN_RECORD) memcpy(to, last, (size_t)(rows * TN_PANEL) * sizeof *to);
            to += rows * TN_PANEL;
        }
}

#if defined(TN_ISA_avx2)
/* acc[u][j] += a[0 .. 7] times eight rows. */
ALWAYS_INLINE void step(vf acc[4][PARTS], const float *a, const unsigned char *rows,
                        const RecordForm *f) {
    UNROLL for (int q = 0; q < 2; q++) {
        UNROLL for (int j = 0; j < PARTS; j++) {
            const vi quad = quad_at(rows, f, q, j * VF_WIDTH);
            UNROLL for (int u = 0; u < 4; u++) {
                acc[u][j] = vf_fma(vf_set1(a[4 * q + u]), row_of(quad, u), acc[u][j]);
            }
        }
    }
}

/* One panel, prefetched 4 KiB ahead of itself. */
static void stream(const Tile *t) {
    const RecordForm form = record_form((TnLayout)t->b_row);
    const unsigned char *record = t->b, *rows = record + 64;
    const float *a = t->a;
    vf sum[PARTS];
    UNROLL for (int j = 0; j < PARTS; j++) sum[j] = vf_zero();
    for (int64_t k = 0; k < t->k; k += TN_GROUP) {
        vf acc[4][PARTS];
        UNROLL for (int i = 0; i < 4 * PARTS; i++) acc[i / PARTS][i % PARTS] = vf_zero();
        for (int e = 0; e < TN_GROUP; e += EIGHT, rows += form.next) {
            __builtin_prefetch(rows + 4096);
            __builtin_prefetch(rows + 4096 + form.second);
            step(acc, a + k + e, rows, &form);
        }
        UNROLL for (int j = 0; j < PARTS; j++) {
            const vf group = vf_add(vf_add(acc[0][j], acc[1][j]), vf_add(acc[2][j], acc[3][j]));
            sum[j] = vf_fma(group, units_at(record, &form, k % TN_RECORD, j * VF_WIDTH), sum[j]);
        }
        if (k % TN_RECORD == 0) continue;
        record += form.bytes;
        rows = record + 64;
        __builtin_prefetch(record + 4096);
    }
    UNROLL for (int j = 0; j < PARTS; j++) vf_store(t->c + j * VF_WIDTH, sum[j]);
}

static int64_t row(int64_t k) {
    return TN_CEIL_DIV(k, TN_GROUP) * TN_GROUP;
}

/* Zeros up to whole groups. */
static void prepare(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                    int64_t k) {
    for (; rows > 0 && k > 0; rows--, to += to_row, from += from_row) {
        memcpy(to, from, (size_t)k * sizeof *to);
        memset(to + k, 0, (size_t)(row(k) - k) * sizeof *to);
    }
}

const RecordStreams record_floats_avx2 = {.most = 2,
                                          .stream = {[1] = {[1] = stream}},
                                          .row = row,
                                          .prepare = prepare,
                                          .panels = record_panels_avx2};
#elif defined(TN_ISA_scalar)
const RecordStreams record_panels_only_scalar = {.panels = record_panels_scalar};
#endif
