#include "CChecksum.h"
#include <stdatomic.h>
#include <string.h>

// ---- portable: slicing-by-8, tables built once on first use -----------------
static uint32_t table[8][256];
static _Atomic int table_ready;

static void build_tables(void)
{
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[0][n] = c;
    }
    for (int t = 1; t < 8; t++)
        for (int n = 0; n < 256; n++)
            table[t][n] = (table[t - 1][n] >> 8) ^ table[0][table[t - 1][n] & 0xFF];
    atomic_store_explicit(&table_ready, 1, memory_order_release);   // idempotent: racing builders write equal values
}

uint32_t tidemark_crc32c_portable(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    if (!atomic_load_explicit(&table_ready, memory_order_acquire)) build_tables();
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (count >= 8) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + 4, 4);
        low ^= crc;
        crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24]
            ^ table[3][high & 0xFF] ^ table[2][(high >> 8) & 0xFF] ^ table[1][(high >> 16) & 0xFF] ^ table[0][high >> 24];
        p += 8;
        count -= 8;
    }
#endif
    while (count--) crc = table[0][(crc ^ *p++) & 0xFF] ^ (crc >> 8);
    return crc;
}

// ---- hardware ---------------------------------------------------------------
#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE_NAME "sse4.2"
// Three independent streams hide the instruction's 3-cycle latency; the streams
// are joined by multiplying by x^(8*LANE) mod P, done here with a 4x256 table.
#define LANE 1024
static uint32_t shift_table[4][256];
static _Atomic int shift_ready;

__attribute__((target("sse4.2"))) static void build_shift(void)
{
    for (int byte = 0; byte < 4; byte++)
        for (uint32_t n = 0; n < 256; n++) {
            uint64_t c = n << (8 * byte);
            for (int i = 0; i < LANE / 8; i++) c = _mm_crc32_u64(c, 0);
            shift_table[byte][n] = (uint32_t) c;
        }
    atomic_store_explicit(&shift_ready, 1, memory_order_release);
}

static inline uint32_t shift_lane(uint32_t c)
{
    return shift_table[0][c & 0xFF] ^ shift_table[1][(c >> 8) & 0xFF]
         ^ shift_table[2][(c >> 16) & 0xFF] ^ shift_table[3][c >> 24];
}

__attribute__((target("sse4.2"))) static inline uint32_t hardware_short(uint64_t a, const unsigned char *p, size_t count)
{
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        a = _mm_crc32_u64(a, word);
    }
    // At most three steps: byte by byte, the rest of most records would take as long as the whole words.
    uint32_t r = (uint32_t) a;
    if (count & 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        r = _mm_crc32_u32(r, word);
        p += 4;
    }
    if (count & 2) {
        uint16_t word;
        memcpy(&word, p, 2);
        r = _mm_crc32_u16(r, word);
        p += 2;
    }
    return count & 1 ? _mm_crc32_u8(r, *p) : r;
}

__attribute__((target("sse4.2"))) static uint32_t hardware(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    uint64_t a = crc;
    if (count >= 3 * LANE) {
        if (!atomic_load_explicit(&shift_ready, memory_order_acquire)) build_shift();
        do {
            uint64_t b = 0, c = 0;
            for (size_t i = 0; i < LANE; i += 8) {
                uint64_t x, y, z;
                memcpy(&x, p + i, 8);
                memcpy(&y, p + LANE + i, 8);
                memcpy(&z, p + 2 * LANE + i, 8);
                a = _mm_crc32_u64(a, x);
                b = _mm_crc32_u64(b, y);
                c = _mm_crc32_u64(c, z);
            }
            a = shift_lane((uint32_t) a) ^ b;
            a = shift_lane((uint32_t) a) ^ c;
            p += 3 * LANE;
            count -= 3 * LANE;
        } while (count >= 3 * LANE);
    }
    return hardware_short(a, p, count);
}

__attribute__((target("sse4.2"))) static uint32_t hardware_record(const unsigned char *record, size_t count)
{
    uint32_t body = count < 24 + 3 * LANE ? hardware_short(0xFFFFFFFFu, record + 24, count - 24)
                                          : hardware(0xFFFFFFFFu, record + 24, count - 24);
    return ~hardware_short(body, record, 20);
}
static int hardware_present(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#define HARDWARE_NAME "armv8-crc"
__attribute__((target("+crc"))) static inline uint32_t hardware(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
    }
    while (count--) crc = __crc32cb(crc, *p++);
    return crc;
}
__attribute__((target("+crc"))) static uint32_t hardware_record(const unsigned char *record, size_t count)
{
    return ~hardware(hardware(0xFFFFFFFFu, record + 24, count - 24), record, 20);
}
static int hardware_present(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

#else
#define HARDWARE_NAME "none"
static uint32_t hardware(uint32_t crc, const void *b, size_t n) { return tidemark_crc32c_portable(crc, b, n); }
static uint32_t hardware_record(const unsigned char *record, size_t n) { (void) record; (void) n; return 0; }
static int hardware_present(void) { return 0; }
#endif

static uint32_t portable_record(const unsigned char *record, size_t count)
{
    return ~tidemark_crc32c_portable(tidemark_crc32c_portable(0xFFFFFFFFu, record + 24, count - 24), record, 20);
}

// Whether the CPU has the instruction; determined once.
static _Atomic int present;   // 0 not known yet, 1 no, 2 yes

static int use_hardware(void)
{
    int known = atomic_load_explicit(&present, memory_order_relaxed);
    if (known == 0) {
        known = hardware_present() ? 2 : 1;
        atomic_store_explicit(&present, known, memory_order_relaxed);
    }
    return known == 2;
}

uint32_t tidemark_crc32c(uint32_t crc, const void *bytes, size_t count)
{
    return use_hardware() ? hardware(crc, bytes, count) : tidemark_crc32c_portable(crc, bytes, count);
}

uint32_t tidemark_crc32c_record(const void *record, size_t count)
{
    return use_hardware() ? hardware_record(record, count) : portable_record(record, count);
}

const char *tidemark_crc32c_implementation(void) { return use_hardware() ? HARDWARE_NAME : "portable"; }
