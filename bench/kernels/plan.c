/* What a run costs beside its arithmetic: plans of many instructions that have next to nothing to
 * do, in microseconds per instruction. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/kernels/bench.h"
#include "runtime/tenon.h"
#include "tests/support/plan_builder.h"

enum { INSTRUCTIONS = 200, ROWS = 2, COLUMNS = 16 };

/* y = x + x + .. by maps from one of two buffers into the other; or tokens looked up again and
 * again. */
static unsigned char *plan_of(int opcode, size_t *size) {
    PlanBuilder b = {0};
    pb_begin(&b, "main");
    const uint32_t rows = pb_symbol(&b, "rows", 1, 100), columns = pb_const(&b, COLUMNS),
                   dims[] = {rows, columns};
    const float table[ROWS * COLUMNS] = {1};
    uint32_t x = pb_input(&b, "x", TN_F32, 2, dims, TN_DEFAULT_NONE),
             ids = pb_input(&b, "ids", TN_I64, 1, &rows, TN_DEFAULT_NONE),
             y = pb_output(&b, "y", TN_F32, 2, dims),
             rows_of_table = pb_constant(&b, "table", TN_LAYOUT_STRIDED, 2,
                                         (const int64_t[]){ROWS, COLUMNS}, table),
             room[] = {pb_arena(&b, TN_F32, 2, dims), pb_arena(&b, TN_F32, 2, dims)};
    const TnMapStep sum = {.op = TN_MAP_ADD, .dtype = TN_F32, .arg_dtype = TN_F32};
    for (int i = 0; i < INSTRUCTIONS; i++) {
        uint32_t from = i ? room[i % 2] : x, to = i < INSTRUCTIONS - 1 ? room[(i + 1) % 2] : y;
        if (opcode == TN_OP_map)
            pb_map(&b, 1, &from, to, &sum, 1, "");
        else
            pb_instruction(&b, TN_OP_gather, 2, (uint32_t[]){rows_of_table, ids}, 1, &to,
                           &(ParamsGather){.axis = 0}, sizeof(ParamsGather), NULL, 0, "");
    }
    pb_end(&b);
    return pb_finish(&b, size);
}

static double time_runs(tenon_session *s, double seconds) {
    double best = 1e9;
    for (double end = bench_now() + seconds; bench_now() < end;) {
        double start = bench_now();
        if (tenon_session_run(s, NULL)) return 0;
        best = fmin(best, bench_now() - start);
    }
    return best;
}

static void time_plan(Bench *b, const char *name, int opcode) {
    float x[ROWS * COLUMNS] = {1};
    int64_t ids[ROWS] = {0, 1};
    Case c = {.figure = FIGURE_MICROSECONDS, .target = {0.5, 0.5}};
    tenon_plan *plan = NULL;
    tenon_session *s = NULL;
    tenon_plan_options how = {.struct_size = sizeof how, .isa = (tenon_isa)(b->isa + 1)};
    tenon_session_options options = {.struct_size = sizeof options, .pool = (tenon_pool *)b->pool};
    size_t size;
    snprintf(c.name, sizeof c.name, "plan of %s, per instruction", name);
    if (!bench_wants(b, c.name)) return;
    unsigned char *bytes = plan_of(opcode, &size);
    Measured m = {0};
    if (!tenon_plan_open_memory(bytes, size, &how, &plan, NULL) &&
        !tenon_session_create(plan, &options, &s, NULL) &&
        !tenon_session_bind(s, "x", &(tenon_tensor){TENON_F32, 2, {ROWS, COLUMNS}, x, sizeof x},
                            NULL) &&
        !tenon_session_bind(s, "ids", &(tenon_tensor){TENON_I64, 1, {ROWS}, ids, sizeof ids}, NULL))
        m.least = m.seconds = time_runs(s, b->seconds) / INSTRUCTIONS;
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    free(bytes);
    if (m.seconds > 0)
        bench_print(b, &c, &m);
    else
        fprintf(stderr, "%s: the plan does not run\n", c.name);
}

void bench_plan(Bench *b) {
    time_plan(b, "maps", TN_OP_map);
    time_plan(b, "gathers", TN_OP_gather);
}
