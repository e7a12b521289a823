/* A map from names to objects, in an arena. */
#ifndef TENON_IR_NAMES_H
#define TENON_IR_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include "runtime/base/arena.h"

typedef struct NameMap {
    Arena *arena;
    struct NameSlot *slots; /* a power of two of them, at most half used */
    size_t capacity, count;
} NameMap;

bool names_add(NameMap *m, const char *name,
               void *object); /* false, and nothing changed, if the name is there; keeps `name` */
void *names_find(const NameMap *m, const char *name); /* NULL if absent */
bool names_has(const NameMap *m, const char *name);

#endif
