#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// linux/landlock.h, which not every distribution ships; the numbers are the same on every architecture.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
enum {
    WRITE_FILE = 1 << 1,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_ANYTHING = 0x7F << 6,
    REFER = 1 << 13,
    TRUNCATE = 1 << 14,
    BIND_TCP = 1 << 0,
    CONNECT_TCP = 1 << 1,
    SCOPE_SIGNAL = 1 << 1,
    CREATE_RULESET_VERSION = 1 << 0,
    RULE_PATH_BENEATH = 1,
};
struct ruleset {
    uint64_t filesystem;
    uint64_t network;
    uint64_t scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

int clinux_confinement(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int) abi;
}

static int allow(int ruleset, const char *path, uint64_t handled)
{
    int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0)
        return errno == ENOENT ? 0 : -1;
    struct stat status;
    int result = fstat(place, &status);
    if (result == 0) {
        struct path_beneath rule = {handled, place};
        // The kernel rejects rights of directories for a file.
        if (!S_ISDIR(status.st_mode))
            rule.allowed &= WRITE_FILE | TRUNCATE;
        result = (int) syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    }
    int code = errno;
    close(place);
    errno = code;
    return result;
}

int clinux_confine(const char *const *paths, unsigned long count)
{
    int abi = clinux_confinement();
    // The first version refuses every rename from one directory into another.
    if (abi < 2) {
        errno = ENOTSUP;
        return -1;
    }
    struct ruleset rules = {WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_ANYTHING | REFER, 0, 0};
    if (abi >= 3)
        rules.filesystem |= TRUNCATE;
    if (abi >= 4)
        rules.network = BIND_TCP | CONNECT_TCP;
    if (abi >= 6)
        rules.scoped = SCOPE_SIGNAL;
    size_t size = abi >= 6 ? sizeof(rules) : abi >= 4 ? offsetof(struct ruleset, scoped) : sizeof(rules.filesystem);
    int ruleset = (int) syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (ruleset < 0)
        return -1;
    int result = 0;
    for (unsigned long index = 0; index < count && result == 0; index++)
        result = allow(ruleset, paths[index], rules.filesystem);
    if (result == 0)
        result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result == 0)
        result = (int) syscall(SYS_landlock_restrict_self, ruleset, 0);
    int code = errno;
    close(ruleset);
    errno = code;
    return result;
}

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
// Higher numbers are the calls of x32.
#define LAST_CALL 0x3FFFFFFF
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#define LAST_CALL 0xFFFFFFFF
#endif

int clinux_can_isolate(void)
{
#ifdef OWN_ARCHITECTURE
    uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
#else
    return 0;
#endif
}

int clinux_isolate(void)
{
#ifdef OWN_ARCHITECTURE
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define REFUSE_IF(test, value) \
    BPF_JUMP(BPF_JMP | (test) | BPF_K, (value), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)
#define REFUSE_CALL(name) REFUSE_IF(BPF_JEQ, SYS_##name)
    struct sock_filter filter[] = {
        FIELD(arch),
        // A program of another architecture uses other numbers.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        FIELD(nr),
        REFUSE_IF(BPF_JGT, LAST_CALL),
        REFUSE_CALL(connect),
        // No sending without a connection, and no connection made by the first send (MSG_FASTOPEN): only stream sockets
        // of this host.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 6),
        FIELD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 3),
        FIELD(args[1]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xF),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        FIELD(nr),
        // Another process of the same user must not act for it.
        REFUSE_CALL(ptrace),
        REFUSE_CALL(process_vm_readv),
        REFUSE_CALL(process_vm_writev),
        REFUSE_IF(BPF_JEQ, 438 /* pidfd_getfd */),
        // io_uring connects without the call.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 425 /* io_uring_setup */, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
#else
    errno = ENOTSUP;
    return -1;
#endif
}
