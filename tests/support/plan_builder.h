/* Writes plans by hand, record by record, for tests of the loader and of sessions.
 *
 *     PlanBuilder b = {0};
 *     pb_begin(&b, "main");
 *     uint32_t seq = pb_symbol(&b, "sequence", 1, 512);
 *     uint32_t x = pb_input(&b, "x", TN_F32, 1, (uint32_t[]){seq}, TN_DEFAULT_NONE);     a view
 *     uint32_t y = pb_output(&b, "y", TN_F32, 1, (uint32_t[]){seq});
 *     pb_instruction(&b, TN_OP_copy, 1, (uint32_t[]){x}, 1, (uint32_t[]){y}, NULL, 0, NULL, 0,
 * "node"); pb_end(&b); size_t size; unsigned char *bytes = pb_finish(&b, &size); free it; 64-byte
 * aligned
 *
 * plan_rehash makes all checksums right again after bytes were changed. */
#ifndef TENON_TESTS_SUPPORT_PLAN_BUILDER_H
#define TENON_TESTS_SUPPORT_PLAN_BUILDER_H

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "runtime/instrs.h"
#include "runtime/pack.h"
#include "runtime/params.h"
#include "runtime/plan_format.h"

typedef struct PbSection {
    unsigned char *data;
    size_t bytes, capacity, record;
} PbSection;

#define PB_PORTS 32
#define PB_KINDS TN_SECTION_VALUES /* the last section kind */
typedef struct PlanBuilder {
    PbSection section[PB_KINDS + 1];
    PlanFunction function;
    PlanPort inputs[PB_PORTS], outputs[PB_PORTS];
} PlanBuilder;

/* Appends `bytes` after padding to `alignment`; returns the offset. */
static inline size_t pb_append(PbSection *s, const void *data, size_t bytes, size_t alignment) {
    size_t at = (s->bytes + alignment - 1) / alignment * alignment;
    if (at + bytes > s->capacity) {
        s->capacity = 2 * (at + bytes) + 64;
        s->data = realloc(s->data, s->capacity);
    }
    if (at > s->bytes) memset(s->data + s->bytes, 0, at - s->bytes);
    if (bytes) memcpy(s->data + at, data, bytes);
    s->bytes = at + bytes;
    return at;
}

/* Appends a record; returns its index. */
static inline uint32_t pb_record(PlanBuilder *b, int kind, const void *record, size_t size) {
    b->section[kind].record = size;
    return (uint32_t)(pb_append(&b->section[kind], record, size, 1) / size);
}

static inline uint32_t pb_string(PlanBuilder *b, const char *s) {
    b->section[TN_SECTION_STRINGS].record = 1;
    return (uint32_t)pb_append(&b->section[TN_SECTION_STRINGS], s, strlen(s) + 1, 1);
}

static inline uint32_t pb_ids(PlanBuilder *b, const uint32_t *ids, size_t count) {
    uint32_t first = (uint32_t)(b->section[TN_SECTION_IDS].bytes / sizeof *ids);
    for (size_t i = 0; i < count; i++) pb_record(b, TN_SECTION_IDS, &ids[i], sizeof *ids);
    return first;
}

static inline uint32_t pb_expr(PlanBuilder *b, PlanExprOp op, uint32_t x, uint32_t y) {
    return pb_record(b, TN_SECTION_EXPRS, &(PlanExpr){.op = op, .a = x, .b = y}, sizeof(PlanExpr));
}

static inline uint32_t pb_const(PlanBuilder *b, int64_t value) {
    return pb_record(b, TN_SECTION_EXPRS, &(PlanExpr){.op = TN_EXPR_CONST, .value = value},
                     sizeof(PlanExpr));
}

static inline uint32_t pb_symbol_of(PlanBuilder *b, PlanSymbolKind kind, const char *name,
                                    int64_t min, int64_t max, uint32_t bound) {
    PlanSymbol s = {
        .name = pb_string(b, name), .kind = kind, .min = min, .max = max, .bound = bound};
    return pb_expr(b, TN_EXPR_SYMBOL, pb_record(b, TN_SECTION_SYMBOLS, &s, sizeof s), 0);
}

/* The expression that is a new symbol. */
static inline uint32_t pb_symbol(PlanBuilder *b, const char *name, int64_t min, int64_t max) {
    return pb_symbol_of(b, TN_SYMBOL_INPUT, name, min, max, TN_NO_ID);
}

/* The expression that is a new symbol which only a run can tell; bound may be TN_NO_ID. */
static inline uint32_t pb_measured(PlanBuilder *b, const char *name, int64_t min, int64_t max,
                                   uint32_t bound) {
    return pb_symbol_of(b, TN_SYMBOL_MEASURED, name, min, max, bound);
}

/* The expression that is a new symbol for the capacity of states; the symbol's id in *id. */
static inline uint32_t pb_capacity(PlanBuilder *b, const char *name, uint32_t *id) {
    PlanSymbol s = {.name = pb_string(b, name),
                    .kind = TN_SYMBOL_CAPACITY,
                    .max = INT64_MAX,
                    .bound = TN_NO_ID};
    *id = pb_record(b, TN_SECTION_SYMBOLS, &s, sizeof s);
    return pb_expr(b, TN_EXPR_SYMBOL, *id, 0);
}

static inline void pb_require(PlanBuilder *b, PlanRelation relation, uint32_t left, uint32_t right,
                              const char *text, const char *origin) {
    PlanRequirement r = {.relation = relation,
                         .left = left,
                         .right = right,
                         .text = pb_string(b, text),
                         .origin = pb_string(b, origin)};
    r.function = (uint32_t)(b->section[TN_SECTION_FUNCTIONS].bytes / sizeof(PlanFunction));
    pb_record(b, TN_SECTION_REQUIREMENTS, &r, sizeof r);
}

static inline uint32_t pb_buffer(PlanBuilder *b, PlanBufferKind kind, uint32_t index,
                                 uint32_t elements, TnDType dtype) {
    PlanBuffer r = {.kind = kind, .index = index, .elements = elements, .dtype = (uint8_t)dtype};
    return pb_record(b, TN_SECTION_BUFFERS, &r, sizeof r);
}

/* A view with given strides (expressions). */
static inline uint32_t pb_view(PlanBuilder *b, uint32_t buffer, TnDType dtype, TnLayout layout,
                               int rank, const uint32_t *dims, const uint32_t *strides,
                               uint32_t offset) {
    PlanView v = {.buffer = buffer,
                  .offset = offset,
                  .dims = pb_ids(b, dims, (size_t)rank),
                  .strides = pb_ids(b, strides, (size_t)rank),
                  .dtype = (uint8_t)dtype,
                  .rank = (uint8_t)rank,
                  .layout = (uint8_t)layout};
    return pb_record(b, TN_SECTION_VIEWS, &v, sizeof v);
}

/* Row-major strides of dims; the product is what *elements becomes. */
static inline void pb_strides(PlanBuilder *b, int rank, const uint32_t *dims, uint32_t *strides,
                              uint32_t *elements) {
    *elements = pb_const(b, 1);
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = *elements;
        *elements = pb_expr(b, TN_EXPR_MUL, *elements, dims[i]);
    }
}

/* A dense view of a new buffer. */
static inline uint32_t pb_dense(PlanBuilder *b, PlanBufferKind kind, uint32_t index, TnDType dtype,
                                int rank, const uint32_t *dims) {
    uint32_t strides[TN_MAX_RANK], elements;
    pb_strides(b, rank, dims, strides, &elements);
    uint32_t buffer = pb_buffer(b, kind, index, elements, dtype);
    return pb_view(b, buffer, dtype, TN_LAYOUT_STRIDED, rank, dims, strides, pb_const(b, 0));
}

static inline uint32_t pb_arena(PlanBuilder *b, TnDType dtype, int rank, const uint32_t *dims) {
    return pb_dense(b, TN_BUFFER_ARENA, 0, dtype, rank, dims);
}

static inline uint32_t pb_input(PlanBuilder *b, const char *name, TnDType dtype, int rank,
                                const uint32_t *dims, PlanDefault fill) {
    uint32_t index = b->function.input_count++,
             view = pb_dense(b, TN_BUFFER_INPUT, index, dtype, rank, dims);
    b->inputs[index] = (PlanPort){.name = pb_string(b, name), .view = view, .fill = fill};
    return view;
}

static inline uint32_t pb_output(PlanBuilder *b, const char *name, TnDType dtype, int rank,
                                 const uint32_t *dims) {
    uint32_t index = b->function.output_count++,
             view = pb_dense(b, TN_BUFFER_OUTPUT, index, dtype, rank, dims);
    b->outputs[index] = (PlanPort){.name = pb_string(b, name), .view = view};
    return view;
}

/* A constant whose bytes are those at `data`, as its layout has them; returns a view of it. */
static inline uint32_t pb_stored(PlanBuilder *b, PlanConstant c, const void *data) {
    uint32_t exprs[TN_MAX_RANK], strides[TN_MAX_RANK], elements;
    TnDType t = (TnDType)c.dtype;
    for (int i = 0; i < c.rank; i++) exprs[i] = pb_const(b, c.dims[i]);
    c.offset = pb_append(&b->section[TN_SECTION_WEIGHTS], data, (size_t)c.bytes, TN_PLAN_ALIGN);
    uint32_t buffer = pb_buffer(b, TN_BUFFER_CONSTANT,
                                pb_record(b, TN_SECTION_CONSTANTS, &c, sizeof c), TN_NO_ID, t);
    pb_strides(b, c.rank, exprs, strides, &elements);
    return pb_view(b, buffer, t, (TnLayout)c.layout, c.rank, exprs, strides, pb_const(b, 0));
}

/* A constant of row-major f32 data, stored in the layout; returns a view of it. */
static inline uint32_t pb_constant(PlanBuilder *b, const char *name, TnLayout layout, int rank,
                                   const int64_t *dims, const float *data) {
    PlanConstant c = {.name = pb_string(b, name),
                      .dtype = TN_F32,
                      .layout = (uint8_t)layout,
                      .rank = (uint8_t)rank};
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        c.dims[i] = dims[i];
        count *= dims[i];
    }
    int64_t stored = layout == TN_LAYOUT_PANELS16 ? tn_panels_elements(dims[0], dims[1]) : count;
    float *packed = calloc((size_t)stored + 1, sizeof *packed);
    for (int64_t i = 0; i < count; i++)
        packed[layout == TN_LAYOUT_PANELS16 ? tn_panels_index(dims[0], i / dims[1], i % dims[1])
                                            : i] = data[i];
    c.bytes = (uint64_t)stored * sizeof *packed;
    uint32_t view = pb_stored(b, c, packed);
    free(packed);
    return view;
}

static inline void pb_instruction(PlanBuilder *b, TnOpcode opcode, int inputs, const uint32_t *in,
                                  int outputs, const uint32_t *out, const void *params,
                                  size_t params_bytes, const uint32_t *scalars, int scalar_count,
                                  const char *origin) {
    PlanInstruction i = {.opcode = (uint16_t)opcode,
                         .inputs = (uint16_t)inputs,
                         .outputs = (uint16_t)outputs,
                         .scalar_count = (uint16_t)scalar_count,
                         .params_bytes = (uint32_t)params_bytes};
    i.operands = pb_ids(b, in, (size_t)inputs);
    pb_ids(b, out, (size_t)outputs);
    i.scalars = pb_ids(b, scalars, (size_t)scalar_count);
    b->section[TN_SECTION_PARAMS].record = 1;
    i.params = (uint32_t)pb_append(&b->section[TN_SECTION_PARAMS], params, params_bytes, 8);
    pb_record(b, TN_SECTION_INSTRUCTIONS, &i, sizeof i);
    uint32_t name = pb_string(b, origin);
    pb_record(b, TN_SECTION_ORIGINS, &name, sizeof name);
    b->function.instruction_count++;
}

/* A map instruction of `count` steps. */
static inline void pb_map(PlanBuilder *b, int inputs, const uint32_t *in, uint32_t out,
                          const TnMapStep *steps, uint32_t count, const char *origin) {
    unsigned char record[sizeof(ParamsMap) + TN_MAX_MAP_STEPS * sizeof(TnMapStep)];
    memcpy(record, &(ParamsMap){.steps = count}, sizeof(ParamsMap));
    memcpy(record + sizeof(ParamsMap), steps, count * sizeof *steps);
    pb_instruction(b, TN_OP_map, inputs, in, 1, &out, record,
                   sizeof(ParamsMap) + count * sizeof *steps, NULL, 0, origin);
}

static inline void pb_meta(PlanBuilder *b, const char *key, const char *value) {
    PlanMeta m = {.key = pb_string(b, key), .value = pb_string(b, value)};
    pb_record(b, TN_SECTION_METADATA, &m, sizeof m);
}

static inline void pb_begin(PlanBuilder *b, const char *name) {
    b->function = (PlanFunction){.name = pb_string(b, name)};
    b->function.first_buffer =
        (uint32_t)(b->section[TN_SECTION_BUFFERS].bytes / sizeof(PlanBuffer));
    b->function.first_instruction =
        (uint32_t)(b->section[TN_SECTION_INSTRUCTIONS].bytes / sizeof(PlanInstruction));
}

/* A function that only instructions run. */
static inline void pb_begin_internal(PlanBuilder *b, const char *name) {
    pb_begin(b, name);
    b->function.flags = TN_FUNCTION_INTERNAL;
}

static inline void pb_end(PlanBuilder *b) {
    PlanFunction *f = &b->function;
    f->first_input = (uint32_t)(b->section[TN_SECTION_PORTS].bytes / sizeof(PlanPort));
    f->first_output = f->first_input + f->input_count;
    f->buffer_count =
        (uint32_t)(b->section[TN_SECTION_BUFFERS].bytes / sizeof(PlanBuffer)) - f->first_buffer;
    for (uint32_t i = 0; i < f->input_count; i++)
        pb_record(b, TN_SECTION_PORTS, &b->inputs[i], sizeof(PlanPort));
    for (uint32_t i = 0; i < f->output_count; i++)
        pb_record(b, TN_SECTION_PORTS, &b->outputs[i], sizeof(PlanPort));
    pb_record(b, TN_SECTION_FUNCTIONS, f, sizeof *f);
}

static inline PlanSection *plan_sections(unsigned char *bytes) {
    return (PlanSection *)(bytes + sizeof(PlanHeader));
}

/* Makes all checksums right that lie within the bytes. */
static inline void plan_rehash(unsigned char *bytes, size_t size) {
    PlanHeader *h = (PlanHeader *)bytes;
    if (size < sizeof *h || h->header_bytes != sizeof *h || h->section_bytes != sizeof(PlanSection))
        return;
    if (h->section_count > (size - sizeof *h) / sizeof(PlanSection)) return;
    PlanSection *sections = plan_sections(bytes);
    for (uint32_t i = 0; i < h->section_count; i++)
        if (sections[i].offset <= size && sections[i].bytes <= size - sections[i].offset)
            sections[i].hash = XXH3_64bits(bytes + sections[i].offset, (size_t)sections[i].bytes);
    h->hash = 0;
    h->hash = XXH3_64bits(bytes, sizeof *h + h->section_count * sizeof(PlanSection));
}

/* Lays the sections out in the order of their kinds. The builder is empty afterwards. */
static inline unsigned char *pb_finish(PlanBuilder *b, size_t *size) {
    PlanHeader h = {.major = TN_PLAN_MAJOR,
                    .minor = TN_PLAN_MINOR,
                    .header_bytes = sizeof h,
                    .section_bytes = sizeof(PlanSection),
                    .required = b->section[TN_SECTION_STATES].bytes ? TN_FEATURE_STATES : 0};
    PlanSection sections[PB_KINDS];
    memcpy(h.magic, TN_PLAN_MAGIC, sizeof h.magic);
    for (uint32_t kind = 1; kind <= PB_KINDS; kind++) {
        const PbSection *s = &b->section[kind];
        uint64_t count = s->record > 1 ? s->bytes / s->record : s->bytes;
        if (s->bytes)
            sections[h.section_count++] =
                (PlanSection){.kind = kind, .bytes = s->bytes, .count = count};
    }
    uint64_t at = sizeof h + h.section_count * sizeof(PlanSection);
    for (uint32_t i = 0; i < h.section_count; i++) {
        sections[i].offset = (at + TN_PLAN_ALIGN - 1) / TN_PLAN_ALIGN * TN_PLAN_ALIGN;
        at = sections[i].offset + sections[i].bytes;
    }
    h.file_bytes = at;
    unsigned char *bytes =
        aligned_alloc(TN_PLAN_ALIGN, (at + TN_PLAN_ALIGN) / TN_PLAN_ALIGN * TN_PLAN_ALIGN);
    memset(bytes, 0, at);
    memcpy(bytes, &h, sizeof h);
    memcpy(bytes + sizeof h, sections, h.section_count * sizeof *sections);
    for (uint32_t i = 0; i < h.section_count; i++)
        memcpy(bytes + sections[i].offset, b->section[sections[i].kind].data,
               (size_t)sections[i].bytes);
    plan_rehash(bytes, at);
    for (int kind = 0; kind <= PB_KINDS; kind++) free(b->section[kind].data);
    memset(b, 0, sizeof *b);
    *size = at;
    return bytes;
}

#endif
