/* Shared by print*.c. The text is described in docs/ir.md.
 *
 *     print.c           modules, graphs, nodes, names of values
 *     print_attrs.c     numbers, constants, attributes, programs of maps
 *     print_require.c   ranges of symbols and requirements
 *     print_json.c      graphs as JSON (docs/dump-format.md)
 *     print_constant.c  constants in JSON: what their elements are like
 *     print_dot.c       graphs for Graphviz, by dot.c */
#ifndef TENON_IR_PRINT_H
#define TENON_IR_PRINT_H

#include "ir/ir.h"
#include "ir/text.h"

void print_float(TextBuffer *t, TnDType type,
                 double v); /* the fewest digits that read back as the same element */
void print_elements(TextBuffer *t, const Constant *c);
void print_name(TextBuffer *t, const char *name);     /* of a graph: quoted unless it is a word */
void print_attrs(TextBuffer *t, const Node *n);       /* " {axis=0}", or nothing */
bool print_is_default(const Node *n, int i);          /* attribute i: left out of the text */
void print_attr(TextBuffer *t, const Node *n, int i); /* its value */
/* " measured m require batch >= 1, m <= 512", or nothing. */
void print_require(TextBuffer *t, Module *m);
/* The same as members of a JSON object: "symbols" and "requirements". */
void print_require_json(TextBuffer *t, Module *m);

/* The constants that graphs printed as JSON refer to, by id. */
typedef struct ConstantSet {
    Arena *arena;
    bool *has;
    size_t capacity;
} ConstantSet;
void print_graph_json(TextBuffer *t, const Graph *g, ConstantSet *used);
/* The constants of the set, as a JSON array. */
void print_constants_json(TextBuffer *t, const Module *m, const ConstantSet *used);
const char *print_dot(Module *m);
/* The members "min", "max", "mean", "first", ... of dense elements. */
void print_elements_json(TextBuffer *t, TnDType type, const void *data, int64_t count);

#endif
