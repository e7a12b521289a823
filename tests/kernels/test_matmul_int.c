/* matmul_int on every ISA against sums in 64 bits: both types on either side with all their
 * extremes, sizes around tile and block edges, transposed and broadcast operands, zero points of
 * every form, and b as a constant in quads. */
#include "tests/kernels/panels.h"

typedef struct Case {
    int64_t batch, m, n, k;
    TnDType a, b;
    bool transposed, shared_b, zeros;
    bool quads; /* b: with shared_b only */
} Case;

static int value(const TnTensor *t, int64_t at) {
    return t->dtype == TN_I8 ? ((int8_t *)t->data)[at] : ((uint8_t *)t->data)[at];
}

/* A [batch, rows, columns] tensor of bytes; transposed: its last two axes lie the other way round.
 */
static TnTensor bytes_of(int64_t batch, int64_t rows, int64_t columns, TnDType t, bool transposed,
                         uint32_t seed) {
    int64_t count = batch * rows * columns, dims[] = {batch, rows, columns};
    uint8_t *data = malloc((size_t)count + 1);
    for (int64_t i = 0; i < count; i++) {
        float x = noise(&seed);
        data[i] = x > 0.8f ? 255 : x < -0.8f ? 128 : (uint8_t)(int)((x + 1) * 127);
    }
    TnTensor y = dense(data, t, 3, dims);
    if (transposed) {
        y.strides[1] = 1;
        y.strides[2] = rows;
    }
    return y;
}

/* The first matrix of b as pack.h lays it out. */
static TnTensor quads_of(const TnTensor *b, int64_t k, int64_t n) {
    int64_t rows = tn_quads_rows(k), sums = 4 * TN_CEIL_DIV(k, 4), dims[] = {k, n};
    int8_t *to = calloc((size_t)tn_packed_elements(TN_LAYOUT_QUADS16, k, n) + 1, 1);
    assert_non_null(to);
    for (int64_t j = 0; j < n; j++) {
        int8_t *panel = to + j / TN_PANEL * rows * TN_PANEL;
        int32_t sum = 0;
        for (int64_t i = 0; i < k; i++) {
            int x = value(b, i * b->strides[1] + j * b->strides[2]) - (b->dtype == TN_U8 ? 128 : 0);
            panel[i / 4 * 4 * TN_PANEL + j % TN_PANEL * 4 + i % 4] = (int8_t)x;
            sum += x;
        }
        memcpy(panel + sums * TN_PANEL + j % TN_PANEL * 4, &sum, sizeof sum);
    }
    TnTensor y = dense(to, (TnDType)b->dtype, 2, dims);
    y.layout = TN_LAYOUT_QUADS16;
    return y;
}

static void check(TnIsa isa, const Case *s) {
    int64_t b_batch = s->shared_b ? 1 : s->batch, c_dims[] = {s->batch, s->m, s->n};
    int32_t *c = malloc((size_t)(s->batch * s->m * s->n + 1) * sizeof *c);
    TnTensor t[5] = {bytes_of(s->batch, s->m, s->k, s->a, s->transposed, 1),
                     bytes_of(b_batch, s->k, s->n, s->b, s->transposed, 2),
                     bytes_of(1, s->m, 1, s->a, false, 3), bytes_of(1, 1, s->n, s->b, false, 4),
                     dense(c, TN_I32, 3, c_dims)};
    for (int i = 1; i < 4; i++) {
        t[i].dims[0] = s->batch;
        if (i > 1 || s->shared_b) t[i].strides[0] = 0;
    }
    TnTensor operands[5] = {t[0], t[1], t[s->zeros ? 2 : 4], t[3], t[4]};
    ParamsNone none = {0};
    if (s->quads) operands[1] = quads_of(&t[1], s->k, s->n);
    call_kernel(isa, OP_matmul_int, &none, operands, s->zeros ? 4 : 2, 1, NULL, 0);
    if (s->quads) free(operands[1].data);
    for (int64_t at = 0; at < s->batch * s->m * s->n; at++) {
        int64_t e = at / (s->m * s->n), i = at / s->n % s->m, j = at % s->n, sum = 0;
        for (int64_t k = 0; k < s->k; k++) {
            int x = value(&t[0], e * t[0].strides[0] + i * t[0].strides[1] + k * t[0].strides[2]);
            int y = value(&t[1], e * t[1].strides[0] + k * t[1].strides[1] + j * t[1].strides[2]);
            if (s->zeros) x -= value(&t[2], i), y -= value(&t[3], j);
            sum += (int64_t)x * y;
        }
        if (c[at] != (int32_t)sum)
            fail_msg("%s: m %lld n %lld k %lld: element %lld is %d, not %lld", tn_isa_name(isa),
                     (long long)s->m, (long long)s->n, (long long)s->k, (long long)at, c[at],
                     (long long)sum);
    }
    for (int i = 0; i < 5; i++) free(t[i].data);
}

static void sizes(void **state) {
    (void)state;
    static const int64_t edges[][3] = {{1, 1, 1},     {1, 33, 7},  {2, 31, 2},     {7, 32, 513},
                                       {9, 70, 1025}, {129, 5, 3}, {130, 257, 40}, {3, 4, 0},
                                       {8, 64, 512},  {0, 3, 3}};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (int form = 0; form < 32; form++) {
            Case s = {
                .batch = 1 + (form & 1), .m = edges[i][0], .n = edges[i][1], .k = edges[i][2]};
            s.a = form & 2 ? TN_I8 : TN_U8;
            s.b = form & 4 ? TN_I8 : TN_U8;
            s.transposed = form & 8;
            s.zeros = form % 3 != 0;
            s.quads = form & 16;
            s.shared_b = form & 1 || s.quads;
            check(isa, &s);
        }
}

/* The largest products of either sign, which saturating instructions get wrong. */
static void extremes(void **state) {
    (void)state;
    enum { K = 2048 };
    static uint8_t a[K], b[K];
    int64_t a_dims[] = {1, K}, b_dims[] = {K, 1}, one[] = {1, 1};
    FOR_EACH_ISA(isa) {
        for (int sign = 0; sign < 2; sign++) {
            int32_t c;
            memset(a, 255, K);
            memset(b, sign ? 0x80 : 0x7f, K);
            TnTensor t[] = {dense(a, TN_U8, 2, a_dims), dense(b, TN_I8, 2, b_dims),
                            dense(&c, TN_I32, 2, one)};
            ParamsNone none = {0};
            call_kernel(isa, OP_matmul_int, &none, t, 2, 1, NULL, 0);
            assert_int_equal(c, K * 255 * (sign ? -128 : 127));
            int64_t matrix[] = {1, K, 1};
            TnTensor whole = dense(b, TN_I8, 3, matrix), quads = quads_of(&whole, K, 1);
            t[1] = quads;
            call_kernel(isa, OP_matmul_int, &none, t, 2, 1, NULL, 0);
            assert_int_equal(c, K * 255 * (sign ? -128 : 127));
            free(quads.data);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(extremes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
