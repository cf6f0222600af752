import Glibc
import Synchronization

/// A name for the temporary that will become `path`: `.<name>.<place>-<pid>.<moment>.tmp` in the same directory.
///
/// `<place>` stands for the host and its PID namespace: `removeStaleTemporaries` looks for `<pid>` only where the
/// number means the same process. `<moment>` distinguishes names of one process, and of earlier and later ones with the
/// same ID.
public func temporaryName(for path: String) -> String {
    let moment = Clock.monotonic &+ counter.wrappingAdd(1, ordering: .relaxed).newValue
    return "\(Files.parent(path))/.\(Files.name(path)).\(place)-\(getpid()).\(String(moment, radix: 16)).tmp"
}

/// The temporary files and directories that this process is writing, so that an interruption can remove them.
public enum Temporaries {
    private static let all = Mutex<Set<String>>([])

    public static var open: [String] { all.withLock { $0.sorted() } }

    public static func add(_ path: String) { all.withLock { _ = $0.insert(path) } }
    public static func forget(_ path: String) { all.withLock { _ = $0.remove(path) } }
}

/// Removes temporaries whose processes have ended, and returns their names.
///
/// A temporary of this host is stale when its process doesn't exist; one of another host (or from before a change of
/// the host name) when it has not been written to for a day. A process whose temporary is removed nevertheless fails at
/// its rename and tries again: nothing that was acknowledged is lost. Files that can't be removed are left for the next
/// time.
///
/// - Parameters:
///   - name: only temporaries of files with this name that belong to this user; for a directory that others use, too.
///   - dryRun: removes nothing, and returns what would be removed.
@discardableResult
public func removeStaleTemporaries(
    in directory: String, of name: String? = nil, dryRun: Bool = false
) throws(SystemError) -> [String] {
    try removeStaleTemporaries(in: Place(directory), of: name, dryRun: dryRun).map(\.path)
}

/// As above.
public func removeStaleTemporaries(
    in directory: Place, of wanted: String? = nil, dryRun: Bool = false
) throws(SystemError) -> [Place] {
    var removed: [Place] = []
    for name in try Files.listIfPresent(directory) {
        guard let maker = TemporaryMaker(name) else { continue }
        let path = directory.appending(name)
        if let wanted {
            guard name.hasPrefix(".\(wanted)."), try FileStatus(ofLinkItself: path)?.owner == geteuid() else {
                continue
            }
        }
        if maker.place == place {
            guard maker.pid != getpid(), !processExists(maker.pid) else { continue }
        } else {
            guard let status = try? FileStatus(ofLinkItself: path), Clock.now - status.modified > 86_400_000_000 else {
                continue
            }
        }
        if dryRun || (try? Files.removeTree(path)) != nil { removed.append(path) }
    }
    return removed
}

/// Whether a directory is empty except for `lost+found` of a file system's root, and temporaries of killed processes.
public func holdsNothing(_ directory: String) throws(SystemError) -> Bool {
    try Files.list(directory).allSatisfy { $0 == "lost+found" || TemporaryMaker($0) != nil }
}

/// The process that made a temporary, according to its name.
struct TemporaryMaker: Equatable {
    let place: String
    let pid: pid_t

    init?(_ name: String) {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 5, parts[0].isEmpty, parts[parts.count - 1] == "tmp",
            UInt64(parts[parts.count - 2], radix: 16) != nil
        else { return nil }
        let maker = parts[parts.count - 3].split(separator: "-")
        guard maker.count == 2, maker[0].utf8.count == 8, let pid = pid_t(maker[1]), pid > 0 else { return nil }
        place = String(maker[0])
        self.pid = pid
    }
}

private let counter = Atomic<UInt64>(0)

/// Eight hexadecimal digits (FNV-1a) for the host's name and its PID namespace.
private let place: String = {
    var hash: UInt32 = 0x811C_9DC5
    func add(_ bytes: UnsafeRawBufferPointer) { for byte in bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 } }
    var system = utsname()
    uname(&system)
    withUnsafeBytes(of: &system.nodename, add)
    var namespace = stat()
    if stat("/proc/self/ns/pid", &namespace) == 0 { withUnsafeBytes(of: &namespace.st_ino, add) }
    return padded(hash, to: 8, radix: 16)
}()
