/* Any bytes as IR text: what parses is a sound graph, and its print parses to the same print. */
#include "ir/ir.h"
#include "tests/fuzz/fuzz.h"

static void parse(Cx *cx, const void *arg) {
    Module *m = ir_parse(cx, arg, NULL);
    for (Graph *g = m->graphs; g; g = g->next) fuzz_check(ir_verify(g) == NULL);
    const char *text = ir_print(m);
    fuzz_check(strcmp(ir_print(ir_parse(cx, text, m)), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = 0;
    fuzz_run(parse, text);
    free(text);
    return 0;
}
