/* Counts what a tool allocates: every call of malloc and its kin, written at the end to the file $COUNT_ALLOCATIONS names.
   Preloaded into tidemark-main only; the programs that start it are let be. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Atomic unsigned long calls;

void *malloc(size_t size) { calls++; return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { calls++; return __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { calls++; return __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) { calls++; return __libc_memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size)
{
    calls++;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("COUNT_ALLOCATIONS");
    if (!path || strcmp(program_invocation_short_name, "tidemark-main") != 0) return;
    unsigned long counted = calls;
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "%lu", counted);
    fclose(file);
}
