/* Elementwise operators: one loop for all of them; what they compute is in scalar.c. */
#include "ir/ref/ref.h"

#include <string.h>

static void elementwise(RefCall *call) {
    Tensor *y = call->out;
    OpKind op = call->node->op;
    TnDType t = call->in[op == OP_where]->dtype;
    RefLoop l = ref_loop(y->rank, y->dims);
    for (int i = 0; i < call->n_in; i++) ref_follow(&l, call->in[i]->rank, call->in[i]->dims);
    for (; ref_more(&l); ref_step(&l)) {
        Scalar args[3];
        for (int i = 0; i < call->n_in; i++)
            args[i] = scalar_load(call->in[i]->dtype, call->in[i]->data, l.at[i]);
        Scalar v = op == OP_cast ? scalar_convert(t, y->dtype, args[0]) : scalar_apply(op, t, args);
        scalar_store(y->dtype, y->data, l.count, v);
    }
}

#define KERNEL(name)                 \
    void ref_##name(RefCall *call) { \
        elementwise(call);           \
    }
KERNEL(add)
KERNEL(sub)
KERNEL(mul)
KERNEL(div)
KERNEL(mod)
KERNEL(fmod)
KERNEL(pow)
KERNEL(min)
KERNEL(max)
KERNEL(neg)
KERNEL(abs)
KERNEL(sqrt)
KERNEL(reciprocal)
KERNEL(exp)
KERNEL(log)
KERNEL(erf)
KERNEL(tanh)
KERNEL(sigmoid)
KERNEL(sin)
KERNEL(cos)
KERNEL(tan)
KERNEL(asin)
KERNEL(acos)
KERNEL(atan)
KERNEL(sinh)
KERNEL(cosh)
KERNEL(asinh)
KERNEL(acosh)
KERNEL(atanh)
KERNEL(floor)
KERNEL(ceil)
KERNEL(round)
KERNEL(sign)
KERNEL(relu)
KERNEL(gelu)
KERNEL(gelu_tanh)
KERNEL(gelu_quick)
KERNEL(silu)
KERNEL(eq)
KERNEL(lt)
KERNEL(le)
KERNEL(and)
KERNEL(or)
KERNEL(xor)
KERNEL(not )
KERNEL(bit_and)
KERNEL(bit_or)
KERNEL(bit_xor)
KERNEL(shift_left)
KERNEL(shift_right)
KERNEL(bit_not)
KERNEL(where)
KERNEL(cast)

void ref_bitcast(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    memcpy(y->data, x->data, (size_t)tensor_count(y) * tn_dtype_size(y->dtype));
}
