/* Where an element of a tensor comes from, as far as it is only moved: see origin.c. */
#ifndef TENON_PASSES_ORIGIN_H
#define TENON_PASSES_ORIGIN_H

#include "ir/build.h"

typedef struct Origin {
    Value *value; /* NULL: it is a number */
    const Expr *at[TN_MAX_RANK];
    double number;
} Origin;

/* Where the element of v at these coordinates is from; value is v itself if nothing moved it. */
Origin origin_of(Value *v, const Expr *const *at);
/* The same of an operand that broadcasts to the type. */
Origin origin_of_operand(Value *v, const Type *to, const Expr *const *at);
/* Of row `row` and place k of the sum of an operand of a product whose result is at `at`. */
Origin origin_in_product(const Node *matmul, int operand, const Expr *const *at, const Expr *k);

/* One move back only: false, and nothing changes, if the element is computed or read here. */
bool origin_back(Origin *o);
/* The value, as `rank` x `dims` in row-major order, has this element at `at`. */
bool origin_is(const Origin *o, int rank, const Expr *const *dims, const Expr *const *at);

#endif
