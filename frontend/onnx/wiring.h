/* The nodes of an ONNX graph as objects that point at each other, in an order they can run in.
 *
 * Invariant: every name is written once (by an input, an initializer or a node), every name that is
 * read is written, and a node comes after the nodes it reads from. The order is the file's, except
 * where a node stands before one that it reads from. */
#ifndef TENON_FRONTEND_ONNX_WIRING_H
#define TENON_FRONTEND_ONNX_WIRING_H

#include "frontend/onnx/model.h"
#include "frontend/onnx/ops.h"

typedef struct WiredNode WiredNode;

typedef struct WiredValue {
    const char *name;
    WiredNode *producer; /* NULL: an input or an initializer */
    const Onnx__TensorProto *initializer;
    const Onnx__ValueInfoProto *input;
    bool used;          /* by a node or as a result of the graph */
    Constant *constant; /* made once: initializers and Constant nodes */
    Value *value;       /* in the graph being built */
} WiredValue;

typedef enum WalkState { NOT_VISITED, ON_PATH, DONE } WalkState;

struct WiredNode {
    const Onnx__NodeProto *proto;
    const OnnxOp *row;    /* NULL: unsupported */
    const char *name;     /* its own or, without one, its first output's */
    WiredValue **inputs;  /* NULL: left out */
    WiredValue **outputs; /* likewise */
    WalkState state;      /* while sorting */
};

typedef struct Wiring {
    size_t node_count, value_count;
    WiredNode **nodes;  /* sorted */
    WiredValue *values; /* inputs and initializers first, in the file's order */
    WiredValue **outputs;
} Wiring;

Wiring *onnx_wire(OnnxModel *m);

#endif
