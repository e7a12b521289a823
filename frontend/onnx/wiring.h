/* The nodes of an ONNX graph as objects that point at each other, in an order they can run in.
 *
 * Invariant: every name is written once (by an input, an initializer or a node), every name that is
 * read is written, and a node comes after the nodes it reads from. The order is the file's, except
 * where a node stands before one that it reads from.
 *
 * Graphs in attributes are wired along, to any depth that wire.h lets through: their nodes read
 * values of the graphs around them. So are the functions of the model that are called, once each:
 *
 *     main ── node If ── graph then_branch ── reads `x` of main: node If waits for it
 *       └──── node my.Norm ── function my.Norm: reads its inputs only
 */
#ifndef TENON_FRONTEND_ONNX_WIRING_H
#define TENON_FRONTEND_ONNX_WIRING_H

#include "frontend/onnx/model.h"
#include "frontend/onnx/ops.h"
#include "ir/names.h"

typedef struct WiredNode WiredNode;
typedef struct Wiring Wiring;
typedef struct OnnxFunction OnnxFunction;
typedef struct OnnxList OnnxList; /* flow.h */

typedef struct WiredValue {
    const char *name;
    WiredNode *producer; /* NULL: an input or an initializer */
    const Onnx__TensorProto *initializer;
    const Onnx__ValueInfoProto *input;
    bool used;          /* by a node or as a result of the graph */
    Constant *constant; /* made once: initializers and Constant nodes */
    Value *value;       /* in the graph being built */
    OnnxList *list;     /* instead, where it is a sequence or optional */
    bool unknown;       /* what makes it has a problem: its readers are skipped */
} WiredValue;

typedef enum WalkState { NOT_VISITED, ON_PATH, DONE } WalkState;

struct WiredNode {
    const Onnx__NodeProto *proto;
    const OnnxOp *row;      /* NULL: a function, or unsupported */
    OnnxFunction *function; /* of the model; NULL: an operator */
    const char *name;       /* its own or, without one, its first output's */
    WiredValue **inputs;    /* NULL: left out */
    WiredValue **outputs;   /* likewise */
    WiredValue **captured;  /* what its graphs read of the graph that the node is in */
    size_t captured_count, captured_capacity;
    Wiring **graphs;    /* by attribute; NULL: no graph */
    bool *changing;     /* of a loop: by carried value and axis, TN_MAX_RANK each (import_loop.c) */
    bool has_reference; /* an attribute is one of the function's around it */
    bool reported, skipped; /* its problem is known; it reads what has one */
    WalkState state;        /* while sorting */
};

struct Wiring {
    const Onnx__GraphProto *proto; /* NULL: of a function */
    const OnnxFunction *home;      /* the function it is in; NULL: none */
    Wiring *outer;                 /* the graph around it, and its node there */
    WiredNode *owner;
    int64_t opset; /* of the default domain */
    size_t node_count, value_count, input_count, output_count;
    WiredNode *unsorted; /* in the file's order */
    WiredNode **nodes;   /* sorted */
    WiredValue *values;  /* initializers, inputs, then results */
    WiredValue **inputs, **outputs;
    NameMap names; /* -> WiredValue */
};

struct OnnxFunction {
    const Onnx__FunctionProto *proto;
    const char *key; /* "domain.name", with ":overload" if it has one */
    Wiring *wiring;  /* NULL until it is called */
    WalkState state; /* while wiring */
    int64_t nodes;   /* that a call comes to, those of the functions it calls included */
    OnnxFunction *next;
};

/* The graph of the model and everything that hangs off it. */
Wiring *onnx_wire(OnnxModel *m);

/* --- among wiring*.c and functions.c --- */
typedef struct Wirer {
    OnnxModel *model;
    Cx *cx;
    NameMap functions; /* by key -> OnnxFunction */
    int depth;         /* of graphs and functions in each other */
    int64_t nodes;     /* that the function being wired comes to */
} Wirer;

/* A graph of `outer`'s node `owner`; both NULL: that of the model. */
Wiring *wire_graph(Wirer *s, const Onnx__GraphProto *g, Wiring *outer, WiredNode *owner);
Wiring *wire_function(Wirer *s, OnnxFunction *f);
void wire_sort(Wirer *s, Wiring *w); /* wiring_order.c */
/* functions.c */
void wire_find_functions(Wirer *s);
/* The function that the node calls, wired; NULL if there is none of this name. */
OnnxFunction *wire_call(Wirer *s, const Onnx__NodeProto *p);

#endif
