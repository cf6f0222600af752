#include "CChecksum.h"
#include <string.h>

// The algorithm of src/include/storage/checksum_impl.h: 32 FNV-1a lanes with an extra shift, each over
// every 32nd word of the page, two rounds of zeros at the end, then folded. The lanes' offsets are the file's.
#define LANES 32
#define PRIME 16777619u
#define WORDS (8192 / 4)
#define CHECKSUM_WORD 2  // pd_checksum is the low half of the third 32-bit word (offset 8)

static const uint32_t offsets[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

uint16_t tidemark_page_checksum(const void *page, uint32_t block_number)
{
    uint32_t sums[LANES], row[LANES];
    memcpy(sums, offsets, sizeof sums);
    for (int i = 0; i < WORDS / LANES; i++) {
        memcpy(row, (const unsigned char *) page + i * sizeof row, sizeof row);
        if (i == 0) row[CHECKSUM_WORD] &= 0xFFFF0000u;
        for (int j = 0; j < LANES; j++) {
            uint32_t mixed = sums[j] ^ row[j];
            sums[j] = mixed * PRIME ^ (mixed >> 17);
        }
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < LANES; j++) sums[j] = sums[j] * PRIME ^ (sums[j] >> 17);
    uint32_t result = 0;
    for (int j = 0; j < LANES; j++) result ^= sums[j];
    result ^= block_number;
    return (uint16_t) (result % 65535 + 1);
}
