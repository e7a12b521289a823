/* The settings of a compilation, as tenonc_set takes them: words in, fields of the import and of
 * the module out. */
#ifndef TENON_BACKEND_SETTINGS_H
#define TENON_BACKEND_SETTINGS_H

#include "frontend/frontend.h"

/* A fusion that must fire so often; the last that was set comes first. */
typedef struct Require {
    const char *kind;
    int count;
    struct Require *next;
} Require;

typedef struct Settings {
    ImportOptions import;
    DimOption *last_dim;
    Require *require;
    unsigned flags; /* COMPILE_* */
} Settings;

/* Raises TN_E_ARGUMENT for keys and values that there are not, TN_E_UNSUPPORTED for a precision. */
void settings_set(Settings *s, Module *m, const char *key, const char *value);

#endif
