/* Shape rules of linear algebra, normalisation, attention and the fused operators made of them. */
#include "ir/shape.h"

#include <float.h>
#include <string.h>
#include "ir/infer.h"

static bool has(const Node *n, int i) {
    return i < n->input_count && n->inputs[i];
}

/* Operand i, if it is there, is a vector of this length. */
static void check_vector(const Node *n, int i, const Expr *length, const char *what) {
    if (!has(n, i)) return;
    infer_rank(n, i, 1, 1);
    ir_same_dim(module_of(n), infer_input(n, i)->dims[0], length, what);
}

/* --- matmul and what is made of it --- */

void shape_matmul(Node *n) {
    Module *m = module_of(n);
    const Type *a = infer_input(n, 0), *b = infer_input(n, 1);
    bool ta = attr_bool(n, "ta"), tb = attr_bool(n, "tb");
    infer_rank(n, 0, 2, TN_MAX_RANK);
    infer_rank(n, 1, 2, TN_MAX_RANK);
    const Expr *const *last_a = a->dims + a->rank - 2, *const *last_b = b->dims + b->rank - 2;
    ir_same_dim(m, last_a[!ta], last_b[tb], "inner dimensions");
    Type batch_a = *a, batch_b = *b, out = {0};
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    ir_broadcast(m, &batch_a, &batch_b, &out);
    out.dims[out.rank++] = last_a[ta];
    out.dims[out.rank++] = last_b[!tb];
    infer_output(n, 0, infer_to(n, "to"), out.rank, out.dims);
}

static void check_zero(const Node *n, int i, const Type *wanted) {
    Type t = {0};
    if (!has(n, i)) return;
    ir_broadcast(module_of(n), infer_input(n, i), wanted, &t);
    bool fits = t.rank == wanted->rank;
    for (int k = 0; fits && k < t.rank; k++) fits = t.dims[k] == wanted->dims[k];
    if (!fits)
        tn_fail(module_of(n)->cx, TN_E_MODEL, "zero point %s does not broadcast to %s",
                ir_type_text(module_of(n), infer_input(n, i)), ir_type_text(module_of(n), wanted));
}

void shape_matmul_int(Node *n) {
    Module *m = module_of(n);
    const Type *a = infer_input(n, 0), *b = infer_input(n, 1);
    infer_rank(n, 0, 2, TN_MAX_RANK);
    infer_rank(n, 1, 2, TN_MAX_RANK);
    ir_same_dim(m, a->dims[a->rank - 1], b->dims[b->rank - 2], "inner dimensions");
    Type batch_a = *a, batch_b = *b, out = {0};
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    ir_broadcast(m, &batch_a, &batch_b, &out);
    out.dims[out.rank++] = a->dims[a->rank - 2];
    out.dims[out.rank++] = b->dims[b->rank - 1];
    Type rows = out, columns = out;
    rows.dims[out.rank - 1] = columns.dims[out.rank - 2] = ex_int(m->ex, 1);
    rows.dtype = a->dtype;
    columns.dtype = b->dtype;
    check_zero(n, 2, &rows);
    check_zero(n, 3, &columns);
    infer_output(n, 0, TN_I32, out.rank, out.dims);
}

/* Operands have one type, but weights 1..`weights` may be f16 or bf16 beside f32, and everything
 * may be f32 or bf16 beside the other. */
static void check_product_types(const Node *n, int weights) {
    TnDType x = infer_input(n, 0)->dtype;
    for (int i = 1; i < n->input_count; i++) {
        TnDType t = n->inputs[i] ? infer_input(n, i)->dtype : x;
        bool narrower = i <= weights && x == TN_F32 && (t == TN_F16 || t == TN_BF16);
        bool mixed = (x == TN_F32 || x == TN_BF16) && (t == TN_F32 || t == TN_BF16);
        if (t != x && !narrower && !mixed)
            tn_fail(module_of(n)->cx, TN_E_MODEL, "operands have types %s and %s", tn_dtype_name(x),
                    tn_dtype_name(t));
        if (i <= weights && t != infer_input(n, 1)->dtype)
            tn_fail(module_of(n)->cx, TN_E_MODEL, "weights have types %s and %s",
                    tn_dtype_name(infer_input(n, 1)->dtype), tn_dtype_name(t));
    }
}

/* Width of operand i as the weights of a product with the last axis of operand 0. */
static const Expr *check_weight(const Node *n, int i, bool transposed) {
    const Type *x = infer_input(n, 0), *w = infer_input(n, i);
    infer_rank(n, i, 2, 2);
    ir_same_dim(module_of(n), x->dims[x->rank - 1], w->dims[transposed], "inner dimensions");
    return w->dims[!transposed];
}

static void check_residual(const Node *n, int rank, const Expr *const *dims) {
    if (!has(n, 3)) return;
    infer_rank(n, 3, rank, rank);
    for (int i = 0; i < rank; i++)
        ir_same_dim(module_of(n), infer_input(n, 3)->dims[i], dims[i], "residual and result");
}

void shape_linear(Node *n) {
    const Type *x = infer_input(n, 0);
    const Expr *dims[TN_MAX_RANK];
    check_product_types(n, 1);
    infer_rank(n, 0, 1, TN_MAX_RANK);
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = check_weight(n, 1, attr_bool(n, "tb"));
    check_vector(n, 2, dims[x->rank - 1], "bias and result");
    check_residual(n, x->rank, dims);
    infer_output(n, 0, infer_to(n, "to"), x->rank, dims);
}

/* Operands x, `parts` weights, then `parts` biases or none. */
static void check_qkv(const Node *n, int64_t parts, const IntList *widths) {
    Module *m = module_of(n);
    bool tb = attr_bool(n, "tb");
    int64_t total = 0;
    if (parts < 1 || parts > n->input_count - 1 ||
        (n->input_count != 1 + parts && n->input_count != 1 + 2 * parts))
        tn_fail(m->cx, TN_E_MODEL, "%lld parts in %d operands", (long long)parts, n->input_count);
    if (widths->count < 1 || (parts > 1 && widths->count != parts))
        tn_fail(m->cx, TN_E_MODEL, "%d widths for %lld parts", widths->count, (long long)parts);
    for (int i = 0; i < widths->count; i++) {
        if (widths->v[i] < 0 || widths->v[i] > INT32_MAX)
            tn_fail(m->cx, TN_E_MODEL, "width %lld", (long long)widths->v[i]);
        total += widths->v[i];
    }
    for (int i = 0; i < parts; i++) {
        const Expr *width = ex_int(m->ex, parts == 1 ? total : widths->v[i]);
        if (!has(n, 1 + i)) tn_fail(m->cx, TN_E_MODEL, "operand %d of qkv is missing", 1 + i);
        ir_same_dim(m, check_weight(n, 1 + i, tb), width, "width and weight");
        check_vector(n, 1 + (int)parts + i, width, "bias and width");
    }
}

void shape_qkv(Node *n) {
    const Type *x = infer_input(n, 0);
    const IntList *widths = attr_ints(n, "widths");
    const Expr *dims[TN_MAX_RANK];
    infer_rank(n, 0, 1, TN_MAX_RANK);
    check_qkv(n, attr_int(n, "parts"), widths);
    check_product_types(n, (int)attr_int(n, "parts"));
    memcpy(dims, x->dims, sizeof dims);
    infer_make_outputs(n, widths->count);
    for (int i = 0; i < widths->count; i++) {
        dims[x->rank - 1] = ex_int(module_of(n)->ex, widths->v[i]);
        infer_output(n, i, infer_to(n, "to"), x->rank, dims);
    }
}

/* --- convolution --- */

static const Expr *conv_dim(Module *m, const Expr *x, const Expr *k, int64_t stride, int64_t pads,
                            int64_t dilation) {
    ExprCx *e = m->ex;
    const Expr *one = ex_int(e, 1);
    const Expr *reach = ex_add(e, ex_scale(e, ex_sub(e, k, one), dilation, 1), one);
    const Expr *padded = ex_add(e, x, ex_int(e, pads));
    infer_require_le(m, reach, padded, "the kernel is longer than the input");
    return ex_add(e, ex_floordiv(e, ex_norm(e, ex_sub(e, padded, reach)), ex_int(e, stride)), one);
}

/* Entries of an attribute list must lie in [min, INT32_MAX], so that no sum of a few overflows. */
static void check_list(const Node *n, const char *name, int count, int64_t min) {
    const IntList *list = attr_ints(n, name);
    Cx *cx = module_of(n)->cx;
    if (list->count != count)
        tn_fail(cx, TN_E_MODEL, "%s has %d entries, not %d", name, list->count, count);
    for (int i = 0; i < count; i++)
        if (list->v[i] < min || list->v[i] > INT32_MAX)
            tn_fail(cx, TN_E_MODEL, "%s contains %lld", name, (long long)list->v[i]);
}

static void check_groups(const Node *n, const Type *x, const Type *w) {
    Module *m = module_of(n);
    int64_t groups = attr_int(n, "groups"), out;
    if (groups < 1 || groups > INT32_MAX)
        tn_fail(m->cx, TN_E_MODEL, "%lld groups", (long long)groups);
    ir_same_dim(m, x->dims[1], ex_scale(m->ex, w->dims[1], groups, 1), "input channels");
    if (ex_const(w->dims[0], &out) && out % groups != 0)
        tn_fail(m->cx, TN_E_MODEL, "%lld output channels in %lld groups", (long long)out,
                (long long)groups);
}

void shape_conv(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *w = infer_input(n, 1);
    check_product_types(n, 1);
    infer_rank(n, 0, 3, 5);
    infer_rank(n, 1, x->rank, x->rank);
    int spatial = x->rank - 2;
    check_list(n, "strides", spatial, 1);
    check_list(n, "dilations", spatial, 1);
    check_list(n, "pads", 2 * spatial, INT32_MIN);
    check_groups(n, x, w);
    check_vector(n, 2, w->dims[0], "bias and output channels");
    const int64_t *strides = attr_ints(n, "strides")->v, *pads = attr_ints(n, "pads")->v;
    const int64_t *dilations = attr_ints(n, "dilations")->v;
    const Expr *dims[TN_MAX_RANK] = {x->dims[0], w->dims[0]};
    for (int i = 0; i < spatial; i++)
        dims[2 + i] = conv_dim(m, x->dims[2 + i], w->dims[2 + i], strides[i],
                               pads[i] + pads[i + spatial], dilations[i]);
    check_residual(n, x->rank, dims);
    infer_output(n, 0, infer_to(n, "to"), x->rank, dims);
}

/* --- normalisation --- */

static void check_epsilon(Node *n) {
    double eps = attr_float(n, "eps");
    if (!(eps >= 0 && eps <= FLT_MAX))
        tn_fail(module_of(n)->cx, TN_E_MODEL, "epsilon %g, wanted a number >= 0", eps);
}

void shape_norm(Node *n) {
    check_epsilon(n);
    const Type *x = infer_input(n, 0);
    infer_rank(n, 0, 1, TN_MAX_RANK);
    check_vector(n, 1, x->dims[x->rank - 1], "gamma and last dimension");
    check_vector(n, 2, x->dims[x->rank - 1], "beta and last dimension");
    infer_output(n, 0, infer_to(n, "to"), x->rank, x->dims);
}

void shape_group_norm(Node *n) {
    const Type *x = infer_input(n, 0);
    int64_t groups = attr_int(n, "groups"), channels;
    check_epsilon(n);
    infer_rank(n, 0, 2, TN_MAX_RANK);
    check_vector(n, 1, x->dims[x->rank - 1], "gamma and last dimension");
    check_vector(n, 2, x->dims[x->rank - 1], "beta and last dimension");
    if (groups < 1 || groups > INT32_MAX ||
        (ex_const(x->dims[x->rank - 1], &channels) && channels % groups))
        tn_fail(module_of(n)->cx, TN_E_MODEL, "%lld groups of %s", (long long)groups,
                ir_type_text(module_of(n), x));
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}

void shape_add_norm(Node *n) {
    Type s = {0};
    check_epsilon(n);
    ir_broadcast(module_of(n), infer_input(n, 0), infer_input(n, 1), &s);
    if (s.rank < 1) infer_rank(n, 0, 1, TN_MAX_RANK);
    check_vector(n, 2, s.dims[s.rank - 1], "gamma and last dimension");
    check_vector(n, 3, s.dims[s.rank - 1], "beta and last dimension");
    infer_output(n, 0, infer_to(n, "to"), s.rank, s.dims);
    infer_output(n, 1, infer_to(n, "sum"), s.rank, s.dims);
}

/* --- attention --- */

/* Operand i, if it is there, broadcasts to these dims. */
static void check_mask(const Node *n, int i, int rank, const Expr *const *dims, const char *what) {
    if (!has(n, i)) return;
    infer_rank(n, i, rank, rank);
    for (int k = 0; k < rank; k++)
        if (!ex_is(infer_input(n, i)->dims[k], 1))
            ir_same_dim(module_of(n), infer_input(n, i)->dims[k], dims[k], what);
}

/* The first axis of bias i: the batch, or as many entries as it takes to begin again. */
static const Expr *bias_batches(const Node *n, int i, const Expr *batch) {
    if (!has(n, i) || infer_input(n, i)->rank != 4) return batch;
    const Expr *period = infer_input(n, i)->dims[0];
    bool repeats = !ex_is(period, 0) && ex_is(ex_mod(module_of(n)->ex, batch, period), 0);
    return repeats ? period : batch;
}

/* Bias i is of batch entries and heads, and of pairs of a query and a key or of their distances. */
static void check_bias(const Node *n, int i, const Expr *const *scores) {
    ExprCx *x = module_of(n)->ex;
    const Expr *distances = ex_add(x, ex_add(x, scores[2], scores[3]), ex_int(x, 1));
    const Expr *dims[] = {bias_batches(n, i, scores[0]), scores[1], scores[2], scores[3]};
    const Type *t = has(n, i) ? infer_input(n, i) : NULL;
    if (t && t->rank == 4 && ex_is(t->dims[2], 1) && t->dims[3] == distances) dims[3] = distances;
    check_mask(n, i, 4, dims, "bias and scores");
}

static void check_heads(const Node *n, const Expr *heads, const Expr *groups) {
    Module *m = module_of(n);
    int64_t h, g;
    if (ex_const(heads, &h) && ex_const(groups, &g) && (g == 0 ? h != 0 : h % g != 0))
        tn_fail(m->cx, TN_E_MODEL, "%lld heads share %lld key heads", (long long)h, (long long)g);
}

/* The batch entries, queries and keys per entry that biases are for. */
typedef struct Scores {
    const Expr *batch, *queries, *keys;
} Scores;

/* Keys of all batch entries behind one another, and queries too if they are packed. */
static Scores packed_scores(const Node *n, const Expr *const *q, const Expr *const *k) {
    Module *m = module_of(n);
    const Expr *one = ex_int(m->ex, 1), *longest = attr_dim(n, "longest");
    bool packed = attr_bool(n, "packed");
    infer_rank(n, 7, 1, 1);
    const Expr *batch = ex_sub(m->ex, infer_input(n, 7)->dims[0], one);
    ir_same_dim(m, k[0], one, "batch of packed keys");
    ir_same_dim(m, q[0], packed ? one : batch, "batch of queries");
    infer_require_le(m, ex_int(m->ex, 0), longest, "longest sequence");
    if (attr_bool(n, "band")) tn_fail(m->cx, TN_E_MODEL, "a band over packed keys");
    return (Scores){batch, packed ? longest : q[1], longest};
}

/* Letters as in the row's formula: b batch, s queries, t
 * keys, h heads, g key heads, d and e sizes. */
void shape_attention(Node *n) {
    Module *m = module_of(n);
    TnDType x = infer_input(n, 0)->dtype;
    for (int i = 5; i < 7; i++)
        if (has(n, i) && infer_input(n, i)->dtype != x)
            infer_dtype(n, i, x == TN_BF16 ? "bool|f32" : "bool");
    for (int i = 0; i < 3; i++) infer_rank(n, i, 4, 4);
    const Expr *const *q = infer_input(n, 0)->dims, *const *k = infer_input(n, 1)->dims;
    const Expr *const *v = infer_input(n, 2)->dims;
    if (!has(n, 7)) ir_same_dim(m, q[0], k[0], "batches of queries and keys");
    ir_same_dim(m, k[0], v[0], "batches of keys and values");
    ir_same_dim(m, k[1], v[1], "lengths of keys and values");
    ir_same_dim(m, k[2], v[2], "heads of keys and values");
    ir_same_dim(m, q[3], k[3], "head sizes of queries and keys");
    check_heads(n, q[2], k[2]);
    infer_require_le(m, attr_dim(n, "sinks"), k[1], "sinks and keys");
    if (!attr_bool(n, "band") && !ex_is(attr_dim(n, "sinks"), 0))
        tn_fail(m->cx, TN_E_MODEL, "sinks are of a band");
    Scores of = has(n, 7) ? packed_scores(n, q, k) : (Scores){q[0], q[1], k[1]};
    check_mask(n, 3, 2, (const Expr *[]){k[0], k[1]}, "key mask and keys");
    check_mask(n, 4, 2, (const Expr *[]){q[0], q[1]}, "query mask and queries");
    for (int i = 5; i < 7; i++)
        check_bias(n, i, (const Expr *[]){of.batch, q[2], of.queries, of.keys});
    const Expr *dims[] = {q[0], q[1], q[2], v[3]};
    infer_output(n, 0, infer_to(n, "to"), 4, dims);
}

/* --- rotary positions --- */

static void check_rotary_table(const Node *n, int i, int64_t width) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *t = infer_input(n, i);
    int64_t columns, missing = x->rank - t->rank;
    bool fits = t->rank > 0 && missing >= 0 && ex_const(t->dims[t->rank - 1], &columns) &&
                (columns == width || columns == width / 2);
    if (!fits)
        tn_fail(m->cx, TN_E_MODEL, "operand %d is %s, no table of %lld or %lld columns for %s", i,
                ir_type_text(m, t), (long long)width, (long long)width / 2, ir_type_text(m, x));
    for (int k = 0; k + 1 < t->rank; k++)
        if (!ex_is(t->dims[k], 1))
            ir_same_dim(m, t->dims[k], x->dims[k + missing], "table and rows");
}

void shape_rotary(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int64_t width = attr_int(n, "width");
    infer_rank(n, 0, 1, TN_MAX_RANK);
    if (width < 2 || width % 2 || width > INT32_MAX)
        tn_fail(m->cx, TN_E_MODEL, "width %lld, wanted an even number", (long long)width);
    infer_require_le(m, ex_int(m->ex, width), x->dims[x->rank - 1], "rotated elements");
    for (int i = 1; i < 3; i++) check_rotary_table(n, i, width);
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}
