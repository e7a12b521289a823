/* gather, copy: elements that only move. */
#include <stdio.h>
#include <string.h>
#include "bench/kernels/bench.h"

static void set_bytes(Case *c, int64_t elements) {
    c->bytes = 8.0 * (double)elements;
    c->span = (size_t)c->bytes;
    c->copies = true;
}

/* Rows of a table at scattered places, from memory. */
static void gather(Bench *b, int64_t count, int64_t rows, int64_t n, bool panels) {
    ParamsGather params = {0};
    int64_t *index = (int64_t *)(void *)b->more;
    for (int64_t i = 0; i < count; i++) index[i] = i * 7919 % rows;
    Case c = {.opcode = TN_OP_gather, .params = &params, .inputs = 2, .outputs = 1};
    snprintf(c.name, sizeof c.name, "gather %lld of %lldx%lld%s", (long long)count, (long long)rows,
             (long long)n, panels ? " packed" : "");
    c.operands[0] = bench_dense(b->weights, TN_F32, 2, (int64_t[]){rows, n});
    if (panels) {
        c.operands[0] = bench_dense(b->weights, TN_F32, 2, (int64_t[]){n, rows});
        c.operands[0].layout = TN_LAYOUT_PANELS16;
    }
    c.operands[1] = bench_dense(index, TN_I64, 1, &count);
    c.operands[2] = bench_dense(b->result, TN_F32, 2, (int64_t[]){count, n});
    set_bytes(&c, count * n);
    bench_case(b, &c);
    for (int64_t i = 0; i < 2 * count; i++) b->more[i] = 0.25f; /* numbers again */
}

typedef struct Transposition {
    const char *name;
    int rank;
    int64_t dims[4]; /* of the result */
    int from[4];     /* axis i of the result is axis from[i] of the dense source */
} Transposition;

static const Transposition transpositions[] = {
    {"as it is 4096x3072", 2, {4096, 3072}, {0, 1}},
    {"transpose 768x768", 2, {768, 768}, {1, 0}},
    {"transpose 3136x96", 2, {3136, 96}, {1, 0}},
    {"heads 128x12x64", 4, {1, 12, 128, 64}, {0, 2, 1, 3}},
    {"heads back 128x12x64", 4, {1, 128, 12, 64}, {0, 2, 1, 3}},
    {"to channels last 96x56x56", 4, {1, 56, 56, 96}, {0, 2, 3, 1}},
    {"to channels first 56x56x96", 4, {1, 96, 56, 56}, {0, 3, 1, 2}},
};

static void copy(Bench *b, const Transposition *t) {
    ParamsCopy params = {0};
    int64_t source[4] = {1, 1, 1, 1}, strides[4], n = 1;
    Case c = {.opcode = TN_OP_copy, .params = &params, .inputs = 1, .outputs = 1};
    snprintf(c.name, sizeof c.name, "copy %s", t->name);
    for (int i = 0; i < t->rank; i++) source[t->from[i]] = t->dims[i];
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[i] = n;
        n *= source[i];
    }
    c.operands[0] = bench_dense(b->activations, TN_F32, t->rank, t->dims);
    for (int i = 0; i < t->rank; i++) c.operands[0].strides[i] = strides[t->from[i]];
    c.operands[1] = bench_dense(b->result, TN_F32, t->rank, t->dims);
    set_bytes(&c, n);
    bench_case(b, &c);
}

void bench_move(Bench *b) {
    gather(b, 128, 30522, 768, false);
    gather(b, 128, 50257, 768, true);
    for (size_t i = 0; i < sizeof transpositions / sizeof *transpositions; i++)
        copy(b, &transpositions[i]);
}
