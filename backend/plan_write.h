/* Writes an image as a .plan file or into memory: the same bytes for the same image. */
#ifndef TENON_BACKEND_PLAN_WRITE_H
#define TENON_BACKEND_PLAN_WRITE_H

#include "backend/image.h"

/* Appears under `path` whole or not at all; raises TN_E_IO. `inspect` sees the finished file under
 * a temporary name and raises if something is wrong with it. */
typedef void PlanInspect(void *user, const char *temporary);
void plan_write_file(Image *im, const char *path, PlanInspect *inspect, void *user);
/* 64-byte aligned, in the context's arena. */
const void *plan_write_memory(Image *im, size_t *size);
uint64_t plan_bytes(const Image *im);
/* Whether the file is there and starts like a plan. */
bool plan_is_file(const char *path);

#endif
