/* Which rows of padding nobody needs.
 *
 * Attention under a key mask whose masked value is far below every score gives masked keys a
 * probability of 0: what their rows hold reaches no other row. If besides everything between the
 * attentions works row by row, a row of padding influences nothing but itself up to whoever reads
 * it at last. The proof goes forward from the attentions (`reached`): each use of a reached value
 * is either by an operator of rows, or an exit that has no need of padding. Then it goes back from
 * there: what only such operators read need not have the other rows either. */
#include "passes/unpad.h"

#include <math.h>
#include <string.h>

#define MASKED_BELOW -1e30 /* as the kernel of attention has it */
#define BIAS_ABOVE   -1e28 /* a bias that masks nothing */
#define BIAS_STEPS   32
#define KNOWN_STEPS  8

/* --- operators of rows --- */

static Place place_of(const Unpad *u, const Type *t) {
    if (t->rank >= 2 && t->dims[0] == u->batch && t->dims[1] == u->length) return PAIR;
    bool flat = t->rank >= 1 && t->dims[0] == ex_mul(u->x, u->batch, u->length);
    return flat ? FLAT : NOWHERE;
}

Place unpad_result_place(const Unpad *u, const Node *n) {
    return n->output_count ? place_of(u, &n->outputs[0]->type) : NOWHERE;
}

static int row_axes(Place p) {
    return p == PAIR ? 2 : 1;
}

static Demand rows(Place p) {
    return p == PAIR ? ROWS_PAIR : ROWS_FLAT;
}

/* An operand that has the rows as its first axes, with `rest` more at least. */
static Demand of_rows(const Unpad *u, const Value *v, Place p, int rest) {
    return place_of(u, &v->type) == p && v->type.rank >= row_axes(p) + rest ? rows(p) : UNFIT;
}

/* An operand that broadcasts to a result of `rank` axes. */
static Demand broadcast(const Unpad *u, const Value *v, Place p, int rank) {
    const Type *t = &v->type;
    int first = t->rank - rank, second = first + 1; /* its axes under those of the rows */
    if (!first && place_of(u, t) == p) return rows(p);
    bool has_first = first >= 0 && !ex_is(t->dims[first], 1);
    if (p == FLAT) return has_first ? UNFIT : ALIKE;
    bool has_second = second >= 0 && !ex_is(t->dims[second], 1);
    if (!has_first) return has_second ? BY_POSITION : ALIKE;
    return has_second ? UNFIT : BY_ENTRY;
}

static bool only_axes_behind(const IntList *axes, Place p) {
    for (int i = 0; i < axes->count; i++)
        if (axes->v[i] < row_axes(p)) return false;
    return true;
}

static bool keeps_row_axes(const Node *n, Place p) {
    const IntList *perm = attr_ints(n, "perm");
    for (int i = 0; i < row_axes(p); i++)
        if (perm->v[i] != i) return false;
    return true;
}

static bool pads_behind(const Node *n, Place p) {
    for (int i = 0; i < row_axes(p); i++)
        if (!ex_is(attr_dims(n, "before")->e[i], 0) || !ex_is(attr_dims(n, "after")->e[i], 0))
            return false;
    return true;
}

static Demand demand_of_attention(const Unpad *u, const Node *n, int i) {
    if (n->input_count < 4 || n->inputs[3] != u->mask) return UNFIT;
    if (i < 3) return of_rows(u, n->inputs[i], PAIR, 2);
    return i == 4 ? broadcast(u, n->inputs[4], PAIR, 2) : ALIKE;
}

Demand unpad_demand(const Unpad *u, const Node *n, int i, Place p) {
    const Value *v = n->inputs[i];
    int rank = n->outputs[0]->type.rank;
    if (!v) return ALIKE;
    switch (n->op) {
    case OP_linear:
        if (i == 1 || i == 2) return ALIKE;
        return i == 0 ? of_rows(u, v, p, 1) : broadcast(u, v, p, rank);
    case OP_qkv: return i == 0 ? of_rows(u, v, p, 1) : ALIKE;
    case OP_layer_norm:
    case OP_rms_norm: return i == 0 ? of_rows(u, v, p, 1) : ALIKE;
    case OP_add_norm:
        if (i > 1) return ALIKE;
        return i == 0 ? of_rows(u, v, p, 1) : broadcast(u, v, p, rank);
    case OP_rotary: return i == 0 ? of_rows(u, v, p, 1) : broadcast(u, v, p, rank);
    case OP_softmax:
    case OP_log_softmax: return attr_int(n, "axis") == -1 ? of_rows(u, v, p, 1) : UNFIT;
    case OP_attention: return p == PAIR ? demand_of_attention(u, n, i) : UNFIT;
    case OP_gather: /* a table at positions that the rows hold */
        if (attr_int(n, "axis") != 0) return UNFIT;
        return i == 1 ? of_rows(u, v, p, 0) : ALIKE;
    case OP_view: {
        Place from = place_of(u, &v->type);
        return from == NOWHERE ? UNFIT : rows(from);
    }
    case OP_transpose: return keeps_row_axes(n, p) ? of_rows(u, v, p, 0) : UNFIT;
    case OP_slice:
    case OP_concat: return attr_int(n, "axis") >= row_axes(p) ? of_rows(u, v, p, 0) : UNFIT;
    case OP_pad:
        if (i == 1) return ALIKE;
        return pads_behind(n, p) ? of_rows(u, v, p, 0) : UNFIT;
    case OP_reduce_sum:
    case OP_reduce_mean:
    case OP_reduce_max:
    case OP_reduce_min:
        return only_axes_behind(attr_ints(n, "axes"), p) ? of_rows(u, v, p, 0) : UNFIT;
    case OP_expand: return broadcast(u, v, p, rank);
    default: break;
    }
    return ir_op_info(n->op)->flags & OPF_ELEMENTWISE ? broadcast(u, v, p, rank) : UNFIT;
}

/* Its reached operands are read row by row, the others in ways that can be given to it. */
static bool works_by_row(const Unpad *u, const Node *n, Place p) {
    if (p == NOWHERE || !n->input_count) return false;
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        Demand d = unpad_demand(u, n, i, p);
        Place reached = v ? u->reached[v->id] : NOWHERE;
        if (d == UNFIT || (reached != NOWHERE && d != rows(reached))) return false;
    }
    return true;
}

/* --- attention --- */

static bool has(const Node *n, int i) {
    return i < n->input_count && n->inputs[i];
}

/* Made of a constant's elements, none of which is as small as what masks a key. */
static bool masks_nothing(const Value *v, int steps) {
    const Constant *c = v->constant;
    const Node *n = v->node;
    if (c) {
        int64_t count = 1;
        for (int i = 0; i < c->rank; i++) count *= c->dims[i];
        if (!tn_is_float(c->dtype)) return false;
        for (int64_t i = 0; i < count; i++)
            if (!(ir_element_f64(c->dtype, c->data, i) > BIAS_ABOVE)) return false;
        return true;
    }
    if (!n || !steps) return false;
    bool moves = ir_op_info(n->op)->flags & OPF_MOVE && n->op != OP_pad && n->op != OP_concat;
    return moves && masks_nothing(n->inputs[0], steps - 1);
}

/* Every row whose own key is allowed sees that key, at least. */
static bool sees_itself(ExprCx *x, const Node *n) {
    const Expr *offset = attr_dim(n, "offset");
    int64_t left = attr_int(n, "left"), right = attr_int(n, "right");
    bool causal = attr_bool(n, "causal");
    if (causal && !ex_nonneg(x, offset)) return false;
    if (left >= 0 && !ex_provably_ge(x, ex_int(x, left), offset)) return false;
    return right < 0 || ex_nonneg(x, ex_add(x, offset, ex_int(x, right)));
}

static bool is_ranged(const Node *n) {
    return attr_bool(n, "causal") || attr_int(n, "left") >= 0 || attr_int(n, "right") >= 0;
}

/* Why what masked keys hold may reach the result of attention under the mask; `own`: the queries
 * are the rows themselves. */
static const char *why_seen(const Unpad *u, const Node *n, bool own) {
    if (!(attr_float(n, "mask_value") < MASKED_BELOW)) return "masked keys keep a probability";
    if (attr_bool(n, "band") || has(n, 7)) return "the keys are a band";
    for (int i = 5; i < 7; i++)
        if (has(n, i) && !masks_nothing(n->inputs[i], BIAS_STEPS))
            return "a bias may mask the other keys";
    if (is_ranged(n) && !(own && sees_itself(u->x, n))) return "a query may see no key";
    return has(n, 4) && !(own && n->inputs[4] == u->mask) ? "queries have a mask of their own"
                                                          : NULL;
}

/* --- exits --- */

/* v's factor or condition, under a result of the rows' axes, holds for no row of padding: p is the
 * mask, or has it among what must hold. */
static bool implies_mask(const Unpad *u, const Value *v, int rank, const Pred *p) {
    const Pred *mask = u->mask->facts.pred;
    const Expr *map[TN_MAX_RANK] = {NULL};
    int first = v->type.rank - rank;
    if (!p || !mask) return false;
    for (int i = 0; i < 2; i++)
        if (first + i >= 0) map[first + i] = ex_coord(u->x, i, i ? u->length : u->batch);
    p = pr_at(u->x, p, map, v->type.rank);
    for (int i = 2; i < rank; i++)
        if (pr_mentions_coord(p, i)) return false;
    if (p == mask) return true;
    for (int i = 0; p->kind == PRED_AND && i < p->count; i++)
        if (p->args[i] == mask) return true;
    return false;
}

/* Where v is not zero. */
static const Pred *nonzero(const Unpad *u, const Value *v) {
    const Facts *f = &v->facts;
    if (f->elem) return pr_nonzero(u->x, f->elem);
    if (!f->choice || f->yes == f->no) return NULL;
    return f->no == 0 ? f->choice : f->yes == 0 ? pr_not(u->x, f->choice) : NULL;
}

static bool known(const Unpad *u, const Value *v, double *number, int steps) {
    const Node *n = v->node;
    if (!n || !steps || u->reached[v->id] != PAIR) return false;
    int rank = v->type.rank;
    *number = 0;
    if (n->op == OP_mul)
        for (int i = 0; i < 2; i++)
            if (implies_mask(u, n->inputs[i], rank, nonzero(u, n->inputs[i]))) return true;
    if (n->op == OP_where) {
        const Pred *p = n->inputs[0]->facts.pred;
        for (int i = 1; i < 3; i++) {
            const Value *other = n->inputs[3 - i];
            if (!p || !implies_mask(u, n->inputs[0], rank, i == 1 ? p : pr_not(u->x, p))) continue;
            return ir_constant_float(other, number);
        }
    }
    return n->op == OP_view && known(u, n->inputs[0], number, steps - 1);
}

bool unpad_known(const Unpad *u, const Value *v, double *number) {
    return tn_is_float(v->type.dtype) && known(u, v, number, KNOWN_STEPS);
}

Exit unpad_exit(const Unpad *u, const Node *n, int i) {
    const Value *v = n->inputs[i];
    int64_t length;
    double number;
    if (unpad_known(u, v, &number)) return EXIT_KNOWN;
    if (u->reached[v->id] != PAIR) return EXIT_NONE;
    if (n->op == OP_slice && attr_int(n, "axis") == 1 && attr_int(n, "step") == 1 &&
        ex_const(attr_dim(n, "length"), &length) && length > 0)
        return EXIT_CUT;
    bool keys = n->op == OP_attention && (i == 1 || i == 2) && has(n, 3) &&
                n->inputs[3] == u->mask && !why_seen(u, n, false);
    return keys ? EXIT_KEYS : EXIT_NONE;
}

static bool add_cut(Unpad *u, const Node *n) {
    Cut c = {attr_dim(n, "start"), attr_dim(n, "length")};
    for (int i = 0; i < u->cut_count; i++)
        if (u->cuts[i].start == c.start && u->cuts[i].length == c.length) return true;
    if (u->cut_count == UNPAD_CUTS) return false;
    u->cuts[u->cut_count++] = c;
    return true;
}

/* --- forward --- */

static const char *output_name(const Graph *g, const Value *v) {
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i] == v) return g->output_names[i];
    return "";
}

static bool returned(const Unpad *u, const Value *v, const Node *n, Report *r) {
    double number;
    if (!ir_is_output(v) || unpad_known(u, v, &number)) return false;
    if (u->g->module->skip_padding && u->reached[v->id] == PAIR) return false;
    report_miss(r, "unpad", n, "rows of padding are returned as '%s'", output_name(u->g, v));
    return true;
}

/* Whether no use of a reached value needs rows of padding. */
static bool check_uses(Unpad *u, const Value *v, Report *r) {
    if (returned(u, v, v->node, r)) return false;
    for (int k = 0; k < v->use_count; k++) {
        const Node *n = v->uses[k].node;
        if (u->reached[n->outputs[0]->id] != NOWHERE) continue;
        Exit e = unpad_exit(u, n, v->uses[k].index);
        if (e == EXIT_KEYS && is_ranged(n)) u->by_position = true;
        if (e == EXIT_CUT ? add_cut(u, n) : e != EXIT_NONE) continue;
        report_miss(r, "unpad", n, "%s reads rows of padding", ir_op_info(n->op)->name);
        return false;
    }
    return true;
}

static bool starts_here(Unpad *u, const Node *n, Report *r, bool *ok) {
    bool own = n->op == OP_attention && has(n, 3) && n->inputs[3] == u->mask &&
               place_of(u, &n->inputs[0]->type) == PAIR && place_of(u, &n->inputs[1]->type) == PAIR;
    const char *why = own ? why_seen(u, n, true) : NULL;
    if (why) {
        report_miss(r, "unpad", n, "%s", why);
        *ok = false;
    }
    if (own && (has(n, 5) || has(n, 6) || is_ranged(n))) u->by_position = true;
    return own;
}

static bool find_reached(Unpad *u, Report *r) {
    bool ok = true, any = false;
    IR_FOR_NODES(n, u->g) {
        bool reached = starts_here(u, n, r, &ok);
        for (int i = 0; i < n->input_count && !reached; i++)
            reached = n->inputs[i] && u->reached[n->inputs[i]->id] != NOWHERE;
        Place p = unpad_result_place(u, n);
        if (!reached || !works_by_row(u, n, p)) continue;
        for (int i = 0; i < n->output_count; i++) u->reached[n->outputs[i]->id] = p;
        any = true;
    }
    if (!any) return false;
    IR_FOR_NODES(n, u->g)
    for (int i = 0; i < n->output_count && ok; i++)
        if (u->reached[n->outputs[i]->id] != NOWHERE) ok = check_uses(u, n->outputs[i], r);
    return ok;
}

/* --- back --- */

/* The place that all readers want v under, if they are all computed for kept rows only. */
static Place wanted_place(const Unpad *u, const Value *v) {
    Place wanted = NOWHERE;
    if (ir_is_output(v)) return NOWHERE;
    for (int k = 0; k < v->use_count; k++) {
        const Node *n = v->uses[k].node;
        Place p = n->output_count ? u->place[n->outputs[0]->id] : NOWHERE;
        Demand d = p == NOWHERE ? UNFIT : unpad_demand(u, n, v->uses[k].index, p);
        Place here = d == ROWS_PAIR ? PAIR : d == ROWS_FLAT ? FLAT : NOWHERE;
        if (here == NOWHERE || (wanted != NOWHERE && wanted != here)) return NOWHERE;
        wanted = here;
    }
    return wanted;
}

static void find_wanted(Unpad *u) {
    memcpy(u->place, u->reached, u->values * sizeof *u->place);
    for (Node *n = u->g->last; n; n = n->prev) {
        if (!n->output_count || u->place[n->outputs[0]->id] != NOWHERE) continue;
        Place p = NOWHERE;
        for (int i = 0; i < n->output_count; i++) {
            const Value *v = n->outputs[i];
            if (!v->use_count && !ir_is_output(v)) continue;
            Place wanted = wanted_place(u, v);
            p = wanted == NOWHERE || (p != NOWHERE && p != wanted) ? NOWHERE : wanted;
            if (p == NOWHERE) break;
        }
        if (p == NOWHERE || p != unpad_result_place(u, n) || !works_by_row(u, n, p)) continue;
        for (int i = 0; i < n->output_count; i++) u->place[n->outputs[i]->id] = p;
    }
}

bool unpad_find(Unpad *u, Report *r) {
    Arena *a = &u->g->module->cx->arena;
    u->values = u->g->module->value_count;
    u->nodes = u->g->module->node_id;
    u->place = ARENA_ARRAY(a, Place, u->values);
    u->reached = ARENA_ARRAY(a, Place, u->values);
    if (!find_reached(u, r)) return false;
    find_wanted(u);
    return true;
}
