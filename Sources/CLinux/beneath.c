#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// linux/openat2.h, which not every distribution ships; the numbers are the same on every architecture.
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
enum {
    NO_XDEV = 0x01,
    NO_MAGICLINKS = 0x02,
    NO_SYMLINKS = 0x04,
    BENEATH = 0x08,
};
struct how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

int clinux_openat2(int directory, const char *path, int flags, unsigned mode)
{
    // Unlike open(2), openat2(2) refuses a mode without O_CREAT.
    struct how how = {(unsigned) flags, flags & O_CREAT ? mode & 07777 : 0, BENEATH | NO_SYMLINKS | NO_MAGICLINKS};
    return (int) syscall(SYS_openat2, directory, path, &how, sizeof(how));
}

int clinux_open_on_same_mount(int directory, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    struct how how = {(unsigned) flags, 0, BENEATH | NO_SYMLINKS | NO_MAGICLINKS | NO_XDEV};
    return (int) syscall(SYS_openat2, directory, name, &how, sizeof(how));
}

/// The mount ID of a descriptor, from /proc (proc(5), since Linux 3.15); -1 when it can't be read. The device number
/// isn't enough: a bind mount of a directory of the same file system has the same one.
static int mount_id(int descriptor)
{
    char text[512];
    int id = -1;
    snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", descriptor);
    int info = open(text, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return -1;
    ssize_t length = read(info, text, sizeof(text) - 1);
    close(info);
    if (length < 0)
        return -1;
    text[length] = 0;
    const char *line = strstr(text, "mnt_id:");
    return line != NULL && sscanf(line, "mnt_id: %d", &id) == 1 ? id : -1;
}

int clinux_open_on_same_mount_by_components(int directory, const char *name)
{
    int opened = clinux_open_by_components(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (opened < 0)
        return opened;
    int above = mount_id(directory);
    if (above >= 0 && above == mount_id(opened))
        return opened;
    close(opened);
    errno = EXDEV;
    return -1;
}

/// With O_DIRECTORY a link gives ENOTDIR, too.
static void tell_link(int directory, const char *name)
{
    struct stat status;
    if (errno == ENOTDIR && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
        errno = ELOOP;
    else
        errno = ENOTDIR;
}

int clinux_open_by_components(int directory, const char *path, int flags, unsigned mode)
{
    char name[256];
    int place = directory;
    if (*path == '/') {
        errno = EXDEV;
        return -1;
    }
    for (;;) {
        size_t length = strcspn(path, "/");
        const char *rest = path + length + strspn(path + length, "/");
        int is_last = *rest == 0, opened = -1;
        if (length >= sizeof(name)) {
            errno = ENAMETOOLONG;
        } else {
            memcpy(name, path, length);
            name[length] = 0;
            if (strcmp(name, "..") == 0)
                errno = EXDEV;
            else if (is_last)
                opened = openat(place, name, flags | O_NOFOLLOW, mode);
            else
                opened = openat(place, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (opened < 0 && errno == ENOTDIR)
                tell_link(place, name);
        }
        int code = errno;
        if (place != directory)
            close(place);
        errno = code;
        if (opened < 0 || is_last)
            return opened;
        place = opened;
        path = rest;
    }
}
