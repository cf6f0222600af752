import Glibc

/// Whether all bytes are zero; returns at once when the first one isn't.
public func isZero(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
    guard bytes.count >= 8, bytes.loadUnaligned(as: UInt64.self) == 0 else { return bytes.allSatisfy { $0 == 0 } }
    // Every byte equals the one eight before it, and the first eight are zero.
    return memcmp(bytes.baseAddress!, bytes.baseAddress! + 8, bytes.count - 8) == 0
}
