/* Operators of expressions: 64-bit integers; quotients are rounded down, remainders not negative.
 */
#include "runtime/plan_expr.h"

#include "runtime/base/checked.h"

/* For b > 0. */
static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

int64_t tn_expr_apply(PlanExprOp op, int64_t a, int64_t b) {
    int64_t r = TN_UNKNOWN;
    if (a == TN_UNKNOWN || b == TN_UNKNOWN) return TN_UNKNOWN;
    bool ok = true;
    switch (op) {
    case TN_EXPR_ADD: ok = tn_add_i64(a, b, &r); break;
    case TN_EXPR_MUL: ok = tn_mul_i64(a, b, &r); break;
    case TN_EXPR_FLOORDIV: r = b > 0 ? floor_div(a, b) : TN_UNKNOWN; break;
    case TN_EXPR_MOD: r = b > 0 ? a - b * floor_div(a, b) : TN_UNKNOWN; break;
    case TN_EXPR_MIN: r = a < b ? a : b; break;
    case TN_EXPR_MAX: r = a > b ? a : b; break;
    default: break;
    }
    return ok ? r : TN_UNKNOWN;
}
