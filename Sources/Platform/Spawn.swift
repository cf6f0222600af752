import CLinux
public import Glibc
import Synchronization

/// How far a started program is from this process.
public enum Separation: Sendable {
    /// A terminal's signals don't reach it.
    case groupOfItsOwn
    /// Nor does the end of this process's session.
    case sessionOfItsOwn
}

/// Starts a program in a process group of its own.
///
/// - Parameters:
///   - program: sought in PATH when its name has no slash.
///   - words: its arguments, with its own name first.
///   - environment: nil passes on this process's.
///   - input: a descriptor for its standard input; nil is `/dev/null`, as for the others.
///   - output: one for its standard output.
///   - errors: one for its standard error.
/// - Returns: the process's ID, which is also its group's.
public func spawn(
    _ program: String, _ words: [String], environment: [(String, String)]? = nil, input: Int32? = nil,
    output: Int32? = nil, errors: Int32? = nil, in separation: Separation
) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    // PostgreSQL's programs fail where their working directory was removed or can't be entered.
    if !hasWorkingDirectory { _ = clinux_spawn_in_root(&actions) }
    for (number, descriptor) in [input, output, errors].enumerated() {
        if let descriptor {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        } else {
            posix_spawn_file_actions_addopen(
                &actions, Int32(number), "/dev/null", number == 0 ? O_RDONLY : O_WRONLY, 0)
        }
    }
    // A thread may have blocked signals (every thread of Dispatch has), and this process ignores SIGPIPE and SIGXFSZ;
    // a child would inherit both, and a program that waits for its alarm would wait for ever. It gets the state that a
    // shell would give it.
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    sigaddset(&signals, SIGXFSZ)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // 0x80 is POSIX_SPAWN_SETSID, which spawn.h shows only under _GNU_SOURCE.
    let apart = separation == .groupOfItsOwn ? POSIX_SPAWN_SETPGROUP : 0x80
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | apart))

    var child = pid_t()
    let argv = CStrings(words)
    let envp = environment.map { CStrings($0.map { "\($0.0)=\($0.1)" }) }
    try withExtendedLifetime((argv, envp)) { () throws(SystemError) in
        try checking(.spawn, program) {
            environmentLock.withLock { _ in
                posix_spawnp(&child, program, &actions, &attributes, argv.pointers, envp?.pointers ?? environ)
            }
        }
    }
    return child
}

/// Whether this process can return to the directory that it was started in.
private var hasWorkingDirectory: Bool {
    // The kernel adds " (deleted)" to the path of one that was removed.
    guard let path = try? Files.readLink("/proc/self/cwd") else { return false }
    return access(path, R_OK | X_OK) == 0
}

/// Starts a program that outlives this one, in a session of its own, without input and output.
///
/// - Parameter logFile: gets its standard error at its end; it is emptied first once it has a megabyte.
public func startDetached(_ program: String, _ arguments: [String], logFile: String? = nil) throws(SystemError) {
    guard let logFile else {
        _ = try spawn(program, [program] + arguments, in: .sessionOfItsOwn)
        return
    }
    let large = (try FileStatus(ifPresent: logFile)?.size ?? 0) > 1 << 20
    let log = try Descriptor(open: logFile, O_WRONLY | O_CREAT | O_APPEND | (large ? O_TRUNC : 0))
    _ = try spawn(program, [program] + arguments, errors: log.raw, in: .sessionOfItsOwn)
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
