/* Double-precision products on the calling thread, through OpenBLAS where it is installed. */
#ifndef TENON_RUNTIME_KERNELS_GEMM_BLAS_H
#define TENON_RUNTIME_KERNELS_GEMM_BLAS_H

#include <stdbool.h>
#include <stdint.h>

/* Looks for the library, once per process. Until then there is none. */
void tn_blas_load(void);

/* C = alpha A B. Strides are {row, column}, in elements. False if there is no library or it cannot
 * take these strides; then nothing is written. */
bool tn_blas_dgemm(int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                   const int64_t a_strides[2], const double *b, const int64_t b_strides[2],
                   double *c, const int64_t c_strides[2]);

#endif
