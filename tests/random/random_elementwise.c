/* Steps that work element by element. */
#include <math.h>
#include "tests/random/random_steps.h"

bool make_smooth(Maker *k, OpKind op) { /* bounded by its argument or by 1 */
    Item x = random_small(k, random_float(k));
    random_add(k, ir_unary(k->g, op, x.v), x.bound + 1, false);
    return true;
}

bool make_exp(Maker *k, OpKind op) {
    Item x = random_small(k, random_float(k));
    Value *y = ir_unary(k->g, op, x.v);
    random_add(k, ir_unary(k->g, OP_tanh, y), 1, false);
    random_add(k, y, exp(x.bound), false);
    return true;
}

bool make_inside(Maker *k, OpKind op) { /* between -0.5 and 0.5 */
    Item x = random_small(k, random_float(k));
    Value *half = ir_scalar(k->g, x.v->type.dtype, 0.5);
    Value *y = ir_binary(k->g, OP_mul, ir_unary(k->g, OP_tanh, x.v), half);
    random_add(k, ir_unary(k->g, op, y), 3.2, false);
    return true;
}

bool make_acosh(Maker *k, OpKind op) { /* from 1.5 */
    Item x = random_small(k, random_float(k));
    Value *one = ir_scalar(k->g, x.v->type.dtype, 1);
    Value *y = ir_binary(k->g, OP_add, random_positive(k, x), one);
    random_add(k, ir_unary(k->g, op, y), x.bound + 2, false);
    return true;
}

bool make_of_positive(Maker *k, OpKind op) {
    Item x = random_small(k, random_float(k));
    random_add(k, ir_unary(k->g, op, random_positive(k, x)), x.bound + 2, false);
    return true;
}

static bool is_unsigned(TnDType t) { /* what would be negative wraps: far from bounded */
    return t == TN_U8 || t == TN_U16 || t == TN_U32 || t == TN_U64;
}

bool make_exact_unary(Maker *k, OpKind op) { /* neg, abs, relu */
    Item x = random_any(k);
    TnDType t = x.v->type.dtype;
    if (t == TN_BOOL || (op == OP_relu && !tn_is_float(t))) x = random_cast(k, x, TN_F32);
    t = x.v->type.dtype;
    if (t == TN_I8 || is_unsigned(t)) return false; /* -(-128) is no i8 */
    random_add(k, ir_unary(k->g, op, x.v), x.bound, x.exact);
    return true;
}

bool make_jump(Maker *k, OpKind op) { /* floor, ceil, round, sign */
    Item x = random_float(k);
    if (!x.exact) return false;
    random_add(k, ir_unary(k->g, op, x.v), x.bound + 1, true);
    return true;
}

bool make_sum(Maker *k, OpKind op) { /* add, sub, min, max */
    Item x = random_any(k);
    TnDType t = x.v->type.dtype;
    if (t == TN_BOOL || (is_unsigned(t) && op == OP_sub)) return false;
    Item y = random_partner(k, &x.v->type, t);
    bool picks = op == OP_min || op == OP_max,
         exact = x.exact && y.exact && (picks || t != TN_BF16);
    double bound = picks ? fmax(x.bound, y.bound) : x.bound + y.bound;
    if (!tn_is_float(t) && bound > 100) return false;
    random_add(k, ir_binary(k->g, op, x.v, y.v), bound, exact && bound < 64);
    return true;
}

bool make_product(Maker *k, OpKind op) {
    Item x = random_small(k, random_any(k));
    TnDType t = x.v->type.dtype;
    if (t == TN_BOOL || (!tn_is_float(t) && x.bound > 10)) return false;
    Item y = random_small(k, random_partner(k, &x.v->type, t));
    if (!tn_is_float(t) && y.bound > 10) return false;
    random_add(k, ir_binary(k->g, op, x.v, y.v), x.bound * y.bound, false);
    return true;
}

bool make_quotient(Maker *k, OpKind op) {
    Item x = random_small(k, random_float(k)),
         y = random_small(k, random_partner(k, &x.v->type, x.v->type.dtype));
    random_add(k, ir_binary(k->g, op, x.v, random_positive(k, y)), x.bound * 2, false);
    return true;
}

bool make_power(Maker *k, OpKind op) {
    static const double exponents[] = {2, 3, 0.5, -1, 1.5};
    Item x = random_small(k, random_float(k));
    Value *e = ir_scalar(k->g, x.v->type.dtype, exponents[rng_below(&k->rng, 5)]);
    Value *y = ir_binary(k->g, op, random_positive(k, x), e);
    random_add(k, ir_unary(k->g, OP_tanh, y), 1, false);
    return true;
}

bool make_remainder(Maker *k, OpKind op) { /* of integers by a positive number */
    Item x = random_any(k);
    TnDType t = x.v->type.dtype;
    if (tn_is_float(t) || t == TN_BOOL) return false;
    random_add(k, ir_binary(k->g, op, x.v, ir_scalar_int(k->g, t, 3)), fmax(x.bound, 3), true);
    return true;
}

bool make_comparison(Maker *k, OpKind op) {
    Item x = random_any(k);
    if (x.v->type.dtype == TN_BOOL && op != OP_eq) return false;
    if (!x.exact) return false;
    Item y = random_partner(k, &x.v->type, x.v->type.dtype);
    if (!y.exact) return false;
    random_add(k, ir_binary(k->g, op, x.v, y.v), 1, true);
    return true;
}

bool make_logic(Maker *k, OpKind op) {
    Item x = random_cast(k, random_any(k), TN_BOOL), y = random_partner(k, &x.v->type, TN_BOOL);
    random_add(k, op == OP_not ? ir_unary(k->g, op, x.v) : ir_binary(k->g, op, x.v, y.v), 1, true);
    return true;
}

bool make_where(Maker *k, OpKind op) {
    (void)op;
    Item x = random_any(k), y = random_partner(k, &x.v->type, x.v->type.dtype);
    Item c = random_partner(k, &x.v->type, TN_BOOL);
    random_add(k, ir_where(k->g, c.v, x.v, y.v), fmax(x.bound, y.bound), x.exact && y.exact);
    return true;
}

bool make_cast(Maker *k, OpKind op) {
    (void)op;
    static const TnDType narrow[] = {TN_F8E4M3FN, TN_F8E5M2, TN_F4E2M1, TN_I4, TN_U2};
    TnDType t = random_often(k, 85) ? random_type(k) : narrow[rng_below(&k->rng, 5)];
    random_cast(k, random_any(k), t);
    return true;
}
