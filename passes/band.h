/* Attention over a band of keys as fuse_band finds it: what band_find.c proves and fuse_band.c
 * builds the operator from. */
#ifndef TENON_PASSES_BAND_H
#define TENON_PASSES_BAND_H

#include "ir/build.h"

/* What an axis of a tensor stands for. */
typedef enum Role { ROLE_NONE, ROLE_BATCH, ROLE_PLACE, ROLE_HEAD, ROLE_DEPTH, ROLE_MERGED } Role;

/* A tensor of queries, keys, values or masks as the model has it; merged: head * depths + depth. */
typedef struct Laid {
    Value *value; /* NULL: there is none */
    Role role[TN_MAX_RANK];
    const Expr *length; /* places */
} Laid;

typedef struct Band {
    int64_t width; /* keys on each side */
    const Expr *batch, *length, *heads, *depth, *depth_v;
    const Expr *sinks; /* how many; 0 if there are none */
    Laid q, k, v, mask;
    Laid sink_k, sink_v, sink_mask;
    bool sink_mask_allows; /* and not forbids */
    Laid row_mask;         /* true: the row's probabilities are zeros */
    double mask_value;     /* what `mask` has beside zeros */
    Value *probabilities, *result;
    bool heads_first; /* result[b, h, s, d], else [b, s, h, d] */
    bool begun;       /* part of the scores is a band: worth a word if the rest is not */
} Band;

/* NULL if `softmax` is of such an attention, else why it is not. Changes nothing. */
const char *band_find(Node *softmax, Band *b);

#endif
