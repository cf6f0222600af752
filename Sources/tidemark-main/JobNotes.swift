import Monitoring
import Synchronization

/// What a command wants its job's record in the repository to remember, such as the backup's label.
final class JobNotes: Sendable {
    private let notes = Mutex<[String: String]>([:])

    func callAsFunction(_ name: String, _ value: some CustomStringConvertible) {
        notes.withLock { $0[name] = value.description }
    }

    /// Backups and segments that a verification has found damaged.
    func damage(_ names: [String]) {
        if !names.isEmpty { self(VerifiedPart.damaged, VerifiedPart.note(names)) }
    }

    var all: [String: String] { notes.withLock { $0 } }

    private let isBegun = Mutex(false)

    /// Must be called before the command does anything: an error that comes earlier is a refusal and leaves no job record.
    func begin() { isBegun.withLock { $0 = true } }

    var hasBegun: Bool { isBegun.withLock { $0 } }
}
