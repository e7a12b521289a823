/* Kernels that move elements, on every ISA: copy, fill, gather, gather_elements, gather_nd, iota,
 * scalars. Each is compared with a loop over indices; guards around every result must survive. */
#include "tests/kernels/records.h"
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const TnDType types[] = {TN_F32, TN_I8, TN_F16, TN_I64, TN_BOOL};

static void random_dims(int64_t *dims, int rank, uint32_t *random) {
    for (int i = 0; i < rank; i++) dims[i] = pick(random, 5) == 0 ? 40 : 1 + pick(random, 6);
}

static void check_copy(TnIsa isa, TnDType t, int rank, const int64_t *dims, uint32_t *random) {
    View x = view_new(t, rank, dims, pick(random, 3) ? random : NULL);
    View y = view_new(t, rank, dims, pick(random, 3) ? random : NULL);
    view_randomise(&x, random);
    for (int i = 0; i < rank; i++)
        if (pick(random, 8) == 0) x.t.strides[i] = 0;
    TnTensor operands[] = {x.t, y.t};
    call_kernel(isa, OP_copy, &(ParamsCopy){0}, operands, 1, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&x.t); i < n; i++)
        assert_memory_equal(view_element(&x.t, i), view_element(&y.t, i), tn_dtype_size(t));
    view_check(&y);
    view_free(&x);
    view_free(&y);
}

static void copies(void **state) {
    (void)state;
    uint32_t random = 1;
    FOR_EACH_ISA(isa) {
        for (int repeat = 0; repeat < 150; repeat++) {
            int64_t dims[TN_MAX_RANK];
            int rank = (int)pick(&random, 5);
            random_dims(dims, rank, &random);
            check_copy(isa, types[repeat % COUNT(types)], rank, dims, &random);
        }
        check_copy(isa, TN_F32, 2, (int64_t[]){333, 517}, &random);
        check_copy(isa, TN_F32, 1, (int64_t[]){100003}, &random);
        check_copy(isa, TN_F32, 3, (int64_t[]){3, 0, 5}, &random);
    }
}

/* Rows that are not to stay in cache: from and to any address, of every element size. Every other
 * time they end in a piece (of 16384 elements) that may be shorter than a vector. */
static void streams(void **state) {
    (void)state;
    uint32_t random = 1;
    FOR_EACH_ISA(isa)
    for (int repeat = 0; repeat < 16 * COUNT(types); repeat++) {
        const TnDType t = types[repeat / 16];
        const int64_t size = (int64_t)tn_dtype_size(t), least = (600 << 10) / size;
        const int64_t columns = repeat % 2 ? least + 16384 - least % 16384 : least;
        const int64_t dims[] = {2, columns + pick(&random, 40)}, apart = dims[1] + pick(&random, 9);
        View x = view_new(t, 2, dims, NULL), y = view_new(t, 2, (int64_t[]){2, apart + 1}, NULL);
        view_randomise(&x, &random);
        memcpy(y.t.dims, dims, sizeof dims);
        y.t.strides[0] = apart;
        y.t.data = (char *)y.t.data + size * pick(&random, 4);
        call_kernel(isa, OP_copy, &(ParamsCopy){.stream = 1}, (TnTensor[]){x.t, y.t}, 1, 1, NULL,
                    0);
        for (int64_t i = 0; i < 2; i++)
            assert_memory_equal(view_element(&x.t, i * dims[1]), view_element(&y.t, i * dims[1]),
                                (size_t)(dims[1] * size));
        view_check(&y);
        view_free(&x);
        view_free(&y);
    }
}

/* [rows, columns] -> [columns, rows] around the tile's edges, every element size. */
static void transpositions(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(types); k++)
        for (int64_t rows = 15; rows < 34; rows += 3)
            for (int64_t columns = 14; columns < 36; columns++) {
                View x = view_new(types[k], 2, (int64_t[]){columns, rows}, NULL);
                View y = view_new(types[k], 2, (int64_t[]){columns, rows}, NULL);
                x.t.strides[0] = 1;
                x.t.strides[1] = columns;
                uint32_t random = 3;
                view_randomise(&x, &random);
                TnTensor operands[] = {x.t, y.t};
                call_kernel(isa, OP_copy, &(ParamsCopy){0}, operands, 1, 1, NULL, 0);
                for (int64_t i = 0; i < rows * columns; i++)
                    assert_memory_equal(view_element(&x.t, i), view_element(&y.t, i),
                                        tn_dtype_size(types[k]));
                view_check(&y);
                view_free(&x);
                view_free(&y);
            }
}

static void fills(void **state) {
    (void)state;
    static const TnDType every[] = {TN_F32, TN_F16, TN_BF16, TN_F64, TN_I8,  TN_I16, TN_I32,
                                    TN_I64, TN_U8,  TN_U16,  TN_U32, TN_U64, TN_BOOL};
    uint32_t random = 1;
    ParamsFill params = {.value = -2.5, .integer = -3};
    FOR_EACH_ISA(isa)
    for (int repeat = 0; repeat < 100; repeat++) {
        TnDType t = every[repeat % COUNT(every)];
        int64_t dims[TN_MAX_RANK];
        int rank = repeat == 99 ? 1 : (int)pick(&random, 5);
        random_dims(dims, rank, &random);
        if (repeat == 99) dims[0] = 100001;
        View y = view_new(t, rank, dims, pick(&random, 2) ? &random : NULL);
        call_kernel(isa, OP_fill, &params, &y.t, 0, 1, NULL, 0);
        int64_t want = 0;
        int_set(t, &want, t == TN_BOOL ? 1 : -3);
        for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
            if (tn_is_float(t))
                assert_true(real_get(t, view_element(&y.t, i)) == -2.5);
            else
                assert_memory_equal(view_element(&y.t, i), &want, tn_dtype_size(t));
        }
        view_check(&y);
        view_free(&y);
    }
}

/* Fills an index tensor with valid indices, negative ones among them. */
static void random_indices(const View *v, int64_t bound, uint32_t *random) {
    for (int64_t i = 0, n = view_count(&v->t); i < n; i++) {
        int64_t found = (int64_t)pick(random, (uint32_t)(2 * bound)) - bound;
        int_set((TnDType)v->t.dtype, view_element(&v->t, i), found);
    }
}

static int64_t index_of(const View *v, const int64_t *index, int64_t bound) {
    int64_t found = int_get((TnDType)v->t.dtype, view_at(&v->t, index, v->t.rank));
    return found < 0 ? found + bound : found;
}

static void check_gather(TnIsa isa, uint32_t seed) {
    uint32_t random = seed;
    TnDType t = types[seed % COUNT(types)];
    int64_t xd[TN_MAX_RANK], id[TN_MAX_RANK], yd[TN_MAX_RANK];
    int xr = 1 + (int)pick(&random, 3), ir = (int)pick(&random, 3);
    int axis = (int)pick(&random, (uint32_t)xr),
        batch = axis > 0 && ir > 0 ? (int)pick(&random, 2) : 0;
    int own = ir - batch, yr = xr + own - 1; /* axes of the index that are not batch axes */
    random_dims(xd, xr, &random);
    random_dims(id, ir, &random);
    if (batch) id[0] = xd[0];
    for (int i = 0; i < yr; i++)
        yd[i] = i < axis ? xd[i] : i < axis + own ? id[batch + i - axis] : xd[i - own + 1];
    View x = view_new(t, xr, xd, pick(&random, 2) ? &random : NULL);
    View index =
        view_new(pick(&random, 2) ? TN_I32 : TN_I64, ir, id, pick(&random, 2) ? &random : NULL);
    View y = view_new(t, yr, yd, pick(&random, 2) ? &random : NULL);
    view_randomise(&x, &random);
    random_indices(&index, xd[axis], &random);
    ParamsGather params = {.axis = (uint32_t)axis, .batch_dims = (uint32_t)batch};
    TnTensor operands[] = {x.t, index.t, y.t};
    call_kernel(isa, OP_gather, &params, operands, 2, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        int64_t at[TN_MAX_RANK], from[TN_MAX_RANK], which[TN_MAX_RANK];
        view_index(&y.t, i, at);
        for (int a = 0; a < xr; a++) from[a] = a < axis ? at[a] : a == axis ? 0 : at[a + own - 1];
        for (int a = 0; a < ir; a++) which[a] = a < batch ? at[a] : at[axis + a - batch];
        from[axis] = index_of(&index, which, xd[axis]);
        assert_memory_equal(view_at(&y.t, at, yr), view_at(&x.t, from, xr), tn_dtype_size(t));
    }
    view_check(&y);
    view_free(&x), view_free(&index), view_free(&y);
}

static void check_gather_elements(TnIsa isa, uint32_t seed) {
    uint32_t random = seed;
    TnDType t = types[seed % COUNT(types)];
    int rank = 1 + (int)pick(&random, 4), axis = (int)pick(&random, (uint32_t)rank);
    int64_t xd[TN_MAX_RANK], yd[TN_MAX_RANK];
    random_dims(xd, rank, &random);
    for (int i = 0; i < rank; i++)
        yd[i] = i == axis ? 1 + pick(&random, 9) : 1 + pick(&random, (uint32_t)xd[i]);
    View x = view_new(t, rank, xd, pick(&random, 2) ? &random : NULL);
    View index = view_new(TN_I64, rank, yd, pick(&random, 2) ? &random : NULL);
    View y = view_new(t, rank, yd, pick(&random, 2) ? &random : NULL);
    view_randomise(&x, &random);
    random_indices(&index, xd[axis], &random);
    ParamsGather params = {.axis = (uint32_t)axis};
    TnTensor operands[] = {x.t, index.t, y.t};
    call_kernel(isa, OP_gather_elements, &params, operands, 2, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        int64_t at[TN_MAX_RANK], from[TN_MAX_RANK];
        view_index(&y.t, i, at);
        memcpy(from, at, sizeof at);
        from[axis] = index_of(&index, at, xd[axis]);
        assert_memory_equal(view_at(&y.t, at, rank), view_at(&x.t, from, rank), tn_dtype_size(t));
    }
    view_check(&y);
    view_free(&x), view_free(&index), view_free(&y);
}

/* x[c, p, q, r], index[c, i, depth], batch_dims = 1: y[c, i, rest of x]. */
static void check_gather_nd(TnIsa isa, uint32_t seed) {
    uint32_t random = seed;
    TnDType t = types[seed % COUNT(types)];
    int64_t xd[] = {1 + pick(&random, 4), 1 + pick(&random, 6), 1 + pick(&random, 6),
                    1 + pick(&random, 40)};
    int batch = (int)pick(&random, 2), depth = 1 + (int)pick(&random, (uint32_t)(4 - batch));
    int64_t id[] = {xd[0], 1 + pick(&random, 5), depth}, yd[6] = {id[0], id[1]};
    int yr = 2 + 4 - batch - depth;
    for (int i = 2; i < yr; i++) yd[i] = xd[batch + depth + i - 2];
    View x = view_new(t, 4, xd, pick(&random, 2) ? &random : NULL);
    View index = view_new(TN_I64, 3, id, pick(&random, 2) ? &random : NULL);
    View y = view_new(t, yr, yd, pick(&random, 2) ? &random : NULL);
    view_randomise(&x, &random);
    for (int64_t i = 0, n = view_count(&index.t); i < n; i++) {
        int64_t bound = xd[batch + i % depth];
        int_set(TN_I64, view_element(&index.t, i),
                (int64_t)pick(&random, (uint32_t)(2 * bound)) - bound);
    }
    ParamsGather params = {.batch_dims = (uint32_t)batch};
    TnTensor operands[] = {x.t, index.t, y.t};
    call_kernel(isa, OP_gather_nd, &params, operands, 2, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        int64_t at[TN_MAX_RANK], from[TN_MAX_RANK] = {0};
        view_index(&y.t, i, at);
        if (batch) from[0] = at[0];
        for (int k = 0; k < depth; k++) {
            int64_t which[] = {at[0], at[1], k};
            from[batch + k] = index_of(&index, which, xd[batch + k]);
        }
        for (int a = batch + depth; a < 4; a++) from[a] = at[2 + a - batch - depth];
        assert_memory_equal(view_at(&y.t, at, yr), view_at(&x.t, from, 4), tn_dtype_size(t));
    }
    view_check(&y);
    view_free(&x), view_free(&index), view_free(&y);
}

static void gathers(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 200; seed++) {
        check_gather(isa, seed);
        check_gather_elements(isa, seed);
        check_gather_nd(isa, seed);
    }
}

/* A table stored as panels: row r of the table is column r of the view [K, N]. */
static void gather_from_panels(void **state) {
    (void)state;
    enum { K = 37, N = 50, ROWS = 4 };
    int64_t wanted[ROWS] = {0, 49, -1, 17}, count = ROWS;
    float *table = calloc((size_t)tn_panels_elements(K, N), sizeof *table), y[ROWS * K];
    for (int k = 0; k < K; k++)
        for (int n = 0; n < N; n++) table[tn_panels_index(K, k, n)] = (float)(n * 100 + k);
    ParamsGather params = {.axis = 0};
    FOR_EACH_ISA(isa) {
        TnTensor operands[] = {dense(table, TN_F32, 2, (int64_t[]){K, N}),
                               dense(wanted, TN_I64, 1, &count),
                               dense(y, TN_F32, 2, (int64_t[]){ROWS, K})};
        operands[0].layout = TN_LAYOUT_PANELS16;
        call_kernel(isa, OP_gather, &params, operands, 2, 1, NULL, 0);
        for (int r = 0; r < ROWS; r++)
            for (int k = 0; k < K; k++)
                assert_true(y[r * K + k] ==
                            (float)((wanted[r] < 0 ? wanted[r] + N : wanted[r]) * 100 + k));
    }
    free(table);
}

/* The same in pairs, with tasks that begin within rows. */
static void gather_from_pairs(void **state) {
    (void)state;
    enum { N = 50, ROWS = 4 };
    int64_t wanted[ROWS] = {0, 49, -1, 17}, count = ROWS;
    static const int64_t ks[] = {1, 2, 37, 33333};
    ParamsGather params = {.axis = 0};
    for (int i = 0; i < COUNT(ks); i++) {
        int64_t big_k = ks[i];
        size_t size = (size_t)tn_packed_elements(TN_LAYOUT_PAIRS16, big_k, N);
        uint16_t *table = calloc(size, sizeof *table), *y = calloc((size_t)(ROWS * big_k), 2);
        for (int64_t k = 0; k < big_k; k++)
            for (int64_t n = 0; n < N; n++)
                table[tn_pairs_index(big_k, k, n)] = (uint16_t)(n * 1009 + k);
        FOR_EACH_ISA(isa) {
            TnTensor operands[] = {dense(table, TN_BF16, 2, (int64_t[]){big_k, N}),
                                   dense(wanted, TN_I64, 1, &count),
                                   dense(y, TN_BF16, 2, (int64_t[]){ROWS, big_k})};
            operands[0].layout = TN_LAYOUT_PAIRS16;
            call_kernel(isa, OP_gather, &params, operands, 2, 1, NULL, 0);
            for (int64_t r = 0; r < ROWS; r++)
                for (int64_t k = 0; k < big_k; k++) {
                    int64_t n = wanted[r] < 0 ? wanted[r] + N : wanted[r];
                    assert_int_equal(y[r * big_k + k], (uint16_t)(n * 1009 + k));
                }
        }
        free(table), free(y);
    }
}

/* The same in records: rows of f32 come out. */
static void gather_from_records(void **state) {
    (void)state;
    enum { N = 50, ROWS = 4 };
    int64_t wanted[ROWS] = {0, 49, -1, 17}, count = ROWS;
    static const int64_t ks[] = {1, 31, 64, 100, 11111};
    ParamsGather params = {.axis = 0};
    for (int i = 0; i < 4 * COUNT(ks); i++) {
        int64_t big_k = ks[i / 4];
        TnLayout layout = TN_LAYOUT_RECORDS8 + (TnLayout)(i % 4);
        float *b = malloc((size_t)(N * big_k) * sizeof *b),
              *y = calloc((size_t)(ROWS * big_k), sizeof *y);
        void *table = noise_records(layout, b, big_k, N, 7);
        FOR_EACH_ISA(isa) {
            TnTensor operands[] = {dense(table, TN_F32, 2, (int64_t[]){big_k, N}),
                                   dense(wanted, TN_I64, 1, &count),
                                   dense(y, TN_F32, 2, (int64_t[]){ROWS, big_k})};
            operands[0].layout = (uint8_t)layout;
            call_kernel(isa, OP_gather, &params, operands, 2, 1, NULL, 0);
            for (int64_t r = 0; r < ROWS; r++)
                for (int64_t k = 0; k < big_k; k++) {
                    int64_t n = wanted[r] < 0 ? wanted[r] + N : wanted[r];
                    assert_true(y[r * big_k + k] == b[k * N + n]);
                }
        }
        free(table), free(b), free(y);
    }
}

/* An index outside its table is reported once, with its value, and leaves zeros. */
static void bad_indices(void **state) {
    (void)state;
    static const int64_t bad[] = {3, -4, INT64_MAX, INT64_MIN, 1000};
    float x[] = {1, 2, 3, 4, 5, 6}, y[4];
    int64_t two = 2;
    ParamsGather params = {.axis = 0};
    FOR_EACH_ISA(isa)
    for (int i = 0; i < COUNT(bad); i++) {
        int64_t index[] = {1, bad[i]};
        TnTensor operands[] = {dense(x, TN_F32, 2, (int64_t[]){3, 2}),
                               dense(index, TN_I64, 1, &two),
                               dense(y, TN_F32, 2, (int64_t[]){2, 2})};
        TnFault fault = {0};
        TnCall call = {
            .params = &params, .operands = operands, .fault = &fault, .inputs = 2, .outputs = 1};
        const TnKernel *kernel = tn_kernel(isa, OP_gather);
        kernel->plan(&call);
        for (int64_t task = 0; task < call.tasks; task++) kernel->run(&call, task, NULL);
        assert_int_equal(fault.raised, 1);
        assert_true(fault.index == bad[i] && fault.bound == 3);
        assert_true(y[0] == 3 && y[1] == 4 && y[2] == 0 && y[3] == 0);
    }
}

static void iotas(void **state) {
    (void)state;
    static const TnDType every[] = {TN_I64, TN_I32, TN_F32, TN_F64};
    const int64_t scalars[] = {-7, 3};
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(every); k++)
        for (int64_t n = 0; n < 20001; n = n * 3 + 1) {
            View y = view_new(every[k], 1, &n, NULL);
            call_kernel(isa, OP_iota, NULL, &y.t, 0, 1, scalars, 2);
            for (int64_t i = 0; i < n; i++)
                assert_true(any_get(every[k], view_element(&y.t, i)) == (double)(-7 + 3 * i));
            view_check(&y);
            view_free(&y);
        }
}

static void scalar_lists(void **state) {
    (void)state;
    static const TnDType every[] = {TN_I64, TN_I32, TN_F32, TN_BOOL};
    const int64_t scalars[] = {5, -6, 0, 70000};
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(every); k++)
        for (int rank = 0; rank < 2; rank++) {
            int64_t n = 4;
            View y = view_new(every[k], rank, &n, NULL);
            call_kernel(isa, OP_scalars, NULL, &y.t, 0, 1, scalars, rank ? 4 : 1);
            for (int64_t i = 0; i < (rank ? 4 : 1); i++) {
                double want = every[k] == TN_BOOL ? scalars[i] != 0 : (double)scalars[i];
                assert_true(any_get(every[k], view_element(&y.t, i)) == want);
            }
            view_check(&y);
            view_free(&y);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),
        cmocka_unit_test(streams),
        cmocka_unit_test(transpositions),
        cmocka_unit_test(fills),
        cmocka_unit_test(gathers),
        cmocka_unit_test(gather_from_panels),
        cmocka_unit_test(gather_from_pairs),
        cmocka_unit_test(gather_from_records),
        cmocka_unit_test(bad_indices),
        cmocka_unit_test(iotas),
        cmocka_unit_test(scalar_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
