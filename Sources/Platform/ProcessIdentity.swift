public import Glibc

/// Identifies a process, so that others can tell whether it still exists. A process ID alone is soon reused.
public struct ProcessIdentity: Hashable, Sendable {
    /// The host's name, for people.
    public let host: String
    /// The kernel's boot ID; empty when it can't be read.
    public let boot: String
    /// The PID namespace of `process`; 0 when unknown.
    public let namespace: UInt64
    public let process: pid_t
    /// When it began, in the kernel's ticks since the boot; 0 when unknown.
    public let started: UInt64

    public init(host: String, boot: String, namespace: UInt64, process: pid_t, started: UInt64) {
        (self.host, self.boot, self.namespace) = (host, boot, namespace)
        (self.process, self.started) = (process, started)
    }

    /// A process of this machine, in this process's namespace.
    public init(of process: pid_t) {
        self.init(
            host: hostName(), boot: ownBoot, namespace: ownNamespace, process: process,
            started: ProcessStatus(of: process)?.started ?? 0)
    }

    public static let current = ProcessIdentity(of: getpid())

    /// Whether this process sees every process of this machine, under whatever number: its PID namespace is the first
    /// one (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
    public static var seesWholeMachine: Bool { ownNamespace == 0xEFFF_FFFC }

    /// Whether it has certainly ended, or will never run again. False for every process that can't be seen from here:
    /// on another host, before the last boot, in another namespace.
    public var isGone: Bool {
        guard !boot.isEmpty, boot == ownBoot, namespace != 0, namespace == ownNamespace, process > 0, started != 0
        else { return false }
        // /proc may hide other users' processes (hidepid); kill doesn't.
        if !processExists(process) { return true }
        guard let status = ProcessStatus(of: process) else { return false }
        return status.started != started || status.hasEnded
    }
}

/// Whether a process has this number, whoever it belongs to; it may be another one than before, and a zombie.
public func processExists(_ process: pid_t) -> Bool {
    do throws(SystemError) {
        _ = try retrying(.signal, "process \(process)") { kill(process, 0) }
        return true
    } catch {
        return error.code != ESRCH
    }
}

/// A process's /proc/<number>/stat (proc(5)).
private struct ProcessStatus {
    let started: UInt64
    /// Whether it is a zombie.
    let hasEnded: Bool

    init?(of process: pid_t) {
        guard let text = try? Files.readText("/proc/\(process)/stat", limit: 1 << 16),
            // The program's name may contain anything.
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
