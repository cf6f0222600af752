#define _GNU_SOURCE
#include "CLinux.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int clinux_start_writeback(int descriptor, long long offset, long long count)
{
    return sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

int clinux_finish_writeback(int descriptor, long long offset, long long count)
{
    return sync_file_range(
        descriptor, offset, count, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int clinux_reserve(int descriptor, long long offset, long long count)
{
    return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, count);
}

int clinux_direct_flag(void) { return O_DIRECT; }
int clinux_path_flag(void) { return O_PATH; }

long clinux_cached(int descriptor, long long offset, unsigned long count)
{
    enum { most = 4096 };
    unsigned char resident[most];
    unsigned long page = (unsigned long) sysconf(_SC_PAGESIZE), pages = (count + page - 1) / page;
    if (pages > most) return -1;
    void *place = mmap(NULL, count, PROT_READ, MAP_SHARED, descriptor, offset);
    if (place == MAP_FAILED) return -1;
    long found = -1;
    if (mincore(place, count, resident) == 0) {
        found = 0;
        for (unsigned long i = 0; i < pages; i++) found += resident[i] & 1;
    }
    munmap(place, count);
    return found < 0 ? -1 : (unsigned long) found == pages ? (long) count : found * (long) page;
}
