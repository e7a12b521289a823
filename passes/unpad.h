/* Rows of padding: what unpad_find.c finds and unpad.c rewrites. */
#ifndef TENON_PASSES_UNPAD_H
#define TENON_PASSES_UNPAD_H

#include "ir/build.h"
#include "passes/pass.h"

/* Where the rows of a value are, row s of batch entry b: axes [b, s, ..], or one axis of b s. */
typedef enum Place { NOWHERE, PAIR, FLAT } Place;

/* How an operator that works row by row reads an operand. */
typedef enum Demand {
    ALIKE,       /* the same for all rows */
    ROWS_PAIR,   /* row by row, ... */
    ROWS_FLAT,   /* ... under either place */
    BY_POSITION, /* the same for row s of all entries */
    BY_ENTRY,    /* the same for all rows of an entry */
    UNFIT        /* in any other way: it is no operator of rows */
} Demand;

#define UNPAD_CUTS 8

/* A read of rows from one position on: positions start .. start + length - 1 of every entry. */
typedef struct Cut {
    const Expr *start, *length;
} Cut;

typedef struct Unpad {
    Graph *g;
    ExprCx *x;
    Value *mask; /* bool[b, s]: which keys every attention sees */
    const Expr *batch, *length;
    Place *place;   /* by value id: of what is to be computed for kept rows only */
    Place *reached; /* ... of that, what other rows may influence: attention and what follows */
    uint32_t values, nodes; /* how many ids there are */
    bool by_position;       /* attention minds how far rows are apart */
    Cut cuts[UNPAD_CUTS];
    int cut_count;
} Unpad;

/* The place that results of n would have if it worked row by row. */
Place unpad_result_place(const Unpad *u, const Node *n);
/* How n, whose results have place p, reads operand i. */
Demand unpad_demand(const Unpad *u, const Node *n, int i, Place p);
/* What rows of padding of v hold if that is known: then they need not be computed to be read. */
bool unpad_known(const Unpad *u, const Value *v, double *number);

/* How a node that is not computed row by row reads a value that is. */
typedef enum Exit {
    EXIT_NONE,
    EXIT_CUT,   /* rows at given positions */
    EXIT_KEYS,  /* as keys or values of other queries */
    EXIT_KNOWN, /* all rows, but what those of padding hold is known */
} Exit;
Exit unpad_exit(const Unpad *u, const Node *n, int i);

/* Finds all that can be computed for kept rows only of attention under u->mask. False, and the
 * reason reported, if some row of padding is needed. */
bool unpad_find(Unpad *u, Report *r);

#endif
