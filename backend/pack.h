/* Constants in the layouts of runtime/pack.h, produced piece by piece while the plan is written. */
#ifndef TENON_BACKEND_PACK_H
#define TENON_BACKEND_PACK_H

#include "backend/image.h"

/* Called with consecutive pieces; the bytes are valid during the call. */
typedef void PackSink(void *user, const void *bytes, size_t size);

/* Gives all bytes of a stored constant, exactly PlanConstant.bytes of them. */
void pack_constant(Image *im, const Stored *s, PackSink *sink, void *user);

#endif
