import CLinux
import Glibc
import Synchronization

/// Where a program and its children may write: below these paths only. They may read everywhere, but can't make
/// connections, neither over the network nor through a socket of this host, nor send signals to other processes. The
/// kernel enforces it (Landlock, seccomp), so that an overlooked access fails with EACCES.
public struct Confinement: Sendable {
    private let writable: [String]

    /// - Parameter own: directories; missing ones are ignored.
    public init(to own: [String]) { writable = own + ["/dev/null", "/dev/tty"] }

    /// Whether this kernel can restrict writing: Linux 5.19 and later, unless built without Landlock.
    public static var isPossible: Bool { clinux_confinement() >= 2 }

    /// Whether it can refuse every connection: any kernel with seccomp, on x86-64 and AArch64.
    public static var refusesConnections: Bool { clinux_can_isolate() == 1 }

    /// As `run`, confined where the kernel can.
    public func run(_ program: String, _ arguments: [String], environment: [String: String]? = nil) throws -> Finished {
        guard Confinement.isPossible || Confinement.refusesConnections else {
            return try Platform.run(program, arguments, environment: environment)
        }
        // A thread can't lift its confinement, so a new one is used; a child inherits its parent thread's.
        let outcome = Outcome()
        let worker = try Worker {
            let result = Result {
                try restrictThread(program)
                return try Platform.run(program, arguments, environment: environment)
            }
            outcome.result.withLock { $0 = result }
        }
        worker.join()
        return try outcome.result.withLock { $0! }.get()
    }

    private final class Outcome: Sendable {
        let result = Mutex<Result<Finished, any Error>?>(nil)
    }

    private func restrictThread(_ program: String) throws(SystemError) {
        if Confinement.refusesConnections { _ = try retrying(.kernel, program) { clinux_isolate() } }
        guard Confinement.isPossible else { return }
        let paths = writable.map { strdup($0) }
        defer { for path in paths { free(path) } }
        _ = try retrying(.kernel, program) {
            paths.map { UnsafePointer($0) }.withUnsafeBufferPointer {
                clinux_confine($0.baseAddress, UInt($0.count))
            }
        }
    }
}
