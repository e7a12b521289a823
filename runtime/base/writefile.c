/* Temporary file, fsync, rename, fsync of the folder; see writefile.h.
 *
 * Everything happens relative to a descriptor of the folder, so a folder renamed meanwhile does not
 * split the steps. */
#include "runtime/base/writefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/base/text.h"

#define MAX_ATTEMPTS 100
#define MAX_WRITE    ((size_t)1 << 30) /* Linux writes at most 2 GiB at once */

static TnStatus refuse(WriteFile *w, char *why, size_t why_size, const char *text) {
    writefile_abort(w);
    if (why_size) snprintf(why, why_size, "%s", text);
    return TN_E_IO;
}

static TnStatus refuse_errno(WriteFile *w, char *why, size_t why_size) {
    char text[128];
    tn_errno_text(errno, text, sizeof text);
    return refuse(w, why, why_size, text);
}

/* Splits `path` into the folder, opened, and the name. */
static TnStatus open_folder(WriteFile *w, const char *path, char *why, size_t why_size) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return refuse(w, why, why_size, "a folder, not a file");
    if (strlen(name) > NAME_MAX || length >= sizeof folder)
        return refuse(w, why, why_size, "the file name is too long");
    snprintf(w->name, sizeof w->name, "%s", name);
    memcpy(folder, path, length);
    folder[length] = 0;
    const char *where = length ? folder : slash ? "/" : ".";
    do w->folder = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (w->folder < 0 && errno == EINTR);
    return w->folder < 0 ? refuse_errno(w, why, why_size) : TN_OK;
}

/* The name is new for this process and attempt; O_EXCL makes sure that nobody else has it. */
static TnStatus create_temporary(WriteFile *w, char *why, size_t why_size) {
    static atomic_uint counter;
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        snprintf(w->temporary, sizeof w->temporary, ".tenon-%ld-%u.tmp", (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        w->fd = openat(w->folder, w->temporary,
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (w->fd >= 0) return TN_OK;
        if (errno != EEXIST && errno != EINTR) break;
    }
    w->temporary[0] = 0; /* not ours to remove */
    return refuse_errno(w, why, why_size);
}

TnStatus writefile_begin(WriteFile *w, const char *path, char *why, size_t why_size) {
    *w = (WriteFile){.fd = -1, .folder = -1};
    TnStatus status = open_folder(w, path, why, why_size);
    if (status) return status;
    struct stat st;
    if (fstatat(w->folder, w->name, &st, 0) == 0 && !S_ISREG(st.st_mode))
        return refuse(w, why, why_size,
                      S_ISDIR(st.st_mode) ? "a folder, not a file" : "not a regular file");
    w->chunk = malloc(WRITE_CHUNK);
    if (!w->chunk) return refuse(w, why, why_size, "out of memory");
    return create_temporary(w, why, why_size);
}

static TnStatus write_out(WriteFile *w, const unsigned char *at, size_t size, char *why,
                          size_t why_size) {
    while (size > 0) {
        ssize_t n = write(w->fd, at, size < MAX_WRITE ? size : MAX_WRITE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refuse_errno(w, why, why_size);
        at += n;
        size -= (size_t)n;
    }
    return TN_OK;
}

static TnStatus write_held(WriteFile *w, char *why, size_t why_size) {
    TnStatus status = write_out(w, w->chunk, w->held, why, why_size);
    w->held = 0;
    return status;
}

TnStatus writefile_append(WriteFile *w, const void *data, size_t size, char *why, size_t why_size) {
    const unsigned char *at = data;
    for (size_t n; size > 0; at += n, size -= n) {
        TnStatus status = TN_OK;
        if (!w->held && size >= WRITE_CHUNK) { /* whole chunks, from where they are */
            n = size / WRITE_CHUNK * WRITE_CHUNK;
            status = write_out(w, at, n, why, why_size);
        } else {
            n = size < WRITE_CHUNK - w->held ? size : WRITE_CHUNK - w->held;
            memcpy(w->chunk + w->held, at, n);
            w->held += n;
            if (w->held == WRITE_CHUNK) status = write_held(w, why, why_size);
        }
        if (status) return status;
    }
    return TN_OK;
}

TnStatus writefile_patch(WriteFile *w, size_t offset, const void *data, size_t size, char *why,
                         size_t why_size) {
    const char *at = data;
    TnStatus status = write_held(w, why, why_size);
    if (status) return status;
    while (size > 0) {
        ssize_t n = pwrite(w->fd, at, size < MAX_WRITE ? size : MAX_WRITE, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refuse_errno(w, why, why_size);
        at += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return TN_OK;
}

static bool sync_file(int fd) {
    int r;
    do r = fsync(fd);
    while (r != 0 && errno == EINTR);
    return r == 0;
}

TnStatus writefile_commit(WriteFile *w, char *why, size_t why_size) {
    TnStatus status = write_held(w, why, why_size);
    if (status) return status;
    if (!sync_file(w->fd)) return refuse_errno(w, why, why_size);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && errno != EINTR) return refuse_errno(w, why, why_size);
    if (renameat(w->folder, w->temporary, w->folder, w->name) != 0)
        return refuse_errno(w, why, why_size);
    w->temporary[0] = 0;
    /* Some file systems cannot sync a folder and say EINVAL: the rename itself has happened. */
    if (!sync_file(w->folder) && errno != EINVAL) return refuse_errno(w, why, why_size);
    writefile_abort(w);
    return TN_OK;
}

void writefile_abort(WriteFile *w) {
    int code = errno;
    if (w->fd >= 0) close(w->fd);
    if (w->folder >= 0) {
        if (w->temporary[0]) unlinkat(w->folder, w->temporary, 0);
        close(w->folder);
    }
    free(w->chunk);
    w->chunk = NULL;
    w->fd = w->folder = -1;
    w->temporary[0] = 0;
    errno = code;
}
