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
    ParamsGemm params = {act};
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
