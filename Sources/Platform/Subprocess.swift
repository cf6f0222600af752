import CLinux
import Glibc

/// The result of a finished program.
public struct Finished: Sendable {
    public enum TerminationStatus: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }
    public let ending: TerminationStatus
    public let output: String
    public let errors: String
}

/// Runs a program to its end without a shell; returns its output.
///
/// Both pipes are drained with poll(2): a program that fills one while the
/// caller waits on the other would never finish.  They are close-on-exec from
/// birth: a child started meanwhile by another thread must not hold them open.
///
/// - Parameter deadline: in nanoseconds of the monotonic clock; the program's process group is killed then.
public func run(
    _ program: String, _ arguments: [String], environment: [String: String]? = nil, until deadline: UInt64? = nil
) throws(SystemError) -> Finished {
    var outPipe: [Int32] = [-1, -1]
    var errPipe: [Int32] = [-1, -1]
    guard clinux_pipe(&outPipe) == 0 else { throw SystemError(.pipe, program) }
    let out = Descriptor(adopting: outPipe[0])
    let outFar = Descriptor(adopting: outPipe[1])
    guard clinux_pipe(&errPipe) == 0 else { throw SystemError(.pipe, program) }
    let err = Descriptor(adopting: errPipe[0])
    let errFar = Descriptor(adopting: errPipe[1])

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, outFar.raw, 1)
    posix_spawn_file_actions_adddup2(&actions, errFar.raw, 2)

    // A thread may have blocked signals (every thread of Dispatch has), and this process ignores SIGPIPE; a child would
    // inherit both, and a program that waits for its alarm would wait for ever. It gets the state that a shell would
    // give it.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // In a process group of its own, so that Ctrl-C reaches only this process, which then ends the program.
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

    var child = pid_t()
    let argv = CStrings([program] + arguments)
    let envp = environment.map { CStrings($0.map { "\($0)=\($1)" }) }
    let code = withExtendedLifetime((argv, envp)) {
        posix_spawnp(&child, program, &actions, &attributes, argv.pointers, envp?.pointers ?? environ)
    }
    guard code == 0 else { throw SystemError(.spawn, program, code: code) }
    try outFar.close(path: "pipe")
    try errFar.close(path: "pipe")

    var outBytes: [UInt8] = []
    var errBytes: [UInt8] = []
    var watched = [
        pollfd(fd: out.raw, events: Int16(POLLIN), revents: 0), pollfd(fd: err.raw, events: Int16(POLLIN), revents: 0),
    ]
    while watched.contains(where: { $0.fd >= 0 }) {
        let left = deadline.map { $0 > Clock.monotonic ? Int32(clamping: ($0 - Clock.monotonic) / 1_000_000 + 1) : 0 }
        let ready = try retrying(.wait, program) { poll(&watched, 2, left ?? -1) }
        // A program that doesn't stop writing has exceeded its time, too.
        if ready == 0 || left == 0 {
            kill(-child, SIGKILL)
            break
        }
        for (index, watch) in watched.enumerated() where watch.fd >= 0 && watch.revents != 0 {
            let chunk = try readSome(watch.fd, program)
            if chunk.isEmpty { watched[index].fd = -1 }
            if index == 0 { outBytes += chunk } else { errBytes += chunk }
        }
    }
    var status: Int32 = 0
    _ = try retrying(.wait, program) { waitpid(child, &status, 0) }
    let signal = status & 0x7F
    return Finished(
        ending: signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal),
        output: String(decoding: outBytes, as: UTF8.self), errors: String(decoding: errBytes, as: UTF8.self))
}

/// Starts a program that outlives this one, in a session of its own, without input and output.
public func startDetached(_ program: String, _ arguments: [String]) throws(SystemError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, 0, 1)
    posix_spawn_file_actions_adddup2(&actions, 0, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    // POSIX_SPAWN_SETSID, which glibc declares only under _GNU_SOURCE.
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | 0x80))
    var child = pid_t()
    let argv = CStrings([program] + arguments)
    let code = withExtendedLifetime(argv) {
        posix_spawn(&child, program, &actions, &attributes, argv.pointers, environ)
    }
    guard code == 0 else { throw SystemError(.spawn, program, code: code) }
}

private func readSome(_ raw: Int32, _ subject: String) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let chunk = [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, count in
        do throws(SystemError) {
            count = try retrying(.read, subject) { Glibc.read(raw, buffer.baseAddress!, buffer.count) }
        } catch { failure = error }
    }
    if let failure { throw failure }
    return chunk
}

/// A NULL-terminated array of C strings that lives as long as the object.
private final class CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int
    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[count] = nil
    }
    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
