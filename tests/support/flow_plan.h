/* Plans whose lengths depend on data, made by hand.
 *
 *     measured: count[1], x[n] -> y[s] = 1, 2, 3, .. with s = count[0] <= n; z[s * n]; once more a
 *               length: t = sum y -> w[t]
 *     control:  cond, trips, x[n] -> y[m] = cond ? x + x : x x; z[p], scans[q, n] by a loop that
 *               appends x to z and gives y, as long as its number is below 7 */
#ifndef TENON_TESTS_SUPPORT_FLOW_PLAN_H
#define TENON_TESTS_SUPPORT_FLOW_PLAN_H

#include "tests/support/plan_builder.h"

/* One instruction of one output, without parameters. */
static inline void flow_one(PlanBuilder *b, TnOpcode op, int inputs, const uint32_t *in,
                            uint32_t out, const char *origin) {
    pb_instruction(b, op, inputs, in, 1, &out, NULL, 0, NULL, 0, origin);
}

static inline void flow_measure(PlanBuilder *b, uint32_t x, uint32_t scalar, const char *origin) {
    pb_instruction(b, TN_OP_measure, 1, &x, 0, NULL, NULL, 0, &scalar, 1, origin);
}

static inline void flow_iota(PlanBuilder *b, uint32_t out, uint32_t start, uint32_t step) {
    pb_instruction(b, TN_OP_iota, 0, NULL, 1, &out, NULL, 0, (uint32_t[]){start, step}, 2, "iota");
}

/* out = x op y in i64 */
static inline void flow_binary(PlanBuilder *b, TnMapOp op, TnDType result, uint32_t x, uint32_t y,
                               uint32_t out, const char *origin) {
    TnMapStep step = {
        .op = (uint8_t)op, .dtype = (uint8_t)result, .arg_dtype = TN_I64, .args = {0, 1}};
    pb_map(b, 2, (uint32_t[]){x, y}, out, &step, 1, origin);
}

static inline unsigned char *flow_measured(size_t *size) {
    PlanBuilder builder = {0}, *b = &builder;
    pb_begin(b, "main");
    uint32_t n = pb_symbol(b, "n", 0, 1000), one = pb_const(b, 1);
    uint32_t s = pb_measured(b, "s", 0, 500, n), t = pb_measured(b, "t", 0, 1000, TN_NO_ID);
    uint32_t count = pb_input(b, "count", TN_I64, 1, &one, TN_DEFAULT_NONE);
    uint32_t x = pb_input(b, "x", TN_I64, 1, &n, TN_DEFAULT_NONE);
    uint32_t y = pb_output(b, "y", TN_I64, 1, &s);
    uint32_t z = pb_output(b, "z", TN_I64, 2, (uint32_t[]){s, n});
    uint32_t w = pb_output(b, "w", TN_I64, 1, &t);
    uint32_t sum = pb_arena(b, TN_I64, 1, &one), total = pb_arena(b, TN_I64, 1, &one);
    pb_require(b, TN_RELATION_LE, s, pb_const(b, 40), "s <= 40", "/upto40");
    pb_require(b, TN_RELATION_LE, t, pb_expr(b, TN_EXPR_MUL, s, pb_const(b, 20)), "t <= 20 * s",
               "/upto20s");
    flow_binary(b, TN_MAP_ADD, TN_I64, count, count, sum, "/twice");
    flow_measure(b, count, s, "/count");
    flow_iota(b, y, one, one);
    uint32_t buffer = ((const PlanView *)b->section[TN_SECTION_VIEWS].data)[y].buffer;
    uint32_t zero = pb_const(b, 0);
    uint32_t column = pb_view(b, buffer, TN_I64, TN_LAYOUT_STRIDED, 2, (uint32_t[]){s, n},
                              (uint32_t[]){one, zero}, zero);
    uint32_t xb = ((const PlanView *)b->section[TN_SECTION_VIEWS].data)[x].buffer;
    uint32_t row = pb_view(b, xb, TN_I64, TN_LAYOUT_STRIDED, 2, (uint32_t[]){s, n},
                           (uint32_t[]){zero, one}, zero);
    flow_binary(b, TN_MAP_MUL, TN_I64, column, row, z, "/outer");
    pb_instruction(b, TN_OP_reduce, 1, &y, 1, &total, &(ParamsReduce){TN_REDUCE_SUM, 1},
                   sizeof(ParamsReduce), NULL, 0, "/sum");
    flow_measure(b, total, t, "/total");
    flow_measure(b, sum, pb_expr(b, TN_EXPR_ADD, s, s), "/same");
    flow_iota(b, w, s, one);
    pb_end(b);
    return pb_finish(b, size);
}

static inline void flow_branches(PlanBuilder *b, uint32_t n) {
    pb_begin_internal(b, "then");
    uint32_t x = pb_input(b, "x", TN_I64, 1, &n, TN_DEFAULT_NONE),
             y = pb_output(b, "y", TN_I64, 1, &n);
    flow_binary(b, TN_MAP_ADD, TN_I64, x, x, y, "/add");
    pb_end(b);
    pb_begin_internal(b, "else");
    uint32_t twice = pb_expr(b, TN_EXPR_ADD, n, n), one = pb_const(b, 1);
    x = pb_input(b, "x", TN_I64, 1, &n, TN_DEFAULT_NONE);
    y = pb_output(b, "y", TN_I64, 1, &twice);
    uint32_t buffer = ((const PlanView *)b->section[TN_SECTION_VIEWS].data)[y].buffer;
    for (int half = 0; half < 2; half++)
        flow_one(
            b, TN_OP_copy, 1, &x,
            pb_view(b, buffer, TN_I64, TN_LAYOUT_STRIDED, 1, &n, &one, half ? n : pb_const(b, 0)),
            "/concat");
    pb_end(b);
}

static inline void flow_body(PlanBuilder *b, uint32_t n) {
    pb_begin_internal(b, "body");
    uint32_t s = pb_measured(b, "s", 0, 500, TN_NO_ID), one = pb_const(b, 1);
    uint32_t longer = pb_expr(b, TN_EXPR_ADD, s, n);
    uint32_t i = pb_input(b, "i", TN_I64, 0, NULL, TN_DEFAULT_NONE);
    pb_input(b, "go", TN_BOOL, 0, NULL, TN_DEFAULT_NONE);
    uint32_t z = pb_input(b, "z", TN_I64, 1, &s, TN_DEFAULT_NONE),
             x = pb_input(b, "x", TN_I64, 1, &n, TN_DEFAULT_NONE);
    uint32_t go = pb_output(b, "go", TN_BOOL, 0, NULL),
             next = pb_output(b, "next", TN_I64, 1, &longer),
             slice = pb_output(b, "slice", TN_I64, 1, &n);
    uint32_t buffer = ((const PlanView *)b->section[TN_SECTION_VIEWS].data)[next].buffer;
    uint32_t most = pb_arena(b, TN_I64, 0, NULL);
    pb_instruction(b, TN_OP_fill, 0, NULL, 1, &most, &(ParamsFill){.integer = 7},
                   sizeof(ParamsFill), NULL, 0, "/most");
    flow_binary(b, TN_MAP_LT, TN_BOOL, i, most, go, "/less");
    flow_one(b, TN_OP_copy, 1, &z,
             pb_view(b, buffer, TN_I64, TN_LAYOUT_STRIDED, 1, &s, &one, pb_const(b, 0)), "/grow");
    flow_one(b, TN_OP_copy, 1, &x, pb_view(b, buffer, TN_I64, TN_LAYOUT_STRIDED, 1, &n, &one, s),
             "/grow");
    flow_one(b, TN_OP_copy, 1, &x, slice, "/slice");
    pb_end(b);
}

static inline unsigned char *flow_control(size_t *size) {
    PlanBuilder builder = {0}, *b = &builder;
    pb_begin(b, "main");
    uint32_t n = pb_symbol(b, "n", 0, 1000), m = pb_measured(b, "m", 0, 1000, TN_NO_ID);
    uint32_t p = pb_measured(b, "p", 0, 900, TN_NO_ID), q = pb_measured(b, "q", 0, 64, TN_NO_ID);
    uint32_t cond = pb_input(b, "cond", TN_BOOL, 0, NULL, TN_DEFAULT_ONES),
             trips = pb_input(b, "trips", TN_I64, 0, NULL, TN_DEFAULT_ONES),
             x = pb_input(b, "x", TN_I64, 1, &n, TN_DEFAULT_NONE);
    uint32_t y = pb_output(b, "y", TN_I64, 1, &m), z = pb_output(b, "z", TN_I64, 1, &p),
             scans = pb_output(b, "scans", TN_I64, 2, (uint32_t[]){q, n});
    uint32_t part = pb_arena(b, TN_I64, 1, &m);
    pb_instruction(b, TN_OP_if, 2, (uint32_t[]){cond, x}, 1, &part, &(ParamsIf){1, 2},
                   sizeof(ParamsIf), &m, 1, "/if");
    flow_binary(b, TN_MAP_ADD, TN_I64, part, part, y, "/double");
    pb_instruction(b, TN_OP_loop, 4, (uint32_t[]){trips, TN_NO_ID, x, x}, 2, (uint32_t[]){z, scans},
                   &(ParamsLoop){3, 1}, sizeof(ParamsLoop), (uint32_t[]){p, q, n}, 3, "/loop");
    pb_end(b);
    flow_branches(b, n);
    flow_body(b, n);
    return pb_finish(b, size);
}

#endif
