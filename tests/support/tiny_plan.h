/* A small plan that uses most of the format: two symbols, an optional input, a requirement, five
 * kernels.
 *
 *     ids[batch, sequence] -> gather table -> norm -> gemm (gelu) -> map: times mask[batch,
 * sequence] -> y[batch, sequence, out] mean over the sequence           -> pooled[batch, 1, out]
 *
 * A second function "double" has x[n] -> y[n] = 2 x. */
#ifndef TENON_TESTS_SUPPORT_TINY_PLAN_H
#define TENON_TESTS_SUPPORT_TINY_PLAN_H

#include "tests/support/plan_builder.h"

enum { TINY_ROWS = 10 };

/* Deterministic values in [-1, 1). */
static inline void tiny_fill(float *x, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed / 2147483648.0f;
    }
}

static inline uint32_t tiny_constant(PlanBuilder *b, const char *name, TnLayout layout, int rank,
                                     int64_t rows, int64_t columns, uint32_t seed) {
    size_t n = (size_t)(rank == 2 ? rows * columns : rows);
    float *data = malloc(n * sizeof *data);
    tiny_fill(data, n, seed);
    uint32_t view = pb_constant(b, name, layout, rank, (int64_t[]){rows, columns}, data);
    free(data);
    return view;
}

static inline void tiny_main(PlanBuilder *b, int64_t hidden, int64_t out) {
    pb_begin(b, "main");
    uint32_t batch = pb_symbol(b, "batch", 1, 64), sequence = pb_symbol(b, "sequence", 0, 512);
    uint32_t h = pb_const(b, hidden), o = pb_const(b, out), one = pb_const(b, 1),
             zero = pb_const(b, 0);
    uint32_t ids = pb_input(b, "ids", TN_I64, 2, (uint32_t[]){batch, sequence}, TN_DEFAULT_NONE);
    uint32_t mask = pb_input(b, "mask", TN_F32, 2, (uint32_t[]){batch, sequence}, TN_DEFAULT_ONES);
    uint32_t y = pb_output(b, "y", TN_F32, 3, (uint32_t[]){batch, sequence, o});
    uint32_t pooled = pb_output(b, "pooled", TN_F32, 3, (uint32_t[]){batch, one, o});
    pb_require(b, TN_RELATION_LE, sequence, pb_const(b, 100), "sequence <= 100",
               "/embeddings/Slice");
    uint32_t table = tiny_constant(b, "table", TN_LAYOUT_STRIDED, 2, TINY_ROWS, hidden, 1);
    uint32_t gamma = tiny_constant(b, "gamma", TN_LAYOUT_STRIDED, 1, hidden, 0, 2);
    uint32_t beta = tiny_constant(b, "beta", TN_LAYOUT_STRIDED, 1, hidden, 0, 3);
    uint32_t w = tiny_constant(b, "w", TN_LAYOUT_PANELS16, 2, hidden, out, 4);
    uint32_t bias = tiny_constant(b, "bias", TN_LAYOUT_STRIDED, 1, out, 0, 5);
    uint32_t e = pb_arena(b, TN_F32, 3, (uint32_t[]){batch, sequence, h});
    uint32_t n = pb_arena(b, TN_F32, 3, (uint32_t[]){batch, sequence, h});
    uint32_t g = pb_arena(b, TN_F32, 3, (uint32_t[]){batch, sequence, o});
    const PlanView *mask_view = (const PlanView *)b->section[TN_SECTION_VIEWS].data + mask;
    uint32_t mask_buffer = mask_view->buffer;
    uint32_t column =
        pb_view(b, mask_buffer, TN_F32, TN_LAYOUT_STRIDED, 3, (uint32_t[]){batch, sequence, o},
                (uint32_t[]){sequence, one, zero}, zero);
    pb_instruction(b, TN_OP_gather, 2, (uint32_t[]){table, ids}, 1, &e, &(ParamsGather){.axis = 0},
                   sizeof(ParamsGather), NULL, 0, "/embeddings/Gather");
    pb_instruction(b, TN_OP_norm, 4, (uint32_t[]){e, TN_NO_ID, gamma, beta}, 2,
                   (uint32_t[]){n, TN_NO_ID}, &(ParamsNorm){.epsilon = 1e-5f}, sizeof(ParamsNorm),
                   NULL, 0, "/norm");
    pb_instruction(b, TN_OP_gemm, 3, (uint32_t[]){n, w, bias}, 1, &g,
                   &(ParamsGemm){.activation = TN_ACT_GELU}, sizeof(ParamsGemm), NULL, 0, "/dense");
    pb_map(b, 2, (uint32_t[]){g, column}, y,
           &(TnMapStep){.op = TN_MAP_MUL, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {0, 1}}, 1,
           "/mask");
    pb_instruction(b, TN_OP_reduce, 1, &y, 1, &pooled,
                   &(ParamsReduce){.kind = TN_REDUCE_MEAN, .axes = 2}, sizeof(ParamsReduce), NULL,
                   0, "/pool");
    PlanValue dense = {.instruction = 2, .view = g, .name = pb_string(b, "dense")};
    pb_record(b, TN_SECTION_VALUES, &dense, sizeof dense);
    dense.instruction = 3;
    pb_record(b, TN_SECTION_VALUES, &dense, sizeof dense);
    pb_end(b);
}

static inline void tiny_double(PlanBuilder *b) {
    pb_begin(b, "double");
    uint32_t n = pb_symbol(b, "n", 0, 1000);
    uint32_t x = pb_input(b, "x", TN_F32, 1, &n, TN_DEFAULT_NONE),
             y = pb_output(b, "y", TN_F32, 1, &n);
    pb_map(b, 1, &x, y,
           &(TnMapStep){.op = TN_MAP_ADD, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {0, 0}}, 1,
           "/double");
    pb_end(b);
}

static inline unsigned char *tiny_plan(int64_t hidden, int64_t out, size_t *size) {
    PlanBuilder b = {0};
    pb_meta(&b, "source", "by hand");
    tiny_main(&b, hidden, out);
    tiny_double(&b);
    return pb_finish(&b, size);
}

#endif
