/* attention over packed keys (`starts`) on every ISA: entry by entry it gives what attention over
 * that entry alone gives, which test_attention.c compares with plain loops. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include "tests/kernels/kernel_call.h"

enum { MAX_ENTRIES = 8, MARGIN = 16 };
#define GUARD 12345.678f

typedef struct Case {
    int64_t lengths[MAX_ENTRIES]; /* of keys; -1 behind the last */
    int64_t queries;              /* per entry; -1: packed, too */
    int64_t h, g, d, e, longest;
    bool key_mask, query_mask, bias;
    bool line; /* the bias is one of distances */
    ParamsAttention p;
    int64_t offset;
} Case;

typedef struct Data {
    int64_t starts[MAX_ENTRIES + 1];
    int64_t entries, keys, rows; /* rows: of queries, all entries */
    float *q, *k, *v, *bias, *o;
    uint8_t *key_mask, *query_mask;
} Data;

static uint8_t *mask_of(int64_t count, uint32_t seed) {
    uint8_t *mask = malloc((size_t)count + 1);
    assert_non_null(mask);
    for (int64_t i = 0; i < count; i++) mask[i] = noise(&seed) > -0.4f;
    return mask;
}

static Data make(const Case *c) {
    Data x = {0};
    while (x.entries < MAX_ENTRIES && c->lengths[x.entries] >= 0) {
        x.starts[x.entries + 1] = x.starts[x.entries] + c->lengths[x.entries];
        x.entries++;
    }
    x.keys = x.starts[x.entries];
    x.rows = c->queries < 0 ? x.keys : x.entries * c->queries;
    int64_t queries = c->queries < 0 ? c->longest : c->queries;
    x.q = noise_array(x.rows * c->h * c->d, 1);
    x.k = noise_array(x.keys * c->g * c->d, 2);
    x.v = noise_array(x.keys * c->g * c->e, 3);
    x.bias = noise_array(x.entries * c->h * (queries * c->longest + queries + c->longest + 1), 4);
    x.o = noise_array(x.rows * c->h * c->e + 2 * MARGIN, 5);
    for (int i = 0; i < MARGIN; i++) x.o[i] = x.o[x.rows * c->h * c->e + MARGIN + i] = GUARD;
    x.key_mask = mask_of(x.keys, 6);
    x.query_mask = mask_of(x.rows, 7);
    return x;
}

/* The operands of entry `first`, or of all (entries > 1 or packed) from it on. */
static void operands_of(const Case *c, const Data *x, int64_t entry, bool alone, float *o,
                        TnTensor *t) {
    bool packed = c->queries < 0;
    int64_t key = alone ? x->starts[entry] : 0, keys = alone ? c->lengths[entry] : x->keys;
    int64_t query = !alone ? 0 : packed ? key : entry * c->queries;
    int64_t batch = alone || packed ? 1 : x->entries,
            queries = !packed ? c->queries
                      : alone ? keys
                              : x->keys,
            most = packed ? c->longest : c->queries;
    t[0] = dense(x->q + query * c->h * c->d, TN_F32, 4, (int64_t[]){batch, queries, c->h, c->d});
    t[1] = dense(x->k + key * c->g * c->d, TN_F32, 4, (int64_t[]){1, keys, c->g, c->d});
    t[2] = dense(x->v + key * c->g * c->e, TN_F32, 4, (int64_t[]){1, keys, c->g, c->e});
    t[3] = dense(c->key_mask ? x->key_mask + key : NULL, TN_BOOL, 2, (int64_t[]){1, keys});
    t[4] = dense(c->query_mask ? x->query_mask + query : NULL, TN_BOOL, 2,
                 (int64_t[]){batch, queries});
    t[5] =
        dense(c->bias ? x->bias : NULL, TN_F32, 4, (int64_t[]){x->entries, c->h, most, c->longest});
    if (c->bias && c->line) {
        int64_t own = alone ? queries : most, all = most + c->longest + 1;
        t[5] = dense(x->bias, TN_F32, 4, (int64_t[]){x->entries, c->h, 1, all});
        t[5].data = x->bias + (alone ? entry * c->h * all + most - own : 0);
        t[5].dims[0] = alone ? 1 : x->entries;
        t[5].dims[3] = alone ? own + keys + 1 : all;
    } else if (alone && c->bias) { /* the part of it that the entry has to do with */
        t[5].data = x->bias + entry * c->h * most * c->longest;
        t[5].dims[0] = 1;
        t[5].dims[2] = queries;
        t[5].dims[3] = keys;
    }
    t[6] = (TnTensor){.dtype = TN_NONE};
    if (alone)
        t[7] = dense(o, TN_F32, 4, (int64_t[]){1, queries, c->h, c->e});
    else
        t[7] = dense((void *)(uintptr_t)x->starts, TN_I64, 1, (int64_t[]){x->entries + 1});
    t[8] = dense(x->o + MARGIN, TN_F32, 4, (int64_t[]){batch, queries, c->h, c->e});
}

static void check_entry(TnIsa isa, const Case *c, const Data *x, int64_t entry) {
    TnTensor t[9];
    int64_t rows = c->queries < 0 ? c->lengths[entry] : c->queries, row = c->h * c->e;
    int64_t first = c->queries < 0 ? x->starts[entry] : entry * c->queries;
    float *want = malloc((size_t)(rows * row + 1) * sizeof *want);
    assert_non_null(want);
    operands_of(c, x, entry, true, want, t);
    ParamsAttention p = c->p;
    call_kernel(isa, OP_attention, &p, t, 7, 1, &c->offset, 1);
    for (int64_t i = 0; i < rows * row; i++) {
        double got = (double)x->o[MARGIN + first * row + i];
        bool same = isnan(want[i]) ? isnan(got) : fabs((double)want[i] - got) <= 2e-6;
        if (!same)
            fail_msg("%s: entry %lld of %lld, %lld keys: o[%lld, %lld] = %g, alone %g",
                     tn_isa_name(isa), (long long)entry, (long long)x->entries,
                     (long long)c->lengths[entry], (long long)(i / row), (long long)(i % row), got,
                     (double)want[i]);
    }
    free(want);
}

static void check(TnIsa isa, const Case *c) {
    Data x = make(c);
    TnTensor t[9];
    ParamsAttention p = c->p;
    if (c->queries < 0) p.flags |= TN_ATTENTION_PACKED;
    operands_of(c, &x, 0, false, NULL, t);
    call_kernel(isa, OP_attention, &p, t, 8, 1, (int64_t[]){c->offset, c->longest}, 2);
    for (int64_t i = 0; i < x.entries; i++) check_entry(isa, c, &x, i);
    for (int i = 0; i < MARGIN; i++)
        assert_true(x.o[i] == GUARD && x.o[x.rows * c->h * c->e + MARGIN + i] == GUARD);
    free(x.q), free(x.k), free(x.v), free(x.bias), free(x.o), free(x.key_mask), free(x.query_mask);
}

static const Case plain = {
    .lengths = {5, 0, 17, 1, 33, -1},
    .queries = -1,
    .h = 2,
    .g = 2,
    .d = 16,
    .e = 16,
    .longest = 33,
    .p = {.scale = 0.3f, .mask_value = -FLT_MAX, .window_left = -1, .window_right = -1}};

static void head_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 8, 15, 16, 24, 64, 65};
    FOR_EACH_ISA(isa) {
        for (int i = 0; i < 8; i++)
            for (int64_t queries = -1; queries <= 3; queries++) {
                Case c = plain;
                c.d = sizes[i];
                c.e = sizes[(i * 3 + 1) % 8];
                c.queries = queries;
                check(isa, &c);
                c.h = 6;
                check(isa, &c);
            }
    }
}

static void lengths(void **state) {
    (void)state;
    static const int64_t lengths[][MAX_ENTRIES] = {
        {-1},        {0, -1},    {0, 0, 0, -1},
        {1, -1},     {40, -1},   {1, 1, 1, 1, 1, 1, 1, 1},
        {0, 7, -1},  {7, 0, -1}, {130, 2, 64, 0, 1, 16, 15, 17},
        {300, 5, -1}};
    FOR_EACH_ISA(isa) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            for (int64_t queries = -1; queries <= 2; queries++) {
                Case c = plain;
                memcpy(c.lengths, lengths[i], sizeof c.lengths);
                c.longest = 310;
                c.queries = queries;
                check(isa, &c);
            }
    }
}

static void masks(void **state) {
    (void)state;
    static const float values[] = {-FLT_MAX, -1e4f, -INFINITY};
    FOR_EACH_ISA(isa) {
        for (int kind = 0; kind < 8; kind++)
            for (uint32_t flags = 0; flags < 16; flags++)
                for (int64_t queries = -1; queries <= 7; queries += 4) {
                    Case c = plain;
                    c.queries = queries;
                    c.key_mask = kind & 1;
                    c.query_mask = kind & 2;
                    c.bias = kind & 4;
                    c.p.flags = flags;
                    c.p.mask_value = values[flags % 3];
                    c.offset = flags % 5;
                    c.longest += kind;
                    c.line = flags & 4;
                    check(isa, &c);
                    c.p.window_left = 4;
                    c.p.window_right = kind;
                    check(isa, &c);
                }
    }
}

/* Starts that lead outside the rows, or leave some out, are found before anything is read. */
static void bad_starts(void **state) {
    (void)state;
    static const int64_t bad[][3] = {{0, 9, 8}, {0, -1, 8}, {1, 4, 8}, {0, 4, 7},
                                     {0, 1, 8}, {0, 4, 9},  {8, 4, 0}, {0, INT64_MAX, 8}};
    FOR_EACH_ISA(isa) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            Case c = plain;
            memcpy(c.lengths, (int64_t[]){4, 4, -1}, 3 * sizeof *c.lengths);
            c.longest = 6;
            Data x = make(&c);
            TnTensor t[9];
            ParamsAttention p = c.p;
            p.flags |= TN_ATTENTION_PACKED;
            operands_of(&c, &x, 0, false, NULL, t);
            t[7].data = (void *)(uintptr_t)bad[i];
            const TnKernel *kernel = tn_kernel(isa, OP_attention);
            TnFault fault = {0};
            TnCall call = {.params = &p,
                           .operands = t,
                           .scalars = (int64_t[]){0, c.longest},
                           .fault = &fault,
                           .inputs = 8,
                           .outputs = 1,
                           .scalar_count = 2,
                           .opcode = OP_attention};
            kernel->plan(&call);
            void *scratch = malloc(call.scratch_bytes);
            tn_scratch_begin(&call, scratch, 0, 1);
            for (int64_t task = 0; task < call.tasks; task++) kernel->run(&call, task, scratch);
            assert_int_equal(fault.raised, 1);
            free(scratch);
            free(x.q), free(x.k), free(x.v), free(x.bias), free(x.o), free(x.key_mask),
                free(x.query_mask);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_sizes),
        cmocka_unit_test(lengths),
        cmocka_unit_test(masks),
        cmocka_unit_test(bad_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
