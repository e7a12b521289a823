/* Status codes shared by every layer; tenon.h exposes the same numbers as TENON_*.
 *
 * Codes come in decades: 1-9 the caller, 10-19 a file, 20-29 the content of a plan, 30-39
 * resources, 40-49 the compiler's input. A released number is never reused. */
#ifndef TENON_RUNTIME_BASE_STATUS_H
#define TENON_RUNTIME_BASE_STATUS_H

typedef enum TnStatus {
    TN_OK = 0,
    TN_E_ARGUMENT = 1,     /* NULL handle, unknown name, call in the wrong order */
    TN_E_SHAPE = 2,        /* a dimension breaks the model's input contract */
    TN_E_DTYPE = 3,        /* tensor of the wrong element type */
    TN_E_RANGE = 4,        /* an index in the data lies outside its table */
    TN_E_BUSY = 5,         /* the session is running in another thread */
    TN_E_CANCELLED = 6,    /* the caller ended a run or a compilation */
    TN_E_IO = 10,          /* open, read, write, rename failed */
    TN_E_FORMAT = 11,      /* not the kind of file that was wanted */
    TN_E_VERSION = 12,     /* made for another version of Tenon */
    TN_E_CORRUPT = 20,     /* damaged: truncated, checksum, offsets */
    TN_E_INVALID = 21,     /* well-formed but breaks a rule of the plan */
    TN_E_MEMORY = 30,      /* the allocator returned NULL */
    TN_E_LIMIT = 31,       /* larger than a documented limit */
    TN_E_MODEL = 40,       /* the model is wrong: shapes, types, attributes, missing weights */
    TN_E_UNSUPPORTED = 41, /* the model is valid but uses something Tenon does not do */
    TN_E_REQUIRE = 42,     /* --require-fusion was not met */
} TnStatus;

#endif
