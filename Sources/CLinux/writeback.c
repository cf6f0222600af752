#define _GNU_SOURCE
#include "CLinux.h"
#include <fcntl.h>

int clinux_start_writeback(int descriptor, long long offset, long long count)
{
    return sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

int clinux_reserve(int descriptor, long long offset, long long count)
{
    return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, count);
}
