/* Reading tensors: shape and type, then the one place that holds the elements.
 *
 * Elements are in raw_data (a place in the file, see wire.h), in the typed field that belongs to
 * the type, or in another file of the model's folder (external.c). int32_data holds every type of
 * at most 16 bits, one element per number, floats by their bits; uint64_data holds u32 and u64.
 * Elements of 2 and 4 bits are packed, the first in the lowest bits of a byte (or of a number of
 * int32_data), and get a byte each. */
#include "frontend/onnx/tensor.h"

#include <assert.h>
#include <string.h>
#include "frontend/onnx/wire.h"
#include "frontend/weights.h"
#include "runtime/base/checked.h"

enum { LOCATION_EXTERNAL = 1 };

/* The typed fields of TensorProto. */
typedef enum Field { NO_FIELD, FLOAT_DATA, INT32_DATA, INT64_DATA, DOUBLE_DATA, UINT64_DATA } Field;

typedef struct TypeRow {
    const char *name;
    TnDType dtype; /* TN_NONE: unsupported */
    Field field;
} TypeRow;

static const TypeRow types[] = {
    {"UNDEFINED", TN_NONE, NO_FIELD},
    {"FLOAT", TN_F32, FLOAT_DATA},
    {"UINT8", TN_U8, INT32_DATA},
    {"INT8", TN_I8, INT32_DATA},
    {"UINT16", TN_U16, INT32_DATA},
    {"INT16", TN_I16, INT32_DATA},
    {"INT32", TN_I32, INT32_DATA},
    {"INT64", TN_I64, INT64_DATA},
    {"STRING", TN_NONE, NO_FIELD},
    {"BOOL", TN_BOOL, INT32_DATA},
    {"FLOAT16", TN_F16, INT32_DATA},
    {"DOUBLE", TN_F64, DOUBLE_DATA},
    {"UINT32", TN_U32, UINT64_DATA},
    {"UINT64", TN_U64, UINT64_DATA},
    {"COMPLEX64", TN_NONE, NO_FIELD},
    {"COMPLEX128", TN_NONE, NO_FIELD},
    {"BFLOAT16", TN_BF16, INT32_DATA},
    {"FLOAT8E4M3FN", TN_F8E4M3FN, INT32_DATA},
    {"FLOAT8E4M3FNUZ", TN_F8E4M3FNUZ, INT32_DATA},
    {"FLOAT8E5M2", TN_F8E5M2, INT32_DATA},
    {"FLOAT8E5M2FNUZ", TN_F8E5M2FNUZ, INT32_DATA},
    {"UINT4", TN_U4, INT32_DATA},
    {"INT4", TN_I4, INT32_DATA},
    {"FLOAT4E2M1", TN_F4E2M1, INT32_DATA},
    {"FLOAT8E8M0", TN_F8E8M0, INT32_DATA},
    {"UINT2", TN_U2, INT32_DATA},
    {"INT2", TN_I2, INT32_DATA},
    {"FLOAT6E2M3", TN_NONE, NO_FIELD},
    {"FLOAT6E3M2", TN_NONE, NO_FIELD},
};

#define TYPE_COUNT (int32_t)(sizeof types / sizeof *types)

TnDType onnx_dtype(int32_t data_type) {
    return data_type > 0 && data_type < TYPE_COUNT ? types[data_type].dtype : TN_NONE;
}

const char *onnx_dtype_name(Cx *cx, int32_t data_type) {
    if (data_type >= 0 && data_type < TYPE_COUNT) return types[data_type].name;
    return arena_printf(&cx->arena, "element type %d", (int)data_type);
}

int32_t onnx_dtype_number(const char *name) {
    for (int32_t i = 1; i < TYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0) return i;
    return 0;
}

const char *onnx_shape_text(Cx *cx, const OnnxTensor *out) {
    return arena_printf(&cx->arena, "%s of %s", weights_shape_text(cx, out->rank, out->dims),
                        tn_dtype_name(out->dtype));
}

void onnx_refuse_dtype(Cx *cx, int32_t type) {
    bool known = type > 0 && type < TYPE_COUNT;
    tn_hint(cx, "type",
            "only numbers and booleans are tensors here: keep strings outside of the "
            "model, and complex numbers as pairs");
    tn_fail(cx, known ? TN_E_UNSUPPORTED : TN_E_MODEL, "%s is unsupported",
            onnx_dtype_name(cx, type));
}

/* Type and dims; the product of the dims goes to `elements`. */
static void read_type(Cx *cx, const Onnx__TensorProto *t, OnnxTensor *out, size_t *elements) {
    int64_t count, bytes;
    out->dtype = onnx_dtype(t->data_type);
    if (!t->has_data_type || t->data_type == 0)
        tn_fail(cx, TN_E_MODEL, "the element type is missing");
    if (out->dtype == TN_NONE) onnx_refuse_dtype(cx, t->data_type);
    if (t->n_dims > TN_MAX_RANK)
        tn_fail(cx, TN_E_LIMIT, "%zu axes, more than the %d allowed", t->n_dims, TN_MAX_RANK);
    out->rank = (int)t->n_dims;
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = t->dims[i];
        if (t->dims[i] < 0) tn_fail(cx, TN_E_MODEL, "dim %d is %lld", i, (long long)t->dims[i]);
    }
    if (!tn_product(out->dims, out->rank, &count) ||
        !tn_mul_i64(count, (int64_t)tn_dtype_size(out->dtype), &bytes))
        tn_fail(cx, TN_E_MODEL, "the size of shape %s overflows", onnx_shape_text(cx, out));
    *elements = (size_t)count;
    out->bytes = (size_t)bytes;
}

/* Elements in a byte of the file; 1 for types of whole bytes. */
static size_t per_byte(TnDType t) {
    int bits = tn_dtype_bits(t);
    return bits < 8 ? 8 / (size_t)bits : 1;
}

/* Bytes of the elements in the file. */
static size_t stored_bytes(const OnnxTensor *out) {
    size_t n = per_byte(out->dtype);
    return out->bytes / n + (out->bytes % n != 0);
}

/* A byte for each element of 2 or 4 bits, sign-extended for signed integers. */
static void unpack(Cx *cx, OnnxTensor *out, const unsigned char *packed) {
    size_t n = per_byte(out->dtype);
    int bits = tn_dtype_bits(out->dtype);
    unsigned char *data = arena_alloc(&cx->arena, out->bytes);
    for (size_t i = 0; i < out->bytes; i++) {
        unsigned v = packed[i / n] >> (i % n * (size_t)bits) & ((1u << bits) - 1);
        bool negative = tn_dtype_class(out->dtype) == TN_CLASS_INT && v >> (bits - 1);
        data[i] = (unsigned char)(negative ? v - (1u << bits) : v);
    }
    out->data = data;
}

/* Points `out` at bytes of a mapped file. Bools other than 0 and 1 are made 1, in a copy. */
static void borrow(Cx *cx, OnnxTensor *out, const unsigned char *data) {
    size_t i = out->bytes;
    if (per_byte(out->dtype) > 1) {
        unpack(cx, out, data);
        return;
    }
    if (out->dtype == TN_BOOL)
        for (i = 0; i < out->bytes && data[i] <= 1;) i++;
    out->data = data;
    out->borrowed = true;
    if (i == out->bytes) return;
    unsigned char *copy = arena_alloc(&cx->arena, out->bytes);
    for (i = 0; i < out->bytes; i++) copy[i] = data[i] != 0;
    out->data = copy;
    out->borrowed = false;
}

/* Where raw_data is in the file. Some writers set it to no bytes beside a typed field: that counts
 * as not set. */
static WirePlace raw_place(const Onnx__TensorProto *t) {
    WirePlace place = {0};
    if (!t->has_raw_data) return place;
    assert(t->raw_data.len == sizeof place);
    memcpy(&place, t->raw_data.data, sizeof place);
    return place;
}

static void read_raw(OnnxModel *m, WirePlace place, OnnxTensor *out) {
    if (place.length != stored_bytes(out))
        tn_fail(m->cx, TN_E_MODEL, "raw_data has %llu bytes, shape %s wants %zu",
                (unsigned long long)place.length, onnx_shape_text(m->cx, out), stored_bytes(out));
    borrow(m->cx, out, m->file.data + place.offset);
}

typedef struct FieldView {
    const char *name;
    const void *data;
    size_t count, size; /* items, bytes of one */
} FieldView;

static FieldView field_view(const Onnx__TensorProto *t, Field field) {
    switch (field) {
    case FLOAT_DATA: return (FieldView){"float_data", t->float_data, t->n_float_data, 4};
    case INT32_DATA: return (FieldView){"int32_data", t->int32_data, t->n_int32_data, 4};
    case INT64_DATA: return (FieldView){"int64_data", t->int64_data, t->n_int64_data, 8};
    case DOUBLE_DATA: return (FieldView){"double_data", t->double_data, t->n_double_data, 8};
    case UINT64_DATA: return (FieldView){"uint64_data", t->uint64_data, t->n_uint64_data, 8};
    case NO_FIELD: break;
    }
    return (FieldView){"string_data", t->string_data, t->n_string_data, 0};
}

/* Stores `value`, which must be in the range of the type,
 * as element `i`. Floats come as their bits. */
static bool store(OnnxTensor *out, void *data, size_t i, int64_t value) {
    switch (out->dtype) {
    case TN_I8: ((int8_t *)data)[i] = (int8_t)value; return value == (int8_t)value;
    case TN_U8:
    case TN_F8E4M3FN:
    case TN_F8E4M3FNUZ:
    case TN_F8E5M2:
    case TN_F8E5M2FNUZ:
    case TN_F8E8M0: ((uint8_t *)data)[i] = (uint8_t)value; return value == (uint8_t)value;
    case TN_I16: ((int16_t *)data)[i] = (int16_t)value; return value == (int16_t)value;
    case TN_U16:
    case TN_F16:
    case TN_BF16: ((uint16_t *)data)[i] = (uint16_t)value; return value == (uint16_t)value;
    case TN_U32: ((uint32_t *)data)[i] = (uint32_t)value; return value == (uint32_t)value;
    default: ((uint8_t *)data)[i] = value != 0; return true; /* TN_BOOL */
    }
}

/* A number of int32_data is a byte of packed elements; writers may sign-extend it. */
static void read_packed(Cx *cx, const Onnx__TensorProto *t, OnnxTensor *out) {
    size_t bytes = stored_bytes(out);
    unsigned char *packed = arena_alloc(&cx->arena, bytes);
    if (t->n_int32_data != bytes)
        tn_fail(cx, TN_E_MODEL, "int32_data has %zu numbers, shape %s wants %zu", t->n_int32_data,
                onnx_shape_text(cx, out), bytes);
    for (size_t i = 0; i < bytes; i++) {
        int32_t v = t->int32_data[i];
        if (v < -128 || v > 255)
            tn_fail(cx, TN_E_MODEL, "int32_data[%zu] is %d, not a byte of packed %s", i, (int)v,
                    tn_dtype_name(out->dtype));
        packed[i] = (unsigned char)v;
    }
    unpack(cx, out, packed);
}

/* The typed field holds elements wider than the type: one by one. */
static void narrow(Cx *cx, OnnxTensor *out, FieldView from) {
    void *data = arena_alloc(&cx->arena, out->bytes);
    for (size_t i = 0; i < from.count; i++) {
        int64_t value =
            from.size == 4 ? ((const int32_t *)from.data)[i] : ((const int64_t *)from.data)[i];
        if (!store(out, data, i, value))
            tn_fail(cx, TN_E_MODEL, "%s[%zu] is %lld, beyond the range of %s", from.name, i,
                    (long long)value, tn_dtype_name(out->dtype));
    }
    out->data = data;
}

static void read_field(Cx *cx, const Onnx__TensorProto *t, Field found, OnnxTensor *out,
                       size_t elements) {
    FieldView from = field_view(t, found);
    Field wanted = types[t->data_type].field;
    if (found != wanted)
        tn_fail(cx, TN_E_MODEL, "elements of %s in %s, wanted in %s", tn_dtype_name(out->dtype),
                from.name, field_view(t, wanted).name);
    if (per_byte(out->dtype) > 1) {
        read_packed(cx, t, out);
        return;
    }
    if (from.count != elements)
        tn_fail(cx, TN_E_MODEL, "%s has %zu elements, shape %s wants %zu", from.name, from.count,
                onnx_shape_text(cx, out), elements);
    if (from.size == tn_dtype_size(out->dtype))
        out->data = from.data;
    else
        narrow(cx, out, from);
}

static void read_external(OnnxModel *m, const Onnx__TensorProto *t, OnnxTensor *out) {
    const unsigned char *data = onnx_external(m, t, out, stored_bytes(out));
    if (out->bytes) borrow(m->cx, out, data);
}

/* The typed field in use; fails if two are, or one beside raw_data. */
static Field used_field(Cx *cx, const Onnx__TensorProto *t) {
    Field used = NO_FIELD;
    const char *first = raw_place(t).length ? "raw_data" : NULL;
    for (Field f = FLOAT_DATA; f <= UINT64_DATA; f++) {
        FieldView view = field_view(t, f);
        if (view.count == 0) continue;
        if (first) tn_fail(cx, TN_E_MODEL, "elements both in %s and in %s", first, view.name);
        first = view.name;
        used = f;
    }
    return used;
}

static void read_elements(OnnxModel *m, const Onnx__TensorProto *t, OnnxTensor *out,
                          size_t elements) {
    Field field = used_field(m->cx, t);
    WirePlace raw = raw_place(t);
    bool external = t->data_location == LOCATION_EXTERNAL;
    if (t->data_location != 0 && !external)
        tn_fail(m->cx, TN_E_MODEL, "data_location is %d, wanted 0 or 1", (int)t->data_location);
    if (!external && t->n_external_data)
        tn_fail(m->cx, TN_E_MODEL, "external_data of a tensor whose data_location is not external");
    if (external && (raw.length || field != NO_FIELD))
        tn_fail(m->cx, TN_E_MODEL, "elements both in the model and in external data");
    if (external)
        read_external(m, t, out);
    else if (raw.length)
        read_raw(m, raw, out);
    else if (field != NO_FIELD)
        read_field(m->cx, t, field, out, elements);
    else if (elements != 0)
        tn_fail(m->cx, TN_E_MODEL, "no data, shape %s wants %zu bytes", onnx_shape_text(m->cx, out),
                stored_bytes(out));
}

void onnx_tensor(OnnxModel *m, const Onnx__TensorProto *t, OnnxTensor *out) {
    size_t elements;
    *out = (OnnxTensor){0};
    tn_enter(m->cx, "tensor", t->name ? t->name : "");
    if (t->segment) tn_fail(m->cx, TN_E_UNSUPPORTED, "tensors in segments are unsupported");
    read_type(m->cx, t, out, &elements);
    read_elements(m, t, out, elements);
    tn_leave(m->cx);
}
