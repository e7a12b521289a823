/* Inputs and outputs of commands: safetensors files, .npy files, made-up tensors.
 *
 * A recording of several cases names its tensors "CASE/in/NAME" and "CASE/out/NAME"; the first case
 * is taken where a plain name is missing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/base/mapfile.h"
#include "tools/tool.h"

enum { MAX_OUTPUTS = 1024 };

typedef struct NpyInput {
    StTensor tensor;
    struct NpyInput *next;
} NpyInput;

static void close_map(void *f) {
    mapfile_close(f);
}

static TnDType npy_dtype(const char *descr) {
    static const struct {
        const char *descr;
        TnDType dtype;
    } known[] = {{"<f4", TN_F32}, {"<f2", TN_F16}, {"<f8", TN_F64}, {"|i1", TN_I8},
                 {"<i2", TN_I16}, {"<i4", TN_I32}, {"<i8", TN_I64}, {"|u1", TN_U8},
                 {"<u2", TN_U16}, {"<u4", TN_U32}, {"<u8", TN_U64}, {"|b1", TN_BOOL}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(descr, known[i].descr, 3)) return known[i].dtype;
    return TN_NONE;
}

/* Format 1.0 to 3.0: magic, version, header length, a Python dict literal as numpy writes it, then
 * the elements. */
static void read_npy(Tool *t, const char *path, const MapFile *f, StTensor *out) {
    Cx *cx = &t->cx;
    if (f->size < 12 || memcmp(f->data, "\x93NUMPY", 6))
        tn_fail(cx, TN_E_FORMAT, "'%s' is %s, not a .npy file", path,
                tn_file_kind(f->data, f->size));
    bool wide = f->data[6] >= 2;
    size_t length = f->data[8] | (size_t)f->data[9] << 8, at = wide ? 12 : 10;
    if (wide) length |= (size_t)f->data[10] << 16 | (size_t)f->data[11] << 24;
    if (!tn_range_ok(at, length, f->size))
        tn_fail(cx, TN_E_CORRUPT, "'%s': the header runs past the end of the file", path);
    const char *header = arena_strndup(&cx->arena, (const char *)f->data + at, length);
    const char *descr = strstr(header, "'descr': '"), *shape = strstr(header, "'shape': (");
    if (!descr || !shape) tn_fail(cx, TN_E_CORRUPT, "'%s': the header has no descr or shape", path);
    if (strstr(header, "'fortran_order': True"))
        tn_fail(cx, TN_E_UNSUPPORTED, "'%s' is in Fortran order, which is unsupported", path);
    out->dtype = npy_dtype(descr + 10);
    if (!out->dtype)
        tn_fail(cx, TN_E_UNSUPPORTED, "'%s': element type %.3s is unsupported", path, descr + 10);
    char *p = (char *)shape + 10;
    while (*p && *p != ')') {
        if (out->rank == TN_MAX_RANK)
            tn_fail(cx, TN_E_UNSUPPORTED, "'%s' has more than %d axes", path, TN_MAX_RANK);
        out->dims[out->rank++] = strtoll(p, &p, 10);
        while (*p == ',' || *p == ' ') p++;
        if (*p && *p != ')' && (*p < '0' || *p > '9'))
            tn_fail(cx, TN_E_CORRUPT, "'%s': the shape is malformed", path);
    }
    int64_t n;
    if (!tn_product(out->dims, out->rank, &n) ||
        !tn_mul_i64(n, (int64_t)tn_dtype_size(out->dtype), &n) ||
        (uint64_t)n != f->size - at - length)
        tn_fail(cx, TN_E_CORRUPT, "'%s': shape and file size differ", path);
    out->data = f->data + at + length;
    out->bytes = (size_t)n;
}

void tool_add_npy(Tool *t, TensorSource *s, const char *text) {
    const char *equal = strchr(text, '=');
    if (!equal || equal == text) tool_usage(t, "--input NAME=FILE.npy is wanted, not '%s'", text);
    NpyInput *n = ARENA_NEW(&t->cx.arena, NpyInput);
    MapFile *f = ARENA_NEW(&t->cx.arena, MapFile);
    char why[160];
    TnStatus status = mapfile_open(f, equal + 1, why, sizeof why);
    if (status) tn_fail(&t->cx, status, "'%s' cannot be read: %s", equal + 1, why);
    tn_defer(&t->cx, close_map, f);
    read_npy(t, equal + 1, f, &n->tensor);
    n->tensor.name = arena_strndup(&t->cx.arena, text, (size_t)(equal - text));
    n->next = s->npy;
    s->npy = n;
}

void tool_add_dim(Tool *t, TensorSource *s, const char *text) {
    const char *equal = strchr(text, '=');
    if (!equal || equal == text) tool_usage(t, "--dim NAME=N is wanted, not '%s'", text);
    DimSetting *d = ARENA_NEW(&t->cx.arena, DimSetting);
    d->name = arena_strndup(&t->cx.arena, text, (size_t)(equal - text));
    d->value = tool_int(t, "--dim", equal + 1, 0, INT64_MAX);
    d->next = s->dims;
    s->dims = d;
}

const StTensor *tool_find(const SafeTensors *st, const char *name) {
    const StTensor *found = st_find(st, name);
    size_t n = strlen(name);
    for (size_t i = 0; !found && i < st_count(st); i++) {
        const StTensor *w = st_at(st, i);
        size_t length = strlen(w->name);
        bool first = !strncmp(w->name, "0/in/", 5) || !strncmp(w->name, "0/out/", 6);
        if (first && length > n && w->name[length - n - 1] == '/' &&
            !strcmp(w->name + length - n, name))
            found = w;
    }
    return found;
}

const StTensor *tool_find_input(const TensorSource *s, const char *name) {
    for (const NpyInput *n = s->npy; n; n = n->next)
        if (!strcmp(n->tensor.name, name)) return &n->tensor;
    return s->file ? tool_find(s->file, name) : NULL;
}

static int64_t setting(Tool *t, const TensorSource *s, const tenon_port *port, int axis) {
    const char *position = arena_printf(&t->cx.arena, "%s.%d", port->name, axis);
    for (const DimSetting *d = s->dims; d; d = d->next)
        if (!strcmp(d->name, port->symbols[axis]) || !strcmp(d->name, position)) return d->value;
    tn_fail(&t->cx, TN_E_ARGUMENT,
            "input '%s' axis %d needs a length: --dim %s=N (or --inputs FILE)", port->name, axis,
            port->symbols[axis]);
}

/* Zeros, but ones for masks: what every model accepts. */
static void make_up_input(Tool *t, const TensorSource *s, const tenon_port *port,
                          tenon_tensor *out) {
    *out = (tenon_tensor){.dtype = port->dtype, .rank = port->rank};
    int64_t n;
    for (int i = 0; i < port->rank; i++)
        out->dims[i] = port->dims[i] >= 0 ? port->dims[i] : setting(t, s, port, i);
    size_t size = tn_dtype_size((TnDType)port->dtype);
    if (!tn_product(out->dims, out->rank, &n) || n > INT64_MAX / 8)
        tn_fail(&t->cx, TN_E_LIMIT, "input '%s' would be too large", port->name);
    unsigned char *data = arena_array(&t->cx.arena, (size_t)n + 1, size);
    if (strstr(port->name, "mask") && tn_dtype_class((TnDType)port->dtype) != TN_CLASS_FLOAT)
        for (int64_t i = 0; i < n; i++) data[(size_t)i * size] = 1;
    out->data = data;
}

void *tool_aligned(Tool *t, const StTensor *w) {
    static unsigned char nothing; /* of empty tensors */
    size_t size = tn_dtype_size(w->dtype);
    if (!w->data) return &nothing;
    if (!size || (uintptr_t)w->data % size == 0) return (void *)w->data;
    return arena_copy(&t->cx.arena, w->data, w->bytes);
}

static void bind_one(Tool *t, const PlanRun *r, const char *name, const tenon_tensor *tensor) {
    tenon_error err;
    if (tenon_session_bind(r->session, name, tensor, &err)) tool_fail(t, r->path, &err);
}

void tool_bind(Tool *t, const PlanRun *r, const TensorSource *s, const char *function,
               bool make_up) {
    tenon_port port;
    for (int32_t i = 0;
         tenon_plan_port(r->plan, function, i, &port, NULL) == TENON_OK && !port.is_output; i++) {
        const StTensor *w = tool_find_input(s, port.name);
        tenon_tensor tensor = {0};
        if (w) {
            tensor = (tenon_tensor){.dtype = (tenon_dtype)w->dtype,
                                    .rank = w->rank,
                                    .data = tool_aligned(t, w),
                                    .bytes = w->bytes};
            memcpy(tensor.dims, w->dims, sizeof tensor.dims);
            bind_one(t, r, port.name, &tensor);
        } else if (make_up) {
            make_up_input(t, s, &port, &tensor);
            bind_one(t, r, port.name, &tensor);
        } else if (!port.is_optional) {
            tn_fail(&t->cx, TN_E_ARGUMENT, "%s: input '%s' is missing from the inputs", r->path,
                    port.name);
        }
    }
    tool_bind_states(t, r, s, make_up);
}

StTensor *tool_outputs(Tool *t, const PlanRun *r, const char *function, size_t *count) {
    StTensor *out = ARENA_ARRAY(&t->cx.arena, StTensor, MAX_OUTPUTS);
    tenon_port port;
    tenon_error err;
    *count = 0;
    for (int32_t i = 0; tenon_plan_port(r->plan, function, i, &port, NULL) == TENON_OK; i++) {
        tenon_tensor tensor;
        if (!port.is_output) continue;
        if (*count == MAX_OUTPUTS) tn_fail(&t->cx, TN_E_LIMIT, "more than %d outputs", MAX_OUTPUTS);
        if (tenon_session_tensor(r->session, port.name, &tensor, &err)) tool_fail(t, r->path, &err);
        StTensor *w = &out[(*count)++];
        *w = (StTensor){.name = port.name,
                        .dtype = (TnDType)tensor.dtype,
                        .rank = tensor.rank,
                        .data = tensor.data,
                        .bytes = tensor.bytes};
        memcpy(w->dims, tensor.dims, sizeof w->dims);
    }
    return out;
}

const char *tool_index_text(Tool *t, const StTensor *w, int64_t index) {
    int64_t at[TN_MAX_RANK];
    for (int i = w->rank - 1; i >= 0; i--) {
        at[i] = w->dims[i] ? index % w->dims[i] : 0;
        index = w->dims[i] ? index / w->dims[i] : 0;
    }
    return weights_shape_text(&t->cx, w->rank, at);
}
