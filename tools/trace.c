/* Looking at a run from within its trace callback: see trace.h. */
#include "tools/trace.h"

#include <math.h>
#include <string.h>
#include "ir/ir.h"
#include "runtime/base/checked.h"
#include "runtime/pack.h"

const TnCall *trace_call(const tenon_session *root) {
    return root->traced_call;
}

const PlanValue *trace_values(const tenon_plan *p, int32_t instruction, uint32_t *count) {
    uint32_t low = 0, high = p->values_count, end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->values[middle].instruction < (uint32_t)instruction)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < p->values_count && p->values[end].instruction == (uint32_t)instruction;)
        end++;
    *count = end - low;
    return p->values + low;
}

/* --- views --- */

typedef struct Storage {
    unsigned char *base;
    int64_t elements;
} Storage;

static bool find_storage(const tenon_session *s, uint32_t buffer, Storage *out) {
    const tenon_plan *p = s->plan;
    const PlanBuffer *b = &p->buffers[buffer];
    uint32_t place = buffer - s->function->first_buffer;
    if (b->kind == TN_BUFFER_CONSTANT) {
        const PlanConstant *c = &p->constants[b->index];
        *out = (Storage){(unsigned char *)p->weights + c->offset,
                         (int64_t)(c->bytes / tn_dtype_size((TnDType)c->dtype))};
    } else if (buffer >= s->function->first_buffer && place < s->function->buffer_count) {
        if (s->buffers[place].stage > s->stage) return false; /* not laid out yet */
        *out = (Storage){s->buffers[place].base, s->buffers[place].elements};
    } else {
        return false;
    }
    return out->base != NULL;
}

bool trace_look(const tenon_session *root, const PlanValue *value, int64_t *values, TnTensor *out) {
    const tenon_session *s = root->traced;
    const tenon_plan *p = s->plan;
    const PlanView *v = &p->views[value->view];
    contract_evaluate(s, values);
    Storage storage;
    int64_t offset = values[v->offset], last = offset, count = 1, reach;
    *out = (TnTensor){.rank = v->rank, .dtype = v->dtype, .layout = v->layout};
    if (v->layout != TN_LAYOUT_STRIDED || offset < 0 || !find_storage(s, v->buffer, &storage))
        return false;
    for (int i = 0; i < v->rank; i++) {
        int64_t dim = values[p->ids[v->dims + (uint32_t)i]],
                stride = values[p->ids[v->strides + (uint32_t)i]];
        out->dims[i] = dim;
        out->strides[i] = stride;
        if (dim < 0 || stride < 0 || !tn_mul_i64(count, dim, &count)) return false;
        if (dim > 0 && (!tn_mul_i64(dim - 1, stride, &reach) || !tn_add_i64(last, reach, &last)))
            return false;
    }
    if (count > 0 && last >= storage.elements) return false;
    if (count == 0) offset = 0;
    out->data = storage.base + (size_t)offset * tn_dtype_size((TnDType)v->dtype);
    return true;
}

/* --- agreement --- */

double tolerance_of_precision(const char *precision) {
    static const struct {
        const char *name;
        double rms;
    } known[] = {{"bf16", 0.05}, {"int8", 0.1}, {"int4", 0.6}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(precision, known[i].name)) return known[i].rms;
    return 0;
}

Tolerance tolerance_for(Tolerance given, TnDType dtype) {
    Tolerance t = {0}; /* integers and booleans: exact */
    switch (dtype) {
    case TN_F32:
    case TN_F64: t = (Tolerance){2e-5, 1e-5, 0}; break;
    case TN_F16: t = (Tolerance){2e-3, 1e-3, 0}; break;
    case TN_BF16: t = (Tolerance){2e-2, 1e-2, 0}; break;
    default:
        if (tn_dtype_class(dtype) == TN_CLASS_FLOAT) t = (Tolerance){0.13, 1e-2, 0};
    }
    t.rms = given.rms;
    if (given.rtol >= 0) t.rtol = given.rtol;
    if (given.atol >= 0) t.atol = given.atol;
    return t;
}

TnTensor trace_dense(const StTensor *t) {
    TnTensor out = {.data = (void *)t->data, .rank = t->rank, .dtype = (uint8_t)t->dtype};
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        out.dims[i] = t->dims[i];
        out.strides[i] = stride;
        stride *= t->dims[i];
    }
    return out;
}

/* Two elements that are both NaN, or the same infinity, are equal. */
static double distance(double got, double want) {
    if (got == want || (isnan(got) && isnan(want))) return 0;
    double d = fabs(got - want);
    return isnan(d) ? INFINITY : d;
}

/* Steps to the next element in row-major order. */
static int64_t advance(const TnTensor *t, int64_t *at, int64_t offset) {
    for (int i = t->rank - 1; i >= 0; i--) {
        offset += t->strides[i];
        if (++at[i] < t->dims[i]) return offset;
        offset -= at[i] * t->strides[i];
        at[i] = 0;
    }
    return offset;
}

static double largest_ordinary(const StTensor *t, int64_t count) {
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = fabs(ir_element_f64(t->dtype, t->data, i));
        if (x < 1e30 && x > largest) largest = x;
    }
    return largest;
}

/* Sums over all elements below 1e30. */
typedef struct Sums {
    double gap, got, want, product;
} Sums;

static void add_squares(Sums *s, double got, double want) {
    if (fabs(want) >= 1e30 && fabs(got) >= 1e30 && signbit(got) == signbit(want)) return;
    s->gap += (got - want) * (got - want);
    s->got += got * got;
    s->want += want * want;
    s->product += got * want;
}

static void agree_by_size(Agreement *a, const Sums *s, Tolerance t) {
    a->rms = s->gap == 0 ? 0 : s->want > 0 ? sqrt(s->gap / s->want) : INFINITY;
    a->cosine = s->gap == 0 ? 1 : s->product / sqrt(s->got * s->want);
    if (t.rms > 0) a->ok = a->rms <= t.rms;
}

Agreement agree(const TnTensor *got, const StTensor *want, Tolerance given) {
    Agreement a = {.ok = true, .count = 1};
    int64_t wanted = 1, at[TN_MAX_RANK] = {0}, offset = 0;
    for (int i = 0; i < got->rank; i++) a.count *= got->dims[i];
    for (int i = 0; i < want->rank; i++) wanted *= want->dims[i];
    a.comparable = a.count == wanted;
    if (!a.comparable) return a;
    a.same_type = got->dtype == want->dtype && got->rank == want->rank &&
                  !memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims);
    Tolerance t = tolerance_for(given, want->dtype);
    double scale = largest_ordinary(want, a.count), ratio = -1;
    Sums sums = {0};
    for (int64_t i = 0; i < a.count; i++) {
        double g = ir_element_f64((TnDType)got->dtype, got->data, offset),
               w = ir_element_f64(want->dtype, want->data, i), e = distance(g, w),
               own = isfinite(w) && fabs(w) > scale ? fabs(w) : scale,
               allowed = t.atol + t.rtol * own;
        add_squares(&sums, g, w);
        if (e > a.largest) a.largest = e;
        if (e > allowed) a.wrong++;
        double r = e == 0 ? 0 : allowed > 0 ? e / allowed : INFINITY;
        if (r > ratio) {
            ratio = r;
            a.worst = i;
            a.error = e;
            a.allowed = allowed;
            a.got = g;
            a.want = w;
        }
        offset = advance(got, at, offset);
    }
    a.ok = !a.wrong;
    agree_by_size(&a, &sums, tn_is_float(want->dtype) ? t : (Tolerance){0});
    return a;
}
