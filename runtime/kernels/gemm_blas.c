/* Double-precision products through OpenBLAS, found at run time: programs that never multiply
 * doubles don't need the library, start none of its threads and spend none of its memory.
 *
 * Tasks are ours, so OpenBLAS is told to use one thread. */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "runtime/kernels/gemm_blas.h"

/* The part of cblas.h that is used. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
typedef void Dgemm(int order, int trans_a, int trans_b, int m, int n, int k, double alpha,
                   const double *a, int lda, const double *b, int ldb, double beta, double *c,
                   int ldc);
typedef void SetThreads(int threads);

static Dgemm *dgemm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX says that dlsym's result may be read as a function pointer; C has no cast for it. */
typedef union Symbol {
    void *object;
    Dgemm *dgemm;
    SetThreads *set_threads;
} Symbol;

static void load(void) {
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    Symbol set = {dlsym(library, "openblas_set_num_threads")},
           multiply = {dlsym(library, "cblas_dgemm")};
    if (!set.object || !multiply.object) {
        dlclose(library);
        return;
    }
    set.set_threads(1);
    dgemm = multiply.dgemm;
}

void tn_blas_load(void) {
    pthread_once(&once, load);
}

/* A rows x cols matrix as BLAS sees it: one of its strides
 * is 1, the other the leading dimension. */
typedef struct Layout {
    int trans, leading;
    bool ok;
} Layout;

static Layout layout_of(int64_t rows, int64_t cols, const int64_t strides[2]) {
    int64_t row = rows == 1 ? cols : strides[0], col = strides[1];
    if ((cols == 1 || col == 1) && row >= cols && row <= INT_MAX)
        return (Layout){NO_TRANS, (int)row, true};
    if ((rows == 1 || row == 1) && col >= rows && col <= INT_MAX)
        return (Layout){TRANS, (int)col, true};
    return (Layout){0};
}

bool tn_blas_dgemm(int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                   const int64_t a_strides[2], const double *b, const int64_t b_strides[2],
                   double *c, const int64_t c_strides[2]) {
    if (!dgemm || m < 1 || n < 1 || k < 1 || m > INT_MAX || n > INT_MAX || k > INT_MAX)
        return false;
    Layout la = layout_of(m, k, a_strides), lb = layout_of(k, n, b_strides),
           lc = layout_of(m, n, c_strides);
    if (!la.ok || !lb.ok || !lc.ok || lc.trans != NO_TRANS) return false;
    dgemm(ROW_MAJOR, la.trans, lb.trans, (int)m, (int)n, (int)k, alpha, a, la.leading, b,
          lb.leading, 0, c, lc.leading);
    return true;
}
