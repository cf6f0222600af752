#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli), raw state in and out: seed 0xFFFFFFFF and invert at the end for the usual value.
/// Uses the CPU's CRC instruction where there is one.
uint32_t tidemark_crc32c(uint32_t crc, const void *bytes, size_t count);
uint32_t tidemark_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
/// The finished CRC-32C of a whole WAL record: of the bytes after its 24-byte header, then of the header's first 20
/// bytes.
uint32_t tidemark_crc32c_record(const void *record, size_t count);
const char *tidemark_crc32c_implementation(void);

/// The data page checksum of PostgreSQL (src/include/storage/checksum_impl.h) for one 8192-byte page: FNV-1a in 32
/// lanes, folded to 16 bits, never 0. The page's own checksum field counts as zero; the page isn't changed.
uint16_t tidemark_page_checksum(const void *page, uint32_t block_number);

/// The raw CRC state after `count` more zero bytes, in time that grows with the logarithm of `count`. The states of two
/// adjacent ranges (the second started from 0) combine as shift(first, length of the second) ^ second.
uint32_t tidemark_crc32c_shift(uint32_t crc, uint64_t count);

/// SHA-256 of `count` bytes.
void tidemark_sha256(const void *bytes, size_t count, unsigned char digest[32]);

/// SHA-256 in pieces: the length of all but the last is a multiple of 64.
typedef struct {
    uint32_t state[8];
    uint64_t count;
} tidemark_sha256_sum;
void tidemark_sha256_begin(tidemark_sha256_sum *sum);
void tidemark_sha256_blocks(tidemark_sha256_sum *sum, const void *bytes, size_t count);
void tidemark_sha256_finish(tidemark_sha256_sum *sum, const void *bytes, size_t count, unsigned char digest[32]);
