/* Opening files: regular files only, never blocking, and relative names confined to their folder.
 *
 * mapfile_open_in walks the name component by component with O_NOFOLLOW, so neither a link nor ".."
 * can lead out. A file that cannot be mapped is read instead. */
#include "runtime/base/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/base/text.h"

#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

static TnStatus refuse(TnStatus status, char *why, size_t why_size, const char *text) {
    if (why_size) snprintf(why, why_size, "%s", text);
    return status;
}

static TnStatus refuse_errno(char *why, size_t why_size) {
    char text[128];
    if (errno == ELOOP) return refuse(TN_E_IO, why, why_size, "a symbolic link");
    tn_errno_text(errno, text, sizeof text);
    return refuse(TN_E_IO, why, why_size, text);
}

static int open_retry(int dir, const char *name, int flags) {
    int fd;
    do fd = openat(dir, name, flags);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Fills `data` from the start of the file; short reads and EINTR are repeated. */
static TnStatus read_all(int fd, unsigned char *data, size_t size, char *why, size_t why_size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, data + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refuse_errno(why, why_size);
        if (n == 0)
            return refuse(TN_E_IO, why, why_size, "the file became shorter while it was read");
        done += (size_t)n;
    }
    return TN_OK;
}

static TnStatus load(MapFile *f, int fd, size_t size, const TnAlloc *alloc, char *why,
                     size_t why_size) {
    unsigned char *copy = tn_allocate(alloc, size, 64);
    if (!copy) return refuse(TN_E_MEMORY, why, why_size, "out of memory");
    TnStatus status = read_all(fd, copy, size, why, why_size);
    if (status) {
        tn_release(alloc, copy);
        return status;
    }
    *f = (MapFile){.data = copy, .size = size, .alloc = *alloc};
    return TN_OK;
}

/* Takes over `fd`. `alloc` NULL maps the file. */
static TnStatus take(MapFile *f, int fd, const TnAlloc *alloc, char *why, size_t why_size) {
    struct stat st;
    TnStatus status = TN_OK;
    if (fstat(fd, &st) != 0) {
        status = refuse_errno(why, why_size);
    } else if (S_ISDIR(st.st_mode)) {
        status = refuse(TN_E_IO, why, why_size, "a folder, not a file");
    } else if (!S_ISREG(st.st_mode)) {
        status = refuse(TN_E_IO, why, why_size, "not a regular file");
    } else if ((uintmax_t)st.st_size > SIZE_MAX) {
        status = refuse(TN_E_IO, why, why_size, "larger than the address space");
    } else if (st.st_size > 0) {
        size_t size = (size_t)st.st_size;
        void *data = alloc ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        TnAlloc fallback = tn_default_alloc();
        if (data == MAP_FAILED)
            status = load(f, fd, size, alloc ? alloc : &fallback, why, why_size);
        else
            *f = (MapFile){.data = data, .size = size, .mapped = true};
    }
    close(fd);
    return status;
}

TnStatus mapfile_open(MapFile *f, const char *path, char *why, size_t why_size) {
    *f = (MapFile){0};
    int fd = open_retry(AT_FDCWD, path, OPEN_FLAGS);
    return fd < 0 ? refuse_errno(why, why_size) : take(f, fd, NULL, why, why_size);
}

TnStatus mapfile_read(MapFile *f, const TnAlloc *alloc, const char *path, char *why,
                      size_t why_size) {
    *f = (MapFile){0};
    int fd = open_retry(AT_FDCWD, path, OPEN_FLAGS);
    return fd < 0 ? refuse_errno(why, why_size) : take(f, fd, alloc, why, why_size);
}

/* NULL if `name` may be opened relative to a folder, else what is wrong with it. */
static const char *name_problem(const char *name) {
    if (!name[0]) return "an empty file name";
    if (name[0] == '/') return "an absolute path; names must be relative to the folder";
    if (strchr(name, '\\')) return "a backslash in the file name";
    if (strstr(name, "://")) return "a URL, not a file name";
    if (strlen(name) >= PATH_MAX) return "the file name is too long";
    for (const char *p = name;;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && memcmp(p, "..", 2) == 0) return "'..' leads out of the folder";
        if (n > NAME_MAX) return "the file name is too long";
        if (!p[n]) return NULL;
        p += n + 1;
    }
}

TnStatus mapfile_open_in(MapFile *f, const char *dir, const char *name, char *why,
                         size_t why_size) {
    *f = (MapFile){0};
    const char *problem = name_problem(name);
    if (problem) return refuse(TN_E_IO, why, why_size, problem);
    int fd = open_retry(AT_FDCWD, dir[0] ? dir : ".", OPEN_FLAGS | O_DIRECTORY);
    for (const char *p = name; fd >= 0 && *p;) {
        char part[NAME_MAX + 1];
        size_t n = strcspn(p, "/");
        bool final = p[n] == 0;
        memcpy(part, p, n);
        part[n] = 0;
        p += final ? n : n + 1;
        if (n == 0 || strcmp(part, ".") == 0) continue;
        int next = open_retry(fd, part, OPEN_FLAGS | O_NOFOLLOW);
        int code = errno;
        close(fd);
        errno = code;
        fd = next;
    }
    return fd < 0 ? refuse_errno(why, why_size) : take(f, fd, NULL, why, why_size);
}

void mapfile_close(MapFile *f) {
    if (f->mapped)
        munmap((void *)(uintptr_t)f->data, f->size);
    else if (f->data)
        tn_release(&f->alloc, (void *)(uintptr_t)f->data);
    *f = (MapFile){0};
}

typedef struct Magic {
    const char *kind;
    size_t at, length;
    const char *bytes;
} Magic;

static const Magic magics[] = {
    {"a Git LFS pointer", 0, 35, "version https://git-lfs.github.com/"},
    {"a zip archive (PyTorch checkpoint?)", 0, 4, "PK\3\4"},
    {"gzip", 0, 2, "\x1f\x8b"},
    {"GGUF", 0, 4, "GGUF"},
    {"a Tenon plan", 0, 7, "TENON\r\n"},
    {"a pickle (PyTorch checkpoint?)", 0, 2, "\x80\2"},
    {"HDF5", 0, 4, "\x89HDF"},
    {"an ELF binary", 0, 4,
     "\x7f"
     "ELF"},
    {"a TensorFlow Lite model", 4, 4, "TFL3"},
};

static bool starts_with_tag(const char *s, size_t n, const char *tag) {
    size_t length = strlen(tag);
    if (n < length) return false;
    for (size_t i = 0; i < length; i++)
        if ((s[i] | 0x20) != (tag[i] | 0x20)) return false;
    return true;
}

/* Whether the first bytes are the size of a JSON header followed by its brace. */
static bool is_safetensors(const unsigned char *data, size_t size) {
    uint64_t header = 0;
    if (size < 10 || data[8] != '{') return false;
    for (int i = 7; i >= 0; i--) header = header << 8 | data[i];
    return header <= UINT32_MAX && (data[9] == '"' || data[9] == '}' || data[9] == ' ');
}

const char *tn_file_kind(const unsigned char *data, size_t size) {
    if (size == 0) return "empty";
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const Magic *m = &magics[i];
        if (size >= m->at + m->length && memcmp(data + m->at, m->bytes, m->length) == 0)
            return m->kind;
    }
    if (is_safetensors(data, size)) return "safetensors";
    size_t n = size < 256 ? size : 256, i = 0;
    while (i < n && strchr(" \t\r\n", data[i]) && data[i]) i++;
    const char *text = (const char *)data + i;
    if (starts_with_tag(text, n - i, "<!doctype html") || starts_with_tag(text, n - i, "<html"))
        return "HTML";
    for (i = 0; i < n; i++)
        if (data[i] == 0x7f || (data[i] < 0x20 && !(data[i] >= '\t' && data[i] <= '\r')))
            return "unknown data";
    return "text";
}
