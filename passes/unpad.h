/* Rows of padding: what unpad_find.c finds and unpad.c rewrites. */
#ifndef TENON_PASSES_UNPAD_H
#define TENON_PASSES_UNPAD_H

#include "ir/build.h"
#include "passes/pass.h"

/* Where the rows of a value are, row s of batch entry b: the axes of b and of s, the same one if it
 * has all b s of them. */
typedef struct Place {
    int8_t entry, row; /* 0: nowhere, else the axis + 1 */
} Place;

static inline Place place_at(int entry, int row) {
    return (Place){(int8_t)(entry + 1), (int8_t)(row + 1)};
}
static inline bool is_somewhere(Place p) {
    return p.row != 0;
}
static inline bool same_place(Place a, Place b) {
    return a.entry == b.entry && a.row == b.row;
}
/* [b, s, ..] */
static inline bool is_pair(Place p) {
    return p.entry == 1 && p.row == 2;
}
static inline bool is_row_axis(Place p, int axis) {
    return axis + 1 == p.entry || axis + 1 == p.row;
}

/* How an operator that works row by row reads an operand. */
typedef struct Demand {
    enum {
        UNFIT,       /* not at all: it is no operator of rows */
        ALIKE,       /* the same for all rows */
        ROWS,        /* row by row, which are at `place` */
        BY_POSITION, /* the same for row s of all entries: s is axis place.row */
        BY_ENTRY,    /* the same for all rows of an entry: axis place.entry */
    } kind;
    Place place;
} Demand;

#define UNPAD_CUTS  8
#define UNPAD_PICKS 8

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
    Place *spread;  /* by node id: attention and products that are computed for all rows */
    uint32_t values, nodes; /* how many ids there are */
    bool spreads;           /* some are */
    bool by_position;       /* attention minds how far rows are apart */
    Cut cuts[UNPAD_CUTS];
    Node *picks[UNPAD_PICKS]; /* reads of rows whose positions only the data knows */
    int cut_count, pick_count;
} Unpad;

/* --- unpad_rows.c: operators that work row by row --- */

/* Whether axes of these lengths are where p says. */
bool unpad_lies_at(const Unpad *u, const Type *t, Place p);
/* How n, whose results have place p, reads operand i. */
Demand unpad_demand(const Unpad *u, const Node *n, int i, Place p);
/* With results at p, its reached operands are read row by row, the others in ways that can be given
 * to it. */
bool unpad_works_by_row(const Unpad *u, const Node *n, Place p);
/* Where its results have their rows if n works row by row. */
Place unpad_result_place(const Unpad *u, const Node *n);

/* --- unpad_find.c: what need not have all rows --- */

/* Finds all that can be computed for kept rows only of attention under u->mask. False, and the
 * reason reported, if some row of padding is needed. */
bool unpad_find(Unpad *u, Report *r);
/* Rows that are read: entries whose mask does not allow them keep all. False: of too many parts. */
bool unpad_add_cut(Unpad *u, const Expr *start, const Expr *length);
/* What rows of padding of v hold if that is known: then they need not be computed to be read. */
bool unpad_known(const Unpad *u, const Value *v, double *number);

/* How a node that is not computed row by row reads a value that is. */
typedef enum Exit {
    EXIT_NONE,
    EXIT_CUT,    /* rows at given positions */
    EXIT_PICK,   /* rows at positions that the data decides */
    EXIT_SPREAD, /* all rows, those of padding being of no matter */
    EXIT_KEYS,   /* as keys or values of other queries */
    EXIT_KNOWN,  /* all rows, but what those of padding hold is known */
} Exit;
Exit unpad_exit(const Unpad *u, const Node *n, int i);

/* --- unpad_kept.c: which rows are kept --- */

/* The pieces that kept rows are found by. */
typedef struct Kept {
    const Expr *rows; /* how many */
    Value *at;        /* i64[rows]: where each is among b s */
    Value *place;     /* i64[b s]: what becomes of row b s; of one that is not kept, anything */
    Value *nearby;    /* i64[b, s]: the same, or that of a kept row of the same entry */
    Value *starts;    /* i64[b + 1] */
    Value *mask;      /* bool[1, rows] */
    Value **packed;   /* by value id: [1, rows, ..] or [rows, ..] */
    Value *picked[UNPAD_PICKS]; /* the numbers of the rows that each pick reads */
} Kept;

/* Inserts at the cursor what finds them. */
void unpad_find_rows(const Unpad *u, Kept *k);
/* Operator `op`, a division, of rows' numbers by the number of rows of a sequence. */
Value *unpad_by_length(const Unpad *u, Value *rows, OpKind op);

/* --- unpad_pick.c: rows picked by positions in the data --- */

/* Whether operand i of n is rows of which n picks some, at positions that are known without them.
 */
bool unpad_is_pick(const Unpad *u, const Node *n, int i);
/* Moves what v is made of, which is no rows, before `front`; what is the front then. */
Node *unpad_sources_first(const Unpad *u, const Value *v, Node *front);
/* The numbers, among all b s, of the rows it picks: i64[..i], for its result [..i, rest]. */
Value *unpad_numbers(const Unpad *u, const Node *pick);

/* --- unpad_spread.c: attention for all rows --- */

bool unpad_has_scores(const Node *attention);
/* Attention with such terms, and the products they are elements of, will be for all rows. */
void unpad_spread(Unpad *u, const Node *attention);
/* Where the rows of operand i of such a node are; nowhere: it has none, or n is none. */
Place unpad_spread_place(const Unpad *u, const Node *n, int i);

#endif
