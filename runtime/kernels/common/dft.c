/* dft: the discrete Fourier transform along one axis; x and y dense, the last axis of both 1 (real)
 * or 2 (complex).
 *
 *     y[.., k, .., :] = scale sum over j < n of x[.., j, .., :] e^(-+ 2 pi i j k / n)
 *
 * n is scalar 0; x is cut or padded with zeros to n. Forward transforms have -, inverse ones + and
 * scale 1 / n. y has n bins, or fewer: only the first ones are wanted. An inverse with a real
 * result of length n from n / 2 + 1 bins takes the others as conjugates (half).
 *
 * Lengths are factored; stage by stage a length of p m is p transforms of length m, combined by
 * twiddles. Prime factors above MAX_RADIX go through Bluestein's convolution, of a power of two.
 * Everything runs in double and is rounded once. A task transforms some lines, one after another;
 * its twiddles are computed once. */
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

TN_COMMON_FAMILY(dft);

#define MAX_RADIX   64
#define MAX_FACTORS 32
#define LINES       16 /* of a task */
#define TWO_PI      6.28318530717958647692

typedef struct Complex {
    double re, im;
} Complex;

static Complex times(Complex a, Complex b) {
    return (Complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static Complex plus(Complex a, Complex b) {
    return (Complex){a.re + b.re, a.im + b.im};
}

/* --- transforms of a length whose factors are small --- */

typedef struct Fft {
    int64_t n;
    int factor_count;
    int64_t factors[MAX_FACTORS];
    const Complex *root; /* [n] e^(-2 pi i j / n) */
} Fft;

/* False if a prime factor is too large. */
static bool factorise(int64_t n, Fft *f) {
    f->n = n;
    f->factor_count = 0;
    for (int64_t p = 2; n > 1 && p <= MAX_RADIX; p++)
        for (; n % p == 0; n /= p) f->factors[f->factor_count++] = p;
    return n == 1;
}

static void list_roots(Complex *root, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double angle = TWO_PI * (double)j / (double)n;
        root[j] = (Complex){cos(angle), -sin(angle)};
    }
}

/* p neighbours `step` apart become their transform; `turn` steps through the roots of order p. */
static void butterfly(const Fft *f, Complex *y, int64_t step, int64_t p) {
    Complex in[MAX_RADIX];
    int64_t turn = f->n / p;
    for (int64_t k = 0; k < p; k++) in[k] = y[k * step];
    if (p == 2) {
        y[0] = plus(in[0], in[1]);
        y[step] = (Complex){in[0].re - in[1].re, in[0].im - in[1].im};
        return;
    }
    for (int64_t k = 0; k < p; k++) {
        Complex sum = in[0];
        for (int64_t j = 1, at = k; j < p; j++, at = at + k >= p ? at + k - p : at + k)
            sum = plus(sum, times(in[j], f->root[at * turn]));
        y[k * step] = sum;
    }
}

/* y[n] from x, elements `step` apart; decimation in time, the stages from `stage` on. */
static void transform(const Fft *f, int stage, int64_t n, Complex *y, const Complex *x,
                      int64_t step) {
    if (n == 1) {
        y[0] = x[0];
        return;
    }
    int64_t p = f->factors[stage], m = n / p, turn = f->n / n;
    for (int64_t j = 0; j < p; j++) transform(f, stage + 1, m, y + j * m, x + j * step, step * p);
    for (int64_t k = 0; k < m; k++) {
        for (int64_t j = 1; j < p; j++) y[j * m + k] = times(y[j * m + k], f->root[j * k * turn]);
        butterfly(f, y + k, m, p);
    }
}

/* --- any length --- */

/* Tables and buffers of a task, all in scratch. */
typedef struct Transform {
    int64_t n, size; /* size: of the transforms that run, n or a power of two */
    bool direct;
    Fft fft;
    Complex *root, *in, *out; /* [size] */
    Complex *chirp, *filter;  /* Bluestein: [n] e^(-i pi j^2 / n); [size] its transformed inverse */
} Transform;

static Transform transform_of(int64_t n) {
    Transform t = {.n = n, .size = n};
    t.direct = factorise(n, &t.fft);
    if (t.direct) return t;
    for (t.size = 1; t.size < 2 * n - 1;) t.size *= 2;
    factorise(t.size, &t.fft);
    return t;
}

static size_t transform_bytes(const Transform *t) {
    return (size_t)(3 * t->size + (t->direct ? 0 : t->n + t->size)) * sizeof(Complex);
}

/* Conjugates in and out turn a forward transform into an inverse one. */
static void conjugate(Complex *x, int64_t n) {
    for (int64_t j = 0; j < n; j++) x[j].im = -x[j].im;
}

static void list_chirp(Transform *t) {
    for (int64_t j = 0, square = 0; j < t->n; j++) {
        double angle = TWO_PI / 2 * (double)square / (double)t->n;
        t->chirp[j] = (Complex){cos(angle), -sin(angle)};
        square = (square + 2 * j + 1) % (2 * t->n); /* j^2 modulo 2 n */
    }
    memset(t->in, 0, (size_t)t->size * sizeof(Complex));
    for (int64_t j = 0; j < t->n; j++) {
        Complex c = {t->chirp[j].re, -t->chirp[j].im};
        t->in[j] = c;
        if (j > 0) t->in[t->size - j] = c;
    }
    transform(&t->fft, 0, t->size, t->filter, t->in, 1);
}

static void set_up(Transform *t, Complex *scratch) {
    t->root = scratch;
    t->in = t->root + t->size;
    t->out = t->in + t->size;
    t->filter = t->out + t->size;
    t->chirp = t->filter + t->size;
    list_roots(t->root, t->size);
    t->fft.root = t->root;
    if (!t->direct) list_chirp(t);
}

/* out[n] from in[n]; in is overwritten. */
static void run_transform(Transform *t) {
    if (t->direct) {
        transform(&t->fft, 0, t->n, t->out, t->in, 1);
        return;
    }
    double scale = 1 / (double)t->size;
    for (int64_t j = 0; j < t->n; j++) t->in[j] = times(t->in[j], t->chirp[j]);
    memset(t->in + t->n, 0, (size_t)(t->size - t->n) * sizeof(Complex));
    transform(&t->fft, 0, t->size, t->out, t->in, 1);
    for (int64_t j = 0; j < t->size; j++) t->in[j] = times(t->out[j], t->filter[j]);
    conjugate(t->in, t->size);
    transform(&t->fft, 0, t->size, t->out, t->in, 1);
    for (int64_t k = 0; k < t->n; k++) {
        Complex c = {t->out[k].re * scale, -t->out[k].im * scale};
        t->out[k] = times(c, t->chirp[k]);
    }
}

/* --- lines of a tensor --- */

typedef struct Line {
    TnDType dtype;
    int64_t count, step; /* elements along the axis and how far they are apart */
    int parts;           /* 1 real, 2 complex */
} Line;

static double read_part(const Line *l, const void *data, int64_t at) {
    return l->dtype == TN_F64 ? ((const double *)data)[at] : (double)((const float *)data)[at];
}

static void write_part(const Line *l, void *data, int64_t at, double v) {
    if (l->dtype == TN_F64)
        ((double *)data)[at] = v;
    else
        ((float *)data)[at] = (float)v;
}

/* in[n] from the line, zeros beyond it; `half`: bins above n / 2 are conjugates of those below. */
static void load_line(const Line *l, const void *data, int64_t start, Transform *t, bool half) {
    int64_t wanted = half ? t->n / 2 + 1 : t->n;
    for (int64_t j = 0; j < t->n; j++) {
        Complex v = {0, 0};
        if (j < wanted && j < l->count) {
            v.re = read_part(l, data, start + j * l->step);
            if (l->parts == 2) v.im = read_part(l, data, start + j * l->step + 1);
        }
        t->in[j] = v;
    }
    if (!half) return;
    t->in[0].im = 0;
    if (t->n % 2 == 0) t->in[t->n / 2].im = 0;
    for (int64_t j = wanted; j < t->n; j++)
        t->in[j] = (Complex){t->in[t->n - j].re, -t->in[t->n - j].im};
}

static void store_line(const Line *l, void *data, int64_t start, const Transform *t, double scale,
                       double sign) {
    for (int64_t k = 0; k < l->count; k++) {
        write_part(l, data, start + k * l->step, t->out[k].re * scale);
        if (l->parts == 2)
            write_part(l, data, start + k * l->step + 1, t->out[k].im * scale * sign);
    }
}

static int64_t line_count(const TnTensor *y, int axis) {
    return tensor_extent(y, 0, axis) * tensor_extent(y, axis + 1, y->rank - 1);
}

void dft_plan_common(TnCall *call) {
    const ParamsDft *p = call->params;
    const TnTensor *y = &call->operands[1];
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (tensor_elements(y) == 0) return;
    Transform t = transform_of(call->scalars[0]);
    int64_t lines = line_count(y, (int)p->axis);
    call->tasks = TN_CEIL_DIV(lines, LINES);
    call->work = lines * t.size * 40;
    call->scratch_bytes = transform_bytes(&t);
}

void dft_run_common(const TnCall *call, int64_t task, void *scratch) {
    const ParamsDft *p = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int axis = (int)p->axis;
    Transform t = transform_of(call->scalars[0]);
    Line from = {(TnDType)x->dtype, x->dims[axis], 0, (int)x->dims[x->rank - 1]};
    Line to = {(TnDType)y->dtype, y->dims[axis], 0, (int)y->dims[y->rank - 1]};
    int64_t inner = tensor_extent(y, axis + 1, y->rank - 1), lines = line_count(y, axis);
    int64_t last = task * LINES + LINES < lines ? task * LINES + LINES : lines;
    from.step = inner * from.parts;
    to.step = inner * to.parts;
    set_up(&t, scratch);
    for (int64_t i = task * LINES; i < last; i++) {
        int64_t row = i / inner, column = i % inner;
        int64_t start = row * from.count * from.step + column * from.parts;
        load_line(&from, x->data, start, &t, p->inverse && to.parts == 1);
        if (p->inverse) conjugate(t.in, t.n);
        run_transform(&t);
        store_line(&to, y->data, row * to.count * to.step + column * to.parts, &t,
                   p->inverse ? 1 / (double)t.n : 1, p->inverse ? -1 : 1);
    }
}
