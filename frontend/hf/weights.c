/* The tensors of a checkpoint folder as one sorted list over its safetensors files. */
#include "frontend/weights.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "frontend/hf/shard_index.h"

#define SINGLE_FILE "model.safetensors"
#define MAX_QUOTED  200

struct Weights {
    Cx *cx;
    const char *folder;
    const WeightView **views;   /* shard after shard, in file order */
    const WeightView **by_name; /* sorted */
    size_t count;
};

static const char *quoted(Cx *cx, const char *s) {
    return tn_printable(cx, s, strlen(s), MAX_QUOTED);
}

/* Whether there is anything of that name, be it a broken link. */
static bool exists(Cx *cx, const char *folder, const char *name) {
    struct stat st;
    return lstat(arena_printf(&cx->arena, "%s/%s", folder, name), &st) == 0;
}

_Noreturn static void fail_without_weights(Cx *cx, const char *folder) {
    static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
    tn_enter(cx, "file", folder);
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++)
        if (exists(cx, folder, pickles[i]))
            tn_fail(cx, TN_E_FORMAT,
                    "only '%s' here, a pickle, which can run code and is never read; convert it "
                    "with transformers: from_pretrained(dir).save_pretrained(out)",
                    pickles[i]);
    tn_fail(cx, TN_E_IO, "no weights: neither '%s' nor '%s'", SINGLE_FILE, SHARD_INDEX_FILE);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const WeightView *const *)a)->name, (*(const WeightView *const *)b)->name);
}

static void merge(Weights *w, SafeTensors *const *files, size_t count) {
    size_t total = 0;
    for (size_t f = 0; f < count; f++) total += st_count(files[f]);
    w->views = ARENA_ARRAY(&w->cx->arena, const WeightView *, total);
    for (size_t f = 0; f < count; f++)
        for (size_t i = 0; i < st_count(files[f]); i++) w->views[w->count++] = st_at(files[f], i);
    w->by_name = ARENA_ARRAY(&w->cx->arena, const WeightView *, total);
    if (total == 0) return;
    memcpy(w->by_name, w->views, total * sizeof *w->by_name);
    qsort(w->by_name, total, sizeof *w->by_name, by_name);
    for (size_t i = 1; i < total; i++)
        if (by_name(&w->by_name[i - 1], &w->by_name[i]) == 0)
            tn_fail(w->cx, TN_E_MODEL, "%s: tensor '%s' is in two shards", w->folder,
                    quoted(w->cx, w->by_name[i]->name));
}

Weights *weights_open(Cx *cx, const char *folder) {
    Weights *w = ARENA_NEW(&cx->arena, Weights);
    *w = (Weights){.cx = cx, .folder = arena_strdup(&cx->arena, folder)};
    if (exists(cx, folder, SINGLE_FILE)) {
        SafeTensors *file = st_open(cx, arena_printf(&cx->arena, "%s/%s", folder, SINGLE_FILE));
        merge(w, &file, 1);
    } else if (exists(cx, folder, SHARD_INDEX_FILE)) {
        size_t count;
        SafeTensors **files = shards_open(cx, folder, &count);
        merge(w, files, count);
    } else {
        fail_without_weights(cx, folder);
    }
    return w;
}

const WeightView *weights_find(const Weights *w, const char *name) {
    WeightView key = {.name = name};
    const WeightView *wanted = &key;
    if (!w->count) return NULL;
    const WeightView *const *found =
        bsearch(&wanted, w->by_name, w->count, sizeof *w->by_name, by_name);
    return found ? *found : NULL;
}

/* A tensor whose name and `name` differ by a prefix only
 * ("bert.x" and "x"); NULL if there is none. */
static const WeightView *find_by_suffix(const Weights *w, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < w->count; i++) {
        const char *other = w->views[i]->name;
        size_t m = strlen(other);
        const char *longer = m > n ? other : name, *shorter = m > n ? name : other;
        size_t extra = m > n ? m - n : n - m;
        if (extra > 0 && longer[extra - 1] == '.' && strcmp(longer + extra, shorter) == 0)
            return w->views[i];
    }
    return NULL;
}

const WeightView *weights_need(const Weights *w, const char *name, int rank, const int64_t *dims) {
    const WeightView *v = weights_find(w, name);
    Cx *cx = w->cx;
    const char *wanted = weights_shape_text(cx, rank, dims);
    if (!v) {
        const WeightView *near = find_by_suffix(w, name);
        tn_fail(cx, TN_E_MODEL, "%s: tensor '%s' of shape %s is missing%s%s%s", w->folder,
                quoted(cx, name), wanted, near ? "; there is '" : "",
                near ? quoted(cx, near->name) : "", near ? "'" : "");
    }
    bool same = v->rank == rank;
    for (int i = 0; same && i < rank; i++) same = dims[i] == -1 || dims[i] == v->dims[i];
    if (!same)
        tn_fail(cx, TN_E_MODEL, "%s: tensor '%s' has shape %s, wanted %s", w->folder,
                quoted(cx, name), weights_shape_text(cx, v->rank, v->dims), wanted);
    return v;
}

size_t weights_count(const Weights *w) {
    return w->count;
}

const WeightView *weights_at(const Weights *w, size_t i) {
    return w->views[i];
}

const char *weights_shape_text(Cx *cx, int rank, const int64_t *dims) {
    const char *text = "";
    for (int i = 0; i < rank; i++) {
        const char *comma = i ? ", " : "";
        text = dims[i] == -1
                   ? arena_printf(&cx->arena, "%s%s?", text, comma)
                   : arena_printf(&cx->arena, "%s%s%lld", text, comma, (long long)dims[i]);
    }
    return arena_printf(&cx->arena, "[%s]", text);
}
