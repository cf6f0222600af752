/* A clock for tidemark that runs a hundred times as fast once the file that CLOCK_FAST names is there: what is to be seen
   after a while of standing still can be seen as soon as it is known to stand still. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static _Atomic long long begin;
    long result = syscall(SYS_clock_gettime, clock, now);
    const char *file = getenv("CLOCK_FAST");
    if (result != 0 || clock != CLOCK_MONOTONIC || !file || access(file, F_OK) != 0) return (int) result;
    long long time = now->tv_sec * 1000000000LL + now->tv_nsec, none = 0;
    atomic_compare_exchange_strong(&begin, &none, time);
    time += (time - begin) * 100;
    now->tv_sec = time / 1000000000;
    now->tv_nsec = time % 1000000000;
    return 0;
}
