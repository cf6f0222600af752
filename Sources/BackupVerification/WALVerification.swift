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
        let last = try lastSegment()
        let end = last.number(segmentSize: backup.segmentSize)
        var number = backup.startSegment.number(segmentSize: backup.segmentSize)
        while number <= end {
            defer { number += 1 }
            let segment =
                number == end
                ? last : SegmentName(timeline: backup.timeline, number: number, segmentSize: backup.segmentSize)
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
                    BackupProblem("the summary of WAL segment \"\(segment)\" is damaged", detail: "\(error)"))
            } catch let error as any Explained where error.concernsOneObject {
                problems.append(
                    BackupProblem(
                        "WAL segment \"\(segment)\", which the backup needs, cannot be read",
                        detail: "\(error.message).\(error.detail.map { " \($0)" } ?? "")", trace: trace))
            }
        }
        return (count, problems)
    }

    /// Where the one that completed the backup isn't there, another timeline's file may have its end as well.
    private func lastSegment() throws -> SegmentName {
        guard try !archive.has(.segment(backup.stopSegment)), let wal = backup.wal else { return backup.stopSegment }
        let genealogy = Genealogy(try archive.readableHistories(), segmentSize: backup.segmentSize)
        return try genealogy.lastFiles(of: wal).first { try archive.has(.segment($0)) } ?? backup.stopSegment
    }
}
