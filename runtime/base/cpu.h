/* What this CPU can do and how many of them this process may use. */
#ifndef TENON_RUNTIME_BASE_CPU_H
#define TENON_RUNTIME_BASE_CPU_H

#include <stdbool.h>

/* Levels are ordered: a CPU that has one has those before it. Kernels are compiled for the first
 * three. At the others those of AVX512 run, and products of 8 bits and of bf16 may use their
 * instructions (TnCall.isa); a plan that is opened at AVX512 does without them on any CPU. */
typedef enum TnIsa {
    TN_ISA_SCALAR,
    TN_ISA_AVX2,
    TN_ISA_AVX512,
    TN_ISA_AVX512_VNNI,
    TN_ISA_AVX512_BF16,
    TN_ISA_COUNT
} TnIsa;

TnIsa tn_cpu_isa(void);             /* best level that CPU and operating system allow */
const char *tn_isa_name(TnIsa isa); /* "scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16" */
bool tn_isa_parse(const char *name, TnIsa *isa);
int tn_cpu_count(void); /* CPUs in the affinity mask, bounded by the cgroup quota; at least 1 */

#endif
