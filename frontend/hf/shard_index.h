/* model.safetensors.index.json: which file of a checkpoint holds which tensor. */
#ifndef TENON_FRONTEND_HF_SHARD_INDEX_H
#define TENON_FRONTEND_HF_SHARD_INDEX_H

#include "frontend/hf/safetensors.h"

#define SHARD_INDEX_FILE "model.safetensors.index.json"

/* Opens the files that the index in `folder` names, at most TN_MAX_SHARD_FILES, in the order of
 * their names. Each tensor listed is in the file that the index says. */
SafeTensors **shards_open(Cx *cx, const char *folder, size_t *count);

#endif
