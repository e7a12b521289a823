/* The table of operators, from ops.def. */
#include "ir/ir.h"

#include <string.h>
#include "ir/shape.h"

static const OpInfo ops[OP_COUNT] = {
#define OP(name, min, max, outputs, types, attrs, shape, facts, flags, formula) \
    [OP_##name] = {#name, min, max, outputs, types, attrs, flags, formula},
#include "ir/ops.def"
#undef OP
};

static InferRule *const shape_rules[OP_COUNT] = {
#define OP(name, min, max, outputs, types, attrs, shape, facts, flags, formula) \
    [OP_##name] = shape_##shape,
#include "ir/ops.def"
#undef OP
};

static InferRule *const facts_rules[OP_COUNT] = {
#define OP(name, min, max, outputs, types, attrs, shape, facts, flags, formula) \
    [OP_##name] = facts_##facts,
#include "ir/ops.def"
#undef OP
};

const OpInfo *ir_op_info(OpKind op) {
    return &ops[op];
}

InferRule *ir_shape_rule(OpKind op) {
    return shape_rules[op];
}

InferRule *ir_facts_rule(OpKind op) {
    return facts_rules[op];
}

OpKind ir_op_find(const char *name) {
    int i = 0;
    while (i < OP_COUNT && strcmp(ops[i].name, name) != 0) i++;
    return (OpKind)i;
}

bool ir_keeps_order(const Node *n) {
    const IntList *perm = attr_ints(n, "perm");
    int64_t last = -1;
    for (int i = 0; i < perm->count; i++) {
        if (ex_is(n->inputs[0]->type.dims[perm->v[i]], 1)) continue;
        if (perm->v[i] < last) return false;
        last = perm->v[i];
    }
    return true;
}
