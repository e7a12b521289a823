/* Times kernels against what the machine can do at the same moment.
 *
 *     bench_kernels [--isa NAME] [--threads N] [--seconds S] [--json] [FILTER...]
 *
 * The clock and the memory of a shared machine drift, so peak arithmetic and read bandwidth are
 * measured between the rounds of every kernel, on the same threads. The figure to look at is
 * `roof`: the least time that peak and bandwidth allow, over the best time seen. "cold" kernels
 * take their weights from 512 MB in turn, as a model does; "hot" ones use the same weights again
 * and again. Kernels are called as the interpreter calls them. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "runtime/base/threads.h"
#include "runtime/instrs.h"
#include "runtime/kernels.h"
#include "runtime/pack.h"
#include "runtime/params.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MAX_LANES = 64 };
static const size_t POOL_FLOATS = (512u << 20) / sizeof(float);

typedef struct Bench {
    TnIsa isa;
    TnPool *pool;
    int threads;
    double seconds; /* per kernel */
    bool json;
    char **filters;
    int filter_count;
    float *weights, *activations, *result; /* 512 MB, 64 MB, 64 MB */
    int printed;
} Bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Peak arithmetic: independent multiplications and
 * additions in registers. Each returns its operations. */
enum { PEAK_STEPS = 20000, ACCUMULATORS = 24 };

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static double fma_avx512(void) {
    __m512 acc[ACCUMULATORS], x = _mm512_set1_ps(1.0001f), y = _mm512_set1_ps(0.5f);
    for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_set1_ps((float)i);
    for (int k = 0; k < PEAK_STEPS; k++) {
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_fmadd_ps(acc[i], y, x);
    }
    float sum = 0;
    for (int i = 0; i < ACCUMULATORS; i++) sum += _mm512_reduce_add_ps(acc[i]);
    volatile float keep = sum;
    (void)keep;
    return 32.0 * ACCUMULATORS * PEAK_STEPS;
}

/* 16 registers: 12 accumulators are as many as fit, and enough. */
__attribute__((target("avx2,fma"))) static double fma_avx2(void) {
    __m256 acc[ACCUMULATORS / 2], x = _mm256_set1_ps(1.0001f), y = _mm256_set1_ps(0.5f);
    for (int i = 0; i < ACCUMULATORS / 2; i++) acc[i] = _mm256_set1_ps((float)i);
    for (int k = 0; k < 2 * PEAK_STEPS; k++) {
#pragma GCC unroll 12
        for (int i = 0; i < ACCUMULATORS / 2; i++) acc[i] = _mm256_fmadd_ps(acc[i], y, x);
    }
    float sum = 0;
    for (int i = 0; i < ACCUMULATORS / 2; i++) sum += _mm256_cvtss_f32(acc[i]);
    volatile float keep = sum;
    (void)keep;
    return 16.0 * ACCUMULATORS * PEAK_STEPS;
}

#endif

static double madd_scalar(void) {
    float acc[32];
    for (int i = 0; i < 32; i++) acc[i] = (float)i;
    for (int k = 0; k < PEAK_STEPS; k++)
        for (int i = 0; i < 32; i++) acc[i] = acc[i] * 0.5f + 1.0001f;
    float sum = 0;
    for (int i = 0; i < 32; i++) sum += acc[i];
    volatile float keep = sum;
    (void)keep;
    return 64.0 * PEAK_STEPS;
}

typedef struct Probe {
    const Bench *bench;
    double flops;
    const float *from;
} Probe;

static void probe_peak(void *user, int64_t task, int lane) {
    Probe *p = user;
    (void)lane;
    double flops;
#if defined(__x86_64__)
    if (p->bench->isa == TN_ISA_AVX512)
        flops = fma_avx512();
    else if (p->bench->isa == TN_ISA_AVX2)
        flops = fma_avx2();
    else
#endif
        flops = madd_scalar();
    if (task == 0) p->flops = flops;
}

enum { READ_FLOATS = (4u << 20) / sizeof(float) }; /* per task */

static void probe_read(void *user, int64_t task, int lane) {
    const Probe *p = user;
    (void)lane;
    typedef int64_t Line __attribute__((vector_size(16)));
    const Line *from = (const Line *)(const void *)(p->from + task * READ_FLOATS);
    Line sum[4] = {{0}};
    for (size_t i = 0; i < READ_FLOATS / 4; i += 4) {
        __builtin_prefetch(from + i + 256);
        for (size_t j = 0; j < 4; j++) sum[j] += from[i + j];
    }
    volatile int64_t keep = (sum[0] + sum[1] + sum[2] + sum[3])[0];
    (void)keep;
}

typedef struct Roof {
    double flops, bytes; /* per second, best seen */
} Roof;

/* One more look at peak and bandwidth, about 5 ms. */
static void probe(const Bench *b, Roof *roof) {
    static size_t at;
    Probe p = {.bench = b, .from = b->weights + at};
    int64_t reads = 8 * b->threads;
    double t = now();
    tn_pool_run(b->pool, b->threads, probe_peak, &p, false);
    double peak = p.flops * b->threads / (now() - t);
    t = now();
    tn_pool_run(b->pool, reads, probe_read, &p, false);
    double bytes = (double)reads * READ_FLOATS * sizeof(float) / (now() - t);
    if (peak > roof->flops) roof->flops = peak;
    if (bytes > roof->bytes) roof->bytes = bytes;
    at += (size_t)reads * READ_FLOATS;
    if (at + (size_t)reads * READ_FLOATS > POOL_FLOATS) at = 0;
}

typedef struct Region {
    TnCall call;
    char *scratch;
    size_t stride;
} Region;

static void run_task(void *user, int64_t task, int lane) {
    Region *r = user;
    r->call.run(&r->call, task, r->scratch + (size_t)lane * r->stride);
}

static bool region_open(Region *r, const Bench *b, int opcode, const void *params,
                        TnTensor *operands, int inputs, const int64_t *scalars, int scalar_count) {
    const TnKernel *kernel = tn_kernel(b->isa, opcode);
    if (!kernel) return false;
    *r = (Region){.call = {.run = kernel->run,
                           .params = params,
                           .operands = operands,
                           .inputs = inputs,
                           .outputs = 1,
                           .scalars = scalars,
                           .scalar_count = scalar_count,
                           .opcode = opcode}};
    kernel->plan(&r->call);
    r->stride = (r->call.scratch_bytes + 63) / 64 * 64;
    r->scratch = r->stride ? aligned_alloc(64, r->stride * (size_t)b->threads) : NULL;
    return !r->stride || r->scratch;
}

static TnTensor dense(float *data, int rank, const int64_t *dims) {
    TnTensor t = {.data = data, .rank = rank, .dtype = TN_F32};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.dims[i] = dims[i];
        t.strides[i] = stride;
        stride *= dims[i];
    }
    return t;
}

/* `flops` and `bytes` of one run: what the machine must do at the least. */
static void report(Bench *b, const char *name, double best, double flops, double bytes, Roof roof) {
    double least =
        flops / roof.flops > bytes / roof.bytes ? flops / roof.flops : bytes / roof.bytes;
    if (b->json) {
        printf("%s{\"name\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"microseconds\":%.2f,\"gflops\":%"
               ".1f,\"gbytes\":%.1f,"
               "\"peak_gflops\":%.1f,\"read_gbytes\":%.1f,\"roof\":%.3f}",
               b->printed++ ? ",\n" : "[\n", name, tn_isa_name(b->isa), b->threads, best * 1e6,
               flops / best / 1e9, bytes / best / 1e9, roof.flops / 1e9, roof.bytes / 1e9,
               least / best);
        return;
    }
    if (!b->printed++)
        printf("%-32s %3s %12s %9s %9s %9s %9s %6s\n", tn_isa_name(b->isa), "thr", "microseconds",
               "GFLOP/s", "peak", "GB/s", "read", "roof");
    printf("%-32s %3d %12.1f %9.1f %9.1f %9.1f %9.1f %6.3f\n", name, b->threads, best * 1e6,
           flops / best / 1e9, roof.flops / 1e9, bytes / best / 1e9, roof.bytes / 1e9,
           least / best);
    fflush(stdout);
}

static bool wanted(const Bench *b, const char *name) {
    for (int i = 0; i < b->filter_count; i++)
        if (strstr(name, b->filters[i])) return true;
    return b->filter_count == 0;
}

/* Best time of one run; short ones are timed several at once. With copies, run after run takes the
 * next `floats` weights as `operand`. */
static double best_time(const Bench *b, Region *r, Roof *roof, int operand, size_t floats,
                        size_t copies) {
    double best = 1e9, end = now() + b->seconds, once = 1e-3;
    size_t copy = 0;
    for (int round = 0; round < 4 || now() < end; round++) {
        probe(b, roof);
        int64_t batch = (int64_t)(2e-4 / once) + 1;
        for (double start = now(), t = start; t - start < 0.02;) {
            for (int64_t i = 0; i < batch; i++) {
                if (copies) r->call.operands[operand].data = b->weights + floats * copy;
                copy = copy + 1 < copies ? copy + 1 : 0;
                tn_pool_run(b->pool, r->call.tasks, run_task, r, false);
            }
            double after = now();
            once = (after - t) / (double)batch;
            if (round && once < best) best = once;
            t = after;
        }
    }
    return best;
}

static void bench_gemm(Bench *b, int64_t m, int64_t n, int64_t k, bool cold, TnActivation act) {
    char name[64];
    snprintf(name, sizeof name, "gemm%s %lldx%lldx%lld %s", act == TN_ACT_GELU ? "+gelu" : "",
             (long long)m, (long long)n, (long long)k, cold ? "cold" : "hot");
    if (!wanted(b, name)) return;
    TnTensor operands[] = {dense(b->activations, 2, (int64_t[]){m, k}),
                           dense(b->weights, 2, (int64_t[]){k, n}), dense(b->activations, 1, &n),
                           dense(NULL, 0, NULL), dense(b->result, 2, (int64_t[]){m, n})};
    operands[1].layout = TN_LAYOUT_PANELS16;
    if (act == TN_ACT_NONE) operands[2].data = NULL;
    ParamsGemm params = {.activation = act};
    Region r;
    if (!region_open(&r, b, TN_OP_gemm, &params, operands, 4, NULL, 0)) return;
    size_t floats = (size_t)tn_panels_elements(k, n);
    Roof roof = {0};
    double best = best_time(b, &r, &roof, 1, floats, cold ? POOL_FLOATS / floats : 0);
    report(b, name, best, 2.0 * (double)m * (double)n * (double)k, cold ? 4.0 * (double)floats : 0,
           roof);
    free(r.scratch);
}

/* q, k, v as a fused projection leaves them: [s, 3, heads, d]. */
static void bench_attention(Bench *b, int64_t s, int64_t t, int64_t heads, int64_t d, bool causal) {
    char name[64];
    snprintf(name, sizeof name, "attention %lldx%lld%s", (long long)s, (long long)t,
             causal ? " causal" : "");
    if (!wanted(b, name)) return;
    int64_t row = 3 * heads * d;
    TnTensor operands[] = {dense(b->activations, 4, (int64_t[]){1, s, heads, d}),
                           dense(b->activations + heads * d, 4, (int64_t[]){1, t, heads, d}),
                           dense(b->activations + 2 * heads * d, 4, (int64_t[]){1, t, heads, d}),
                           dense(NULL, 0, NULL),
                           dense(NULL, 0, NULL),
                           dense(NULL, 0, NULL),
                           dense(b->result, 4, (int64_t[]){1, s, heads, d})};
    for (int i = 0; i < 3; i++) operands[i].strides[1] = row;
    ParamsAttention params = {.scale = 0.125f,
                              .mask_value = -3.4028235e38f,
                              .window_left = -1,
                              .window_right = -1,
                              .flags = causal ? TN_ATTENTION_CAUSAL : 0};
    int64_t offset = t - s;
    Region r;
    if (!region_open(&r, b, TN_OP_attention, &params, operands, 6, &offset, 1)) return;
    Roof roof = {0};
    double best = best_time(b, &r, &roof, 0, 0, 0), pairs = (double)s * (double)t;
    if (causal) pairs = (double)s * ((double)t + 1 - 0.5 * (double)(s + 1));
    report(b, name, best, 4.0 * pairs * (double)(heads * d), 0, roof);
    free(r.scratch);
}

/* A layer of a model: channels last, weights as the compiler stores them. */
typedef struct Conv {
    const char *name;
    int64_t channels, outputs, groups, height, width, kernel[2];
    uint32_t stride[2], pad[2];
} Conv;

static TnTensor channels_last(float *data, int64_t c, int64_t h, int64_t w) {
    TnTensor t = dense(data, 4, (int64_t[]){1, c, h, w});
    t.strides[1] = 1;
    t.strides[2] = w * c;
    t.strides[3] = c;
    return t;
}

static void bench_conv(Bench *b, const Conv *c) {
    char name[64];
    snprintf(name, sizeof name, "conv %s", c->name);
    if (!wanted(b, name)) return;
    int64_t per_group = c->channels / c->groups, k = per_group * c->kernel[0] * c->kernel[1];
    int64_t h = (c->height + 2 * c->pad[0] - c->kernel[0]) / c->stride[0] + 1;
    int64_t w = (c->width + 2 * c->pad[1] - c->kernel[1]) / c->stride[1] + 1;
    TnTensor operands[] = {channels_last(b->activations, c->channels, c->height, c->width),
                           dense(b->weights, 2, (int64_t[]){k, c->outputs}),
                           dense(b->activations, 1, &c->outputs),
                           channels_last(b->result, c->outputs, h, w)};
    operands[1].layout = TN_LAYOUT_PANELS16;
    ParamsConv params = {.spatial = 2, .groups = (uint32_t)c->groups};
    for (int i = 0; i < 2; i++) {
        params.kernel[i] = (uint32_t)c->kernel[i];
        params.stride[i] = c->stride[i];
        params.dilation[i] = 1;
        params.pad_begin[i] = params.pad_end[i] = c->pad[i];
    }
    if (!tn_conv_is_product(c->groups, c->outputs / c->groups)) {
        operands[1] =
            dense(b->weights, 4, (int64_t[]){c->outputs, per_group, c->kernel[0], c->kernel[1]});
        int64_t strides[] = {1, c->outputs, c->kernel[1] * per_group * c->outputs,
                             per_group * c->outputs};
        memcpy(operands[1].strides, strides, sizeof strides);
    }
    Region r;
    if (!region_open(&r, b, TN_OP_conv, &params, operands, 3, NULL, 0)) return;
    Roof roof = {0};
    double best = best_time(b, &r, &roof, 0, 0, 0), results = (double)(c->outputs * h * w);
    report(b, name, best, 2.0 * results * (double)k, 0, roof);
    free(r.scratch);
}

static void bench_convs(Bench *b) {
    static const Conv convs[] = {
        {"stem 7x7 s2 3>64 224x224", 3, 64, 1, 224, 224, {7, 7}, {2, 2}, {3, 3}},
        {"3x3 64 120x160", 64, 64, 1, 120, 160, {3, 3}, {1, 1}, {1, 1}},
        {"3x3 64 56x56", 64, 64, 1, 56, 56, {3, 3}, {1, 1}, {1, 1}},
        {"3x3 128 28x28", 128, 128, 1, 28, 28, {3, 3}, {1, 1}, {1, 1}},
        {"3x3 128 60x80", 128, 128, 1, 60, 80, {3, 3}, {1, 1}, {1, 1}},
        {"3x3 256 14x14", 256, 256, 1, 14, 14, {3, 3}, {1, 1}, {1, 1}},
        {"3x3 512 7x7", 512, 512, 1, 7, 7, {3, 3}, {1, 1}, {1, 1}},
        {"3x3 512 15x20", 512, 512, 1, 15, 20, {3, 3}, {1, 1}, {1, 1}},
        {"1x1 s2 256>512 56x56", 256, 512, 1, 56, 56, {1, 1}, {2, 2}, {0, 0}},
        {"4x4 s4 3>96 224x224", 3, 96, 1, 224, 224, {4, 4}, {4, 4}, {0, 0}},
        {"16x16 s16 3>768 224x224", 3, 768, 1, 224, 224, {16, 16}, {16, 16}, {0, 0}},
        {"2x2 s2 96>192 56x56", 96, 192, 1, 56, 56, {2, 2}, {2, 2}, {0, 0}},
        {"8x8 s8 32 128x128", 32, 32, 1, 128, 128, {8, 8}, {8, 8}, {0, 0}},
        {"depthwise 7x7 96 56x56", 96, 96, 96, 56, 56, {7, 7}, {1, 1}, {3, 3}},
        {"depthwise 7x7 192 28x28", 192, 192, 192, 28, 28, {7, 7}, {1, 1}, {3, 3}},
        {"depthwise 7x7 384 14x14", 384, 384, 384, 14, 14, {7, 7}, {1, 1}, {3, 3}},
        {"depthwise 7x7 768 7x7", 768, 768, 768, 7, 7, {7, 7}, {1, 1}, {3, 3}},
        {"depthwise unpadded 7x7 96 56x56", 96, 96, 96, 62, 62, {7, 7}, {1, 1}, {0, 0}},
        {"depthwise unpadded 3x3 128 128x128", 128, 128, 128, 130, 130, {3, 3}, {1, 1}, {0, 0}},
        {"depthwise 3x3 128 128x128", 128, 128, 128, 128, 128, {3, 3}, {1, 1}, {1, 1}},
        {"depthwise 3x3 1024 16x16", 1024, 1024, 1024, 16, 16, {3, 3}, {1, 1}, {1, 1}},
        {"k10 s5 1>512 16000", 1, 512, 1, 1, 16000, {1, 10}, {1, 5}, {0, 0}},
        {"k3 s2 512 3199", 512, 512, 1, 1, 3199, {1, 3}, {1, 2}, {0, 0}},
        {"k128 groups 16 768 49", 768, 768, 16, 1, 49, {1, 128}, {1, 1}, {0, 64}},
        {"k3 80>384 3000", 80, 384, 1, 1, 3000, {1, 3}, {1, 1}, {0, 1}},
        {"3x3 64>1 128x128", 64, 1, 1, 128, 128, {3, 3}, {1, 1}, {1, 1}},
    };
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) bench_conv(b, &convs[i]);
}

static void bench_all(Bench *b) {
    static const int64_t shapes[][3] = {
        {128, 768, 768},   {128, 2304, 768}, {128, 3072, 768}, {128, 768, 3072}, {128, 4096, 1024},
        {128, 1024, 4096}, {64, 768, 768},   {32, 768, 768},   {16, 768, 768},   {16, 3072, 768},
        {12, 768, 768},    {197, 768, 768},  {1024, 768, 768}, {1500, 384, 384}, {3136, 96, 384},
        {3136, 384, 96},   {49, 3072, 768},  {64, 64, 128}};
    static const int64_t few[] = {1, 2, 4, 6, 8};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int cold = 0; cold < 2; cold++)
            bench_gemm(b, shapes[i][0], shapes[i][1], shapes[i][2], cold, TN_ACT_NONE);
    bench_gemm(b, 128, 3072, 768, true, TN_ACT_GELU);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        bench_gemm(b, few[i], 3072, 768, true, TN_ACT_NONE);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        bench_gemm(b, few[i], 768, 3072, true, TN_ACT_NONE);
    static const int64_t lengths[] = {16, 128, 197, 512, 1500};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        bench_attention(b, lengths[i], lengths[i], 12, 64, false);
    bench_attention(b, 512, 512, 12, 64, true);
    bench_attention(b, 1, 512, 12, 64, true);
    bench_convs(b);
}

static bool parse(Bench *b, int argc, char **argv) {
    *b = (Bench){.isa = tn_cpu_isa(), .seconds = 0.3, .filters = argv};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--json"))
            b->json = true;
        else if (more && !strcmp(argv[i], "--isa")) {
            if (!tn_isa_parse(argv[++i], &b->isa) || b->isa > tn_cpu_isa()) return false;
        } else if (more && !strcmp(argv[i], "--threads"))
            b->threads = atoi(argv[++i]);
        else if (more && !strcmp(argv[i], "--seconds"))
            b->seconds = atof(argv[++i]);
        else if (argv[i][0] == '-')
            return false;
        else
            b->filters[b->filter_count++] = argv[i];
    }
    return b->threads >= 0 && b->threads <= MAX_LANES;
}

int main(int argc, char **argv) {
    Bench b;
    if (!parse(&b, argc, argv)) {
        fprintf(
            stderr,
            "usage: bench_kernels [--isa NAME] [--threads N] [--seconds S] [--json] [FILTER...]\n");
        return 2;
    }
    size_t small = 64u << 20;
    b.weights = aligned_alloc(4096, POOL_FLOATS * sizeof(float) + small);
    b.activations = aligned_alloc(4096, small);
    b.result = aligned_alloc(4096, small);
    if (!b.weights || !b.activations || !b.result) return 1;
    for (size_t i = 0; i < POOL_FLOATS + small / sizeof(float); i++)
        b.weights[i] = (float)(i % 1021) / 1021 - 0.5f;
    for (size_t i = 0; i < small / sizeof(float); i++)
        b.activations[i] = (float)(i % 509) / 509 - 0.5f;
    memset(b.result, 0, small);
    int first = b.threads ? b.threads : 1, last = b.threads ? b.threads : tn_cpu_count();
    for (b.threads = first; b.threads <= last && b.threads <= 2 * first; b.threads++) {
        b.pool = b.threads > 1 ? tn_pool_new(b.threads) : NULL;
        bench_all(&b);
        tn_pool_free(b.pool);
    }
    if (b.json) printf("%s]\n", b.printed ? "\n" : "[");
    free(b.weights), free(b.activations), free(b.result);
    return 0;
}
