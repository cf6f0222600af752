/* A clock for PostgreSQL that is $CLOCK_AHEAD seconds ahead. Preloaded into the test server only. */
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

/* pg_ctl compares it with the server's start. */
time_t time(time_t *result)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
