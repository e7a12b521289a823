/* Limits on what files may contain; each has a test at the limit and one beyond it. */
#ifndef TENON_RUNTIME_BASE_LIMITS_H
#define TENON_RUNTIME_BASE_LIMITS_H

#define TN_MAX_RANK        8  /* axes of a tensor, in the IR and in plans */
#define TN_MAX_FILE_RANK   16 /* axes a foreign file may declare before it is refused outright */
#define TN_MAX_NESTING     64 /* protobuf messages, JSON values */
#define TN_MAX_NODES       (1 << 20)   /* nodes of a graph, instructions of a function */
#define TN_MAX_TENSORS     (1 << 20)   /* tensors of a file, values of a graph */
#define TN_MAX_LIST        (1 << 16)   /* operands of a foreign node, numbers in an attribute */
#define TN_MAX_NAME        (64 * 1024) /* bytes of a name */
#define TN_MAX_JSON_HEADER 100000000   /* bytes of a safetensors header */
#define TN_MAX_CONFIG      (16 << 20)  /* bytes of a config.json or shard index */
#define TN_MAX_FOLD        (64 << 20)  /* bytes of a value computed at compile time */
#define TN_MAX_SHARD_FILES 64          /* shards held open at once */
#define TN_MAX_OPERANDS    1024        /* operands of one plan instruction */
#define TN_MAX_CALL_DEPTH  32          /* functions of a plan that run within one another */
#define TN_MAX_CALLS       (1 << 24)   /* branches and loop bodies that one run may run */

#endif
