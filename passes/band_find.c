/* Finds attention over a band: see fuse_band.c for what it is.
 *
 * Models compute the scores of a band chunk by chunk and put them together by pads, views, slices
 * and assignments to blocks. None of that is looked at: origin.c tells where a score comes from,
 * and what is asked is whether
 *
 *     scores[b, i, h, c] = q[b, i, h, :] . k[b, i + c - w, h, :] + mask[b, i + c - w]
 *
 * where key i + c - w exists, and -inf elsewhere; likewise whether the result is the sum of
 * probabilities[b, i, h, c] v[b, i + c - w, h, :]. The question is put once for each region in
 * which one formula holds (band_region.c). */
#include <math.h>
#include "passes/band_region.h"

/* --- scores --- */

/* A score: a product of two rows, a mask's element and a number are added. */
typedef struct Score {
    const Node *product;
    Origin at, mask;
    double number;
} Score;

static const Expr *inner_extent(const Node *matmul) {
    const Type *t = &matmul->inputs[0]->type;
    return t->dims[t->rank - (attr_bool(matmul, "ta") ? 2 : 1)];
}

static bool take_score(ExprCx *x, Origin o, Score *s, int depth);

/* A row of one column of ones times a mask. */
static bool take_repeated(ExprCx *x, const Node *n, const Origin *o, Score *s, int depth) {
    Origin a = origin_in_product(n, 0, o->at, ex_int(x, 0));
    Origin b = origin_in_product(n, 1, o->at, ex_int(x, 0));
    if (!a.value && a.number == 1) return take_score(x, b, s, depth + 1);
    return !b.value && b.number == 1 && take_score(x, a, s, depth + 1);
}

static bool take_score(ExprCx *x, Origin o, Score *s, int depth) {
    const Node *n = o.value ? o.value->node : NULL;
    if (!o.value) {
        s->number += o.number;
        return true;
    }
    if (n && n->op == OP_add && depth < 4) {
        for (int i = 0; i < 2; i++)
            if (!take_score(x, origin_of_operand(n->inputs[i], &o.value->type, o.at), s, depth + 1))
                return false;
        return true;
    }
    if (n && n->op == OP_matmul) {
        if (ex_is(inner_extent(n), 1) && depth < 4) return take_repeated(x, n, &o, s, depth);
        if (s->product) return false;
        s->product = n;
        s->at = o;
        return true;
    }
    if (s->mask.value) return false;
    s->mask = o;
    return true;
}

static const char *check_score(ExprCx *x, Band *a, Value *band, int which) {
    BandRegion g;
    if (!band_region(x, a, which, &g)) return NULL;
    const Expr *at[] = {g.b, g.i, g.h, g.c};
    Score s = {0};
    if (!take_score(x, origin_of(band, at), &s, 0)) return "a score has no known origin";
    if (!g.inside)
        return s.number == -INFINITY && !s.product && !s.mask.value
                   ? NULL
                   : "scores beyond the ends are not -inf";
    if (!s.product || s.number != 0) return "a score is no product of a query and a key";
    const Expr *depth = inner_extent(s.product), *d = ex_coord(x, DEPTH, depth);
    Origin q = origin_in_product(s.product, 0, s.at.at, d),
           k = origin_in_product(s.product, 1, s.at.at, d);
    if (!a->depth) a->depth = depth;
    if (a->depth != depth || !band_lies(x, a, &a->q, &q, &g, g.i, a->length, depth) ||
        !band_lies(x, a, &a->k, &k, &g, g.key, a->length, depth))
        return "scores are of other queries and keys than those of a band";
    bool first = !a->begun;
    a->begun = true;
    if (!s.mask.value && !a->mask.value) return NULL;
    if (!s.mask.value || (!first && !a->mask.value) ||
        !band_lies(x, a, &a->mask, &s.mask, &g, g.key, a->length, NULL))
        return "what is added to the scores is no mask of keys";
    return NULL;
}

static const char *check_mask_values(Band *a) {
    const Facts *f = a->mask.value ? &a->mask.value->facts : NULL;
    a->mask_value = -INFINITY;
    if (!f) return NULL;
    if (!f->choice || (f->yes != 0 && f->no != 0)) return "what is added to the scores is no mask";
    a->mask_value = f->yes != 0 ? f->yes : f->no;
    return a->mask_value < -1e30 ? NULL : "the masked value is not below all scores";
}

static bool is_uniform(Value *v, double *value) {
    if (v->facts.choice && v->facts.choice->kind == PRED_TRUE) {
        *value = v->facts.yes;
        return true;
    }
    return ir_constant_float(v, value);
}

/* Keys that every query sees: where(mask[b, c], value, q . k'). */
static const char *check_sink_scores(ExprCx *x, Band *a, Value *sinks) {
    BandRegion g = band_anywhere(x, a);
    Origin o = origin_of(sinks, (const Expr *[]){g.b, g.i, g.h, g.c});
    Node *n = o.value ? o.value->node : NULL;
    if (n && n->op == OP_where) {
        double value;
        const Type *t = &n->outputs[0]->type;
        a->sink_mask_allows = is_uniform(n->inputs[2], &value);
        if (!a->sink_mask_allows && !is_uniform(n->inputs[1], &value))
            return "the sinks are masked by no number";
        if (!a->mask.value) a->mask_value = value;
        Origin m = origin_of_operand(n->inputs[0], t, o.at);
        if (value != a->mask_value || !band_lies(x, a, &a->sink_mask, &m, &g, g.c, a->sinks, NULL))
            return "the sinks' mask is another";
        o = origin_of_operand(n->inputs[a->sink_mask_allows ? 1 : 2], t, o.at);
        n = o.value ? o.value->node : NULL;
    }
    if (!n || n->op != OP_matmul || inner_extent(n) != a->depth)
        return "a sink's score is no product";
    const Expr *d = ex_coord(x, DEPTH, a->depth);
    Origin q = origin_in_product(n, 0, o.at, d), k = origin_in_product(n, 1, o.at, d);
    if (!band_lies(x, a, &a->q, &q, &g, g.i, a->length, a->depth) ||
        !band_lies(x, a, &a->sink_k, &k, &g, g.c, a->sinks, a->depth))
        return "sinks have queries of their own";
    return NULL;
}

/* --- probabilities --- */

/* Rows whose probabilities are set to zero. */
static const char *take_rows(ExprCx *x, Band *a, Node *softmax) {
    Value *p = a->probabilities = softmax->outputs[0];
    Node *n = ir_single_use(p) ? p->uses[0].node : NULL;
    double zero;
    if (!n || n->op != OP_where || n->inputs[2] != p) return NULL;
    BandRegion g = band_anywhere(x, a);
    const Expr *at[] = {g.b, g.i, g.h, ex_coord(x, COLUMN, p->type.dims[3])};
    Origin m = origin_of_operand(n->inputs[0], &p->type, at);
    if (!is_uniform(n->inputs[1], &zero) || zero != 0 ||
        !ir_same_dims(&p->type, &n->outputs[0]->type) ||
        !band_lies(x, a, &a->row_mask, &m, &g, g.i, a->length, NULL))
        return "the probabilities are changed";
    a->probabilities = n->outputs[0];
    return NULL;
}

static bool moves(const Node *n) {
    return n->op == OP_slice || n->op == OP_view || n->op == OP_transpose || n->op == OP_pad;
}

/* The product that v goes to, moved only. */
static Node *product_with(Value *v) {
    while (ir_single_use(v)) {
        Node *n = v->uses[0].node;
        if (n->op == OP_matmul) return v->uses[0].index == 0 ? n : NULL;
        if (!moves(n) || v->uses[0].index != 0) return NULL;
        v = n->outputs[0];
    }
    return NULL;
}

/* The sum of both products, or of one product the tensor in which its heads are split. */
static Value *result_of(const Band *a, Node *product, bool sum) {
    Value *v = product->outputs[0];
    while (ir_single_use(v)) {
        Node *n = v->uses[0].node;
        if (sum && n->op == OP_add) return n->outputs[0];
        if (!moves(n)) return NULL;
        v = n->outputs[0];
        if (!sum && v->type.rank == 4 && v->type.dims[1] == a->heads) return v;
    }
    return NULL;
}

/* The element of the probabilities at these coordinates. */
static bool is_probability(const Band *a, const Origin *o, const BandRegion *g,
                           const Expr *column) {
    const Expr *at[] = {g->b, g->i, g->h, column};
    if (o->value != a->probabilities) return false;
    for (int i = 0; i < 4; i++)
        if (o->at[i] != at[i]) return false;
    return true;
}

/* Where element (b, i, h, d) of the result comes from, as an element of the product; of both
 * products if there are sinks. */
static bool result_at(ExprCx *x, const Band *a, const Node *product, const BandRegion *g,
                      Origin *o) {
    const Expr *d = ex_coord(x, DEPTH, a->depth_v);
    const Expr *first[] = {g->b, g->h, g->i, d}, *later[] = {g->b, g->i, g->h, d};
    const Expr *const *at = a->heads_first ? first : later;
    const Node *sum = a->result->node;
    if (sum->op != OP_add) {
        *o = origin_of(a->result, at);
        return o->value == product->outputs[0];
    }
    for (int i = 0; i < 2; i++) {
        if (!ir_same_dims(&sum->inputs[i]->type, &a->result->type)) return false;
        *o = origin_of(sum->inputs[i], at);
        if (o->value == product->outputs[0]) return true;
    }
    return false;
}

/* In its chunk, row r weighs the values r .. r + 2 w of 3 w. */
static bool check_values(ExprCx *x, Band *a, const Node *product, int which) {
    BandRegion g;
    Origin o;
    if (!band_region(x, a, which, &g)) return true;
    if (!result_at(x, a, product, &g, &o)) return false;
    const Expr *y = ex_add(x, g.row, g.c);
    Origin p = origin_in_product(product, 0, o.at, y), v = origin_in_product(product, 1, o.at, y);
    if (!is_probability(a, &p, &g, ex_add(x, a->sinks, g.c))) return false;
    if (!g.inside) return !v.value && isfinite(v.number);
    return band_lies(x, a, &a->v, &v, &g, g.key, a->length, a->depth_v);
}

/* The other values of the chunk count nothing. */
static bool check_zeros(ExprCx *x, const Band *a, const Node *product) {
    int64_t w = a->width;
    const Expr *one = ex_int(x, 1), *y[2], *row[2], *rows = ex_coord(x, ROW, ex_int(x, w - 1));
    row[0] = ex_add(x, one, rows);
    y[0] = ex_sub(x, rows, ex_coord(x, COLUMN, row[0])); /* rows = row[0] - 1 */
    row[1] = rows;
    const Expr *rest = ex_sub(x, ex_int(x, w - 1), rows);
    y[1] = ex_add(x, ex_add(x, rows, ex_int(x, 2 * w + 1)), ex_coord(x, COLUMN, rest));
    for (int k = 0; k < 2 && w > 1; k++) {
        BandRegion g = band_anywhere(x, a);
        const Expr *n = ex_coord(x, CHUNK, band_chunks(x, a));
        g.i = ex_add(x, ex_scale(x, n, w, 1), row[k]);
        Origin o;
        if (!result_at(x, a, product, &g, &o)) return false;
        Origin p = origin_in_product(product, 0, o.at, y[k]);
        if (p.value || p.number != 0) return false;
    }
    return true;
}

static bool check_sink_values(ExprCx *x, Band *a, const Node *product) {
    BandRegion g = band_anywhere(x, a);
    Origin o;
    if (inner_extent(product) != a->sinks || !result_at(x, a, product, &g, &o)) return false;
    Origin p = origin_in_product(product, 0, o.at, g.c),
           v = origin_in_product(product, 1, o.at, g.c);
    return is_probability(a, &p, &g, g.c) &&
           band_lies(x, a, &a->sink_v, &v, &g, g.c, a->sinks, a->depth_v);
}

static const char *check_result(ExprCx *x, Band *a, const Node *band, const Node *sinks) {
    static const char *const other = "the probabilities weigh other values";
    const Type *t = &a->result->type;
    if (t->rank != 4 || !ex_is(inner_extent(band), 3 * a->width)) return other;
    a->heads_first = t->dims[1] == a->heads && t->dims[2] == a->length;
    a->depth_v = t->dims[3];
    for (int which = 0; which < BAND_REGIONS; which++)
        if (!check_values(x, a, band, which)) return other;
    if (!check_zeros(x, a, band)) return other;
    return sinks && !check_sink_values(x, a, sinks) ? "the sinks' probabilities weigh other values"
                                                    : NULL;
}

static const char *take_values(ExprCx *x, Band *a, bool sinks) {
    static const char *const elsewhere = "the probabilities are used elsewhere";
    Value *p = a->probabilities;
    Node *products[2] = {NULL, NULL}; /* of the band, of the sinks */
    if (ir_is_output(p) || p->use_count != (sinks ? 2 : 1)) return elsewhere;
    for (int i = 0; i < p->use_count; i++) {
        Node *n = p->uses[i].node;
        bool first = sinks && n->op == OP_slice && ex_is(attr_dim(n, "start"), 0);
        products[first] = product_with(sinks ? n->outputs[0] : p);
    }
    if (!products[0] || (sinks && !products[1])) return elsewhere;
    a->result = result_of(a, products[0], sinks);
    if (!a->result) return "the products with the values are not added";
    return check_result(x, a, products[0], products[1]);
}

const char *band_find(Node *softmax, Band *a) {
    ExprCx *x = softmax->graph->module->ex;
    Value *scores = softmax->inputs[0], *band = scores, *sinks = NULL;
    const Node *n = scores->node;
    int64_t columns;
    const char *why = NULL;
    *a = (Band){0};
    if (attr_int(softmax, "axis") != -1 || scores->type.rank != 4 || scores->type.dtype != TN_F32)
        return "the scores have another form";
    if (n && n->op == OP_concat && attr_int(n, "axis") == 3 && n->input_count == 2) {
        sinks = n->inputs[0];
        band = n->inputs[1];
    }
    a->batch = band->type.dims[0];
    a->length = band->type.dims[1];
    a->heads = band->type.dims[2];
    a->sinks = sinks ? sinks->type.dims[3] : ex_int(x, 0);
    if (!ex_const(band->type.dims[3], &columns) || columns < 3 || columns % 2 == 0)
        return "the scores have no odd number of columns";
    a->width = columns / 2;
    if (a->width > INT32_MAX / 4 || !ex_exact_div(x, a->length, ex_int(x, a->width)) ||
        !ex_provably_ge(x, band_chunks(x, a), ex_int(x, 2)))
        return "the rows are no whole number of chunks";
    for (int which = 0; which < BAND_REGIONS && !why; which++) why = check_score(x, a, band, which);
    if (!why) why = check_mask_values(a);
    if (!why && sinks) why = check_sink_scores(x, a, sinks);
    if (!why) why = take_rows(x, a, softmax);
    return why ? why : take_values(x, a, sinks != NULL);
}
