/* Any bytes as a safetensors file: open it, find and read every tensor, write it and read it back.
 */
#include "frontend/hf/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void open_and_read(Cx *cx, const void *path) {
    const SafeTensors *st = st_open(cx, path);
    size_t end = 0;
    for (size_t i = 0; i < st_count(st); i++) {
        const StTensor *t = st_at(st, i);
        fuzz_check(st_find(st, t->name) == t);
        fuzz_touch(t->data, t->bytes);
        end += t->bytes;
    }
    if (st_count(st) == 0) return;
    st_write(cx, path, st_at(st, 0), st_count(st));
    const SafeTensors *again = st_open(cx, path);
    fuzz_check(st_count(again) == st_count(st));
    for (size_t i = 0; i < st_count(st); i++) {
        const StTensor *t = st_at(st, i), *u = st_find(again, t->name);
        fuzz_check(u && u->bytes == t->bytes && u->dtype == t->dtype && u->rank == t->rank);
        fuzz_check(t->bytes == 0 || memcmp(t->data, u->data, t->bytes) == 0);
        end -= t->bytes;
    }
    fuzz_check(end == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(open_and_read, fuzz_file(data, size));
    return 0;
}
