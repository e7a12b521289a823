/* map: a small program per element, on the scalar functions of the elementwise operators; every
 * register is rounded to its type. */
#include "ir/ref/ref.h"

/* Values and types of all registers: operands first, then one per step. */
typedef struct Registers {
    Scalar *v;
    TnDType *t;
} Registers;

static Scalar run_step(const MapStep *s, Registers r) {
    if (s->op == OP_splat)
        return tn_is_float(s->dtype) ? (Scalar){.f = s->value} : (Scalar){.i = s->integer};
    if (s->op == OP_cast) return scalar_convert(r.t[s->args[0]], s->dtype, r.v[s->args[0]]);
    Scalar args[3] = {{0}};
    for (int i = 0; i < ir_op_info(s->op)->min_inputs; i++) args[i] = r.v[s->args[i]];
    return scalar_apply(s->op, r.t[s->args[s->op == OP_where]], args);
}

void ref_map(RefCall *call) {
    const MapBody *body = attr_body(call->node, "body");
    int inputs = call->n_in, count = inputs + body->count;
    Tensor *y = call->out;
    Registers r = {ARENA_ARRAY(&call->scratch, Scalar, (size_t)count),
                   ARENA_ARRAY(&call->scratch, TnDType, (size_t)count)};
    RefLoop l = ref_loop(y->rank, y->dims);
    for (int i = 0; i < inputs; i++) {
        ref_follow(&l, call->in[i]->rank, call->in[i]->dims);
        r.t[i] = call->in[i]->dtype;
    }
    for (int s = 0; s < body->count; s++) r.t[inputs + s] = body->steps[s].dtype;
    for (; ref_more(&l); ref_step(&l)) {
        for (int i = 0; i < inputs; i++) r.v[i] = scalar_load(r.t[i], call->in[i]->data, l.at[i]);
        for (int s = 0; s < body->count; s++)
            r.v[inputs + s] = scalar_round(r.t[inputs + s], run_step(&body->steps[s], r));
        scalar_store(y->dtype, y->data, l.count, r.v[count - 1]);
    }
}
