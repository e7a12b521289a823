/* Symbols of a graph: those of its inputs from their dims, measured ones as they are measured. */
#ifndef TENON_IR_BIND_H
#define TENON_IR_BIND_H

#include "ir/ir.h"

typedef struct Binding {
    Graph *g;
    const Tensor *const *inputs;
    Cx *cx;
    ExprCx *x;
    int64_t *value; /* by symbol number */
    bool *known;
} Binding;

/* All that the dims of the inputs determine; everything is in `arena`. Inputs that are NULL say
 * nothing. `outer`: what the caller of an internal graph knows, else NULL. Raises TN_E_SHAPE,
 * naming the input, if the dims contradict the declared ones, a range or a requirement, or leave a
 * symbol of an input open. */
Binding ir_bind(Graph *g, const Tensor *const *inputs, const Binding *outer, Arena *arena);
/* Expression e of what `n` measures is v now: a measured symbol without a value gets it, then
 * ranges and requirements are checked as far as they can be; anything else must have this value.
 * `what` names v in the message: "element 0 of 'lengths'". Raises TN_E_SHAPE. */
void ir_bind_measured(Binding *b, const Expr *e, int64_t v, const char *what);

#endif
