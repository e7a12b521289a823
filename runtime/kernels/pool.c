/* pool of images that lie channels last: x and y f32 or bf16, neighbouring channels side by side.
 *
 *     y[b, c, i] = max or mean over k of x[b, c, i stride + k dilation - pad]
 *
 * Vectors hold channels, so a window is as many loads as it has taps, and nothing is checked inside
 * it: the taps that exist are a box, found once per window. Channels beyond a multiple of a
 * vector's are computed with the last whole vector. Everything else - other types, orders and
 * modes, places of the largest - goes the way of common/pool.c. */
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/pool.h"
#include "runtime/kernels/simd_half.h"

TN_FAMILY(pool);
TN_COMMON_FAMILY(pool);

#define VECTORS      4    /* of channels at a time */
#define BYTES_PER_NS 8.0  /* from and to memory */
#define TAPS_PER_NS  16.0 /* taken in from cache */

/* The taps of a window that lie inside x. */
typedef struct Box {
    int64_t taps[SPATIAL], step[SPATIAL]; /* extents, elements from one to the next */
    float count;                          /* what a mean divides by */
} Box;

static bool by_channels(const TnCall *call) {
    const ParamsPool *p = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    return (x->dtype == TN_F32 || x->dtype == TN_BF16) && p->mode != TN_POOL_LP &&
           !call->operands[2].data && x->strides[1] == 1 && y->strides[1] == 1 &&
           x->dims[1] >= VF_WIDTH && VF_WIDTH > 1;
}

void TN_FN(pool_plan)(TnCall *call) {
    if (!by_channels(call)) {
        pool_plan_common(call);
        return;
    }
    Pool s;
    tn_pool_of(call, &s);
    int64_t results = tensor_elements(s.y);
    double taps = (double)(s.kernel[DEPTH] * s.kernel[HEIGHT] * s.kernel[WIDTH]);
    double bytes = (double)(tensor_elements(s.x) + results) * (double)tn_dtype_size(s.dtype);
    double ns = bytes / BYTES_PER_NS + (double)results * taps / TAPS_PER_NS;
    call->scratch_bytes = 0;
    call->tasks = call->work = 0;
    if (results == 0) return;
    int64_t rows = s.rows / s.channels, want = tile_tasks(ns);
    call->tasks = want < rows ? want : rows;
    call->work = (int64_t)ns + 1;
}

ALWAYS_INLINE vf larger(vf a, vf b) {
    return vf_select(vf_unordered(b, b), b, vf_max(b, a)); /* a NaN in a stays, too */
}

/* The macros' functions per type: `vectors` of channels of one window, of which the first tap that
 * exists is at x; then all channels. */
#define POOL(name, type, load, store)                                                    \
    ALWAYS_INLINE void part_##name(const Box *box, type *y, const type *x, int vectors,  \
                                   bool mean) {                                          \
        vf sum[VECTORS];                                                                 \
        UNROLL for (int v = 0; v < vectors; v++) sum[v] = vf_set1(mean ? 0 : -INFINITY); \
        for (int64_t d = 0; d < box->taps[DEPTH]; d++)                                   \
            for (int64_t h = 0; h < box->taps[HEIGHT]; h++) {                            \
                const type *row = x + d * box->step[DEPTH] + h * box->step[HEIGHT];      \
                for (int64_t w = 0; w < box->taps[WIDTH]; w++, row += box->step[WIDTH])  \
                    UNROLL for (int v = 0; v < vectors; v++) {                           \
                        vf a = load(row + v * VF_WIDTH);                                 \
                        sum[v] = mean ? vf_add(sum[v], a) : larger(sum[v], a);           \
                    }                                                                    \
            }                                                                            \
        vf count = vf_set1(box->count);                                                  \
        UNROLL for (int v = 0; v < vectors; v++)                                         \
            store(y + v * VF_WIDTH, mean ? vf_div(sum[v], count) : sum[v]);              \
    }                                                                                    \
    ALWAYS_INLINE void window_##name(const Box *box, type *y, const type *x, int64_t n,  \
                                     bool mean) {                                        \
        int64_t c = 0;                                                                   \
        for (; c + VECTORS * VF_WIDTH <= n; c += VECTORS * VF_WIDTH)                     \
            part_##name(box, y + c, x + c, VECTORS, mean);                               \
        for (; c < n; c += VF_WIDTH) {                                                   \
            int64_t at = c + VF_WIDTH <= n ? c : n - VF_WIDTH;                           \
            part_##name(box, y + at, x + at, 1, mean);                                   \
        }                                                                                \
    }                                                                                    \
    static void max_##name(const Box *box, void *y, const void *x, int64_t n) {          \
        window_##name(box, y, x, n, false);                                              \
    }                                                                                    \
    static void mean_##name(const Box *box, void *y, const void *x, int64_t n) {         \
        window_##name(box, y, x, n, true);                                               \
    }

POOL(f32, float, vf_load, vf_store)
POOL(bf16, uint16_t, vf_load_bf16, vf_store_bf16)

typedef void WindowFn(const Box *box, void *y, const void *x, int64_t channels);

/* Cuts an axis of the box to what lies inside for the result at place i; returns where in x it
 * begins. */
static int64_t cut(const Pool *s, Box *box, int axis, int64_t i) {
    int64_t at = i * s->stride[axis] - s->pad[axis], first = 0, last = s->kernel[axis];
    if (at < 0 || at + (last - 1) * s->dilation[axis] >= s->in[axis])
        tn_pool_span(s, axis, i, 0, s->in[axis], &first, &last);
    box->taps[axis] = last - first;
    if (last == first) return 0;
    return (at + first * s->dilation[axis]) * s->xs[axis];
}

/* A row of results at depth d and height h of image b. */
static void pool_windows(const Pool *s, int64_t b, int64_t d, int64_t h) {
    bool mean = s->p->mode == TN_POOL_AVG;
    int64_t size = (int64_t)tn_dtype_size(s->dtype);
    WindowFn *window = s->dtype == TN_F32 ? mean ? mean_f32 : max_f32 : mean ? mean_bf16 : max_bf16;
    Box box;
    for (int i = 0; i < SPATIAL; i++) box.step[i] = s->dilation[i] * s->xs[i];
    int64_t from = b * s->x->strides[0] + cut(s, &box, DEPTH, d) + cut(s, &box, HEIGHT, h);
    int64_t to = b * s->y->strides[0] + d * s->ys[DEPTH] + h * s->ys[HEIGHT];
    int64_t rows = mean ? tn_pool_count(s, DEPTH, d) * tn_pool_count(s, HEIGHT, h) : 0;
    for (int64_t w = 0; w < s->out[WIDTH]; w++, to += s->ys[WIDTH]) {
        int64_t at = from + cut(s, &box, WIDTH, w);
        if (mean) box.count = (float)(rows * tn_pool_count(s, WIDTH, w));
        window(&box, (char *)s->y->data + to * size, (const char *)s->x->data + at * size,
               s->channels);
    }
}

void TN_FN(pool_run)(const TnCall *call, int64_t task, void *scratch) {
    if (!by_channels(call)) {
        pool_run_common(call, task, scratch);
        return;
    }
    Pool s;
    tn_pool_of(call, &s);
    int64_t rows = s.rows / s.channels, last = deal(rows, call->tasks, task + 1);
    for (int64_t row = deal(rows, call->tasks, task); row < last; row++) {
        int64_t h = row % s.out[HEIGHT], plane = row / s.out[HEIGHT];
        pool_windows(&s, plane / s.out[DEPTH], plane % s.out[DEPTH], h);
    }
}
