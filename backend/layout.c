/* How constants are stored: once each, in the one form that all their readers in the module can
 * use.
 *
 * A matrix that products read is packed in panels, of pairs where all is bf16, of quads where all
 * is of 8 bits; a table that is looked up by row and also multiplied (tied embeddings) is packed
 * too, and the look-up reads the panels. If weights are to take fewer bits, these matrices, and
 * tables that are only looked up, are packed in records. Everything else is stored as it is. A
 * constant whose readers have no common form is stored in both. */
#include "backend/lower.h"

#include <string.h>
#include "backend/quantise.h"

TnLayout lower_weight_layout(const Constant *w, TnDType activations) {
    if (w->dtype == TN_I8 || w->dtype == TN_U8) return TN_LAYOUT_QUADS16;
    bool pairs = w->dtype == TN_BF16 && activations == TN_BF16;
    return pairs ? TN_LAYOUT_PAIRS16 : TN_LAYOUT_PANELS16;
}

/* Of how many bits the weight is to begin with, times scales (quantise.h); 0: none. */
static int scaled_bits(Image *im, const Constant *w, bool transposed) {
    if (!im->module->scaled || im->every_value || !quantise_fits(w)) return 0;
    im->scaled = arena_grow(&im->cx->arena, im->scaled, &im->scaled_capacity,
                            ((size_t)w->id + 1) * 2, sizeof *im->scaled);
    signed char *known = &im->scaled[(size_t)w->id * 2 + transposed];
    if (!*known) *known = (signed char)(quantise_scaled_bits(w, transposed) + 1);
    return *known - 1;
}

/* A plan of the graph as it was imported has its weights, too. */
static bool is_rounded(const Image *im, const Constant *w) {
    return im->module->weight_bits && !im->every_value && quantise_fits(w);
}

/* What has as few bits as are asked for, or fewer, keeps its integers. */
static TnLayout records_of(Image *im, int parts, const Constant *const *w, bool transposed) {
    const int asked = im->module->weight_bits;
    int scaled = 4;
    bool rounded = true;
    for (int i = 0; i < parts; i++) {
        const int bits = scaled ? scaled_bits(im, w[i], transposed) : 0;
        if (bits == 0 || bits > scaled) scaled = bits;
        rounded &= is_rounded(im, w[i]);
    }
    if (scaled && (!asked || scaled <= asked))
        return scaled == 8 ? TN_LAYOUT_RECORDS8F : TN_LAYOUT_RECORDS4F;
    if (!rounded) return TN_LAYOUT_STRIDED;
    return asked == 8 ? TN_LAYOUT_RECORDS8 : TN_LAYOUT_RECORDS4;
}

TnLayout lower_matrix_layout(Image *im, int parts, const Constant *const *w, bool transposed,
                             TnDType activations) {
    TnLayout records = TN_LAYOUT_STRIDED;
    if (activations == TN_F32) records = records_of(im, parts, w, transposed);
    return records == TN_LAYOUT_STRIDED ? lower_weight_layout(w[0], activations) : records;
}

bool lower_is_quads(const Node *n) {
    const Value *b = n->inputs[1], *zeros = n->input_count > 3 ? n->inputs[3] : NULL;
    return b->constant && b->type.rank == 2 && !(zeros && zeros->type.rank > 1 && !zeros->constant);
}

static void note_product(ConstantLayout *l, bool transposed, TnLayout layout) {
    if (l->panels && (l->transposed != transposed || l->layout != layout)) l->mixed = true;
    l->panels = true;
    l->transposed = transposed;
    l->layout = layout;
}

/* Whether a table of rows may be in records: they are what they were, or features. */
static bool rows_in_records(Image *im, const Node *gather) {
    const Constant *c = gather->inputs[0]->constant;
    TnLayout records = records_of(im, 1, &c, true);
    return c->dtype == TN_F32 && (tn_record_scales(records) > 1 || quantise_fits_rows(gather));
}

static void note_use(Image *im, ConstantLayout *layouts, const Node *n, int i) {
    const Constant *c = n->inputs[i]->constant;
    ConstantLayout *l = &layouts[c->id];
    if (n->op == OP_linear && i == 1)
        note_product(l, attr_bool(n, "tb"),
                     lower_matrix_layout(im, 1, &c, attr_bool(n, "tb"), n->inputs[0]->type.dtype));
    else if (n->op == OP_matmul_int && i == 1 && lower_is_quads(n))
        note_product(l, false, TN_LAYOUT_QUADS16);
    else if (n->op == OP_gather && i == 0 && attr_int(n, "axis") == 0 && c->rank == 2 &&
             (c->dtype == TN_F32 || c->dtype == TN_F16 || c->dtype == TN_BF16))
        *(records_of(im, 1, &c, true) && !rows_in_records(im, n) ? &l->other : &l->rows) = true;
    else
        l->other = true;
}

/* Operands of qkv are read as this set only (the pass sees to that) and packed together. */
static bool packed_together(const Node *n, int i) {
    return n->op == OP_qkv && i >= 1;
}

ConstantLayout *layout_constants(Image *im) {
    Module *m = im->module;
    ConstantLayout *layouts =
        ARENA_ARRAY(&im->cx->arena, ConstantLayout, (size_t)m->constant_count + 1);
    for (Graph *g = m->graphs; g; g = g->next) {
        IR_FOR_NODES(n, g)
        for (int i = 0; i < n->input_count; i++)
            if (n->inputs[i] && n->inputs[i]->constant && !packed_together(n, i))
                note_use(im, layouts, n, i);
        for (int i = 0; i < g->output_count; i++)
            if (g->outputs[i]->constant) layouts[g->outputs[i]->constant->id].other = true;
    }
    for (const Constant *c = m->constants; c; c = c->next) {
        ConstantLayout *l = &layouts[c->id];
        if (l->rows && !l->panels && !l->other && records_of(im, 1, &c, true))
            note_product(l, true, records_of(im, 1, &c, true));
    }
    return layouts;
}

/* In a model with quantised weights: those that do not stay so. */
static void report_floats(Image *im, Report *r) {
    for (const Graph *g = im->module->graphs; g; g = g->next)
        for (const Node *n = g->first; n; n = n->next) {
            const Value *w = n->input_count > 1 ? n->inputs[1] : NULL;
            if ((n->op != OP_linear && n->op != OP_qkv) || w->constant->dtype == TN_BF16) continue;
            if (quantise_fits(w->constant) && !scaled_bits(im, w->constant, attr_bool(n, "tb")))
                report_miss(r, "records", n,
                            "its weights are no integers of 8 bits times a scale for %d rows",
                            TN_GROUP);
        }
}

/* Which weights keep all their bits, though fewer are asked for. */
void layout_report(Image *im, Report *r) {
    const char *precision = im->module->weight_bits == 8 ? "int8" : "int4";
    if (im->module->scaled && !im->module->weight_bits && !im->every_value) report_floats(im, r);
    if (!im->module->weight_bits || im->every_value) return;
    for (const Graph *g = im->module->graphs; g; g = g->next)
        for (const Node *n = g->first; n; n = n->next) {
            const Value *w = n->input_count > 1 ? n->inputs[1] : NULL;
            bool product = n->op == OP_linear || n->op == OP_qkv;
            if (product && !is_rounded(im, w->constant))
                report_miss(r, precision, n, "its weights are less than %d by %d", TN_GROUP,
                            TN_GROUP);
            else if (product && n->inputs[0]->type.dtype != TN_F32)
                report_miss(r, precision, n, "its operands are no f32");
            else if (n->op == OP_conv && w->constant)
                report_miss(r, precision, n, "a convolution keeps its weights");
            else if (n->op == OP_gather && n->inputs[0]->constant &&
                     is_rounded(im, n->inputs[0]->constant) && !rows_in_records(im, n))
                report_miss(r, precision, n, "its rows are no features that are only summed");
        }
}

bool layout_packed_only(const ConstantLayout *l) {
    return l->panels && !l->mixed && !l->other && (!l->rows || l->transposed);
}

static View constant_view(Lower *lo, const Stored *s) {
    PlanConstant c = ((PlanConstant *)lo->im->constants.data)[s->id];
    Type t = {.dtype = (TnDType)c.dtype, .rank = c.rank};
    for (int i = 0; i < c.rank; i++) t.dims[i] = ex_int(lo->x, c.dims[i]);
    lo->constant_buffer =
        arena_grow(&lo->cx->arena, lo->constant_buffer, &lo->constant_buffer_capacity,
                   (size_t)s->id + 1, sizeof *lo->constant_buffer);
    uint32_t buffer = lo->constant_buffer[s->id] - 1;
    if (buffer == TN_NO_ID) {
        buffer = lower_buffer(lo, TN_BUFFER_CONSTANT, s->id, NULL, t.dtype);
        lo->constant_buffer[s->id] = buffer + 1;
    }
    View v = view_dense(lo, buffer, &t);
    v.layout = s->layout;
    if (s->layout != TN_LAYOUT_STRIDED)
        for (int i = 0; i < v.rank; i++) v.strides[i] = ex_int(lo->x, 0);
    return v;
}

/* Several constants as one; layers that share their weights share this one too. */
static View joined(Lower *lo, TnLayout layout, bool transposed, int parts,
                   const Constant *const *part) {
    const Stored *s = lo->im->stored;
    for (; s; s = s->next)
        if (s->parts == parts && s->layout == layout && s->transposed == transposed &&
            !memcmp(s->part, part, (size_t)parts * sizeof *part))
            break;
    return constant_view(lo, s ? s : image_constant(lo->im, layout, transposed, parts, part));
}

View lower_weight(Lower *lo, TnLayout layout, int parts, const Constant *const *part,
                  bool transposed) {
    if (parts > 1) return joined(lo, layout, transposed, parts, part);
    ConstantLayout *l = &lo->layouts[part[0]->id];
    Stored **packed = &l->packed[layout][transposed];
    if (!*packed) *packed = image_constant(lo->im, layout, transposed, 1, part);
    return constant_view(lo, *packed);
}

View lower_conv_weight(Lower *lo, const Constant *w, ConvForm form) {
    Stored **stored = &lo->layouts[w->id].conv[form];
    bool pairs = form == CONV_PAIRS || (form == CONV_PLACES && w->dtype == TN_BF16);
    TnLayout layout = form == CONV_ROWS ? TN_LAYOUT_STRIDED
                      : pairs           ? TN_LAYOUT_PAIRS16
                                        : TN_LAYOUT_PANELS16;
    if (!*stored) *stored = image_conv_weight(lo->im, layout, w, form);
    View matrix = constant_view(lo, *stored);
    if (form != CONV_ROWS) return matrix;
    View v = matrix; /* strides of [kernel, c, o], seen as [o, c, kernel] */
    int64_t stride = w->dims[0];
    v.rank = w->rank;
    v.strides[0] = ex_int(lo->x, 1);
    v.strides[1] = ex_int(lo->x, stride);
    stride *= w->dims[1];
    for (int i = w->rank - 1; i >= 2; stride *= w->dims[i--]) v.strides[i] = ex_int(lo->x, stride);
    for (int i = 0; i < w->rank; i++) v.dims[i] = ex_int(lo->x, w->dims[i]);
    return v;
}

View lower_plain_constant(Lower *lo, const Constant *c) {
    ConstantLayout *l = &lo->layouts[c->id];
    if (!l->plain) l->plain = image_constant(lo->im, TN_LAYOUT_STRIDED, false, 1, &c);
    return constant_view(lo, l->plain);
}

View lower_joined_vector(Lower *lo, int parts, const Constant *const *part) {
    if (parts == 1) return lower_plain_constant(lo, part[0]);
    return joined(lo, TN_LAYOUT_STRIDED, false, parts, part);
}
