/* A clock that is $CLOCK_AHEAD seconds ahead. Preloaded into the test server, or into tidemark. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    const char *ahead = getenv("CLOCK_AHEAD");
    struct timespec real;
    (void) zone;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
    now->tv_sec = real.tv_sec + (ahead ? atoll(ahead) : 0);
    now->tv_usec = real.tv_nsec / 1000;
    return 0;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    const char *ahead = getenv("CLOCK_AHEAD");
    int result = (int) syscall(SYS_clock_gettime, which, now);
    if (which == CLOCK_REALTIME && ahead) now->tv_sec += atoll(ahead);
    return result;
}

/* pg_ctl compares it with the server's start. */
time_t time(time_t *result)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
