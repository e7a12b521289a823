/* Names, sizes and classes of element types, all from the list in dtype.h. */
#include "runtime/base/dtype.h"

#include <string.h>

typedef struct DTypeInfo {
    const char *name;
    uint8_t size, class;
} DTypeInfo;

static const DTypeInfo infos[TN_DTYPE_COUNT] = {
#define X(upper, lower, number, bits, class) [number] = {#lower, (bits) / 8, TN_CLASS_##class},
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
    return info(t)->size;
}

TnDTypeClass tn_dtype_class(TnDType t) {
    return (TnDTypeClass)info(t)->class;
}
