/* Shared by canonical*.c: what the rules ask of values.
 *
 *     canonical.c           the rules of docs/ir.md but one, and who asks them all
 *     canonical_identity.c  C4
 */
#ifndef TENON_IR_CANONICAL_H
#define TENON_IR_CANONICAL_H

#include "ir/ir.h"

static inline bool is_number(const Value *v, double x) {
    double c;
    return ir_constant_float(v, &c) && c == x;
}

static inline bool has_result_dims(const Node *n, const Value *v) {
    return ir_same_dims(&v->type, &n->outputs[0]->type);
}

/* What is wrong with the node, or NULL. */
const char *c4_identity(const Node *n);

#endif
