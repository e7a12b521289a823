/* Stands in for libFuzzer in ordinary builds: every seed of a folder, then mutants of each, the
 * same on every run.
 *
 *     fuzz_onnx corpus/onnx 2000          2000 mutants per seed
 */
#include <dirent.h>
#include "tests/fuzz/fuzz.h"

#define MAX_SEED (1 << 20)

static uint64_t random_state = 0x9e3779b97f4a7c15;

/* xorshift64 (Marsaglia 2003) */
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t below(size_t n) {
    return n ? (size_t)(next_random() % n) : 0;
}

static const uint8_t extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '{',
                                   '}',  '"',  '[',  ',',  '9',  '\\'};

/* Changes `data` of `size` bytes, with room for twice as many, in one small way; returns the new
 * size. */
static size_t mutate(uint8_t *data, size_t size) {
    size_t at = below(size), n = 1 + below(size - at < 16 ? size - at : 16);
    switch (size == 0 ? 5 : below(6)) {
    case 0: data[at] ^= (uint8_t)(1u << below(8)); return size;
    case 1: data[at] = extremes[below(sizeof extremes)]; return size;
    case 2: data[at] = (uint8_t)next_random(); return size;
    case 3: /* leave out */
        if (at + n > size) n = size - at;
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    case 4: /* repeat */
        if (at + n > size) n = size - at;
        memmove(data + at + n, data + at, size - at);
        return size + n;
    default: return below(size + 1); /* cut */
    }
}

static void run_seed(const char *path, size_t mutants) {
    static uint8_t seed[MAX_SEED], data[2 * MAX_SEED];
    FILE *f = fopen(path, "rb");
    fuzz_check(f != NULL);
    size_t seed_size = fread(seed, 1, sizeof seed, f);
    fclose(f);
    LLVMFuzzerTestOneInput(seed, seed_size);
    for (size_t i = 0; i < mutants; i++) {
        size_t size = seed_size;
        memcpy(data, seed, seed_size);
        for (size_t k = 1 + below(4); k > 0; k--) size = mutate(data, size);
        LLVMFuzzerTestOneInput(data, size);
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv) {
    static char *names[4096];
    size_t count = 0;
    DIR *folder = argc > 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER MUTANTS\n", argv[0]);
        return 2;
    }
    for (struct dirent *e; (e = readdir(folder)) && count < 4096;)
        if (e->d_name[0] != '.') names[count++] = strdup(e->d_name);
    closedir(folder);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], names[i]);
        run_seed(path, strtoul(argv[2], NULL, 10));
        free(names[i]);
    }
    printf("%zu seeds\n", count);
    return count == 0;
}
