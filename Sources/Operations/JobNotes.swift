public import Archiving
import Monitoring
import Synchronization
import WAL

/// What a command wants its job's record in the repository to remember, such as the backup's label.
public final class JobNotes: Sendable {
    public init() {}

    private let notes = Mutex<[String: String]>([:])

    public func callAsFunction(_ name: String, _ value: some CustomStringConvertible) {
        notes.withLock { $0[name] = value.description }
    }

    /// What a verification has found wrong with backups, by their labels, and with the archive.
    public func found(_ problems: [ArchiveProblem], labels: [String] = []) {
        let names = labels + problems.filter { $0.kind == .damage }.compactMap(\.segment?.description)
        if !names.isEmpty { self(VerifiedPart.damaged, VerifiedPart.note(names)) }
        let missing = problems.compactMap { problem in
            if case .missing(let last) = problem.kind { problem.segment.map { (first: $0, last: last) } } else { nil }
        }
        if !missing.isEmpty { self(VerifiedPart.missing, VerifiedPart.note(missing: missing)) }
        self(VerifiedPart.wal.others, problems.count { $0.kind == .other })
    }

    public var all: [String: String] { notes.withLock { $0 } }

    private let isBegun = Mutex(false)

    /// Must be called before the command does anything: an error that comes earlier is a refusal and leaves no job record.
    public func begin() { isBegun.withLock { $0 = true } }

    public var hasBegun: Bool { isBegun.withLock { $0 } }
}
