/* Random graphs over the table of operators, for differential tests.
 *
 * A graph follows from its seed alone. It is well conditioned on purpose: values stay small, and
 * operators that jump (rounding, comparisons) only see values that are computed exactly, so that
 * two right ways of computing it give nearly the same numbers. */
#ifndef TENON_TESTS_RANDOM_RANDOM_GRAPH_H
#define TENON_TESTS_RANDOM_RANDOM_GRAPH_H

#include "ir/ir.h"

typedef struct Rng {
    uint64_t state;
} Rng;
uint32_t rng_next(Rng *r);
int rng_below(Rng *r, int n); /* 0 .. n - 1 */

/* Builds the graph of a seed into g; raises where its lengths contradict each other. */
void random_graph(Graph *g, uint64_t seed);
/* Whether graphs with this operator are made; else why not, or NULL if nobody thought of it. */
bool random_covers(OpKind op, const char **why_not);

#endif
