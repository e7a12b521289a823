/* bfloat: which values of a graph become bf16 (bfloat_choose.c), and the graph with them
 * (bfloat.c). */
#ifndef TENON_PASSES_BFLOAT_H
#define TENON_PASSES_BFLOAT_H

#include "passes/pass.h"

/* What is known of the values of a graph, by their ids as of when it was looked at. Values that
 * have to be of one type form a class. */
typedef struct Bfloat {
    Graph *g;
    uint32_t count;      /* of values */
    uint32_t *parent;    /* towards the value that stands for the class */
    const char **f32;    /* of a class: why it stays f32, or NULL */
    bool *wanted;        /* of a class: part of the way from product to product */
    bool *outside;       /* of a class: an input of the graph is in it */
    bool *from_products; /* of a value */
    bool *ahead;         /* of a value: a product follows */
    bool *data;          /* of a value: of the inputs or looked up; not only lengths and places */
    bool *multiplies;    /* of a node, by id: a product in bf16 */
} Bfloat;

/* The letter of bfloat.def; 'e' for floats of elementwise operators, 'f' for what has no row. */
char bfloat_operand(const Node *n, int i);
char bfloat_result(const Node *n, int i);
bool bfloat_is_product(const Node *n);
Bfloat bfloat_choose(Graph *g);
bool bfloat_chosen(const Bfloat *b, const Value *v);
/* Why operands and results of a node that computes floats are all f32; NULL: some are not. */
const char *bfloat_why(const Bfloat *b, const Node *n);

#endif
