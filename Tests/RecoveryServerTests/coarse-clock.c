/* A clock for PostgreSQL that ticks every 20 ms and now and then runs backwards, so that many transactions share a
   commit time and others commit "before" those ahead of them in the log. Preloaded into the test server only. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    static _Atomic unsigned calls;
    struct timespec real;
    (void) zone;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
    long long us = real.tv_sec * 1000000LL + real.tv_nsec / 1000;
    us -= us % 20000;
    if (atomic_fetch_add(&calls, 1) % 7 == 3) us -= 40000;
    now->tv_sec = us / 1000000;
    now->tv_usec = us % 1000000;
    return 0;
}
