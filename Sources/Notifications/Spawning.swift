import Glibc
import Platform

/// Starts a program in a session of its own, so that neither a terminal's signals nor the end of its parent reach it.
///
/// - Parameters:
///   - arguments: with the program's name first.
///   - environment: nil passes on this process's.
///   - input: a descriptor for its standard input; nil is `/dev/null`.
///   - errors: one for its standard error; nil is `/dev/null`, as its standard output always is.
/// - Returns: the process's ID, which is also its group's.
func spawn(
    _ program: String, _ arguments: [String], environment: [(String, String)]? = nil, input: Int32? = nil,
    errors: Int32? = nil
) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    if let input {
        posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    if let errors {
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
    } else {
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    }
    // The signal state that a shell would give it, as in `Platform.run`.
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // 0x80 is POSIX_SPAWN_SETSID, which spawn.h shows only under _GNU_SOURCE.
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | 0x80))

    var child = pid_t()
    let argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    let envp: [UnsafeMutablePointer<CChar>?] = (environment ?? []).map { strdup("\($0.0)=\($0.1)") } + [nil]
    defer { for word in argv + envp { free(word) } }
    let code =
        environment == nil
        ? posix_spawn(&child, program, &actions, &attributes, argv, environ)
        : posix_spawn(&child, program, &actions, &attributes, argv, envp)
    guard code == 0 else { throw SystemError(.spawn, program, code: code) }
    return child
}

/// Starts a program without waiting for it; its standard error is appended to `logFile`, which is truncated once it has
/// a megabyte.
public func startDetached(_ program: String, _ arguments: [String], logFile: String) throws {
    let large = (try FileStatus(ifPresent: logFile)?.size ?? 0) > 1 << 20
    let log = try Descriptor(open: logFile, O_WRONLY | O_CREAT | O_APPEND | (large ? O_TRUNC : 0))
    _ = try spawn(program, [program] + arguments, errors: log.raw)
}
