/* Importing graphs inside graphs: which IR graph nodes go to, and how values get there.
 *
 * A *frame* is an IR graph being built: the model's, or the body of an `if` or `loop`. A *scope* is
 * one import of an ONNX graph or function into a frame; branches that are decided, calls and
 * unrolled iterations have a scope of their own in the frame around them.
 *
 *     main (frame, scope) ── call of my.Norm (scope) ── Loop body (frame, scope)
 *
 * A value of a frame further out becomes an input of each frame on the way (a capture); constants
 * need no passing, and integers known without data are written again. Sequences and optionals exist
 * only here: as lists of values of known length. */
#ifndef TENON_FRONTEND_ONNX_FLOW_H
#define TENON_FRONTEND_ONNX_FLOW_H

#include "frontend/frontend.h"
#include "frontend/onnx/import.h"
#include "frontend/onnx/wiring.h"

typedef struct Importer {
    OnnxModel *model;
    Module *module;
    Cx *cx;
    ImportOptions *options;
    Wiring *wiring;
    NameMap bodies;         /* names of IR graphs made in this round */
    int64_t imported;       /* nodes in this round: bodies may be built more than once */
    int depth;              /* of scopes */
    const Graph **measures; /* by symbol: the graph that measures it in this round */
    size_t measures_capacity;
    bool gave_up; /* what is being raised is no problem of its own: flow_give_up */
} Importer;

/* What a body reads of its caller; branches of one `if` share the list. */
typedef struct Captures {
    Value **outer;
    int count;
    size_t capacity;
    NameMap index; /* by id of the value, as text */
} Captures;

/* Symbols of a branch for those of its caller (rename.c). */
typedef struct OwnSymbols {
    Importer *im;
    const char *base; /* of their names */
    const Symbol **outer;
    const Expr **inner;
    int count;
    size_t outer_capacity, inner_capacity;
} OwnSymbols;

typedef struct Frame {
    Graph *g;
    struct Frame *outer; /* NULL: of the model */
    Captures *captures;
    Value **inner; /* by capture: the input of g; NULL: not read here */
    size_t inner_capacity;
    Node *noted;     /* the last node whose symbols have been noted */
    OwnSymbols *own; /* NULL: it has those of its caller */
} Frame;

struct Scope {
    Importer *im;
    Frame *frame;
    const char *path;              /* "call/": before names; "" in the model's graph */
    const char *prefix;            /* the same of names that occur once, of results */
    const Onnx__NodeProto *call;   /* whose attributes the function's nodes refer to */
    const Onnx__FunctionProto *of; /* the function */
};

/* A sequence, or an optional: a list of one element or of none. */
struct OnnxList {
    bool optional;
    int count;
    OnnxResult *items;
    Value *stacked; /* a sequence whose items are the rows of this tensor; `count` says nothing */
};

/* --- flow.c --- */
/* The value in this frame. */
Value *flow_use(Frame *f, Value *v);
OnnxResult flow_use_result(Frame *f, OnnxResult r);
Value *flow_capture(Frame *f, Value *outer); /* a value of the frame around f, as an input of f */
/* A body for n's operator, called by the frame of n's scope; `own`: with symbols of its own. */
Frame flow_body(OnnxNode *n, const char *suffix, Captures *captures, bool own);
/* Gives every frame an input for each capture, in the same order behind `first` others. */
void flow_settle(Frame *frames, int count, int first);
/* Whether the expression can stand outside: nothing in it is measured by the body. */
bool flow_is_visible(Importer *im, const Frame *f, const Expr *e);
void flow_note_symbols(Importer *im, Frame *f);
void flow_note_measure(Importer *im, const Graph *g, const Symbol *s); /* g gives it its value */
/* --- rename.c --- */
/* A dim of f's caller as one of f, and back: NULL where it mentions what only f knows. */
const Expr *flow_inside(Frame *f, const Expr *e);
const Expr *flow_outside(Importer *im, const Frame *f, const Expr *e);
/* Captures what gives f's own symbols their values. */
void flow_bind_symbols(Importer *im, Frame *f);
/* A symbol for a length that a run of n finds; the same name in every round. */
const Expr *flow_symbol(OnnxNode *n, const char *what, int i, int axis);

/* --- nodes.c --- */
/* Its inputs are `in`, of which there may be fewer: the others are left out. */
void flow_import_nodes(Scope *s, Wiring *w, const OnnxResult *in, int count);
OnnxResult flow_result(Scope *s, WiredValue *v);
/* The graph of an attribute; raises if it is not there. */
Wiring *flow_graph(OnnxNode *n, const char *attribute);
/* Imports the graph into n's frame, its inputs being `in`; results[i] for every output. */
void flow_inline(OnnxNode *n, Wiring *w, const char *suffix, const OnnxResult *in, int count,
                 OnnxResult *results);
/* The same into frame f. */
void flow_import_graph(OnnxNode *n, Frame *f, Wiring *w, const char *suffix, const OnnxResult *in,
                       int count, OnnxResult *results);
/* The same in two steps; the second raises if there are problems. */
void flow_try_graph(OnnxNode *n, Frame *f, Wiring *w, const char *suffix, const OnnxResult *in,
                    int count);
void flow_graph_results(OnnxNode *n, Frame *f, Wiring *w, OnnxResult *results);
void flow_need_counts(OnnxNode *n, const Wiring *w, int inputs, int min_outputs);
void flow_call(Scope *s, const WiredNode *w);

/* --- problems.c --- */
/* Notes the operators that Tenon does not have, in the graph and what it calls. */
void flow_note_unsupported(Importer *im, const Wiring *w);
/* Raises that the operator is one that Tenon does not have. */
_Noreturn void flow_refuse_operator(Importer *im, WiredNode *n, int64_t opset);
/* Ends the import of a node that needs what could not be imported. */
_Noreturn void flow_give_up(Importer *im);
/* What tn_try caught from the node, whose results become unknown; `name` for the message. */
void flow_node_failed(Importer *im, WiredNode *n, const char *name, int64_t opset);
/* The same of an input, output or initializer. */
void flow_value_failed(Importer *im, const char *kind, const char *name);
const char *flow_operator_key(Importer *im, const WiredNode *n); /* "com.microsoft.Attention" */

/* --- what several operators of control flow ask --- */
Value *flow_tensor(OnnxNode *n, OnnxResult r, const char *what);
/* A tensor of one element as a scalar. */
Value *flow_scalar(OnnxNode *n, Value *v, TnDType dtype, const char *what);
/* A boolean that is known without data. */
bool flow_known_bool(OnnxNode *n, const Value *v, bool *value);
/* Its number, where it is known without data. */
bool flow_known_int(OnnxNode *n, const Value *v, int64_t *value);

/* --- import_loop.c --- */
typedef struct FlowLoop {
    Value *trips, *condition; /* NULL: none */
    const Expr *length;       /* of what is stacked; NULL: only a run knows */
    int carried, scans;
    Value **initial;
    bool *changing; /* by carried value and axis */
    /* Imports one iteration into the frame: sets `next`, then `scan`; returns the condition. */
    Value *(*body)(struct FlowLoop *l, OnnxNode *n, Frame *f, Value *iteration, Value *condition,
                   Value **carried);
    Value **next, **scan;
    void *user;
} FlowLoop;
void flow_loop(OnnxNode *n, FlowLoop *l, Value **results);
/* What n's loop has found out so far about that many carried values. */
bool *flow_changing(OnnxNode *n, int carried);

#endif
