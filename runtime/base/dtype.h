/* Element types of tensors: one list for the IR, the plan format and the runtime.
 * The numbers are part of the plan format: append only. */
#ifndef TENON_RUNTIME_BASE_DTYPE_H
#define TENON_RUNTIME_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*         name   number  bits  class */
#define TN_DTYPES(X)            \
    X(F32, f32, 1, 32, FLOAT)   \
    X(F16, f16, 2, 16, FLOAT)   \
    X(BF16, bf16, 3, 16, FLOAT) \
    X(F64, f64, 4, 64, FLOAT)   \
    X(I8, i8, 5, 8, INT)        \
    X(I16, i16, 6, 16, INT)     \
    X(I32, i32, 7, 32, INT)     \
    X(I64, i64, 8, 64, INT)     \
    X(U8, u8, 9, 8, UINT)       \
    X(U16, u16, 10, 16, UINT)   \
    X(U32, u32, 11, 32, UINT)   \
    X(U64, u64, 12, 64, UINT)   \
    X(BOOL, bool, 13, 8, BOOLEAN)

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
TnDTypeClass tn_dtype_class(TnDType t);
static inline bool tn_is_float(TnDType t) {
    return tn_dtype_class(t) == TN_CLASS_FLOAT;
}
static inline bool tn_is_int(TnDType t) {
    return tn_dtype_class(t) == TN_CLASS_INT || tn_dtype_class(t) == TN_CLASS_UINT;
}

#endif
