/* Module paths out of node names. Exporters write paths with slashes, in which a dot belongs to a
 * part ("layer.0"); names of parameters have dots only, and there a number belongs to the word
 * before it. */
#include "ir/group.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool is_number(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)s[i])) return false;
    return n > 0;
}

const char *ir_group_of(Arena *arena, const char *origin) {
    char separator = strchr(origin, '/') ? '/' : '.';
    char *path = arena_strdup(arena, origin);
    size_t length = 0;
    int depth = 0;
    for (const char *s = origin, *end; (end = strchr(s, separator)); s = end + 1) {
        size_t n = (size_t)(end - s);
        if (!n) continue;
        bool joins = separator == '.' && length && is_number(s, n);
        if (!joins && depth++ == TN_GROUP_DEPTH) break;
        if (length) path[length++] = joins ? '.' : '/';
        memmove(path + length, s, n);
        length += n;
    }
    path[length] = 0;
    return path;
}

/* Length of the parts that two paths begin with. */
static size_t common(const char *a, const char *b) {
    size_t whole = 0, i = 0;
    for (; a[i] && a[i] == b[i]; i++)
        if (a[i] == '/') whole = i;
    bool a_ends = !a[i] || a[i] == '/', b_ends = !b[i] || b[i] == '/';
    return a_ends && b_ends ? i : whole;
}

const char *ir_group_join(Arena *arena, const char *a, const char *b) {
    if (!a || !b) return a ? a : b;
    return arena_strndup(arena, a, common(a, b));
}

const char *ir_group_of_all(Arena *arena, const char *const *origins, int count) {
    const char *group = NULL;
    for (int i = 0; i < count; i++) {
        const char *path = ir_group_of(arena, origins[i]);
        if (*path) group = ir_group_join(arena, group, path);
    }
    return group;
}

static const char *group_of_constants(Arena *arena, const Node *n) {
    const char *group = NULL;
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        if (!v || !v->constant || !v->constant->name) continue;
        const char *path = ir_group_of(arena, v->constant->name);
        if (*path) group = ir_group_join(arena, group, path);
    }
    return group;
}

const char **ir_groups(Arena *arena, const Graph *g) {
    const char **of_value = ARENA_ARRAY(arena, const char *, g->module->value_count);
    const char **groups = ARENA_ARRAY(arena, const char *, (size_t)g->node_count);
    int k = 0;
    for (const Node *n = g->first; n; n = n->next) {
        const char *group = ir_group_of_all(arena, n->origins, n->origin_count);
        if (!group) group = group_of_constants(arena, n);
        bool told = group != NULL;
        for (int i = 0; i < n->input_count && !told; i++)
            if (n->inputs[i]) group = ir_group_join(arena, group, of_value[n->inputs[i]->id]);
        for (int i = 0; i < n->output_count; i++) of_value[n->outputs[i]->id] = group;
        groups[k++] = group ? group : "";
    }
    return groups;
}
