/* Opening an ONNX file: map, scan, unpack, check the header. */
#include "frontend/onnx/model.h"

#include <string.h>
#include "frontend/onnx/wire.h"
#include "runtime/base/checked.h"

/* Copy and tree together take at most 4 bytes for each byte of the file and 64 MiB: protobuf-c
 * allocates from an arena of its own that refuses what goes beyond. */
#define MEMORY_FACTOR 4
#define MEMORY_SLACK  ((size_t)64 << 20)

/* What outlives the arena of the compilation by nothing: freed when it ends, however it ends. */
typedef struct Storage {
    MapFile file;
    WireCopy copy;
    Arena tree;
} Storage;

static void free_storage(void *arg) {
    Storage *s = arg;
    wire_release(&s->copy);
    arena_free(&s->tree);
    mapfile_close(&s->file);
}

static void *tree_alloc(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

static void tree_free(void *arena, void *pointer) {
    (void)arena;
    (void)pointer;
}

static size_t tree_budget(const Storage *s) {
    size_t all;
    if (!tn_mul_size(s->file.size, MEMORY_FACTOR, &all) || !tn_add_size(all, MEMORY_SLACK, &all))
        all = SIZE_MAX;
    return all > s->copy.capacity ? all - s->copy.capacity : 1;
}

static Onnx__ModelProto *unpack(Cx *cx, Storage *s) {
    ProtobufCAllocator allocator = {tree_alloc, tree_free, &s->tree};
    s->tree.alloc = cx->arena.alloc;
    s->tree.budget = tree_budget(s);
    Onnx__ModelProto *proto =
        onnx__model_proto__unpack(&allocator, s->copy.size, s->copy.size ? s->copy.data : NULL);
    if (!proto)
        tn_fail(cx, TN_E_MEMORY, "reading the file takes more than %zu MiB of memory",
                s->tree.budget >> 20);
    wire_release(&s->copy);
    return proto;
}

static const char *folder_of(Cx *cx, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return ".";
    return slash == path ? "/" : arena_strndup(&cx->arena, path, (size_t)(slash - path));
}

static const char *domain_of(const Onnx__OperatorSetIdProto *opset) {
    return opset->domain && strcmp(opset->domain, "ai.onnx") != 0 ? opset->domain : "";
}

int64_t onnx_opset(const OnnxModel *m, const char *domain) {
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    for (size_t i = 0; i < m->proto->n_opset_import; i++)
        if (strcmp(domain_of(m->proto->opset_import[i]), domain) == 0)
            return m->proto->opset_import[i]->version;
    return 0;
}

static void check_opsets(OnnxModel *m) {
    for (size_t i = 0; i < m->proto->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *opset = m->proto->opset_import[i];
        const char *domain = tn_quoted(m->cx, domain_of(opset));
        int64_t first = onnx_opset(m, domain_of(opset));
        for (size_t j = 0; j < i; j++)
            if (strcmp(domain_of(m->proto->opset_import[j]), domain_of(opset)) == 0)
                tn_fail(m->cx, TN_E_MODEL, "opset of domain '%s' is imported twice, %lld and %lld",
                        domain, (long long)first, (long long)opset->version);
        if (opset->version < 1)
            tn_fail(m->cx, TN_E_MODEL, "opset %lld of domain '%s', wanted 1 or more",
                    (long long)opset->version, domain);
    }
    if (!m->proto->n_opset_import)
        tn_fail(m->cx, TN_E_MODEL, "no opset of the default domain, wanted %d to %d",
                ONNX_MIN_OPSET, ONNX_MAX_OPSET);
    m->opset = onnx_opset(m, "");
}

static void check_header(OnnxModel *m) {
    const Onnx__ModelProto *p = m->proto;
    if (m->file.size == 0 || !p->graph) {
        const char *kind = tn_file_kind(m->file.data, m->file.size);
        bool known = strcmp(kind, "unknown data") != 0;
        tn_fail(m->cx, TN_E_FORMAT, "no graph in the file%s%s", known ? "; it looks like: " : "",
                known ? kind : "");
    }
    if (!p->has_ir_version || p->ir_version < 1)
        tn_fail(m->cx, TN_E_MODEL, "ir_version is %s, wanted %d to %d",
                p->has_ir_version ? arena_printf(&m->cx->arena, "%lld", (long long)p->ir_version)
                                  : "missing",
                ONNX_MIN_IR, ONNX_MAX_IR);
    if (p->ir_version < ONNX_MIN_IR || p->ir_version > ONNX_MAX_IR)
        tn_fail(m->cx, TN_E_UNSUPPORTED, "ir_version %lld is unsupported, wanted %d to %d",
                (long long)p->ir_version, ONNX_MIN_IR, ONNX_MAX_IR);
    check_opsets(m);
}

OnnxModel *onnx_open(Cx *cx, const char *path) {
    char why[256];
    OnnxModel *m = ARENA_NEW(&cx->arena, OnnxModel);
    Storage *s = ARENA_NEW(&cx->arena, Storage);
    m->cx = cx;
    m->path = arena_strdup(&cx->arena, path);
    m->folder = folder_of(cx, path);
    s->copy.alloc = cx->arena.alloc;
    tn_enter(cx, "file", m->path);
    tn_defer(cx, free_storage, s);
    TnStatus status = mapfile_open(&s->file, path, why, sizeof why);
    if (status) tn_fail(cx, status, "%s", why);
    m->file = s->file;
    wire_scan(cx, m->file.data, m->file.size, &s->copy);
    m->proto = unpack(cx, s);
    check_header(m);
    tn_leave(cx);
    return m;
}
