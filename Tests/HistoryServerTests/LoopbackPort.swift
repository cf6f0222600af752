import Glibc
import Platform

/// A TCP port of 127.0.0.1 that nobody listens on.
func freePort() throws -> Int {
    let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard raw >= 0 else { throw Problem("socket: \(errno)") }
    defer { close(raw) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            bind(raw, pointer, length) == 0 && getsockname(raw, pointer, &length) == 0
        }
    }
    guard bound else { throw Problem("no port on 127.0.0.1 is free: \(errno)") }
    return Int(UInt16(bigEndian: address.sin_port))
}
