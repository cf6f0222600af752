import Archiving
import Monitoring
import Repository
import Synchronization
import WAL

/// Facts that a command adds to its job's record in the repository, such as the backup's label.
public final class JobNotes: Sendable {
    public init() {}

    private let notes = Mutex<[String: String]>([:])

    public func callAsFunction(_ name: String, _ value: some CustomStringConvertible) {
        notes.withLock { $0[name] = value.description }
    }

    /// Adds what a verification has found wrong with backups, and with the WAL of each incarnation.
    func found(_ found: [(incarnation: Incarnation, problems: [ArchiveProblem])], backups: [VerifiedPart.Name] = []) {
        let problems = found.flatMap { part in part.problems.map { (part.incarnation, $0) } }
        let segments = problems.filter { $1.kind == .damage }.compactMap { incarnation, problem in
            problem.segment.map { VerifiedPart.Name($0.description, of: incarnation) }
        }
        let names = backups + segments
        if !names.isEmpty { self(VerifiedPart.damaged, VerifiedPart.note(names)) }
        let missing = problems.compactMap { incarnation, problem in
            if case .missing(let last) = problem.kind {
                problem.segment.map { (first: $0, last: last, of: incarnation) }
            } else {
                nil
            }
        }
        if !missing.isEmpty { self(VerifiedPart.missing, VerifiedPart.note(missing: missing)) }
        self(VerifiedPart.wal.others, problems.count { $1.kind == .other })
    }

    public var all: [String: String] { notes.withLock { $0 } }

    private let isBegun = Mutex(false)

    /// Must be called before the command changes anything: an earlier error is a refusal and leaves no job record.
    public func begin() { isBegun.withLock { $0 = true } }

    public var hasBegun: Bool { isBegun.withLock { $0 } }
}
