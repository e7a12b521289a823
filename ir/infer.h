/* What the rules of shape*.c and facts*.c share with each other and with graph.c.
 *
 * A verifier re-infers a node without inserting it: build it with ir_node, set its attributes, call
 * infer_types (and infer_facts), compare the outputs. */
#ifndef TENON_IR_INFER_H
#define TENON_IR_INFER_H

#include "ir/ir.h"

/* --- a node's outputs --- */
/* Makes the output values and runs the shape rule. */
void infer_types(Node *n);
/* Runs the facts rule, then fills in what every integer or boolean tensor has. */
void infer_facts(Node *n);
Value *ir_new_value(Graph *g, const char *name);
void facts_of_source(Value *v); /* of a graph input or a constant */

/* --- attrs.c --- */
Attr *attrs_default(Module *m, OpKind op);
void attrs_check(const Node *n); /* raises if a required one is missing */

static inline Module *module_of(const Node *n) {
    return n->graph->module;
}

/* --- for shape rules --- */
/* Dims are brought to normal form; too many axes raise TN_E_LIMIT. */
void infer_set_type(Module *m, Value *v, TnDType t, int rank, const Expr *const *dims);
void infer_output(Node *n, int i, TnDType t, int rank, const Expr *const *dims);
void infer_make_outputs(Node *n, int count);
const Type *infer_input(const Node *n, int i);
/* a <= b holds from now on; false if it cannot. */
bool infer_try_le(Module *m, const Expr *a, const Expr *b);
/* The same, raising TN_E_MODEL if it cannot; the message: "<what>: <a> > <b>". */
void infer_require_le(Module *m, const Expr *a, const Expr *b, const char *what);
/* --- dtypes.c --- */
/* Holds the operands against the row's element types; raises where they do not fit. */
void infer_check_types(const Node *n);
/* The same for operand i and one set, "float" or "i32|i64"; a rule may be stricter than its row. */
void infer_dtype(const Node *n, int i, const char *set);
/* The type of a result by its attribute: `none` is operand 0's; f32 and bf16 give each other. */
TnDType infer_to(const Node *n, const char *attr);
/* Whether a set has the type. */
bool infer_set_has(const char *set, TnDType t);
void infer_rank(const Node *n, int i, int min, int max);

/* --- for facts rules --- */
/* Element of an operand: `e` of a number, `p` of a boolean. Both NULL: nothing known. */
typedef struct Elem {
    const Expr *e;
    const Pred *p;
} Elem;
#define FACTS_MAX_SIZE 200 /* atoms of an element function; what is larger is read from memory */

static inline ExprCx *infer_ex(const Node *n) {
    return n->graph->module->ex;
}
/* An index, of coordinates of a tensor of this type, at the last of them, below which a table must
 * not end; NULL if nothing follows from it for lengths. */
const Expr *facts_last_index(ExprCx *x, const Expr *index, const Type *t);
void facts_complete(Value *v);
bool facts_known(const Value *v); /* any of elem, pred, choice */
/* Number of elements, if it is constant and at most TN_MAX_FACTS. */
bool facts_static_count(const Type *t, int64_t *n);
/* Coordinates of a tensor of this type; returns c. */
const Expr **facts_coords(Module *m, const Type *t, const Expr **c);
/* Element k of v's `values`, and setting it in a list for a tensor of type t. */
Elem facts_value(const Value *v, int k);
void facts_set_value(ExprCx *x, const Type *t, const Expr **values, int k, Elem e);
Elem facts_at(const Value *v, const Expr *const *at); /* element of v at these coordinates */
void facts_set_elem(Value *v, Elem e);                /* unless it has grown too large */
/* The output's element at its coordinates is v's at `map`: one entry per axis of v. */
void facts_move(Node *n, const Value *v, const Expr *const *map);
/* Coordinates in `from` of the element of `to` it broadcasts to. */
void facts_broadcast_map(Module *m, const Type *from, const Type *to, const Expr **map);
/* Coordinates in `in` of the element of its view `out` at `at`; false for empty tensors. */
bool facts_view_map(Module *m, const Type *in, const Type *out, const Expr *const *at,
                    const Expr **map);
bool facts_small(const Expr *e, int bits);            /* coefficients are below 2^bits */
bool facts_fits(ExprCx *x, TnDType t, const Expr *e); /* the value survives storing in t */

typedef bool ElemRule(const Node *n, const Elem *a, Elem *r); /* false: nothing known */
void facts_elementwise(Node *n, ElemRule *rule);

/* --- facts_choice.c: float tensors with two values --- */
const Pred *facts_if(ExprCx *x, const Pred *p, const Pred *yes, const Pred *no); /* p ? yes : no */
void choice_unary(Node *n);
void choice_binary(Node *n);
void choice_where(Node *n);
void choice_cast(Node *n);

#endif
