/* What an operator of a plan's expressions computes: for sessions, and for tools that ask what a
 * plan would do at given lengths. */
#ifndef TENON_RUNTIME_PLAN_EXPR_H
#define TENON_RUNTIME_PLAN_EXPR_H

#include "runtime/plan_format.h"

#define TN_UNKNOWN INT64_MIN

/* a op b, for the operators with two operands; TN_UNKNOWN if an operand is, on overflow, and for
 * divisors that are not positive. */
int64_t tn_expr_apply(PlanExprOp op, int64_t a, int64_t b);

#endif
