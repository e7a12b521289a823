/* tenon ops, tenon models: what is supported, from the tables. */
#include <string.h>
#include "frontend/onnx/ops.h"
#include "ir/ir.h"
#include "models/models.h"
#include "tools/tool.h"

static void list_ir_ops(Tool *t) {
    for (int i = 0; i < OP_COUNT; i++) {
        const OpInfo *op = ir_op_info((OpKind)i);
        tool_printf(t, "%-16s %s\n", op->name, op->formula);
    }
}

static void list_onnx_ops(Tool *t) {
    for (size_t i = 0; i < onnx_op_count(); i++) {
        const OnnxOp *op = onnx_op_at(i);
        if (op->until)
            tool_printf(t, "%-24s opset %d to %d\n", op->name, op->since, op->until);
        else
            tool_printf(t, "%-24s opset %d and later\n", op->name, op->since);
    }
}

int cmd_ops(Tool *t) {
    const char *name, *value;
    bool onnx = false;
    while (tool_next(t, &name, &value)) {
        if (name && !strcmp(name, "--onnx"))
            onnx = true;
        else
            tool_usage(t, "unknown argument '%s'", name ? name : value);
    }
    if (onnx)
        list_onnx_ops(t);
    else
        list_ir_ops(t);
    return EXIT_DONE;
}

int cmd_models(Tool *t) {
    const char *name, *value;
    if (tool_next(t, &name, &value)) tool_usage(t, "unknown argument '%s'", name ? name : value);
    for (size_t i = 0; i < model_count(); i++) {
        const ModelInfo *m = model_at(i);
        tool_printf(t, "%-36s %-12s %s\n", m->architecture, m->model_type, m->task);
    }
    return EXIT_DONE;
}
