import Synchronization

/// What a command wants its job's record in the repository to remember, such as the backup's label.
final class JobNotes: Sendable {
    private let notes = Mutex<[String: String]>([:])

    func callAsFunction(_ name: String, _ value: some CustomStringConvertible) {
        notes.withLock { $0[name] = value.description }
    }

    var all: [String: String] { notes.withLock { $0 } }
}
