/* rotary: pairs of the last axis (D elements) are rotated by the angles of their row.
 *
 *     y1 = x1 cos1 - x2 sin1
 *     y2 = x2 cos2 + x1 sin2       for i < W / 2, W = width
 *
 * A pair is (x[i], x[i + W/2]), or (x[2i], x[2i + 1]) if interleaved; what is behind W is copied.
 * The tables have W columns, one per element, or W / 2, one per pair, of f32. x and y are f32 or
 * bf16, rows of which are rotated in scratch. All rows are dense, their strides free, tables may be
 * broadcast over them. y may lie on x: a pair is read before it is written. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"
#include "runtime/params.h"

TN_FAMILY(rotary);

#define TASK_ELEMENTS 8192

enum { X, COS, SIN, Y, OPERANDS };

void TN_FN(rotary_plan)(TnCall *call) {
    const TnTensor *y = &call->operands[Y];
    int64_t d = y->dims[y->rank - 1], rows = tensor_extent(y, 0, y->rank - 1);
    call->tile[0] = d < TASK_ELEMENTS ? TASK_ELEMENTS / d : 1;
    call->tasks = TN_CEIL_DIV(rows, call->tile[0]);
    call->work = rows * d / 4;
    call->scratch_bytes = y->dtype == TN_BF16 ? (size_t)d * sizeof(float) : 0;
}

/* The pairs of one row. cos and sin of the second of a pair stand `second` columns behind the
 * first's, 0: they are the same. */
typedef struct Row {
    const float *x, *cos, *sin;
    float *y;
    int64_t half, cos_second, sin_second;
} Row;

static void rotate_halves(const Row *r) {
    int64_t half = r->half;
    for (int64_t i = 0; i < half; i += VF_WIDTH) {
        int64_t n = half - i < VF_WIDTH ? half - i : VF_WIDTH;
        const float *cos = r->cos + i, *sin = r->sin + i;
        vf a = vf_load_n(r->x + i, n), b = vf_load_n(r->x + half + i, n);
        vf first = vf_fnma(b, vf_load_n(sin, n), vf_mul(a, vf_load_n(cos, n)));
        vf second = vf_fma(a, vf_load_n(sin + r->sin_second, n),
                           vf_mul(b, vf_load_n(cos + r->cos_second, n)));
        vf_store_n(r->y + i, first, n);
        vf_store_n(r->y + half + i, second, n);
    }
}

static void rotate_neighbours(const Row *r) {
    int64_t cos_step = r->cos_second ? 2 : 1, sin_step = r->sin_second ? 2 : 1;
    for (int64_t i = 0; i < r->half; i++) {
        const float *cos = r->cos + i * cos_step, *sin = r->sin + i * sin_step;
        float a = r->x[2 * i], b = r->x[2 * i + 1];
        r->y[2 * i] = a * cos[0] - b * sin[0];
        r->y[2 * i + 1] = b * cos[r->cos_second] + a * sin[r->sin_second];
    }
}

void TN_FN(rotary_run)(const TnCall *call, int64_t task, void *scratch) {
    const ParamsRotary *p = call->params;
    const TnTensor *t = call->operands;
    int last_axis = t[Y].rank - 1;
    int64_t d = t[Y].dims[last_axis], width = p->width, half = width / 2;
    int64_t second = p->interleaved ? 1 : half;

    Loop l;
    loop_over(&l, &t[Y]);
    for (int i = 0; i < OPERANDS; i++) loop_add(&l, &t[i]);
    l.rank--; /* rows only */
    loop_collapse(&l);
    int64_t rows = loop_points(&l, l.rank), first = task * call->tile[0];
    int64_t last = first + call->tile[0] < rows ? first + call->tile[0] : rows;
    LoopAt at;
    loop_seek(&l, l.rank, first, &at);
    for (int64_t i = first; i < last; i++, loop_next(&l, l.rank, &at)) {
        const uint16_t *x16 = (const uint16_t *)t[X].data + at.offset[X];
        uint16_t *y16 = (uint16_t *)t[Y].data + at.offset[Y];
        bool bf16 = t[Y].dtype == TN_BF16;
        if (bf16) TN_FN(map_load)(scratch, x16, TN_BF16, 1, d);
        Row r = {.x = bf16 ? scratch : (const float *)t[X].data + at.offset[X],
                 .cos = (const float *)t[COS].data + at.offset[COS],
                 .sin = (const float *)t[SIN].data + at.offset[SIN],
                 .y = bf16 ? scratch : (float *)t[Y].data + at.offset[Y],
                 .half = half,
                 .cos_second = t[COS].dims[last_axis] == width ? second : 0,
                 .sin_second = t[SIN].dims[last_axis] == width ? second : 0};
        if (p->interleaved)
            rotate_neighbours(&r);
        else
            rotate_halves(&r);
        if (r.y != r.x && d > width)
            memcpy(r.y + width, r.x + width, (size_t)(d - width) * sizeof(float));
        if (bf16) TN_FN(map_store)(y16, TN_BF16, 1, scratch, d);
    }
}
