/* The stages of a transform whose prime factors are small, in one precision: to be included with
 * FFT_REAL and FFT_NAME(name) defined. The passes are FFTPACK's (P. N. Swarztrauber, 1982): each
 * takes l transforms that are interleaved to p l ones, ends in natural order, and needs no bit
 * reversal. */

typedef struct FFT_NAME(Complex) {
    FFT_REAL re, im;
} FFT_NAME(Complex);

static FFT_NAME(Complex) FFT_NAME(times)(FFT_NAME(Complex) a, FFT_NAME(Complex) b) {
    return (FFT_NAME(Complex)){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static FFT_NAME(Complex) FFT_NAME(plus)(FFT_NAME(Complex) a, FFT_NAME(Complex) b) {
    return (FFT_NAME(Complex)){a.re + b.re, a.im + b.im};
}

static FFT_NAME(Complex) FFT_NAME(minus)(FFT_NAME(Complex) a, FFT_NAME(Complex) b) {
    return (FFT_NAME(Complex)){a.re - b.re, a.im - b.im};
}

/* a of the sums and -i b of the differences: the results k and p - k. */
static void FFT_NAME(pair)(FFT_NAME(Complex) a, FFT_NAME(Complex) b, FFT_NAME(Complex) * first,
                           FFT_NAME(Complex) * last) {
    FFT_NAME(Complex) turned = {b.im, -b.re};
    *first = FFT_NAME(plus)(a, turned);
    *last = FFT_NAME(minus)(a, turned);
}

static void FFT_NAME(radix3)(FFT_NAME(Complex) * v) {
    const FFT_REAL c = (FFT_REAL)-0.5, s = (FFT_REAL)0.86602540378443864676;
    FFT_NAME(Complex) sum = FFT_NAME(plus)(v[1], v[2]), gap = FFT_NAME(minus)(v[1], v[2]);
    FFT_NAME(Complex) a = {v[0].re + c * sum.re, v[0].im + c * sum.im};
    FFT_NAME(Complex) b = {s * gap.re, s * gap.im};
    v[0] = FFT_NAME(plus)(v[0], sum);
    FFT_NAME(pair)(a, b, &v[1], &v[2]);
}

static void FFT_NAME(radix4)(FFT_NAME(Complex) * v) {
    FFT_NAME(Complex) even = FFT_NAME(plus)(v[0], v[2]), odd = FFT_NAME(plus)(v[1], v[3]);
    FFT_NAME(Complex) a = FFT_NAME(minus)(v[0], v[2]), b = FFT_NAME(minus)(v[1], v[3]);
    v[0] = FFT_NAME(plus)(even, odd);
    v[2] = FFT_NAME(minus)(even, odd);
    FFT_NAME(pair)(a, b, &v[1], &v[3]);
}

static void FFT_NAME(radix5)(FFT_NAME(Complex) * v) {
    const FFT_REAL c1 = (FFT_REAL)0.3090169943749474241, s1 = (FFT_REAL)0.95105651629515357212;
    const FFT_REAL c2 = (FFT_REAL)-0.8090169943749474241, s2 = (FFT_REAL)0.58778525229247312917;
    FFT_NAME(Complex) p1 = FFT_NAME(plus)(v[1], v[4]), m1 = FFT_NAME(minus)(v[1], v[4]);
    FFT_NAME(Complex) p2 = FFT_NAME(plus)(v[2], v[3]), m2 = FFT_NAME(minus)(v[2], v[3]);
    FFT_NAME(Complex) a1 = {v[0].re + c1 * p1.re + c2 * p2.re, v[0].im + c1 * p1.im + c2 * p2.im};
    FFT_NAME(Complex) a2 = {v[0].re + c2 * p1.re + c1 * p2.re, v[0].im + c2 * p1.im + c1 * p2.im};
    FFT_NAME(Complex) b1 = {s1 * m1.re + s2 * m2.re, s1 * m1.im + s2 * m2.im};
    FFT_NAME(Complex) b2 = {s2 * m1.re - s1 * m2.re, s2 * m1.im - s1 * m2.im};
    v[0] = FFT_NAME(plus)(FFT_NAME(plus)(v[0], p1), p2);
    FFT_NAME(pair)(a1, b1, &v[1], &v[4]);
    FFT_NAME(pair)(a2, b2, &v[2], &v[3]);
}

/* Any radix by its definition; `turn` steps through the roots of order p. */
static void FFT_NAME(radix)(FFT_NAME(Complex) * v, const FFT_NAME(Complex) * root, int64_t p,
                            int64_t turn) {
    FFT_NAME(Complex) in[FFT_MAX_RADIX];
    for (int64_t k = 0; k < p; k++) in[k] = v[k];
    for (int64_t k = 0; k < p; k++) {
        v[k] = in[0];
        for (int64_t j = 1, at = k; j < p; j++, at = at + k >= p ? at + k - p : at + k)
            v[k] = FFT_NAME(plus)(v[k], FFT_NAME(times)(in[j], root[at * turn]));
    }
}

static void FFT_NAME(butterfly)(FFT_NAME(Complex) * v, const FFT_NAME(Complex) * root, int64_t p,
                                int64_t turn) {
    FFT_NAME(Complex) first = v[0];
    switch (p) {
    case 2:
        v[0] = FFT_NAME(plus)(first, v[1]);
        v[1] = FFT_NAME(minus)(first, v[1]);
        break;
    case 3: FFT_NAME(radix3)(v); break;
    case 4: FFT_NAME(radix4)(v); break;
    case 5: FFT_NAME(radix5)(v); break;
    default: FFT_NAME(radix)(v, root, p, turn);
    }
}

/* One pass: y from x, l transforms so far. */
static void FFT_NAME(pass)(const Factors *f, const FFT_NAME(Complex) * root, int64_t l, int64_t p,
                           const FFT_NAME(Complex) * x, FFT_NAME(Complex) * y) {
    FFT_NAME(Complex) v[FFT_MAX_RADIX];
    int64_t inner = f->n / (l * p);
    for (int64_t k = 0; k < l; k++) {
        for (int64_t i = 0; i < inner; i++) {
            for (int64_t b = 0; b < p; b++) v[b] = x[i + inner * (b + p * k)];
            FFT_NAME(butterfly)(v, root, p, f->n / p);
            for (int64_t b = 0; b < p; b++)
                y[i + inner * (k + l * b)] = b && i ? FFT_NAME(times)(v[b], root[b * l * i]) : v[b];
        }
    }
}

/* The transform of x[n] with root[j] = e^(-2 pi i j / n); x and y are both overwritten, the result
 * is in the one that is returned. */
static FFT_NAME(Complex) * FFT_NAME(transform)(const Factors *f, const FFT_NAME(Complex) * root,
                                               FFT_NAME(Complex) * x, FFT_NAME(Complex) * y) {
    int64_t l = 1;
    for (int i = 0; i < f->count; i++) {
        FFT_NAME(pass)(f, root, l, f->factors[i], x, y);
        FFT_NAME(Complex) *swap = x;
        x = y;
        y = swap;
        l *= f->factors[i];
    }
    return x;
}

static void FFT_NAME(list_roots)(FFT_NAME(Complex) * root, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double angle = TWO_PI * (double)j / (double)n;
        root[j] = (FFT_NAME(Complex)){(FFT_REAL)cos(angle), (FFT_REAL)-sin(angle)};
    }
}

#undef FFT_REAL
#undef FFT_NAME
