/* Reading the index of a sharded checkpoint.
 *
 *     {"metadata": {...}, "weight_map": {"wte.weight": "model-00001-of-00002.safetensors", ...}}
 *
 * Every file name is checked before any file is opened: a plain name in the checkpoint's folder. */
#include "frontend/hf/shard_index.h"

#include <stdlib.h>
#include <string.h>
#include "frontend/hf/json.h"

static void check_name(Json v, const char *name) {
    bool plain = *name && *name != '.' && !strpbrk(name, "/\\") && strlen(name) < 256;
    if (!plain) json_fail_value(v, "the name of a file in the same folder");
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct file names of the map, sorted. */
static const char **file_names(Cx *cx, Json map, size_t *count) {
    const char **names = ARENA_ARRAY(&cx->arena, const char *, json_count(map));
    size_t n = 0;
    *count = 0;
    for (Json v = json_first(map); v.node; v = json_next(v)) {
        names[n] = json_as_string(v);
        check_name(v, names[n++]);
    }
    if (n) qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i - 1], names[i]) != 0) names[(*count)++] = names[i];
    return names;
}

SafeTensors **shards_open(Cx *cx, const char *folder, size_t *count) {
    Json root =
        json_open(cx, arena_printf(&cx->arena, "%s/%s", folder, SHARD_INDEX_FILE), TN_MAX_CONFIG);
    Json map = json_object(root, "weight_map");
    const char **names = file_names(cx, map, count);
    if (*count == 0) json_fail_value(map, "at least one tensor");
    if (*count > TN_MAX_SHARD_FILES)
        json_fail_value(
            map, arena_printf(&cx->arena, "at most %d files, not %zu", TN_MAX_SHARD_FILES, *count));
    SafeTensors **shards = ARENA_ARRAY(&cx->arena, SafeTensors *, *count);
    for (size_t i = 0; i < *count; i++)
        shards[i] = st_open(cx, arena_printf(&cx->arena, "%s/%s", folder, names[i]));
    for (Json v = json_first(map); v.node; v = json_next(v)) {
        const char *file = json_as_string(v);
        const char **slot = bsearch(&file, names, *count, sizeof *names, by_text);
        if (!st_find(shards[slot - names], json_key(v)))
            tn_fail(cx, TN_E_MODEL, "%s/%s: tensor '%s' is not in '%s'", folder, SHARD_INDEX_FILE,
                    tn_quoted(cx, json_key(v)), tn_quoted(cx, file));
    }
    return shards;
}
