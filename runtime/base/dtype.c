/* Names, sizes and classes of element types, all from the list in dtype.h. */
#include "runtime/base/dtype.h"

#include <string.h>

typedef struct DTypeInfo {
    const char *name;
    uint8_t bits, class;
} DTypeInfo;

static const DTypeInfo infos[TN_DTYPE_COUNT] = {
#define X(upper, lower, number, bits, class) [number] = {#lower, bits, TN_CLASS_##class},
    TN_DTYPES(X)
#undef X
};

static const DTypeInfo *info(TnDType t) {
    static const DTypeInfo none = {"none", 0, TN_CLASS_NONE};
    unsigned i = (unsigned)t;
    return i < TN_DTYPE_COUNT && infos[i].name ? &infos[i] : &none;
}

const char *tn_dtype_name(TnDType t) {
    return info(t)->name;
}

TnDType tn_dtype_parse(const char *name) {
    for (unsigned i = 0; i < TN_DTYPE_COUNT; i++)
        if (infos[i].name && strcmp(infos[i].name, name) == 0) return (TnDType)i;
    return TN_NONE;
}

size_t tn_dtype_size(TnDType t) {
    return ((size_t)info(t)->bits + 7) / 8;
}

int tn_dtype_bits(TnDType t) {
    return info(t)->bits;
}

TnDTypeClass tn_dtype_class(TnDType t) {
    return (TnDTypeClass)info(t)->class;
}

/* Small floats differ in what they have beside numbers, so among each other none holds another; the
 * powers of two of f8e8m0 need the range of f32. */
bool tn_dtype_holds(TnDType t, TnDType from) {
    TnDTypeClass to = tn_dtype_class(t), source = tn_dtype_class(from);
    int room = tn_dtype_bits(t), bits = tn_dtype_bits(from);
    if (from == t || from == TN_BOOL) return !tn_is_narrow(t) || from == t;
    if (source == TN_CLASS_FLOAT && from == TN_F8E8M0) return t == TN_F32 || t == TN_F64;
    if (source == TN_CLASS_FLOAT) return to == TN_CLASS_FLOAT && room > bits && !tn_is_narrow(t);
    if (source == TN_CLASS_UINT && to == TN_CLASS_INT) return room > bits;
    return source == to && room >= bits;
}
