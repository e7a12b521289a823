/* A program outside the source tree that uses the installed compiler: a missing model has to be an
 * error with a text. */
#include <stdio.h>
#include <tenonc.h>

int main(void) {
    tenonc *c = tenonc_create(NULL);
    if (!c) return 1;
    tenon_status status = tenonc_add(c, "no such model.onnx", NULL);
    printf("%s: %s\n", tenon_version(), tenonc_error(c)->text);
    tenonc_destroy(c);
    return status != TENON_OK ? 0 : 1;
}
