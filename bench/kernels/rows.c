/* norm, group_norm, softmax, reduce: rows read and written once, at best as fast as they can be
 * copied. */
#include <stdio.h>
#include "bench/kernels/bench.h"

static void set_bytes(Case *c, double bytes) {
    c->bytes = bytes;
    c->span = (size_t)bytes;
    c->copies = true;
}

static void norm(Bench *b, int64_t rows, int64_t n, bool rms, bool residual) {
    ParamsNorm params = {.epsilon = 1e-5f, .rms = rms};
    int64_t dims[] = {rows, n};
    double size = 4.0 * (double)(rows * n);
    Case c = {.opcode = TN_OP_norm,
              .params = &params,
              .inputs = 4,
              .outputs = 2,
              .flops = (residual ? 8 : 7) * (double)(rows * n)};
    snprintf(c.name, sizeof c.name, "norm %s%s %lldx%lld", rms ? "rms" : "layer",
             residual ? " of a sum" : "", (long long)rows, (long long)n);
    c.operands[0] = bench_dense(b->activations, TN_F32, 2, dims);
    c.operands[1] = residual ? bench_dense(b->more, TN_F32, 2, dims) : bench_absent();
    c.operands[2] = bench_dense(b->weights, TN_F32, 1, &n);
    c.operands[3] = rms ? bench_absent() : bench_dense(b->weights + n, TN_F32, 1, &n);
    c.operands[4] = bench_dense(b->result, TN_F32, 2, dims);
    c.operands[5] = residual ? bench_dense(b->result + rows * n, TN_F32, 2, dims) : bench_absent();
    set_bytes(&c, (residual ? 4 : 2) * size);
    bench_case(b, &c);
}

static void group_norm(Bench *b, int64_t places, int64_t n, uint32_t groups) {
    ParamsGroupNorm params = {.epsilon = 1e-5f, .groups = groups};
    int64_t dims[] = {1, places, n};
    Case c = {.opcode = TN_OP_group_norm,
              .params = &params,
              .inputs = 3,
              .outputs = 1,
              .flops = 7 * (double)(places * n)};
    snprintf(c.name, sizeof c.name, "group_norm %lldx%lld by %u", (long long)places, (long long)n,
             groups);
    c.operands[0] = bench_dense(b->activations, TN_F32, 3, dims);
    c.operands[1] = bench_dense(b->weights, TN_F32, 1, &n);
    c.operands[2] = bench_dense(b->weights + n, TN_F32, 1, &n);
    c.operands[3] = bench_dense(b->result, TN_F32, 3, dims);
    set_bytes(&c, 8.0 * (double)(places * n));
    bench_case(b, &c);
}

static void softmax(Bench *b, int64_t rows, int64_t n) {
    ParamsSoftmax params = {.axis = 1};
    int64_t dims[] = {rows, n};
    Case c = {.opcode = TN_OP_softmax,
              .params = &params,
              .inputs = 1,
              .outputs = 1,
              .flops = 5 * (double)(rows * n)};
    snprintf(c.name, sizeof c.name, "softmax %lldx%lld", (long long)rows, (long long)n);
    c.operands[0] = bench_dense(b->activations, TN_F32, 2, dims);
    c.operands[1] = bench_dense(b->result, TN_F32, 2, dims);
    set_bytes(&c, 8.0 * (double)(rows * n));
    bench_case(b, &c);
}

/* Sums of the rows, or of the columns. */
static void reduce(Bench *b, int64_t rows, int64_t n, bool columns) {
    ParamsReduce params = {.kind = TN_REDUCE_SUM, .axes = columns ? 1 : 2};
    int64_t dims[] = {rows, n}, left[] = {columns ? 1 : rows, columns ? n : 1};
    Case c = {.opcode = TN_OP_reduce,
              .params = &params,
              .inputs = 1,
              .outputs = 1,
              .flops = (double)(rows * n),
              .bytes = 4.0 * (double)(rows * n)};
    c.span = (size_t)c.bytes;
    snprintf(c.name, sizeof c.name, "reduce %s %lldx%lld", columns ? "columns" : "rows",
             (long long)rows, (long long)n);
    c.operands[0] = bench_dense(b->activations, TN_F32, 2, dims);
    c.operands[1] = bench_dense(b->result, TN_F32, 2, left);
    bench_case(b, &c);
}

void bench_rows(Bench *b) {
    static const int64_t norms[][2] = {{128, 768}, {197, 768}, {1500, 384}, {3136, 96}};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        norm(b, norms[i][0], norms[i][1], false, false);
        norm(b, norms[i][0], norms[i][1], false, true);
    }
    norm(b, 128, 768, true, false);
    norm(b, 1, 768, false, true);
    group_norm(b, 9216, 256, 32);
    group_norm(b, 576, 256, 32);
    softmax(b, 1536, 128);
    softmax(b, 128, 50257);
    softmax(b, 12544, 49);
    reduce(b, 3136, 96, false);
    reduce(b, 3136, 96, true);
    reduce(b, 128, 768, true);
}
