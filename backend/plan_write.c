/* The plan writer: header, section table, program sections, weights.
 *
 * Sizes are known before anything is written, so every byte goes straight to its place; only the
 * hash of the weights is known at the end, when the header and the section table are written over
 * their place holders. Padding is zero: nothing in the file depends on memory that was not written.
 */
#include "backend/plan_write.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "backend/pack.h"
#include "runtime/base/writefile.h"

#define MAX_SECTIONS 19

typedef struct Section {
    PlanSectionKind kind;
    const Table *table; /* NULL: the weights */
} Section;

typedef struct Writer {
    Image *im;
    PlanHeader header;
    PlanSection section[MAX_SECTIONS];
    const Table *table[MAX_SECTIONS];
    uint64_t at; /* bytes written */
    WriteFile file;
    bool to_file;
    unsigned char *memory; /* or to memory */
    const char *path;
    XXH3_state_t *hash; /* of the weights */
} Writer;

static void raise_io(Writer *w, const char *why) {
    tn_fail(w->im->cx, TN_E_IO, "'%s' cannot be written: %s", w->path, why);
}

static void append(Writer *w, const void *bytes, size_t size) {
    char why[160];
    if (w->to_file) {
        if (writefile_append(&w->file, bytes, size, why, sizeof why)) raise_io(w, why);
    } else {
        memcpy(w->memory + w->at, bytes, size);
    }
    w->at += size;
}

static void pad_to(Writer *w, uint64_t offset) {
    static const unsigned char zeros[TN_PLAN_ALIGN];
    while (w->at < offset)
        append(w, zeros, offset - w->at < sizeof zeros ? (size_t)(offset - w->at) : sizeof zeros);
}

static uint64_t align(uint64_t n) {
    return (n + TN_PLAN_ALIGN - 1) / TN_PLAN_ALIGN * TN_PLAN_ALIGN;
}

static void add_section(Writer *w, PlanSectionKind kind, const Table *t) {
    uint32_t i = w->header.section_count++;
    PlanSection *s = &w->section[i];
    s->kind = kind;
    s->offset = w->header.file_bytes;
    s->bytes = t ? t->count * t->size : w->im->weight_bytes;
    s->count = t && kind != TN_SECTION_PARAMS ? t->count : s->bytes;
    if (t) s->hash = XXH3_64bits(t->data ? t->data : (const unsigned char *)"", s->bytes);
    w->table[i] = t;
    w->header.file_bytes = align(s->offset + s->bytes);
}

/* Few plans have states; the others are as they were before there were any. */
static bool has_section(const Image *im, PlanSectionKind kind) {
    return kind != TN_SECTION_STATES || im->states.count;
}

static void lay_out(Writer *w) {
    const Image *im = w->im;
    const Section sections[] = {
        {TN_SECTION_STRINGS, &im->strings},
        {TN_SECTION_IDS, &im->ids},
        {TN_SECTION_EXPRS, &im->exprs},
        {TN_SECTION_SYMBOLS, &im->symbols},
        {TN_SECTION_REQUIREMENTS, &im->requirements},
        {TN_SECTION_CONSTANTS, &im->constants},
        {TN_SECTION_BUFFERS, &im->buffers},
        {TN_SECTION_VIEWS, &im->views},
        {TN_SECTION_FUNCTIONS, &im->functions},
        {TN_SECTION_PORTS, &im->ports},
        {TN_SECTION_INSTRUCTIONS, &im->instructions},
        {TN_SECTION_PARAMS, &im->params},
        {TN_SECTION_METADATA, &im->metadata},
        {TN_SECTION_ORIGINS, &im->origins},
        {TN_SECTION_VALUES, &im->values},
        {TN_SECTION_STATES, &im->states},
        {TN_SECTION_WEIGHTS, NULL},
    };
    size_t count = sizeof sections / sizeof *sections;
    w->header = (PlanHeader){.major = TN_PLAN_MAJOR,
                             .minor = TN_PLAN_MINOR,
                             .header_bytes = sizeof(PlanHeader),
                             .section_bytes = sizeof(PlanSection),
                             .required = im->states.count ? TN_FEATURE_STATES : 0};
    memcpy(w->header.magic, TN_PLAN_MAGIC, sizeof w->header.magic);
    w->header.file_bytes = align(sizeof(PlanHeader) + count * sizeof(PlanSection));
    for (size_t i = 0; i < count; i++)
        if (has_section(im, sections[i].kind)) add_section(w, sections[i].kind, sections[i].table);
}

uint64_t plan_bytes(const Image *im) {
    Writer w = {.im = (Image *)im};
    lay_out(&w);
    return w.header.file_bytes;
}

static void append_weights(void *user, const void *bytes, size_t size) {
    Writer *w = user;
    XXH3_64bits_update(w->hash, bytes, size);
    append(w, bytes, size);
}

static void write_weights(Writer *w, PlanSection *s) {
    const PlanConstant *constants = (const PlanConstant *)w->im->constants.data;
    int done = 0, total = (int)w->im->constants.count;
    XXH3_64bits_reset(w->hash);
    for (const Stored *c = w->im->stored; c; c = c->next) {
        pack_constant(w->im, c, append_weights, w);
        uint64_t end = s->offset + constants[c->id].offset + constants[c->id].bytes;
        static const unsigned char zeros[TN_PLAN_ALIGN];
        append_weights(w, zeros, (size_t)(align(end) - w->at));
        tn_progress(w->im->cx, "writing weights", ++done, total);
    }
    s->hash = XXH3_64bits_digest(w->hash);
}

/* The header's hash covers the header with the field zero, then the section table. */
static void seal(Writer *w) {
    size_t table = w->header.section_count * sizeof(PlanSection);
    XXH3_64bits_reset(w->hash);
    XXH3_64bits_update(w->hash, &w->header, sizeof w->header);
    XXH3_64bits_update(w->hash, w->section, table);
    w->header.hash = XXH3_64bits_digest(w->hash);
}

static void write_all(Writer *w) {
    pad_to(w, w->section[0].offset); /* place of header and table */
    for (uint32_t i = 0; i < w->header.section_count; i++) {
        PlanSection *s = &w->section[i];
        pad_to(w, s->offset);
        if (!w->table[i])
            write_weights(w, s);
        else
            append(w, w->table[i]->data ? w->table[i]->data : (const unsigned char *)"",
                   (size_t)s->bytes);
    }
    pad_to(w, w->header.file_bytes);
    seal(w);
}

static void free_hash(void *state) {
    XXH3_freeState(state);
}

static Writer writer_new(Image *im) {
    Writer w = {.im = im, .hash = XXH3_createState()};
    if (!w.hash) tn_fail(im->cx, TN_E_MEMORY, "out of memory");
    tn_defer(im->cx, free_hash, w.hash);
    lay_out(&w);
    return w;
}

static void abort_file(void *file) {
    writefile_abort(file);
}

/* The temporary file beside the target. */
static const char *temporary_path(const Writer *w) {
    const char *slash = strrchr(w->path, '/');
    int folder = slash ? (int)(slash - w->path) + 1 : 0;
    return arena_printf(&w->im->cx->arena, "%.*s%s", folder, w->path, w->file.temporary);
}

void plan_write_file(Image *im, const char *path, PlanInspect *inspect, void *user) {
    char why[160];
    Writer *w = ARENA_NEW(&im->cx->arena, Writer);
    *w = writer_new(im);
    w->path = path;
    w->to_file = true;
    if (writefile_begin(&w->file, path, why, sizeof why)) raise_io(w, why);
    tn_defer(im->cx, abort_file, &w->file);
    write_all(w);
    if (writefile_patch(&w->file, 0, &w->header, sizeof w->header, why, sizeof why))
        raise_io(w, why);
    size_t table = w->header.section_count * sizeof(PlanSection);
    if (writefile_patch(&w->file, sizeof w->header, w->section, table, why, sizeof why))
        raise_io(w, why);
    inspect(user, temporary_path(w));
    if (writefile_commit(&w->file, why, sizeof why)) raise_io(w, why);
}

const void *plan_write_memory(Image *im, size_t *size) {
    Writer w = writer_new(im);
    *size = (size_t)w.header.file_bytes;
    unsigned char *block = arena_alloc(&im->cx->arena, *size + TN_PLAN_ALIGN);
    w.memory = block + (TN_PLAN_ALIGN - (uintptr_t)block % TN_PLAN_ALIGN) % TN_PLAN_ALIGN;
    write_all(&w);
    memcpy(w.memory, &w.header, sizeof w.header);
    memcpy(w.memory + sizeof w.header, w.section, w.header.section_count * sizeof(PlanSection));
    return w.memory;
}

bool plan_is_file(const char *path) {
    char magic[sizeof TN_PLAN_MAGIC - 1];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, magic, sizeof magic);
    close(fd);
    return n == (ssize_t)sizeof magic && !memcmp(magic, TN_PLAN_MAGIC, sizeof magic);
}
