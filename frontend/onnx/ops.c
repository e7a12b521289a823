/* ops.def as a table. */
#include "frontend/onnx/ops.h"

#include <string.h>
#include "frontend/onnx/import.h"

static const OnnxOp table[] = {
#define OP(name, since, until, min_in, max_in, max_out, attributes, function, op) \
    {#name, since, until, min_in, max_in, max_out, attributes, import_##function, op},
#include "frontend/onnx/ops.def"
#undef OP
};

size_t onnx_op_count(void) {
    return sizeof table / sizeof *table;
}

const OnnxOp *onnx_op_at(size_t i) {
    return &table[i];
}

const OnnxOp *onnx_op_find(const char *name, int64_t opset) {
    for (const OnnxOp *op = table; op < table + onnx_op_count(); op++)
        if (opset >= op->since && (!op->until || opset <= op->until) && !strcmp(op->name, name))
            return op;
    return NULL;
}
