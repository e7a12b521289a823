/* dft: the discrete Fourier transform along one axis; x and y dense, the last axis of both 1 (real)
 * or 2 (complex).
 *
 *     y[.., k, .., :] = scale sum over j < n of x[.., j, .., :] e^(-+ 2 pi i j k / n)
 *
 * n is scalar 0; x is cut or padded with zeros to n. Forward transforms have -, inverse ones + and
 * scale 1 / n. y has n bins, or fewer: only the first ones are wanted. An inverse with a real
 * result of length n from n / 2 + 1 bins takes the others as conjugates (half).
 *
 * Lengths are factored; pass by pass, transforms become p times as long (fft_stages.h), in the
 * precision of the data, with roots of unity rounded once. Prime factors above FFT_MAX_RADIX go
 * through Bluestein's convolution, of a power of two and in double. A task transforms some lines,
 * one after another; its tables are computed once. */
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

TN_COMMON_FAMILY(dft);

#define FFT_MAX_RADIX 64
#define MAX_FACTORS   32
#define LINES         16 /* of a task */
#define TWO_PI        6.28318530717958647692

/* --- transforms of a length whose factors are small --- */

typedef struct Factors {
    int64_t n;
    int count;
    int64_t factors[MAX_FACTORS];
} Factors;

/* A two if there is one, fours, then odd primes; false if one is too large. */
static bool factorise(int64_t n, Factors *f) {
    int twos = 0;
    *f = (Factors){.n = n};
    for (; n % 2 == 0; n /= 2) twos++;
    if (twos % 2) f->factors[f->count++] = 2;
    for (int i = 0; i < twos / 2; i++) f->factors[f->count++] = 4;
    for (int64_t p = 3; n > 1 && p <= FFT_MAX_RADIX; p += 2)
        for (; n % p == 0; n /= p) f->factors[f->count++] = p;
    return n == 1;
}

#define FFT_REAL       float
#define FFT_NAME(name) f32_##name
#include "runtime/kernels/common/fft_stages.h"
#define FFT_REAL       double
#define FFT_NAME(name) f64_##name
#include "runtime/kernels/common/fft_stages.h"

typedef f64_Complex Complex;

/* --- any length --- */

/* Tables and buffers of a task, all in scratch; of floats if `single`. */
typedef struct Transform {
    int64_t n, size; /* size: of the transforms that run, n or a power of two */
    bool direct, single;
    Factors factors;
    void *root, *in, *other; /* [size] */
    void *out;               /* [n]: one of the two */
    Complex *chirp, *filter; /* Bluestein: [n] e^(-i pi j^2 / n); [size] its transformed inverse */
} Transform;

static Transform transform_of(int64_t n, TnDType t) {
    Transform f = {.n = n, .size = n};
    f.direct = factorise(n, &f.factors);
    f.single = f.direct && t == TN_F32;
    if (f.direct) return f;
    for (f.size = 1; f.size < 2 * n - 1;) f.size *= 2;
    factorise(f.size, &f.factors);
    return f;
}

static size_t transform_bytes(const Transform *t) {
    return (size_t)(3 * t->size + (t->direct ? 0 : t->n + t->size)) * sizeof(Complex);
}

static void conjugate(Complex *x, int64_t n) {
    for (int64_t j = 0; j < n; j++) x[j].im = -x[j].im;
}

static void list_chirp(Transform *t) {
    Complex *in = t->in, *out;
    for (int64_t j = 0, square = 0; j < t->n; j++) {
        double angle = TWO_PI / 2 * (double)square / (double)t->n;
        t->chirp[j] = (Complex){cos(angle), -sin(angle)};
        square = (square + 2 * j + 1) % (2 * t->n); /* j^2 modulo 2 n */
    }
    memset(in, 0, (size_t)t->size * sizeof(Complex));
    for (int64_t j = 0; j < t->n; j++) {
        Complex c = {t->chirp[j].re, -t->chirp[j].im};
        in[j] = c;
        if (j > 0) in[t->size - j] = c;
    }
    out = f64_transform(&t->factors, t->root, in, t->other);
    memcpy(t->filter, out, (size_t)t->size * sizeof(Complex));
}

static void set_up(Transform *t, Complex *scratch) {
    t->root = scratch;
    t->in = scratch + t->size;
    t->other = scratch + 2 * t->size;
    t->filter = scratch + 3 * t->size;
    t->chirp = t->filter + t->size;
    if (t->single)
        f32_list_roots(t->root, t->size);
    else
        f64_list_roots(t->root, t->size);
    if (!t->direct) list_chirp(t);
}

/* out[n] from in[n]; in is overwritten. */
static void run_transform(Transform *t) {
    Complex *in = t->in, *out;
    if (t->direct) {
        t->out = t->single ? (void *)f32_transform(&t->factors, t->root, t->in, t->other)
                           : (void *)f64_transform(&t->factors, t->root, t->in, t->other);
        return;
    }
    double scale = 1 / (double)t->size;
    for (int64_t j = 0; j < t->n; j++) in[j] = f64_times(in[j], t->chirp[j]);
    memset(in + t->n, 0, (size_t)(t->size - t->n) * sizeof(Complex));
    out = f64_transform(&t->factors, t->root, in, t->other);
    for (int64_t j = 0; j < t->size; j++) out[j] = f64_times(out[j], t->filter[j]);
    conjugate(out, t->size);
    out = f64_transform(&t->factors, t->root, out, out == in ? t->other : in);
    for (int64_t k = 0; k < t->n; k++) {
        Complex c = {out[k].re * scale, -out[k].im * scale};
        out[k] = f64_times(c, t->chirp[k]);
    }
    t->out = out;
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

static void put(Transform *t, int64_t j, Complex v) {
    if (t->single)
        ((f32_Complex *)t->in)[j] = (f32_Complex){(float)v.re, (float)v.im};
    else
        ((Complex *)t->in)[j] = v;
}

static Complex get(const Transform *t, int64_t j) {
    if (!t->single) return ((const Complex *)t->out)[j];
    const f32_Complex *v = (const f32_Complex *)t->out + j;
    return (Complex){(double)v->re, (double)v->im};
}

/* Bin j of the line. */
static Complex read_bin(const Line *l, const void *data, int64_t start, int64_t j) {
    Complex v = {read_part(l, data, start + j * l->step), 0};
    if (l->parts == 2) v.im = read_part(l, data, start + j * l->step + 1);
    return v;
}

/* in[n] from the line, zeros beyond it, times (1, sign i): an inverse transform is the conjugate of
 * the conjugate's. `half`: bins above n / 2 are conjugates of those below, and the ends real. */
static void load_line(const Line *l, const void *data, int64_t start, Transform *t, bool half,
                      double sign) {
    for (int64_t j = 0; j < t->n; j++) {
        bool mirrored = half && j > t->n / 2, real = half && (j == 0 || 2 * j == t->n);
        int64_t at = mirrored ? t->n - j : j;
        Complex v = at < l->count ? read_bin(l, data, start, at) : (Complex){0, 0};
        v.im = real ? 0 : mirrored ? -v.im * sign : v.im * sign;
        put(t, j, v);
    }
}

/* The first bins; those that are real if the line was, 0 and n / 2, exactly so. */
static void store_line(const Line *l, void *data, int64_t start, const Transform *t, double scale,
                       double sign, bool real) {
    if (l->dtype == TN_F32) scale = (double)(float)scale;
    for (int64_t k = 0; k < l->count; k++) {
        Complex v = get(t, k);
        if (real && (k == 0 || 2 * k == t->n)) v.im = 0;
        write_part(l, data, start + k * l->step, v.re * scale);
        if (l->parts == 2) write_part(l, data, start + k * l->step + 1, v.im * scale * sign);
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
    Transform t = transform_of(call->scalars[0], (TnDType)y->dtype);
    int64_t lines = line_count(y, (int)p->axis);
    call->tasks = TN_CEIL_DIV(lines, LINES);
    call->work = lines * t.size * 40;
    call->scratch_bytes = transform_bytes(&t);
}

void dft_run_common(const TnCall *call, int64_t task, void *scratch) {
    const ParamsDft *p = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int axis = (int)p->axis;
    Transform t = transform_of(call->scalars[0], (TnDType)y->dtype);
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
        load_line(&from, x->data, start, &t, p->inverse && to.parts == 1, p->inverse ? -1 : 1);
        run_transform(&t);
        store_line(&to, y->data, row * to.count * to.step + column * to.parts, &t,
                   p->inverse ? 1 / (double)t.n : 1, p->inverse ? -1 : 1, from.parts == 1);
    }
}
