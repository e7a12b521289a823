/* Open addressing with linear probing. */
#include "ir/names.h"

#include <stdint.h>
#include <string.h>
#include <xxhash.h>

typedef struct NameSlot {
    const char *name; /* NULL: free */
    void *object;
} NameSlot;

static NameSlot *slot_of(NameSlot *slots, size_t capacity, const char *name) {
    size_t i = (size_t)XXH3_64bits(name, strlen(name)) & (capacity - 1);
    while (slots[i].name && strcmp(slots[i].name, name) != 0) i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static void grow(NameMap *m) {
    size_t capacity = m->capacity ? 2 * m->capacity : 64;
    NameSlot *slots = ARENA_ARRAY(m->arena, NameSlot, capacity);
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].name) *slot_of(slots, capacity, m->slots[i].name) = m->slots[i];
    m->slots = slots;
    m->capacity = capacity;
}

bool names_add(NameMap *m, const char *name, void *object) {
    if (2 * m->count >= m->capacity) grow(m);
    NameSlot *s = slot_of(m->slots, m->capacity, name);
    if (s->name) return false;
    *s = (NameSlot){name, object};
    m->count++;
    return true;
}

void *names_find(const NameMap *m, const char *name) {
    return m->count ? slot_of(m->slots, m->capacity, name)->object : NULL;
}

bool names_has(const NameMap *m, const char *name) {
    return m->count && slot_of(m->slots, m->capacity, name)->name;
}
