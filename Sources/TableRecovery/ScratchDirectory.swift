import DataDirectory
import Glibc
import Platform
import Synchronization

/// The directory of one scratch cluster, recognisable as such, owned by the process that made it.
///
/// Its marker file is locked as long as that process lives; the kernel gives the lock back whatever ends the process. So
/// whoever comes later knows without doubt that a directory was left behind, and removes it with the server in it.
public final class ScratchDirectory: Sendable {
    static let prefix = "tidemark-table-"
    static let markerName = "tidemark-scratch"

    public let path: String
    /// Where the server's socket is: within `path`, unless that is too long for one (sockaddr_un has 108 bytes).
    let socketDirectory: String
    private let marker: Descriptor

    var data: String { path + "/data" }
    var wal: String { path + "/wal" }
    var log: String { path + "/server.log" }

    /// - Parameter parent: made if it isn't there.
    init(in parent: String) throws {
        try Files.makeDirectories(parent, mode: 0o700)
        let moment = String(Clock.monotonic, radix: 16)
        path = "\(parent)/\(ScratchDirectory.prefix)\(getpid())-\(moment)"
        _ = try retrying(.makeDirectory, path) { [path] in mkdir(path, 0o700) }
        socketDirectory =
            path.utf8.count <= 80 ? path + "/socket" : "/tmp/\(ScratchDirectory.prefix)\(getpid())-\(moment)"
        _ = try retrying(.makeDirectory, socketDirectory) { [socketDirectory] in mkdir(socketDirectory, 0o700) }
        let file = path + "/" + ScratchDirectory.markerName
        marker = try Descriptor(open: file, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        let text = "A scratch cluster of tidemark recover-table, process \(getpid()).\nsocket \(socketDirectory)\n"
        try Array(text.utf8).withUnsafeBytes { try marker.write($0, path: file) }
        guard try marker.tryLock(path: file) else { throw Problem("could not lock file \"\(file)\"") }
        ScratchDirectory.own.withLock { [path, socketDirectory] in $0[path] = socketDirectory }
    }

    /// Removes everything; the server in it is stopped first.
    func remove() throws {
        try ScratchDirectory.remove(path, socketDirectory: socketDirectory)
        ScratchDirectory.own.withLock { $0[path] = nil }
    }

    /// This process's scratch clusters, with their sockets.
    private static let own = Mutex<[String: String]>([:])

    /// Removes this process's scratch clusters while others of its threads may still be at work in them; for a process
    /// that is about to end.
    public static func removeOwn() {
        for _ in 0..<20 {
            let all = own.withLock { $0 }
            let failed = all.filter { (path, socket) in
                do { try remove(path, socketDirectory: socket) } catch { return true }
                return false
            }
            if failed.isEmpty { return }
            Clock.sleep(milliseconds: 50)
        }
    }

    /// Removes the scratch clusters that dead processes left in `parent`, servers included.
    ///
    /// - Returns: their paths.
    @discardableResult
    public static func reclaim(in parent: String) throws -> [String] {
        var removed: [String] = []
        for name in try Files.listIfPresent(parent).sorted() where name.hasPrefix(prefix) {
            let path = parent + "/" + name
            let file = path + "/" + markerName
            let text: String
            do {
                let marker = try Descriptor(open: file, O_RDWR)
                guard try marker.tryLock(path: file) else { continue }
                text = try Files.readText(file, limit: 1 << 16)
            } catch let error as SystemError where error.code == ENOENT {
                // Killed between mkdir and the marker: nothing is in it yet.
                guard isOrphan(name) else { continue }
                text = ""
            }
            let socket = text.split(separator: "\n").first { $0.hasPrefix("socket ") }.map { String($0.dropFirst(7)) }
            try remove(path, socketDirectory: socket)
            removed.append(path)
        }
        return removed
    }

    private static func isOrphan(_ name: String) -> Bool {
        guard let process = pid_t(name.dropFirst(prefix.count).prefix { $0.isNumber }), process > 0 else {
            return false
        }
        return kill(process, 0) != 0 && errno == ESRCH
    }

    private static func remove(_ path: String, socketDirectory: String?) throws {
        try stopServer(path + "/data")
        // The marker goes last: a removal that is cut short is taken up again.
        for name in try Files.listIfPresent(path) where name != markerName {
            try Files.removeTree(path + "/" + name)
        }
        if let socketDirectory, Files.name(socketDirectory).hasPrefix(prefix) || socketDirectory == path + "/socket" {
            try Files.removeTree(socketDirectory)
        }
        try Files.removeTree(path)
    }

    /// Ends the server at once: nothing in a scratch cluster needs an orderly end.
    private static func stopServer(_ data: String) throws {
        guard let server = try DataDirectory(data).runningServer() else { return }
        let process = server.process
        // A number that another process got meanwhile is left alone: a server's working directory is its data directory.
        guard (try? Files.readLink("/proc/\(process)/cwd")) == data else { return }
        for (signal, patience) in [(SIGQUIT, 400), (SIGKILL, 400)] {
            _ = kill(process, signal)
            for _ in 0..<patience {
                if kill(process, 0) != 0 && errno == ESRCH { return }
                if (try? Files.readLink("/proc/\(process)/cwd")) == nil { return }
                Clock.sleep(milliseconds: 25)
            }
        }
    }
}
