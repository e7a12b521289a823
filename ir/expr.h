/* Symbolic integers and booleans: dims, values of small integer tensors, and elements of integer
 * and boolean tensors.
 *
 * An Expr is a polynomial with rational coefficients over *atoms*:
 *     symbol                a length the caller chooses (batch) or a run measures, with a range;
 *                           0 is legal
 *     coordinate            i0, i1, ...: position along an axis, in [0, extent)
 *     floordiv, mod         with the usual floor semantics
 *     min, max, abs
 *     trunc                 a rational rounded towards zero (float -> int casts of unknown sign)
 *     where(Pred, a, b)     a choice
 *     bit(Pred)             1 if it holds, else 0
 *     load(leaf, index...)  an element of a tensor that is known at run time only
 * A Pred is true, false, e >= 0, e == 0, e != 0 or a combination by and, or, not, xor.
 *
 * Both are hash-consed in canonical form: equal pointers if and only if equal normal forms. They
 * are immutable and live in the context's arena. Normalisation knows: exact multiples leave a
 * floordiv, (x//a + k)//c = (x + k a)//(a c), bounds decide min, max, mod and comparisons, and
 * facts (requirements) are used in proofs. Every operation that would overflow 64-bit coefficients,
 * or grow beyond the bounds of expr_internal.h, raises TN_E_LIMIT; proofs never raise.
 *
 * Dividing by S says S != 0, since a tensor with a zero extent has no element to ask for: S*i // S
 * is i. A division by the constant 0 raises TN_E_MODEL, also when a requirement, a range or ex_at
 * turns a divisor into 0. A coordinate exists only where its extent is at least 1. Every atom is an
 * integer, so an expression with integer coefficients is one (ex_is_integral).
 *
 *     const Expr *q = ex_div(x, ex_mul(x, seq, ex_int(x, 3)), ex_int(x, 3));    // == seq
 */
#ifndef TENON_IR_EXPR_H
#define TENON_IR_EXPR_H

#include <stdbool.h>
#include <stdint.h>
#include "ir/fail.h"

typedef struct ExprCx ExprCx;
typedef struct Expr Expr;
typedef struct Pred Pred;
typedef struct Atom Atom;

typedef enum AtomKind {
    ATOM_SYMBOL,
    ATOM_COORD,    /* args: extent */
    ATOM_FLOORDIV, /* args: a, b */
    ATOM_MOD,      /* args: a, b */
    ATOM_MIN,      /* args: two or more */
    ATOM_MAX,      /* args: two or more */
    ATOM_ABS,      /* args: a */
    ATOM_TRUNC,    /* args: a */
    ATOM_WHERE,    /* pred; args: a, b */
    ATOM_BIT,      /* pred */
    ATOM_LOAD,     /* leaf; args: the index */
} AtomKind;

typedef struct Rational {
    int64_t num, den; /* den > 0, lowest terms */
} Rational;

/* coefficient * product of atoms (an atom may repeat) */
typedef struct Term {
    Rational coef;
    int degree;
    const Atom *const *atoms; /* sorted by id */
} Term;

struct Expr {
    uint32_t id;
    int count; /* terms, sorted; 0 = the number zero */
    const Term *terms;
    uint64_t hash;
};

struct Atom {
    uint32_t id;
    AtomKind kind;
    int32_t number; /* COORD: axis; SYMBOL: index in the symbol table */
    int32_t arity;
    const Expr *const *args; /* see AtomKind */
    const Pred *pred;        /* WHERE, BIT */
    const void *leaf;        /* LOAD: a Value of the graph */
    uint64_t hash;
};

typedef enum PredKind {
    PRED_FALSE,
    PRED_TRUE,
    PRED_GE0, /* expr >= 0 */
    PRED_EQ0, /* expr == 0 */
    PRED_NE0, /* expr != 0 */
    PRED_NOT, /* one argument */
    PRED_AND, /* two or more, sorted by id */
    PRED_OR,  /* two or more, sorted by id */
    PRED_XOR, /* two */
} PredKind;

struct Pred {
    uint32_t id;
    PredKind kind;
    const Expr *expr; /* GE0, EQ0, NE0 */
    int count;
    const Pred *const *args; /* NOT, AND, OR, XOR */
    uint64_t hash;
};

typedef struct Symbol {
    const char *name;
    int64_t min, max; /* inclusive; max = INT64_MAX when unbounded */
    const Atom *atom;
    bool measured; /* known only during a run, when the node that defines it has run */
} Symbol;

ExprCx *ex_new(Cx *cx); /* in cx->arena */

/* --- symbols --- */
const Expr *ex_symbol(ExprCx *x, const char *name); /* finds or makes; range [0, INT64_MAX] */
/* Finds or makes a measured symbol (docs/ir.md); a new one has this range, 0 <= min <= max.
 * Measured symbols are made in the order in which nodes define them. */
const Expr *ex_measured(ExprCx *x, const char *name, int64_t min, int64_t max);
bool ex_mentions_measured(const Expr *e);
int ex_symbol_count(const ExprCx *x);
const Symbol *ex_symbol_at(const ExprCx *x, int i);
const Symbol *ex_find_symbol(const ExprCx *x, const char *name); /* NULL if absent */
/* The symbol itself, whatever replaces it by now: only for printing and binding. */
const Expr *ex_declared(ExprCx *x, const Symbol *s);
/* Narrows the range; starts a new generation. */
void ex_set_range(ExprCx *x, const char *name, int64_t min, int64_t max);

/* --- building; results are canonical and have known substitutions applied --- */
const Expr *ex_int(ExprCx *x, int64_t v);
const Expr *ex_rational(ExprCx *x, int64_t num, int64_t den);
const Expr *ex_coord(ExprCx *x, int axis, const Expr *extent); /* 0 if extent is 1 */
const Expr *ex_load(ExprCx *x, const void *leaf, const Expr *const *index, int n);
const Expr *ex_add(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_sub(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_neg(ExprCx *x, const Expr *a);
const Expr *ex_mul(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_scale(ExprCx *x, const Expr *a, int64_t num, int64_t den);
/* b == 0 (the constant) raises TN_E_MODEL, here and in the next two. */
const Expr *ex_floordiv(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_mod(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_ceildiv(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_min(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_max(ExprCx *x, const Expr *a, const Expr *b);
const Expr *ex_abs(ExprCx *x, const Expr *a);
const Expr *ex_floor(ExprCx *x, const Expr *a); /* of a rational polynomial */
const Expr *ex_ceil(ExprCx *x, const Expr *a);
const Expr *ex_trunc(ExprCx *x, const Expr *a);
const Expr *ex_where(ExprCx *x, const Pred *p, const Expr *a, const Expr *b);
const Expr *ex_bit(ExprCx *x, const Pred *p);
const Expr *ex_product(ExprCx *x, const Expr *const *e, int n);
/* a / b if it is exactly a polynomial with integer coefficients, else NULL. */
const Expr *ex_exact_div(ExprCx *x, const Expr *a, const Expr *b);

const Pred *pr_bool(ExprCx *x, bool v);
const Pred *pr_ge(ExprCx *x, const Expr *a, const Expr *b);
const Pred *pr_eq(ExprCx *x, const Expr *a, const Expr *b);
const Pred *pr_nonzero(ExprCx *x, const Expr *a); /* pr_nonzero(bit(p)) is p */
const Pred *pr_not(ExprCx *x, const Pred *p);
const Pred *pr_and(ExprCx *x, const Pred *a, const Pred *b);
const Pred *pr_or(ExprCx *x, const Pred *a, const Pred *b);
const Pred *pr_xor(ExprCx *x, const Pred *a, const Pred *b);

/* --- asking --- */
bool ex_const(const Expr *e, int64_t *v); /* an integer constant */
bool ex_is(const Expr *e, int64_t v);
bool ex_is_integral(const Expr *e);                         /* all coefficients are integers */
const Symbol *ex_as_symbol(const ExprCx *x, const Expr *e); /* e is exactly one symbol, else NULL */
bool ex_nonneg(ExprCx *x, const Expr *e);                   /* proven >= 0; false = not proven */
bool ex_provably_ge(ExprCx *x, const Expr *a, const Expr *b);
typedef enum Ternary { NO = 0, YES = 1, UNKNOWN = 2 } Ternary;
Ternary ex_equal(ExprCx *x, const Expr *a, const Expr *b);
Ternary ex_ge(ExprCx *x, const Expr *a, const Expr *b);
/* Proven constant bounds; INT64_MIN or INT64_MAX where there is none; false if neither. */
bool ex_bounds(ExprCx *x, const Expr *e, int64_t *lo, int64_t *hi);
/* Anywhere inside, predicates and indices too, but not the extents of coordinates. */
bool ex_mentions(const Expr *e, AtomKind kind);
bool ex_mentions_coord(const Expr *e, int axis);
bool pr_mentions(const Pred *p, AtomKind kind);
bool pr_mentions_coord(const Pred *p, int axis);
int ex_size(const Expr *e); /* rough number of atoms, to cut growth */
int pr_size(const Pred *p);

/* --- substitution of coordinates and loads --- */

/* map[axis] replaces coordinate `axis` for axis < n; NULL entries stay. */
const Expr *ex_at(ExprCx *x, const Expr *e, const Expr *const *map, int n);
const Pred *pr_at(ExprCx *x, const Pred *p, const Expr *const *map, int n);
/* values[i] replaces atoms[i], a load or another single atom of loads. */
const Expr *ex_known(ExprCx *x, const Expr *e, int n, const Expr *const *atoms,
                     const Expr *const *values);

/* --- requirements: relations that no algebra gives but that every sensible input obeys --- */
typedef enum RelationKind { REL_EQ, REL_LE } RelationKind;
typedef struct Requirement {
    RelationKind kind;
    /* As found, over symbols before this substitution; b*s == b*t is kept as s == t, min(c, s) == s
     * as s <= c. */
    const Expr *left, *right;
    const char *origin; /* node that gave rise to it */
    struct Requirement *next;
} Requirement;

/* Makes `a == b` (or `a <= b`) hold from now on: records the requirement and substitutes or adds a
 * fact so that later normal forms use it. Does nothing if it is proven already. Returns false if it
 * is provably false (nothing recorded). Starts a new generation when something was learnt:
 * expressions made before may then be out of date; ex_norm brings one up to date, and inference
 * starts again.
 *
 * Rules: symbol = symbol or expression replaces a measured symbol, else the one that occurs in
 * fewest inputs (ex_note_use counts); nothing is replaced by what is measured later than it;
 * quotient = expression replaces the quotient atom, never unifies symbols out of a quotient; min(c,
 * s) = s gives s <= c. Requirements are over symbols: one that mentions a coordinate or a load and
 * is neither proven nor refuted raises TN_E_UNSUPPORTED. */
bool ex_require_eq(ExprCx *x, const Expr *a, const Expr *b, const char *origin);
bool ex_require_le(ExprCx *x, const Expr *a, const Expr *b, const char *origin);
void ex_note_use(ExprCx *x, const char *symbol); /* counts an occurrence in the declared inputs */
const Requirement *ex_requirements(const ExprCx *x);
uint32_t ex_generation(const ExprCx *x);
const Expr *ex_norm(ExprCx *x, const Expr *e); /* with all substitutions applied */
const Pred *pr_norm(ExprCx *x, const Pred *p);

/* --- text --- */

/* "batch*sequence", "(seq + 2)//3 - 1", "min(seq, 512)",
 * "i0 - i1 >= 0"; loads print through `name`. */
typedef const char *ExprLeafName(void *user, const void *leaf);
const char *ex_text(ExprCx *x, const Expr *e);
const char *ex_text_with(ExprCx *x, const Expr *e, ExprLeafName *name, void *user);
const char *pr_text_with(ExprCx *x, const Pred *p, ExprLeafName *name, void *user);
const char *pr_text(ExprCx *x, const Pred *p);
/* Parses a dim expression from *s and moves *s behind it; raises TN_E_MODEL on bad text. Symbols
 * are made as needed. No loads or coordinates. */
const Expr *ex_parse(ExprCx *x, const char **s);

/* Value of e under symbol values (index = symbol number); false if it mentions coordinates or
 * loads, divides by zero or overflows. */
bool ex_eval(const ExprCx *x, const Expr *e, const int64_t *symbols, int64_t *v);

#endif
