/* Opening a plan: header, section table, hashes, and an own copy of the program.
 *
 * Everything here is about bytes: ranges, alignment, overlap, checksums, versions. What the records
 * mean is plan_check.c's business, and it sees the copy only, so a file that changes while it is
 * mapped cannot get past it. WEIGHTS stays where it is and is not read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include "runtime/base/checked.h"
#include "runtime/runtime.h"

#define MAX_SECTIONS     64
#define MAX_HEADER_BYTES 1024 /* of the header and of one section record in a later version */

typedef struct SectionKind {
    const char *name;
    size_t record, field, count; /* bytes of a record; offsets of the members of tenon_plan */
} SectionKind;

static const SectionKind kinds[] = {
#define X(kind, type, member)                                                 \
    [TN_SECTION_##kind] = {#kind, sizeof(type), offsetof(tenon_plan, member), \
                           offsetof(tenon_plan, member##_count)},
    TN_PROGRAM_SECTIONS(X)
#undef X
        [TN_SECTION_WEIGHTS] = {"WEIGHTS", 1, 0, 0},
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

typedef struct Loader {
    tenon_plan *plan;
    const unsigned char *data;
    uint64_t size;
    PlanSection sections[MAX_SECTIONS];
    tenon_error *err;
} Loader;

static tenon_status not_a_plan(Loader *l) {
    const char *kind = tn_file_kind(l->data, (size_t)l->size);
    if (l->size >= 5 && memcmp(l->data, TN_PLAN_MAGIC, 5) == 0)
        return tn_error(
            l->err, TENON_E_FORMAT,
            "the first bytes are those of a plan that was truncated or copied in text mode");
    return tn_error(l->err, TENON_E_FORMAT, "not a Tenon plan but %s", kind);
}

/* Copies and checks the header. */
static tenon_status load_header(Loader *l) {
    PlanHeader *h = &l->plan->header;
    if (l->size < sizeof *h || memcmp(l->data, TN_PLAN_MAGIC, sizeof h->magic) != 0)
        return not_a_plan(l);
    memcpy(h, l->data, sizeof *h);
    if (h->major != TN_PLAN_MAJOR)
        return tn_error(l->err, TENON_E_VERSION, "plan version %d.%d; this library reads %s %d.%d",
                        h->major, h->minor, h->major > TN_PLAN_MAJOR ? "up to" : "from",
                        TN_PLAN_MAJOR, h->major > TN_PLAN_MAJOR ? TN_PLAN_MINOR : 0);
    if (h->file_bytes != l->size)
        return tn_error(l->err, TENON_E_CORRUPT,
                        "the file has %" PRIu64 " bytes, its header says %" PRIu64, l->size,
                        h->file_bytes);
    if (h->header_bytes < sizeof *h || h->header_bytes > MAX_HEADER_BYTES || h->header_bytes % 8)
        return tn_error(l->err, TENON_E_CORRUPT, "header of %" PRIu32 " bytes", h->header_bytes);
    if (h->section_bytes < sizeof(PlanSection) || h->section_bytes > MAX_HEADER_BYTES ||
        h->section_bytes % 8)
        return tn_error(l->err, TENON_E_CORRUPT, "section records of %" PRIu32 " bytes",
                        h->section_bytes);
    if (h->section_count > MAX_SECTIONS)
        return tn_error(l->err, TENON_E_CORRUPT, "%" PRIu32 " sections; at most %d",
                        h->section_count, MAX_SECTIONS);
    if (!tn_range_ok(h->header_bytes, (uint64_t)h->section_count * h->section_bytes, l->size))
        return tn_error(l->err, TENON_E_CORRUPT,
                        "the section table reaches beyond the end of the file");
    return TENON_OK;
}

/* Copies header and section table, checks their hash and which features are needed. */
static tenon_status load_table(Loader *l) {
    const PlanHeader *h = &l->plan->header;
    PlanHeader hashed = *h;
    size_t bytes = h->header_bytes + (size_t)h->section_count * h->section_bytes;
    unsigned char *table = arena_copy(&l->plan->arena, l->data, bytes);
    if (!table) return tn_error(l->err, TENON_E_MEMORY, "out of memory");
    hashed.hash = 0;
    memcpy(table, &hashed, sizeof hashed);
    uint64_t hash = XXH3_64bits(table, bytes);
    if (hash != h->hash)
        return tn_error(l->err, TENON_E_CORRUPT,
                        "header: checksum 0x%016" PRIx64 " but contents give 0x%016" PRIx64,
                        h->hash, hash);
    if (h->required & ~(uint64_t)TN_FEATURES_KNOWN)
        return tn_error(l->err, TENON_E_VERSION,
                        "the plan needs features 0x%" PRIx64 " that this library lacks",
                        h->required & ~(uint64_t)TN_FEATURES_KNOWN);
    for (uint32_t i = 0; i < h->section_count; i++)
        memcpy(&l->sections[i], table + h->header_bytes + (size_t)i * h->section_bytes,
               sizeof(PlanSection));
    return TENON_OK;
}

static const char *section_name(uint32_t kind) {
    return kind < KIND_COUNT && kinds[kind].name ? kinds[kind].name : NULL;
}

static bool is_bytes(uint32_t kind) { /* the count of PARAMS is for the reader's eyes */
    return kind == TN_SECTION_STRINGS || kind == TN_SECTION_PARAMS || kind == TN_SECTION_WEIGHTS;
}

/* Range, alignment, record size, overlap with earlier sections. */
static tenon_status check_section(Loader *l, uint32_t i) {
    const PlanHeader *h = &l->plan->header;
    const PlanSection *s = &l->sections[i];
    const char *name = section_name(s->kind);
    uint64_t table_end = h->header_bytes + (uint64_t)h->section_count * h->section_bytes;
    char number[32];
    if (!name) {
        snprintf(number, sizeof number, "%" PRIu32, s->kind);
        name = number;
        if (s->flags & TN_SECTION_REQUIRED)
            return tn_error(l->err, TENON_E_VERSION,
                            "section %s is required but unknown to this library", name);
    }
    if (s->offset % TN_PLAN_ALIGN)
        return tn_error(l->err, TENON_E_CORRUPT,
                        "section %s: offset %" PRIu64 " is not a multiple of %d", name, s->offset,
                        TN_PLAN_ALIGN);
    if (s->offset < table_end || !tn_range_ok(s->offset, s->bytes, l->size))
        return tn_error(l->err, TENON_E_CORRUPT,
                        "section %s: bytes %" PRIu64 " + %" PRIu64
                        " lie outside the file of %" PRIu64,
                        name, s->offset, s->bytes, l->size);
    for (uint32_t j = 0; j < i; j++) {
        const PlanSection *o = &l->sections[j];
        const char *other = section_name(o->kind);
        if (o->kind == s->kind)
            return tn_error(l->err, TENON_E_CORRUPT, "section %s occurs twice", name);
        if (s->bytes && o->bytes && s->offset < o->offset + o->bytes &&
            o->offset < s->offset + s->bytes)
            return tn_error(l->err, TENON_E_CORRUPT, "sections %s and %s overlap", name,
                            other ? other : "?");
    }
    if (s->kind >= KIND_COUNT || is_bytes(s->kind)) return TENON_OK;
    size_t record = kinds[s->kind].record;
    if (s->count >= TN_NO_ID || s->bytes != s->count * record)
        return tn_error(l->err, TENON_E_CORRUPT,
                        "section %s: %" PRIu64 " bytes are not %" PRIu64 " records of %zu", name,
                        s->bytes, s->count, record);
    return TENON_OK;
}

/* Copies one section of the program, then checks the copy's hash. */
static tenon_status copy_section(Loader *l, const PlanSection *s) {
    const SectionKind *kind = &kinds[s->kind];
    if (is_bytes(s->kind) && s->bytes >= TN_NO_ID)
        return tn_error(l->err, TENON_E_LIMIT, "section %s: %" PRIu64 " bytes are too many",
                        kind->name, s->bytes);
    void *copy = arena_alloc(&l->plan->arena, (size_t)s->bytes);
    if (!copy) return tn_error(l->err, TENON_E_MEMORY, "out of memory for section %s", kind->name);
    memcpy(copy, l->data + s->offset, (size_t)s->bytes);
    uint64_t hash = XXH3_64bits(copy, (size_t)s->bytes);
    if (hash != s->hash)
        return tn_error(l->err, TENON_E_CORRUPT,
                        "section %s: checksum 0x%016" PRIx64 " but contents give 0x%016" PRIx64,
                        kind->name, s->hash, hash);
    uint32_t count = (uint32_t)(s->bytes / kind->record);
    memcpy((char *)l->plan + kind->field, &copy, sizeof copy);
    memcpy((char *)l->plan + kind->count, &count, sizeof count);
    return TENON_OK;
}

static tenon_status load_sections(Loader *l) {
    tenon_plan *p = l->plan;
    for (uint32_t i = 0; i < p->header.section_count; i++) {
        tenon_status status = check_section(l, i);
        if (status) return status;
    }
    for (uint32_t i = 0; i < p->header.section_count; i++) {
        const PlanSection *s = &l->sections[i];
        if (!section_name(s->kind)) continue;
        if (s->kind == TN_SECTION_WEIGHTS) {
            p->weights = l->data + s->offset;
            p->weights_bytes = s->bytes;
            p->weights_hash = s->hash;
            continue;
        }
        tenon_status status = copy_section(l, s);
        if (status) return status;
    }
    return TENON_OK;
}

static tenon_status load_plan(Loader *l) {
    tenon_status status = load_header(l);
    if (!status) status = load_table(l);
    if (!status) status = load_sections(l);
    if (!status) status = plan_check(l->plan, l->err);
    if (!status && !plan_render(l->plan))
        status = tn_error(l->err, TENON_E_MEMORY, "out of memory");
    return status;
}

tenon_status plan_check_weights(const tenon_plan *p, tenon_error *err) {
    uint64_t hash = XXH3_64bits(p->weights, (size_t)p->weights_bytes);
    if (!p->weights || hash == p->weights_hash) return TENON_OK;
    return tn_error(err, TENON_E_CORRUPT,
                    "section WEIGHTS: checksum 0x%016" PRIx64 " but contents give 0x%016" PRIx64,
                    p->weights_hash, hash);
}

/* A plan with options applied but nothing loaded. */
static tenon_status new_plan(const tenon_plan_options *given, tenon_plan_options *o,
                             tenon_plan **plan, tenon_error *err) {
    *o = (tenon_plan_options){0};
    if (given) {
        if (!given->struct_size)
            return tn_error(err, TENON_E_ARGUMENT, "struct_size of the plan options is 0");
        memcpy(o, given, given->struct_size < sizeof *o ? given->struct_size : sizeof *o);
    }
    TnAlloc alloc = tn_default_alloc();
    if (o->allocator) {
        if (!o->allocator->allocate || !o->allocator->release)
            return tn_error(err, TENON_E_ARGUMENT, "an allocator needs both functions");
        alloc = (TnAlloc){o->allocator->allocate, o->allocator->release, o->allocator->user};
    }
    TnIsa best = tn_cpu_isa(), isa = best;
    if (o->isa) {
        if ((unsigned)o->isa > TENON_ISA_AVX512_BF16)
            return tn_error(err, TENON_E_ARGUMENT, "isa %d is unknown", o->isa);
        isa = (TnIsa)(o->isa - TENON_ISA_SCALAR);
        if (isa > best)
            return tn_error(err, TENON_E_ARGUMENT, "this CPU lacks %s; its best level is %s",
                            tn_isa_name(isa), tn_isa_name(best));
    }
    tenon_plan *p = tn_allocate(&alloc, sizeof *p, _Alignof(max_align_t));
    if (!p) return tn_error(err, TENON_E_MEMORY, "out of memory");
    *p = (tenon_plan){.references = 1, .alloc = alloc, .isa = isa, .arena = {.alloc = alloc}};
    *plan = p;
    return TENON_OK;
}

/* Loads the bytes; on failure drops the plan and puts `name` before the message. */
static tenon_status finish_open(tenon_plan *p, const void *data, uint64_t size, const char *name,
                                tenon_plan **plan, tenon_error *err) {
    Loader l = {.plan = p, .data = data, .size = size, .err = err};
    tenon_status status = load_plan(&l);
    if (status) {
        tn_error_prefix(err, name);
        tenon_plan_close(p);
        return status;
    }
    *plan = p;
    return TENON_OK;
}

tenon_status tenon_plan_open(const char *path, const tenon_plan_options *options, tenon_plan **plan,
                             tenon_error *err) {
    tenon_plan_options o;
    tenon_plan *p = NULL;
    char why[160], name[200];
    if (!path || !plan) return tn_error(err, TENON_E_ARGUMENT, "path and plan must not be NULL");
    tenon_status status = new_plan(options, &o, &p, err);
    if (status) return status;
    snprintf(name, sizeof name, strlen(path) < 190 ? "'%s'" : "'...%s'",
             strlen(path) < 190 ? path : path + strlen(path) - 180);
    TnStatus opened = o.read_into_memory ? mapfile_read(&p->file, &p->alloc, path, why, sizeof why)
                                         : mapfile_open(&p->file, path, why, sizeof why);
    if (opened) {
        tenon_plan_close(p);
        return tn_error(err, (tenon_status)opened, "%s: %s", name, why);
    }
    return finish_open(p, p->file.data, p->file.size, name, plan, err);
}

tenon_status tenon_plan_open_memory(const void *bytes, size_t size,
                                    const tenon_plan_options *options, tenon_plan **plan,
                                    tenon_error *err) {
    tenon_plan_options o;
    tenon_plan *p = NULL;
    if (!bytes || !plan) return tn_error(err, TENON_E_ARGUMENT, "bytes and plan must not be NULL");
    if (!is_aligned(bytes, TN_PLAN_ALIGN))
        return tn_error(err, TENON_E_ARGUMENT, "the bytes must start at a multiple of %d",
                        TN_PLAN_ALIGN);
    tenon_status status = new_plan(options, &o, &p, err);
    if (status) return status;
    return finish_open(p, bytes, size, "plan in memory", plan, err);
}

tenon_plan *tenon_plan_retain(tenon_plan *plan) {
    if (plan) atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void tenon_plan_close(tenon_plan *plan) {
    if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) > 1) return;
    TnAlloc alloc = plan->alloc;
    mapfile_close(&plan->file);
    arena_free(&plan->arena);
    tn_release(&alloc, plan);
}
