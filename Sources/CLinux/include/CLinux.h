#pragma once

// What glibc declares only under _GNU_SOURCE, or only as a variadic function; Swift's Glibc module has neither.
// Bodies stay in the .c file: a header inside a Clang module cannot change the feature macros of the headers it includes.

/// A pipe whose ends are closed in every child that does not ask for them: pipe2(2) with O_CLOEXEC.
int clinux_pipe(int ends[2]);
/// pthread_setname_np(3) on the calling thread.
int clinux_name_thread(const char *name);
/// copy_file_range(2) at both files' own offsets.
long clinux_copy_file_range(int from, int to, unsigned long count);
/// renameat2(2) with RENAME_NOREPLACE: fails with EEXIST when `to` exists.
int clinux_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);
/// syncfs(2): flushes the whole file system `descriptor` lives on.
int clinux_syncfs(int descriptor);
/// Lowers a thread's I/O priority to idle (ioprio_set(2)); 0 is the calling one.
int clinux_idle_io(int thread);
/// prctl(PR_SET_PDEATHSIG): the kernel sends `signal` to this process when its parent dies.
int clinux_signal_on_parent_death(int signal);
/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: asks the kernel to begin writing these bytes to disk, and doesn't wait.
int clinux_start_writeback(int descriptor, long long offset, long long count);
/// The flags of open(2) that are declared only under _GNU_SOURCE: O_DIRECT and O_PATH.
int clinux_direct_flag(void);
int clinux_path_flag(void);
/// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: what is opened lies below the directory,
/// and no symbolic link is followed to it. ELOOP for a link, EXDEV for a way that leads out; ENOSYS before Linux 5.6.
int clinux_openat2(int directory, const char *path, int flags, unsigned mode);
/// As `clinux_openat2` for a directory, unless something is mounted there or on the way: EXDEV (RESOLVE_NO_XDEV).
int clinux_open_on_same_mount(int directory, const char *name);
/// As `clinux_open_on_same_mount` without openat2(2): EXDEV also where /proc does not tell what was opened on which mount.
int clinux_open_on_same_mount_by_components(int directory, const char *name);
/// As `clinux_openat2` with one openat(2) for each name in the path, for kernels and sandboxes that do not have openat2(2).
int clinux_open_by_components(int directory, const char *path, int flags, unsigned mode);
/// sync_file_range(2) with all its flags: returns when the kernel has written these bytes to disk, or failed to.
int clinux_finish_writeback(int descriptor, long long offset, long long count);
/// mincore(2): how many of these bytes, up to 16 MiB, are in the page cache; -1 when nobody can tell. `offset` is a multiple
/// of the page size.
long clinux_cached(int descriptor, long long offset, unsigned long count);
/// fallocate(2) with FALLOC_FL_KEEP_SIZE: finds room for these bytes on disk before they are written.
int clinux_reserve(int descriptor, long long offset, long long count);
/// fallocate(2) with FALLOC_FL_PUNCH_HOLE: these bytes become zeros that take no space; the file keeps its length.
int clinux_punch_hole(int descriptor, long long offset, long long count);
/// What the program was started with, as the C library hands it to main(), `count` words; NULL when it handed over nothing.
char **clinux_arguments(int *count);
/// The version of Landlock that the kernel has; 0 without it (landlock_create_ruleset(2)).
int clinux_confinement(void);
/// Confines the calling thread, and whatever it starts from now on, for good: it may read everywhere, but write, make and
/// remove only below `paths` (those that aren't there are passed over), uses no TCP and sends no signal to a process that isn't
/// as confined, where the kernel can refuse these. -1 with ENOTSUP where the kernel can't (landlock(7)).
int clinux_confine(const char *const *paths, unsigned long count);
/// Whether `clinux_isolate` can be called here.
int clinux_can_isolate(void);
/// Takes connect(2) away from the calling thread, and from whatever it starts from now on, for good: EACCES, whatever kind of
/// socket it is for (seccomp(2)). It may listen, and take connections. -1 with ENOTSUP where that isn't known to be complete.
int clinux_isolate(void);
