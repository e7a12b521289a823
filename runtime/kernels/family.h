/* Names of functions that exist once per ISA: a family's file is compiled once per ISA, each time
 * with another TN_SUFFIX.
 *
 *     void TN_FN(gemm_run)(const TnCall *call, int64_t task, void *scratch);
 *
 * declares gemm_run_scalar, gemm_run_avx2 or gemm_run_avx512. */
#ifndef TENON_RUNTIME_KERNELS_FAMILY_H
#define TENON_RUNTIME_KERNELS_FAMILY_H

#include "runtime/kernels.h"

#define TN_PASTE_(a, b) a##b
#define TN_PASTE(a, b)  TN_PASTE_(a, b)
#define TN_FN(name)     TN_PASTE(name, TN_SUFFIX)

/* The prototypes of one family on the ISA being compiled. */
#define TN_FAMILY(name)                     \
    void TN_FN(name##_plan)(TnCall * call); \
    void TN_FN(name##_run)(const TnCall *call, int64_t task, void *scratch)

/* Those of a family in common/, which exists once; there TN_FN names the scalar helpers. */
#define TN_COMMON_FAMILY(name)             \
    void name##_plan_common(TnCall *call); \
    void name##_run_common(const TnCall *call, int64_t task, void *scratch)

#endif
