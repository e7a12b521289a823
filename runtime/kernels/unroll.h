/* Bodies are written once with loops over rows, panels or vectors; inlined with constants, the
 * loops must vanish completely. */
#ifndef TENON_RUNTIME_KERNELS_UNROLL_H
#define TENON_RUNTIME_KERNELS_UNROLL_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
