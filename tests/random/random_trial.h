/* One random graph under test: its module, inputs for it and what should come out. */
#ifndef TENON_TESTS_RANDOM_RANDOM_TRIAL_H
#define TENON_TESTS_RANDOM_RANDOM_TRIAL_H

#include <setjmp.h>
#include "backend/report.h"
#include "runtime/tenon.h"
#include "tests/random/random_graph.h"

enum { RANDOM_OUTPUTS = 16, RANDOM_SAMPLES = 2 };

/* Inputs of some lengths and the results of the graph as it was made. */
typedef struct Sample {
    const Tensor **inputs;
    Tensor wanted[RANDOM_OUTPUTS];
} Sample;

typedef struct Trial {
    Cx cx;
    jmp_buf failed;
    uint64_t seed;
    bool verbose;
    Module *m;
    Graph *g;
    double tolerance;
    Sample samples[RANDOM_SAMPLES];
    int sample_count;
    tenon_pool *pool; /* of two threads */
    tenon_plan *plan;
    tenon_session *session;
} Trial;

/* Finds lengths for which the graph has values; evaluates it with the reference kernels. */
void random_samples(Trial *t);
/* Raises where `got` is not what the sample says. */
void random_compare(Trial *t, const char *how, const Sample *s, int output, const Tensor *got);

/* Runs the plan of the graph on all instruction sets: on the samples in turn, the first again, and
 * with two threads. */
void random_run_plan(Trial *t, const void *bytes, size_t size);

#endif
