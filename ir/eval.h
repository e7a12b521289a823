/* A graph under evaluation: eval.c runs its nodes, eval_control.c those that run other graphs. */
#ifndef TENON_IR_EVAL_H
#define TENON_IR_EVAL_H

#include "ir/bind.h"

typedef struct Evaluation {
    Graph *g;
    Arena *arena;
    Binding symbols;
    Tensor *tensors; /* by value id; `data` is set once there is one */
    EvalWatch *watch;
    void *user;
} Evaluation;

/* `e` has its arena and watch set; the rest is filled in. */
void eval_graph(Evaluation *e, Graph *g, const Binding *outer, const Tensor *const *inputs,
                Tensor *outputs);
/* if and loop; what their results measure becomes known in e. */
void eval_control(Evaluation *e, const Node *n, const Tensor *const *in, Tensor *out);

#endif
