#pragma once

#include <dirent.h>

// What glibc declares only under _GNU_SOURCE, or only as a variadic function; Swift's Glibc module has neither. Bodies
// stay in the .c file: a header inside a Clang module cannot change the feature macros of the headers it includes.

/// A pipe whose ends are closed in every child that does not ask for them: pipe2(2) with O_CLOEXEC.
int clinux_pipe(int ends[2]);
/// pthread_setname_np(3) on the calling thread.
int clinux_name_thread(const char *name);
/// copy_file_range(2) at both files' own offsets.
long clinux_copy_file_range(int from, int to, unsigned long count);
/// renameat2(2) with RENAME_NOREPLACE: fails with EEXIST when `to` exists.
int clinux_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);
/// posix_spawn_file_actions_addchdir_np(3) with the root directory.
int clinux_spawn_in_root(void *actions);
/// syncfs(2): flushes the whole file system of `descriptor`.
int clinux_syncfs(int descriptor);
/// Lowers a thread's I/O priority to idle (ioprio_set(2)); 0 is the calling one.
int clinux_idle_io(int thread);
/// prctl(PR_SET_PDEATHSIG): the kernel sends `signal` to this process when its parent dies.
int clinux_signal_on_parent_death(int signal);
/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: asks the kernel to begin writing these bytes to disk, and doesn't
/// wait.
int clinux_start_writeback(int descriptor, long long offset, long long count);
/// Puts another environment in the place of the process's own (environ(7)), in one store, and returns the one that was
/// there. Nothing is copied.
char **clinux_exchange_environment(char **entries);
/// close(2) that leaves errno as it is: for the way out after a failure.
void clinux_close_quietly(int descriptor);
/// readdir(3): 1 and the next entry, 0 at the end, or the negated error.
int clinux_next_entry(DIR *directory, struct dirent **entry);
/// The flags of open(2) that are declared only under _GNU_SOURCE: O_DIRECT and O_PATH.
int clinux_direct_flag(void);
int clinux_path_flag(void);
/// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: opens a file below the directory and
/// follows no symbolic link. ELOOP for a link, EXDEV for a path that leads out; ENOSYS before Linux 5.6.
int clinux_openat2(int directory, const char *path, int flags, unsigned mode);
/// As `clinux_openat2` for a directory, unless something is mounted there or on the way: EXDEV (RESOLVE_NO_XDEV).
int clinux_open_on_same_mount(int directory, const char *name);
/// As `clinux_open_on_same_mount` without openat2(2): EXDEV also where /proc does not show mount IDs.
int clinux_open_on_same_mount_by_components(int directory, const char *name);
/// As `clinux_openat2` with one openat(2) for each name in the path, for kernels and sandboxes that do not have
/// openat2(2).
int clinux_open_by_components(int directory, const char *path, int flags, unsigned mode);
/// sync_file_range(2) with all its flags: returns when the kernel has written these bytes to disk, or failed to.
int clinux_finish_writeback(int descriptor, long long offset, long long count);
/// mincore(2): how many of these bytes, up to 16 MiB, are in the page cache; -1 when it is unknown. `offset` is a
/// multiple of the page size.
long clinux_cached(int descriptor, long long offset, unsigned long count);
/// fallocate(2) with FALLOC_FL_KEEP_SIZE: reserves room for these bytes on disk before they are written.
int clinux_reserve(int descriptor, long long offset, long long count);
/// fallocate(2) with FALLOC_FL_PUNCH_HOLE: these bytes become zeros that take no space; the file keeps its length.
int clinux_punch_hole(int descriptor, long long offset, long long count);
/// The program's arguments, as the C library passes them to main(), `count` words; NULL when it passed none.
char **clinux_arguments(int *count);
/// The version of Landlock that the kernel has; 0 without it (landlock_create_ruleset(2)).
int clinux_confinement(void);
/// Confines the calling thread and everything it starts from now on, for good: they may read everywhere, but write,
/// create and remove files only below `paths` (missing ones are skipped); they may use no TCP and signal no process
/// outside, where the kernel can refuse these. -1 with ENOTSUP without version 2 of Landlock (landlock(7)).
int clinux_confine(const char *const *paths, unsigned long count);
/// Removes the System V shared memory that a killed postmaster has left, if nobody is attached to it, this user made
/// it, and its header names the data directory with this device and inode. 1 when it was removed, 0 when it isn't that,
/// -1 on failure.
int clinux_remove_server_memory(int identifier, unsigned long device, unsigned long inode);
/// Calls `body`, with a stack of another size where the process has been given a small one (RLIMIT_STACK), and so have
/// its threads.
void clinux_with_enough_stack(void (*body)(void));
/// Whether `clinux_isolate` can be called here.
int clinux_can_isolate(void);
/// Denies connect(2) to the calling thread and everything it starts from now on, for good: EACCES for every kind of
/// socket (seccomp(2)). They may listen and accept connections. -1 with ENOTSUP where the filter isn't known to be
/// complete.
int clinux_isolate(void);
