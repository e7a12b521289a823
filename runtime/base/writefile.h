/* Writing a file so that it appears whole or not at all.
 *
 * Bytes go to a temporary file in the target's own folder; commit syncs it, renames it over the
 * target and syncs the folder. Invariant: after commit the target is the new file; after a failure
 * or abort it is what it was before, and the temporary file is gone. Every function that fails
 * aborts by itself.
 *
 * Bytes are gathered and written WRITE_CHUNK at a time: what a file is written in, it is cached in
 * where the system can, and a weight file in huge pages is mapped with a tenth of the time and
 * read without misses of the TLB.
 *
 *     WriteFile w;
 *     TnStatus s = writefile_begin(&w, "bert.plan", why, sizeof why);
 *     if (!s) s = writefile_append(&w, image, size, why, sizeof why);
 *     if (!s) s = writefile_commit(&w, why, sizeof why);
 */
#ifndef TENON_RUNTIME_BASE_WRITEFILE_H
#define TENON_RUNTIME_BASE_WRITEFILE_H

#include <limits.h>
#include <stddef.h>
#include "runtime/base/status.h"

#define WRITE_CHUNK ((size_t)2 << 20)

typedef struct WriteFile {
    int fd, folder;       /* -1 when closed */
    unsigned char *chunk; /* what is not written yet, ... */
    size_t held;          /* ... bytes of it */
    char name[NAME_MAX + 1];
    char temporary[64]; /* within the folder */
} WriteFile;

/* Each returns TN_OK or TN_E_IO and then writes one line into `why`,
 * for example "No space left on device". A target that exists must
 * be a regular file. The new file's mode is 0666 less the umask. */
TnStatus writefile_begin(WriteFile *w, const char *path, char *why, size_t why_size);
TnStatus writefile_append(WriteFile *w, const void *data, size_t size, char *why, size_t why_size);
/* Overwrites bytes that were appended before; all of these are in the file afterwards. */
TnStatus writefile_patch(WriteFile *w, size_t offset, const void *data, size_t size, char *why,
                         size_t why_size);
TnStatus writefile_commit(WriteFile *w, char *why, size_t why_size);

/* Removes the temporary file; nothing to do after commit or a failure. */
void writefile_abort(WriteFile *w);

#endif
