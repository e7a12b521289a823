/* conv on every ISA against plain loops: 1 to 3 spatial axes, groups, strides, dilation, padding on
 * either side, extents around vector and tile edges, operands in every order of memory, weights in
 * panels of every type, in pairs or transformed, every way to end, f32, bf16 and f64. */
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
    uint32_t form; /* of the weights: TN_CONV_WINOGRAD2, TN_CONV_PLACES */
} Case;

static double at(const TnTensor *t, const int64_t *index) {
    return real_get((TnDType)t->dtype, view_at(t, index, t->rank));
}

/* The sum for one result, over every tap that lies inside x; *size is the sum of absolute values.
 */
static double expected(const Case *c, const TnTensor *x, const TnTensor *w, const int64_t *y,
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

/* Winograd's transforms for tiles of 2 x 2, as published (Lavin and Gray, 2015). */
static const double weights_by[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
static const double places_by[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const double results_by[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

/* Element (a, b) of G w G', or of |G| |w| |G'|. */
static double transformed_weight(const TnTensor *w, int64_t o, int64_t c, int a, int b, bool size) {
    double sum = 0;
    for (int i = 0; i < 9; i++) {
        double term =
            weights_by[a][i / 3] * weights_by[b][i % 3] * at(w, (int64_t[]){o, c, i / 3, i % 3});
        sum += size ? fabs(term) : term;
    }
    return sum;
}

/* What the rounding errors of one result are relative to: the sum of the absolute values of
 * everything that is added or subtracted on the way, |A'| [(|G||w||G'|) * (|B'||d||B|)] |A|. */
static double winograd_size(const Case *c, const TnTensor *x, const TnTensor *w, const int64_t *y) {
    int64_t row = y[2] / 2 * 2 - c->pad_begin[0], column = y[3] / 2 * 2 - c->pad_begin[1];
    double sum = 0;
    for (int64_t k = 0; k < c->channels; k++)
        for (int e = 0; e < 16; e++) {
            double place = 0, by = results_by[y[2] % 2][e / 4] * results_by[y[3] % 2][e % 4];
            for (int i = 0; i < 16; i++) {
                int64_t h = row + i / 4, v = column + i % 4;
                double factor = places_by[e / 4][i / 4] * places_by[e % 4][i % 4];
                if (factor != 0 && h >= 0 && h < c->in[0] && v >= 0 && v < c->in[1])
                    place += fabs(factor * at(x, (int64_t[]){y[0], k, h, v}));
            }
            if (by != 0) sum += place * transformed_weight(w, y[1], k, e / 4, e % 4, true);
        }
    return sum;
}

static View ordered(TnDType t, int rank, const int64_t *dims, Order order, uint32_t *random) {
    if (order != CHANNELS_LAST) return view_new(t, rank, dims, order == SHUFFLED ? random : NULL);
    View v = view_new(t, rank, dims, NULL);
    int64_t stride = dims[1];
    v.t.strides[1] = 1;
    for (int i = rank - 1; i >= 2; stride *= dims[i--]) v.t.strides[i] = stride;
    v.t.strides[0] = stride;
    return v;
}

/* The weights as panels of [kernel C, O]; they are rounded to the panels' type first. */
static TnTensor panels_of(const Case *c, const View *w) {
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
static TnTensor transformed(const Case *c, const View *w) {
    int64_t o = w->t.dims[0], columns = tn_winograd_columns(2, o), each = columns / 16;
    float *matrix = calloc((size_t)(c->channels * columns), sizeof *matrix);
    for (int64_t k = 0; k < c->channels; k++)
        for (int64_t j = 0; j < o; j++)
            for (int e = 0; e < 16; e++)
                matrix[k * columns + e * each + j] =
                    (float)transformed_weight(&w->t, j, k, e / 4, e % 4, false);
    TnTensor t = dense(pack_panels(matrix, c->channels, columns), TN_F32, 2,
                       (int64_t[]){c->channels, columns});
    free(matrix);
    t.layout = TN_LAYOUT_PANELS16;
    return t;
}

/* The weights as the matrix [C, kernel O] of pack.h; in pairs they are rounded first. */
static TnTensor by_place(const Case *c, const View *w) {
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
static TnDType type_of(const Case *c, TnDType given) {
    return c->wide ? TN_F64 : given ? given : TN_F32;
}

static Operands operands_of(const Case *c, TnDType t, uint32_t *random) {
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
    if (c->form == TN_CONV_WINOGRAD2)
        o.panels = transformed(c, &o.w);
    else if (c->form)
        o.panels = by_place(c, &o.w);
    else if (c->panels)
        o.panels = panels_of(c, &o.w);
    if (!c->bias) o.bias.t.data = NULL;
    if (!c->residual) o.residual.t.data = NULL;
    return o;
}

static void check_results(const Case *c, const Operands *o, uint32_t seed) {
    for (int64_t i = 0, n = view_count(&o->y.t); i < n; i += 1 + n / 400) {
        int64_t index[5];
        view_index(&o->y.t, i, index);
        double size = 1, want = expected(c, &o->x.t, &o->w.t, index, &size);
        if (c->form == TN_CONV_WINOGRAD2) size = 1 + winograd_size(c, &o->x.t, &o->w.t, index);
        want += c->bias ? at(&o->bias.t, &index[1]) : 0;
        want = ended(want, c->act, c->residual ? at(&o->residual.t, index) : 0, c->residual_first);
        double got = at(&o->y.t, index), near = c->wide ? 1e-14 : 1e-6;
        near = near * size + (o->y.t.dtype == TN_BF16 ? 0x1p-8 * fabs(want) : 0);
        if (!(fabs(got - want) <= near)) fail_msg("seed %u: %g, not %g", seed, got, want);
    }
    view_check(&o->y);
}

/* Results may take the residual's place. */
static void check_case(TnIsa isa, const Case *c, uint32_t seed) {
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
    view_free(&o.x), view_free(&o.w), view_free(&o.y), view_free(&o.bias), view_free(&o.residual);
    if (c->panels) free(o.panels.data);
}

/* Everything but the extents. */
static void random_form(Case *c, uint32_t *random) {
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

static void random_shapes(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 1 + (int)pick(&random, 3), .batch = 1 + pick(&random, 2)};
        c.groups = pick(&random, 3) == 0 ? 1 + pick(&random, 4) : 1;
        c.channels = pick(&random, 5) ? 1 + pick(&random, 5) : 14 + pick(&random, 8);
        c.outputs = pick(&random, 2) ? 1 + pick(&random, 4) : 7 + pick(&random, 12);
        if (pick(&random, 4) == 0) {
            c.groups = 1 + pick(&random, 70);
            c.channels = c.outputs = 1;
        }
        for (int i = 0; i < c.spatial; i++) {
            c.kernel[i] = 1 + pick(&random, i == c.spatial - 1 ? 7 : 4);
            c.stride[i] = 1 + pick(&random, 3);
            c.dilation[i] = 1 + pick(&random, 2);
            c.pad_begin[i] = pick(&random, 4);
            c.pad_end[i] = pick(&random, 4);
            if (pick(&random, 3) == 0)
                c.stride[i] = c.dilation[i] = 1, c.pad_begin[i] = c.pad_end[i] = 0;
            int64_t reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
            c.in[i] = reach + pick(&random, i == c.spatial - 1 ? 40 : 6);
        }
        random_form(&c, &random);
        check_case(isa, &c, seed);
    }
}

static const Case known[] = {
    /* patches */
    {.spatial = 2,
     .batch = 1,
     .groups = 1,
     .channels = 3,
     .outputs = 24,
     .in = {64, 48},
     .kernel = {16, 16},
     .stride = {16, 16},
     .dilation = {1, 1},
     .bias = 1},
    /* depthwise */
    {.spatial = 2,
     .batch = 1,
     .groups = 10,
     .channels = 1,
     .outputs = 1,
     .in = {14, 14},
     .kernel = {7, 7},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {3, 3},
     .pad_end = {3, 3},
     .bias = 1},
    /* audio */
    {.spatial = 1,
     .batch = 1,
     .groups = 1,
     .channels = 20,
     .outputs = 16,
     .in = {1000},
     .kernel = {3},
     .stride = {2},
     .dilation = {1},
     .pad_begin = {1},
     .pad_end = {1},
     .bias = 1},
    /* padding only */
    {.spatial = 1,
     .batch = 1,
     .groups = 1,
     .channels = 1,
     .outputs = 1,
     .in = {1},
     .kernel = {1},
     .stride = {1},
     .dilation = {1},
     .pad_begin = {20},
     .pad_end = {20}},
    /* deep: narrow, and of so many channels that they are split over tasks */
    {.spatial = 2,
     .batch = 2,
     .groups = 2,
     .channels = 9,
     .outputs = 150,
     .in = {7, 7},
     .kernel = {3, 3},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {1, 1},
     .pad_end = {1, 1},
     .bias = 1},
    /* positions: a group's columns start inside a panel; the kernel is long */
    {.spatial = 1,
     .batch = 1,
     .groups = 3,
     .channels = 24,
     .outputs = 24,
     .in = {49},
     .kernel = {128},
     .stride = {1},
     .dilation = {1},
     .pad_begin = {64},
     .pad_end = {64},
     .bias = 1},
    /* column: an image one place wide; each place of x is read where it is */
    {.spatial = 2,
     .batch = 1,
     .groups = 1,
     .channels = 20,
     .outputs = 40,
     .in = {90, 1},
     .kernel = {3, 1},
     .stride = {2, 1},
     .dilation = {1, 1}},
    /* wide: all but the edges is read where it is */
    {.spatial = 2,
     .batch = 1,
     .groups = 80,
     .channels = 1,
     .outputs = 1,
     .in = {6, 41},
     .kernel = {5, 7},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {3, 3},
     .pad_end = {3, 3},
     .bias = 1},
    /* wide, with a stride */
    {.spatial = 2,
     .batch = 1,
     .groups = 32,
     .channels = 1,
     .outputs = 1,
     .in = {9, 90},
     .kernel = {3, 4},
     .stride = {2, 2},
     .dilation = {1, 1},
     .pad_begin = {1, 1},
     .pad_end = {1, 1},
     .bias = 1},
    /* 3 x 3 from top to bottom, with lanes to spare and lines of padding only */
    {.spatial = 2,
     .batch = 2,
     .groups = 41,
     .channels = 1,
     .outputs = 1,
     .in = {23, 11},
     .kernel = {3, 3},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {4, 1},
     .pad_end = {3, 2},
     .bias = 1},
    /* wide, of 3 x 3 */
    {.spatial = 2,
     .batch = 1,
     .groups = 16,
     .channels = 1,
     .outputs = 1,
     .in = {3, 70},
     .kernel = {3, 3},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {2, 2},
     .pad_end = {2, 2},
     .bias = 1},
};

static void known_layers(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (uint32_t seed = 0; seed < 12; seed++) {
            uint32_t random = seed;
            Case c = known[i];
            random_form(&c, &random);
            check_case(isa, &c, seed);
        }
}

/* Tiles at every edge, results that fill theirs or not, patches and columns dealt out to tasks. */
static void winograd(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 60; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 2,
                  .batch = 1 + pick(&random, 2),
                  .groups = 1,
                  .channels = 16 * (1 + pick(&random, 3)),
                  .outputs = 1 + pick(&random, 70),
                  .kernel = {3, 3},
                  .stride = {1, 1},
                  .dilation = {1, 1},
                  .form = TN_CONV_WINOGRAD2};
        for (int i = 0; i < 2; i++) {
            c.pad_begin[i] = pick(&random, 3), c.pad_end[i] = pick(&random, 3);
            c.in[i] = 3 + pick(&random, pick(&random, 3) ? 9 : 60);
        }
        random_form(&c, &random);
        c.wide = c.pairs = false;
        c.panels = TN_F32;
        check_case(isa, &c, seed);
    }
}

/* Few outputs: places in patches, at edges, or none at all inside. */
static void few_outputs(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 80; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 1 + (int)pick(&random, 2),
                  .batch = 1 + pick(&random, 2),
                  .groups = 1,
                  .channels = 1 + pick(&random, 40),
                  .outputs = pick(&random, 2) ? 1 : 1 + pick(&random, 16),
                  .stride = {1, 1},
                  .form = TN_CONV_PLACES};
        for (int i = 0; i < c.spatial; i++) {
            c.kernel[i] = 1 + pick(&random, 5);
            c.dilation[i] = 1 + pick(&random, 2);
            c.pad_begin[i] = pick(&random, pick(&random, 4) ? 4 : 30);
            c.pad_end[i] = pick(&random, 4);
            int64_t reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
            c.in[i] = pick(&random, 4) ? pick(&random, c.spatial == 1 ? 90 : 30) : 1;
            if (c.in[i] + c.pad_begin[i] + c.pad_end[i] < reach) c.in[i] = reach;
        }
        random_form(&c, &random);
        c.wide = false;
        if (!c.pairs) c.panels = TN_F32;
        check_case(isa, &c, seed);
    }
}

/* No channels: the sums are empty. */
static void no_channels(void **state) {
    (void)state;
    static const Case c = {.spatial = 1,
                           .batch = 1,
                           .groups = 1,
                           .channels = 0,
                           .outputs = 20,
                           .in = {7},
                           .kernel = {3},
                           .stride = {1},
                           .dilation = {1},
                           .bias = 1};
    Case panels = c;
    panels.panels = TN_F32;
    FOR_EACH_ISA(isa) {
        check_case(isa, &c, 1);
        check_case(isa, &panels, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes), cmocka_unit_test(known_layers), cmocka_unit_test(winograd),
        cmocka_unit_test(few_outputs),   cmocka_unit_test(no_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
