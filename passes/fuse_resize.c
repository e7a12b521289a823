/* fuse_resize: an image resized along two axes, and what is added to it, is one operator.
 *
 *     %1 = resize %x {axis=3, length=2 w}
 *     %2 = resize %1 {axis=2, length=2 h}
 *     %y = add %2, %r                      =>   %y = resize_plane %x, _, _, %r {axis=3, ..,
 * axis2=2, ..}
 *
 * Both axes are resized in the same way, neither to crop nor with antialiasing. */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

enum { X, GRID, GRID2, ADDEND };

static bool is_same_way(const Node *a, const Node *b) {
    static const char *const words[] = {"mode", "coordinates", "nearest"};
    for (int i = 0; i < 3; i++)
        if (strcmp(attr_string(a, words[i]), attr_string(b, words[i])) != 0) return false;
    return attr_float(a, "cubic_a") == attr_float(b, "cubic_a") &&
           attr_bool(a, "exclude_outside") == attr_bool(b, "exclude_outside");
}

/* NULL: fits; "": is no image resized along two axes. */
static const char *find_plane(const Node *second) {
    const Node *first = second->inputs[X]->node;
    Module *m = second->graph->module;
    int rank = second->inputs[X]->type.rank;
    if (!first || first->op != OP_resize) return "";
    if (ir_axis(m, attr_int(first, "axis"), rank) == ir_axis(m, attr_int(second, "axis"), rank))
        return "";
    if (second->outputs[0]->type.dtype != TN_F32) return "the image is not of f32";
    if (!ir_single_use(first->outputs[0]))
        return "what is resized along one axis is read elsewhere";
    if (attr_bool(first, "antialias") || attr_bool(second, "antialias")) return "it is antialiased";
    if (!strcmp(attr_string(second, "coordinates"), "crop")) return "it is a crop";
    return is_same_way(first, second) ? NULL : "the axes are resized in different ways";
}

static Value *plane(Node *second) {
    Node *first = second->inputs[X]->node;
    Value *in[3] = {first->inputs[X], first->input_count > GRID ? first->inputs[GRID] : NULL,
                    second->input_count > GRID ? second->inputs[GRID] : NULL};
    Node *n = ir_node(second->graph, OP_resize_plane, in[GRID2] ? 3 : in[GRID] ? 2 : 1, in);
    ir_set_int(n, "axis", attr_int(first, "axis"));
    ir_set_dim(n, "length", attr_dim(first, "length"));
    ir_set_int(n, "axis2", attr_int(second, "axis"));
    ir_set_dim(n, "length2", attr_dim(second, "length"));
    ir_set_string(n, "mode", attr_string(second, "mode"));
    ir_set_string(n, "coordinates", attr_string(second, "coordinates"));
    ir_set_string(n, "nearest", attr_string(second, "nearest"));
    ir_set_float(n, "cubic_a", attr_float(second, "cubic_a"));
    ir_set_bool(n, "exclude_outside", attr_bool(second, "exclude_outside"));
    return ir_insert(n);
}

/* The addend that is a resized image without one yet, the later of two; -1 if there is none. */
static int resized_addend(const Node *add, const char **why) {
    for (int i = 1; i >= 0; i--) {
        const Value *v = add->inputs[i];
        if (!v->node || v->node->op != OP_resize_plane) continue;
        *why = !ir_single_use(v)               ? "the image is read elsewhere"
               : v->node->input_count > ADDEND ? "something was added already"
               : !ir_same_dims(&v->type, &add->inputs[1 - i]->type)
                   ? "the other addend is broadcast"
                   : NULL;
        if (!*why) return i;
    }
    return -1;
}

static Value *with_addend(const Node *add, int resized) {
    const Node *old = add->inputs[resized]->node;
    Value *in[4] = {NULL, NULL, NULL, add->inputs[1 - resized]};
    for (int i = 0; i < old->input_count; i++) in[i] = old->inputs[i];
    Node *n = ir_node(add->graph, OP_resize_plane, 4, in);
    ir_copy_attrs(n, old);
    return ir_insert(n);
}

static Value *fuse(Graph *g, Node *n, Report *r) {
    const char *why = "";
    int resized = -1;
    if (n->op == OP_resize)
        why = find_plane(n);
    else if (n->op == OP_add)
        resized = resized_addend(n, &why);
    if (why) {
        if (*why) report_miss(r, "resize_plane", n, "%s", why);
        return NULL;
    }
    ir_edit_begin(g, n, (Node *[]){n->inputs[resized < 0 ? X : resized]->node, n}, 2);
    Value *y = resized < 0 ? plane(n) : with_addend(n, resized);
    ir_edit_end(g);
    return y;
}

bool pass_fuse_resize(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Value *y = fuse(g, n, r);
        if (!y) continue;
        report_fired(r, n->op == OP_add ? "resize_add" : "resize_plane");
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        changed = true;
    }
    return changed;
}
