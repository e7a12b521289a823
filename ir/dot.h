/* Writes a graph for Graphviz: nodes in nested clusters, edges with labels. Linear in its size.
 *
 *     Dot *d = dot_new(arena);
 *     int a = dot_node(d, "encoder/layer.0", "matmul\nquery", NULL);
 *     dot_edge(d, a, dot_node(d, "", "output", "shape=ellipse"), "f32[batch, 768]");
 *     text = dot_end(d);
 */
#ifndef TENON_IR_DOT_H
#define TENON_IR_DOT_H

#include "runtime/base/arena.h"

typedef struct Dot Dot;
Dot *dot_new(Arena *arena);
/* A node in the cluster of a path whose parts '/' separates ("": in none); returns its number.
 * `label` may have several lines, `style` more attributes or be NULL. Strings are kept. */
int dot_node(Dot *d, const char *group, const char *label, const char *style);
void dot_edge(Dot *d, int from, int to, const char *label);
const char *dot_end(Dot *d);

#endif
