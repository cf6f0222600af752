import Backups
import Platform
import Repository
import WAL

/// Reads the WAL that a backup needs to become consistent. Later WAL isn't part of the backup.
struct WALVerification {
    private let backup: BackupDescription
    private let archive: ClusterArchive

    init(_ backup: BackupDescription, _ archive: ClusterArchive) {
        (self.backup, self.archive) = (backup, archive)
    }

    func run() throws -> (segments: Int, problems: [BackupProblem]) {
        var problems: [BackupProblem] = []
        var continuity = Continuity()
        var decompressor = try Decompressor()
        var count = 0
        for segment in try archive.neededSegments(of: backup) {
            let trace = BackupProblem.Trace.object(archive.key(for: .segment(segment)))
            do {
                let stored = try archive.stored(segment)
                try stored.extract(with: &decompressor) { _ in }
                count += 1
                guard let summary = try stored.summary() else { continue }
                if case .broken(let link) = continuity.add(summary) {
                    problems.append(
                        BackupProblem(
                            "WAL segment \"\(segment)\" does not follow the one before it", detail: link.detail))
                }
            } catch is ObjectAbsent {
                problems.append(
                    BackupProblem("WAL segment \"\(segment)\", which the backup needs, is missing", trace: trace))
            } catch let error as ObjectDamaged {
                problems.append(
                    BackupProblem(
                        "WAL segment \"\(segment)\", which the backup needs, is damaged", detail: error.detail,
                        trace: trace))
            } catch let error as BadSummary {
                problems.append(
                    BackupProblem("the summary of WAL segment \"\(segment)\" is damaged", detail: sentences(of: error)))
            } catch let error as any Explained where error.concernsOneObject {
                problems.append(
                    BackupProblem(
                        "WAL segment \"\(segment)\", which the backup needs, cannot be read",
                        detail: "\(error.message).\(error.detail.map { " \($0)" } ?? "")", trace: trace))
            }
        }
        return (count, problems)
    }
}
