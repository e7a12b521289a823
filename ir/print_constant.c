/* Constants in JSON: too large to print, so what their elements are like. */
#include <float.h>
#include <math.h>
#include "ir/print.h"

#define FIRST_ELEMENTS 8

/* JSON has no infinities and no NaN: they are strings. */
static void add_number(TextBuffer *t, TnDType type, double v) {
    if (!isfinite(v)) text_add(t, "\"");
    print_float(t, type, v);
    if (!isfinite(v)) text_add(t, "\"");
}

static void summarise_floats(TextBuffer *t, TnDType type, const void *data, int64_t count) {
    double min = INFINITY, max = -INFINITY, sum = 0;
    int64_t nans = 0;
    for (int64_t i = 0; i < count; i++) {
        double v = ir_element_f64(type, data, i);
        if (v < min) min = v;
        if (v > max) max = v;
        if (isnan(v))
            nans++;
        else
            sum += v;
    }
    if (nans < count) {
        text_key(t, "min");
        add_number(t, type, min);
        text_key(t, "max");
        add_number(t, type, max);
        text_key(t, "mean");
        add_number(t, TN_F32, (double)(float)(sum / (double)(count - nans)));
    }
    if (nans) text_member_int(t, "nans", nans);
}

static void summarise_integers(TextBuffer *t, TnDType type, const void *data, int64_t count) {
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        int64_t v = ir_element_i64(type, data, i);
        if (v < min) min = v;
        if (v > max) max = v;
    }
    text_member_int(t, "min", min);
    text_member_int(t, "max", max);
}

static void add_first(TextBuffer *t, TnDType type, const void *data, int64_t count) {
    text_key(t, "first");
    text_add(t, "[");
    for (int64_t i = 0; i < count && i < FIRST_ELEMENTS; i++) {
        text_item(t);
        if (tn_is_float(type))
            add_number(t, type, ir_element_f64(type, data, i));
        else if (type == TN_U64 && ir_element_i64(type, data, i) < 0)
            text_format(t, "\"%llu\"", (unsigned long long)ir_element_i64(type, data, i));
        else
            text_json_int(t, ir_element_i64(type, data, i));
    }
    text_add(t, "]");
}

void print_elements_json(TextBuffer *t, TnDType type, const void *data, int64_t count) {
    if (count > 0 && tn_is_float(type))
        summarise_floats(t, type, data, count);
    else if (count > 0 && type != TN_U64)
        summarise_integers(t, type, data, count);
    add_first(t, type, data, count);
}

static void add_constant(TextBuffer *t, Constant *c) {
    int64_t count = 1;
    text_add(t, "{");
    text_member_int(t, "id", c->id);
    if (c->name) text_member(t, "name", c->name);
    text_member(t, "dtype", tn_dtype_name(c->dtype));
    text_key(t, "dims");
    text_add(t, "[");
    for (int i = 0; i < c->rank; i++) {
        text_item(t);
        text_json_int(t, c->dims[i]);
        count *= c->dims[i];
    }
    text_add(t, "]");
    text_member_int(t, "bytes", (long long)c->bytes);
    text_key(t, "hash");
    text_format(t, "\"%016llx\"", (unsigned long long)ir_constant_hash(c));
    print_elements_json(t, c->dtype, c->data, count);
    text_add(t, "}");
}

void print_constants_json(TextBuffer *t, const Module *m, const ConstantSet *used) {
    text_add(t, "[");
    for (Constant *c = m->constants; c; c = c->next) {
        if (c->id >= used->capacity || !used->has[c->id]) continue;
        text_item(t);
        text_add(t, "\n ");
        add_constant(t, c);
    }
    text_add(t, "]");
}
