/* The layouts of a session's last few sets of shapes: callers that alternate between some lengths
 * prepare each of them once.
 *
 * A layout is what lay_out makes of dims: symbols, values, buffers, calls and their operands, and
 * the stage but for its block. The present one is in the session's own tables; when other shapes
 * come it changes places with the kept one of those or, if there is none, a copy of it takes the
 * place of the oldest. Places are made when they are first needed, at most SHAPES_KEPT of them.
 * Functions of several stages, with children or states, keep none: their layouts depend on more
 * than the bindings. */
#include <string.h>
#include "runtime/runtime.h"

enum { TABLES = 9 };

typedef struct Table {
    unsigned char *data;
    size_t bytes;
} Table;

static uint32_t port_count(const tenon_session *s) {
    return s->function->input_count + s->function->output_count;
}

/* All that a layout is; the bindings that it is for come first. Bytes in all. */
static size_t tables_of(tenon_session *s, Table tables[TABLES]) {
    const uint32_t calls = s->function->instruction_count;
    const Table all[TABLES] = {
        {(unsigned char *)s->shapes, port_count(s) * sizeof *s->shapes},
        {(unsigned char *)s->symbols, s->plan->symbols_count * sizeof *s->symbols},
        {(unsigned char *)s->values, s->plan->exprs_count * sizeof *s->values},
        {(unsigned char *)s->buffers, s->function->buffer_count * sizeof *s->buffers},
        {(unsigned char *)s->calls, calls * sizeof *s->calls},
        {(unsigned char *)s->operands, s->operand_count * sizeof *s->operands},
        {(unsigned char *)s->offsets, s->operand_count * sizeof *s->offsets},
        {(unsigned char *)s->scalars, s->scalar_count * sizeof *s->scalars},
        {(unsigned char *)s->stages, sizeof *s->stages},
    };
    size_t bytes = 0;
    memcpy(tables, all, sizeof all);
    for (int i = 0; i < TABLES; i++) bytes += all[i].bytes;
    return bytes;
}

static bool keeps_shapes(const tenon_session *s) {
    return s->root == s && s->stage_count == 1 && !s->children && !s->use_count;
}

bool shapes_equal(const tenon_session *s, const Binding *then) {
    for (uint32_t i = 0; i < port_count(s); i++) {
        const Binding *now = &s->bindings[i];
        if (now->bound != then[i].bound) return false;
        if (!now->bound || i >= s->function->input_count) continue;
        for (int axis = 0; axis < now->tensor.rank; axis++)
            if (now->tensor.dims[axis] != then[i].tensor.dims[axis]) return false;
    }
    return true;
}

static void swap_bytes(unsigned char *a, unsigned char *b, size_t bytes) {
    unsigned char room[512];
    for (size_t n; bytes; bytes -= n, a += n, b += n) {
        n = bytes < sizeof room ? bytes : sizeof room;
        memcpy(room, a, n);
        memcpy(a, b, n);
        memcpy(b, room, n);
    }
}

bool shapes_recall(tenon_session *s) {
    Table tables[TABLES];
    Block block = s->stages[0].block;
    unsigned char *kept = NULL;
    for (int i = 0; i < SHAPES_KEPT && s->kept[i]; i++)
        if (shapes_equal(s, (const Binding *)(const void *)s->kept[i])) kept = s->kept[i];
    if (!kept) return false;
    tables_of(s, tables);
    for (int i = 0; i < TABLES; kept += tables[i++].bytes)
        swap_bytes(tables[i].data, kept, tables[i].bytes);
    s->stages[0].block = block;
    return s->stages[0].laid_out;
}

void shapes_keep(tenon_session *s) {
    Table tables[TABLES];
    unsigned char **kept = &s->kept[s->next_kept];
    if (!keeps_shapes(s) || !s->stages[0].laid_out) return;
    size_t bytes = tables_of(s, tables);
    if (!*kept) *kept = arena_alloc(&s->memory, bytes);
    if (!*kept) return; /* then these shapes will be prepared again */
    s->next_kept = (s->next_kept + 1) % SHAPES_KEPT;
    unsigned char *to = *kept;
    for (int i = 0; i < TABLES; to += tables[i++].bytes)
        if (tables[i].bytes) memcpy(to, tables[i].data, tables[i].bytes);
}
