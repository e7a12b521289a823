/* A program outside the source tree that uses the installed runtime: prints its version and meets a
 * missing file. */
#include <stdio.h>
#include <tenon.h>

int main(void) {
    tenon_plan *plan = NULL;
    tenon_error err;
    tenon_status status = tenon_plan_open("no such file.plan", NULL, &plan, &err);
    printf("%s %s\n", tenon_version(), tenon_status_name(status));
    return status == TENON_E_IO && plan == NULL ? 0 : 1;
}
