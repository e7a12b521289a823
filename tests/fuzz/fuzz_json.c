/* Any bytes as JSON: parse, then visit every value by iteration and by look-up. */
#include "frontend/hf/json.h"
#include "tests/fuzz/fuzz.h"

typedef struct Input {
    const uint8_t *data;
    size_t size;
} Input;

/* All values below `root`, with a list of containers still to visit. */
static void visit(Cx *cx, Json root) {
    size_t capacity = 0, count = 0;
    Json *open = NULL;
    for (Json v = root;;) {
        size_t children = 0;
        for (Json child = json_first(v); json_kind(child) != JSON_ABSENT;
             child = json_next(child)) {
            const char *key = json_key(child);
            fuzz_check((key != NULL) == (json_kind(v) == JSON_OBJECT));
            if (key) fuzz_check(json_find(v, key).node == child.node);
            open = arena_grow(&cx->arena, open, &capacity, count + 1, sizeof *open);
            open[count++] = child;
            children++;
        }
        fuzz_check(children == json_count(v));
        if (json_kind(v) == JSON_NUMBER) fuzz_check(json_as_number(v) - json_as_number(v) == 0);
        if (json_kind(v) == JSON_STRING) fuzz_touch(json_as_string(v), strlen(json_as_string(v)));
        if (count == 0) return;
        v = open[--count];
    }
}

static void parse(Cx *cx, const void *arg) {
    const Input *in = arg;
    Json root = json_parse(cx, "input", (const char *)in->data, in->size);
    visit(cx, root);
    json_int(root, "size", 1, 1000); /* the words of a refusal */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(parse, &(Input){data, size});
    return 0;
}
