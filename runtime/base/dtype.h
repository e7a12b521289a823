/* Element types of tensors: one list for the IR, the plan format and the runtime.
 * The numbers are part of the plan format: append only.
 *
 * `bits` is the width of a value. Elements take whole bytes: types of 2 and 4 bits have a byte
 * each, integers sign- or zero-extended in it, f4e2m1 in its low bits. */
#ifndef TENON_RUNTIME_BASE_DTYPE_H
#define TENON_RUNTIME_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*         name   number  bits  class */
#define TN_DTYPES(X)                        \
    X(F32, f32, 1, 32, FLOAT)               \
    X(F16, f16, 2, 16, FLOAT)               \
    X(BF16, bf16, 3, 16, FLOAT)             \
    X(F64, f64, 4, 64, FLOAT)               \
    X(I8, i8, 5, 8, INT)                    \
    X(I16, i16, 6, 16, INT)                 \
    X(I32, i32, 7, 32, INT)                 \
    X(I64, i64, 8, 64, INT)                 \
    X(U8, u8, 9, 8, UINT)                   \
    X(U16, u16, 10, 16, UINT)               \
    X(U32, u32, 11, 32, UINT)               \
    X(U64, u64, 12, 64, UINT)               \
    X(BOOL, bool, 13, 8, BOOLEAN)           \
    X(F8E4M3FN, f8e4m3fn, 14, 8, FLOAT)     \
    X(F8E4M3FNUZ, f8e4m3fnuz, 15, 8, FLOAT) \
    X(F8E5M2, f8e5m2, 16, 8, FLOAT)         \
    X(F8E5M2FNUZ, f8e5m2fnuz, 17, 8, FLOAT) \
    X(F8E8M0, f8e8m0, 18, 8, FLOAT)         \
    X(F4E2M1, f4e2m1, 19, 4, FLOAT)         \
    X(I4, i4, 20, 4, INT)                   \
    X(U4, u4, 21, 4, UINT)                  \
    X(I2, i2, 22, 2, INT)                   \
    X(U2, u2, 23, 2, UINT)

typedef enum TnDType {
    TN_NONE = 0,
#define X(upper, lower, number, bits, class) TN_##upper = number,
    TN_DTYPES(X)
#undef X
        TN_DTYPE_COUNT
} TnDType;

typedef enum TnDTypeClass {
    TN_CLASS_NONE,
    TN_CLASS_FLOAT,
    TN_CLASS_INT,
    TN_CLASS_UINT,
    TN_CLASS_BOOLEAN
} TnDTypeClass;

const char *tn_dtype_name(TnDType t);     /* "f32"; "none" for anything unknown */
TnDType tn_dtype_parse(const char *name); /* TN_NONE if unknown */
size_t tn_dtype_size(TnDType t);          /* bytes of an element; 0 if unknown */
int tn_dtype_bits(TnDType t);             /* of a value; 0 if unknown */
TnDTypeClass tn_dtype_class(TnDType t);
bool tn_dtype_holds(TnDType t, TnDType from); /* every value of `from` is one of t */
static inline bool tn_is_float(TnDType t) {
    return tn_dtype_class(t) == TN_CLASS_FLOAT;
}
/* Types to store and convert numbers in, not to compute with: floats of at most 8 bits, integers of
 * fewer than 8. */
static inline bool tn_is_narrow(TnDType t) {
    int bits = tn_dtype_bits(t);
    return bits < 8 ? bits > 0 : bits == 8 && tn_is_float(t);
}
static inline bool tn_is_int(TnDType t) {
    return tn_dtype_class(t) == TN_CLASS_INT || tn_dtype_class(t) == TN_CLASS_UINT;
}

#endif
