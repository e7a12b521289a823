/* Read-only files: mapped where possible, read otherwise. Regular files only. */
#ifndef TENON_RUNTIME_BASE_MAPFILE_H
#define TENON_RUNTIME_BASE_MAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include "runtime/base/arena.h"
#include "runtime/base/status.h"

typedef struct MapFile {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;
    bool mapped; /* else a copy in memory of `alloc` */
    TnAlloc alloc;
} MapFile;

/* Opens `path` with O_NONBLOCK and refuses anything but a regular file. Returns TN_OK, TN_E_IO or
 * TN_E_MEMORY and writes one line into `why` (size `why_size`), for example "No such file or
 * directory". */
TnStatus mapfile_open(MapFile *f, const char *path, char *why, size_t why_size);
/* Opens `name` relative to the folder `dir`. The name must be relative, without "..", backslash,
 * NUL or URL scheme; no component of it may be a symbolic link. */
TnStatus mapfile_open_in(MapFile *f, const char *dir, const char *name, char *why, size_t why_size);
/* Reads the file into memory of `alloc`, 64-byte aligned: later changes to the file do not show. */
TnStatus mapfile_read(MapFile *f, const TnAlloc *alloc, const char *path, char *why,
                      size_t why_size);
void mapfile_close(MapFile *f);

/* Says what a file of these first bytes looks like when it is not what was wanted: "a Git LFS
 * pointer", "a zip archive (PyTorch checkpoint?)", "HTML", "gzip", "GGUF", "safetensors", "a Tenon
 * plan", "text", "empty", "unknown data". */
const char *tn_file_kind(const unsigned char *data, size_t size);

#endif
