#include "CChecksum.h"

// A CRC is the remainder of a polynomial over GF(2); n zero bytes after a message multiply it by x^(8n). Bits are
// reflected: the highest bit of a word is the coefficient of x^0.
#define POLYNOMIAL 0x82F63B78u

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 0x80000000u; a != 0 && bit != 0; bit >>= 1) {
        if (a & bit) {
            product ^= b;
            a ^= bit;
        }
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

uint32_t tidemark_crc32c_shift(uint32_t crc, uint64_t count)
{
    // x^(8 · 2^k), by squaring x^8.
    uint32_t power = 0x00800000u;
    for (; count != 0; count >>= 1) {
        if (count & 1) crc = multiply(power, crc);
        power = multiply(power, power);
    }
    return crc;
}
