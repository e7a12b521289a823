/* Attributes of operators as ops.def has them: made by attrs_table.c, read by attrs.c. */
#ifndef TENON_IR_ATTRS_H
#define TENON_IR_ATTRS_H

#include "ir/ir.h"

#define ATTR_UNSET INT64_MIN /* of a required integer */

typedef struct AttrRow {
    int count;
    AttrInfo *attrs;
    const char *const **words; /* of ':s': its legal values, up to NULL */
} AttrRow;

const AttrRow *attrs_row(OpKind op);

#endif
