/* Arena: many small allocations, freed together.
 *
 * Invariant: memory from arena_alloc is zeroed, 16-byte aligned and stays where it is until
 * arena_free. When the allocator returns NULL (or the budget is used up) the arena calls `on_oom`;
 * in the compiler that raises an error and does not return. Without `on_oom`, arena_alloc returns
 * NULL.
 *
 *     Arena a = {.alloc = tn_default_alloc()};
 *     Node *n = ARENA_NEW(&a, Node);
 *     arena_free(&a);
 */
#ifndef TENON_RUNTIME_BASE_ARENA_H
#define TENON_RUNTIME_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/* The caller's allocator. `allocate` returns memory aligned
 * to `alignment` (a power of two) or NULL. */
typedef struct TnAlloc {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *user;
} TnAlloc;

TnAlloc tn_default_alloc(void); /* aligned_alloc / free */
static inline void *tn_allocate(const TnAlloc *a, size_t bytes, size_t alignment) {
    return a->allocate(a->user, bytes, alignment);
}
static inline void tn_release(const TnAlloc *a, void *p) {
    if (p) a->release(a->user, p);
}

typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
    TnAlloc alloc;
    void (*on_oom)(void *user, size_t bytes);
    void *oom_user;
    size_t budget; /* bytes this arena may hold in all; 0 = no bound */
    size_t total;  /* bytes it holds */
    ArenaBlock *head;
} Arena;

void *arena_alloc(Arena *a, size_t bytes);
void *arena_array(Arena *a, size_t count, size_t size); /* overflow counts as out of memory */
void *arena_copy(Arena *a, const void *bytes, size_t size);
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
/* Grows an array kept in the arena to hold at least `want`
 * items; returns the (possibly moved) array. */
void *arena_grow(Arena *a, void *array, size_t *capacity, size_t want, size_t size);
void arena_free(Arena *a);

#define ARENA_NEW(a, T)      ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_array((a), (n), sizeof(T)))

#endif
