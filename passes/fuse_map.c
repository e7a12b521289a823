/* fuse_map: what is left elementwise becomes `map`, one program per chain.
 *
 *     %1 = add %a, %b
 *     %2 = tanh %1       =>    %3 = map %a, %b {body=(t2 = add x0 x1; t3 = tanh t2;
 *     %3 = mul %2, 2                                  t4: f32 = splat 2; t5 = mul t3 t4)}
 *
 * A node joins the program of its only reader if both have the same dims, so nothing is computed
 * twice but for the widening of floats. Numbers that are the same for every element become steps.
 */
#include "ir/build.h"
#include "passes/pass.h"

#define MAX_STEPS  40
#define MAX_INPUTS 14

typedef struct Chain {
    bool alone; /* nothing joins the root */
    Node *root;
    Value *inputs[MAX_INPUTS];
    int input_count;
    Node *nodes[MAX_STEPS];
    int written[MAX_STEPS]; /* by node: the register of its result, plus 1 */
    int node_count;
    int number_count;
    MapStep steps[MAX_STEPS];
    int step_count;
} Chain;

static bool elementwise(const Node *n) {
    return ir_op_info(n->op)->flags & OPF_ELEMENTWISE;
}

/* From 16 bits to f32: costs nothing where the operand is loaded. */
static bool is_widening(const Node *n) {
    if (n->op != OP_cast || n->outputs[0]->type.dtype != TN_F32) return false;
    TnDType t = n->inputs[0]->type.dtype;
    return t == TN_BF16 || t == TN_F16;
}

/* Whether n can be computed inside its only reader, or in each of them. */
static bool joins(const Node *n, const Node *reader) {
    if (is_widening(n)) return true;
    return elementwise(n) && ir_single_use(n->outputs[0]) &&
           ir_same_dims(&n->outputs[0]->type, &reader->outputs[0]->type);
}

static bool is_number(const Value *v, MapStep *step) {
    double x;
    int64_t k;
    *step = (MapStep){.op = OP_splat, .dtype = v->type.dtype};
    bool one = v->constant && v->type.rank == 0;
    if (v->node && v->node->op == OP_splat) {
        step->value = attr_float(v->node, "value");
        step->integer = attr_int(v->node, "integer");
        return true;
    }
    if (v->constant && tn_is_float(v->type.dtype) && ir_constant_float(v, &x))
        step->value = x;
    else if (v->constant && !tn_is_float(v->type.dtype) && ir_constant_int(v, &k))
        step->integer = k;
    else
        return false;
    return one || v->constant->bytes <= 64; /* a large constant of one number may carry the shape */
}

/* A number of rank 0 may leave the operand list; one that may carry the result's shape only if an
 * operand that stays has the shape too. */
static bool becomes_step(const Node *n, int i, MapStep *step) {
    MapStep other;
    if (!is_number(n->inputs[i], step)) return false;
    if (n->inputs[i]->type.rank == 0) return true;
    for (int k = 0; k < n->input_count; k++)
        if (ir_same_dims(&n->inputs[k]->type, &n->outputs[0]->type) &&
            !is_number(n->inputs[k], &other))
            return true;
    return false;
}

static int input_register(Chain *c, Value *v) {
    for (int i = 0; i < c->input_count; i++)
        if (c->inputs[i] == v) return i;
    c->inputs[c->input_count] = v;
    return c->input_count++;
}

/* The number of a node that was taken, -1 if it was not. */
static int number_of(const Chain *c, const Node *n) {
    int i = c->node_count - 1;
    while (i >= 0 && c->nodes[i] != n) i--;
    return i;
}

/* Takes n and what joins it below into the chain; operands first, since registers of steps are
 * counted behind all inputs. `pending` operands of readers are still to come: each may need an
 * input or a step. False, with nothing taken, if there is no room for n and its operands. */
static bool collect(Chain *c, Node *n, int pending) {
    MapStep number;
    if (c->input_count + pending + n->input_count > MAX_INPUTS) return false;
    if (c->node_count + c->number_count + pending + n->input_count >= MAX_STEPS) return false;
    c->nodes[c->node_count++] = n;
    for (int i = 0; i < n->input_count; i++) {
        Value *v = n->inputs[i];
        int later = pending + n->input_count - 1 - i;
        if (v->node && number_of(c, v->node) >= 0) continue; /* a widening is taken once */
        if (becomes_step(n, i, &number))
            c->number_count++;
        else if (c->alone || !v->node || !joins(v->node, n) || !collect(c, v->node, later))
            input_register(c, v);
    }
    return true;
}

static int add_step(Chain *c, MapStep step) {
    c->steps[c->step_count] = step;
    return c->input_count + c->step_count++;
}

/* x ** 3 in f32 or wider, whose two steps are two products then: no polynomial is as cheap. */
static bool is_cube(const Node *n) {
    MapStep number;
    const TnDType t = n->outputs[0]->type.dtype;
    return n->op == OP_pow && (t == TN_F32 || t == TN_F64) && becomes_step(n, 1, &number) &&
           number.value == 3;
}

/* Writes the steps of n and of everything collected below it; gives the register of its result. */
static int write_steps(Chain *c, Node *n) {
    int *written = &c->written[number_of(c, n)]; /* plus 1 */
    if (*written) return *written - 1;
    MapStep step = {.op = n->op, .dtype = n->outputs[0]->type.dtype}, number;
    const bool cube = is_cube(n);
    for (int i = 0; i < n->input_count - cube; i++) {
        Value *v = n->inputs[i];
        if (becomes_step(n, i, &number))
            step.args[i] = add_step(c, number);
        else if (v->node && number_of(c, v->node) >= 0)
            step.args[i] = write_steps(c, v->node);
        else
            step.args[i] = input_register(c, v);
    }
    if (cube) {
        step.op = OP_mul;
        step.args[1] = step.args[0];
        step.args[1] = add_step(c, step);
    }
    *written = add_step(c, step) + 1;
    return *written - 1;
}

static Value *write_map(Graph *g, Chain *c) {
    ir_edit_begin(g, c->root, c->nodes, c->node_count);
    Node *map = ir_node(g, OP_map, c->input_count, c->inputs);
    MapBody body = {.count = c->step_count, .steps = c->steps};
    ir_set_dtype(map, "dtype", c->root->outputs[0]->type.dtype);
    ir_set_body(map, "body", &body);
    Value *v = ir_insert(map);
    ir_edit_end(g);
    return v;
}

static bool write_maps(Graph *g, Report *r, bool alone) {
    bool changed = false;
    for (Node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        if (!elementwise(n)) continue;
        Value *v = n->outputs[0];
        if (!v->use_count && !ir_is_output(v)) {
            ir_remove(n);
            continue;
        }
        Chain c = {.alone = alone, .root = n};
        collect(&c, n, 0); /* one node always fits */
        write_steps(&c, n);
        ir_replace(v, write_map(g, &c));
        ir_remove(n);
        report_fired(r, "map");
        changed = true;
    }
    return changed;
}

bool pass_fuse_map(Graph *g, Report *r) {
    return write_maps(g, r, false);
}

bool pass_map_alone(Graph *g, Report *r) {
    return write_maps(g, r, true);
}
