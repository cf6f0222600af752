public import Glibc

/// Which process it is, for others who must know whether it is still there. A number alone is soon another's.
public struct ProcessIdentity: Hashable, Sendable {
    /// The host's name, for people.
    public let host: String
    /// The kernel's own name for its run since it was booted; empty when it can't be read.
    public let boot: String
    /// The namespace that `process` is a number of; 0 when it can't be told.
    public let namespace: UInt64
    public let process: pid_t
    /// When it began, in the kernel's ticks since the boot; 0 when it can't be told.
    public let started: UInt64

    public init(host: String, boot: String, namespace: UInt64, process: pid_t, started: UInt64) {
        (self.host, self.boot, self.namespace) = (host, boot, namespace)
        (self.process, self.started) = (process, started)
    }

    /// A process of this machine, as it is seen from here.
    public init(of process: pid_t) {
        self.init(
            host: hostName(), boot: ownBoot, namespace: ownNamespace, process: process,
            started: ProcessStatus(of: process)?.started ?? 0)
    }

    public static let current = ProcessIdentity(of: getpid())

    /// Whether it is certain that it has ended, or never will do anything again. False of every process that can't be seen
    /// from here: on another host, before the last boot, in another namespace.
    public var isGone: Bool {
        guard !boot.isEmpty, boot == ownBoot, namespace != 0, namespace == ownNamespace, process > 0, started != 0
        else { return false }
        // /proc may hide other users' processes (hidepid); this doesn't.
        if kill(process, 0) != 0 && errno == ESRCH { return true }
        guard let status = ProcessStatus(of: process) else { return false }
        return status.started != started || status.hasEnded
    }
}

/// What the kernel says of a process in /proc/<number>/stat (proc(5)).
private struct ProcessStatus {
    let started: UInt64
    /// Nobody has asked yet how it ended.
    let hasEnded: Bool

    init?(of process: pid_t) {
        guard let text = try? Files.readText("/proc/\(process)/stat", limit: 1 << 16),
            // The program's name may hold anything.
            let name = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 19, let started = UInt64(fields[19]) else { return nil }
        self.started = started
        hasEnded = fields[0] == "Z" || fields[0] == "X"
    }
}

private let ownBoot =
    ((try? Files.readText("/proc/sys/kernel/random/boot_id", limit: 64)) ?? "").filter { !$0.isWhitespace }

private let ownNamespace: UInt64 = {
    var namespace = stat()
    return stat("/proc/self/ns/pid", &namespace) == 0 ? UInt64(namespace.st_ino) : 0
}()
