/* Opening files: what is refused, at once and with which words; names confined to a folder; kinds
 * of files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/base/mapfile.h"
#include "tests/support/scratch.h"

static char why[160];

static void reads(void **state) {
    (void)state;
    MapFile f;
    TnAlloc alloc = tn_default_alloc();
    write_file("data", "hello", 5);
    write_file("empty", "", 0);
    assert_int_equal(mapfile_open(&f, "data", why, sizeof why), TN_OK);
    assert_true(f.mapped && f.size == 5 && memcmp(f.data, "hello", 5) == 0);
    mapfile_close(&f);
    assert_null(f.data);
    mapfile_close(&f);
    assert_int_equal(mapfile_read(&f, &alloc, "data", why, sizeof why), TN_OK);
    assert_true(!f.mapped && f.size == 5 && memcmp(f.data, "hello", 5) == 0 &&
                (uintptr_t)f.data % 64 == 0);
    write_file("data", "HELLO", 5);
    assert_memory_equal(f.data, "hello", 5);
    mapfile_close(&f);
    assert_int_equal(mapfile_open(&f, "empty", why, sizeof why), TN_OK);
    assert_true(f.size == 0 && !f.data);
    mapfile_close(&f);
    scratch_empty();
}

static void expect_refused(const char *path, const char *text) {
    MapFile f;
    assert_int_equal(mapfile_open(&f, path, why, sizeof why), TN_E_IO);
    assert_string_equal(why, text);
    assert_null(f.data);
}

static void refuses(void **state) {
    (void)state;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    expect_refused("absent", "No such file or directory");
    expect_refused(".", "a folder, not a file");
    expect_refused("fifo", "not a regular file");
    expect_refused("/dev/zero", "not a regular file");
    expect_refused("loop", "a symbolic link");
    scratch_empty();
}

static void expect_in(const char *name, const char *text) {
    MapFile f;
    TnStatus status = mapfile_open_in(&f, "folder", name, why, sizeof why);
    assert_int_equal(status, text ? TN_E_IO : TN_OK);
    if (text) assert_string_equal(why, text);
    mapfile_close(&f);
}

static void stays_in_the_folder(void **state) {
    (void)state;
    char longest[300];
    assert_int_equal(mkdir("folder", 0700) | mkdir("folder/sub", 0700) | mkdir("other", 0700), 0);
    write_file("folder/a", "a", 1);
    write_file("folder/sub/b", "b", 1);
    write_file("folder/sub/..c", "c", 1);
    write_file("other/secret", "s", 1);
    assert_int_equal(symlink("../other/secret", "folder/link"), 0);
    assert_int_equal(symlink("../other", "folder/linked"), 0);
    assert_int_equal(link("other/secret", "folder/hard"), 0);
    assert_int_equal(mkfifo("folder/fifo", 0600), 0);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    expect_in("a", NULL);
    expect_in("sub/b", NULL);
    expect_in("./sub//b", NULL);
    expect_in("sub/..c", NULL);
    expect_in("hard", NULL);
    expect_in("", "an empty file name");
    expect_in("../other/secret", "'..' leads out of the folder");
    expect_in("sub/../a", "'..' leads out of the folder");
    expect_in("..", "'..' leads out of the folder");
    expect_in("/etc/passwd", "an absolute path; names must be relative to the folder");
    expect_in("..\\secret", "a backslash in the file name");
    expect_in("https://host/a", "a URL, not a file name");
    expect_in(longest, "the file name is too long");
    expect_in("link", "a symbolic link");
    expect_in("linked/secret", "a symbolic link");
    expect_in(".", "a folder, not a file");
    expect_in("sub", "a folder, not a file");
    expect_in("fifo", "not a regular file");
    expect_in("a/b", "Not a directory");
    expect_in("absent", "No such file or directory");
    assert_int_equal(system("rm -r folder other"), 0);
}

static void kinds(void **state) {
    (void)state;
#define KIND(bytes) tn_file_kind((const unsigned char *)(bytes), sizeof(bytes) - 1)
    assert_string_equal(KIND(""), "empty");
    assert_string_equal(KIND("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer");
    assert_string_equal(KIND("PK\3\4...."), "a zip archive (PyTorch checkpoint?)");
    assert_string_equal(KIND("\x80\2}q"), "a pickle (PyTorch checkpoint?)");
    assert_string_equal(KIND("\x1f\x8b\b"), "gzip");
    assert_string_equal(KIND("GGUF\3"), "GGUF");
    assert_string_equal(KIND("TENON\r\n\x1a"), "a Tenon plan");
    assert_string_equal(KIND("\x10\0\0\0\0\0\0\0{\"a\":1}"), "safetensors");
    assert_string_equal(KIND("  \n<!DOCTYPE HTML>"), "HTML");
    assert_string_equal(KIND("<html>"), "HTML");
    assert_string_equal(KIND("hello\nworld\n"), "text");
    assert_string_equal(KIND("\b\7\22\4"), "unknown data");
    assert_string_equal(KIND("\0"), "unknown data");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(refuses),
                                       cmocka_unit_test(stays_in_the_folder),
                                       cmocka_unit_test(kinds)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
