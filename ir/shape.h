/* The rules of ops.def: shape_<rule> sets the types of a node's outputs from its operands and
 * attributes, facts_<rule> what is known of their elements. Rules see a node whose operands and
 * attributes are set and which need not be in the graph. */
#ifndef TENON_IR_SHAPE_H
#define TENON_IR_SHAPE_H

#include "ir/ir.h"

typedef void InferRule(Node *n);

/* A rule that serves several rows is declared once per row: C allows it. */
#define OP(name, min, max, outputs, types, attrs, shape, facts, flags, formula) \
    InferRule shape_##shape, facts_##facts;
#include "ir/ops.def"
#undef OP

InferRule *ir_shape_rule(OpKind op);
InferRule *ir_facts_rule(OpKind op);

#endif
