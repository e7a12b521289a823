/* pool: the largest element, the mean or the p-norm of windows of x[b, c, ..] over up to three
 * spatial axes; x and y with any strides. Missing spatial axes count as extent 1.
 *
 *     y[b, c, i] = over k with 0 <= i stride + k dilation - pad < extent of x at that place
 *
 * What lies outside x counts for nothing; a mean may count padding as zeros. A row of results is
 * computed at once: for every tap, all results that find something there take it in, so that no
 * window is cut element by element. Elements are computed in float (f32, f16, bf16) or double (the
 * others); rows of x that are not such numbers are converted first. NaN is larger than anything,
 * and of equal elements the first is the largest. Images that lie channels last have a quicker way:
 * kernels/pool.c. */
#include <math.h>
#include <stdbool.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/pool.h"

TN_COMMON_FAMILY(pool);

#define TASK_WORK 65536 /* elements taken in by a task, about */

static void spread(const Pool *s, const int64_t *from, int64_t missing, int64_t *to) {
    int lost = SPATIAL - (int)s->p->spatial;
    for (int i = 0; i < SPATIAL; i++) to[i] = i < lost ? missing : from[i - lost];
}

static void spread_params(const Pool *s, const uint32_t *from, int64_t *to) {
    int64_t wide[SPATIAL];
    for (int i = 0; i < SPATIAL; i++) wide[i] = from[i];
    spread(s, wide, 1, to);
}

void tn_pool_of(const TnCall *call, Pool *out) {
    Pool s = {.p = call->params, .x = &call->operands[0], .y = &call->operands[1]};
    if (call->operands[2].data) s.places = &call->operands[2];
    s.dtype = (TnDType)s.x->dtype;
    s.lane = map_class(s.dtype) == MAP_FLOAT ? TN_F32 : TN_F64;
    s.batch = s.x->dims[0];
    s.channels = s.x->dims[1];
    spread(&s, s.x->dims + 2, 1, s.in);
    spread(&s, s.y->dims + 2, 1, s.out);
    spread(&s, s.x->strides + 2, 0, s.xs);
    spread(&s, s.y->strides + 2, 0, s.ys);
    if (s.places) spread(&s, s.places->strides + 2, 0, s.zs);
    spread_params(&s, s.p->kernel, s.kernel);
    spread_params(&s, s.p->stride, s.stride);
    spread_params(&s, s.p->dilation, s.dilation);
    spread(&s, call->scalars, 0, s.pad);
    spread(&s, call->scalars + s.p->spatial, 0, s.pad_end);
    int columns = s.p->flags & TN_POOL_COLUMNS;
    s.number[DEPTH] = columns ? 1 : s.in[HEIGHT] * s.in[WIDTH];
    s.number[HEIGHT] = columns ? s.in[DEPTH] : s.in[WIDTH];
    s.number[WIDTH] = columns ? s.in[DEPTH] * s.in[HEIGHT] : 1;
    s.rows = s.batch * s.channels * s.out[DEPTH] * s.out[HEIGHT];
    *out = s;
}

/* The taps [*first, *last) of an axis that fall inside [low, high), for the result at place i. */
void tn_pool_span(const Pool *s, int axis, int64_t i, int64_t low, int64_t high, int64_t *first,
                  int64_t *last) {
    int64_t at = i * s->stride[axis] - s->pad[axis], step = s->dilation[axis];
    *first = at >= low ? 0 : TN_CEIL_DIV(low - at, step);
    *last = s->kernel[axis];
    if (at + (*last - 1) * step >= high) *last = high > at ? TN_CEIL_DIV(high - at, step) : 0;
    if (*last < *first) *last = *first;
}

int64_t tn_pool_count(const Pool *s, int axis, int64_t i) {
    int pads = s->p->flags & TN_POOL_COUNT_PADS;
    int64_t low = pads ? -s->pad[axis] : 0, high = s->in[axis] + (pads ? s->pad_end[axis] : 0);
    int64_t first, last;
    tn_pool_span(s, axis, i, low, high, &first, &last);
    return last - first;
}

/* Scratch of a task: rows of numbers of 8 bytes at most. */
typedef struct Rows {
    void *result, *source, *stored; /* stored: integers on their way */
    double *count;                  /* taps that count, of every result of a row */
    int64_t *place;
} Rows;

static int64_t longer(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static Rows rows_of(const Pool *s, void *scratch) {
    char *at = scratch;
    size_t out = (size_t)s->out[WIDTH] * 8, row = (size_t)longer(s->in[WIDTH], s->out[WIDTH]) * 8;
    Rows r = {.result = at, .count = (double *)(at + out), .place = (int64_t *)(at + 2 * out)};
    r.source = at + 3 * out;
    r.stored = at + 3 * out + row;
    return r;
}

void pool_plan_common(TnCall *call) {
    int64_t results = tensor_elements(&call->operands[1]);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (results == 0) return;
    Pool s;
    tn_pool_of(call, &s);
    int64_t taps = s.kernel[DEPTH] * s.kernel[HEIGHT] * s.kernel[WIDTH];
    int64_t row_work = s.out[WIDTH] * taps;
    call->tile[0] = row_work < TASK_WORK ? TASK_WORK / row_work : 1;
    call->tasks = TN_CEIL_DIV(s.rows, call->tile[0]);
    call->work = results * taps + results * 4;
    call->scratch_bytes = (size_t)(3 * s.out[WIDTH] + 2 * longer(s.in[WIDTH], s.out[WIDTH])) * 8;
}

/* --- one tap for some results: from x, `step` elements apart --- */

#define TAPS(type)                                                                            \
    static void max_##type(void *y, const void *x, int64_t step, int64_t n) {                 \
        type *to = y;                                                                         \
        const type *from = x;                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                     \
            type v = from[i * step];                                                          \
            to[i] = v > to[i] || v != v ? v : to[i];                                          \
        }                                                                                     \
    }                                                                                         \
    static void sum_##type(void *y, const void *x, int64_t step, int64_t n) {                 \
        type *to = y;                                                                         \
        const type *from = x;                                                                 \
        for (int64_t i = 0; i < n; i++) to[i] += from[i * step];                              \
    }                                                                                         \
    /* The same as max, with the largest's place: -1 while there is none. */                  \
    static void place_##type(void *y, int64_t *place, const void *x, int64_t step, int64_t n, \
                             int64_t number, int64_t number_step) {                           \
        type *to = y;                                                                         \
        const type *from = x;                                                                 \
        for (int64_t i = 0; i < n; i++, number += number_step) {                              \
            type v = from[i * step];                                                          \
            if (place[i] >= 0 && !(v > to[i]) && !(v != v && to[i] == to[i])) continue;       \
            to[i] = v;                                                                        \
            place[i] = number;                                                                \
        }                                                                                     \
    }                                                                                         \
    static void power_##type(void *y, double p, int64_t n) {                                  \
        type *to = y;                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                     \
            double v = fabs((double)to[i]);                                                   \
            to[i] = (type)(p == 1 ? v : p == 2 ? v * v : p == 0.5 ? sqrt(v) : pow(v, p));     \
        }                                                                                     \
    }                                                                                         \
    static void divide_##type(void *y, const double *by, double factor, int64_t n) {          \
        type *to = y;                                                                         \
        for (int64_t i = 0; i < n; i++) to[i] = (type)((double)to[i] / (by[i] * factor));     \
    }                                                                                         \
    static void fill_##type(void *y, double v, int64_t n) {                                   \
        type *to = y;                                                                         \
        for (int64_t i = 0; i < n; i++) to[i] = (type)v;                                      \
    }

TAPS(float)
TAPS(double)

/* The results [*first, *last) of a row for which tap k falls inside [low, high). */
static void tap_range(const Pool *s, int64_t k, int64_t low, int64_t high, int64_t *first,
                      int64_t *last) {
    int64_t at = k * s->dilation[WIDTH] - s->pad[WIDTH], step = s->stride[WIDTH];
    *first = at >= low ? 0 : TN_CEIL_DIV(low - at, step);
    *last = s->out[WIDTH];
    if (at + (*last - 1) * step >= high) *last = high > at ? TN_CEIL_DIV(high - at, step) : 0;
}

/* A row of x as numbers to compute with; *step apart. */
static const void *load_row(const Pool *s, const Rows *r, const char *x, int64_t *step) {
    int64_t n = s->in[WIDTH], stride = s->xs[WIDTH];
    *step = 1;
    if (s->dtype == s->lane && s->p->mode != TN_POOL_LP) {
        *step = stride;
        return x;
    }
    bool whole = map_class(s->dtype) == MAP_INT;
    TN_FN(map_load)(whole ? r->stored : r->source, x, s->dtype, stride, n);
    if (whole) TN_FN(map_cast)(r->source, TN_F64, r->stored, s->dtype, n);
    if (s->p->mode == TN_POOL_LP)
        (s->lane == TN_F32 ? power_float : power_double)(r->source, s->p->p, n);
    return r->source;
}

/* Takes a row of x into a row of results; `number`: of the row's first element. */
static void take_row(const Pool *s, const Rows *r, const char *row, int64_t number) {
    bool narrow = s->lane == TN_F32;
    int64_t size = narrow ? 4 : 8, step, first, last;
    const char *x = load_row(s, r, row, &step);
    for (int64_t k = 0; k < s->kernel[WIDTH]; k++) {
        tap_range(s, k, 0, s->in[WIDTH], &first, &last);
        if (first >= last) continue;
        int64_t at = first * s->stride[WIDTH] + k * s->dilation[WIDTH] - s->pad[WIDTH];
        const char *from = x + at * step * size;
        char *to = (char *)r->result + first * size;
        int64_t stride = s->stride[WIDTH] * step, n = last - first;
        if (s->places)
            (narrow ? place_float : place_double)(to, r->place + first, from, stride, n,
                                                  number + at * s->number[WIDTH],
                                                  s->stride[WIDTH] * s->number[WIDTH]);
        else if (s->p->mode == TN_POOL_MAX)
            (narrow ? max_float : max_double)(to, from, stride, n);
        else
            (narrow ? sum_float : sum_double)(to, from, stride, n);
    }
}

/* The largest of nothing. */
static double lowest(TnDType t) {
    if (tn_is_float(t)) return -INFINITY;
    return tn_dtype_class(t) == TN_CLASS_INT ? -ldexp(1, 8 * (int)tn_dtype_size(t) - 1) : 0;
}

typedef struct RowAt {
    int64_t b, c, d, h; /* of the results */
} RowAt;

static void begin_row(const Pool *s, const Rows *r) {
    int64_t n = s->out[WIDTH];
    double v = s->p->mode == TN_POOL_MAX ? lowest(s->dtype) : 0;
    (s->lane == TN_F32 ? fill_float : fill_double)(r->result, v, n);
    for (int64_t i = 0; s->places && i < n; i++) r->place[i] = -1;
}

static void end_row(const Pool *s, const Rows *r, const RowAt *at) {
    int64_t n = s->out[WIDTH], size = (int64_t)tn_dtype_size(s->dtype);
    bool narrow = s->lane == TN_F32;
    if (s->p->mode == TN_POOL_LP) (narrow ? power_float : power_double)(r->result, 1 / s->p->p, n);
    if (s->p->mode == TN_POOL_AVG) {
        double rows = (double)(tn_pool_count(s, DEPTH, at->d) * tn_pool_count(s, HEIGHT, at->h));
        (narrow ? divide_float : divide_double)(r->result, r->count, rows, n);
    }
    int64_t offset = at->b * s->y->strides[0] + at->c * s->y->strides[1] + at->d * s->ys[DEPTH] +
                     at->h * s->ys[HEIGHT];
    char *y = (char *)s->y->data + offset * size;
    const void *result = r->result;
    if (map_class(s->dtype) == MAP_INT) {
        TN_FN(map_cast)(r->stored, s->dtype, r->result, TN_F64, n);
        result = r->stored;
    }
    TN_FN(map_store)(y, s->dtype, s->ys[WIDTH], result, n);
    if (!s->places) return;
    int64_t *z = (int64_t *)s->places->data + at->b * s->places->strides[0] +
                 at->c * s->places->strides[1] + at->d * s->zs[DEPTH] + at->h * s->zs[HEIGHT];
    for (int64_t i = 0; i < n; i++) z[i * s->zs[WIDTH]] = r->place[i] < 0 ? 0 : r->place[i];
}

static void pool_row(const Pool *s, const Rows *r, const RowAt *at) {
    int64_t plane = at->b * s->channels + at->c, size = (int64_t)tn_dtype_size(s->dtype);
    int64_t first = plane * s->in[DEPTH] * s->in[HEIGHT] * s->in[WIDTH];
    const char *x =
        (const char *)s->x->data + (at->b * s->x->strides[0] + at->c * s->x->strides[1]) * size;
    int64_t kd, kh, d_end, h_begin, h_end;
    tn_pool_span(s, DEPTH, at->d, 0, s->in[DEPTH], &kd, &d_end);
    tn_pool_span(s, HEIGHT, at->h, 0, s->in[HEIGHT], &h_begin, &h_end);
    begin_row(s, r);
    for (; kd < d_end; kd++) {
        int64_t d = at->d * s->stride[DEPTH] + kd * s->dilation[DEPTH] - s->pad[DEPTH];
        for (kh = h_begin; kh < h_end; kh++) {
            int64_t h = at->h * s->stride[HEIGHT] + kh * s->dilation[HEIGHT] - s->pad[HEIGHT];
            take_row(s, r, x + (d * s->xs[DEPTH] + h * s->xs[HEIGHT]) * size,
                     first + d * s->number[DEPTH] + h * s->number[HEIGHT]);
        }
    }
    end_row(s, r, at);
}

void pool_run_common(const TnCall *call, int64_t task, void *scratch) {
    Pool s;
    tn_pool_of(call, &s);
    Rows r = rows_of(&s, scratch);
    int64_t row = task * call->tile[0], end = row + call->tile[0];
    if (end > s.rows) end = s.rows;
    for (int64_t i = 0; s.p->mode == TN_POOL_AVG && i < s.out[WIDTH]; i++)
        r.count[i] = (double)tn_pool_count(&s, WIDTH, i);
    for (; row < end; row++) {
        int64_t plane = row / s.out[HEIGHT] / s.out[DEPTH];
        RowAt at = {.b = plane / s.channels,
                    .c = plane % s.channels,
                    .d = row / s.out[HEIGHT] % s.out[DEPTH],
                    .h = row % s.out[HEIGHT]};
        pool_row(&s, &r, &at);
    }
}
