import Glibc
import Platform

/// Damages a file in place: changes one byte, whatever it was before.
///
/// - Parameter offset: in bytes.
public func flipByte(of path: String, at offset: Int64) throws {
    let file = try Descriptor(open: path, O_RDWR)
    var byte: UInt8 = 0
    guard pread(file.raw, &byte, 1, off_t(offset)) == 1 else {
        throw Problem("\"\(path)\" has no byte at offset \(offset)")
    }
    byte ^= 0x40
    guard pwrite(file.raw, &byte, 1, off_t(offset)) == 1 else { throw Problem("cannot damage \"\(path)\"") }
}
