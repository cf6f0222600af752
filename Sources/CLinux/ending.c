#define _GNU_SOURCE
#include "ending.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int status;
// For the fault of a full stack.
static char stack[16384];

/// Only what signal-safety(7) allows.
static void end(int number)
{
    char text[] = "ERROR:  tidemark could not continue and was stopped by signal 00\n"
                  "HINT:  Is a limit of its process too low (\"ulimit -a\"), or is the system out of memory?\n";
    char *digits = strstr(text, "00");
    digits[0] = (char) ('0' + number / 10);
    digits[1] = (char) ('0' + number % 10);
    ssize_t written = write(2, text, sizeof(text) - 1);
    (void) written;
    _exit(status);
}

/// Of commands that no server waits for, only a lack of memory is an ordinary failure.
static void aborted(int number)
{
    (void) number;
    void *memory = mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    // abort(3) raises the signal again.
    if (memory != MAP_FAILED || errno != ENOMEM)
        return;
    static const char text[] = "tidemark: error: out of memory\n"
                               "tidemark: hint: Raise the limit of its process (\"ulimit -a\"). "
                               "\"tidemark clean\" removes what is left.\n";
    ssize_t written = write(2, text, sizeof(text) - 1);
    (void) written;
    _exit(1);
}

void end_with_status(int count, char **arguments)
{
    for (int i = 1; i < count && status == 0; i++)
        if (strcmp(arguments[i], "archive-get") == 0 || strcmp(arguments[i], "archive-prefetch") == 0)
            status = 200;
    if (status == 0 && count > 1
        && (strcmp(arguments[1], "archive-push") == 0 || strcmp(arguments[1], "recovery-end") == 0))
        status = 1;
    if (status == 0) {
        struct sigaction action = {.sa_handler = aborted, .sa_flags = SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        sigaction(SIGABRT, &action, NULL);
        return;
    }
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = end, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    sigaltstack(&other, NULL);
    sigemptyset(&action.sa_mask);
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGXCPU, SIGSYS};
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
}
