#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
int clinux_name_thread(const char *name) { return pthread_setname_np(pthread_self(), name); }
long clinux_copy_file_range(int from, int to, unsigned long count) { return copy_file_range(from, NULL, to, NULL, count, 0); }
int clinux_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to)
{
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}
int clinux_spawn_in_root(void *actions)
{
    return posix_spawn_file_actions_addchdir_np(actions, "/");
}
int clinux_syncfs(int descriptor) { return syncfs(descriptor); }
void clinux_close_quietly(int descriptor)
{
    const int before = errno;
    close(descriptor);
    errno = before;
}
char **clinux_exchange_environment(char **entries)
{
    return __atomic_exchange_n(&environ, entries, __ATOMIC_SEQ_CST);
}
int clinux_next_entry(DIR *directory, struct dirent **entry)
{
    errno = 0;
    *entry = readdir(directory);
    return *entry ? 1 : -errno;
}
int clinux_idle_io(int thread)
{
    // IOPRIO_WHO_PROCESS is 1, class IDLE is 3 in the top bits (linux/ioprio.h, which not every distribution ships).
    return (int) syscall(SYS_ioprio_set, 1, thread, 3 << 13);
}
int clinux_signal_on_parent_death(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }
int clinux_punch_hole(int descriptor, long long offset, long long count)
{
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}
