/* Which convolutions Winograd's filtering by tiles pays for: lowering multiplies them so, and bf16
 * leaves them in f32 where that is faster. */
#ifndef TENON_PASSES_WINOGRAD_H
#define TENON_PASSES_WINOGRAD_H

#include "ir/ir.h"

typedef enum Winograd {
    WINOGRAD_NONE,
    WINOGRAD_2,         /* tiles of 2 x 4 results */
    WINOGRAD_2_STRIDED, /* tiles of 2 x 2 results, stride 2 */
    WINOGRAD_4          /* tiles of 4 x 4 results */
} Winograd;

/* Of a convolution; fast: it may round about twice as coarsely. */
Winograd winograd_choose(const Node *n, bool fast);

#endif
