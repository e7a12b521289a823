/* What the steps of random_graph.h share: the values made so far and how to pick among them. */
#ifndef TENON_TESTS_RANDOM_RANDOM_STEPS_H
#define TENON_TESTS_RANDOM_RANDOM_STEPS_H

#include "ir/build.h"
#include "tests/random/random_graph.h"

enum { RANDOM_POOL = 64, RANDOM_SYMBOLS = 3, RANDOM_RANK = 5, RANDOM_CAPTURES = 16 };

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
    int names;       /* symbols and bodies named so far */
    int64_t numbers; /* not 0: the lengths that stand for all symbols, three digits */
    /* A body: what it reads of its caller, as the caller's values and its own. */
    struct Maker *outer;
    Item captured[RANDOM_CAPTURES];
    int captures, own_inputs; /* captures come after the body's own inputs */
    int first_name;           /* measured symbols named from here on are the body's own */
} Maker;

extern const char *const random_symbols[RANDOM_SYMBOLS];

/* "m3": a name that no other symbol or body of the graph has. */
const char *random_name(Maker *k, const char *prefix);
bool random_often(Maker *k, int percent);
Item random_add(Maker *k, Value *v, double bound, bool exact);
const Expr *random_dim(Maker *k);
TnDType random_type(Maker *k);
Item random_input(Maker *k, TnDType t, int rank, const Expr *const *dims);
/* A value of the caller of a body, as the body has it; the i-th of those it has. */
Item random_capture(Maker *k, Item from);
Item random_captured(const Maker *k, int i);
Item random_constant(Maker *k, TnDType t, int rank, const int64_t *dims);
/* A constant where all dims are numbers, else an input. */
Item random_source(Maker *k, TnDType t, int rank, const Expr *const *dims);
/* A value of any type, for operators that only move elements. */
Item random_movable(Maker *k);
/* A value of a type to compute with. */
Item random_any(Maker *k);
/* A value of this type whose shape broadcasts with x's. */
Item random_partner(Maker *k, const Type *x, TnDType t);
Item random_cast(Maker *k, Item x, TnDType t);
Item random_float(Maker *k);
/* A number that was computed exactly, between -bound and bound. */
Item random_exact(Maker *k, double bound);
/* x itself where its elements are small, else tanh(x). */
Item random_small(Maker *k, Item x);
/* |x| + 0.5: safe to divide by and to take roots and logarithms of. */
Value *random_positive(Maker *k, Item x);
/* Any axis, or -1 if there is none. */
int random_axis(Maker *k, const Item *x);

/* Constant integers from low to low + n - 1. */
Value *random_integers(Maker *k, TnDType t, int low, int n, int rank, const int64_t *dims);
/* A new measured symbol; no more than max. */
const Expr *random_measured(Maker *k, int64_t max);
/* Steps of any kind, at most `most`. */
void random_steps(Maker *k, int most);

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
Step make_roll;
Step make_windows;
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
Step make_gather_nd;
Step make_inside;
Step make_acosh;
Step make_bits;
Step make_bit_not;
Step make_shift;
Step make_bitcast;
Step make_narrow;
Step make_matmul_int;
Step make_quantized;
Step make_scatter_elements;
Step make_scatter_nd;
Step make_topk;
Step make_nonzero;
Step make_unique;
Step make_nms;
Step make_measure;
Step make_pool;
Step make_col2im;
Step make_deform;
Step make_resize;
Step make_grid;
Step make_regions;
Step make_rnn;
Step make_dft;
Step make_det;
Step make_if;
Step make_loop;
Step make_qkv;
Step make_rotary;
Step make_rows;
Step make_residual;
Step make_gelu;
Step make_masked;
Step make_sequences;
Step make_deformable;
Step make_hazard;
Step make_layout;
Step make_shared;
Step make_assignment;

#endif
