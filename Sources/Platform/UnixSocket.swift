import Glibc

/// A server's socket in the file system.
public enum UnixSocket {
    /// Whether a process listens on it, in whatever namespace.
    ///
    /// - Returns: nil when that can't be told: there is no socket at this path, or it may not be used.
    public static func isListenedTo(_ path: String) -> Bool? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !name.contains(0), name.count < room else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        do throws(SystemError) {
            let made = try retrying(.open, path) {
                socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
            }
            defer { _ = close(made) }
            _ = try withUnsafePointer(to: &address) { pointer throws(SystemError) in
                try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain throws(SystemError) in
                    try retrying(.open, path) { connect(made, plain, socklen_t(MemoryLayout<sockaddr_un>.size)) }
                }
            }
            return true
        } catch {
            switch error.code {
            // More processes are waiting for it than it lets wait.
            case EAGAIN: return true
            case ECONNREFUSED: return false
            default: return nil
            }
        }
    }
}
