/* Shared by print*.c. The text is described in docs/ir.md.
 *
 *     print.c           modules, graphs, nodes, names of values
 *     print_attrs.c     numbers, constants, attributes, programs of maps
 *     print_require.c   ranges of symbols and requirements */
#ifndef TENON_IR_PRINT_H
#define TENON_IR_PRINT_H

#include "ir/ir.h"
#include "ir/text.h"

void print_float(TextBuffer *t, TnDType type,
                 double v); /* the fewest digits that read back as the same element */
void print_elements(TextBuffer *t, const Constant *c);
void print_name(TextBuffer *t, const char *name); /* of a graph: quoted unless it is a word */
void print_attrs(TextBuffer *t, const Node *n);   /* " {axis=0}", or nothing */
/* " measured m require batch >= 1, m <= 512", or nothing. */
void print_require(TextBuffer *t, Module *m);

#endif
