/// Exit statuses, the same for every command (docs/commands.md).
enum ExitStatus: Int32 {
    case success = 0
    case failure = 1
    /// Usage or configuration error.
    case usage = 2
    /// The command finished its work and found problems.
    case problemsFound = 3
    /// The recovery target can't be reached.
    case unreachable = 4
    /// Another process holds the lock.
    case locked = 5
    /// Interrupted, or the user said no.
    case interrupted = 130
}

/// An error that has an exit status of its own; every other error is a failure.
protocol ExitStatusProviding {
    var exitStatus: ExitStatus { get }
}
