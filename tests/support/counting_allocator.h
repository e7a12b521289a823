/* An allocator that counts, fails when told to, and gives memory full of 0xa5. */
#ifndef TENON_TESTS_SUPPORT_COUNTING_ALLOCATOR_H
#define TENON_TESTS_SUPPORT_COUNTING_ALLOCATOR_H

#include <stdlib.h>
#include <string.h>

typedef struct Counter {
    int calls, live;
    int fail_at; /* number of the first call that fails, from 1; 0 = none */
    int for_good;
} Counter;

static inline void *count_allocate(void *user, size_t size, size_t alignment) {
    Counter *c = user;
    c->calls++;
    if (c->fail_at && (c->for_good ? c->calls >= c->fail_at : c->calls == c->fail_at)) return NULL;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    void *p = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p) {
        memset(p, 0xa5, size); /* nobody may rely on zeros */
        c->live++;
    }
    return p;
}

static inline void count_release(void *user, void *memory) {
    ((Counter *)user)->live--;
    free(memory);
}

#endif
