/* Writing whole files: what is there afterwards, whether the writing went well or not. */
#include "runtime/base/writefile.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include "tests/support/scratch.h"

static char why[200];

static TnStatus write_whole(const char *path, const char *text) {
    WriteFile w;
    TnStatus status = writefile_begin(&w, path, why, sizeof why);
    if (!status) status = writefile_append(&w, text, strlen(text), why, sizeof why);
    return status ? status : writefile_commit(&w, why, sizeof why);
}

static void assert_content(const char *path, const char *text) {
    char found[100] = {0};
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(found, 1, sizeof found - 1, f);
    fclose(f);
    assert_int_equal(n, strlen(text));
    assert_string_equal(found, text);
}

/* Number of entries in the present folder besides `expected`. */
static void assert_entries(size_t expected) {
    size_t n = 0;
    DIR *folder = opendir(".");
    while (readdir(folder)) n++;
    closedir(folder);
    assert_int_equal(n - 2, expected);
}

static int setup(void **state) {
    (void)state;
    scratch_empty();
    return 0;
}

static void test_write(void **state) {
    (void)state;
    struct stat st;
    umask(027);
    assert_int_equal(write_whole("a", "first"), TN_OK);
    assert_content("a", "first");
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(write_whole("./a", ""), TN_OK);
    assert_content("a", "");
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_int_equal(write_whole("sub/b", "second"), TN_OK);
    assert_content("sub/b", "second");
    assert_entries(2);
}

static void test_abort(void **state) {
    (void)state;
    WriteFile w;
    assert_int_equal(write_whole("a", "old"), TN_OK);
    assert_int_equal(writefile_begin(&w, "a", why, sizeof why), TN_OK);
    assert_int_equal(writefile_append(&w, "new", 3, why, sizeof why), TN_OK);
    assert_entries(2); /* the old file and the temporary one */
    writefile_abort(&w);
    writefile_abort(&w);
    assert_content("a", "old");
    assert_entries(1);
}

static void refuse(const char *path, const char *text) {
    assert_int_equal(write_whole(path, "x"), TN_E_IO);
    assert_string_equal(why, text);
}

static void test_bad_targets(void **state) {
    (void)state;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    refuse("folder", "a folder, not a file");
    refuse("folder/", "a folder, not a file");
    refuse("", "a folder, not a file");
    refuse("..", "a folder, not a file");
    refuse("fifo", "not a regular file");
    refuse("/dev/null", "not a regular file");
    refuse("none/a", "No such file or directory");
    refuse("fifo/a", "Not a directory");
    refuse(name, "the file name is too long");
    assert_entries(2);
    assert_int_equal(symlink("folder", "link"), 0);
    refuse("link", "a folder, not a file");
}

/* Pieces of all sizes around that of a chunk; the second byte is overwritten at the end. */
static void test_pieces(void **state) {
    (void)state;
    static const size_t pieces[] = {1,
                                    5,
                                    WRITE_CHUNK - 7,
                                    3,
                                    WRITE_CHUNK,
                                    0,
                                    2 * WRITE_CHUNK + 1,
                                    WRITE_CHUNK - 3,
                                    3 * WRITE_CHUNK,
                                    9};
    size_t total = 0, n = sizeof pieces / sizeof *pieces;
    for (size_t i = 0; i < n; i++) total += pieces[i];
    unsigned char *data = malloc(total), *found = malloc(total + 1), *at = data;
    for (size_t i = 0; i < total; i++) data[i] = (unsigned char)(i * 7 + i / 1000);
    WriteFile w;
    assert_int_equal(writefile_begin(&w, "a", why, sizeof why), TN_OK);
    for (size_t i = 0; i < n; at += pieces[i++])
        assert_int_equal(writefile_append(&w, at, pieces[i], why, sizeof why), TN_OK);
    data[1] ^= 1;
    assert_int_equal(writefile_patch(&w, 1, data + 1, 1, why, sizeof why), TN_OK);
    assert_int_equal(writefile_append(&w, "end", 3, why, sizeof why), TN_OK);
    assert_int_equal(writefile_commit(&w, why, sizeof why), TN_OK);
    char end[4] = {0};
    FILE *f = fopen("a", "rb");
    assert_int_equal(fread(found, 1, total, f), total);
    assert_memory_equal(found, data, total);
    assert_int_equal(fread(end, 1, sizeof end, f), 3);
    assert_string_equal(end, "end");
    fclose(f);
    free(data);
    free(found);
}

/* A write beyond the limit on file sizes fails with EFBIG: small pieces when they are written out
 * at last, large ones at once. */
static void fill_disk(size_t piece, bool at_once) {
    struct rlimit old, small;
    WriteFile w;
    char *block = calloc(1, piece);
    assert_int_equal(write_whole("a", "old"), TN_OK);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 10000;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(writefile_begin(&w, "a", why, sizeof why), TN_OK);
    TnStatus status = TN_OK;
    for (int i = 0; i < 3 && !status; i++)
        status = writefile_append(&w, block, piece, why, sizeof why);
    assert_int_equal(status, at_once ? TN_E_IO : TN_OK);
    if (!status) status = writefile_commit(&w, why, sizeof why);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, TN_E_IO);
    assert_string_equal(why, "File too large");
    assert_content("a", "old");
    assert_entries(1);
    free(block);
}

static void test_disk_full(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    fill_disk(4096, false);
    fill_disk(WRITE_CHUNK, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_write, setup),       cmocka_unit_test_setup(test_abort, setup),
        cmocka_unit_test_setup(test_bad_targets, setup), cmocka_unit_test_setup(test_pieces, setup),
        cmocka_unit_test_setup(test_disk_full, setup),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
