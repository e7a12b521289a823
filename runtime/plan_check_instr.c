/* Verification of instructions: opcode, counts, operands, element types, definition before use.
 *
 * - Counts of operands and scalars lie within the row of instrs.def. Operands up to the row's
 *   minimum and output 0 are present; all of a map's are.
 * - An operand views a buffer of the same function or a constant.
 * - What is read is an input, a constant, a state that the function finds, or in a buffer that an
 *   earlier instruction wrote. Inputs, constants and states that the function only reads are never
 *   written; every output of the function and every state that it makes anew is.
 * - Element types and layouts fit the opcode (type_rules below).
 * - The parameter record is as long as this library's struct, or shorter (then zeros follow), and
 *   valid. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/pack.h"
#include "runtime/params.h"
#include "runtime/runtime.h"

/* Types by operand, inputs '>' outputs; a letter says what the operand may be:
 *
 *   f  f32                  T  any type
 *   P  packed (pack.h): f32, f16, bf16     F  any float; V takes no records
 *   i  i32 or i64           R  any type, or as P
 *   b  bool                 N  any type but bool
 *   .  any type             l  i64
 *   q  i8 or u8             w  i32
 *   D  f32 or f64           W  any type of the width of T
 *   h  f32 or bf16          V  as F, or as P
 *   H  as h                 Q  as q, or in quads
 *   x  f64, or f32 or bf16, which count as f32 to F and V
 *   n  as N, but f32 may be bf16, and bf16 f32
 *
 * D, F, H, N, R, T and V stand for one type wherever they occur in a rule. */
static const char *const type_rules[TN_OP_COUNT] = {
    [TN_OP_gemm] = "hPfh>h",
    [TN_OP_matmul] = "NN>n",
    [TN_OP_attention] = "HHHbbfflHH>h",
    [TN_OP_softmax] = "F>F",
    [TN_OP_norm] = "hhff>hh",
    [TN_OP_group_norm] = "fff>f",
    [TN_OP_map] = "................>.", /* the program says more */
    [TN_OP_reduce] = "T>T",
    [TN_OP_copy] = "T>W",
    [TN_OP_fill] = ">.",
    [TN_OP_gather] = "Ri>T",
    [TN_OP_gather_elements] = "Ti>T",
    [TN_OP_gather_nd] = "Ti>T",
    [TN_OP_iota] = ">.",
    [TN_OP_scalars] = ">.",
    [TN_OP_cumsum] = "T>T",
    [TN_OP_conv] = "xVFx>x",
    [TN_OP_pool] = "T>Tl",
    [TN_OP_col2im] = "F>F",
    [TN_OP_deform_columns] = "FFF>F",
    [TN_OP_resize] = "Tf>T",
    [TN_OP_resize_plane] = "ffff>f",
    [TN_OP_measure] = "i>",
    [TN_OP_if] = "", /* what the functions' ports are: plan_check_control.c */
    [TN_OP_loop] = "",
    [TN_OP_scatter_nd] = "TiT>T",
    [TN_OP_scatter_elements] = "TiT>T",
    [TN_OP_topk] = "T>Tl",
    [TN_OP_matmul_int] = "qQqq>w",
    [TN_OP_grid_sample] = "Tf>T",
    [TN_OP_deformable_attention] = "fff>f",
    [TN_OP_roi_align] = "ffi>f",
    [TN_OP_nonzero] = "b>l",
    [TN_OP_unique] = "T>llll",
    [TN_OP_nms] = "fflff>ll",
    [TN_OP_rnn] = "ffiffff>fff",
    [TN_OP_dft] = "D>D",
    [TN_OP_det] = "D>D",
    [TN_OP_rotary] = "Hff>H",
};

const char *plan_type_rule(int opcode) {
    return type_rules[opcode];
}

static const char *name_of(const PlanInstruction *i) {
    return tn_instr(i->opcode)->name;
}

/* Whether a view fits a letter. `same` is the type that D, F, H, N, R, T and V stand for in this
 * instruction, 0 before the first. */
static bool type_fits(const PlanView *v, char letter, uint8_t *same) {
    bool panels = v->layout != TN_LAYOUT_STRIDED;
    bool packed_type = v->dtype == TN_F32 || v->dtype == TN_F16 || v->dtype == TN_BF16;
    bool records = tn_is_records((TnLayout)v->layout);
    bool either = letter == 'R' || (letter == 'V' && !records);
    if (letter == 'Q' && (!panels || v->layout == TN_LAYOUT_QUADS16))
        return v->dtype == TN_I8 || v->dtype == TN_U8;
    if (panels != (letter == 'P') && !(panels && either && packed_type)) return false;
    if (panels && letter == 'V') return *same == TN_F32; /* the sums are of f32 */
    switch (letter) {
    case 'f': return v->dtype == TN_F32;
    case 'h': return v->dtype == TN_F32 || v->dtype == TN_BF16;
    case 'P': return packed_type;
    case 'i': return v->dtype == TN_I32 || v->dtype == TN_I64;
    case 'l': return v->dtype == TN_I64;
    case 'b': return v->dtype == TN_BOOL;
    case 'q': return v->dtype == TN_I8 || v->dtype == TN_U8;
    case 'w': return v->dtype == TN_I32;
    case '.': return true;
    case 'W': return tn_dtype_size((TnDType)v->dtype) == tn_dtype_size((TnDType)*same);
    case 'D':
        if (v->dtype != TN_F32 && v->dtype != TN_F64) return false;
        break;
    case 'x':
        if (v->dtype != TN_F32 && v->dtype != TN_BF16 && v->dtype != TN_F64) return false;
        if (*same == 0) *same = v->dtype == TN_F64 ? TN_F64 : TN_F32;
        return (*same == TN_F64) == (v->dtype == TN_F64);
    case 'H':
        if (v->dtype != TN_F32 && v->dtype != TN_BF16) return false;
        break;
    case 'F':
    case 'V':
        if (!tn_is_float((TnDType)v->dtype) || tn_is_narrow((TnDType)v->dtype)) return false;
        break;
    case 'n':
        if (*same == TN_F32 || *same == TN_BF16) return v->dtype == TN_F32 || v->dtype == TN_BF16;
        return *same == v->dtype;
    case 'N':
        if (v->dtype == TN_BOOL || tn_is_narrow((TnDType)v->dtype)) return false;
        break;
    case 'R':
    case 'T': break;
    default: return false;
    }
    if (*same == 0) *same = v->dtype;
    return *same == v->dtype;
}

static bool check_types(PlanCheck *c, const PlanInstruction *instruction) {
    const char *rule = type_rules[instruction->opcode];
    uint8_t same = 0;
    if (!rule) return plan_invalid(c, "%s has no rule for element types", name_of(instruction));
    if (!*rule) return true;
    const char *outputs = strchr(rule, '>') + 1;
    for (int i = 0; i < instruction->inputs + instruction->outputs; i++) {
        const PlanView *v = plan_operand(c->plan, instruction, i);
        char letter = i < instruction->inputs ? rule[i] : outputs[i - instruction->inputs];
        if (v && !type_fits(v, letter, &same))
            return plan_invalid(c, "%s: operand %d cannot be %s%s", name_of(instruction), i,
                                tn_dtype_name((TnDType)v->dtype),
                                v->layout != TN_LAYOUT_STRIDED ? " in panels" : "");
    }
    return true;
}

/* Counts against the row, slices inside IDS. */
static bool check_form(PlanCheck *c, const PlanInstruction *i) {
    const tenon_plan *p = c->plan;
    const TnInstr *row = tn_instr(i->opcode);
    if (!row) return plan_invalid(c, "opcode %d is unknown", i->opcode);
    if (i->inputs < row->min_inputs || i->inputs > row->max_inputs ||
        (row->outputs == TN_ANY_OUTPUTS ? i->outputs > TN_MAX_OPERANDS
                                        : i->outputs != row->outputs))
        return plan_invalid(c, "%s with %d inputs and %d outputs", row->name, i->inputs,
                            i->outputs);
    if (i->scalar_count < row->min_scalars || i->scalar_count > row->max_scalars)
        return plan_invalid(c, "%s with %d scalars", row->name, i->scalar_count);
    if (!tn_range_ok(i->operands, (uint64_t)i->inputs + i->outputs, p->ids_count) ||
        !tn_range_ok(i->scalars, i->scalar_count, p->ids_count))
        return plan_invalid(c, "%s: operands or scalars outside IDS", row->name);
    for (uint32_t k = 0; k < i->scalar_count; k++)
        if (p->ids[i->scalars + k] >= p->exprs_count)
            return plan_invalid(c, "%s: scalar %" PRIu32 " is no expression", row->name, k);
    return true;
}

/* One operand's id, buffer and whether it may be read or written now. */
static bool check_operand(PlanCheck *c, const PlanInstruction *instruction, int operand) {
    const tenon_plan *p = c->plan;
    uint32_t id = p->ids[instruction->operands + (uint32_t)operand];
    const char *name = name_of(instruction);
    bool output = operand >= instruction->inputs;
    if (id == TN_NO_ID) {
        const TnInstr *row = tn_instr(instruction->opcode);
        bool needed = output ? operand == instruction->inputs || row->outputs == TN_ANY_OUTPUTS
                             : operand < row->min_inputs || instruction->opcode == TN_OP_map;
        return !needed || plan_invalid(c, "%s: operand %d is missing", name, operand);
    }
    if (id >= p->views_count)
        return plan_invalid(c, "%s: operand %d is view %" PRIu32 " of %" PRIu32, name, operand, id,
                            p->views_count);
    uint32_t buffer = p->views[id].buffer;
    uint32_t kind = p->buffers[buffer].kind;
    if (kind != TN_BUFFER_CONSTANT &&
        buffer - c->function->first_buffer >= c->function->buffer_count)
        return plan_invalid(c, "%s: operand %d views a buffer of another function", name, operand);
    bool read_only = kind == TN_BUFFER_CONSTANT || kind == TN_BUFFER_INPUT;
    if (output && read_only) return plan_invalid(c, "%s: writes an input or a constant", name);
    if (output && kind == TN_BUFFER_STATE &&
        p->states[p->buffers[buffer].index].access == TN_STATE_READ)
        return plan_invalid(c, "%s: writes a state that its function only reads", name);
    if (!output && !read_only && !c->written[buffer])
        return plan_invalid(c, "%s: operand %d is read before it is written", name, operand);
    return true;
}

/* The record in PARAMS, lengthened with zeros if it is one of an older version. */
static bool check_record(PlanCheck *c, const PlanInstruction *i, uint32_t index) {
    tenon_plan *p = c->plan;
    uint32_t bytes = tn_instr(i->opcode)->params_bytes;
    const char *name = name_of(i);
    if (i->params % 8 || !tn_range_ok(i->params, i->params_bytes, p->params_count))
        return plan_invalid(c, "%s: parameters unaligned or outside PARAMS", name);
    const unsigned char *source = p->params + i->params;
    if (i->opcode == TN_OP_map) { /* a shorter record has no steps */
        ParamsMap map = {0};
        if (i->params_bytes >= bytes) memcpy(&map, source, sizeof map);
        if (map.steps == 0 || map.steps > TN_MAX_MAP_STEPS)
            return plan_invalid(c, "map: %" PRIu32 " steps; 1 to %d are allowed", map.steps,
                                TN_MAX_MAP_STEPS);
        bytes += map.steps * (uint32_t)sizeof(TnMapStep);
        if (i->params_bytes != bytes)
            return plan_invalid(c, "map: %" PRIu32 " bytes for %" PRIu32 " steps", i->params_bytes,
                                map.steps);
    }
    if (i->params_bytes > bytes)
        return plan_invalid(c, "%s: %" PRIu32 " bytes of parameters; this library knows %" PRIu32,
                            name, i->params_bytes, bytes);
    const void *record = source;
    if (i->params_bytes < bytes) {
        void *longer = arena_alloc(&p->arena, bytes);
        if (!longer) {
            tn_error(c->err, TENON_E_MEMORY, "out of memory");
            return false;
        }
        if (i->params_bytes) memcpy(longer, source, i->params_bytes);
        record = longer;
    }
    p->records[index] = record;
    return plan_check_params(c, i, record) &&
           (!is_control(i->opcode) || plan_check_control(c, i, record));
}

static bool check_instruction(PlanCheck *c, uint32_t index, uint64_t *ids_used) {
    const tenon_plan *p = c->plan;
    const PlanInstruction *i = &p->instructions[index];
    if (!check_form(c, i)) return false;
    *ids_used += (uint64_t)i->inputs + i->outputs + i->scalar_count;
    if (*ids_used > TN_IDS_LIMIT(p->ids_count))
        return plan_invalid(c, "instructions share too many slices of IDS");
    for (int k = 0; k < i->inputs + i->outputs; k++)
        if (!check_operand(c, i, k)) return false;
    if (!check_types(c, i) || !check_record(c, i, index)) return false;
    for (int k = i->inputs; k < i->inputs + i->outputs; k++) {
        const PlanView *v = plan_operand(p, i, k);
        if (v) c->written[v->buffer] = true;
    }
    return true;
}

bool plan_check_function_code(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    const PlanFunction *f = c->function;
    uint64_t ids_used = 0;
    for (uint32_t k = 0; k < f->instruction_count; k++) {
        uint32_t index = f->first_instruction + k;
        if (check_instruction(c, index, &ids_used)) continue;
        char prefix[160];
        snprintf(prefix, sizeof prefix, "function '%.80s': instruction %" PRIu32,
                 plan_string(p, f->name), k);
        tn_error_prefix(c->err, prefix);
        tn_error_at(c->err, (int32_t)k, plan_origin(p, index));
        return false;
    }
    for (uint32_t k = f->first_buffer; k < f->first_buffer + f->buffer_count; k++)
        if (p->buffers[k].kind == TN_BUFFER_STATE && !c->written[k])
            return plan_invalid(c, "function '%.80s': state '%.80s' is never written",
                                plan_string(p, f->name),
                                plan_string(p, p->states[p->buffers[k].index].name));
    for (uint32_t k = 0; k < f->output_count; k++) {
        const PlanPort *port = &p->ports[f->first_output + k];
        if (!c->written[p->views[port->view].buffer])
            return plan_invalid(c, "function '%.80s': output '%.80s' is never written",
                                plan_string(p, f->name), plan_string(p, port->name));
    }
    return true;
}
