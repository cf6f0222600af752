#define _GNU_SOURCE
#include "CLinux.h"
#include "ending.h"
#include <stddef.h>
#include <stdlib.h>

static int given;
static char **words;
static int hides_backtraces;

// glibc calls the functions of .init_array with main()'s own arguments (csu/init-first.c, elf/dl-init.c), in static and
// in dynamic executables. Swift's CommandLine looks for them through /proc/self/maps and the environment's address
// instead: it finds none when /proc can't be read, or when a preloaded library has moved the environment.
//
// 101 is the first priority that the C library leaves to programs: before Swift's runtime looks for its backtrace
// program through /proc/self/exe, and aborts when it can't read that (stdlib/public/runtime/Backtrace.cpp).
__attribute__((constructor(101))) static void keep(int count, char **arguments)
{
    given = count;
    words = arguments;
    end_with_status(count, arguments);
    if (getenv("SWIFT_BACKTRACE") == NULL)
        hides_backtraces = setenv("SWIFT_BACKTRACE", "enable=no,swift-backtrace=/nonexistent", 0) == 0;
}

char **clinux_arguments(int *count)
{
    // Programs started from here must not inherit it.
    if (hides_backtraces) unsetenv("SWIFT_BACKTRACE");
    *count = given;
    return words;
}
