/* A temporary folder that a test program works in, so that paths in messages are short and fixed.
 *
 *     int main(void) { return cmocka_run_group_tests(tests, scratch_enter, scratch_leave); }
 */
#ifndef TENON_TESTS_SUPPORT_SCRATCH_H
#define TENON_TESTS_SUPPORT_SCRATCH_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_path[256];

static inline int scratch_enter(void **state) {
    (void)state;
    const char *parent = getenv("TMPDIR");
    int n = snprintf(scratch_path, sizeof scratch_path, "%s/tenon-test-XXXXXX",
                     parent && *parent ? parent : "/tmp");
    return n >= (int)sizeof scratch_path || !mkdtemp(scratch_path) || chdir(scratch_path) != 0;
}

/* Removes what is in the present folder; links are removed, not followed. */
static inline void scratch_empty(void) {
    DIR *folder = opendir(".");
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        struct stat st;
        if (lstat(e->d_name, &st) == 0 && S_ISDIR(st.st_mode) && chdir(e->d_name) == 0) {
            scratch_empty();
            if (chdir("..") != 0) break;
        }
        remove(e->d_name);
    }
    if (folder) closedir(folder);
}

static inline int scratch_leave(void **state) {
    (void)state;
    if (chdir(scratch_path) != 0) return 1;
    scratch_empty();
    return chdir("/") != 0 || rmdir(scratch_path) != 0;
}

static inline void write_file(const char *path, const void *data, size_t length) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *path, const char *text) {
    write_file(path, text, strlen(text));
}

#endif
