/* Signals that end a command: one that writes what takes a while is told, so that nothing half
 * written stays behind, and the process then ends by the signal as if it had not been caught. */
#include <signal.h>
#include <stddef.h>
#include "tools/tool.h"

static volatile sig_atomic_t caught;

static void note(int number) {
    caught = number;
}

void tool_catch(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction before, noted = {.sa_handler = note, .sa_flags = SA_RESETHAND | SA_RESTART};
    sigemptyset(&noted.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &noted, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that is too large is an error of write */
}

int tool_caught(void) {
    return caught;
}

void tool_end_by_signal(void) {
    if (!caught) return;
    signal(caught, SIG_DFL);
    raise(caught);
}
