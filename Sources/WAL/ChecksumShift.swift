/// Arithmetic on raw CRC-32C states, so that a record's CRC can be computed from those of its fragments.
///
/// A state is a polynomial over GF(2), lowest power in the highest bit; appending a byte multiplies it by x⁸ modulo
/// Castagnoli's polynomial. So for bytes B of length n: `crc(state, B) == shifted(state, by: n) ^ crc(0, B)`.
enum ChecksumShift {
    private static let polynomial: UInt32 = 0x82F6_3B78
    private static let one: UInt32 = 1 << 31

    /// The state after `count` more zero bytes; costs O(log count).
    static func shifted(_ state: UInt32, by count: Int) -> UInt32 {
        var power = one
        var square = one >> 8
        var left = count
        while left > 0 {
            if left & 1 != 0 { power = product(power, square) }
            square = product(square, square)
            left >>= 1
        }
        return product(power, state)
    }

    private static func product(_ a: UInt32, _ b: UInt32) -> UInt32 {
        var result: UInt32 = 0
        var shifted = b
        var bit = one
        while bit != 0 {
            if a & bit != 0 { result ^= shifted }
            shifted = shifted & 1 != 0 ? shifted >> 1 ^ polynomial : shifted >> 1
            bit >>= 1
        }
        return result
    }
}
