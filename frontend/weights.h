/* Named tensors of a checkpoint folder, wherever they are stored.
 *
 * Invariant: a view's bytes lie inside a read-only mapping that stays until the compilation ends,
 * and `bytes` equals the product of `dims` times the size of `dtype`. Names are unique within a
 * checkpoint. `data` may be unaligned for its type: copy or load bytewise.
 *
 *     Weights *w = weights_open(cx, "bert-base");
 *     const WeightView *v = weights_need(w, "embeddings.LayerNorm.weight", 1, (int64_t[]){hidden});
 */
#ifndef TENON_FRONTEND_WEIGHTS_H
#define TENON_FRONTEND_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>
#include "ir/fail.h"
#include "runtime/base/dtype.h"
#include "runtime/base/limits.h"

typedef struct WeightView {
    const char *name;
    TnDType dtype;
    int rank;
    int64_t dims[TN_MAX_RANK];
    const void *data; /* possibly unaligned; not NULL unless bytes == 0 */
    size_t bytes;
} WeightView;

typedef struct Weights Weights;

/* Reads model.safetensors, or the shards that model.safetensors.index.json lists, in `folder`. */
Weights *weights_open(Cx *cx, const char *folder);

/* NULL if there is no such tensor. */
const WeightView *weights_find(const Weights *w, const char *name);

/* Fails, naming the tensor and both shapes, if it is missing or shaped otherwise; -1 in `dims`
 * accepts any extent. */
const WeightView *weights_need(const Weights *w, const char *name, int rank, const int64_t *dims);

/* In file order, shard after shard. */
size_t weights_count(const Weights *w);
const WeightView *weights_at(const Weights *w, size_t i);

/* "[2, 3]" in the arena of `cx`, for messages. */
const char *weights_shape_text(Cx *cx, int rank, const int64_t *dims);

#endif
