public import Glibc
public import Platform

/// The directory of one scratch cluster, recognisable as such, owned by the process that made it.
///
/// Its marker file is locked while that process lives; the kernel releases the lock however the process ends. So a
/// later process can tell for certain that a directory was left behind, and removes it with the server in it.
public final class ScratchDirectory: Sendable {
    /// What the scratch cluster is for.
    public enum Purpose: String, Sendable, CaseIterable {
        case table
        case drill
    }

    private static let markerName = "tidemark-scratch"
    private static let markerText = "A scratch cluster of tidemark, process "
    /// A socket's path may have 107 bytes (sockaddr_un), the socket's own name included.
    private static let longestSocketDirectory = 85

    public let path: String
    /// The server's socket directory: within `path`, unless that is too long for a socket.
    public let socketDirectory: String
    private let marker: Descriptor

    public var data: String { path + "/data" }
    public var log: String { path + "/server.log" }

    /// The directories to which the server and its child processes are confined.
    public var confinement: Confinement { Confinement(to: [path, socketDirectory]) }

    /// - Parameter parent: created if missing.
    public init(for purpose: Purpose, in parent: String) throws {
        try Files.makeDirectories(parent, mode: 0o700)
        let name = "tidemark-\(purpose)-\(getpid())-\(String(Clock.monotonic, radix: 16))"
        path = parent + "/" + name
        _ = try retrying(.makeDirectory, path) { [path] in mkdir(path, 0o700) }
        let within = path + "/socket"
        socketDirectory = within.utf8.count <= ScratchDirectory.longestSocketDirectory ? within : "/tmp/" + name
        _ = try retrying(.makeDirectory, socketDirectory) { [socketDirectory] in mkdir(socketDirectory, 0o700) }
        let file = path + "/" + ScratchDirectory.markerName
        marker = try Descriptor(open: file, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        let text = "\(ScratchDirectory.markerText)\(getpid()).\nsocket \(socketDirectory)\n"
        try Array(text.utf8).withUnsafeBytes { try marker.write($0, path: file) }
        // A process that looks for remains locks it for a moment, or may have taken it for remains.
        var waited = 0
        while try !marker.tryLock(path: file) {
            guard waited < 5000 else { throw Problem("could not lock file \"\(file)\"") }
            Clock.sleep(milliseconds: 10)
            waited += 10
        }
        guard let there = try FileStatus(ifPresent: file), try there.isSame(as: marker.status(path: file))
        else { throw Problem("could not lock file \"\(file)\"") }
    }

    /// Removes everything; the server in it is stopped first.
    public func remove() throws {
        try ScratchDirectory.remove(
            HeldDirectory(confining: path, followsLink: false), socketDirectory: socketDirectory)
    }

    /// Removes the scratch clusters that dead processes left in `parent`, servers included. Those of living processes
    /// or other users, and anything that isn't tidemark's, are left alone.
    ///
    /// - Parameters:
    ///   - own: this process's ID, to remove only what it made before its exec.
    ///   - dryRun: removes nothing, and returns what would be removed.
    ///   - proceed: called before each; an error ends the call.
    /// - Returns: their paths.
    @discardableResult
    public static func reclaim(
        in parent: String, of own: pid_t? = nil, dryRun: Bool = false, proceed: () throws -> Void = {}
    ) throws -> [String] {
        var removed: [String] = []
        for name in try Files.listIfPresent(parent).sorted() {
            guard let maker = maker(of: name), own == nil || own == maker else { continue }
            try proceed()
            let path = parent + "/" + name
            let file = path + "/" + markerName
            // A link of such a name was not made by tidemark.
            guard try FileStatus(ofLinkItself: path)?.kind == .directory,
                let held = try? HeldDirectory(confining: path, followsLink: false)
            else { continue }
            var socket: String?
            // Held, and so locked, until the directory is gone.
            let marker: Descriptor
            do throws(SystemError) { marker = try Descriptor(open: Place(markerName, in: held), O_RDWR) } catch {
                switch error.code {
                case ENOENT:
                    // Killed between mkdir and the marker. The directory holds at most a directory for the socket.
                    guard maker == own || !processExists(maker),
                        try Files.list(Place(".", in: held)).allSatisfy({ $0 == "socket" })
                    else { continue }
                    if !dryRun {
                        try? Files.removeDirectory(Place("socket", in: held))
                        try? Files.removeDirectory(Place("/tmp/" + name))
                        guard (try? Files.removeDirectory(Place(path))) != nil else { continue }
                    }
                    removed.append(path)
                    continue
                case EACCES, EPERM, ENOTDIR, ELOOP: continue
                default: throw error
                }
            }
            guard try marker.tryLock(path: file) else { continue }
            let text = try Files.readText(file, limit: 1 << 16)
            // An empty marker: its process was killed before it wrote to it, or is about to write.
            guard text.isEmpty ? maker == own || !processExists(maker) : text.hasPrefix(markerText) else { continue }
            socket = text.split(separator: "\n").first { $0.hasPrefix("socket ") }.map { String($0.dropFirst(7)) }
            if !dryRun { try remove(held, socketDirectory: socket ?? "/tmp/" + name) }
            removed.append(path)
            withExtendedLifetime(marker) {}
        }
        return removed
    }

    /// The process that made a directory of this name; nil when it isn't the name of a scratch cluster.
    private static func maker(of name: String) -> pid_t? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "tidemark", Purpose(rawValue: String(parts[1])) != nil,
            let process = pid_t(parts[2]), process > 0, UInt64(parts[3], radix: 16) != nil
        else { return nil }
        return process
    }

    private static func remove(_ held: HeldDirectory, socketDirectory: String) throws {
        let path = held.path
        try ScratchProcesses(path + "/data").end()
        ScratchMemory(of: Place("data", in: held))?.remove()
        // The marker goes last, so that an interrupted removal is continued.
        for name in try Files.list(Place(".", in: held)) where name != markerName {
            try Files.removeTree(Place(name, in: held))
        }
        // Outside the directory, only the socket directory of its own name belongs to it.
        if socketDirectory == "/tmp/" + Files.name(path) { try Files.removeTree(socketDirectory) }
        try Files.removeTree(path)
    }
}
