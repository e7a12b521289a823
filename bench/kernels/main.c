/* bench_kernels: options, memory, and the families in turn; see bench.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/kernels/bench.h"

enum { MAX_THREADS = 64 };

TnTensor bench_dense(void *data, TnDType dtype, int rank, const int64_t *dims) {
    TnTensor t = {.data = data, .rank = rank, .dtype = (uint8_t)dtype};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.dims[i] = dims[i];
        t.strides[i] = stride;
        stride *= dims[i];
    }
    return t;
}

TnTensor bench_absent(void) {
    return (TnTensor){.dtype = TN_NONE};
}

TnTensor bench_image(float *data, int64_t c, int64_t h, int64_t w) {
    TnTensor t = bench_dense(data, TN_F32, 4, (int64_t[]){1, c, h, w});
    t.strides[1] = 1;
    t.strides[2] = w * c;
    t.strides[3] = c;
    return t;
}

double bench_bytes(const TnTensor *t) {
    double n = (double)tn_dtype_size((TnDType)t->dtype);
    for (int i = 0; i < t->rank; i++) n *= (double)t->dims[i];
    return n;
}

bool bench_wants(const Bench *b, const char *name) {
    for (int i = 0; i < b->filter_count; i++)
        if (strstr(name, b->filters[i])) return true;
    return b->filter_count == 0;
}

static const char USAGE[] =
    "usage: bench_kernels [--isa NAME] [--threads N] [--seconds S] [--below] [--json] [FILTER...]\n"
    "times the kernels whose names contain a FILTER (all) beside what the machine can do\n"
    "  --seconds S  of every kernel (0.15)\n"
    "  --below      those only that miss their target\n"
    "figures: roof, the least time that peak arithmetic and bandwidth allow over the time;\n"
    "us, microseconds; cycles, per 16 elements in L1. Targets in cycles follow from how many "
    "512-bit\n"
    "multiply-adds this core does per cycle, 1 or 2 as measured; in brackets: the target with 2.\n";

static bool parse(Bench *b, int argc, char **argv) {
    *b = (Bench){.isa = tn_cpu_isa(), .seconds = 0.15, .filters = argv};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--json"))
            b->json = true;
        else if (!strcmp(argv[i], "--below"))
            b->below = true;
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
    return b->threads >= 0 && b->threads <= MAX_THREADS;
}

/* Floats from -0.5 to 0.5 whose halves are the same number as bf16, too: random ones would be NaN
 * here and there, which kernels treat apart. */
static float *numbers(size_t bytes, size_t period) {
    float *x = aligned_alloc(4096, bytes);
    for (size_t i = 0; x && i < bytes / sizeof *x; i++) {
        float number = (float)(i % period) / (float)period - 0.5f;
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        bits = bits >> 16 | (bits >> 16) << 16;
        memcpy(&x[i], &bits, sizeof bits);
    }
    return x;
}

/* Where the pool's threads stand by, as in a run. */
static void run_families(void *user) {
    Bench *b = user;
    bench_region(b);
    bench_plan(b);
    for (b->pass = 0; b->pass < PASSES; b->pass++) {
        b->row = 0;
        bench_gemm(b);
        bench_attention(b);
        bench_conv(b);
        bench_map(b);
        bench_rows(b);
        bench_move(b);
        bench_window(b);
    }
}

static void run_with(Bench *b, int threads) {
    b->threads = threads;
    b->issue = b->memory[0] = b->memory[1] = 0;
    memset(b->flops, 0, sizeof b->flops);
    b->pool = threads > 1 ? tn_pool_new(threads) : NULL;
    b->probe = (RooflineProbe){.pool = b->pool,
                               .threads = threads,
                               .isa = b->isa,
                               .memory = b->probe.memory,
                               .bytes = WEIGHT_BYTES};
    tn_pool_enter(b->pool, run_families, b);
    rounds_free(b);
    tn_pool_free(b->pool);
}

int main(int argc, char **argv) {
    Bench b;
    if (!parse(&b, argc, argv)) {
        fputs(USAGE, stderr);
        return 2;
    }
    b.weights = numbers(WEIGHT_BYTES, 1021);
    b.activations = numbers(SMALL_BYTES, 509);
    b.more = numbers(SMALL_BYTES, 251);
    b.result = numbers(SMALL_BYTES, 127);
    b.probe.memory =
        (char *)numbers(WEIGHT_BYTES, 1021); /* not what a kernel then finds in a cache */
    if (!b.probe.memory || !b.weights || !b.activations || !b.more || !b.result) return 1;
    int asked = b.threads, all = tn_cpu_count();
    run_with(&b, asked ? asked : 1);
    if (!asked && all > 1) run_with(&b, all);
    if (b.json) printf("%s]\n", b.printed ? "\n" : "[");
    free(b.probe.memory), free(b.weights), free(b.activations), free(b.more), free(b.result);
    return 0;
}
