/* Two heuristics, the better result wins:
 *
 * - By rank: items in order of falling size (then of falling size times lifetime, and of falling
 *   lifetime), each into the smallest gap between those already placed that live at the same time
 *   (best fit); again with the item that ended highest placed first, as long as there is something
 *   to gain. Near the lower bound for networks, but O(n^2), so only for up to MAX_BY_RANK items.
 * - By time: a simulated allocator walks the steps; freed blocks merge with their neighbours and
 *   wait in lists by power-of-two size, of which the best of the first few is taken. O(n log n).
 *
 * Sizes are rounded up to TN_MEM_ALIGN first; `live` counts
 * rounded sizes, hence is a lower bound of `total`. */
#include "runtime/memplan.h"

#include <string.h>
#include "runtime/base/checked.h"

#define MAX_BY_RANK  4096
#define MAX_IMPROVED 512 /* items with which more than one attempt is made */
#define ROUNDS       32  /* attempts of by rank per order */
#define MAX_PROBES   16  /* blocks looked at in one free list */
#define CLASSES      64
#define MAX_TOTAL    ((uint64_t)1 << 60)
#define NONE         UINT32_MAX

typedef struct Key {
    uint64_t key;
    uint32_t index;
} Key;

/* A stretch of the simulated arena: neighbours in address order, and links of its free list. */
typedef struct Block {
    uint64_t offset, size;
    uint32_t before, after;  /* neighbours */
    uint32_t next, previous; /* free list */
    uint32_t free;
} Block;

typedef struct Heap {
    Block *blocks;
    uint32_t block_count, last; /* last = the block with the highest address */
    uint32_t spare;             /* chain of unused blocks */
    uint32_t lists[CLASSES];
    uint64_t end;
} Heap;

/* Parts of the scratch memory; a Block exists per item that
 * is live plus one per gap: at most 2n + 1. */
typedef struct Scratch {
    Key *a, *b;
    uint64_t *offsets, *best;
    uint32_t *order;
    Block *blocks;
} Scratch;

size_t tn_memplan_scratch(size_t n) {
    size_t per_item = 2 * sizeof(Key) + 3 * sizeof(uint64_t) + 2 * sizeof(Block), bytes;
    if (n >= NONE / 2 || !tn_mul_size(n + 1, per_item, &bytes)) return 0;
    return bytes;
}

static Scratch carve(void *memory, size_t n) {
    Scratch s;
    s.a = memory;
    s.b = s.a + n + 1;
    s.offsets = (uint64_t *)(s.b + n + 1);
    s.best = s.offsets + n + 1;
    s.blocks = (Block *)(s.best + n + 1);
    s.order = (uint32_t *)(s.blocks + 2 * (n + 1));
    return s;
}

static bool comes_before(Key a, Key b) {
    return a.key != b.key ? a.key < b.key : a.index < b.index;
}

/* Puts `key` in the heap [0, n) from node `at` on downwards, the last in order at the top. */
static void sift(Key *heap, size_t n, size_t at, Key key) {
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_before(heap[child], heap[child + 1])) child++;
        if (!comes_before(key, heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = key;
}

/* By heap, which needs no memory: qsort may allocate, and this is done at every new length. */
static void sort(Key *keys, size_t n) {
    for (size_t i = n / 2; i-- > 0;) sift(keys, n, i, keys[i]);
    while (n-- > 1) {
        Key last = keys[n];
        keys[n] = keys[0];
        sift(keys, n, 0, last);
    }
}

static bool lives_with(const TnMemItem *a, const TnMemItem *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* Best fit in the order of s.a. `order` holds what is placed, by rising offset. Returns the arena's
 * size. */
static uint64_t place(TnMemItem *items, size_t n, Scratch s) {
    uint64_t total = 0;
    size_t placed = 0;
    for (size_t i = 0; i < n; i++) {
        TnMemItem *item = &items[s.a[i].index];
        uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
        if (item->size == 0) continue;
        for (size_t j = 0; j < placed; j++) {
            const TnMemItem *other = &items[s.order[j]];
            if (!lives_with(item, other)) continue;
            if (other->offset > end) {
                uint64_t gap = other->offset - end;
                if (gap >= item->size && gap < best_gap) {
                    best_gap = gap;
                    best = end;
                }
            }
            if (other->offset + other->size > end) end = other->offset + other->size;
        }
        item->offset = best != UINT64_MAX ? best : end;
        if (item->offset + item->size > total) total = item->offset + item->size;
        size_t at = placed++;
        for (; at > 0 && items[s.order[at - 1]].offset > item->offset; at--)
            s.order[at] = s.order[at - 1];
        s.order[at] = s.a[i].index;
    }
    return total;
}

/* The item that reaches the end is placed first from then on: what cannot move makes room for it.
 */
static void promote_highest(const TnMemItem *items, size_t n, Scratch s, uint64_t total) {
    size_t at = 0;
    while (at + 1 < n && items[s.a[at].index].offset + items[s.a[at].index].size != total) at++;
    Key highest = s.a[at];
    memmove(s.a + 1, s.a, at * sizeof *s.a);
    s.a[0] = highest;
}

typedef enum Rank { BY_SIZE, BY_AREA, BY_LIFETIME, RANKS } Rank;

static uint64_t rank_of(const TnMemItem *item, Rank rank) {
    uint64_t steps = (uint64_t)item->last - item->first + 1, area;
    if (rank == BY_SIZE) return item->size;
    if (rank == BY_LIFETIME) return steps;
    return __builtin_mul_overflow(item->size, steps, &area) ? UINT64_MAX : area;
}

/* The best of all orders and rounds, its offsets in s.best; `live` is the least there can be. */
static uint64_t place_by_rank(TnMemItem *items, size_t n, Scratch s, uint64_t live) {
    uint64_t best = UINT64_MAX;
    bool improve = n <= MAX_IMPROVED;
    for (Rank rank = BY_SIZE; rank < (improve ? RANKS : BY_AREA) && best > live; rank++) {
        for (size_t i = 0; i < n; i++)
            s.a[i] = (Key){UINT64_MAX - rank_of(&items[i], rank), (uint32_t)i};
        sort(s.a, n);
        for (int round = 0; round < (improve ? ROUNDS : 1) && best > live; round++) {
            uint64_t total = place(items, n, s);
            if (total < best) {
                best = total;
                for (size_t i = 0; i < n; i++) s.best[i] = items[i].offset;
            }
            promote_highest(items, n, s, total);
        }
    }
    return best;
}

static int class_of(uint64_t size) {
    return 63 - __builtin_clzll(size);
}

static void list_add(Heap *h, uint32_t b) {
    uint32_t *list = &h->lists[class_of(h->blocks[b].size)];
    h->blocks[b].free = 1;
    h->blocks[b].previous = NONE;
    h->blocks[b].next = *list;
    if (*list != NONE) h->blocks[*list].previous = b;
    *list = b;
}

static void list_remove(Heap *h, uint32_t b) {
    Block *block = &h->blocks[b];
    block->free = 0;
    if (block->previous != NONE)
        h->blocks[block->previous].next = block->next;
    else
        h->lists[class_of(block->size)] = block->next;
    if (block->next != NONE) h->blocks[block->next].previous = block->previous;
}

static uint32_t new_block(Heap *h, uint64_t offset, uint64_t size) {
    uint32_t b = h->spare;
    if (b != NONE)
        h->spare = h->blocks[b].next;
    else
        b = h->block_count++;
    h->blocks[b] = (Block){offset, size, NONE, NONE, NONE, NONE, 0};
    return b;
}

/* The smallest of a few free blocks that fit, or NONE. Larger classes always fit. */
static uint32_t find_free(const Heap *h, uint64_t size) {
    for (int c = class_of(size); c < CLASSES; c++) {
        uint32_t best = NONE;
        int probes = 0;
        for (uint32_t b = h->lists[c]; b != NONE && probes < MAX_PROBES;
             b = h->blocks[b].next, probes++)
            if (h->blocks[b].size >= size &&
                (best == NONE || h->blocks[b].size < h->blocks[best].size))
                best = b;
        if (best != NONE) return best;
    }
    return NONE;
}

static uint32_t heap_take(Heap *h, uint64_t size) {
    uint32_t b = find_free(h, size);
    if (b == NONE && h->last != NONE && h->blocks[h->last].free) { /* lengthen the free end */
        b = h->last;
        list_remove(h, b);
        h->end += size - h->blocks[b].size;
        h->blocks[b].size = size;
        return b;
    }
    if (b == NONE) {
        b = new_block(h, h->end, size);
        h->blocks[b].before = h->last;
        if (h->last != NONE) h->blocks[h->last].after = b;
        h->last = b;
        h->end += size;
        return b;
    }
    list_remove(h, b);
    if (h->blocks[b].size > size) {
        uint32_t rest = new_block(h, h->blocks[b].offset + size, h->blocks[b].size - size);
        Block *block = &h->blocks[b];
        h->blocks[rest].before = b;
        h->blocks[rest].after = block->after;
        if (block->after != NONE)
            h->blocks[block->after].before = rest;
        else
            h->last = rest;
        block->after = rest;
        block->size = size;
        list_add(h, rest);
    }
    return b;
}

/* Merges block `b` with the one after it, which disappears. */
static void absorb_next(Heap *h, uint32_t b) {
    uint32_t gone = h->blocks[b].after;
    h->blocks[b].size += h->blocks[gone].size;
    h->blocks[b].after = h->blocks[gone].after;
    if (h->blocks[b].after != NONE)
        h->blocks[h->blocks[b].after].before = b;
    else
        h->last = b;
    h->blocks[gone].next = h->spare;
    h->spare = gone;
}

static void heap_give(Heap *h, uint32_t b) {
    uint32_t after = h->blocks[b].after, before = h->blocks[b].before;
    if (after != NONE && h->blocks[after].free) {
        list_remove(h, after);
        absorb_next(h, b);
    }
    if (before != NONE && h->blocks[before].free) {
        list_remove(h, before);
        absorb_next(h, before);
        b = before;
    }
    list_add(h, b);
}

/* Walks the steps with a simulated allocator. `offsets`
 * receives the result, `order` the block of every item. */
static uint64_t place_by_time(const TnMemItem *items, size_t n, Scratch s, uint64_t *live) {
    Heap h = {.blocks = s.blocks, .last = NONE, .spare = NONE};
    uint64_t sum = 0;
    size_t ended = 0;
    memset(h.lists, 0xff, sizeof h.lists);
    for (size_t i = 0; i < n; i++) {
        s.a[i] = (Key){items[i].first, (uint32_t)i};
        s.b[i] = (Key){items[i].last, (uint32_t)i};
    }
    sort(s.a, n);
    sort(s.b, n);
    *live = 0;
    for (size_t i = 0; i < n; i++) {
        const TnMemItem *item = &items[s.a[i].index];
        for (; s.b[ended].key < item->first; ended++) {
            if (items[s.b[ended].index].size == 0) continue;
            sum -= items[s.b[ended].index].size;
            heap_give(&h, s.order[s.b[ended].index]);
        }
        if (item->size == 0) continue;
        uint32_t b = heap_take(&h, item->size);
        s.order[s.a[i].index] = b;
        s.offsets[s.a[i].index] = h.blocks[b].offset;
        sum += item->size;
        if (sum > *live) *live = sum;
    }
    return h.end;
}

bool tn_memplan(TnMemItem *items, size_t n, void *scratch, uint64_t *total, uint64_t *live) {
    Scratch s = carve(scratch, n);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].size > MAX_TOTAL || sum > MAX_TOTAL) return false;
        items[i].size = (items[i].size + TN_MEM_ALIGN - 1) / TN_MEM_ALIGN * TN_MEM_ALIGN;
        items[i].offset = 0;
        sum += items[i].size;
    }
    *total = place_by_time(items, n, s, live);
    const uint64_t *offsets = s.offsets;
    if (n <= MAX_BY_RANK && *total > *live) {
        uint64_t by_rank = place_by_rank(items, n, s, *live);
        if (by_rank < *total) {
            *total = by_rank;
            offsets = s.best;
        }
    }
    for (size_t i = 0; i < n; i++) items[i].offset = items[i].size ? offsets[i] : 0;
    return true;
}
