/* Attention as fuse_attention finds it: what attention_find.c collects and fuse_attention.c builds
 * the operator from. */
#ifndef TENON_PASSES_ATTENTION_H
#define TENON_PASSES_ATTENTION_H

#include "ir/build.h"

#define ATTENTION_ADDED 4
#define ATTENTION_STEPS 24
#define ATTENTION_NODES (ATTENTION_STEPS + 6)

/* A tensor times a number that is added to scores of `rank` axes. */
typedef struct Added {
    Value *value;
    double factor;
    int rank;
    Value *bias; /* the value is where(mask, bias, c), for which split_masks adds two; or NULL */
} Added;

typedef struct Attention {
    Node *nodes[ATTENTION_NODES]; /* all that the operator stands for */
    int node_count;
    Node *last;       /* the product of probabilities and values */
    Value *q, *k, *v; /* q[.., s, d], k[.., t, d], v[.., t, e], or transposed */
    bool q_transposed, k_transposed, v_transposed;
    double scale;
    Node *prescale[2]; /* products of q and k with a number that `scale` takes up */
    int prescale_count;
    const Expr *dims[4]; /* of the scores: b, h, s, t */
    double softcap;      /* 0: none */
    bool zero_nan;       /* probabilities that are NaN count as zero */
    const Pred
        *allowed; /* what is not `selected` away, over the coordinates of the scores; or NULL */
    double mask_value;
    Added added[2 * ATTENTION_ADDED]; /* from the softmax inwards */
    int added_count;
    int added_last; /* so many are added to what is selected, the others before */
} Attention;

/* NULL if `softmax` is inside an attention, else why it is not. Changes nothing. */
const char *attention_find(Node *softmax, Attention *a);

/* The coordinate of the scores [b, h, s, t] that axis i of a tensor follows if it broadcasts
 * against scores of `rank` axes; of [b / w, w, h, s, t], axis 1 follows b, too. */
int attention_coordinate(int i, const Type *t, int rank);
/* Whether the tensor's first axis is batch and heads in one. */
bool attention_folds_heads(const Attention *a, const Type *t, int rank);
/* The predicate of a tensor that broadcasts against the scores, over the scores' coordinates; NULL
 * if they do not give its own. */
const Pred *attention_over_scores(const Attention *a, ExprCx *x, const Pred *p, const Type *t,
                                  int rank);
/* Whether a tensor is a product, moved or times a number: reading it where it is costs least. */
bool attention_reads_product(const Value *v);
/* Where an added tensor is zero, if it is one other number elsewhere; NULL if it is not so. */
const Pred *attention_added_mask(const Attention *a, ExprCx *x, const Added *added, double *value);

/* What a term of attention's scores is made of. */
typedef enum Bias {
    BIAS_MAY_MASK,
    BIAS_TABLE,  /* a constant's elements, each of less than BIAS_BELOW */
    BIAS_SCORES, /* elements of a product */
} Bias;
#define BIAS_BELOW 1e28 /* far less than what masks a key */
Bias attention_bias(const Value *v);

#endif
