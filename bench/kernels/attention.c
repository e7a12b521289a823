/* attention: whole sequences, as a fused projection leaves q, k and v, and single queries over the
 * keys and values of a state. */
#include <stdio.h>
#include "bench/kernels/bench.h"

typedef enum Bias { NO_BIAS, OF_PAIRS, OF_DISTANCES } Bias;

typedef struct Shape {
    const char *name;
    int64_t queries, keys, heads, kv_heads, width;
    bool causal, state;
    double target; /* with one thread; 2 threads: 95 % of twice that */
    Bias bias;
} Shape;

static const Shape shapes[] = {
    {"11 width 8 heads 12", 11, 11, 12, 12, 8, false, false, 0, NO_BIAS},
    {"16", 16, 16, 12, 12, 64, false, false, 0, NO_BIAS},
    {"128", 128, 128, 12, 12, 64, false, false, 0.77, NO_BIAS},
    {"197", 197, 197, 12, 12, 64, false, false, 0.70, NO_BIAS},
    {"512", 512, 512, 12, 12, 64, false, false, 0.80, NO_BIAS},
    {"1500", 1500, 1500, 6, 6, 64, false, false, 0.82, NO_BIAS},
    {"128 causal", 128, 128, 12, 12, 64, true, false, 0, NO_BIAS},
    {"512 causal", 512, 512, 12, 12, 64, true, false, 0, NO_BIAS},
    {"512 causal gqa 12/4", 512, 512, 12, 4, 64, true, false, 0, NO_BIAS},
    {"64 width 32 heads 24", 64, 64, 24, 24, 32, false, false, 0, NO_BIAS},
    {"49 width 32 heads 24 bias", 49, 49, 24, 24, 32, false, false, 0, OF_PAIRS},
    {"512 distances", 512, 512, 8, 8, 64, false, false, 0, OF_DISTANCES},
    {"decode past 64", 1, 65, 12, 12, 64, true, true, 0, NO_BIAS},
    {"decode past 1024", 1, 1025, 12, 12, 64, true, true, 0, NO_BIAS},
    {"decode past 1024 gqa 12/4", 1, 1025, 12, 4, 64, true, true, 0, NO_BIAS},
    {"decode past 1024 gqa 32/8", 1, 1025, 32, 8, 64, true, true, 0, NO_BIAS},
    {"decode past 1024 gqa 28/4", 1, 1025, 28, 4, 64, true, true, 0, NO_BIAS},
    {"decode past 1024 mqa 12", 1, 1025, 12, 1, 64, true, true, 0, NO_BIAS},
    {"4 queries past 1024", 4, 1028, 12, 12, 64, true, true, 0, NO_BIAS},
    {"16 queries past 1024", 16, 1040, 12, 12, 64, true, true, 0, NO_BIAS},
};

/* Rows of a fused projection [t, q + k + v], or of a state [heads, t, d], which a run reads from
 * memory. */
static TnTensor keys(const Shape *s, void *data, TnDType type, int64_t row) {
    int64_t dims[] = {1, s->keys, s->kv_heads, s->width};
    TnTensor t = bench_dense(data, type, 4, dims);
    t.strides[1] = s->state ? s->width : row;
    t.strides[2] = s->state ? s->keys * s->width : s->width;
    return t;
}

static void one(Bench *b, const Shape *s, TnDType type) {
    int64_t size = (int64_t)tn_dtype_size(type);
    bool bf16 = type == TN_BF16;
    ParamsAttention params = {.scale = 0.125f,
                              .mask_value = -3.4028235e38f,
                              .window_left = -1,
                              .window_right = -1,
                              .flags = s->causal ? TN_ATTENTION_CAUSAL : 0};
    int64_t d = s->width, q_row = s->heads * d, kv_row = s->kv_heads * d, row = q_row + 2 * kv_row;
    int64_t dims[] = {1, s->queries, s->heads, d};
    double pairs = (double)s->queries * (double)s->keys;
    if (s->causal) pairs -= 0.5 * (double)s->queries * (double)(s->queries - 1);
    Case c = {.opcode = TN_OP_attention,
              .params = &params,
              .inputs = 6,
              .outputs = 1,
              .scalars = {s->keys - s->queries},
              .scalar_count = 1,
              .flops = 4 * pairs * (double)q_row,
              .type = bf16 ? ROOFLINE_BF16 : ROOFLINE_F32,
              .bytes = 2.0 * (double)size * (double)(s->queries * q_row + s->keys * kv_row),
              .target = {s->target, 0.95 * s->target}};
    snprintf(c.name, sizeof c.name, "attention%s %s", bf16 ? "-bf16" : "", s->name);
    char *kv = s->state ? (char *)b->weights : (char *)b->activations + q_row * size;
    c.operands[0] = bench_dense(b->activations, type, 4, dims);
    if (!s->state) c.operands[0].strides[1] = row;
    c.operands[1] = keys(s, kv, type, row);
    c.operands[2] = keys(s, kv + (s->state ? s->keys : 1) * kv_row * size, type, row);
    for (int i = 3; i < 6; i++) c.operands[i] = bench_absent();
    if (s->bias) {
        bool full = s->bias == OF_PAIRS;
        int64_t distances = s->queries + s->keys + 1,
                bias[] = {1, s->heads, full ? s->queries : 1, full ? s->keys : distances};
        c.operands[5] = bench_dense(b->weights, TN_F32, 4, bias);
    }
    c.operands[6] = bench_dense(b->result, type, 4, dims);
    if (s->state) {
        c.cold = 1u << 1 | 1u << 2;
        c.cold_bytes = (size_t)(2 * size * s->keys * kv_row);
    } else {
        c.span = (size_t)c.bytes;
    }
    if (bf16 || b->isa < TN_ISA_AVX512) c.target[0] = c.target[1] = 0;
    bench_case(b, &c);
}

void bench_attention(Bench *b) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) one(b, &shapes[i], TN_F32);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) one(b, &shapes[i], TN_BF16);
}
