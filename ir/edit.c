/* Edits as passes make them: new nodes in the place of old ones, and what nobody reads removed.
 *
 *     ir_edit_begin(g, n, &n, 1);
 *     Value *y = ir_unary(g, OP_exp, n->inputs[0]);   // stands before n, has its origins
 *     ir_edit_end(g);
 *     ir_replace(n->outputs[0], y);
 *     ir_remove(n); */
#include "ir/ir.h"

#include <string.h>

void ir_origins_from(Graph *g, Node *const *nodes, int n) {
    size_t total = 0;
    for (int i = 0; i < n; i++) total += (size_t)nodes[i]->origin_count;
    g->origin_list_count = 0;
    g->origin_list = NULL;
    if (!total) return;
    const char **list = ARENA_ARRAY(&g->module->cx->arena, const char *, total);
    int count = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < nodes[i]->origin_count; j++) {
            const char *s = nodes[i]->origins[j];
            int k = 0;
            while (k < count && list[k] != s && strcmp(list[k], s) != 0) k++;
            if (k == count) list[count++] = s;
        }
    g->origin_list = list;
    g->origin_list_count = count;
}

void ir_edit_begin(Graph *g, Node *at, Node *const *nodes, int n) {
    g->cursor = at;
    ir_origins_from(g, nodes, n);
}

void ir_edit_end(Graph *g) {
    ir_origins_from(g, NULL, 0);
    g->cursor = NULL;
}

bool ir_is_used(const Node *n) {
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i]->use_count || ir_is_output(n->outputs[i])) return true;
    return false;
}

bool ir_remove_dead(Graph *g) {
    bool changed = false;
    for (Node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        if (ir_is_used(n) || ir_never_dead(n)) continue;
        ir_remove(n);
        changed = true;
    }
    return changed;
}
