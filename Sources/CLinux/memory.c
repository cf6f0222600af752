#include "CLinux.h"
#include <stdint.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

/// PGShmemHeader of src/include/storage/pg_shmem.h: the same in 12 to 18.
struct header {
    int32_t magic;
    pid_t creator;
    size_t total_size;
    size_t free_offset;
    uint32_t dynamic_memory;
    void *index;
    dev_t device;
    ino_t inode;
};
static const int32_t pg_magic = 679834894;

int clinux_remove_server_memory(int identifier, unsigned long device, unsigned long inode)
{
    struct shmid_ds status;
    if (shmctl(identifier, IPC_STAT, &status) < 0)
        return 0;
    if (status.shm_nattch != 0 || status.shm_segsz < sizeof(struct header) || status.shm_perm.cuid != geteuid())
        return 0;
    const void *memory = shmat(identifier, NULL, SHM_RDONLY);
    if (memory == (void *) -1)
        return -1;
    struct header header;
    memcpy(&header, memory, sizeof header);
    shmdt(memory);
    if (header.magic != pg_magic || header.device != device || header.inode != inode)
        return 0;
    return shmctl(identifier, IPC_RMID, NULL) < 0 ? -1 : 1;
}
