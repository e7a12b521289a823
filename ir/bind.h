/* Symbols of a graph from the dims of its inputs. */
#ifndef TENON_IR_BIND_H
#define TENON_IR_BIND_H

#include "ir/ir.h"

/* Values of all symbols (by number), in `arena`. Inputs that are NULL say nothing. Raises
 * TN_E_SHAPE, naming the input, if the dims contradict the declared ones, a range or a requirement,
 * or leave a symbol of an input open. */
int64_t *ir_bind_symbols(Graph *g, const Tensor *const *inputs, Arena *arena);

#endif
