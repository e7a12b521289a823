/* The plan while it is being made: see image.h. */
#include "backend/image.h"

#include <string.h>
#include <xxhash.h>
#include "runtime/base/checked.h"

/* Open-addressing index over byte strings stored in a table: slots hold position + 1. */
struct Dedup {
    uint32_t *position, *length;
    uint64_t *hash;
    size_t mask, count;
};

static Dedup *dedup_new(Cx *cx) {
    Dedup *d = ARENA_NEW(&cx->arena, Dedup);
    d->mask = 255;
    d->position = ARENA_ARRAY(&cx->arena, uint32_t, d->mask + 1);
    d->length = ARENA_ARRAY(&cx->arena, uint32_t, d->mask + 1);
    d->hash = ARENA_ARRAY(&cx->arena, uint64_t, d->mask + 1);
    return d;
}

static void dedup_put(Dedup *d, uint64_t hash, uint32_t position, uint32_t length) {
    size_t i = hash & d->mask;
    while (d->position[i]) i = (i + 1) & d->mask;
    d->position[i] = position + 1;
    d->length[i] = length;
    d->hash[i] = hash;
}

static void dedup_grow(Cx *cx, Dedup *d) {
    Dedup old = *d;
    d->mask = 2 * old.mask + 1;
    d->position = ARENA_ARRAY(&cx->arena, uint32_t, d->mask + 1);
    d->length = ARENA_ARRAY(&cx->arena, uint32_t, d->mask + 1);
    d->hash = ARENA_ARRAY(&cx->arena, uint64_t, d->mask + 1);
    for (size_t i = 0; i <= old.mask; i++)
        if (old.position[i]) dedup_put(d, old.hash[i], old.position[i] - 1, old.length[i]);
}

static void *table_append(Image *im, Table *t, const void *records, size_t n) {
    t->data = arena_grow(&im->cx->arena, t->data, &t->capacity, t->count + n, t->size);
    unsigned char *at = t->data + t->count * t->size;
    if (records)
        memcpy(at, records, n * t->size);
    else
        memset(at, 0, n * t->size);
    t->count += n;
    if (t->count > UINT32_MAX - 1) tn_fail(im->cx, TN_E_LIMIT, "the plan has too many records");
    return at;
}

void *table_add(Image *im, Table *t) {
    return table_append(im, t, NULL, 1);
}

/* Position of n records in a table, added only if they are not there yet. */
static uint32_t dedup_records(Image *im, Dedup *d, Table *t, const void *records, size_t n) {
    size_t bytes = n * t->size;
    uint64_t hash = XXH3_64bits(records, bytes);
    for (size_t i = hash & d->mask; d->position[i]; i = (i + 1) & d->mask) {
        uint32_t at = d->position[i] - 1;
        if (d->hash[i] == hash && d->length[i] == n &&
            !memcmp(t->data + (size_t)at * t->size, records, bytes))
            return at;
    }
    uint32_t at = (uint32_t)t->count;
    table_append(im, t, records, n);
    if (2 * ++d->count > d->mask) dedup_grow(im->cx, d);
    dedup_put(d, hash, at, (uint32_t)n);
    return at;
}

Image *image_new(Module *m) {
    Image *im = ARENA_NEW(&m->cx->arena, Image);
    im->module = m;
    im->cx = m->cx;
    im->ex = m->ex;
    im->strings.size = 1;
    im->ids.size = sizeof(uint32_t);
    im->exprs.size = sizeof(PlanExpr);
    im->symbols.size = sizeof(PlanSymbol);
    im->requirements.size = sizeof(PlanRequirement);
    im->constants.size = sizeof(PlanConstant);
    im->buffers.size = sizeof(PlanBuffer);
    im->views.size = sizeof(PlanView);
    im->functions.size = sizeof(PlanFunction);
    im->ports.size = sizeof(PlanPort);
    im->instructions.size = sizeof(PlanInstruction);
    im->params.size = 8;
    im->metadata.size = sizeof(PlanMeta);
    im->origins.size = sizeof(uint32_t);
    im->values.size = sizeof(PlanValue);
    im->states.size = sizeof(PlanState);
    im->string_dedup = dedup_new(m->cx);
    im->id_dedup = dedup_new(m->cx);
    im->expr_dedup = dedup_new(m->cx);
    im->view_dedup = dedup_new(m->cx);
    im->param_dedup = dedup_new(m->cx);
    return im;
}

uint32_t image_string(Image *im, const char *s) {
    if (!s) s = "";
    return dedup_records(im, im->string_dedup, &im->strings, s, strlen(s) + 1);
}

uint32_t image_ids(Image *im, const uint32_t *ids, int n) {
    return n ? dedup_records(im, im->id_dedup, &im->ids, ids, (size_t)n) : 0;
}

uint32_t image_exprs(Image *im, const Expr *const *e, int n) {
    uint32_t *ids = ARENA_ARRAY(&im->cx->arena, uint32_t, (size_t)n);
    for (int i = 0; i < n; i++) ids[i] = image_expr(im, e[i]);
    return image_ids(im, ids, n);
}

uint32_t image_buffer(Image *im, PlanBufferKind kind, uint32_t index, const Expr *elements,
                      TnDType dtype) {
    uint32_t id = (uint32_t)im->buffers.count;
    uint32_t size = elements ? image_expr(im, elements) : TN_NO_ID;
    PlanBuffer *b = table_add(im, &im->buffers);
    *b = (PlanBuffer){.kind = kind, .index = index, .elements = size, .dtype = (uint8_t)dtype};
    return id;
}

uint32_t image_view(Image *im, uint32_t buffer, TnDType dtype, TnLayout layout, int rank,
                    const Expr *const *dims, const Expr *const *strides, const Expr *offset) {
    PlanView v;
    memset(&v, 0, sizeof v);
    v.buffer = buffer;
    v.offset = image_expr(im, offset);
    v.dims = image_exprs(im, dims, rank);
    v.strides = image_exprs(im, strides, rank);
    v.dtype = (uint8_t)dtype;
    v.rank = (uint8_t)rank;
    v.layout = (uint8_t)layout;
    return dedup_records(im, im->view_dedup, &im->views, &v, 1);
}

/* A slice for an instruction: one of its own where too many would share. */
static uint32_t instruction_ids(Image *im, const uint32_t *ids, int n) {
    im->ids_used += (uint64_t)n;
    if (im->ids_used <= TN_IDS_LIMIT(im->ids.count)) return image_ids(im, ids, n);
    table_append(im, &im->ids, ids, (size_t)n);
    return (uint32_t)im->ids.count - (uint32_t)n;
}

static uint32_t params_at(Image *im, const void *params, uint32_t bytes) {
    size_t words = (bytes + 7) / 8;
    if (!words) return 0;
    uint64_t *padded = ARENA_ARRAY(&im->cx->arena, uint64_t, words);
    memcpy(padded, params, bytes);
    return 8 * dedup_records(im, im->param_dedup, &im->params, padded, words);
}

void image_instr(Image *im, const Instr *in) {
    PlanInstruction p = {.opcode = (uint16_t)in->kind,
                         .inputs = (uint16_t)in->inputs,
                         .outputs = (uint16_t)in->outputs};
    uint32_t *scalars = ARENA_ARRAY(&im->cx->arena, uint32_t, (size_t)in->scalar_count);
    for (int i = 0; i < in->scalar_count; i++) scalars[i] = image_expr(im, in->scalars[i]);
    p.operands = instruction_ids(im, in->operand, in->inputs + in->outputs);
    p.scalars = instruction_ids(im, scalars, in->scalar_count);
    p.scalar_count = (uint16_t)in->scalar_count;
    p.params = params_at(im, in->params, in->params_bytes);
    p.params_bytes = in->params_bytes;
    *(PlanInstruction *)table_add(im, &im->instructions) = p;
    *(uint32_t *)table_add(im, &im->origins) = image_string(im, im->strip ? "" : in->origin);
}

void image_meta(Image *im, const char *key, const char *value) {
    PlanMeta m = {.key = image_string(im, key), .value = image_string(im, value)};
    *(PlanMeta *)table_add(im, &im->metadata) = m;
}

static uint64_t stored_bytes(Image *im, const PlanConstant *c) {
    int64_t n = 1;
    bool fits = c->layout != TN_LAYOUT_STRIDED
                    ? tn_mul_i64(tn_panels_elements(1, c->dims[1]),
                                 tn_packed_rows((TnLayout)c->layout, c->dims[0]), &n)
                    : tn_product(c->dims, c->rank, &n);
    if (!fits || !tn_mul_i64(n, (int64_t)tn_dtype_size(c->dtype), &n))
        tn_fail(im->cx, TN_E_LIMIT, "a constant is too large");
    return (uint64_t)n;
}

/* Adds it to the table; its dims are known. */
static Stored *add_constant(Image *im, Stored *s, PlanConstant *c) {
    s->id = (uint32_t)im->constants.count;
    c->name = image_string(im, s->part[0]->name);
    c->dtype = (uint8_t)(tn_is_records(s->layout) ? TN_F32 : s->part[0]->dtype);
    c->layout = (uint8_t)s->layout;
    c->bytes = stored_bytes(im, c);
    c->offset = im->weight_bytes;
    im->weight_bytes = (c->offset + c->bytes + TN_PLAN_ALIGN - 1) / TN_PLAN_ALIGN * TN_PLAN_ALIGN;
    *(PlanConstant *)table_add(im, &im->constants) = *c;
    if (im->last_stored)
        im->last_stored->next = s;
    else
        im->stored = s;
    im->last_stored = s;
    return s;
}

Stored *image_constant(Image *im, TnLayout layout, bool transposed, int parts,
                       const Constant *const *part) {
    Stored *s = ARENA_NEW(&im->cx->arena, Stored);
    *s = (Stored){.parts = parts, .layout = layout, .transposed = transposed};
    PlanConstant c;
    memset(&c, 0, sizeof c);
    c.rank = (uint8_t)part[0]->rank;
    for (int i = 0; i < part[0]->rank; i++) c.dims[i] = part[0]->dims[i];
    const bool packed = layout != TN_LAYOUT_STRIDED;
    if (packed && transposed) {
        c.dims[0] = part[0]->dims[1];
        c.dims[1] = part[0]->dims[0];
    }
    int grows = packed ? 1 : 0; /* the axis along which parts follow one another */
    for (int i = 0; i < parts; i++) {
        s->part[i] = part[i];
        int axis = packed && transposed ? 0 : grows;
        if (i) c.dims[grows] += part[i]->dims[axis];
    }
    return add_constant(im, s, &c);
}

Stored *image_conv_weight(Image *im, TnLayout layout, const Constant *w, ConvForm form) {
    Stored *s = ARENA_NEW(&im->cx->arena, Stored);
    *s = (Stored){.part = {w}, .parts = 1, .layout = layout, .taps = 1, .form = form};
    for (int i = 2; i < w->rank; i++) s->taps *= w->dims[i];
    PlanConstant c;
    memset(&c, 0, sizeof c);
    c.rank = 2;
    c.dims[0] = w->dims[1];
    c.dims[1] = w->dims[0];
    if (conv_elements(form)) {
        c.dims[1] = tn_winograd_columns(conv_elements(form), w->dims[0]);
    } else if (form == CONV_PAIRS) {
        s->run = w->dims[1] * w->dims[w->rank - 1];
        c.dims[0] = tn_conv_rows(layout, w->dims[1] * s->taps, s->run);
    } else {
        c.dims[form == CONV_PLACES] *= s->taps;
    }
    return add_constant(im, s, &c);
}
