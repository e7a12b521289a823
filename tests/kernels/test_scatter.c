/* scatter_elements and scatter_nd on every ISA, against a loop over the updates in row-major order;
 * in place and not, with indices that repeat, with parts of many tasks. */
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const TnDType types[] = {TN_F32, TN_I8, TN_I64, TN_BOOL, TN_U64, TN_F64, TN_F16, TN_BF16};

/* What one element becomes, in doubles or 64-bit integers and then in its type. */
static void expect_update(TnDType t, void *y, const void *u, uint32_t reduction) {
    if (reduction == TN_SCATTER_NONE) {
        memcpy(y, u, tn_dtype_size(t));
    } else if (tn_is_float(t)) {
        double a = real_get(t, y), b = real_get(t, u);
        double r[] = {b, a + b, a * b, a < b ? a : b, a > b ? a : b};
        real_set(t, y, round_to(t, r[reduction]));
    } else {
        int64_t a = int_get(t, y), b = int_get(t, u);
        int less = t == TN_U64 ? (uint64_t)a < (uint64_t)b : a < b;
        int64_t r[] = {b, (int64_t)((uint64_t)a + (uint64_t)b),
                       (int64_t)((uint64_t)a * (uint64_t)b), less ? a : b, less ? b : a};
        int_set(t, y, t == TN_BOOL ? r[reduction] != 0 : r[reduction]);
    }
}

typedef struct Operands {
    View x, index, u, y, want;
} Operands;

static View copy_of(const View *x, uint32_t *shuffle) {
    View v = view_new((TnDType)x->t.dtype, x->t.rank, x->t.dims, shuffle);
    for (int64_t i = 0, n = view_count(&v.t); i < n; i++)
        memcpy(view_element(&v.t, i), view_element(&x->t, i), tn_dtype_size((TnDType)x->t.dtype));
    return v;
}

static void random_operands(Operands *o, TnDType t, int rank, const int64_t *xd, int index_rank,
                            const int64_t *id, int u_rank, const int64_t *ud, uint32_t *random) {
    o->x = view_new(t, rank, xd, pick(random, 2) ? random : NULL);
    o->index = view_new(pick(random, 2) ? TN_I32 : TN_I64, index_rank, id,
                        pick(random, 2) ? random : NULL);
    o->u = view_new(t, u_rank, ud, pick(random, 2) ? random : NULL);
    view_randomise(&o->x, random);
    view_randomise(&o->u, random);
    o->want = copy_of(&o->x, NULL);
}

/* Runs it into another tensor, or in place, and compares. */
static void run(TnIsa isa, int opcode, Operands *o, const ParamsScatter *params, uint32_t *random) {
    int in_place = (int)pick(random, 2);
    TnDType t = (TnDType)o->x.t.dtype;
    o->y = in_place ? o->x : view_new(t, o->x.t.rank, o->x.t.dims, pick(random, 2) ? random : NULL);
    TnTensor operands[] = {o->x.t, o->index.t, o->u.t, o->y.t};
    call_kernel(isa, opcode, params, operands, 3, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&o->y.t); i < n; i++)
        assert_memory_equal(view_element(&o->y.t, i), view_element(&o->want.t, i),
                            tn_dtype_size(t));
    view_check(&o->y);
    if (!in_place) view_free(&o->y);
    view_free(&o->x), view_free(&o->index), view_free(&o->u), view_free(&o->want);
}

/* Sets every index to a valid one, negative ones among them. */
static int64_t set_index(const View *index, int64_t i, int64_t bound, uint32_t *random) {
    int64_t found = (int64_t)pick(random, (uint32_t)(2 * bound)) - bound;
    int_set((TnDType)index->t.dtype, view_element(&index->t, i), found);
    return found < 0 ? found + bound : found;
}

static void check_elements(TnIsa isa, uint32_t seed, int64_t long_axis) {
    uint32_t random = seed;
    TnDType t = types[seed % COUNT(types)];
    ParamsScatter params = {.reduction = pick(&random, TN_SCATTER_COUNT)};
    int rank = 1 + (int)pick(&random, 4);
    params.axis = pick(&random, (uint32_t)rank);
    int64_t xd[TN_MAX_RANK], ud[TN_MAX_RANK];
    for (int i = 0; i < rank; i++) xd[i] = 1 + pick(&random, 7);
    if (long_axis) xd[pick(&random, (uint32_t)rank)] = long_axis;
    for (int i = 0; i < rank; i++)
        ud[i] = i == (int)params.axis ? pick(&random, 10)
                                      : xd[i] - (pick(&random, 3) == 0 ? xd[i] / 2 : 0);
    Operands o;
    random_operands(&o, t, rank, xd, rank, ud, rank, ud, &random);
    if (pick(&random, 3) == 0) o.index.t.strides[pick(&random, (uint32_t)rank)] = 0;
    for (int64_t i = 0, n = view_count(&o.index.t); i < n; i++)
        set_index(&o.index, i, xd[params.axis], &random);
    for (int64_t i = 0, n = view_count(&o.u.t); i < n; i++) {
        int64_t at[TN_MAX_RANK], bound = xd[params.axis];
        view_index(&o.u.t, i, at);
        int64_t found = int_get((TnDType)o.index.t.dtype, view_at(&o.index.t, at, rank));
        at[params.axis] = found < 0 ? found + bound : found;
        expect_update(t, view_at(&o.want.t, at, rank), view_element(&o.u.t, i), params.reduction);
    }
    run(isa, OP_scatter_elements, &o, &params, &random);
}

/* x[4 axes], index[points.., depth], u[points.., the rest of x] */
static void check_nd(TnIsa isa, uint32_t seed, int64_t long_axis) {
    uint32_t random = seed;
    TnDType t = types[seed % COUNT(types)];
    ParamsScatter params = {.reduction = pick(&random, TN_SCATTER_COUNT)};
    int points = (int)pick(&random, 3), depth = 1 + (int)pick(&random, 4);
    int64_t xd[4], id[3], ud[TN_MAX_RANK];
    for (int i = 0; i < 4; i++) xd[i] = 1 + pick(&random, 6);
    if (long_axis) xd[3] = long_axis;
    for (int i = 0; i < points; i++) ud[i] = id[i] = 1 + pick(&random, 5);
    id[points] = depth;
    for (int i = depth; i < 4; i++) ud[points + i - depth] = xd[i];
    Operands o;
    int u_rank = points + 4 - depth;
    random_operands(&o, t, 4, xd, points + 1, id, u_rank, ud, &random);
    for (int64_t i = 0, n = view_count(&o.index.t); i < n; i++)
        set_index(&o.index, i, xd[i % depth], &random);
    for (int64_t i = 0, n = view_count(&o.u.t); i < n; i++) {
        int64_t from[TN_MAX_RANK], at[4], which[3];
        view_index(&o.u.t, i, from);
        for (int a = 0; a < points; a++) which[a] = from[a];
        for (int a = 0; a < 4; a++) {
            which[points] = a;
            at[a] = a < depth
                        ? int_get((TnDType)o.index.t.dtype, view_at(&o.index.t, which, points + 1))
                        : from[points + a - depth];
            if (at[a] < 0) at[a] += xd[a];
        }
        expect_update(t, view_at(&o.want.t, at, 4), view_element(&o.u.t, i), params.reduction);
    }
    run(isa, OP_scatter_nd, &o, &params, &random);
}

static void small(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 100; seed++) {
        check_elements(isa, seed, 0);
        check_nd(isa, seed, 0);
    }
}

static void many_tasks(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 6; seed++) { /* not the types that are slow to check */
        check_elements(isa, seed, 20011);
        check_nd(isa, seed, 20011);
    }
}

/* An index outside its axis is reported; the other updates are made. */
static void bad_indices(void **state) {
    (void)state;
    static const int64_t bad[] = {3, -4, INT64_MAX, INT64_MIN};
    FOR_EACH_ISA(isa)
    for (int i = 0; i < COUNT(bad); i++) {
        float x[] = {1, 2, 3}, u[] = {7, 8}, y[3];
        int64_t index[] = {bad[i], -1}, two = 2, three = 3;
        TnTensor operands[] = {dense(x, TN_F32, 1, &three), dense(index, TN_I64, 1, &two),
                               dense(u, TN_F32, 1, &two), dense(y, TN_F32, 1, &three)};
        ParamsScatter params = {.axis = 0};
        TnFault fault = {0};
        TnCall call = {.params = &params,
                       .operands = operands,
                       .fault = &fault,
                       .inputs = 3,
                       .outputs = 1,
                       .opcode = OP_scatter_elements};
        const TnKernel *kernel = tn_kernel(isa, OP_scatter_elements);
        kernel->plan(&call);
        unsigned char scratch[8192];
        assert_true(call.tasks == 1 && call.scratch_bytes <= sizeof scratch);
        kernel->run(&call, 0, scratch);
        assert_int_equal(fault.raised, 1);
        assert_true(fault.index == bad[i] && fault.bound == 3);
        assert_true(y[0] == 1 && y[1] == 2 && y[2] == 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small),
        cmocka_unit_test(many_tasks),
        cmocka_unit_test(bad_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
