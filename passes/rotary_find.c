/* Finds rotary positions: the two spellings that exist, with pairs of halves or of neighbours.
 *
 *     y = x cos + concat(-x2, x1) sin                            x1, x2: the halves of x
 *     y = concat(x1 cos - x2 sin, x2 cos + x1 sin)
 *     y = x + concat(-x2, x1) sin                                where all positions are 0: cos = 1
 *
 * Neighbours are slices of step 2, or columns of x as [.., n, 2], and are joined as columns of
 * [.., n, 2]. What is found is exact: which elements a slice, a column or a half takes is followed
 * to the tensor they are taken from. */
#include "passes/rotary.h"

#include <string.h>

static bool last_dim(const Value *v, int64_t *n) {
    return v->type.rank > 0 && ex_const(v->type.dims[v->type.rank - 1], n);
}

/* All of v but the last `count` axes has the dims of w. */
static bool same_outer(const Value *v, const Value *w, int outer) {
    for (int i = 0; i < outer; i++)
        if (v->type.dims[i] != w->type.dims[i]) return false;
    return true;
}

/* --- parts --- */

/* y[.., n, 1] as the view of x[.., n]: x; else NULL. */
static Value *unsqueezed(const Value *y) {
    int r = y->type.rank;
    if (!y->node || y->node->op != OP_view || r < 2 || !ex_is(y->type.dims[r - 1], 1)) return NULL;
    Value *x = y->node->inputs[0];
    return x->type.rank == r - 1 && same_outer(x, y, r - 1) ? x : NULL;
}

/* v[.., n, 1] is column `start` of [.., n, 2]. */
static bool column_of(Value *v, Part *p) {
    Node *n = v->node;
    int r = v->type.rank;
    int64_t columns, length;
    if (!n || n->op != OP_slice || r < 2 || attr_int(n, "axis") != r - 1) return false;
    if (!ex_is(v->type.dims[r - 1], 1) || !last_dim(n->inputs[0], &columns) || columns != 2)
        return false;
    if (!ex_const(v->type.dims[r - 2], &length)) return false;
    *p = (Part){.base = n->inputs[0], .pairs = true, .step = 2, .length = length};
    return ex_const(attr_dim(n, "start"), &p->start);
}

/* v as part of what it is sliced from; all of itself if it is not. */
static bool part_of(Value *v, Part *p) {
    Node *n = v->node;
    int r = v->type.rank;
    int64_t start, length;
    if (!last_dim(v, &length)) return false;
    if (n && n->op == OP_slice && attr_int(n, "axis") == r - 1 && attr_int(n, "step") > 0 &&
        ex_const(attr_dim(n, "start"), &start) && part_of(n->inputs[0], p)) {
        p->start += start * p->step;
        p->step *= attr_int(n, "step");
        p->length = length;
        return true;
    }
    if (n && n->op == OP_view) {
        Value *from = n->inputs[0]; /* [.., n, 1] as [.., n] */
        if (from->type.rank == r + 1 && same_outer(from, v, r) && column_of(from, p)) return true;
    }
    *p = (Part){.base = v, .step = 1, .length = length};
    return true;
}

static const Value *without_views(const Value *v) {
    while (v->node && v->node->op == OP_view) v = v->node->inputs[0];
    return v;
}

int64_t rotation_extent(const Part *p) {
    int64_t n = 0, columns = 1;
    int r = p->base->type.rank;
    last_dim(p->base, &n);
    if (p->pairs) ex_const(p->base->type.dims[r - 2], &columns);
    return n * columns;
}

/* Views of the same elements whose rows are equally long have the same rows. */
static bool same_base(const Part *a, const Part *b) {
    return a->base == b->base || (without_views(a->base) == without_views(b->base) &&
                                  rotation_extent(a) == rotation_extent(b));
}

static bool same_part(const Part *a, const Part *b) {
    return same_base(a, b) && a->start == b->start && a->step == b->step && a->length == b->length;
}

/* Two parts that pair up, the first of each pair and the second. */
static bool pair_up(const Part *first, const Part *second, Rotation *r) {
    if (!same_base(first, second) || first->length != second->length || first->step != second->step)
        return false;
    int64_t apart = second->start - first->start;
    r->width = 2 * first->length;
    r->interleaved = first->step == 2 && apart == 1;
    if (!r->interleaved && (first->step != 1 || apart != first->length)) return false;
    r->x = (Part){first->base, first->pairs, first->start, 1, r->width};
    return true;
}

/* The first of each pair, or the second. */
static Part half_of(const Rotation *r, int which) {
    Part p = r->x;
    p.length = r->width / 2;
    p.step = r->interleaved ? 2 : 1;
    p.start += which * (r->interleaved ? 1 : p.length);
    return p;
}

/* --- terms --- */

static void note(Rotation *r, Node *n) {
    if (n && r->node_count < ROTATION_NODES) r->nodes[r->node_count++] = n;
}

/* v without a sign; *negative says whether there was one. */
static Value *unsigned_of(Value *v, bool *negative, Rotation *r) {
    Node *n = v->node;
    double factor;
    *negative =
        n && (n->op == OP_neg ||
              (n->op == OP_mul && ir_constant_float(n->inputs[1], &factor) && factor == -1));
    if (*negative) note(r, n);
    return *negative ? n->inputs[0] : v;
}

static bool is_op(const Value *v, OpKind op) {
    return v->node && v->node->op == op;
}

/* The factor beside the part in a product; NULL if v is no product with it. */
static Value *factor_beside(Value *v, const Part *part, Rotation *r) {
    if (!is_op(v, OP_mul)) return NULL;
    for (int i = 0; i < 2; i++) {
        Part p;
        if (!part_of(v->node->inputs[i], &p) || !same_part(&p, part)) continue;
        note(r, v->node);
        return v->node->inputs[1 - i];
    }
    return NULL;
}

/* --- x cos + turned sin --- */

/* concat(-x2, x1), or with the other sign: *negative. */
static bool find_turned(Value *v, Rotation *r, bool *negative) {
    bool columns = is_op(v, OP_view), signs[2];
    Value *joined = columns ? v->node->inputs[0] : v;
    int axis = v->type.rank - !columns;
    if (columns &&
        (joined->type.rank != v->type.rank + 1 || !same_outer(joined, v, v->type.rank - 1)))
        return false;
    if (!is_op(joined, OP_concat) || joined->node->input_count != 2 ||
        attr_int(joined->node, "axis") != axis)
        return false;
    Part part[2];
    for (int i = 0; i < 2; i++) {
        Value *half = joined->node->inputs[i];
        half = unsigned_of(half, &signs[i], r);
        Value *inner = columns ? unsqueezed(half) : half;
        bool sign = false;
        if (!inner) {
            if (!column_of(half, &part[i])) return false;
            continue;
        }
        inner = unsigned_of(inner, &sign, r);
        signs[i] ^= sign;
        if (!part_of(inner, &part[i])) return false;
    }
    if (columns) note(r, v->node);
    note(r, joined->node);
    *negative = signs[1];
    return signs[0] != signs[1] && pair_up(&part[1], &part[0], r) && r->interleaved == columns;
}

/* x itself, where every cosine is 1 and left no factor: position 0 alone. */
static bool is_unscaled(Value *v, const Rotation *r) {
    Part p;
    return r->sin->constant && part_of(v, &p) && same_part(&p, &r->x);
}

static bool find_sum(Node *n, Rotation *r, const char **why) {
    bool found = false;
    for (int i = 0; i < 2; i++) {
        Node *product = n->inputs[i]->node;
        for (int k = 0; k < 2 && product && product->op == OP_mul; k++) {
            bool negative;
            *r = (Rotation){.result = n->outputs[0]};
            note(r, n);
            if (!find_turned(product->inputs[k], r, &negative)) continue;
            if (n->op == OP_sub && i == 0) continue;
            found = true;
            note(r, product);
            r->back = negative != (n->op == OP_sub);
            r->sin = product->inputs[1 - k];
            r->cos = factor_beside(n->inputs[1 - i], &r->x, r);
            if (r->cos || is_unscaled(n->inputs[1 - i], r)) return true;
        }
    }
    if (found) *why = "the other term is no product of the same elements";
    return false;
}

/* --- the halves apart --- */

/* One table for both of a pair, or the two halves of one. */
static Value *whole_table(const Rotation *r, Value *first, Value *second) {
    Rotation t = {0};
    Part a, b;
    if (first == second) return first;
    if (!part_of(first, &a) || !part_of(second, &b) || !pair_up(&a, &b, &t)) return NULL;
    bool whole = t.interleaved == r->interleaved && t.width == r->width && t.x.start == 0 &&
                 !t.x.pairs && rotation_extent(&t.x) == r->width;
    return whole ? t.x.base : NULL;
}

/* first = x1 c1 - x2 s1: finds the parts. */
static bool find_first(Node *first, Rotation *r, Value **c1, Value **s1) {
    Node *a = first->inputs[0]->node, *b = first->inputs[1]->node;
    if (!a || !b || a->op != OP_mul || b->op != OP_mul) return false;
    for (int i = 0; i < 4; i++) {
        Part x1, x2;
        Value *v1 = a->inputs[i & 1], *v2 = b->inputs[i >> 1];
        const Type *t = &first->outputs[0]->type;
        if (!ir_same_dims(&v1->type, t) || !ir_same_dims(&v2->type, t)) continue; /* tables */
        if (!part_of(v1, &x1) || !part_of(v2, &x2)) continue;
        *c1 = a->inputs[1 - (i & 1)];
        *s1 = b->inputs[1 - (i >> 1)];
        if (pair_up(&x1, &x2, r)) return true;
        if (first->op == OP_add && pair_up(&x2, &x1, r)) {
            Value *c = *c1;
            *c1 = *s1;
            *s1 = c;
            return true;
        }
    }
    return false;
}

/* The rotated pairs: a the first of each, b the second. */
static bool find_pair(Value *a, Value *b, Rotation *r) {
    Value *c1, *s1, *c2, *s2;
    r->back = is_op(a, OP_add);
    if (!(is_op(a, OP_sub) && is_op(b, OP_add)) && !(is_op(a, OP_add) && is_op(b, OP_sub)))
        return false;
    if (!find_first(a->node, r, &c1, &s1)) return false;
    note(r, a->node), note(r, b->node);
    note(r, a->node->inputs[0]->node), note(r, a->node->inputs[1]->node);
    Part x1 = half_of(r, 0), x2 = half_of(r, 1);
    Value *const *terms = b->node->inputs;
    c2 = factor_beside(terms[0], &x2, r);
    s2 = factor_beside(terms[1], &x1, r);
    if (!c2 && is_op(b, OP_add)) {
        c2 = factor_beside(terms[1], &x2, r);
        s2 = factor_beside(terms[0], &x1, r);
    }
    r->cos = c2 ? whole_table(r, c1, c2) : NULL;
    r->sin = s2 ? whole_table(r, s1, s2) : NULL;
    return r->cos && r->sin;
}

static bool find_halves(Node *n, Rotation *r) {
    Value *first = n->inputs[0], *second = n->inputs[1];
    int64_t columns;
    *r = (Rotation){.result = n->outputs[0]};
    note(r, n);
    bool single = last_dim(first, &columns) && columns == 1 && n->input_count == 2;
    if (single && unsqueezed(first) && unsqueezed(second) &&
        find_pair(unsqueezed(first), unsqueezed(second), r) && r->interleaved) {
        r->columns = true;
        return true;
    }
    *r = (Rotation){.result = n->outputs[0]};
    note(r, n);
    return find_pair(first, second, r) && !r->interleaved;
}

/* --- partial rotation --- */

/* concat(rotated, what follows it in x): the result is that, and both are the operand. */
static void take_rest(Rotation *r, Node *concat, Value *rest) {
    Part p;
    bool behind = part_of(rest, &p) && same_base(&p, &r->x) && p.step == 1 &&
                  p.start == r->x.start + r->width;
    if (!behind) return;
    r->result = concat->outputs[0];
    r->columns = false;
    r->x.length = r->width + p.length;
    note(r, concat);
}

/* The node that joins the result with something behind it, if that is all that reads it. */
static void find_rest(Rotation *r) {
    Value *v = r->result;
    if (r->columns && ir_single_use(v) && v->uses[0].node->op == OP_view) {
        Value *joined = v->uses[0].node->outputs[0]; /* columns as one axis */
        int rank = joined->type.rank;
        if (rank != v->type.rank - 1 || !same_outer(joined, v, rank - 1)) return;
        v = joined;
    } else if (r->columns) {
        return;
    }
    if (!ir_single_use(v)) return;
    Node *n = v->uses[0].node;
    if (n->op != OP_concat || n->input_count != 2 || v->uses[0].index != 0) return;
    if (attr_int(n, "axis") != v->type.rank - 1) return;
    take_rest(r, n, n->inputs[1]);
}

bool rotation_find(Node *n, Rotation *r, const char **why) {
    *why = NULL;
    if (n->op == OP_add || n->op == OP_sub) {
        if (!find_sum(n, r, why)) return false;
    } else if (n->op == OP_concat && (n->input_count == 2 || n->input_count == 3) &&
               attr_int(n, "axis") == n->outputs[0]->type.rank - 1) {
        if (!find_halves(n, r)) return false;
        if (n->input_count == 3) {
            take_rest(r, n, n->inputs[2]);
            return r->x.length != r->width;
        }
    } else {
        return false;
    }
    find_rest(r);
    return true;
}
