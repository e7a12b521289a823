/* Clusters are found by their path; every one lists its nodes and the clusters within it. */
#include "ir/dot.h"

#include <string.h>
#include "ir/names.h"
#include "ir/text.h"

typedef struct DotNode {
    int number;
    const char *label, *style;
    struct DotNode *next;
} DotNode;

typedef struct Cluster {
    const char *path;
    int number;
    DotNode *first, **last;
    struct Cluster *inner, **last_inner, *next;
} Cluster;

struct Dot {
    Arena *arena;
    NameMap clusters;
    Cluster *root;
    int nodes, cluster_count;
    TextBuffer edges;
};

static Cluster *cluster_new(Dot *d, const char *path) {
    Cluster *c = ARENA_NEW(d->arena, Cluster);
    c->path = path;
    c->number = d->cluster_count++;
    c->last = &c->first;
    c->last_inner = &c->inner;
    names_add(&d->clusters, path, c);
    return c;
}

/* The cluster of a path; makes it and those around it. */
static Cluster *cluster_of(Dot *d, const char *path) {
    Cluster *c = names_find(&d->clusters, path);
    if (c) return c;
    const char *slash = strrchr(path, '/');
    const char *around = slash ? arena_strndup(d->arena, path, (size_t)(slash - path)) : "";
    Cluster *parent = cluster_of(d, around);
    c = cluster_new(d, path);
    *parent->last_inner = c;
    parent->last_inner = &c->next;
    return c;
}

Dot *dot_new(Arena *arena) {
    Dot *d = ARENA_NEW(arena, Dot);
    d->arena = arena;
    d->clusters.arena = arena;
    d->edges.arena = arena;
    d->root = cluster_new(d, "");
    return d;
}

int dot_node(Dot *d, const char *group, const char *label, const char *style) {
    Cluster *c = cluster_of(d, group);
    DotNode *n = ARENA_NEW(d->arena, DotNode);
    *n = (DotNode){.number = d->nodes++, .label = label, .style = style};
    *c->last = n;
    c->last = &n->next;
    return n->number;
}

/* In double quotes; line breaks stay, other control bytes and what is no UTF-8 become '?'. */
static void add_label(TextBuffer *t, const char *s) {
    text_add(t, "\"");
    while (*s) {
        unsigned char b = (unsigned char)*s;
        size_t n = text_utf8((const unsigned char *)s);
        if (b == '\n')
            text_add(t, "\\n");
        else if (b == '"' || b == '\\')
            text_format(t, "\\%c", b);
        else if (b < 0x20 || b == 0x7f || !n)
            text_add(t, "?");
        else
            text_add_bytes(t, s, n);
        s += n ? n : 1;
    }
    text_add(t, "\"");
}

void dot_edge(Dot *d, int from, int to, const char *label) {
    text_format(&d->edges, "  n%d -> n%d", from, to);
    if (*label) {
        text_add(&d->edges, " [label=");
        add_label(&d->edges, label);
        text_add(&d->edges, "]");
    }
    text_add(&d->edges, "\n");
}

/* As deep as the path has parts. */
static void add_cluster(TextBuffer *t, const Cluster *c, int depth) {
    const char *slash = strrchr(c->path, '/');
    if (depth) {
        text_format(t, "%*ssubgraph cluster_%d { label=", 2 * depth, "", c->number);
        add_label(t, slash ? slash + 1 : c->path);
        text_add(t, "\n");
    }
    for (const DotNode *n = c->first; n; n = n->next) {
        text_format(t, "%*sn%d [label=", 2 * depth + 2, "", n->number);
        add_label(t, n->label);
        text_format(t, "%s%s]\n", n->style ? ", " : "", n->style ? n->style : "");
    }
    for (const Cluster *i = c->inner; i; i = i->next) add_cluster(t, i, depth + 1);
    if (depth) text_format(t, "%*s}\n", 2 * depth, "");
}

const char *dot_end(Dot *d) {
    TextBuffer t = {.arena = d->arena};
    text_add(&t, "digraph model {\n"
                 "  node [shape=box, fontname=\"sans-serif\", fontsize=10]\n"
                 "  edge [fontname=\"sans-serif\", fontsize=8]\n"
                 "  graph [fontname=\"sans-serif\", fontsize=10, color=gray]\n");
    add_cluster(&t, d->root, 0);
    text_add(&t, text_end(&d->edges));
    text_add(&t, "}\n");
    return text_end(&t);
}
