/* Steps of a map that are too rare to exist per ISA: functions of one float or double by way of the
 * C library's double, so that f32 results are correctly rounded but for one in millions. */
#include <math.h>
#include "runtime/kernels/map.h"

#define UNARY(function)                                                          \
    static void function##_float(void *out, const void *const *in, int64_t n) {  \
        const float *x = in[0];                                                  \
        float *y = out;                                                          \
        for (int64_t i = 0; i < n; i++) y[i] = (float)function((double)x[i]);    \
    }                                                                            \
    static void function##_double(void *out, const void *const *in, int64_t n) { \
        const double *x = in[0];                                                 \
        double *y = out;                                                         \
        for (int64_t i = 0; i < n; i++) y[i] = function(x[i]);                   \
    }

#define FUNCTIONS(X) \
    X(TAN, tan)      \
    X(ASIN, asin)    \
    X(ACOS, acos)    \
    X(ATAN, atan) X(SINH, sinh) X(COSH, cosh) X(ASINH, asinh) X(ACOSH, acosh) X(ATANH, atanh)

#define DEFINE(upper, function) UNARY(function)
FUNCTIONS(DEFINE)

MapFn *tn_map_rare_float(int op) {
    switch (op) {
#define CASE(upper, function) \
    case TN_MAP_##upper: return function##_float;
        FUNCTIONS(CASE)
#undef CASE
    default: return NULL;
    }
}

MapFn *tn_map_rare_double(int op) {
    switch (op) {
#define CASE(upper, function) \
    case TN_MAP_##upper: return function##_double;
        FUNCTIONS(CASE)
#undef CASE
    default: return NULL;
    }
}
