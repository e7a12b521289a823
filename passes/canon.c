/* canon: the canonical form of docs/ir.md, by sweeps over the graph until nothing changes.
 *
 *     %1 = transpose %k {perm=[0, 1, 3, 2]}        %1 = matmul %q, %k {tb=1}
 *     %2 = matmul %q, %1                     =>
 *     %3 = add %2, %zero
 *
 * Every sweep takes each node once, in order: fold it, simplify it, or find it computed before. A
 * step budget bounds the sweeps. Dead nodes are removed at the end of each sweep, last first. */
#include "passes/canon.h"

#include <string.h>

#define STEPS_PER_NODE 32

/* Nodes seen in this sweep, by operator and operands. */
typedef struct Seen {
    Node **slots;
    size_t mask;
} Seen;

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* The attributes that tell nodes of the same operands apart: slices, iotas, splats. */
static uint64_t attr_hash(const Node *n, int i) {
    const Attr *a = &n->attrs[i];
    uint64_t bits = 0;
    switch (ir_attr_info(n->op, i)->kind) {
    case 'i': return (uint64_t)a->i;
    case 'f': memcpy(&bits, &a->f, sizeof a->f); return bits;
    case 'd': return a->d->id;
    case 'D': return a->D->count ? a->D->e[0]->id : 0;
    case 'E': return a->E->count ? a->E->e[0]->id : 0;
    case 'g': return (uint64_t)(uintptr_t)a->g;
    default: return 0;
    }
}

static uint64_t operand_id(const Node *n, int i) {
    return n->inputs[i] ? n->inputs[i]->id + 1u : 0;
}

static uint64_t node_hash(const Node *n) {
    uint64_t h = (uint64_t)n->op + 1;
    if (ir_op_info(n->op)->flags & OPF_COMM) return mix(h, operand_id(n, 0) + operand_id(n, 1));
    for (int i = 0; i < n->input_count; i++) h = mix(h, operand_id(n, i));
    for (int i = 0; i < ir_attr_count(n->op); i++) h = mix(h, attr_hash(n, i));
    return h;
}

static bool same_operands(const Node *a, const Node *b) {
    if ((ir_op_info(a->op)->flags & OPF_COMM) && a->inputs[0] == b->inputs[1] &&
        a->inputs[1] == b->inputs[0])
        return true;
    for (int i = 0; i < a->input_count; i++)
        if (a->inputs[i] != b->inputs[i]) return false;
    return true;
}

static bool same_node(const Node *a, const Node *b) {
    if (a->op != b->op || a->input_count != b->input_count || a->output_count != b->output_count ||
        !same_operands(a, b))
        return false;
    for (int i = 0; i < ir_attr_count(a->op); i++)
        if (!ir_attr_equal(a->op, i, &a->attrs[i], &b->attrs[i])) return false;
    return true;
}

static Node *find_or_add(Seen *s, Node *n) {
    for (size_t i = node_hash(n) & s->mask;; i = (i + 1) & s->mask) {
        if (!s->slots[i]) {
            s->slots[i] = n;
            return NULL;
        }
        if (!s->slots[i]->removed && s->slots[i] != n && same_node(s->slots[i], n))
            return s->slots[i];
    }
}

static Seen seen_new(Graph *g) {
    size_t size = 64;
    while (size < 4 * (size_t)g->node_count + 64) size *= 2;
    return (Seen){ARENA_ARRAY(&g->module->cx->arena, Node *, size), size - 1};
}

static void merge(Node *n, Node *earlier) {
    for (int o = 0; o < n->output_count; o++) ir_replace(n->outputs[o], earlier->outputs[o]);
}

/* Constants go to the right of commutative operators. */
static bool order_operands(Node *n) {
    if (!(ir_op_info(n->op)->flags & OPF_COMM) || n->input_count != 2) return false;
    Value *a = n->inputs[0], *b = n->inputs[1];
    if (!a->constant || b->constant) return false;
    ir_set_operand(n, 0, b);
    ir_set_operand(n, 1, a);
    return true;
}

static bool canon_node(Node *n, Seen *seen) {
    Graph *g = n->graph;
    bool changed = order_operands(n);
    ir_edit_begin(g, n, &n, 1);
    Value *v = canon_fold(n);
    if (!v) v = canon_simplify(n);
    if (!v) v = canon_simplify_expand(n);
    if (!v) v = canon_simplify_move(n);
    if (!v) v = canon_unfold(n);
    ir_edit_end(g);
    if (v && v != n->outputs[0]) {
        ir_replace(n->outputs[0], v);
        return true;
    }
    Node *earlier = find_or_add(seen, n);
    if (!earlier) return changed;
    merge(n, earlier);
    if (ir_never_dead(n)) ir_remove(n);
    return true;
}

bool pass_canon(Graph *g, Report *r) {
    (void)r;
    bool changed = ir_remove_dead(g);
    int64_t budget = (int64_t)STEPS_PER_NODE * g->node_count + 256;
    for (bool again = true; again && budget > 0;) {
        again = false;
        Seen seen = seen_new(g);
        IR_FOR_NODES(n, g) {
            if (budget-- <= 0) break;
            if ((ir_is_used(n) || ir_never_dead(n)) && canon_node(n, &seen)) again = true;
        }
        if (ir_remove_dead(g)) again = true;
        changed |= again;
    }
    return changed;
}
