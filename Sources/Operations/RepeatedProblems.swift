import Archiving
import Backups
import Repository
import WAL

/// Finds problems that concern the same object: one that is missing or damaged counts once, whatever needs it.
struct RepeatedProblems {
    private var told: [Incarnation: Set<BackupProblem>] = [:]

    /// How many of these were told before, for another backup.
    mutating func count(_ problems: [BackupProblem], of incarnation: Incarnation) -> Int {
        problems.count { problem in
            guard case .object = problem.trace else { return false }
            return !told[incarnation, default: []].insert(problem).inserted
        }
    }

    /// How many of those that were told come from what is wrong with the archived WAL.
    func count(causedBy problems: [ArchiveProblem], of incarnation: Incarnation) -> Int {
        told[incarnation, default: []].count { known in problems.contains { known.isOf($0) } }
    }
}

extension BackupProblem {
    /// Whether it comes from a segment that is missing or damaged.
    fileprivate func isOf(_ problem: ArchiveProblem) -> Bool {
        guard case .object(let key) = trace, case .segment(let name)? = ArchiveFileName.object(key.name)?.file,
            let first = problem.segment
        else { return false }
        switch problem.kind {
        case .damage: return name == first
        case .missing(let last):
            return (first.timeline...last.timeline).contains(name.timeline) && first.on(name.timeline) <= name
                && name <= last.on(name.timeline)
        case .other: return false
        }
    }
}
