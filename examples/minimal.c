/* Runs a text model on five token ids and prints the first values of its first output.
 *
 *     minimal model.plan */
#include <stdio.h>
#include "runtime/tenon.h"

int main(int argc, char **argv) {
    int64_t ids[] = {101, 7592, 2088, 999, 102};
    tenon_tensor input = {.dtype = TENON_I64, .rank = 2, .dims = {1, 5}, .data = ids}, output;
    tenon_plan *plan = NULL;
    tenon_session *session = NULL;
    tenon_error err = {.text = "usage: minimal model.plan"};
    tenon_port port = {.is_output = 0};

    int failed = argc != 2 || tenon_plan_open(argv[1], NULL, &plan, &err) ||
                 tenon_session_create(plan, NULL, &session, &err) ||
                 tenon_session_bind(session, "input_ids", &input, &err) ||
                 tenon_session_run(session, &err);
    for (int i = 0; !failed && !port.is_output; i++)
        failed = tenon_plan_port(plan, NULL, i, &port, &err);
    if (!failed) failed = tenon_session_tensor(session, port.name, &output, &err);
    for (int i = 0; !failed && i < 5 && output.dtype == TENON_F32; i++)
        printf("%g%s", (double)((float *)output.data)[i], i < 4 ? " " : "\n");

    if (failed) fprintf(stderr, "minimal: %s\n", err.text);
    tenon_session_destroy(session);
    tenon_plan_close(plan);
    return failed ? 1 : 0;
}
