/* gemm, and matmul_int with packed weights: products of activations with weights, [m, k] x [k, n].
 * Few rows read the weights as fast as memory gives them; many keep the multipliers busy. Weights
 * in records are multiplied with two limbs of 8 bits where the CPU multiplies these, else as
 * floats.
 */
#include <stdio.h>
#include "bench/kernels/bench.h"

/* How weights are stored. */
typedef struct Form {
    const char *name;
    TnDType dtype;
    TnLayout layout;
    RooflineType type;
} Form;

static const Form forms[] = {
    {"gemm", TN_F32, TN_LAYOUT_PANELS16, ROOFLINE_F32},
    {"gemm-bf16", TN_BF16, TN_LAYOUT_PAIRS16, ROOFLINE_BF16},
    {"gemm-f16", TN_F16, TN_LAYOUT_PANELS16, ROOFLINE_F32},
    {"gemm-int8w", TN_F32, TN_LAYOUT_RECORDS8, ROOFLINE_F32},
    {"gemm-int4w", TN_F32, TN_LAYOUT_RECORDS4, ROOFLINE_F32},
};

/* Least rows, and the share of the roof that cold products of so many rows should reach. */
typedef struct Target {
    int64_t rows;
    double one, more;
} Target;

static const Target f32_targets[] = {{64, 0.92, 0.90}, {32, 0.88, 0.80}, {16, 0.85, 0.80},
                                     {5, 0, 0},        {2, 0.88, 0.85},  {1, 0.92, 0.85}},
                    bf16_targets[] = {{128, 0.92, 0.90},
                                      {5, 0, 0},
                                      {2, 0.88, 0.85},
                                      {1, 0.92, 0.85}},
                    record_targets[] = {{5, 0, 0}, {1, 0.88, 0.85}},
                    avx2_targets[] = {{64, 0.88, 0.88}, {1, 0, 0}};

static void set_target(const Bench *b, Case *c, const Form *f, int64_t m) {
    if (b->isa == TN_ISA_SCALAR || f->dtype == TN_F16) return; /* widened: nothing was asked */
    const Target *t = tn_is_records(f->layout)  ? record_targets
                      : f->dtype == TN_BF16     ? bf16_targets
                      : b->isa >= TN_ISA_AVX512 ? f32_targets
                                                : avx2_targets;
    while (m < t->rows) t++;
    c->target[0] = t->one;
    c->target[1] = t->more;
}

static void product(Bench *b, const Form *f, int64_t m, int64_t n, int64_t k, bool cold,
                    TnActivation act) {
    ParamsGemm params = {.activation = act};
    int64_t stored[] = {k, n}, size = (int64_t)tn_dtype_size(f->dtype);
    int64_t stored_bytes = tn_packed_elements(f->layout, k, n) * size;
    Case c = {.opcode = TN_OP_gemm,
              .params = &params,
              .inputs = 4,
              .outputs = 1,
              .flops = 2.0 * (double)(m * n * k),
              .bytes = (double)stored_bytes,
              .type = f->type,
              .span = cold ? 0 : (size_t)(stored_bytes + 4 * m * (n + k)),
              .cold = cold ? 1u << 1 : 0,
              .cold_bytes = (size_t)stored_bytes};
    snprintf(c.name, sizeof c.name, "%s%s %lldx%lldx%lld %s", f->name,
             act == TN_ACT_GELU ? "+gelu" : "", (long long)m, (long long)n, (long long)k,
             cold ? "cold" : "hot");
    if (tn_is_records(f->layout) && b->isa >= TN_ISA_AVX512_VNNI) {
        c.type = ROOFLINE_I8;
        c.passes = 2;
    }
    TnDType t = f->layout == TN_LAYOUT_PAIRS16 ? TN_BF16 : TN_F32; /* of what is no weight */
    c.operands[0] = bench_dense(b->activations, t, 2, (int64_t[]){m, k});
    c.operands[1] = bench_dense(b->weights, f->dtype, 2, stored);
    c.operands[1].layout = (uint8_t)f->layout;
    c.operands[2] = act ? bench_dense(b->more, TN_F32, 1, &n) : bench_absent();
    c.operands[3] = bench_absent();
    c.operands[4] = bench_dense(b->result, t, 2, (int64_t[]){m, n});
    if (cold && !act) set_target(b, &c, f, m);
    bench_case(b, &c);
}

/* Their columns and rows. */
static const int64_t weights[][2] = {{768, 768}, {2304, 768}, {3072, 768}, {768, 3072}};

static void products(Bench *b, const Form *f) {
    static const int64_t rows[] = {1, 2, 4, 8, 16, 32, 64, 128, 197, 1500};
    static const int64_t hot[][3] = {
        {1, 768, 768},   {2, 768, 768},    {4, 768, 768},    {8, 768, 768},    {16, 768, 768},
        {128, 768, 768}, {128, 3072, 768}, {128, 768, 3072}, {1500, 384, 384}, {3136, 96, 384},
        {3136, 384, 96}, {49, 3072, 768},  {12, 768, 768},   {64, 64, 128}};
    for (size_t w = 0; w < sizeof weights / sizeof *weights; w++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            product(b, f, rows[i], weights[w][0], weights[w][1], true, TN_ACT_NONE);
    product(b, f, 128, 3072, 768, true, TN_ACT_GELU);
    for (size_t i = 0; i < sizeof hot / sizeof *hot; i++)
        product(b, f, hot[i][0], hot[i][1], hot[i][2], false, TN_ACT_NONE);
}

/* 8-bit integers, exact sums: u8 with a zero per tensor by i8. */
static void product_int(Bench *b, int64_t m, int64_t n, int64_t k, bool cold) {
    static uint8_t zero = 128;
    int64_t stored[] = {k, n};
    size_t bytes = (size_t)tn_packed_elements(TN_LAYOUT_QUADS16, k, n);
    Case c = {.opcode = TN_OP_matmul_int,
              .inputs = 4,
              .outputs = 1,
              .flops = 2.0 * (double)(m * n * k),
              .bytes = (double)bytes,
              .type = ROOFLINE_I8,
              .span = cold ? 0 : bytes + (size_t)(m * (4 * n + k)),
              .cold = cold ? 1u << 1 : 0,
              .cold_bytes = (bytes + 63) / 64 * 64};
    snprintf(c.name, sizeof c.name, "gemm-int8 %lldx%lldx%lld %s", (long long)m, (long long)n,
             (long long)k, cold ? "cold" : "hot");
    c.operands[0] = bench_dense(b->activations, TN_U8, 2, (int64_t[]){m, k});
    c.operands[1] = bench_dense(b->weights, TN_I8, 2, stored);
    c.operands[1].layout = TN_LAYOUT_QUADS16;
    c.operands[2] = bench_dense(&zero, TN_U8, 2, (int64_t[]){m, 1});
    c.operands[2].strides[0] = 0;
    c.operands[3] = bench_absent();
    c.operands[4] = bench_dense(b->result, TN_I32, 2, (int64_t[]){m, n});
    if (cold && b->isa >= TN_ISA_AVX512_VNNI && m >= 128) {
        c.target[0] = 0.92;
        c.target[1] = 0.90;
    }
    bench_case(b, &c);
}

static void products_int(Bench *b) {
    static const int64_t rows[] = {1, 16, 128, 197, 1500};
    for (size_t w = 0; w < sizeof weights / sizeof *weights; w++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            product_int(b, rows[i], weights[w][0], weights[w][1], true);
    product_int(b, 128, 768, 768, false);
}

void bench_gemm(Bench *b) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) products(b, &forms[i]);
    products_int(b);
}
