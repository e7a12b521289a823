/* col2im: columns back into an image, the sum of what windows hold of each element; x and y dense,
 * f32 or f64, up to three spatial axes, missing ones count as extent 1.
 *
 *     y[b, c, i] = sum of x[b, c, k, p] over the k, p with p stride + k dilation - pad = i
 *
 * A task is one plane of y. Every row of windows is added at once: for a tap, neighbouring windows
 * add to elements `stride` apart. */
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

TN_COMMON_FAMILY(col2im);

enum { DEPTH, HEIGHT, WIDTH, SPATIAL };

typedef struct Col2im {
    int64_t image[SPATIAL], kernel[SPATIAL], windows[SPATIAL];
    int64_t stride[SPATIAL], dilation[SPATIAL], pad[SPATIAL];
} Col2im;

static Col2im col2im_of(const TnCall *call) {
    const ParamsCol2im *p = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    Col2im s;
    int spatial = (int)p->spatial;
    for (int i = 0; i < SPATIAL; i++) {
        int from = i - (SPATIAL - spatial);
        s.image[i] = from < 0 ? 1 : y->dims[2 + from];
        s.kernel[i] = from < 0 ? 1 : x->dims[2 + from];
        s.windows[i] = from < 0 ? 1 : x->dims[2 + spatial + from];
        s.stride[i] = from < 0 ? 1 : p->stride[from];
        s.dilation[i] = from < 0 ? 1 : p->dilation[from];
        s.pad[i] = from < 0 ? 0 : call->scalars[from];
    }
    return s;
}

void col2im_plan_common(TnCall *call) {
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    call->tasks = tensor_elements(y) ? y->dims[0] * y->dims[1] : 0;
    call->work = tensor_elements(x) + tensor_elements(y) / 4;
    call->scratch_bytes = 0;
}

#define ADD_ROW(type)                                                         \
    static void add_##type(void *y, const void *x, int64_t step, int64_t n) { \
        type *to = y;                                                         \
        const type *from = x;                                                 \
        for (int64_t i = 0; i < n; i++) to[i * step] += from[i];              \
    }

ADD_ROW(float)
ADD_ROW(double)

/* A tap of a row of windows: those whose tap falls inside the row of the image. */
static void add_tap(const Col2im *s, char *row, const char *x, int64_t k, int64_t size) {
    int64_t at = k * s->dilation[WIDTH] - s->pad[WIDTH], step = s->stride[WIDTH];
    int64_t first = at >= 0 ? 0 : TN_CEIL_DIV(-at, step), last = s->windows[WIDTH];
    if (at + (last - 1) * step >= s->image[WIDTH])
        last = s->image[WIDTH] > at ? TN_CEIL_DIV(s->image[WIDTH] - at, step) : 0;
    if (first < last)
        (size == 4 ? add_float : add_double)(row + (at + first * step) * size, x + first * size,
                                             step, last - first);
}

/* All windows of a plane for one tap (kd, kh, kw); x: [windows]. */
static void add_windows(const Col2im *s, char *plane, const char *x, const int64_t *k,
                        int64_t size) {
    for (int64_t pd = 0; pd < s->windows[DEPTH]; pd++) {
        int64_t d = pd * s->stride[DEPTH] + k[DEPTH] * s->dilation[DEPTH] - s->pad[DEPTH];
        if (d < 0 || d >= s->image[DEPTH]) continue;
        for (int64_t ph = 0; ph < s->windows[HEIGHT]; ph++) {
            int64_t h = ph * s->stride[HEIGHT] + k[HEIGHT] * s->dilation[HEIGHT] - s->pad[HEIGHT];
            if (h < 0 || h >= s->image[HEIGHT]) continue;
            add_tap(s, plane + (d * s->image[HEIGHT] + h) * s->image[WIDTH] * size,
                    x + (pd * s->windows[HEIGHT] + ph) * s->windows[WIDTH] * size, k[WIDTH], size);
        }
    }
}

void col2im_run_common(const TnCall *call, int64_t task, void *scratch) {
    Col2im s = col2im_of(call);
    int64_t size = (int64_t)tn_dtype_size((TnDType)call->operands[0].dtype);
    int64_t area = s.image[DEPTH] * s.image[HEIGHT] * s.image[WIDTH] * size;
    int64_t windows = s.windows[DEPTH] * s.windows[HEIGHT] * s.windows[WIDTH] * size;
    int64_t taps = s.kernel[DEPTH] * s.kernel[HEIGHT] * s.kernel[WIDTH], k[SPATIAL];
    char *plane = (char *)call->operands[1].data + task * area;
    const char *x = (const char *)call->operands[0].data + task * taps * windows;
    (void)scratch;
    memset(plane, 0, (size_t)area);
    if (windows == 0) return;
    for (k[DEPTH] = 0; k[DEPTH] < s.kernel[DEPTH]; k[DEPTH]++)
        for (k[HEIGHT] = 0; k[HEIGHT] < s.kernel[HEIGHT]; k[HEIGHT]++)
            for (k[WIDTH] = 0; k[WIDTH] < s.kernel[WIDTH]; k[WIDTH]++, x += windows)
                add_windows(&s, plane, x, k, size);
}
