/* tenon ops, tenon models: what is supported, from the tables. docs/ops.md is what
 * `tenon ops --markdown` prints. */
#include <string.h>
#include "frontend/onnx/ops.h"
#include "ir/infer.h"
#include "ir/text.h"
#include "models/models.h"
#include "runtime/instrs.h"
#include "runtime/runtime.h"
#include "tools/tool.h"

/* As in plan_check_instr.c. */
#define TYPE_LETTERS                                                                               \
    "`f` f32, `l` i64, `w` i32, `i` i32 or i64, `b` bool,\n`q` i8 or u8, `P` f32, f16 or bf16 in " \
    "panels or f32 in records, `F` a float, `D` f32 or f64, `h` and `H` f32 or bf16, `N` no "      \
    "bool, `T` any, `R` any "                                                                      \
    "or as `P`, `W` as wide\n"                                                                     \
    "as `T`, `.` any of its own; `F`, `D`, `H`, `N`, `T` and `R` stand for one type wherever "     \
    "they "                                                                                        \
    "occur in a rule. Types of\ncontrol flow are those of its functions."

static void list_ir_ops(Tool *t) {
    for (int i = 0; i < OP_COUNT; i++) {
        const OpInfo *op = ir_op_info((OpKind)i);
        tool_printf(t, "%-16s %s\n", op->name, op->formula);
    }
}

/* "Gelu", "com.microsoft.Gelu" */
static const char *full_name(Tool *t, const OnnxOp *op) {
    return arena_printf(&t->cx.arena, "%s%s%s", op->domain, *op->domain ? "." : "", op->name);
}

static void list_onnx_ops(Tool *t) {
    for (size_t i = 0; i < onnx_op_count(); i++) {
        const OnnxOp *op = onnx_op_at(i);
        const char *name = full_name(t, op);
        if (op->until)
            tool_printf(t, "%-36s opset %d to %d\n", name, op->since, op->until);
        else
            tool_printf(t, "%-36s opset %d and later\n", name, op->since);
    }
}

/* --- docs/ops.md --- */

/* As code in a cell of a table, where a bar would end the cell; an empty cell for "". */
static const char *code(Tool *t, const char *s) {
    TextBuffer x = {.arena = &t->cx.arena};
    if (!*s) return "";
    text_add(&x, "`");
    for (; *s; s++) {
        if (*s == '|') text_add(&x, "\\");
        text_add_bytes(&x, s, 1);
    }
    text_add(&x, "`");
    return text_end(&x);
}

/* "2", "1-3", "1 or more" */
static const char *range(Tool *t, int min, int max) {
    if (max < 0) return arena_printf(&t->cx.arena, "%d or more", min);
    if (min == max) return arena_printf(&t->cx.arena, "%d", min);
    return arena_printf(&t->cx.arena, "%d-%d", min, max);
}

/* "`float`: f32, f16, bf16, f64" */
static void type_set(Tool *t, const char *set, const char *end) {
    const char *between = "";
    tool_printf(t, "`%s`: ", set);
    for (TnDType d = TN_NONE + 1; d < TN_DTYPE_COUNT; d++) {
        if (!infer_set_has(set, d)) continue;
        tool_printf(t, "%s%s", between, tn_dtype_name(d));
        between = ", ";
    }
    tool_print(t, end);
}

static void ir_table(Tool *t) {
    tool_print(t,
               "## Operators of the graph\n\n"
               "`ir/ops.def`. Those marked F are made by passes, never by importers; E marks "
               "elementwise ones,\nwhich broadcast their operands. Attributes are "
               "`name:kind=default`; without a default they must be given.\n\n"
               "Element types are a set per operand, the last one for all further operands; `=` is "
               "the type of operand 0,\n`=1` that of operand 1, `~` that of operand 0 or the other "
               "one of f32 and bf16. ");
    type_set(t, "float", ".\n");
    type_set(t, "integer", ".\n`number` is both; ");
    type_set(t, "any", ".\n\n");
    tool_print(t, "| operator | | operands | element types | attributes | meaning |\n"
                  "|---|---|---|---|---|---|\n");
    for (int i = 0; i < OP_COUNT; i++) {
        const OpInfo *op = ir_op_info((OpKind)i);
        const char *mark = op->flags & OPF_FUSED ? "F" : op->flags & OPF_ELEMENTWISE ? "E" : "";
        tool_printf(t, "| %s | %s | %s | %s | %s | %s |\n", op->name, mark,
                    range(t, op->min_inputs, op->max_inputs), code(t, op->types),
                    code(t, op->attrs), code(t, op->formula));
    }
}

/* Not part of libtenon's rows: nothing needs it at run time. */
static const char *const synopses[TN_OP_COUNT] = {
#define INSTR(name, opcode, kernels, min_in, max_in, out, min_sc, max_sc, record, rule, flags, \
              synopsis)                                                                        \
    [opcode] = synopsis,
#include "runtime/instrs.def"
#undef INSTR
};

static void instr_table(Tool *t) {
    tool_print(t, "\n## Instructions of a plan\n\n`runtime/instrs.def`.\n\n"
                  "Element types are a letter per operand, inputs `>` outputs: " TYPE_LETTERS "\n\n"
                  "| instruction | opcode | operands | element types | meaning |\n"
                  "|---|---|---|---|---|\n");
    for (int opcode = 0; opcode < TN_OP_COUNT; opcode++) {
        const TnInstr *row = tn_instr(opcode);
        if (row)
            tool_printf(t, "| %s | %d | %s | %s | %s |\n", row->name, opcode,
                        range(t, row->min_inputs, row->max_inputs), code(t, plan_type_rule(opcode)),
                        code(t, synopses[opcode]));
    }
}

static void onnx_table(Tool *t) {
    tool_print(t, "\n## ONNX operators\n\n"
                  "`frontend/onnx/ops.def`. An operator whose meaning an opset changed has a row "
                  "per meaning. Element types\nare those of ONNX which the operators of the graph "
                  "take that it becomes; strings and complex numbers are never among them.\n"
                  "What is unsupported in a model, `tenon check MODEL` says.\n\n| operator | "
                  "opsets | attributes |\n|---|---|---|\n");
    for (size_t i = 0; i < onnx_op_count(); i++) {
        const OnnxOp *op = onnx_op_at(i);
        tool_printf(t, "| %s | %d%s | %s |\n", full_name(t, op), op->since,
                    op->until ? arena_printf(&t->cx.arena, "-%d", op->until) : " and later",
                    code(t, op->attributes));
    }
}

int cmd_ops(Tool *t) {
    const char *name, *value;
    bool onnx = false, markdown = false;
    while (tool_next(t, &name, &value)) {
        if (name && !strcmp(name, "--onnx"))
            onnx = true;
        else if (name && !strcmp(name, "--markdown"))
            markdown = true;
        else
            tool_usage(t, "unknown argument '%s'", name ? name : value);
    }
    if (markdown) {
        tool_print(t, "# Operators\n\n"
                      "Made by `scripts/make_ops_doc.sh` from the tables; do not edit.\n\n");
        ir_table(t);
        instr_table(t);
        onnx_table(t);
    } else if (onnx) {
        list_onnx_ops(t);
    } else {
        list_ir_ops(t);
    }
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
