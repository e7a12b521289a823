/* From a module to the image of a plan: the compiler as a list of calls. */
#include "backend/compile.h"

#include "backend/contract.h"
#include "backend/lower.h"
#include "ir/problems.h"
#include "runtime/tenon.h"

/* NULL: f32, as is a plan of the graph as it was imported, whatever is asked for. */
static const char *precision_of(const Image *im) {
    const Module *m = im->module;
    if (im->every_value) return NULL;
    return m->bf16 ? "bf16" : m->weight_bits == 8 ? "int8" : m->weight_bits ? "int4" : NULL;
}

Image *compile_module(Module *m, Report *r, unsigned flags) {
    if (flags & COMPILE_UNFUSED)
        passes_run_unfused(m, r);
    else
        passes_run(m, r, NULL);
    Image *im = image_new(m);
    im->strip = flags & COMPILE_STRIP;
    im->every_value = flags & COMPILE_UNFUSED;
    ConstantLayout *layouts = layout_constants(im);
    layout_report(im, r);
    int count;
    const Function *functions = contract_functions(im, &count);
    for (int i = 0; i < count; i++) {
        tn_enter(m->cx, "function", functions[i].g->name);
        contract_record(im, &functions[i], (uint32_t)i);
        lower_graph(im, functions[i].g, layouts);
        tn_leave(m->cx);
    }
    problems_raise(m->cx);
    image_meta(im, "compiler", tenon_version());
    if (precision_of(im)) image_meta(im, "precision", precision_of(im));
    if (m->fast_conv) image_meta(im, "conv", "fast");
    for (const Meta *meta = m->meta; meta; meta = meta->next)
        image_meta(im, meta->key, meta->value);
    return im;
}
