/* Where in the source model a node belongs, for viewers that draw it by parts.
 *
 *     "/encoder/layer.0/attention/self/MatMul"   -> "encoder/layer.0/attention/self"
 *     "encoder.layer.0.attention.self.query"     -> "encoder/layer.0/attention/self"
 */
#ifndef TENON_IR_GROUP_H
#define TENON_IR_GROUP_H

#include "ir/ir.h"

/* The module path of a node's name, its parts separated by '/'; "" if it has none. At most
 * TN_GROUP_DEPTH parts. */
#define TN_GROUP_DEPTH 32
const char *ir_group_of(Arena *arena, const char *origin);
/* What two groups, of which either may be NULL, lie in. */
const char *ir_group_join(Arena *arena, const char *a, const char *b);
/* The innermost group that holds all nodes of these names, but for those that lie in none; NULL if
 * all do. */
const char *ir_group_of_all(Arena *arena, const char *const *origins, int count);
/* The groups of a graph's nodes in their order. Where names tell none, it is that of the parameters
 * that the node reads, or else of what it is computed from. */
const char **ir_groups(Arena *arena, const Graph *g);

#endif
