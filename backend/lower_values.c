/* Values of the source model in the plan: its VALUES section.
 *
 * After the passes a value stands for what it equals in the source model (ir/source.c). Once its
 * node is lowered it is a view of a buffer, complete when the last instruction so far that writes
 * the buffer has run: that instruction, the view and the name are a record. Views, transposes and
 * the parts of a concat are told apart that way though no instruction computes them as such. Values
 * that no strides describe are left out, unless every value is wanted: then they are copied. */
#include "backend/lower.h"

#include <stdlib.h>

static void note(Lower *lo, const View *v, const char *name) {
    size_t written = lo->buffers[v->buffer].written;
    lo->named = arena_grow(&lo->cx->arena, lo->named, &lo->named_capacity, lo->named_count + 1,
                           sizeof *lo->named);
    size_t place = lo->named_count++;
    lo->named[place] = (LValue){written ? written - 1 : 0, place, *v, name};
}

void lower_note_values(Lower *lo, const Node *n) {
    if (lo->im->strip) return;
    for (int i = 0; i < n->output_count; i++) {
        const Value *v = n->outputs[i];
        if (!v->sources) continue;
        if (lo->im->every_value) lower_operand(lo, v);
        const View *view = &lo->view_of[v->id];
        if (view->buffer == TN_NO_ID || !view_has_dims(view, &v->type)) continue;
        if (view->layout != TN_LAYOUT_STRIDED || view_has_ring(view)) continue;
        for (const SourceName *s = v->sources; s; s = s->next) note(lo, view, s->name);
    }
}

static int by_instruction(const void *a, const void *b) {
    const LValue *x = a, *y = b;
    if (x->instr != y->instr) return x->instr < y->instr ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

void lower_record_values(Lower *lo, const PlanFunction *f, const uint32_t *buffer_ids) {
    if (!lo->instr_count || !lo->named_count) return;
    qsort(lo->named, lo->named_count, sizeof *lo->named, by_instruction);
    for (size_t i = 0; i < lo->named_count; i++) {
        const LValue *v = &lo->named[i];
        PlanValue p = {.instruction = f->first_instruction + (uint32_t)v->instr,
                       .view = lower_record_view(lo, &v->view, buffer_ids),
                       .name = image_string(lo->im, v->name)};
        *(PlanValue *)table_add(lo->im, &lo->im->values) = p;
    }
}
