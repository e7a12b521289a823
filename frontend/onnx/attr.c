/* Attributes of ONNX nodes: checked against, and defaults taken from, the text in the operator's
 * row.
 *
 *     "axis:i=-1 perm:I to:i!"    name:kind, then =default or ! if it must be there
 *
 * `consumed_inputs`, in which operators before opset 6 said what may be overwritten, is ignored.
 *
 * Kinds: i integer, f float, s string, t tensor, I integers, F floats, S strings, x sparse tensor,
 * g graph, p type.
 */
#include <stdlib.h>
#include <string.h>
#include "frontend/onnx/import.h"

typedef struct Spec {
    char kind;
    bool required;
    const char *fallback; /* up to the next space; NULL: none */
} Spec;

typedef struct TypeName {
    int32_t number; /* of AttributeProto.type */
    const char *name;
    char kind; /* 0: no operator takes it */
} TypeName;

static const TypeName types[] = {
    {1, "FLOAT", 'f'},          {2, "INT", 'i'},
    {3, "STRING", 's'},         {4, "TENSOR", 't'},
    {5, "GRAPH", 'g'},          {6, "FLOATS", 'F'},
    {7, "INTS", 'I'},           {8, "STRINGS", 'S'},
    {9, "TENSORS", 0},          {10, "GRAPHS", 0},
    {11, "SPARSE_TENSOR", 'x'}, {12, "SPARSE_TENSORS", 0},
    {13, "TYPE_PROTO", 'p'},    {14, "TYPE_PROTOS", 0},
};

#define TYPE_COUNT (sizeof types / sizeof *types)

/* --- the row's text --- */

static const char *next_word(const char *text) {
    text += strcspn(text, " ");
    return text + strspn(text, " ");
}

static bool find_spec(const OnnxNode *n, const char *name, Spec *spec) {
    size_t length = strlen(name);
    for (const char *s = n->row->attributes; *s; s = next_word(s)) {
        if (strncmp(s, name, length) != 0 || s[length] != ':') continue;
        *spec = (Spec){.kind = s[length + 1], .required = s[length + 2] == '!'};
        if (s[length + 2] == '=') spec->fallback = s + length + 3;
        return true;
    }
    return false;
}

static Spec spec_of(const OnnxNode *n, const char *name) {
    Spec spec = {0};
    find_spec(n, name, &spec);
    return spec;
}

/* --- checks --- */

static const char *type_name(const OnnxNode *n, int32_t number) {
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].number == number) return types[i].name;
    return arena_printf(&n->cx->arena, "of type %d", (int)number);
}

static int32_t type_of_kind(char kind) {
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].kind == kind) return types[i].number;
    return 0;
}

/* Type of the value that the attribute has besides the one it is marked with; 0 if none. */
static int32_t stray_value(const Onnx__AttributeProto *a) {
    const bool present[TYPE_COUNT] = {
        a->has_f,
        a->has_i,
        a->has_s,
        a->t != NULL,
        a->g != NULL,
        a->n_floats > 0,
        a->n_ints > 0,
        a->n_strings > 0,
        a->n_tensors > 0,
        a->n_graphs > 0,
        a->sparse_tensor != NULL,
        a->n_sparse_tensors > 0,
        a->tp != NULL,
        a->n_type_protos > 0,
    };
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (present[i] && types[i].number != a->type) return types[i].number;
    return 0;
}

static void check_attribute(const OnnxNode *n, const Onnx__AttributeProto *a) {
    const char *name = tn_quoted(n->cx, a->name ? a->name : "");
    Spec spec;
    if (!find_spec(n, a->name ? a->name : "", &spec))
        tn_fail(n->cx, TN_E_MODEL, "unknown attribute '%s'", name);
    if (a->ref_attr_name)
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' refers to '%s', but this is no function", name,
                tn_quoted(n->cx, a->ref_attr_name));
    if (!a->has_type) tn_fail(n->cx, TN_E_MODEL, "attribute '%s' has no type", name);
    if (a->type != type_of_kind(spec.kind))
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is %s, not %s", name, type_name(n, a->type),
                type_name(n, type_of_kind(spec.kind)));
    int32_t stray = stray_value(a);
    if (stray)
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is marked %s, but holds %s", name,
                type_name(n, a->type), type_name(n, stray));
    if (spec.kind == 't' && !a->t) tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is empty", name);
}

static bool is_ignored(const OnnxNode *n, const Onnx__AttributeProto *a) {
    return n->opset < 6 && a->name && strcmp(a->name, "consumed_inputs") == 0;
}

void onnx_check_attributes(const OnnxNode *n) {
    const Onnx__NodeProto *p = n->proto;
    for (size_t i = 0; i < p->n_attribute; i++) {
        if (is_ignored(n, p->attribute[i])) continue;
        check_attribute(n, p->attribute[i]);
        if (onnx_attribute(n, p->attribute[i]->name) != p->attribute[i])
            tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is there twice",
                    tn_quoted(n->cx, p->attribute[i]->name));
    }
    for (const char *s = n->row->attributes; *s; s = next_word(s)) {
        const char *name = arena_strndup(&n->cx->arena, s, strcspn(s, ":"));
        if (spec_of(n, name).required && !onnx_has(n, name))
            tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is missing", name);
    }
}

/* --- values --- */

const Onnx__AttributeProto *onnx_attribute(const OnnxNode *n, const char *name) {
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->proto->attribute[i];
        if (a->name && strcmp(a->name, name) == 0) return a;
    }
    return NULL;
}

bool onnx_has(const OnnxNode *n, const char *name) {
    return onnx_attribute(n, name) != NULL;
}

int64_t onnx_int(const OnnxNode *n, const char *name) {
    const Onnx__AttributeProto *a = onnx_attribute(n, name);
    const char *fallback = spec_of(n, name).fallback;
    return a ? a->i : fallback ? strtoll(fallback, NULL, 10) : 0;
}

bool onnx_flag(const OnnxNode *n, const char *name) {
    int64_t v = onnx_int(n, name);
    if (v != 0 && v != 1)
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is %lld, not 0 or 1", name, (long long)v);
    return v == 1;
}

double onnx_float(const OnnxNode *n, const char *name) {
    const Onnx__AttributeProto *a = onnx_attribute(n, name);
    const char *fallback = spec_of(n, name).fallback;
    return a ? (double)a->f : fallback ? (double)strtof(fallback, NULL) : 0;
}

const char *onnx_string(const OnnxNode *n, const char *name) {
    const Onnx__AttributeProto *a = onnx_attribute(n, name);
    const char *fallback = spec_of(n, name).fallback;
    if (a) return arena_strndup(&n->cx->arena, (const char *)a->s.data, a->s.len);
    return fallback ? arena_strndup(&n->cx->arena, fallback, strcspn(fallback, " ")) : "";
}

OnnxInts onnx_ints(const OnnxNode *n, const char *name) {
    const Onnx__AttributeProto *a = onnx_attribute(n, name);
    return a ? (OnnxInts){true, (int)a->n_ints, a->ints} : (OnnxInts){0};
}

int onnx_word(const OnnxNode *n, const char *name, const char *const *words) {
    const char *s = onnx_string(n, name), *list = "";
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], s) == 0) return i;
        list = arena_printf(&n->cx->arena, "%s%s%s", list, i ? ", " : "", words[i]);
    }
    tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is '%s', not one of %s", name, tn_quoted(n->cx, s),
            list);
}

int onnx_axis_of_rank(const OnnxNode *n, int rank) {
    return ir_axis(n->m, onnx_int(n, "axis"), rank);
}

int onnx_axis(const OnnxNode *n, int i) {
    return onnx_axis_of_rank(n, n->inputs[i]->type.rank);
}
