import Glibc
import Platform
import Synchronization

/// A TCP port of 127.0.0.1 that no server listens on, and that the kernel gives to no connection: those are given from
/// 32768 on. No two calls return the same.
func freePort() throws -> Int {
    try nextPort.withLock { next in
        if next == 0 { next = Int(getpid()) }
        for _ in 0..<10_000 {
            next += 1
            let port = 20_000 + next % 10_000
            if try isFree(port) { return port }
        }
        throw Problem("no port on 127.0.0.1 is free")
    }
}

private let nextPort = Mutex(0)

private func isFree(_ port: Int) throws -> Bool {
    let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard raw >= 0 else { throw Problem("socket: \(errno)") }
    defer { close(raw) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
