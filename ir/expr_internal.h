/* Shared by the files of the symbolic algebra (expr*.c); nobody else includes this.
 *
 *     expr.c          hash-consing, atoms, symbols
 *     expr_ask.c      what an expression is and mentions
 *     expr_poly.c     rationals and polynomials: add, multiply, divide exactly
 *     expr_div.c      floordiv, mod, floor, ceil, trunc
 *     expr_choice.c   min, max, abs, where, bit
 *     expr_pred.c     predicates
 *     expr_bounds.c   constant bounds by interval arithmetic
 *     expr_prove.c    proofs and comparisons
 *     expr_walk.c     applying substitutions of atoms (norm) and of coordinates (at)
 *     expr_learn.c    replacements, ranges, facts
 *     expr_require.c  requirements
 *     expr_text.c, expr_parse.c, expr_eval.c
 *
 * Conventions. Every public building function brings its operands up to date first (ex_norm, one
 * comparison when they are) and returns a normal form of the present generation. Functions named
 * poly_* work on operands as they are and never look at bounds, so the prover may use them; in
 * *quiet* mode they note an overflow in the context instead of raising it.
 *
 * A division by S says S != 0: no tensor with elements has a zero extent, and the value of a
 * division by zero is never asked for. So S*x // S is x, and in bounds a divisor that is >= 0
 * counts as >= 1.
 */
#ifndef TENON_IR_EXPR_INTERNAL_H
#define TENON_IR_EXPR_INTERNAL_H

#include "ir/expr.h"

#define EX_MAX_TERMS  4096   /* of one polynomial */
#define EX_MAX_DEGREE 64     /* of one term */
#define EX_MAX_DEPTH  200    /* of atoms in atoms: bounds every recursion */
#define EX_MAX_ARGS   256    /* of and, or; indices of a load */
#define EX_MAX_CHOICE 32     /* arguments of min, max: each pair is compared */
#define EX_MAX_SIZE   100000 /* atoms counted wherever they stand: bounds printing and evaluation */
#define EX_CACHE      4096   /* recent results of the costly operations */

/* What an object mentions anywhere inside (but not in the extents of coordinates). */
typedef struct Traits {
    uint32_t kinds; /* bit per AtomKind */
    uint64_t axes;  /* bit per axis of a coordinate; the last one stands for all beyond */
    int32_t size, depth;
    int32_t known_after; /* 1 + number of the last measured symbol; 0: known from the inputs */
} Traits;

typedef struct Memo {
    uint32_t stamp;
    const void *result;
} Memo;

/* Bounds of a value; INT64_MIN and INT64_MAX stand for none. */
typedef struct Interval {
    int64_t lo, hi;
} Interval;

/* The public structs are the heads of these. */
typedef struct ExprNode {
    Expr pub;
    Traits has;
    Memo norm, at; /* stamped with the generation and with at_epoch */
    uint32_t sign_stamp, bound_stamp;
    bool nonneg;
    Interval bound;
} ExprNode;

typedef struct AtomNode {
    Atom pub;
    Traits has;
    Memo norm, at;
    const Expr *itself;      /* the polynomial 1 * atom */
    const Expr *replacement; /* set by a requirement */
    bool busy;               /* its replacement is being brought up to date */
} AtomNode;

typedef struct PredNode {
    Pred pub;
    Traits has;
    Memo norm, at;
} PredNode;

/* A product of atoms, hash-consed: terms have the same product if and only if their `atoms`
 * pointers are equal. */
typedef struct Mono {
    uint64_t hash;
    int degree;
    const Atom *atoms[];
} Mono;

typedef struct SymbolNode {
    Symbol pub;
    uint64_t hash;
    int uses; /* occurrences in the declared inputs */
} SymbolNode;

typedef struct Slot {
    uint64_t hash;
    void *item;
} Slot;

typedef struct Table {
    Slot *slots;
    size_t used, capacity; /* a power of two */
} Table;

typedef struct CacheEntry {
    uint32_t generation;
    AtomKind op;
    const Expr *a, *b, *result;
} CacheEntry;

struct ExprCx {
    Cx *cx;
    Table exprs, atoms, preds, monos, names;
    uint32_t expr_count, atom_count, pred_count;
    const Mono *unit; /* the empty product */
    const Expr *zero, *one;
    const Pred *truth[2];

    SymbolNode **symbols;
    size_t symbol_count, symbol_capacity;

    Term *terms; /* scratch of expr_poly.c */
    size_t term_capacity;
    CacheEntry cache[EX_CACHE];

    int quiet;       /* > 0: overflow is noted, not raised */
    bool overflowed; /* ... here */
    int fuel;        /* steps left of the proof in progress */
    int proving;     /* proofs in progress, one inside another */
    int steps;       /* left of the outermost and all those inside */

    uint32_t generation;
    uint32_t at_epoch;
    uint32_t at_generation;
    const Expr **at_map; /* the map of at_epoch */
    int at_count;
    size_t at_capacity;

    const Expr **facts; /* each is >= 0 */
    size_t fact_count, fact_capacity;
    const Atom **replaced; /* composite atoms with a replacement, in order */
    size_t replaced_count, replaced_capacity;
    Requirement *requirements, *last_requirement;
};

/* --- expr.c --- */
static inline const ExprNode *expr_node(const Expr *e) {
    return (const ExprNode *)e;
}
static inline const AtomNode *atom_node(const Atom *a) {
    return (const AtomNode *)a;
}
static inline const PredNode *pred_node(const Pred *p) {
    return (const PredNode *)p;
}
static inline const Mono *term_mono(const Term *t) {
    return (const Mono *)((const char *)t->atoms - offsetof(Mono, atoms));
}
/* A constant, maybe not an integer. */
static inline bool is_number(const Expr *e) {
    return e->count == 0 || (e->count == 1 && e->terms[0].degree == 0);
}
uint64_t ex_hash(uint64_t h, uint64_t v);
uint64_t ex_hash_name(const char *name);
void traits_join(Traits *t, const Traits *o);
const Mono *mono_intern(ExprCx *x, const Atom *const *atoms, int degree);
const Expr *expr_intern(ExprCx *x, const Term *terms, int count); /* sorted, no zero coefficients */
/* The normal form of this atom as a polynomial: itself, or what a requirement replaced it by. */
const Expr *atom_expr(ExprCx *x, const Atom *a);
const Atom *atom_intern(ExprCx *x, const Atom *key);
const Expr *atom_of(ExprCx *x, AtomKind kind, const Expr *const *args, int arity, const Pred *p);
const Pred *pred_intern(ExprCx *x, PredKind kind, const Expr *e, const Pred *const *args,
                        int count);
void ex_too_large(ExprCx *x); /* raises TN_E_LIMIT, or notes it in quiet mode */
const Expr *cache_get(ExprCx *x, AtomKind op, const Expr *a, const Expr *b);
const Expr *cache_put(ExprCx *x, AtomKind op, const Expr *a, const Expr *b, const Expr *result);

/* --- expr_ask.c --- */
const Atom *single_atom(const Expr *e); /* the atom if e is 1 * atom, else NULL */

/* --- expr_poly.c --- */
int64_t gcd_i64(int64_t a, int64_t b);       /* of the absolute values; saturates at INT64_MAX */
int64_t floor_div_i64(int64_t a, int64_t b); /* b > 0 */
Rational rat_make(ExprCx *x, int64_t num, int64_t den);
Rational rat_mul(ExprCx *x, Rational a, Rational b);
Rational rat_div(ExprCx *x, Rational a, Rational b);
const Expr *poly_add(ExprCx *x, const Expr *a, const Expr *b);
const Expr *poly_sub(ExprCx *x, const Expr *a, const Expr *b);
const Expr *poly_scale(ExprCx *x, const Expr *a, Rational c);
const Expr *poly_mul(ExprCx *x, const Expr *a, const Expr *b);
const Expr *poly_int(ExprCx *x, int64_t v);
const Expr *poly_term(ExprCx *x, Rational coef, const Mono *m);
int term_order(const Term *a,
               const Term *b); /* < 0: a comes first (higher degree, then lower ids) */
/* The product without the factors `d`, or NULL if they do not all occur. */
const Mono *mono_divide(ExprCx *x, const Mono *m, const Mono *d);
const Mono *mono_gcd(ExprCx *x, const Mono *a, const Mono *b);
const Mono *mono_without(ExprCx *x, const Mono *m, const Atom *a); /* one occurrence less */
const Expr *poly_replace(ExprCx *x, const Expr *e, const Atom *a,
                         const Expr *value); /* in the terms, not inside atoms */
const Expr *poly_drop_term(ExprCx *x, const Expr *e, int i);
int64_t poly_denominator(ExprCx *x,
                         const Expr *e); /* least common denominator of the coefficients */
int64_t poly_content(const Expr *e, bool with_constant); /* gcd of the numerators; 0 for none */
const Mono *poly_common(ExprCx *x, const Expr *a,
                        const Expr *b); /* the atoms that every term of both has */
const Expr *poly_constant_free(ExprCx *x, const Expr *e, Rational *constant);

/* --- expr_div.c --- */
/* Rejoins b*(a // b) + a % b to a wherever that saves terms. */
const Expr *rejoin_mod(ExprCx *x, const Expr *e);

/* --- expr_bounds.c --- */
Interval poly_bounds(ExprCx *x, const Expr *e);
Interval atom_bounds(ExprCx *x, const Atom *a);

/* --- expr_prove.c --- */
bool proven(ExprCx *x, const Expr *e); /* ex_nonneg of a polynomial that is up to date */

/* --- expr_learn.c --- */
void ex_new_generation(ExprCx *x);
/* From now on d == 0, or d >= 0, or the symbol lies in this range. False if that cannot be. */
bool learn_zero(ExprCx *x, const Expr *d);
bool learn_nonneg(ExprCx *x, const Expr *d);
bool learn_range(ExprCx *x, const Atom *symbol, int64_t min, int64_t max);

/* --- expr_walk.c --- */
const Expr *atom_rebuilt(ExprCx *x, const Atom *a); /* from its arguments, whatever replaces it */

/* --- expr_eval.c --- */
typedef bool ExprLoad(void *user, const void *leaf, const int64_t *index, int n, int64_t *v);
typedef struct ExprEnv {
    const int64_t *symbols;
    const int64_t *coords; /* NULL: a coordinate has no value */
    int coord_count;
    ExprLoad *load; /* may be NULL */
    void *user;
} ExprEnv;
bool ex_eval_in(const ExprEnv *env, const Expr *e, Rational *v);
bool pr_eval_in(const ExprEnv *env, const Pred *p, bool *v);

#endif
