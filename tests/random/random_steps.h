/* What the steps of random_graph.h share: the values made so far and how to pick among them. */
#ifndef TENON_TESTS_RANDOM_RANDOM_STEPS_H
#define TENON_TESTS_RANDOM_RANDOM_STEPS_H

#include "ir/build.h"
#include "tests/random/random_graph.h"

enum { RANDOM_POOL = 64, RANDOM_SYMBOLS = 3, RANDOM_RANK = 5 };

/* A value to build on, and what is known of its elements. */
typedef struct Item {
    Value *v;
    double bound; /* no element is larger */
    bool exact;   /* computed without rounding */
} Item;

typedef struct Maker {
    Rng rng;
    Graph *g;
    ExprCx *x;
    Item pool[RANDOM_POOL];
    int count;
    int inputs;
} Maker;

extern const char *const random_symbols[RANDOM_SYMBOLS];

bool random_often(Maker *k, int percent);
Item random_add(Maker *k, Value *v, double bound, bool exact);
const Expr *random_dim(Maker *k);
TnDType random_type(Maker *k);
Item random_input(Maker *k, TnDType t, int rank, const Expr *const *dims);
/* A constant where all dims are numbers, else an input. */
Item random_source(Maker *k, TnDType t, int rank, const Expr *const *dims);
Item random_any(Maker *k);
/* A value of this type whose shape broadcasts with x's. */
Item random_partner(Maker *k, const Type *x, TnDType t);
Item random_cast(Maker *k, Item x, TnDType t);
Item random_float(Maker *k);
/* x itself where its elements are small, else tanh(x). */
Item random_small(Maker *k, Item x);
/* |x| + 0.5: safe to divide by and to take roots and logarithms of. */
Value *random_positive(Maker *k, Item x);
/* Any axis, or -1 if there is none. */
int random_axis(Maker *k, const Item *x);

/* Steps: each adds to the pool; false if nothing fits. */
typedef bool Step(Maker *k, OpKind op);
Step make_smooth;
Step make_exp;
Step make_of_positive;
Step make_exact_unary;
Step make_jump;
Step make_sum;
Step make_product;
Step make_quotient;
Step make_power;
Step make_remainder;
Step make_comparison;
Step make_logic;
Step make_where;
Step make_cast;
Step make_view;
Step make_transpose;
Step make_expand;
Step make_slice;
Step make_concat;
Step make_pad;
Step make_gather;
Step make_reduction;
Step make_cumsum;
Step make_softmax;
Step make_norm;
Step make_matmul;
Step make_attention;
Step make_iota;
Step make_splat;
Step make_scalars;
Step make_conv;

#endif
