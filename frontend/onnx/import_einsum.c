/* Einsum as transposes, views and matmul.
 *
 * Operands are combined one by one from the left. What is known of a value is the label of each of
 * its axes; two values combine into [batch labels, free labels of the left, free of the right]:
 *
 *     "bqhd,bkhd->bhqk"    b h are batch labels, d is summed, q and k are free
 *
 * Axes behind "..." get labels of their own, numbered from the right. */
#include <string.h>
#include "frontend/onnx/import.h"

#define MAX_LABELS 16
#define DOTS       '.' /* in a parsed term; no label */

typedef struct Labelled {
    Value *v;
    int count;
    int labels[MAX_LABELS]; /* letters, or 256 + position from the right for axes behind "..." */
} Labelled;

static int index_of(const Labelled *t, int label) {
    for (int i = 0; i < t->count; i++)
        if (t->labels[i] == label) return i;
    return -1;
}

static void add_label(OnnxNode *n, Labelled *t, int label) {
    if (t->count == MAX_LABELS) tn_fail(n->cx, TN_E_LIMIT, "more than %d labels", MAX_LABELS);
    t->labels[t->count++] = label;
}

/* --- the equation --- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Reads one term from *s on, up to a comma, an arrow or the end; "..." stands for `dots` axes. */
static Labelled read_term(OnnxNode *n, const char **s, int dots) {
    Labelled t = {0};
    bool seen = false;
    for (; **s && **s != ',' && **s != '-'; (*s)++) {
        if (**s == ' ') continue;
        if (is_letter(**s)) {
            add_label(n, &t, **s);
            continue;
        }
        if (strncmp(*s, "...", 3) != 0 || seen)
            tn_fail(n->cx, TN_E_MODEL, "the equation '%s' is malformed",
                    tn_printable(n->cx, onnx_string(n, "equation"),
                                 strlen(onnx_string(n, "equation")), 100));
        for (int i = dots; i > 0; i--) add_label(n, &t, 256 + i);
        seen = true;
        *s += 2;
    }
    return t;
}

/* How many axes "..." stands for in the term that begins at s, of an operand of this rank. */
static int count_dots(const char *s, int rank) {
    int letters = 0;
    bool dots = false;
    for (; *s && *s != ',' && *s != '-'; s++) {
        letters += is_letter(*s);
        dots = dots || *s == DOTS;
    }
    return dots && rank > letters ? rank - letters : 0;
}

/* Without an arrow: the axes behind "...", then the letters that occur once, sorted. */
static Labelled implicit_result(OnnxNode *n, const Labelled *terms, int dots) {
    Labelled result = {0};
    for (int i = dots; i > 0; i--) add_label(n, &result, 256 + i);
    for (int letter = 'A'; letter <= 'z'; letter++) {
        int uses = 0;
        for (int i = 0; i < n->input_count; i++)
            for (int k = 0; k < terms[i].count; k++) uses += terms[i].labels[k] == letter;
        if (uses == 1) add_label(n, &result, letter);
    }
    return result;
}

static Labelled read_equation(OnnxNode *n, Labelled *terms) {
    const char *s = onnx_string(n, "equation");
    int most_dots = 0;
    for (int i = 0; i < n->input_count; i++) {
        const Type *type = &n->inputs[i]->type;
        int dots = count_dots(s, type->rank);
        terms[i] = read_term(n, &s, dots);
        terms[i].v = n->inputs[i];
        if (dots > most_dots) most_dots = dots;
        if (terms[i].count != type->rank)
            tn_fail(n->cx, TN_E_MODEL, "term %d has %d labels, the operand is %s", i,
                    terms[i].count, ir_type_text(n->m, type));
        if ((*s == ',') != (i + 1 < n->input_count))
            tn_fail(n->cx, TN_E_MODEL, "the equation does not have %d terms", n->input_count);
        if (*s == ',') s++;
    }
    if (!*s) return implicit_result(n, terms, most_dots);
    if (strncmp(s, "->", 2) != 0) tn_fail(n->cx, TN_E_MODEL, "the equation has a '-' alone");
    s += 2;
    Labelled result = read_term(n, &s, most_dots);
    if (*s) tn_fail(n->cx, TN_E_MODEL, "the equation goes on behind its result");
    return result;
}

static void check_labels(OnnxNode *n, const Labelled *terms, const Labelled *result) {
    for (int k = 0; k < result->count; k++) {
        bool known = false;
        for (int i = 0; i < n->input_count; i++)
            known = known || index_of(&terms[i], result->labels[k]) >= 0;
        if (!known || index_of(result, result->labels[k]) != k)
            tn_fail(n->cx, TN_E_MODEL, "label %d of the result is %s", k,
                    known ? "there twice" : "in no term");
    }
}

/* --- terms --- */

/* The term without axis `drop`, of a length that is 1 or summed over. */
static void drop_label(Labelled *t, int drop) {
    for (int k = drop; k + 1 < t->count; k++) t->labels[k] = t->labels[k + 1];
    t->count--;
}

/* A vector of positions 0..length-1 that lies along axis `axis` of `rank`. */
static Value *positions(OnnxNode *n, const Expr *length, int axis, int rank) {
    const Expr *dims[TN_MAX_RANK];
    Value *v = ir_iota(n->g, TN_I64, length, ex_int(n->x, 0), ex_int(n->x, 1));
    for (int i = axis; i < rank; i++) dims[i - axis] = i == axis ? length : ex_int(n->x, 1);
    return ir_view(n->g, v, rank - axis, dims);
}

/* A label twice in a term stands for its diagonal: everything else is taken as 0, then one of the
 * two axes is summed over. */
static void take_diagonal(OnnxNode *n, Labelled *t, int first, int second) {
    const Type *type = &t->v->type;
    int64_t axis = second;
    ir_same_dim(n->m, type->dims[first], type->dims[second], "axes of one label");
    Value *on = ir_binary(n->g, OP_eq, positions(n, type->dims[first], first, type->rank),
                          positions(n, type->dims[first], second, type->rank));
    Value *x = ir_where(n->g, on, t->v, ir_scalar(n->g, type->dtype, 0));
    t->v = ir_reduce(n->g, OP_reduce_sum, x, 1, &axis, false);
    drop_label(t, second);
}

static void take_diagonals(OnnxNode *n, Labelled *t) {
    for (int k = 0; k < t->count;) {
        int first = index_of(t, t->labels[k]);
        if (first < k)
            take_diagonal(n, t, first, k);
        else
            k++;
    }
}

/* An axis of length 1 broadcasts to another term's axis of the same label: it goes. */
static void drop_ones(OnnxNode *n, Labelled *t, const Labelled *other) {
    for (int k = 0; k < t->count;) {
        int there = index_of(other, t->labels[k]);
        bool spread =
            there >= 0 && ex_is(t->v->type.dims[k], 1) && !ex_is(other->v->type.dims[there], 1);
        if (!spread) {
            k++;
            continue;
        }
        t->v = ir_squeeze(n->g, t->v, k);
        drop_label(t, k);
    }
}

/* The term's axes in the order of these labels, all of which it has. */
static Value *arrange(OnnxNode *n, const Labelled *t, const Labelled *order) {
    int perm[MAX_LABELS];
    for (int i = 0; i < order->count; i++) perm[i] = index_of(t, order->labels[i]);
    return ir_transpose(n->g, t->v, perm);
}

/* Sums over the labels that neither `other` (may be NULL) nor `wanted` has. */
static void sum_unneeded(OnnxNode *n, Labelled *t, const Labelled *other, const Labelled *wanted) {
    int64_t axes[MAX_LABELS];
    int count = 0, kept = 0;
    for (int i = 0; i < t->count; i++) {
        int label = t->labels[i];
        bool needed = (other && index_of(other, label) >= 0) || index_of(wanted, label) >= 0;
        if (needed)
            t->labels[kept++] = label;
        else
            axes[count++] = i;
    }
    t->count = kept;
    if (count) t->v = ir_reduce(n->g, OP_reduce_sum, t->v, count, axes, false);
}

/* Labels of `from` by whether `other` and `wanted` have them, appended to `to`. */
static void collect(OnnxNode *n, const Labelled *from, const Labelled *other, bool in_other,
                    const Labelled *wanted, bool in_wanted, Labelled *to) {
    for (int i = 0; i < from->count; i++) {
        int label = from->labels[i];
        if ((index_of(other, label) >= 0) == in_other &&
            (index_of(wanted, label) >= 0) == in_wanted)
            add_label(n, to, label);
    }
}

/* x, whose last axes are those of `a` and then of `b`, with each of the two groups as one axis. */
static Value *as_matrices(OnnxNode *n, Value *x, int batch, int a, int b) {
    const Expr *dims[TN_MAX_RANK];
    const Expr *const *d = x->type.dims;
    if (batch + 2 > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "more than %d labels in common", TN_MAX_RANK - 2);
    for (int i = 0; i < batch; i++) dims[i] = d[i];
    dims[batch] = ex_product(n->x, d + batch, a);
    dims[batch + 1] = ex_product(n->x, d + batch + a, b);
    return ir_view(n->g, x, batch + 2, dims);
}

static Labelled concatenated(OnnxNode *n, const Labelled *a, const Labelled *b, const Labelled *c) {
    Labelled t = *a;
    for (int i = 0; i < b->count; i++) add_label(n, &t, b->labels[i]);
    for (int i = 0; i < c->count; i++) add_label(n, &t, c->labels[i]);
    return t;
}

/* a and b as matrices, multiplied; without a label to sum over that is an outer product. */
static Labelled combine(OnnxNode *n, Labelled a, Labelled b, const Labelled *wanted) {
    Labelled batch = {0}, summed = {0}, left = {0}, right = {0};
    const Expr *dims[MAX_LABELS];
    drop_ones(n, &a, &b);
    drop_ones(n, &b, &a);
    sum_unneeded(n, &a, &b, wanted);
    sum_unneeded(n, &b, &a, wanted);
    collect(n, &a, &b, true, wanted, true, &batch);
    collect(n, &a, &b, true, wanted, false, &summed);
    collect(n, &a, &b, false, wanted, true, &left);
    collect(n, &b, &a, false, wanted, true, &right);
    for (int i = 0; i < summed.count; i++)
        ir_same_dim(n->m, a.v->type.dims[index_of(&a, summed.labels[i])],
                    b.v->type.dims[index_of(&b, summed.labels[i])], "summed dimensions");
    Labelled a_order = concatenated(n, &batch, &left, &summed);
    Labelled b_order = concatenated(n, &batch, &summed, &right);
    Labelled result = concatenated(n, &batch, &left, &right);
    Value *x = as_matrices(n, arrange(n, &a, &a_order), batch.count, left.count, summed.count);
    Value *y = as_matrices(n, arrange(n, &b, &b_order), batch.count, summed.count, right.count);
    Value *z = ir_matmul(n->g, x, y, false, false);
    if (result.count > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "an intermediate result with %d axes", result.count);
    for (int i = 0; i < result.count; i++) {
        const Labelled *from = index_of(&a, result.labels[i]) >= 0 ? &a : &b;
        dims[i] = i < batch.count ? z->type.dims[i]
                                  : from->v->type.dims[index_of(from, result.labels[i])];
    }
    result.v = ir_view(n->g, z, result.count, dims);
    return result;
}

/* Labels that the result or a term from `first` on has. */
static Labelled wanted_after(OnnxNode *n, const Labelled *terms, int first,
                             const Labelled *result) {
    Labelled wanted = *result;
    for (int i = first; i < n->input_count; i++)
        for (int k = 0; k < terms[i].count; k++)
            if (index_of(&wanted, terms[i].labels[k]) < 0)
                add_label(n, &wanted, terms[i].labels[k]);
    return wanted;
}

void import_einsum(OnnxNode *n) {
    Labelled *terms = ARENA_ARRAY(&n->cx->arena, Labelled, (size_t)n->input_count);
    Labelled result = read_equation(n, terms);
    check_labels(n, terms, &result);
    for (int i = 0; i < n->input_count; i++) take_diagonals(n, &terms[i]);
    Labelled sum = terms[0];
    for (int i = 1; i < n->input_count; i++) {
        Labelled wanted = wanted_after(n, terms, i + 1, &result);
        sum = combine(n, sum, terms[i], &wanted);
    }
    sum_unneeded(n, &sum, NULL, &result);
    n->outputs[0] = arrange(n, &sum, &result);
}
