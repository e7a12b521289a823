/* Verification of a plan's tables, all that can be told without dims. Order matters: a table is
 * checked before another follows its ids.
 *
 *   string       id inside STRINGS, which ends in NUL
 *   expression   operands have lower ids
 *   symbol       kind INPUT, MEASURED or CAPACITY, 0 <= min <= max, bound an expression
 *   requirement  relation, expressions, strings and function exist
 *   constant     range inside WEIGHTS, aligned, large enough for its dims
 *   buffer       kind, element type, size expression
 *   view         buffer, slices of IDS, element type and layout
 *   value        instruction, view and name exist; instructions rise
 *   function     ranges rise and don't overlap; the first is not internal
 *   state        plan_check_state.c
 *   port         views the INPUT or OUTPUT buffer of its index
 *
 * Instructions are verified by plan_check_instr.c. No check is repeated elsewhere. */
#include <inttypes.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/pack.h"
#include "runtime/runtime.h"

bool plan_invalid(PlanCheck *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    tn_verror(c->err, TENON_E_INVALID, fmt, ap);
    va_end(ap);
    return false;
}

static bool string_ok(const tenon_plan *p, uint32_t id) {
    return id < p->strings_count;
}

static bool optional_string_ok(const tenon_plan *p, uint32_t id) {
    return id == TN_NO_ID || string_ok(p, id);
}

static bool check_strings(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    if (p->strings_count && p->strings[p->strings_count - 1])
        return plan_invalid(c, "STRINGS does not end in NUL");
    for (uint32_t i = 0; i < p->metadata_count; i++)
        if (!string_ok(p, p->metadata[i].key) || !string_ok(p, p->metadata[i].value))
            return plan_invalid(c, "metadata %" PRIu32 ": string outside STRINGS", i);
    if (p->origins_count && p->origins_count != p->instructions_count)
        return plan_invalid(c, "%" PRIu32 " origins for %" PRIu32 " instructions", p->origins_count,
                            p->instructions_count);
    for (uint32_t i = 0; i < p->origins_count; i++)
        if (!optional_string_ok(p, p->origins[i]))
            return plan_invalid(c, "origin %" PRIu32 ": string outside STRINGS", i);
    return true;
}

static bool check_exprs(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->exprs_count; i++) {
        const PlanExpr *e = &p->exprs[i];
        if (e->op == 0 || e->op >= TN_EXPR_OP_COUNT)
            return plan_invalid(c, "expression %" PRIu32 ": operator %" PRIu32, i, e->op);
        if (e->op == TN_EXPR_CONST) continue;
        if (e->op == TN_EXPR_SYMBOL && e->a >= p->symbols_count)
            return plan_invalid(c, "expression %" PRIu32 ": symbol %" PRIu32 " of %" PRIu32, i,
                                e->a, p->symbols_count);
        if (e->op != TN_EXPR_SYMBOL && (e->a >= i || e->b >= i))
            return plan_invalid(
                c, "expression %" PRIu32 " refers to %" PRIu32 " and %" PRIu32 ", not both lower",
                i, e->a, e->b);
    }
    return true;
}

static bool check_symbols(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->symbols_count; i++) {
        const PlanSymbol *s = &p->symbols[i];
        if (!string_ok(p, s->name))
            return plan_invalid(c, "symbol %" PRIu32 ": name outside STRINGS", i);
        if (s->kind != TN_SYMBOL_INPUT && s->kind != TN_SYMBOL_MEASURED &&
            s->kind != TN_SYMBOL_CAPACITY)
            return plan_invalid(c, "symbol '%.80s': kind %" PRIu32 " is not supported",
                                plan_string(p, s->name), s->kind);
        if (s->min < 0 || s->min > s->max)
            return plan_invalid(c, "symbol '%.80s': range %" PRId64 "..%" PRId64,
                                plan_string(p, s->name), s->min, s->max);
        if (s->kind == TN_SYMBOL_MEASURED && s->bound != TN_NO_ID && s->bound >= p->exprs_count)
            return plan_invalid(c, "symbol '%.80s': bound outside EXPRS", plan_string(p, s->name));
    }
    return true;
}

static bool check_requirements(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->requirements_count; i++) {
        const PlanRequirement *r = &p->requirements[i];
        if (r->relation != TN_RELATION_EQ && r->relation != TN_RELATION_LE)
            return plan_invalid(c, "requirement %" PRIu32 ": relation %" PRIu32, i, r->relation);
        if (r->left >= p->exprs_count || r->right >= p->exprs_count)
            return plan_invalid(c, "requirement %" PRIu32 ": expression outside EXPRS", i);
        if (!string_ok(p, r->text) || !optional_string_ok(p, r->origin))
            return plan_invalid(c, "requirement %" PRIu32 ": string outside STRINGS", i);
        if (r->function >= p->functions_count)
            return plan_invalid(c, "requirement %" PRIu32 ": function %" PRIu32 " of %" PRIu32, i,
                                r->function, p->functions_count);
    }
    return true;
}

bool plan_constant_elements(const PlanConstant *c, int64_t *elements) {
    int64_t bound = 1; /* with empty axes as 1, so that no partial product overflows later */
    if (c->rank > TN_MAX_RANK) return false;
    for (int i = 0; i < c->rank; i++)
        if (c->dims[i] < 0 || !tn_mul_i64(bound, c->dims[i] > 0 ? c->dims[i] : 1, &bound) ||
            bound > TN_MAX_ELEMENTS)
            return false;
    if (c->layout == TN_LAYOUT_STRIDED) return tn_product(c->dims, c->rank, elements);
    bool bytes = c->dtype == TN_I8 || c->dtype == TN_U8;
    if (c->rank != 2 || !(c->layout == TN_LAYOUT_PANELS16 ||
                          (c->layout == TN_LAYOUT_PAIRS16 && c->dtype == TN_BF16) ||
                          (c->layout == TN_LAYOUT_QUADS16 && bytes) ||
                          (tn_is_records((TnLayout)c->layout) && c->dtype == TN_F32)))
        return false;
    *elements = tn_packed_elements((TnLayout)c->layout, c->dims[0], c->dims[1]);
    return true;
}

static bool check_constants(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->constants_count; i++) {
        const PlanConstant *k = &p->constants[i];
        int64_t elements;
        if (!string_ok(p, k->name))
            return plan_invalid(c, "constant %" PRIu32 ": name outside STRINGS", i);
        const char *name = plan_string(p, k->name);
        uint64_t size = tn_dtype_size((TnDType)k->dtype);
        if (!size) return plan_invalid(c, "constant '%.80s': element type %d", name, k->dtype);
        if (!plan_constant_elements(k, &elements))
            return plan_invalid(c, "constant '%.80s': bad dims, rank %d or layout %d", name,
                                k->rank, k->layout);
        if (k->offset % TN_PLAN_ALIGN || !tn_range_ok(k->offset, k->bytes, p->weights_bytes))
            return plan_invalid(c,
                                "constant '%.80s': bytes %" PRIu64 " + %" PRIu64
                                " are unaligned or outside the %" PRIu64 " of WEIGHTS",
                                name, k->offset, k->bytes, p->weights_bytes);
        if (k->bytes < (uint64_t)elements * size)
            return plan_invalid(c, "constant '%.80s': %" PRIu64 " bytes; its dims need %" PRIu64,
                                name, k->bytes, (uint64_t)elements * size);
    }
    return true;
}

static bool check_buffers(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->buffers_count; i++) {
        const PlanBuffer *b = &p->buffers[i];
        if (b->kind < TN_BUFFER_ARENA || b->kind > TN_BUFFER_STATE)
            return plan_invalid(c, "buffer %" PRIu32 ": kind %" PRIu32, i, b->kind);
        if (b->kind == TN_BUFFER_STATE &&
            (b->index >= p->states_count || p->states[b->index].buffer != i))
            return plan_invalid(c, "buffer %" PRIu32 " belongs to no state", i);
        if (!tn_dtype_size((TnDType)b->dtype))
            return plan_invalid(c, "buffer %" PRIu32 ": element type %d", i, b->dtype);
        if (b->kind != TN_BUFFER_CONSTANT && b->elements >= p->exprs_count)
            return plan_invalid(c, "buffer %" PRIu32 ": size expression %" PRIu32 " of %" PRIu32, i,
                                b->elements, p->exprs_count);
        if (b->kind != TN_BUFFER_CONSTANT) continue;
        if (b->index >= p->constants_count || p->constants[b->index].dtype != b->dtype)
            return plan_invalid(
                c, "buffer %" PRIu32 ": no constant %" PRIu32 " of this element type", i, b->index);
    }
    return true;
}

bool plan_expr_slice_ok(const tenon_plan *p, uint32_t first, uint32_t count) {
    if (!tn_range_ok(first, count, p->ids_count)) return false;
    for (uint32_t i = 0; i < count; i++)
        if (p->ids[first + i] >= p->exprs_count) return false;
    return true;
}

static bool check_values(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->values_count; i++) {
        const PlanValue *v = &p->values[i];
        if (v->instruction >= p->instructions_count || v->view >= p->views_count ||
            !string_ok(p, v->name))
            return plan_invalid(c, "value %" PRIu32 ": id outside its table", i);
        if (i && v->instruction < v[-1].instruction)
            return plan_invalid(c, "value %" PRIu32 " does not follow the one before it", i);
    }
    return true;
}

static bool check_views(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    for (uint32_t i = 0; i < p->views_count; i++) {
        const PlanView *v = &p->views[i];
        if (v->buffer >= p->buffers_count)
            return plan_invalid(c, "view %" PRIu32 ": buffer %" PRIu32 " of %" PRIu32, i, v->buffer,
                                p->buffers_count);
        const PlanBuffer *b = &p->buffers[v->buffer];
        if (v->rank > TN_MAX_RANK)
            return plan_invalid(c, "view %" PRIu32 ": rank %d; at most %d", i, v->rank,
                                TN_MAX_RANK);
        if (v->offset >= p->exprs_count || !plan_expr_slice_ok(p, v->dims, v->rank) ||
            !plan_expr_slice_ok(p, v->strides, v->rank))
            return plan_invalid(c, "view %" PRIu32 ": offset, dims or strides are no expressions",
                                i);
        if (v->dtype != b->dtype)
            return plan_invalid(c, "view %" PRIu32 ": element type %d of a buffer of %d", i,
                                v->dtype, b->dtype);
        int layout =
            b->kind == TN_BUFFER_CONSTANT ? p->constants[b->index].layout : TN_LAYOUT_STRIDED;
        if (v->layout != layout || (layout != TN_LAYOUT_STRIDED && v->rank != 2))
            return plan_invalid(c, "view %" PRIu32 ": layout %d of a buffer of %d", i, v->layout,
                                layout);
    }
    return true;
}

static bool check_port(PlanCheck *c, uint32_t port, uint32_t buffer_kind, uint32_t index) {
    const tenon_plan *p = c->plan;
    const PlanPort *q = &p->ports[port];
    if (!string_ok(p, q->name))
        return plan_invalid(c, "port %" PRIu32 ": name outside STRINGS", port);
    const char *name = plan_string(p, q->name);
    if (q->view >= p->views_count)
        return plan_invalid(c, "port '%.80s': view %" PRIu32 " of %" PRIu32, name, q->view,
                            p->views_count);
    uint32_t buffer = p->views[q->view].buffer;
    const PlanBuffer *b = &p->buffers[buffer];
    if (buffer - c->function->first_buffer >= c->function->buffer_count || b->kind != buffer_kind ||
        b->index != index)
        return plan_invalid(c, "port '%.80s' does not view the buffer of its index in its function",
                            name);
    if (q->fill > (buffer_kind == TN_BUFFER_INPUT ? TN_DEFAULT_ONES : TN_DEFAULT_NONE))
        return plan_invalid(c, "port '%.80s': default %" PRIu32, name, q->fill);
    return true;
}

/* Every INPUT and OUTPUT buffer of the function is the one that its port views. */
static bool check_port_buffers(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    const PlanFunction *f = c->function;
    for (uint32_t i = f->first_buffer; i < f->first_buffer + f->buffer_count; i++) {
        const PlanBuffer *b = &p->buffers[i];
        bool input = b->kind == TN_BUFFER_INPUT;
        if (!input && b->kind != TN_BUFFER_OUTPUT) continue;
        uint32_t first = input ? f->first_input : f->first_output;
        if (b->index >= (input ? f->input_count : f->output_count) ||
            p->views[p->ports[first + b->index].view].buffer != i)
            return plan_invalid(c, "buffer %" PRIu32 " belongs to no port of function '%.80s'", i,
                                plan_string(p, f->name));
    }
    return true;
}

/* The next function's range of a table: inside it and not before `*end`, so that all functions
 * together are linear work. */
static bool take_range(uint32_t first, uint32_t count, uint32_t total, uint32_t *end) {
    if (!tn_range_ok(first, count, total) || (count && first < *end)) return false;
    if (count) *end = first + count;
    return true;
}

static bool check_function_ports(PlanCheck *c) {
    const PlanFunction *f = c->function;
    for (uint32_t i = 0; i < f->input_count; i++)
        if (!check_port(c, f->first_input + i, TN_BUFFER_INPUT, i)) return false;
    for (uint32_t i = 0; i < f->output_count; i++)
        if (!check_port(c, f->first_output + i, TN_BUFFER_OUTPUT, i)) return false;
    return check_port_buffers(c);
}

static bool check_functions(PlanCheck *c) {
    const tenon_plan *p = c->plan;
    uint32_t port_end = 0, buffer_end = 0, instruction_end = 0;
    if (!p->functions_count) return plan_invalid(c, "the plan has no function");
    for (uint32_t i = 0; i < p->functions_count; i++) {
        const PlanFunction *f = &p->functions[i];
        if (!string_ok(p, f->name))
            return plan_invalid(c, "function %" PRIu32 ": name outside STRINGS", i);
        if (f->flags & ~(i ? TN_FUNCTION_INTERNAL : 0))
            return plan_invalid(c, "function '%.80s': flags 0x%" PRIx32, plan_string(p, f->name),
                                f->flags);
        if (f->instruction_count > TN_MAX_NODES || f->buffer_count > TN_MAX_TENSORS)
            return plan_invalid(c, "function '%.80s': more than %d instructions or buffers",
                                plan_string(p, f->name), TN_MAX_NODES);
        if (!take_range(f->first_input, f->input_count, p->ports_count, &port_end) ||
            !take_range(f->first_output, f->output_count, p->ports_count, &port_end) ||
            !take_range(f->first_buffer, f->buffer_count, p->buffers_count, &buffer_end) ||
            !take_range(f->first_instruction, f->instruction_count, p->instructions_count,
                        &instruction_end))
            return plan_invalid(
                c,
                "function '%.80s': ports, buffers or instructions outside their tables or shared",
                plan_string(p, f->name));
    }
    for (uint32_t i = 0; i < p->functions_count; i++) {
        c->function = &p->functions[i];
        if (!check_function_ports(c)) return false;
    }
    if (!plan_check_states(c)) return false;
    for (uint32_t i = 0; i < p->functions_count; i++) { /* callers before what they run */
        c->function = &p->functions[i];
        if (!plan_check_function_code(c)) return false;
    }
    return true;
}

static bool check_all(PlanCheck *c) {
    return check_strings(c) && check_symbols(c) && check_exprs(c) && check_requirements(c) &&
           check_constants(c) && check_buffers(c) && check_views(c) && check_values(c) &&
           check_functions(c);
}

tenon_status plan_check(tenon_plan *p, tenon_error *err) {
    tenon_error local;
    PlanCheck c = {.plan = p, .err = err ? err : &local};
    c.err->code = TENON_OK;
    p->records = ARENA_ARRAY(&p->arena, const void *, p->instructions_count);
    c.written = tn_allocate(&p->alloc, p->buffers_count + (size_t)p->functions_count + 1, 1);
    bool ok = p->records && c.written;
    if (!ok) {
        tn_error(c.err, TENON_E_MEMORY, "out of memory");
    } else {
        memset(c.written, 0, p->buffers_count + (size_t)p->functions_count);
        c.depth = (uint8_t *)c.written + p->buffers_count;
        ok = check_all(&c);
    }
    tn_release(&p->alloc, c.written);
    return ok ? TENON_OK : c.err->code;
}
