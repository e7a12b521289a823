/* The safetensors format: a JSON header that names tensors, then their bytes.
 *
 * Invariant of an open file: the header is strict JSON, every tensor's byte count is that of its
 * shape and type, and the tensors cover the data without holes or overlaps; names are unique. Views
 * point into the mapping, in the order of their bytes, and may be unaligned. Bool elements are 0
 * or 1.
 *
 *     SafeTensors *st = st_open(cx, "model.safetensors");
 *     const WeightView *w = st_find(st, "wte.weight");
 */
#ifndef TENON_FRONTEND_HF_SAFETENSORS_H
#define TENON_FRONTEND_HF_SAFETENSORS_H

#include <stddef.h>
#include "frontend/weights.h"
#include "ir/fail.h"

typedef WeightView StTensor;
typedef struct SafeTensors SafeTensors;

SafeTensors *st_open(Cx *cx, const char *path);
const char *st_type_name(TnDType t); /* as safetensors spells it; NULL if it has no such type */
const StTensor *st_find(const SafeTensors *st, const char *name); /* NULL if there is none */
size_t st_count(const SafeTensors *st);
const StTensor *st_at(const SafeTensors *st, size_t i);

/* Writes a file of these tensors; it appears whole or not at all. Names must be distinct UTF-8.
 * Tensors of wider elements come first, so that all are aligned. */
void st_write(Cx *cx, const char *path, const StTensor *tensors, size_t count);

#endif
