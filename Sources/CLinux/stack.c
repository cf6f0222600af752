#define _GNU_SOURCE
#include "CLinux.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

static const size_t large_stack = 8 << 20, thread_stack = 2 << 20;
static void (*on_stack)(void);

void clinux_with_enough_stack(void (*body)(void))
{
    static ucontext_t before, context;
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= thread_stack) {
        body();
        return;
    }
    // New threads would get as little.
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, thread_stack) == 0)
        pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    void *memory = mmap(NULL, large_stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED || getcontext(&context) < 0) {
        body();
        return;
    }
    context.uc_stack.ss_sp = memory;
    context.uc_stack.ss_size = large_stack;
    context.uc_link = &before;
    on_stack = body;
    makecontext(&context, on_stack, 0);
    swapcontext(&before, &context);
}
