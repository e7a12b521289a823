/* Products whose columns have places of their own.
 *
 *     %q, %k, %v = qkv %x, %wq, %wk, %wv
 *     %2: [b, s, h, d] = view %k             the state is [b, h, capacity, d], and what %k adds to
 *     %3: [b, h, s, d] = transpose %2        it a view [b, s, h, d] of that: the product writes its
 *     %4: [b, h, n, d] = concat %past, %3    columns there, head by head
 *
 * The parts of a qkv have one packed weight, and those without a place are one product into one
 * buffer. A part that has a place is a product of its own with its columns of the same weight, so
 * nothing is stored twice. */
#include "backend/lower_ops.h"
#include "backend/place.h"
#include "runtime/pack.h"

/* Under all axes of c but the last, or the last two if they are heads. */
static bool rows_under(Lower *lo, const View *x, const View *c, const Expr *width, View *a) {
    const Expr *dims[TN_MAX_RANK];
    int rank = c->rank - (c->dims[c->rank - 1] == width ? 1 : 2);
    for (int i = 0; i < rank; i++) dims[i] = c->dims[i];
    dims[rank] = x->dims[x->rank - 1];
    return view_reshape(lo, x, rank + 1, dims, a) && view_has_rows(a);
}

static bool in_its_place(Lower *lo, const Value *v, const View *x, View *c, View *a) {
    return place_columns(lo, v, c) && !view_has_ring(c) &&
           rows_under(lo, x, c, v->type.dims[v->type.rank - 1], a);
}

/* What keeps its last axis is better off with operands that may be split, too (rows.c). */
bool lower_columns(Lower *lo, const Value *v, const Value *x, View *c, View *a) {
    const View rows = lower_as_is(lo, x);
    if (!view_has_dims(&rows, &x->type) || view_has_ring(&rows) || !view_has_rows(&rows))
        return false;
    if (!in_its_place(lo, v, &rows, c, a) || c->rank == a->rank) return false;
    lower_set(lo, v, *c);
    return true;
}

typedef struct Qkv {
    View x, weight, bias; /* bias: absent if there is none */
} Qkv;

/* Columns [from, from + width) of the product, into c. */
static void emit_columns(Lower *lo, const Qkv *q, const View *a, int64_t from, int64_t width,
                         const View *c) {
    View in[3] = {*a, q->weight, q->bias};
    ParamsGemm p = {.activation = TN_ACT_NONE};
    bool biased = q->bias.buffer != TN_NO_ID;
    int64_t rows;
    ex_const(in[1].dims[0], &rows);
    in[1].offset = ex_int(lo->x, tn_packed_rows(in[1].layout, rows) * from);
    in[1].dims[1] = ex_int(lo->x, width);
    if (biased) in[2] = view_slice(lo, &in[2], 0, ex_int(lo->x, from), ex_int(lo->x, width), 1);
    lower_emit(lo, TN_OP_gemm, biased ? 3 : 2, in, 1, c, &p, sizeof p);
}

/* Parts [first, end), side by side from column `from` on, as one product into one buffer. */
static void emit_packed(Lower *lo, const Node *n, const Qkv *q, int first, int end, int64_t from) {
    const IntList *widths = attr_ints(n, "widths");
    Type t = n->outputs[0]->type;
    int64_t total = 0;
    for (int i = first; i < end; i++) total += widths->v[i];
    if (first == end) return;
    t.dims[t.rank - 1] = ex_int(lo->x, total);
    View all = view_dense(
        lo, lower_buffer(lo, TN_BUFFER_ARENA, 0, ir_elements(lo->im->module, &t), t.dtype), &t);
    emit_columns(lo, q, &q->x, from, total, &all);
    int64_t at = 0;
    for (int i = first; i < end; at += widths->v[i++])
        lower_set(
            lo, n->outputs[i],
            view_slice(lo, &all, t.rank - 1, ex_int(lo->x, at), ex_int(lo->x, widths->v[i]), 1));
}

static const Constant *zeros(Lower *lo, TnDType t, int64_t n) {
    void *data = arena_array(&lo->cx->arena, (size_t)n, tn_dtype_size(t));
    return ir_constant_new(lo->im->module, "", t, 1, &n, data);
}

static Qkv operands_of(Lower *lo, const Node *n) {
    int parts = (int)attr_int(n, "parts");
    bool transposed = attr_bool(n, "tb");
    const Constant *biased = NULL; /* one of those there are */
    const Constant *w[IMAGE_PARTS], *b[IMAGE_PARTS] = {NULL};
    for (int i = 0; i < parts; i++) {
        w[i] = n->inputs[1 + i]->constant;
        const Value *bias = 1 + parts + i < n->input_count ? n->inputs[1 + parts + i] : NULL;
        if (bias) biased = b[i] = bias->constant;
    }
    for (int i = 0; i < parts && biased; i++)
        if (!b[i]) b[i] = zeros(lo, biased->dtype, w[i]->dims[transposed ? 0 : 1]);
    return (Qkv){
        lower_rows(lo, n->inputs[0]),
        lower_weight(lo,
                     lower_matrix_layout(lo->im, parts, w, transposed, n->inputs[0]->type.dtype),
                     parts, w, transposed),
        biased ? lower_joined_vector(lo, parts, b) : view_absent()};
}

void lower_qkv(Lower *lo, Node *n) {
    const IntList *widths = attr_ints(n, "widths");
    Qkv q = operands_of(lo, n);
    int first = 0; /* of the parts that wait for others, and its column */
    int64_t from = 0, at = 0;
    for (int i = 0; i < widths->count; i++) {
        int64_t end = at + widths->v[i];
        bool last = i + 1 == widths->count, whole = end % TN_PANEL == 0 || last;
        View c, a;
        if (at % TN_PANEL == 0 && whole && in_its_place(lo, n->outputs[i], &q.x, &c, &a)) {
            emit_packed(lo, n, &q, first, i, from);
            emit_columns(lo, &q, &a, at, widths->v[i], &c);
            lower_set(lo, n->outputs[i], c);
            first = i + 1;
            from = end;
        }
        at = end;
    }
    emit_packed(lo, n, &q, first, widths->count, from);
}
