/* Prints numbers, constants and attributes. One printer per
 * kind of attribute serves all operators. */
#include "ir/print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "ir/map.h"

/* The value that reading `s` as an element of the type gives. */
static double read_back(TnDType type, const char *s) {
    char element[8];
    ir_store_f64(type, element, 0, strtod(s, NULL));
    return ir_element_f64(type, element, 0);
}

void print_float(TextBuffer *t, TnDType type, double v) {
    static const int digits[] = {6, 9, 15, 17};
    char s[40] = "nan";
    for (int i = 0; i < 4 && !isnan(v); i++) {
        snprintf(s, sizeof s, "%.*g", digits[i], v);
        if (read_back(type, s) == v) break;
    }
    text_add(t, s);
}

void print_elements(TextBuffer *t, const Constant *c) {
    int64_t count = 1;
    for (int i = 0; i < c->rank; i++) count *= c->dims[i];
    text_add(t, "{");
    for (int64_t i = 0; i < count; i++) {
        if (i) text_add(t, ", ");
        if (tn_is_float(c->dtype)) {
            print_float(t, c->dtype, ir_element_f64(c->dtype, c->data, i));
        } else {
            int64_t v = ir_element_i64(c->dtype, c->data, i);
            text_format(t, c->dtype == TN_U64 ? "%llu" : "%lld", (long long)v);
        }
    }
    text_add(t, "}");
}

/* --- programs of maps --- */

static void print_register(TextBuffer *t, int inputs, int i) {
    text_format(t, i < inputs ? "x%d" : "t%d", i);
}

static void print_body(TextBuffer *t, const Node *n, const MapBody *body) {
    int inputs = n->input_count;
    TnDType *types = ARENA_ARRAY(t->arena, TnDType, (size_t)(inputs + body->count));
    for (int i = 0; i < inputs; i++) types[i] = n->inputs[i] ? n->inputs[i]->type.dtype : TN_NONE;
    text_add(t, "(");
    for (int i = 0; i < body->count; i++) {
        const MapStep *s = &body->steps[i];
        types[inputs + i] = s->dtype;
        if (i) text_add(t, "; ");
        print_register(t, inputs, inputs + i);
        if (map_step_type(s, types) != s->dtype) text_format(t, ": %s", tn_dtype_name(s->dtype));
        text_format(t, " = %s", ir_op_info(s->op)->name);
        if (s->op == OP_splat) {
            text_add(t, " ");
            if (tn_is_float(s->dtype))
                print_float(t, TN_F64, s->value);
            else
                text_format(t, "%lld", (long long)s->integer);
        }
        for (int a = 0; a < ir_op_info(s->op)->min_inputs; a++) {
            text_add(t, " ");
            print_register(t, inputs, s->args[a]);
        }
    }
    text_add(t, ")");
}

/* --- attributes --- */

static void print_exprs(TextBuffer *t, ExprCx *x, int count, const Expr *const *e) {
    text_add(t, "[");
    for (int i = 0; i < count; i++) text_format(t, "%s%s", i ? ", " : "", ex_text(x, e[i]));
    text_add(t, "]");
}

static void print_ints(TextBuffer *t, const IntList *list) {
    text_add(t, "[");
    for (int i = 0; i < list->count; i++)
        text_format(t, i ? ", %lld" : "%lld", (long long)list->v[i]);
    text_add(t, "]");
}

void print_attr(TextBuffer *t, const Node *n, int i) {
    const Attr *a = &n->attrs[i];
    ExprCx *x = n->graph->module->ex;
    switch (ir_attr_info(n->op, i)->kind) {
    case 'i': text_format(t, "%lld", (long long)a->i); break;
    case 'f': print_float(t, TN_F64, a->f); break;
    case 'b': text_add(t, a->b ? "1" : "0"); break;
    case 't': text_add(t, tn_dtype_name(a->t)); break;
    case 's': text_add(t, a->s); break;
    case 'd': text_add(t, ex_text(x, a->d)); break;
    case 'D': print_exprs(t, x, a->D->count, a->D->e); break;
    case 'E': print_exprs(t, x, a->E->count, a->E->e); break;
    case 'I': print_ints(t, a->I); break;
    case 'm': print_body(t, n, a->m); break;
    case 'g':
        text_add(t, "@");
        print_name(t, a->g->name);
        break;
    default: break;
    }
}

bool print_is_default(const Node *n, int i) {
    const AttrInfo *info = ir_attr_info(n->op, i);
    return info->has_default && ir_attr_equal(n->op, i, &n->attrs[i], &info->value);
}

void print_attrs(TextBuffer *t, const Node *n) {
    const char *before = " {";
    for (int i = 0; i < ir_attr_count(n->op); i++) {
        if (print_is_default(n, i)) continue;
        text_format(t, "%s%s=", before, ir_attr_info(n->op, i)->name);
        print_attr(t, n, i);
        before = ", ";
    }
    if (before[0] == ',') text_add(t, "}");
}
