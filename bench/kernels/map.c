/* map: elementwise programs. Functions run in L1 and count in cycles per 16 elements; what only
 * moves through is bounded by copying. */
#include <stdio.h>
#include "bench/kernels/bench.h"

typedef struct Function {
    const char *name;
    TnMapOp op;
    double slots; /* target: 512-bit multiply-adds per 16 elements */
} Function;

static const Function functions[] = {
    {"exp", TN_MAP_EXP, 12},   {"erf", TN_MAP_ERF, 32},
    {"gelu", TN_MAP_GELU, 16}, {"gelu_tanh", TN_MAP_GELU_TANH, 0},
    {"tanh", TN_MAP_TANH, 0},  {"sigmoid", TN_MAP_SIGMOID, 0},
    {"silu", TN_MAP_SILU, 0},  {"log", TN_MAP_LOG, 0},
    {"sin", TN_MAP_SIN, 0},
};

typedef union Program {
    ParamsMap record;
    unsigned char space[sizeof(ParamsMap) + 4 * sizeof(TnMapStep)];
} Program;

static void add_step(Program *p, TnMapOp op, int a, int b) {
    p->record.step[p->record.steps++] = (TnMapStep){
        .op = (uint8_t)op, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {(uint8_t)a, (uint8_t)b}};
}

/* Input and result together leave some of 32 KB free. */
static void function(Bench *b, const Function *f) {
    int64_t n = 3072;
    Program p = {0};
    add_step(&p, f->op, 0, 0);
    Case c = {.opcode = TN_OP_map,
              .params = &p,
              .inputs = 1,
              .outputs = 1,
              .figure = FIGURE_CYCLES,
              .elements = (double)n};
    snprintf(c.name, sizeof c.name, "map %s in L1", f->name);
    c.operands[0] = bench_dense(b->activations, TN_F32, 1, &n);
    c.operands[1] = bench_dense(b->result, TN_F32, 1, &n);
    if (b->isa >= TN_ISA_AVX512) c.slots = f->slots;
    bench_case(b, &c);
}

/* y = a + b over [rows, columns], b of rows or one row for all. */
static void sum(Bench *b, int64_t rows, int64_t columns, bool broadcast) {
    int64_t dims[] = {rows, columns};
    Program p = {0};
    add_step(&p, TN_MAP_ADD, 0, 1);
    double bytes = 4.0 * (double)(rows * columns) * (broadcast ? 2 : 3);
    Case c = {.opcode = TN_OP_map,
              .params = &p,
              .inputs = 2,
              .outputs = 1,
              .flops = (double)(rows * columns),
              .bytes = bytes,
              .span = (size_t)bytes,
              .copies = true};
    snprintf(c.name, sizeof c.name, "map add%s %lldx%lld", broadcast ? " row" : "", (long long)rows,
             (long long)columns);
    c.operands[0] = bench_dense(b->activations, TN_F32, 2, dims);
    c.operands[1] = bench_dense(b->more, TN_F32, 2, dims);
    if (broadcast) c.operands[1].strides[0] = 0;
    c.operands[2] = bench_dense(b->result, TN_F32, 2, dims);
    bench_case(b, &c);
}

/* y[q, h, l, p, 2] = a + b, b the same for all h and p: places around reference points. */
static void points(Bench *b, int64_t queries, int64_t heads, int64_t levels, int64_t count) {
    int64_t dims[] = {queries, heads, levels, count, 2}, few[] = {queries, 1, levels, 1, 2};
    int64_t n = 2 * queries * heads * levels * count;
    Program p = {0};
    add_step(&p, TN_MAP_ADD, 0, 1);
    Case c = {.opcode = TN_OP_map,
              .params = &p,
              .inputs = 2,
              .outputs = 1,
              .flops = (double)n,
              .bytes = 8 * (double)n,
              .span = 8 * (size_t)n,
              .copies = true};
    snprintf(c.name, sizeof c.name, "map add points %lldx%lldx%lldx%lld", (long long)queries,
             (long long)heads, (long long)levels, (long long)count);
    c.operands[0] = bench_dense(b->activations, TN_F32, 5, dims);
    c.operands[1] = bench_dense(b->more, TN_F32, 5, few);
    c.operands[2] = bench_dense(b->result, TN_F32, 5, dims);
    bench_case(b, &c);
}

void bench_map(Bench *b) {
    for (size_t i = 0; b->threads == 1 && i < sizeof functions / sizeof *functions; i++)
        function(b, &functions[i]);
    sum(b, 128, 768, false);
    sum(b, 128, 768, true);
    sum(b, 4096, 3072, false);
    points(b, 3024, 8, 3, 4);
}
