/* config.json of a checkpoint folder, read strictly.
 *
 * Invariant: every accessor either returns a value within the range asked for or fails, naming the
 * key, the value found and what was wanted. A key may list alternatives in order of preference,
 * since model families name the same size differently; the first one present and not null counts.
 * The `_or` accessors take an absent or null key as the fallback; a key that is present must still
 * be of the right kind.
 *
 *     Config *c = config_open(cx, "gpt2");
 *     int64_t width = config_int(c, "hidden_size|n_embd", 1, 1 << 16);
 *     double eps = config_float_or(c, "layer_norm_epsilon", 1e-5);
 *
 * Python code that a config points at (auto_map) is never followed; it is read like any unknown
 * key.
 */
#ifndef TENON_FRONTEND_HF_CONFIG_H
#define TENON_FRONTEND_HF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "frontend/hf/json.h"
#include "ir/fail.h"

typedef struct Config Config;

/* Fails if the file is missing, not a JSON object, or has a quantization_config. */
Config *config_open(Cx *cx, const char *folder);

const char *config_architecture(const Config *c); /* architectures[0], or NULL */
const char *config_model_type(const Config *c);   /* NULL if absent */

bool config_has(const Config *c, const char *keys); /* present and not null */
int64_t config_int(const Config *c, const char *keys, int64_t min, int64_t max);
int64_t config_int_or(const Config *c, const char *keys, int64_t min, int64_t max,
                      int64_t fallback);
double config_float(const Config *c, const char *keys);
double config_float_or(const Config *c, const char *keys, double fallback);
bool config_bool_or(const Config *c, const char *keys, bool fallback);
const char *config_string(const Config *c, const char *keys);
const char *config_string_or(const Config *c, const char *keys, const char *fallback);

/* The integers of an array, at most `max_count`; the count is returned. Absent or null: 0. */
size_t config_ints(const Config *c, const char *keys, int64_t min, int64_t max, int64_t *out,
                   size_t max_count);

/* The object under `keys` as a config of its own ("text_config",
 * "rope_parameters"). NULL if absent or null. */
Config *config_sub(const Config *c, const char *keys);

/* The value itself, for what the accessors above do not cover (id2label); absent is JSON_ABSENT. */
Json config_value(const Config *c, const char *keys);

/* Fails under this file's name: for what no single accessor
 * sees (heads do not divide the width). */
_Noreturn void config_fail(const Config *c, TnStatus code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
