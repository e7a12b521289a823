/* The graph IR: modules, functions (graphs), nodes, values, constants.
 *
 * A Module owns everything in its context's arena. A Graph is SSA: nodes in topological order in a
 * linked list, every value written once. Edits go through the functions here, which keep use lists
 * exact; nobody keeps a Node across an edit that may remove it.
 *
 * A node's output types and facts are computed once, when it is inserted, from its inputs (shape
 * rule and facts rule of its row in ops.def), so they are never stale. When a shape rule learns a
 * new requirement (expr.h) the module's generation changes and the producer of the graph (importer,
 * model builder, parser) builds the graph again.
 *
 *     Value *y = ir_softmax(g, ir_matmul(g, q, k, false, true), -1);
 *
 * See docs/ir.md for the canonical form. Text: print.c and parse.c.
 */
#ifndef TENON_IR_IR_H
#define TENON_IR_IR_H

#include <stdbool.h>
#include <stdint.h>
#include "ir/element.h"
#include "ir/expr.h"
#include "ir/fail.h"
#include "runtime/base/dtype.h"
#include "runtime/base/limits.h"

typedef struct Module Module;
typedef struct Graph Graph;
typedef struct Node Node;
typedef struct Value Value;
typedef struct Constant Constant;
typedef struct MapBody MapBody;

typedef enum OpKind {
#define OP(name, ...) OP_##name,
#include "ir/ops.def"
#undef OP
    OP_COUNT
} OpKind;

/* --- types and facts --- */
typedef struct Type {
    TnDType dtype;
    int rank;
    const Expr *dims[TN_MAX_RANK];
} Type;

/* What is known of a tensor's elements before it exists. All fields NULL: nothing.
 *
 * `elem`, `pred`: the element at coordinates i0.. of an integer or boolean tensor. Every such
 * tensor has one; where nothing better is known it is a load of the tensor itself. A float tensor
 * computed from integers may have an `elem` too: its value before rounding.
 *
 * `values`: all elements, row-major, of a tensor of at most TN_MAX_FACTS elements of constant
 * count: shape vectors and scalars, also of float tensors, as rationals. Elements may be loads.
 *
 * `choice`: a float tensor that has only two values, `yes` where `choice` holds and `no` elsewhere:
 * masks. Tensors all of whose elements are equal have TRUE. */
#define TN_MAX_FACTS 64
typedef struct Facts {
    const Expr *elem;
    const Pred *pred;
    const Expr *const *values; /* of a boolean tensor: 0 or 1 */
    int count;
    const Pred *choice;
    double yes, no;
} Facts;

/* A name that a value has in the source model; one may stand for several equal ones. */
typedef struct SourceName {
    const char *name, *node; /* node: what computes it there */
    struct SourceName *next;
} SourceName;

typedef struct Use {
    Node *node;
    int index; /* of the operand */
} Use;

struct Value {
    uint32_t id;
    Type type;
    const char *name;   /* as in the source model, or NULL */
    Node *node;         /* producer; NULL for graph inputs and constants */
    int index;          /* which output of the producer, or which graph input */
    Constant *constant; /* non-NULL: a constant of the module */
    Facts facts;
    Use *uses;
    int use_count;
    size_t use_capacity;
    int output_uses; /* how many results of the graph it is */
    Graph *graph;
    Value *forward;      /* the value that replaced this one, or NULL */
    SourceName *sources; /* values of the source model that it equals; see source.c */
    /* Graph inputs: per axis the symbol it was declared with, before substitution; entries or all
     * may be NULL. */
    const Symbol **declared;
};

/* An immutable tensor. `data` may be unaligned and belongs to a mapped file or to the arena. */
struct Constant {
    uint32_t id;
    const char *name;
    TnDType dtype;
    int rank;
    int64_t dims[TN_MAX_RANK];
    const void *data;
    size_t bytes;
    uint64_t hash;     /* XXH3 of type, dims and bytes; 0 until ir_constant_hash */
    Constant *rounded; /* to bf16; NULL until ir_constant_bf16 */
    Constant *widened; /* to f32; NULL until ir_constant_f32 */
    Constant *narrow;  /* f32: of 16 bits, whose numbers these are; or NULL */
    Constant *next;
};

/* --- attributes: kinds as written in ops.def --- */
typedef struct DimList {
    int count;
    const Expr *e[TN_MAX_RANK];
} DimList;

typedef struct ExprList {
    int count;
    const Expr *const *e;
} ExprList;

typedef struct IntList {
    int count;
    int64_t v[2 * TN_MAX_RANK];
} IntList;

typedef union Attr {
    int64_t i;     /* :i */
    double f;      /* :f */
    bool b;        /* :b */
    TnDType t;     /* :t */
    const char *s; /* :s, one of the words listed after it */
    const Expr *d; /* :d a dim */
    DimList *D;    /* :D dims */
    IntList *I;    /* :I integers */
    ExprList *E;   /* :E any number of expressions */
    MapBody *m;    /* :m program of a map */
    Graph *g;      /* :g an internal graph of the module, which comes before the node's */
} Attr;

/* Program of `map`: step s computes register n_inputs + s; the last step is the result. */
typedef struct MapStep {
    OpKind op;     /* an elementwise op of ops.def (cast too), or OP_splat for a constant */
    TnDType dtype; /* of the step's result */
    int args[3];
    double value;    /* OP_splat of a float type */
    int64_t integer; /* OP_splat otherwise */
} MapStep;

struct MapBody {
    int count;
    MapStep *steps;
};

struct Node {
    uint32_t id;
    OpKind op;
    Graph *graph;
    Node *prev, *next;
    Value **inputs; /* NULL entries: optional operands left out */
    int input_count;
    int *use_slots; /* per operand: its place in inputs[i]->uses; graph.c keeps it */
    Value **outputs;
    int output_count;
    Attr *attrs;          /* in the order of the row's attribute text */
    const char **origins; /* source nodes this one came from; none if made out of nothing */
    int origin_count;
    bool removed;
};

typedef enum InputDefault { INPUT_REQUIRED, INPUT_ZEROS, INPUT_ONES } InputDefault;

/* A tensor that lives from one run to the next, and what of the graph it is: the contents that a
 * run finds are the input, those it leaves the result. With both, the result is the input with rows
 * behind it along `axis`. Graphs of a module that use a state of one name share it. The graph
 * itself means the same with or without. */
typedef struct StateUse {
    const char *name;
    int input, output; /* of the graph; -1: it is not read, or left as it is */
    int axis;          /* along which its length may change */
} StateUse;

struct Graph {
    Module *module;
    const char *name;
    bool internal; /* the body of control flow: called by nodes, not by users of the plan */
    bool called;   /* while ir_remove_unused_bodies looks for callers */
    Node *first, *last;
    int node_count;
    Value **inputs;
    InputDefault *defaults; /* per input: what an input left out is filled with */
    int input_count;
    size_t input_capacity, default_capacity;
    Value **outputs; /* their names are the model's output names, kept in output_names */
    const char **output_names;
    int output_count;
    size_t output_capacity, output_name_capacity;
    StateUse *states;
    int state_count;
    size_t state_capacity;
    Node *cursor;             /* new nodes go before this one; NULL = at the end */
    const char *origin;       /* origin given to new nodes; NULL = none */
    const char **origin_list; /* or several: instead of `origin` when origin_list_count > 0 */
    int origin_list_count;
    Value **constant_values; /* by constant id */
    size_t constant_capacity;
    Graph *prev, *next;
};

typedef struct Meta {
    const char *key, *value;
    struct Meta *next;
} Meta;

struct Module {
    Cx *cx;
    ExprCx *ex;
    Constant *constants, *last_constant;
    uint32_t constant_count, value_count, node_id;
    int64_t weights, grown; /* bytes of constants: as read, and added by folding; fold.c */
    Graph *graphs, *last_graph;
    const char *origin; /* source of the node being inserted: names its requirements */
    Meta *meta;
    bool keep_states;  /* pass_state looks for states */
    bool bf16;         /* pass_bfloat runs */
    int weight_bits;   /* of weights of products and of tables, 8 or 4; 0: as they are */
    bool scaled;       /* constants were integers times scales: weights may be so in the plan */
    bool skip_padding; /* rows of padding may be returned as zeros */
    bool fast_conv;    /* convolutions may round ten times as coarsely */
};

/* --- modules, graphs --- */
Module *ir_module_new(Cx *cx);
Graph *ir_graph_new(Module *m, const char *name); /* appended to the module */
/* An internal graph, a body for nodes of `caller`: put before it. It has its symbols by name from
 * wherever it is called; all other values of the caller that it reads are its inputs. */
Graph *ir_body_new(Graph *caller, const char *name);
/* Takes internal graphs that no node refers to out of the module. */
void ir_remove_unused_bodies(Module *m);
/* An empty graph of the same name in old's place: for building again. */
Graph *ir_graph_replace(Module *m, Graph *old);
void ir_set_meta(Module *m, const char *key, const char *value);
Value *ir_input(Graph *g, const char *name, TnDType dtype, int rank, const Expr *const *dims,
                InputDefault fill);
void ir_output(Graph *g, const char *name, Value *v);
void ir_set_output(Graph *g, int i, Value *v);
/* Input `input` and result `output` become what the graph reads and leaves of a state. */
void ir_add_state(Graph *g, const char *name, int input, int output, int axis);
const StateUse *ir_state_of_input(const Graph *g, int input); /* NULL: none */
const StateUse *ir_state_of_output(const Graph *g, int output);
/* The inputs in another order; before there are states. */
void ir_order_inputs(Graph *g, Value *const *inputs);

/* --- constants --- */
/* Borrowed data; the caller guarantees it outlives the module. */
Constant *ir_constant_new(Module *m, const char *name, TnDType dtype, int rank, const int64_t *dims,
                          const void *data);
/* The constant as a value of this graph; the same each time. */
Value *ir_constant(Graph *g, Constant *c);
/* A float constant rounded to bf16; the same each time. */
Value *ir_constant_bf16(Graph *g, Constant *c);
/* One of f16, bf16 or f64 in f32; the same each time. */
Value *ir_constant_f32(Graph *g, Constant *c);
/* Both; copies data. */
Value *ir_tensor(Graph *g, const char *name, TnDType dtype, int rank, const int64_t *dims,
                 const void *data);
Value *ir_scalar(Graph *g, TnDType dtype, double v); /* rank 0 */
Value *ir_scalar_int(Graph *g, TnDType dtype, int64_t v);
uint64_t ir_constant_hash(Constant *c);
/* v is a constant all of whose elements are equal (any shape): that number. */
bool ir_constant_float(const Value *v, double *x);
bool ir_constant_int(const Value *v, int64_t *x);
/* It has more than one element along an axis, all of them equal. */
bool ir_constant_repeats(const Constant *c, int axis);

/* --- nodes: build, then insert; or one of the short forms in build.h --- */
/* A node with its attributes at their defaults; not in the graph yet. */
Node *ir_node(Graph *g, OpKind op, int n, Value *const *inputs);
void ir_set_int(Node *n, const char *attr, int64_t v);
void ir_set_float(Node *n, const char *attr, double v);
void ir_set_bool(Node *n, const char *attr, bool v);
void ir_set_dtype(Node *n, const char *attr, TnDType t);
void ir_set_string(Node *n, const char *attr, const char *s);
void ir_set_dim(Node *n, const char *attr, const Expr *e);
void ir_set_dims(Node *n, const char *attr, int count, const Expr *const *e);
void ir_set_ints(Node *n, const char *attr, int count, const int64_t *v);
void ir_set_exprs(Node *n, const char *attr, int count, const Expr *const *e);
void ir_set_body(Node *n, const char *attr, const MapBody *body); /* copied */
void ir_set_graph(Node *n, const char *attr, Graph *g);
/* The attributes of a node of the same operator. */
void ir_copy_attrs(Node *to, const Node *from);
/* Infers types and facts, puts the node before the cursor; returns output 0. */
Value *ir_insert(Node *n);
int64_t attr_int(const Node *n, const char *attr);
double attr_float(const Node *n, const char *attr);
bool attr_bool(const Node *n, const char *attr);
TnDType attr_dtype(const Node *n, const char *attr);
const char *attr_string(const Node *n, const char *attr);
const Expr *attr_dim(const Node *n, const char *attr);
const DimList *attr_dims(const Node *n, const char *attr);
const IntList *attr_ints(const Node *n, const char *attr);
const ExprList *attr_exprs(const Node *n, const char *attr);
const MapBody *attr_body(const Node *n, const char *attr);
Graph *attr_graph(const Node *n, const char *attr);
/* All dims among the attributes are numbers: what the node does needs no symbol. */
bool ir_attrs_known(const Node *n);

/* --- edits --- */
/* Every use of old, graph outputs too, now uses by; old->forward = by. What old stands for in the
 * source model, by now does. */
void ir_replace(Value *old, Value *by);
/* Types must agree; v may be NULL for an optional operand. */
void ir_set_operand(Node *n, int i, Value *v);
void ir_remove(Node *n); /* its outputs must be unused */
void ir_move_before(Node *n, Node *at);
/* It checks values or defines symbols, so it stays whether its results are used or not. */
bool ir_never_dead(const Node *n);
/* Attention, or a product of two stacks of matrices as it is made of. It is left to the run even
 * over constants, such as learned queries that have seen nothing yet: then the plan is the same
 * whether the batch is a number or a symbol. */
bool ir_is_attention(const Node *n);
/* Rows that meet a matrix of weights, and are no weights themselves: they are folded when the
 * product has become `linear`, for the same reason. */
bool ir_awaits_linear(const Node *n);
/* A cast to f32 of a constant of 16 bits that products or look-ups read. */
bool ir_casts_weights(const Node *n);
/* Weights of 8 bits that meet inputs of 8 bits, dequantised both: pass quantised takes them. */
bool ir_awaits_integers(const Node *n);
/* A transposition that moves no axes but such of length 1: a view. */
bool ir_keeps_order(const Node *n);
bool ir_is_output(const Value *v);            /* a result of its graph */
bool ir_single_use(const Value *v);           /* exactly one use, and no graph output */
Value *ir_resolve(Value *v);                  /* follows `forward` */
Node *ir_producer(const Value *v, OpKind op); /* what makes v if it is this operator, else NULL */
/* New nodes until the next call take their origins from these nodes (a fused node keeps the set).
 * n = 0 ends it. */
void ir_origins_from(Graph *g, Node *const *nodes, int n);
/* Until ir_edit_end new nodes go before `at` and come from these nodes; then to the end again. */
void ir_edit_begin(Graph *g, Node *at, Node *const *nodes, int n);
void ir_edit_end(Graph *g);
/* Some result is read, or one of the graph. */
bool ir_is_used(const Node *n);
/* Removes nodes whose results nobody uses, and then those that only they used. */
bool ir_remove_dead(Graph *g);
/* The name of what says which rows of the model's sequences are computed (pass unpad). */
#define IR_KEPT_ROWS "(rows of sequences)"
/* source.c: v is the model's value of this name, a result of this node. The names are kept. */
void ir_add_source(Value *v, const char *name, const char *node);
void ir_take_sources(Value *by, Value *old);
/* For models whose values have no names: the last result of each origin gets the origin's, those
 * before it "origin:1", "origin:2", ... */
void ir_sources_from_origins(Graph *g);
/* All nodes in order; the body may remove n. */
#define IR_FOR_NODES(n, g)                                        \
    for (Node *n = (g)->first, *n##_next = n ? n->next : NULL; n; \
         n = n##_next, n##_next = n ? n->next : NULL)

/* --- types --- */
bool ir_same_dims(const Type *a, const Type *b);
bool ir_static_dims(const Type *t, int64_t *dims);  /* all dims are numbers */
const Expr *ir_elements(Module *m, const Type *t);  /* their product */
const char *ir_type_text(Module *m, const Type *t); /* "f32[batch, seq, 768]" */
/* -rank..rank-1 -> 0..rank-1; raises TN_E_MODEL otherwise. */
int ir_axis(Module *m, int64_t axis, int rank);
/* a and b must be equal lengths: gives the normal form, records a requirement where needed, raises
 * TN_E_MODEL if they cannot be. `what` for the message: "inner dimensions". */
const Expr *ir_same_dim(Module *m, const Expr *a, const Expr *b, const char *what);
/* numpy broadcasting of two dims or shapes; dims that may differ are required equal. */
const Expr *ir_broadcast_dim(Module *m, const Expr *a, const Expr *b);
void ir_broadcast(Module *m, const Type *a, const Type *b, Type *out); /* dims only */

/* --- the table --- */
#define OPF_COMM        1u   /* commutative */
#define OPF_ASSOC       2u   /* associative (rules re-associate) */
#define OPF_ELEMENTWISE 4u   /* element by element over broadcast inputs; may be a step of a map */
#define OPF_MOVE        8u   /* moves elements only: folded by moving bytes */
#define OPF_FUSED       16u  /* made by passes, never by importers */
#define OPF_BOOL        32u  /* result is bool whatever the inputs' type */
#define OPF_CONTROL     64u  /* runs internal graphs: if, loop */
#define OPF_CHECKS      128u /* checks values or defines symbols: never dead, never folded */

typedef struct OpInfo {
    const char *name;
    int min_inputs, max_inputs; /* max < 0: any number */
    int outputs;                /* < 0: as many as the shape rule makes */
    const char *types;          /* of operands: "float =", see ops.def */
    const char *attrs;          /* "axis:i=-1 keep:b" ; no default = must be set */
    unsigned flags;
    const char *formula;
} OpInfo;
const OpInfo *ir_op_info(OpKind op);
OpKind ir_op_find(const char *name); /* OP_COUNT if unknown */

typedef struct AttrInfo {
    const char *name;
    char kind; /* as in union Attr */
    bool has_default;
    Attr value;        /* the default */
    const char *words; /* :s "none|relu" */
} AttrInfo;
int ir_attr_count(OpKind op);
const AttrInfo *ir_attr_info(OpKind op, int i);
bool ir_attr_equal(OpKind op, int i, const Attr *a, const Attr *b);

/* --- text --- */
const char *ir_print(Module *m); /* whole module, canonical numbering */
const char *ir_print_graph(Graph *g);
const char *ir_print_node(const Node *n); /* one line, for messages */
/* Parses what ir_print prints. Constants printed as #hash get zeros of their type unless `like`
 * (may be NULL) has one of that hash; small constants are printed with their values. Raises
 * TN_E_MODEL with line and column. */
Module *ir_parse(Cx *cx, const char *text, Module *like);

/* --- checking --- */
/* NULL if all invariants hold, else what is wrong (arena text): order, use lists, arity,
 * attributes, types inferred again. */
const char *ir_verify(Graph *g);
const char *ir_check_state(const Graph *g, const StateUse *s); /* a part of it */
/* The canonical form of docs/ir.md, on top of ir_verify. */
const char *ir_verify_canonical(Graph *g);

/* --- reference evaluation (eval.c, ref/) --- */
typedef struct Tensor {
    TnDType dtype;
    int rank;
    int64_t dims[TN_MAX_RANK];
    void *data; /* dense */
    size_t bytes;
} Tensor;
int64_t tensor_count(const Tensor *t);
/* Evaluates one node on dense tensors: outputs[] is filled, data from `arena`. Raises on bad data
 * (index out of range). */
void ir_eval_node(const Node *n, const Tensor *const *inputs, Tensor *outputs,
                  const int64_t *symbols, Arena *arena);
/* Runs the graph: inputs in the graph's order (NULL = its default), symbols solved from their dims
 * and requirements checked. `watch` (may be NULL) sees every value as it is computed. */
typedef void EvalWatch(void *user, const Value *v, const Tensor *t);
void ir_eval(Graph *g, const Tensor *const *inputs, Tensor *outputs, Arena *arena, EvalWatch *watch,
             void *user);

#endif
