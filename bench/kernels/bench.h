/* Times kernels against what the machine can do at the same moment.
 *
 *     bench_kernels [--isa NAME] [--threads N] [--seconds S] [--below] [--json] [FILTER...]
 *
 * A family (a file beside this one) is a table of cases and a function that makes a Case of each
 * and hands it to bench_case. That measures many short rounds, each a look at the machine
 * (bench/roofline) and some runs of the kernel right after it, and prints a row with one figure:
 *
 *     roof    the least time that peak arithmetic and the memory's bandwidth allow, over the time
 *     cycles  per 16 elements, as measured; the clock is counted in the same rounds
 *     us      microseconds
 *
 * What the machine can do and what the kernel takes are both what the best tenth of the rounds
 * reaches: moments that are good for only one of them decide nothing. Rounds during which something
 * else used the cores are set aside, unless few are left (Rounds, rounds.c). The table is gone
 * through several times, so that the rounds of a row lie far apart and a disturbance of seconds
 * meets only some of them. Microseconds are the least of all rounds; with one thread they are its
 * processor's time.
 *
 * "cold" cases take their weights from 256 MB in turn, as a model does; "hot" ones use the same
 * again and again, and what bounds them is the bandwidth of where a working set of their size lies.
 * A case has a target where there is a figure that it should reach (on the widest instruction set,
 * but for products): a row that does not is marked. Targets in cycles belong to a width of core, so
 * they are said in slots, 512-bit multiply-adds that 16 elements may take the time of: 12 of exp
 * are 6 cycles where a core does two of them per cycle, and 12 cycles where its units are half as
 * wide and it does one. Which of both this core is tell peak and clock of the same rounds; the row
 * has the target that follows, and behind it the one of full width. */
#ifndef TENON_BENCH_KERNELS_BENCH_H
#define TENON_BENCH_KERNELS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/roofline/roofline.h"
#include "runtime/instrs.h"
#include "runtime/kernels.h"
#include "runtime/pack.h"
#include "runtime/params.h"

typedef struct Bench {
    TnIsa isa;
    TnPool *pool; /* NULL with one thread */
    int threads;
    double seconds; /* per case */
    bool json, below;
    char **filters;
    int filter_count;
    int printed;
    RooflineProbe probe;
    int pass;            /* through the table; the last one prints */
    struct Rounds *rows; /* of each case, in the order of the table */
    int row, row_count;
    /* The most ever seen, in memory by reading and by copying: what a disturbed machine falls short
     * of. */
    double issue, flops[ROOFLINE_TYPES], memory[2];
    float *weights, *activations, *more, *result; /* WEIGHT_BYTES, then SMALL_BYTES each */
} Bench;

static const size_t WEIGHT_BYTES = 256u << 20, SMALL_BYTES = 64u << 20;

typedef enum Figure { FIGURE_ROOF, FIGURE_CYCLES, FIGURE_MICROSECONDS } Figure;

enum { MAX_CASE_OPERANDS = 8 };
typedef struct Case {
    char name[64]; /* "gemm 128x768x768 cold": begins with the family */
    int opcode;
    const void *params;
    TnTensor operands[MAX_CASE_OPERANDS]; /* inputs, then outputs */
    int inputs, outputs;
    int64_t scalars[6];
    int scalar_count;
    double flops, bytes; /* of one run: what the machine must do at the least */
    RooflineType type;   /* of the arithmetic */
    int passes;          /* how often it multiplies; 0: once */
    size_t span;         /* bytes the run goes through; 0: more than any cache */
    bool copies;         /* bytes are as many written as read: bounded by copying, not by reading */
    unsigned cold;       /* bit i: operand i is taken from the weights in turn */
    size_t cold_bytes;   /* from one of its places to the next */
    Figure figure;
    double elements;  /* for FIGURE_CYCLES */
    double slots;     /* target of FIGURE_CYCLES, of 16 elements; 0: none */
    double target[2]; /* of other figures: with one thread, with more; 0: none */
} Case;

/* Measures and prints the case if it is wanted. */
void bench_case(Bench *b, Case *c);
/* In seconds. */
double bench_now(void);
/* Whether a case of this name is. */
bool bench_wants(const Bench *b, const char *name);
/* Microseconds that a parallel region takes longer than its tasks while the workers are awake. */
void bench_region(Bench *b);

enum { PASSES = 3, LEAST_CALM = 4 }; /* as many calm rounds say enough */

/* One run's time, and the machine's rates per second just before; 0: not looked at. */
typedef struct Round {
    double seconds, flops, bytes, clock;
    double issue; /* the lesser of before and after (roofline_issue) */
} Round;

/* All rounds of a row. */
typedef struct Rounds {
    int count, room;
    Round *round;
} Rounds;

/* rounds.c. Of the next row of a pass; NULL when out of memory. */
Rounds *rounds_of_next(Bench *b);
void rounds_free(Bench *b);
/* False when out of memory. */
bool rounds_add(Rounds *r, const Round *round);
/* How many are as undisturbed as the best of all rows. */
int rounds_calm(const Rounds *r, double best_issue);

typedef struct Measured {
    double least;               /* time of a run, of all rounds */
    double seconds;             /* that the best tenth of the rounds that count reaches */
    double flops, bytes, clock; /* of the machine, likewise; 0: not looked at */
    int calm, rounds;           /* undisturbed rounds, all rounds; 0: no matter */
} Measured;
Measured rounds_measured(const Rounds *r, double best_issue);
/* table.c: one row, or one element of the JSON array. */
void bench_print(Bench *b, const Case *c, const Measured *m);

/* The families. */
void bench_gemm(Bench *b);
void bench_attention(Bench *b);
void bench_conv(Bench *b);
void bench_map(Bench *b);
void bench_rows(Bench *b);
void bench_move(Bench *b);
void bench_window(Bench *b);
void bench_plan(Bench *b);

/* --- operands --- */
TnTensor bench_dense(void *data, TnDType dtype, int rank, const int64_t *dims);
TnTensor bench_absent(void);
/* An image [1, c, h, w] that lies channels last. */
TnTensor bench_image(float *data, int64_t c, int64_t h, int64_t w);
double bench_bytes(const TnTensor *t);

#endif
