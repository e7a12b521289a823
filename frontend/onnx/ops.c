/* ops.def as a table. */
#include "frontend/onnx/ops.h"

#include <string.h>
#include "frontend/onnx/import.h"

static const OnnxOp table[] = {
#define ROW(domain, name, since, until, min_in, max_in, max_out, attributes, function, op, flow) \
    {domain, #name, since, until, min_in, max_in, max_out, attributes, import_##function, op, flow},
#define OP(name, since, until, min_in, max_in, max_out, attributes, function, op) \
    ROW("", name, since, until, min_in, max_in, max_out, attributes, function, op, false)
#define FLOW(name, since, until, min_in, max_in, max_out, attributes, function, op) \
    ROW("", name, since, until, min_in, max_in, max_out, attributes, function, op, true)
#define MS(name, since, until, min_in, max_in, max_out, attributes, function, op)               \
    ROW("com.microsoft", name, since, until, min_in, max_in, max_out, attributes, function, op, \
        false)
#include "frontend/onnx/ops.def"
#undef OP
};

size_t onnx_op_count(void) {
    return sizeof table / sizeof *table;
}

const OnnxOp *onnx_op_at(size_t i) {
    return &table[i];
}

const OnnxOp *onnx_op_find(const char *domain, const char *name, int64_t opset) {
    for (const OnnxOp *op = table; op < table + onnx_op_count(); op++)
        if (opset >= op->since && (!op->until || opset <= op->until) && !strcmp(op->name, name) &&
            !strcmp(op->domain, domain))
            return op;
    return NULL;
}
