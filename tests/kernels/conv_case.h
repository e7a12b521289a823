/* One case of conv beside plain loops, for the tests of conv: operands of every type in every order
 * of memory, weights in every form that the compiler stores. */
#ifndef TENON_TESTS_KERNELS_CONV_CASE_H
#define TENON_TESTS_KERNELS_CONV_CASE_H

#include "tests/kernels/floats.h"
#include "tests/kernels/panels.h"
#include "tests/kernels/views.h"

/* How a tensor lies in memory. */
typedef enum Order { ROW_MAJOR, CHANNELS_LAST, SHUFFLED, ORDERS } Order;

typedef struct Case {
    int spatial;
    int64_t batch, groups, channels, outputs; /* per group */
    int64_t in[3], kernel[3];
    uint32_t stride[3], dilation[3], pad_begin[3], pad_end[3];
    int bias;
    TnDType panels;                        /* of the weights; TN_NONE: none, but strided */
    bool pairs;                            /* ... of pairs of rows; panels is TN_BF16 */
    bool wide;                             /* f64 */
    TnDType x_type, y_type, residual_type; /* TN_NONE: f32 */
    Order x, y, w;
    bool residual, residual_first;
    uint32_t act;
    uint32_t form; /* of the weights: TN_CONV_WINOGRAD2, .., TN_CONV_PLACES */
} Case;

static inline double at(const TnTensor *t, const int64_t *index) {
    return real_get((TnDType)t->dtype, view_at(t, index, t->rank));
}

/* The sum for one result, over every tap that lies inside x; *size is the sum of absolute values.
 */
static inline double expected(const Case *c, const TnTensor *x, const TnTensor *w, const int64_t *y,
                              double *size) {
    double sum = 0;
    int64_t taps = c->channels;
    for (int i = 0; i < c->spatial; i++) taps *= c->kernel[i];
    for (int64_t t = 0; t < taps; t++) {
        int64_t wi[5] = {y[1]}, xi[5] = {y[0]}, rest = t;
        int inside = 1;
        for (int i = c->spatial - 1; i >= 0; i--) {
            wi[2 + i] = rest % c->kernel[i];
            rest /= c->kernel[i];
            xi[2 + i] = y[2 + i] * c->stride[i] + wi[2 + i] * c->dilation[i] - c->pad_begin[i];
            inside &= xi[2 + i] >= 0 && xi[2 + i] < c->in[i];
        }
        wi[1] = rest;
        xi[1] = y[1] / c->outputs * c->channels + rest;
        double term = inside ? at(x, xi) * at(w, wi) : 0;
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

/* Winograd's transforms, as published (Lavin and Gray, 2015; Barabasz and others, 2020, for other
 * points than 0, 1 and 2), of 2 and 4 results; of stride 2: F(2, 2) of the outer taps and the
 * middle one by itself. */
typedef struct Side {
    int results, places, step, weights; /* weights: elements of the weights */
    int weight[6];                      /* which each element is multiplied with */
    double weights_by[6][3], places_by[6][6], results_by[4][6];
} Side;

enum { SIDE_2, SIDE_2_STRIDED, SIDE_4 };

/* Of the points 0, a, -a, b and -b: 3/4 and 13/8. */
#define A  0.75
#define B  1.625
#define AA (A * A)
#define BB (B * B)
#define NA (2 * AA * (AA - BB))
#define NB (2 * BB * (BB - AA))

static const Side sides[] = {
    {2,
     4,
     2,
     4,
     {0, 1, 2, 3},
     {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     {{1, 1, 1, 0}, {0, 1, -1, -1}}},
    {2,
     5,
     4,
     4,
     {0, 1, 2, 3, 3},
     {{1, 0, 0}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}},
     {{1, 0, -1, 0, 0}, {0, 0, 1, 0, 0}, {0, 0, -1, 0, 1}, {0, 1, 0, 0, 0}, {0, 0, 0, 1, 0}},
     {{1, 1, 0, 1, 0}, {0, 1, 1, 0, 1}}},
    {4,
     6,
     4,
     6,
     {0, 1, 2, 3, 4, 5},
     {{1 / (AA * BB), 0, 0},
      {1 / NA, A / NA, AA / NA},
      {1 / NA, -A / NA, AA / NA},
      {1 / NB, B / NB, BB / NB},
      {1 / NB, -B / NB, BB / NB},
      {0, 0, 1}},
     {{AA * BB, 0, -(AA + BB), 0, 1, 0},
      {0, -A *BB, -BB, A, 1, 0},
      {0, A *BB, -BB, -A, 1, 0},
      {0, -B *AA, -AA, B, 1, 0},
      {0, B *AA, -AA, -B, 1, 0},
      {0, AA *BB, 0, -(AA + BB), 0, 1}},
     {{1, 1, 1, 1, 1, 0},
      {0, A, -A, B, -B, 0},
      {0, AA, AA, BB, BB, 0},
      {0, A *AA, -A *AA, B *BB, -B *BB, 1}}},
};

static inline bool is_winograd(const Case *c) {
    return c->form == TN_CONV_WINOGRAD2 || c->form == TN_CONV_WINOGRAD4;
}

typedef struct Filter {
    const Side *down, *across;
} Filter;

static inline Filter filter_of(const Case *c) {
    if (c->stride[0] == 2) return (Filter){&sides[SIDE_2_STRIDED], &sides[SIDE_2_STRIDED]};
    return (Filter){&sides[c->form == TN_CONV_WINOGRAD4 ? SIDE_4 : SIDE_2], &sides[SIDE_4]};
}

/* Element (a, b) of H w G', or of |H| |w| |G'|. */
static inline double transformed_weight(const Filter *f, const TnTensor *w, int64_t o, int64_t c,
                                        int a, int b, bool size) {
    double sum = 0;
    for (int i = 0; i < 9; i++) {
        double term = f->down->weights_by[a][i / 3] * f->across->weights_by[b][i % 3] *
                      at(w, (int64_t[]){o, c, i / 3, i % 3});
        sum += size ? fabs(term) : term;
    }
    return sum;
}

/* Element (a, b) of |B'| |d| |B| for the tile whose places begin at (row, column). */
static inline double transformed_place(const Case *c, const Filter *f, const TnTensor *x, int64_t b,
                                       int64_t k, int64_t row, int64_t column, int a, int d) {
    double sum = 0;
    for (int i = 0; i < f->down->places; i++)
        for (int j = 0; j < f->across->places; j++) {
            int64_t h = row + i, v = column + j;
            double factor = f->down->places_by[a][i] * f->across->places_by[d][j];
            if (factor != 0 && h >= 0 && h < c->in[0] && v >= 0 && v < c->in[1])
                sum += fabs(factor * at(x, (int64_t[]){b, k, h, v}));
        }
    return sum;
}

/* What the rounding errors of one result are relative to: the sum of the absolute values of
 * everything that is added or subtracted on the way, |A'| [(|H||w||G'|) * (|B'||d||B|)] |A|. */
static inline double winograd_size(const Case *c, const TnTensor *x, const TnTensor *w,
                                   const int64_t *y) {
    const Filter f = filter_of(c);
    const int down = f.down->results, across = f.across->results;
    int64_t row = y[2] / down * f.down->step - c->pad_begin[0],
            column = y[3] / across * f.across->step - c->pad_begin[1];
    double sum = 0;
    for (int64_t k = 0; k < c->channels; k++)
        for (int a = 0; a < f.down->places; a++)
            for (int b = 0; b < f.across->places; b++) {
                double by =
                    f.down->results_by[y[2] % down][a] * f.across->results_by[y[3] % across][b];
                if (by == 0) continue;
                sum += fabs(by) * transformed_place(c, &f, x, y[0], k, row, column, a, b) *
                       transformed_weight(&f, w, y[1], k, f.down->weight[a], f.across->weight[b],
                                          true);
            }
    return sum;
}

static inline View ordered(TnDType t, int rank, const int64_t *dims, Order order,
                           uint32_t *random) {
    if (order != CHANNELS_LAST) return view_new(t, rank, dims, order == SHUFFLED ? random : NULL);
    View v = view_new(t, rank, dims, NULL);
    int64_t stride = dims[1];
    v.t.strides[1] = 1;
    for (int i = rank - 1; i >= 2; stride *= dims[i--]) v.t.strides[i] = stride;
    v.t.strides[0] = stride;
    return v;
}

/* The weights as panels of [kernel C, O]; they are rounded to the panels' type first. */
static inline TnTensor panels_of(const Case *c, const View *w) {
    int64_t o = w->t.dims[0], taps = 1, index[5];
    for (int i = 0; i < c->spatial; i++) taps *= c->kernel[i];
    int64_t k = taps * c->channels;
    float *matrix = malloc((size_t)(k * o + 1) * sizeof *matrix);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < o; j++) {
            int64_t tap = i / c->channels;
            index[0] = j, index[1] = i % c->channels;
            for (int a = c->spatial - 1; a >= 0; tap /= c->kernel[a--])
                index[2 + a] = tap % c->kernel[a];
            void *place = view_at(&w->t, index, w->t.rank);
            real_set(TN_F32, place, round_to(c->panels, real_get(TN_F32, place)));
            matrix[i * o + j] = (float)real_get(TN_F32, place);
        }
    float *panels = pack_panels(matrix, k, o);
    if (c->panels != TN_F32) narrow(c->panels, matrix, k * o, panels, tn_panels_elements(k, o));
    TnTensor t = dense(panels, c->panels, 2, (int64_t[]){k, o});
    t.layout = TN_LAYOUT_PANELS16;
    if (c->pairs) {
        int64_t run = c->channels * c->kernel[c->spatial - 1];
        free(panels);
        t.dims[0] = tn_conv_rows(TN_LAYOUT_PAIRS16, k, run);
        float *spread = calloc((size_t)(t.dims[0] * o + 1), sizeof *spread);
        for (int64_t i = 0; i < k; i++)
            memcpy(spread + (i + i / run * (run % 2)) * o, matrix + i * o,
                   (size_t)o * sizeof *spread);
        t.data = pack_pairs(spread, t.dims[0], o);
        t.layout = TN_LAYOUT_PAIRS16;
        free(spread);
    }
    free(matrix);
    return t;
}

/* The weights as pack.h lays them out for Winograd's filtering. */
static inline TnTensor transformed(const Case *c, const View *w) {
    const Filter f = filter_of(c);
    const int wide = f.across->weights, elements = f.down->weights * wide;
    int64_t o = w->t.dims[0], columns = tn_winograd_columns(elements, o);
    int64_t each = columns / elements;
    float *matrix = calloc((size_t)(c->channels * columns), sizeof *matrix);
    for (int64_t k = 0; k < c->channels; k++)
        for (int64_t j = 0; j < o; j++)
            for (int e = 0; e < elements; e++)
                matrix[k * columns + e * each + j] =
                    (float)transformed_weight(&f, &w->t, j, k, e / wide, e % wide, false);
    TnTensor t = dense(pack_panels(matrix, c->channels, columns), TN_F32, 2,
                       (int64_t[]){c->channels, columns});
    free(matrix);
    t.layout = TN_LAYOUT_PANELS16;
    return t;
}

/* The weights as the matrix [C, kernel O] of pack.h; in pairs they are rounded first. */
static inline TnTensor by_place(const Case *c, const View *w) {
    int64_t o = w->t.dims[0], taps = 1, index[4];
    for (int i = 0; i < c->spatial; i++) taps *= c->kernel[i];
    float *matrix = malloc((size_t)(c->channels * taps * o) * sizeof *matrix);
    for (int64_t i = 0; i < c->channels * taps * o; i++) {
        int64_t tap = i % taps;
        index[0] = i / taps % o, index[1] = i / (taps * o);
        for (int a = c->spatial - 1; a >= 0; tap /= c->kernel[a--])
            index[2 + a] = tap % c->kernel[a];
        void *place = view_at(&w->t, index, w->t.rank);
        real_set(TN_F32, place, round_to(c->panels, real_get(TN_F32, place)));
        matrix[i] = (float)at(&w->t, index);
    }
    const int64_t columns = taps * o;
    void *packed = c->pairs ? (void *)pack_pairs(matrix, c->channels, columns)
                            : pack_panels(matrix, c->channels, columns);
    TnTensor t = dense(packed, c->panels, 2, (int64_t[]){c->channels, columns});
    free(matrix);
    t.layout = c->pairs ? TN_LAYOUT_PAIRS16 : TN_LAYOUT_PANELS16;
    return t;
}

typedef struct Operands {
    View x, w, bias, residual, y;
    TnTensor panels;
    ParamsConv params;
} Operands;

/* The type of an operand of the case. */
static inline TnDType type_of(const Case *c, TnDType given) {
    return c->wide ? TN_F64 : given ? given : TN_F32;
}

static inline Operands operands_of(const Case *c, TnDType t, uint32_t *random) {
    int rank = 2 + c->spatial;
    int64_t xd[5] = {c->batch, c->groups * c->channels},
            wd[5] = {c->groups * c->outputs, c->channels};
    int64_t yd[5] = {c->batch, c->groups * c->outputs};
    Operands o = {.params = {.spatial = (uint32_t)c->spatial,
                             .groups = (uint32_t)c->groups,
                             .activation = c->act,
                             .flags = c->residual_first ? TN_RESIDUAL_FIRST : 0}};
    for (int i = 0; i < c->spatial; i++) {
        xd[2 + i] = c->in[i], wd[2 + i] = c->kernel[i];
        int64_t padded = c->in[i] + c->pad_begin[i] + c->pad_end[i];
        yd[2 + i] = (padded - (c->kernel[i] - 1) * c->dilation[i] - 1) / c->stride[i] + 1;
        if (c->panels) o.params.kernel[i] = (uint32_t)c->kernel[i];
        o.params.stride[i] = c->stride[i], o.params.dilation[i] = c->dilation[i];
        o.params.pad_begin[i] = c->pad_begin[i], o.params.pad_end[i] = c->pad_end[i];
    }
    o.x = ordered(type_of(c, c->x_type), rank, xd, c->x, random);
    o.w = ordered(t, rank, wd, c->wide ? ROW_MAJOR : c->w, random);
    o.y = ordered(type_of(c, c->y_type), rank, yd, c->y, random);
    Order order = (Order)pick(random, ORDERS);
    o.residual = ordered(type_of(c, c->residual_type), rank, yd, order, random);
    o.bias = view_new(t, 1, &yd[1], NULL);
    View *all[] = {&o.x, &o.w, &o.bias, &o.residual};
    for (int i = 0; i < 4; i++) view_randomise(all[i], random);
    for (int64_t i = 0, n = view_count(&o.x.t); c->pairs && i < n; i++) { /* which may be rounded */
        void *place = view_element(&o.x.t, i);
        TnDType type = (TnDType)o.x.t.dtype;
        real_set(type, place, round_to(TN_BF16, real_get(type, place)));
    }
    o.params.flags |= c->form;
    if (is_winograd(c))
        o.panels = transformed(c, &o.w);
    else if (c->form)
        o.panels = by_place(c, &o.w);
    else if (c->panels)
        o.panels = panels_of(c, &o.w);
    if (!c->bias) o.bias.t.data = NULL;
    if (!c->residual) o.residual.t.data = NULL;
    return o;
}

static inline void operands_free(const Case *c, Operands *o) {
    View *all[] = {&o->x, &o->w, &o->y, &o->bias, &o->residual};
    for (int i = 0; i < 5; i++) view_free(all[i]);
    if (c->panels) free(o->panels.data);
}

static inline void check_results(const Case *c, const Operands *o, uint32_t seed) {
    for (int64_t i = 0, n = view_count(&o->y.t); i < n; i += 1 + n / (is_winograd(c) ? 80 : 400)) {
        int64_t index[5];
        view_index(&o->y.t, i, index);
        double size = 1, want = expected(c, &o->x.t, &o->w.t, index, &size);
        if (is_winograd(c)) size = 1 + winograd_size(c, &o->x.t, &o->w.t, index);
        want += c->bias ? at(&o->bias.t, &index[1]) : 0;
        want = ended(want, c->act, c->residual ? at(&o->residual.t, index) : 0, c->residual_first);
        double got = at(&o->y.t, index), near = c->wide ? 1e-14 : 1e-6;
        near = near * size + (o->y.t.dtype == TN_BF16 ? 0x1p-8 * fabs(want) : 0);
        if (!(fabs(got - want) <= near)) fail_msg("seed %u: %g, not %g", seed, got, want);
    }
    view_check(&o->y);
}

/* Results may take the residual's place. */
static inline void check_case(TnIsa isa, const Case *c, uint32_t seed) {
    uint32_t random = seed;
    TnDType t = c->wide ? TN_F64 : TN_F32;
    Operands o = operands_of(c, t, &random);
    TnTensor operands[] = {o.x.t, c->panels ? o.panels : o.w.t, o.bias.t, o.residual.t, o.y.t};
    call_kernel(isa, OP_conv, &o.params, operands, 4, 1, NULL, 0);
    check_results(c, &o, seed);
    bool in_place = c->residual && o.residual.t.dtype == o.y.t.dtype;
    for (int64_t i = 0, n = view_count(&o.y.t); in_place && i < n; i++) {
        int64_t index[5];
        view_index(&o.y.t, i, index);
        real_set((TnDType)o.y.t.dtype, view_at(&o.y.t, index, o.y.t.rank),
                 at(&o.residual.t, index));
    }
    operands[3] = o.y.t;
    if (in_place) call_kernel(isa, OP_conv, &o.params, operands, 4, 1, NULL, 0);
    check_results(c, &o, seed);
    operands_free(c, &o);
}

/* Everything but the extents. */
static inline void random_form(Case *c, uint32_t *random) {
    static const TnDType types[] = {TN_NONE, TN_F32, TN_F16, TN_BF16};
    c->bias = (int)pick(random, 2);
    c->wide = pick(random, 5) == 0;
    c->x = (Order)pick(random, ORDERS);
    c->y = (Order)pick(random, ORDERS);
    c->w = (Order)pick(random, ORDERS);
    if (c->wide) return;
    c->panels = types[pick(random, 4)];
    c->residual = pick(random, 2);
    c->residual_first = pick(random, 2);
    c->act = pick(random, TN_ACT_COUNT);
    c->pairs = c->panels == TN_BF16 && pick(random, 4);
    TnDType *operands[] = {&c->x_type, &c->y_type, &c->residual_type};
    bool mixed = pick(random, 2);
    for (int i = 0; i < 3 && mixed; i++) *operands[i] = pick(random, 3) ? TN_BF16 : TN_F32;
}

#endif
