/* Which rows of padding nobody needs.
 *
 * Attention under a key mask whose masked value is far below every score gives masked keys a
 * probability of 0: what their rows hold reaches no other row. If besides everything between the
 * attentions works row by row, a row of padding influences nothing but itself up to whoever reads
 * it at last. The proof goes forward from the attentions (`reached`): each use of a reached value
 * is either by an operator of rows, or an exit that has no need of padding. Then it goes back from
 * there: what only such operators read need not have the other rows either. */
#include "passes/attention.h"
#include "passes/origin.h"
#include "passes/unpad.h"

#include <math.h>
#include <string.h>

#define MASKED_BELOW -1e30 /* as the kernel of attention has it */
#define KNOWN_STEPS  8

static const Place nowhere = {0, 0};

/* --- attention --- */

static bool has(const Node *n, int i) {
    return i < n->input_count && n->inputs[i];
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

/* The mask of queries is that of some of the rows, which are read as those of a cut are. */
static bool is_cut_mask(const Unpad *u, const Node *n) {
    int64_t length;
    return n && n->op == OP_slice && n->inputs[0] == u->mask && attr_int(n, "axis") == 1 &&
           attr_int(n, "step") == 1 && ex_const(attr_dim(n, "length"), &length) && length > 0;
}

/* Why what masked keys hold may reach the result of attention under the mask; `own`: the queries
 * are the rows themselves. */
static const char *why_seen(const Unpad *u, const Node *n, bool own) {
    if (!(attr_float(n, "mask_value") < MASKED_BELOW)) return "masked keys keep a probability";
    if (attr_bool(n, "band") || has(n, 7)) return "the keys are a band";
    for (int i = 5; i < 7; i++)
        if (has(n, i) && attention_bias(n->inputs[i]) == BIAS_MAY_MASK)
            return "a bias may mask the other keys";
    if (is_ranged(n) && !(own && sees_itself(u->x, n))) return "a query may see no key";
    if (!has(n, 4) || (own ? n->inputs[4] == u->mask : is_cut_mask(u, n->inputs[4]->node)))
        return NULL;
    return "queries have a mask of their own";
}

/* --- exits --- */

/* Where v is not zero, false, as a function of its place; NULL: not known. */
static const Pred *nonzero(const Unpad *u, const Value *v) {
    const Facts *f = &v->facts;
    if (f->pred) return f->pred;
    if (f->elem) return pr_nonzero(u->x, f->elem);
    if (!f->choice || f->yes == f->no) return NULL;
    return f->no == 0 ? f->choice : f->yes == 0 ? pr_not(u->x, f->choice) : NULL;
}

/* p holds for no row of padding: it is the mask, or has it among what must hold. */
static bool implies(const Pred *p, const Pred *mask) {
    if (p == mask) return true;
    for (int i = 0; p->kind == PRED_AND && i < p->count; i++)
        if (p->args[i] == mask) return true;
    return false;
}

/* What decides whether the element of v at row i1 of entry i0 is zero. */
static Origin zero_of(const Unpad *u, Value *v) {
    const Expr *at[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) at[i] = ex_coord(u->x, i, v->type.dims[i]);
    Origin o = origin_of(v, at);
    for (Node *n; o.value && (n = o.value->node) && n->op == OP_cast; o = origin_of(v, at)) {
        bool widens = n->inputs[0]->type.dtype == TN_BOOL || !tn_is_int(o.value->type.dtype);
        if (!widens || tn_is_float(n->inputs[0]->type.dtype)) break;
        v = n->inputs[0];
        memcpy(at, o.at, sizeof at);
    }
    return o;
}

/* Both are made of the same elements, whatever is known of these. */
static bool same_zeros(const Unpad *u, Value *v) {
    Origin a = zero_of(u, v), b = zero_of(u, u->mask);
    if (!a.value || a.value != b.value) return false;
    for (int i = 0; i < a.value->type.rank; i++)
        if (a.at[i] != b.at[i]) return false;
    return true;
}

/* What v says of its elements that they are zero; NULL: nothing. */
static Value *tested_for_zero(const Value *v) {
    const Node *n = v->node;
    double number;
    if (!n || n->op != OP_eq || !ir_constant_float(n->inputs[1], &number) || number != 0)
        return NULL;
    return n->inputs[0];
}

/* A factor or condition under a result of `rank` axes is zero, or false, in all rows of padding;
 * inverted: it is not zero there. */
static bool excludes_padding(const Unpad *u, Value *v, int rank, bool inverted) {
    const Pred *p = nonzero(u, v), *mask = u->mask->facts.pred;
    if (v->type.rank != rank || !unpad_lies_at(u, &v->type, place_at(0, 1))) return false;
    for (int i = 2; i < rank; i++)
        if (p && pr_mentions_coord(p, i)) p = NULL;
    if (p && mask && implies(inverted ? pr_not(u->x, p) : p, mask)) return true;
    if (inverted) v = tested_for_zero(v);
    return v && unpad_lies_at(u, &v->type, place_at(0, 1)) && same_zeros(u, v);
}

static bool known(const Unpad *u, const Value *v, double *number, int steps) {
    const Node *n = v->node;
    if (!n || !steps || !is_pair(u->reached[v->id])) return false;
    int rank = v->type.rank;
    *number = 0;
    if (n->op == OP_mul)
        for (int i = 0; i < 2; i++)
            if (excludes_padding(u, n->inputs[i], rank, false)) return true;
    if (n->op == OP_where)
        for (int i = 1; i < 3; i++)
            if (excludes_padding(u, n->inputs[0], rank, i == 2))
                return ir_constant_float(n->inputs[3 - i], number);
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
    if (unpad_is_pick(u, n, i)) return EXIT_PICK;
    if (is_somewhere(unpad_spread_place(u, n, i)) &&
        same_place(unpad_spread_place(u, n, i), u->reached[v->id]))
        return EXIT_SPREAD;
    if (!is_pair(u->reached[v->id])) return EXIT_NONE;
    if (n->op == OP_slice && attr_int(n, "axis") == 1 && attr_int(n, "step") == 1 &&
        ex_const(attr_dim(n, "length"), &length) && length > 0)
        return EXIT_CUT;
    bool keys = n->op == OP_attention && (i == 1 || i == 2) && has(n, 3) &&
                n->inputs[3] == u->mask && !why_seen(u, n, false) && !unpad_has_scores(n);
    return keys ? EXIT_KEYS : EXIT_NONE;
}

bool unpad_add_cut(Unpad *u, const Expr *start, const Expr *length) {
    Cut c = {start, length};
    for (int i = 0; i < u->cut_count; i++)
        if (u->cuts[i].start == c.start && u->cuts[i].length == c.length) return true;
    if (u->cut_count == UNPAD_CUTS) return false;
    u->cuts[u->cut_count++] = c;
    return true;
}

static bool add_pick(Unpad *u, Node *n) {
    if (u->pick_count == UNPAD_PICKS) return false;
    u->picks[u->pick_count++] = n;
    return true;
}

static bool add_exit(Unpad *u, Exit e, Node *n) {
    if (e == EXIT_PICK) return add_pick(u, n);
    if (e == EXIT_CUT) return unpad_add_cut(u, attr_dim(n, "start"), attr_dim(n, "length"));
    return e != EXIT_NONE;
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
    if (u->g->module->skip_padding && is_pair(u->reached[v->id])) return false;
    report_miss(r, "unpad", n, "rows of padding are returned as '%s'", output_name(u->g, v));
    return true;
}

/* Whether no use of a reached value needs rows of padding. */
static bool check_uses(Unpad *u, const Value *v, Report *r) {
    if (returned(u, v, v->node, r)) return false;
    for (int k = 0; k < v->use_count; k++) {
        Node *n = v->uses[k].node;
        if (is_somewhere(u->reached[n->outputs[0]->id])) continue;
        Exit e = unpad_exit(u, n, v->uses[k].index);
        if (e == EXIT_KEYS && is_ranged(n)) u->by_position = true;
        if (add_exit(u, e, n)) continue;
        report_miss(r, "unpad", n, "%s reads rows of padding", ir_op_info(n->op)->name);
        return false;
    }
    return true;
}

/* The rows are the keys of attention under the mask; `own`: and its queries. */
static bool reads_keys(const Unpad *u, const Node *n, bool *own) {
    if (n->op != OP_attention || !has(n, 3) || n->inputs[3] != u->mask) return false;
    *own = unpad_lies_at(u, &n->inputs[0]->type, place_at(0, 1));
    return unpad_lies_at(u, &n->inputs[1]->type, place_at(0, 1));
}

static bool starts_here(Unpad *u, const Node *n, Report *r, bool *ok) {
    bool own, keys = reads_keys(u, n, &own);
    const char *why = keys ? why_seen(u, n, own) : NULL;
    if (keys && !why && unpad_has_scores(n))
        unpad_spread(u, n);
    else if (keys && own && (has(n, 5) || has(n, 6) || is_ranged(n)))
        u->by_position = true;
    if (keys && !own && !why && has(n, 4)) {
        const Node *cut = n->inputs[4]->node;
        *ok = unpad_add_cut(u, attr_dim(cut, "start"), attr_dim(cut, "length")) && *ok;
    }
    if (!keys || !own) return false;
    if (why) {
        report_miss(r, "unpad", n, "%s", why);
        *ok = false;
    }
    return true;
}

static bool find_reached(Unpad *u, Report *r) {
    bool ok = true, any = false;
    IR_FOR_NODES(n, u->g) {
        bool reached = starts_here(u, n, r, &ok);
        for (int i = 0; i < n->input_count && !reached; i++)
            reached = n->inputs[i] && is_somewhere(u->reached[n->inputs[i]->id]);
        Place p = reached ? unpad_result_place(u, n) : nowhere;
        if (!is_somewhere(p)) continue;
        for (int i = 0; i < n->output_count; i++) u->reached[n->outputs[i]->id] = p;
        any = true;
    }
    if (!any) return false;
    IR_FOR_NODES(n, u->g)
    for (int i = 0; i < n->output_count && ok; i++)
        if (is_somewhere(u->reached[n->outputs[i]->id])) ok = check_uses(u, n->outputs[i], r);
    return ok;
}

/* --- back --- */

/* The place that all readers want v under, if they are all computed for kept rows only. */
static Place wanted_place(const Unpad *u, const Value *v) {
    Place wanted = nowhere;
    if (ir_is_output(v)) return nowhere;
    for (int k = 0; k < v->use_count; k++) {
        const Node *n = v->uses[k].node;
        Place p = n->output_count ? u->place[n->outputs[0]->id] : nowhere;
        Demand d = is_somewhere(p) ? unpad_demand(u, n, v->uses[k].index, p)
                                   : (Demand){ROWS, unpad_spread_place(u, n, v->uses[k].index)};
        if (d.kind != ROWS || !is_somewhere(d.place) || (k && !same_place(d.place, wanted)))
            return nowhere;
        wanted = d.place;
    }
    return wanted;
}

/* The same of all results that are read. */
static Place wanted_of(const Unpad *u, const Node *n) {
    Place all = nowhere;
    for (int i = 0; i < n->output_count; i++) {
        const Value *v = n->outputs[i];
        if (!v->use_count && !ir_is_output(v)) continue;
        Place p = wanted_place(u, v);
        if (!is_somewhere(p) || (is_somewhere(all) && !same_place(p, all))) return nowhere;
        all = p;
    }
    return all;
}

static void find_wanted(Unpad *u) {
    memcpy(u->place, u->reached, u->values * sizeof *u->place);
    IR_FOR_NODES(n, u->g)
    if (is_somewhere(u->spread[n->id])) u->place[n->outputs[0]->id] = nowhere;
    for (Node *n = u->g->last; n; n = n->prev) {
        if (!n->output_count || is_somewhere(u->place[n->outputs[0]->id])) continue;
        if (is_somewhere(u->spread[n->id])) continue;
        Place p = wanted_of(u, n);
        if (!is_somewhere(p) || !unpad_works_by_row(u, n, p)) continue;
        for (int i = 0; i < n->output_count; i++) u->place[n->outputs[i]->id] = p;
    }
}

bool unpad_find(Unpad *u, Report *r) {
    Arena *a = &u->g->module->cx->arena;
    u->values = u->g->module->value_count;
    u->nodes = u->g->module->node_id;
    u->place = ARENA_ARRAY(a, Place, u->values);
    u->reached = ARENA_ARRAY(a, Place, u->values);
    u->spread = ARENA_ARRAY(a, Place, u->nodes);
    if (!find_reached(u, r)) return false;
    find_wanted(u);
    return true;
}
