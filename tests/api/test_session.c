/* Sessions over the tiny plan: results, ports, the input contract with its messages, outputs,
 * memory, tracing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/tiny_plan.h"

enum { HIDDEN = 24, OUT = 20 };

typedef struct Fixture {
    unsigned char *bytes;
    tenon_plan *plan;
    tenon_session *session;
    tenon_error err;
} Fixture;

static int set_up(void **state) {
    static Fixture f;
    size_t size;
    f = (Fixture){.bytes = tiny_plan(HIDDEN, OUT, &size)};
    *state = &f;
    tenon_status status = tenon_plan_open_memory(f.bytes, size, NULL, &f.plan, &f.err);
    if (!status) status = tenon_session_create(f.plan, NULL, &f.session, &f.err);
    if (status) print_error("%s\n", f.err.text);
    return status;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    tenon_session_destroy(f->session);
    tenon_plan_close(f->plan);
    free(f->bytes);
    return 0;
}

static tenon_status bind(Fixture *f, const char *name, tenon_dtype dtype, int64_t rows,
                         int64_t columns, void *data) {
    tenon_tensor t = {.dtype = dtype, .rank = 2, .dims = {rows, columns}, .data = data};
    return tenon_session_bind(f->session, name, &t, &f->err);
}

static double gelu(double x) {
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

/* One row of y in double. */
static void expect_row(int64_t id, double mask, double *y) {
    float table[TINY_ROWS * HIDDEN], gamma[HIDDEN], beta[HIDDEN], w[HIDDEN * OUT], bias[OUT];
    tiny_fill(table, TINY_ROWS * HIDDEN, 1);
    tiny_fill(gamma, HIDDEN, 2);
    tiny_fill(beta, HIDDEN, 3);
    tiny_fill(w, HIDDEN * OUT, 4);
    tiny_fill(bias, OUT, 5);
    const float *x = table + id * HIDDEN;
    double mean = 0, variance = 0, n[HIDDEN];
    for (int k = 0; k < HIDDEN; k++) mean += x[k] / (double)HIDDEN;
    for (int k = 0; k < HIDDEN; k++) variance += (x[k] - mean) * (x[k] - mean) / HIDDEN;
    for (int k = 0; k < HIDDEN; k++)
        n[k] = (x[k] - mean) / sqrt(variance + 1e-5) * gamma[k] + beta[k];
    for (int j = 0; j < OUT; j++) {
        double sum = bias[j];
        for (int k = 0; k < HIDDEN; k++) sum += n[k] * w[k * OUT + j];
        y[j] = gelu(sum) * mask;
    }
}

static void check_results(Fixture *f, int64_t batch, int64_t sequence, const int64_t *ids,
                          const float *mask) {
    tenon_tensor y, pooled;
    assert_int_equal(tenon_session_tensor(f->session, "y", &y, &f->err), TENON_OK);
    assert_int_equal(tenon_session_tensor(f->session, "pooled", &pooled, &f->err), TENON_OK);
    assert_int_equal(y.rank, 3);
    assert_int_equal(y.dims[0], batch);
    assert_int_equal(y.dims[1], sequence);
    assert_int_equal(y.dims[2], OUT);
    assert_int_equal(y.bytes, batch * sequence * OUT * 4);
    for (int64_t b = 0; b < batch; b++) {
        double sum[OUT] = {0}, row[OUT];
        for (int64_t s = 0; s < sequence; s++) {
            expect_row(ids[b * sequence + s], mask ? mask[b * sequence + s] : 1, row);
            for (int j = 0; j < OUT; j++) {
                double got = ((float *)y.data)[(b * sequence + s) * OUT + j];
                if (fabs(got - row[j]) > 1e-5)
                    fail_msg("y[%d %d %d] is %g, not %g", (int)b, (int)s, j, got, row[j]);
                sum[j] += row[j] / (double)sequence;
            }
        }
        for (int j = 0; j < OUT; j++)
            assert_true(fabs(((float *)pooled.data)[b * OUT + j] - sum[j]) < 1e-5);
    }
}

static void runs_and_follows_shapes(void **state) {
    Fixture *f = *state;
    int64_t ids[] = {3, 1, 4, 1, 5, 9};
    float mask[] = {1, 0.5f, 0, 1, -1, 2};
    for (int round = 0; round < 3; round++) {
        assert_int_equal(bind(f, "ids", TENON_I64, 2, 3, ids), TENON_OK);
        assert_int_equal(tenon_session_bind(f->session, "mask", NULL, &f->err), TENON_OK);
        assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
        check_results(f, 2, 3, ids, NULL);
        assert_int_equal(bind(f, "mask", TENON_F32, 2, 3, mask), TENON_OK);
        assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
        check_results(f, 2, 3, ids, mask);
        assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
        check_results(f, 2, 3, ids, mask);
        int64_t others[] = {9, 2, 6};
        assert_int_equal(bind(f, "ids", TENON_I64, 1, 3, others), TENON_OK);
        assert_int_equal(tenon_session_bind(f->session, "mask", NULL, &f->err), TENON_OK);
        assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
        check_results(f, 1, 3, others, NULL);
    }
}

static void empty_sequence(void **state) {
    Fixture *f = *state;
    assert_int_equal(bind(f, "ids", TENON_I64, 2, 0, NULL), TENON_OK);
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
    tenon_tensor y;
    assert_int_equal(tenon_session_tensor(f->session, "y", &y, &f->err), TENON_OK);
    assert_int_equal(y.bytes, 0);
}

static void second_function(void **state) {
    Fixture *f = *state;
    tenon_session *s = NULL;
    float x[] = {1, 2, 3};
    tenon_tensor t = {.dtype = TENON_F32, .rank = 1, .dims = {3}, .data = x};
    assert_int_equal(
        tenon_session_create(f->plan,
                             &(tenon_session_options){.struct_size = sizeof(tenon_session_options),
                                                      .function = "double"},
                             &s, &f->err),
        TENON_OK);
    assert_int_equal(tenon_session_bind(s, "x", &t, &f->err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &f->err), TENON_OK);
    assert_int_equal(tenon_session_tensor(s, "y", &t, &f->err), TENON_OK);
    for (int i = 0; i < 3; i++) assert_true(((float *)t.data)[i] == 2 * x[i]);
    tenon_session_destroy(s);
    s = NULL;
    assert_int_equal(
        tenon_session_create(f->plan,
                             &(tenon_session_options){.struct_size = sizeof(tenon_session_options),
                                                      .function = "nope"},
                             &s, &f->err),
        TENON_E_ARGUMENT);
    assert_string_equal(f->err.text, "the plan has no function 'nope'; its first is 'main'");
    assert_null(s);
}

static void describes_itself(void **state) {
    Fixture *f = *state;
    tenon_port p;
    assert_string_equal(tenon_plan_meta(f->plan, "source"), "by hand");
    assert_null(tenon_plan_meta(f->plan, "nothing"));
    assert_int_equal(tenon_plan_port(f->plan, NULL, 1, &p, &f->err), TENON_OK);
    assert_string_equal(p.name, "mask");
    assert_int_equal(p.dtype, TENON_F32);
    assert_int_equal(p.rank, 2);
    assert_true(p.is_optional && !p.is_output);
    assert_int_equal(p.dims[1], -1);
    assert_string_equal(p.symbols[1], "sequence");
    assert_int_equal(tenon_plan_port(f->plan, "main", 2, &p, &f->err), TENON_OK);
    assert_string_equal(p.name, "y");
    assert_true(p.is_output && !p.is_optional);
    assert_int_equal(p.dims[2], OUT);
    assert_string_equal(p.symbols[2], "20");
    assert_int_equal(tenon_plan_port(f->plan, NULL, 4, &p, &f->err), TENON_E_ARGUMENT);
    assert_string_equal(f->err.text, "port 4 of 4");
    assert_int_equal(tenon_plan_port(f->plan, NULL, -1, &p, &f->err), TENON_E_ARGUMENT);
}

static void expect_run_error(Fixture *f, tenon_status status, const char *text) {
    assert_int_equal(tenon_session_run(f->session, &f->err), status);
    assert_int_equal(f->err.code, status);
    assert_string_equal(f->err.text, text);
}

static void expect_bind_error(Fixture *f, const char *name, tenon_tensor t, tenon_status status,
                              const char *text) {
    assert_int_equal(tenon_session_bind(f->session, name, &t, &f->err), status);
    assert_string_equal(f->err.text, text);
}

static void contract_messages(void **state) {
    Fixture *f = *state;
    int64_t ids[2000] = {0};
    float mask[15] = {0};
    expect_run_error(f, TENON_E_ARGUMENT, "input 'ids' is not bound");
    assert_int_equal(bind(f, "ids", TENON_I64, 2, 5, ids), TENON_OK);
    assert_int_equal(bind(f, "mask", TENON_F32, 2, 3, mask), TENON_OK);
    expect_run_error(
        f, TENON_E_SHAPE,
        "input 'mask' axis 1 is 3, the model wants sequence = 5 (set by input 'ids' axis 1)");
    assert_int_equal(tenon_session_bind(f->session, "mask", NULL, &f->err), TENON_OK);
    assert_int_equal(bind(f, "ids", TENON_I64, 70, 5, ids), TENON_OK);
    expect_run_error(f, TENON_E_SHAPE,
                     "input 'ids' axis 0 is 70, the model wants batch from 1 to 64");
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 101, ids), TENON_OK);
    expect_run_error(
        f, TENON_E_SHAPE,
        "sequence <= 100 does not hold: sequence = 101 (needed by node '/embeddings/Slice')");
    assert_string_equal(f->err.node, "/embeddings/Slice");
    tenon_tensor y;
    assert_int_equal(tenon_session_tensor(f->session, "y", &y, &f->err), TENON_E_ARGUMENT);
    assert_string_equal(f->err.text, "prepare or run the session first");
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 3, ids), TENON_OK);
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
}

static void bind_messages(void **state) {
    Fixture *f = *state;
    int64_t ids[16] = {0};
    expect_bind_error(
        f, "input_ids", (tenon_tensor){0}, TENON_E_ARGUMENT,
        "no input or output is named 'input_ids'; there are 'ids', 'mask', 'y', 'pooled'");
    expect_bind_error(f, "ids", (tenon_tensor){.dtype = TENON_F32, .rank = 2}, TENON_E_DTYPE,
                      "input 'ids' is f32, the model wants i64");
    expect_bind_error(f, "ids", (tenon_tensor){.dtype = 99, .rank = 2}, TENON_E_DTYPE,
                      "input 'ids' is none, the model wants i64");
    expect_bind_error(f, "ids", (tenon_tensor){.dtype = TENON_I64, .rank = 3}, TENON_E_SHAPE,
                      "input 'ids' has rank 3, the model wants 2");
    expect_bind_error(f, "ids", (tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {1, -1}},
                      TENON_E_SHAPE, "input 'ids' axis 1 is -1");
    expect_bind_error(f, "ids",
                      (tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {INT64_MAX, INT64_MAX}},
                      TENON_E_SHAPE, "input 'ids' is too large");
    expect_bind_error(f, "ids", (tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {1, 2}},
                      TENON_E_ARGUMENT, "input 'ids' has no data");
    expect_bind_error(
        f, "ids",
        (tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {1, 2}, .data = ids, .bytes = 15},
        TENON_E_ARGUMENT, "input 'ids' has 15 bytes, its dims need 16");
    expect_bind_error(
        f, "ids",
        (tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {1, 1}, .data = (char *)ids + 1},
        TENON_E_ARGUMENT, "data of input 'ids' is not aligned to its element size of 8");
    assert_int_equal(tenon_session_bind(f->session, NULL, NULL, &f->err), TENON_E_ARGUMENT);
    assert_int_equal(tenon_session_bind(NULL, "ids", NULL, &f->err), TENON_E_ARGUMENT);
    assert_int_equal(tenon_session_run(NULL, NULL), TENON_E_ARGUMENT);
}

static void indices_outside(void **state) {
    Fixture *f = *state;
    int64_t ids[] = {0, TINY_ROWS, 1};
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 3, ids), TENON_OK);
    expect_run_error(
        f, TENON_E_RANGE,
        "input 'ids' holds 10, outside the table of 10 rows (node '/embeddings/Gather')");
    assert_int_equal(f->err.instruction, 0);
    assert_string_equal(f->err.node, "/embeddings/Gather");
    ids[1] = (int64_t)1 << 40;
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_E_RANGE);
    ids[1] = INT64_MIN;
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_E_RANGE);
    ids[1] = 2;
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
    check_results(f, 1, 3, ids, NULL);
}

static void bound_outputs(void **state) {
    Fixture *f = *state;
    int64_t ids[] = {7, 8};
    float y[2 * OUT + 1];
    tenon_tensor t = {
        .dtype = TENON_F32, .rank = 3, .dims = {1, 2, OUT}, .data = y, .bytes = 2 * OUT * 4 - 1};
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 2, ids), TENON_OK);
    assert_int_equal(tenon_session_bind(f->session, "y", &t, &f->err), TENON_OK);
    expect_run_error(f, TENON_E_ARGUMENT, "output 'y' needs 160 bytes, 159 are given");
    t.bytes = sizeof y;
    t.dims[1] = 3;
    assert_int_equal(tenon_session_bind(f->session, "y", &t, &f->err), TENON_OK);
    expect_run_error(f, TENON_E_SHAPE, "output 'y' axis 1 is 3, the model gives 2");
    t.dims[1] = -1;
    y[2 * OUT] = 42;
    assert_int_equal(tenon_session_bind(f->session, "y", &t, &f->err), TENON_OK);
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
    check_results(f, 1, 2, ids, NULL);
    assert_int_equal(tenon_session_tensor(f->session, "y", &t, &f->err), TENON_OK);
    assert_ptr_equal(t.data, y);
    assert_true(y[2 * OUT] == 42);
    tenon_tensor p = {
        .dtype = TENON_F32, .rank = 3, .dims = {1, 1, OUT}, .data = y + OUT, .bytes = OUT * 4};
    assert_int_equal(tenon_session_bind(f->session, "pooled", &p, &f->err), TENON_OK);
    expect_run_error(f, TENON_E_ARGUMENT, "memory of output 'pooled' overlaps output 'y'");
    assert_int_equal(tenon_session_bind(f->session, "pooled", NULL, &f->err), TENON_OK);
    tenon_tensor mask = {.dtype = TENON_F32, .rank = 2, .dims = {1, 2}, .data = y};
    assert_int_equal(tenon_session_bind(f->session, "mask", &mask, &f->err), TENON_OK);
    expect_run_error(f, TENON_E_ARGUMENT, "memory of output 'y' overlaps input 'mask'");
}

static void memory_figures(void **state) {
    Fixture *f = *state;
    int64_t ids[100] = {0};
    tenon_memory m = {.struct_size = sizeof m};
    tenon_session *s = NULL;
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 100, ids), TENON_OK);
    assert_int_equal(tenon_session_prepare(f->session, &f->err), TENON_OK);
    assert_int_equal(tenon_session_memory(f->session, &m, &f->err), TENON_OK);
    assert_true(m.live > 0 && m.arena >= m.live && m.arena - m.scratch <= m.live + m.live / 20);
    assert_true(m.weights >= (TINY_ROWS * HIDDEN + HIDDEN * 32) * 4 && m.program > 1000);
    tenon_session_options o = {.struct_size = sizeof o, .memory_limit = m.arena - 1};
    assert_int_equal(tenon_session_create(f->plan, &o, &s, &f->err), TENON_OK);
    tenon_tensor t = {.dtype = TENON_I64, .rank = 2, .dims = {1, 100}, .data = ids};
    assert_int_equal(tenon_session_bind(s, "ids", &t, &f->err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &f->err), TENON_E_LIMIT);
    char text[128];
    snprintf(text, sizeof text, "the arena needs %llu bytes, the limit is %llu",
             (unsigned long long)m.arena, (unsigned long long)m.arena - 1);
    assert_string_equal(f->err.text, text);
    t.dims[1] = 50;
    assert_int_equal(tenon_session_bind(s, "ids", &t, &f->err), TENON_OK);
    assert_int_equal(tenon_session_run(s, &f->err), TENON_OK);
    tenon_session_destroy(s);
}

typedef struct Trace {
    int count;
    char opcodes[100];
    int outputs;
} Trace;

static void on_event(void *user, const tenon_event *event) {
    Trace *t = user;
    assert_int_equal(event->instruction, t->count++);
    strcat(strcat(t->opcodes, event->opcode), " ");
    assert_true(event->nanoseconds >= 0);
    assert_int_equal(event->outputs[0].rank, 3);
    t->outputs += event->output_count;
}

static void traces(void **state) {
    Fixture *f = *state;
    int64_t ids[] = {1, 2};
    Trace t = {0};
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 2, ids), TENON_OK);
    assert_int_equal(tenon_session_trace(f->session, on_event, &t, &f->err), TENON_OK);
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
    assert_string_equal(t.opcodes, "gather norm gemm map reduce ");
    assert_int_equal(t.outputs, 5);
    assert_int_equal(tenon_session_trace(f->session, NULL, NULL, &f->err), TENON_OK);
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
    assert_int_equal(t.count, 5);
}

static void session_keeps_plan_open(void **state) {
    Fixture *f = *state;
    int64_t ids[] = {1, 2};
    assert_ptr_equal(tenon_plan_retain(f->plan), f->plan);
    tenon_plan_close(f->plan);
    tenon_plan_close(f->plan);
    f->plan = NULL;
    assert_int_equal(bind(f, "ids", TENON_I64, 1, 2, ids), TENON_OK);
    assert_int_equal(tenon_session_run(f->session, &f->err), TENON_OK);
    check_results(f, 1, 2, ids, NULL);
}

static void names_and_version(void **state) {
    (void)state;
    assert_string_equal(tenon_version(), "0.1.0");
    assert_string_equal(tenon_status_name(TENON_E_SHAPE), "shape");
    assert_string_equal(tenon_status_name((tenon_status)77), "unknown");
    tenon_plan_close(NULL);
    tenon_session_destroy(NULL);
    tenon_pool_destroy(NULL);
    tenon_session_cancel(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(runs_and_follows_shapes), TEST(empty_sequence),
        TEST(second_function),         TEST(describes_itself),
        TEST(contract_messages),       TEST(bind_messages),
        TEST(indices_outside),         TEST(bound_outputs),
        TEST(memory_figures),          TEST(traces),
        TEST(session_keeps_plan_open), TEST(names_and_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
