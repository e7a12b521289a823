/* What fuzz targets share. A target is a file fuzz_NAME.c that defines LLVMFuzzerTestOneInput over
 * the seeds in corpus/NAME; libFuzzer drives it when TENON_FUZZ is on, else run_corpus.c. */
#ifndef TENON_TESTS_FUZZ_FUZZ_H
#define TENON_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ir/fail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process if a promise is broken, which is what fuzzers look for. */
static inline void fuzz_check(bool promise) {
    if (!promise) abort();
}

static char fuzz_path[64];

static inline void fuzz_remove(void) {
    unlink(fuzz_path);
}

/* The input as a file; its path. */
static inline const char *fuzz_file(const uint8_t *data, size_t size) {
    if (!fuzz_path[0]) {
        const char *folder =
            access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* in memory if possible */
        snprintf(fuzz_path, sizeof fuzz_path, "%s/tenon-fuzz-%ld", folder, (long)getpid());
        atexit(fuzz_remove);
    }
    FILE *f = fopen(fuzz_path, "wb");
    fuzz_check(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    return fuzz_path;
}

/* Runs fn in a compilation of its own; a failure must come with a code and a printable message. */
static inline void fuzz_run(void (*fn)(Cx *cx, const void *arg), const void *arg) {
    Cx cx;
    jmp_buf on_fail;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &on_fail;
    if (setjmp(on_fail) == 0) {
        fn(&cx, arg);
    } else {
        fuzz_check(cx.code != TN_OK && cx.message[0]);
        for (const char *p = cx.message; *p; p++) /* several problems: indented lines */
            fuzz_check((unsigned char)*p >= 0x20 || strncmp(p, "\n  ", 3) == 0);
    }
    cx_free(&cx);
}

static volatile unsigned char fuzz_sink;

/* Reads every byte, so that a wrong extent is found. */
static inline void fuzz_touch(const void *data, size_t size) {
    for (size_t i = 0; i < size; i++) fuzz_sink = ((const unsigned char *)data)[i];
}

#endif
