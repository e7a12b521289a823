/* bfloat: which values of a graph become bf16 (bfloat_choose.c), and the graph with them
 * (bfloat.c). */
#ifndef TENON_PASSES_BFLOAT_H
#define TENON_PASSES_BFLOAT_H

#include "passes/pass.h"

/* Values that have to be of one type form a class; by value id, as of the graph when it was looked
 * at. */
typedef struct Bfloat {
    Graph *g;
    uint32_t count;      /* of values */
    uint32_t *parent;    /* towards the value that stands for the class */
    const char **f32;    /* of a class: why it stays f32, or NULL */
    bool *wanted;        /* of a class: part of the way from product to product */
    bool *from_products; /* of a value */
} Bfloat;

/* The letter of bfloat.def; 'e' for floats of elementwise operators, 'f' for what has no row. */
char bfloat_operand(const Node *n, int i);
char bfloat_result(const Node *n, int i);
/* Operand i is a constant that the node's kernel multiplies in bf16. */
bool bfloat_is_weight(const Node *n, int i);
bool bfloat_is_product(const Node *n);
Bfloat bfloat_choose(Graph *g);
bool bfloat_chosen(const Bfloat *b, const Value *v);
/* Why a value stays f32. */
const char *bfloat_why(const Bfloat *b, const Value *v);

#endif
