/* The arena of arena.h: a list of blocks filled from the front.
 *
 * Blocks start at 4 KiB and double up to 1 MiB; what does not fit the current block gets a block of
 * its own size if it is large, so that the rest of the current one stays in use. Memory is zeroed
 * as it is handed out. */
#include "runtime/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "runtime/base/checked.h"

#define ARENA_ALIGN 16
#define MIN_BLOCK   (size_t)4096
#define MAX_BLOCK   ((size_t)1 << 20)

struct ArenaBlock {
    alignas(ARENA_ALIGN) ArenaBlock *next;
    size_t size, used; /* of data */
    alignas(ARENA_ALIGN) unsigned char data[];
};

/* Large memory begins with a huge page and asks for more of them: page tables of small pages cost
 * what streams over many megabytes a third of the bandwidth. */
#define HUGE_PAGE  ((size_t)2 << 20)
#define HUGE_LEAST (2 * HUGE_PAGE)

static void *default_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    size_t rounded;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    if (bytes >= HUGE_LEAST && alignment < HUGE_PAGE) alignment = HUGE_PAGE;
    if (!tn_add_size(bytes ? bytes : 1, alignment - 1, &rounded)) return NULL;
    void *memory = aligned_alloc(alignment, rounded & ~(alignment - 1));
#ifdef MADV_HUGEPAGE
    if (memory && bytes >= HUGE_LEAST) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

static void default_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

TnAlloc tn_default_alloc(void) {
    return (TnAlloc){default_allocate, default_release, NULL};
}

static void *out_of_memory(Arena *a, size_t bytes) {
    if (a->on_oom) a->on_oom(a->oom_user, bytes);
    return NULL;
}

/* A new block with room for `bytes`, not yet linked; NULL
 * when the allocator or the budget refuses. */
static ArenaBlock *new_block(Arena *a, size_t bytes) {
    size_t size = MIN_BLOCK, total, held;
    while (size < MAX_BLOCK && (size < bytes || size < a->total)) size *= 2;
    if (size < bytes || (a->budget && size > a->budget - a->total)) size = bytes;
    if (!tn_add_size(size, sizeof(ArenaBlock), &total)) return NULL;
    if (!tn_add_size(a->total, total, &held) || (a->budget && held > a->budget)) return NULL;
    ArenaBlock *b = tn_allocate(&a->alloc, total, ARENA_ALIGN);
    if (!b) return NULL;
    a->total = held;
    b->size = size;
    b->used = 0;
    return b;
}

void *arena_alloc(Arena *a, size_t bytes) {
    size_t rounded;
    if (!tn_add_size(bytes ? bytes : 1, ARENA_ALIGN - 1, &rounded)) return out_of_memory(a, bytes);
    rounded &= ~(size_t)(ARENA_ALIGN - 1);
    ArenaBlock *b = a->head;
    if (!b || b->size - b->used < rounded) {
        ArenaBlock *old = b;
        b = new_block(a, rounded);
        if (!b) return out_of_memory(a, bytes);
        if (old && b->size - rounded < old->size - old->used) { /* keep filling the old one */
            b->next = old->next;
            old->next = b;
        } else {
            b->next = old;
            a->head = b;
        }
    }
    void *p = b->data + b->used;
    b->used += rounded;
    return memset(p, 0, rounded);
}

void *arena_array(Arena *a, size_t count, size_t size) {
    size_t bytes;
    if (!tn_mul_size(count, size, &bytes)) return out_of_memory(a, SIZE_MAX);
    return arena_alloc(a, bytes);
}

void *arena_copy(Arena *a, const void *bytes, size_t size) {
    void *p = arena_alloc(a, size);
    if (p && size) memcpy(p, bytes, size);
    return p;
}

char *arena_strdup(Arena *a, const char *s) {
    return arena_strndup(a, s, strlen(s));
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
    size_t size;
    if (!tn_add_size(n, 1, &size)) return out_of_memory(a, n);
    char *p = arena_alloc(a, size);
    if (p && n) memcpy(p, s, n);
    return p;
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? out_of_memory(a, SIZE_MAX) : arena_alloc(a, (size_t)n + 1);
    if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}

void *arena_grow(Arena *a, void *array, size_t *capacity, size_t want, size_t size) {
    if (want <= *capacity) return array;
    size_t next = *capacity ? *capacity : 8;
    while (next < want)
        if (!tn_mul_size(next, 2, &next)) return out_of_memory(a, SIZE_MAX);
    void *grown = arena_array(a, next, size);
    if (!grown) return NULL;
    if (*capacity) memcpy(grown, array, *capacity * size);
    *capacity = next;
    return grown;
}

void arena_free(Arena *a) {
    for (ArenaBlock *b = a->head; b;) {
        ArenaBlock *next = b->next;
        tn_release(&a->alloc, b);
        b = next;
    }
    a->head = NULL;
    a->total = 0;
}
