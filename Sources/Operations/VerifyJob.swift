public import Archiving
public import BaseBackup
public import Configuration
import Monitoring
import Platform
public import Repository
public import WAL

/// Which backups to verify.
public enum VerifiedBackups: Sendable {
    case all
    /// The newest one of the incarnation in use.
    case newest
    /// Those with these labels, in whatever incarnation.
    case named([String])
}

/// Reads backups and archived WAL in the repository, and reports what is wrong with them.
public struct VerifyJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: what may be missing on purpose.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// A backup that was read.
    public struct Backup: Sendable {
        public let report: VerifyReport
        /// What of the WAL after it is missing.
        public let gaps: [LineageGap]
    }

    public struct Report: Sendable {
        public fileprivate(set) var backups: [Backup] = []
        /// Backups that can't even be listed.
        public fileprivate(set) var unreadable = 0
        /// What was read of the WAL, by incarnation; empty where only backups were read.
        public fileprivate(set) var archives: [ArchiveVerification] = []
        public fileprivate(set) var problems = 0
        /// Missing WAL after the backups, each gap once.
        fileprivate var gaps: [LineageGap] = []
        public var isGood: Bool { problems == 0 && gaps.isEmpty }
    }

    /// Verifies backups, and, when they are all meant, the archived WAL of all incarnations as well.
    ///
    /// - Parameter verified: called with each backup that was read.
    /// - Throws: `NoSuchBackup`, `JobCancelled`, and what makes verifying impossible. Damage is in the report.
    public func run(
        _ which: VerifiedBackups, withWAL: Bool, verified: (Backup) throws -> Void = { _ in }
    ) throws -> Report {
        let isPart = if case .all = which { false } else { true }
        context.notes.begin()
        let known = try incarnations(of: cluster)
        let (backups, unreadable) = try chosen(which, known)
        var report = Report()
        report.unreadable = unreadable.count
        report.problems = unreadable.count
        var others = unreadable.count
        func complain(_ error: any Error) {
            context.note(.error, error)
            report.problems += 1
            others += 1
        }
        if isPart { context.notes(VerifiedPart.only, backups.map(\.1.label).joined(separator: " ")) }
        for reason in unreadable { context.note(.error, reason) }
        for archive in known.all {
            do { _ = try archive.isConfirmed() } catch { complain(error) }
            if !isPart { archive.proveRecords { complain($0) } }
        }
        var logs: [Incarnation: ArchivedLog] = [:]
        for (archive, backup) in backups {
            let backup = try verify(backup, archive, &logs)
            report.problems += backup.report.problems.count
            for gap in backup.gaps where !report.gaps.contains(gap) { report.gaps.append(gap) }
            report.backups.append(backup)
            try verified(backup)
        }
        context.notes("backups", backups.count)
        context.notes("backup_problems", report.problems)
        context.notes(VerifiedPart.backups.others, others)
        if !report.gaps.isEmpty { context.notes("gaps", report.gaps.count) }
        let gaps = report.gaps.map { ArchiveProblem($0) }
        var found: [ArchiveProblem] = []
        if withWAL, !isPart {
            report.archives = try known.all.map { try verifyWAL($0) }
            found = report.archives.flatMap(\.problems)
            context.notes("segments", report.archives.reduce(0) { $0 + $1.segments })
            context.notes("wal_problems", found.count)
        }
        // Both parts see what is missing after a backup.
        for problem in gaps.filter({ !found.contains($0) }) + found { context.note(.error, problem) }
        report.problems += found.count
        context.notes("problems", report.problems)
        let damaged = report.backups.filter { !$0.report.problems.isEmpty }.map(\.report.label)
        context.notes.found(gaps + found, labels: damaged)
        return report
    }

    /// Verifies the archived WAL of the incarnation in use.
    ///
    /// - Parameter range: nothing else is read; nil for everything.
    /// - Throws: `JobCancelled`, and what makes verifying impossible.
    public func runWAL(_ range: ClosedRange<LSN>? = nil) throws -> ArchiveVerification {
        let verification = try verifyWAL(currentArchive(of: cluster), range)
        if range != nil { context.notes(VerifiedPart.only, "a part of the WAL") }
        context.notes("segments", verification.segments)
        context.notes("problems", verification.problems.count)
        context.notes("wal_problems", verification.problems.count)
        context.notes.found(verification.problems)
        for problem in verification.problems { context.note(.error, problem) }
        return verification
    }

    private func verify(
        _ backup: BackupDescription, _ archive: ClusterArchive, _ logs: inout [Incarnation: ArchivedLog]
    ) throws -> Backup {
        let context = context
        let request = VerifyRequest(jobs: cluster.jobs, progressDirectory: cluster.state.verification)
        let report = try verifyBackup(backup, of: archive, request: request) { progress in
            context.progress(.verifying(backup: backup.label, progress))
            try context.cancellation.check()
        }
        try recordVerification(report, of: archive)
        for problem in report.problems { context.note(.error, problem) }
        let archived =
            try logs[archive.incarnation]
            ?? archivedLog(of: archive, expired: { try expiredSegments(of: archive, by: policy, segmentSize: $0) })
        logs[archive.incarnation] = archived
        return Backup(report: report, gaps: archived.gaps(behind: backup.stopLSN, on: backup.timeline))
    }

    private func verifyWAL(_ archive: ClusterArchive, _ range: ClosedRange<LSN>? = nil) throws -> ArchiveVerification {
        try verifyArchive(
            of: archive, range: range,
            expired: { try expiredSegments(of: archive, by: policy, segmentSize: $0) }, jobs: cluster.jobs,
            progress: { done, total in
                context.progress(.verifyingWAL(done: done, total: total))
                try context.cancellation.check()
            })
    }

    private func chosen(
        _ which: VerifiedBackups, _ known: ClusterIncarnations
    ) throws -> ([(ClusterArchive, BackupDescription)], [any Explained]) {
        switch which {
        case .named(let labels):
            return (
                try labels.map { label in
                    let archive = try known.holding(label)
                    return (archive, try archive.backup(label))
                }, []
            )
        case .newest:
            return (try known.current.listBackups().complete.suffix(1).map { (known.current, $0) }, [])
        case .all:
            var (backups, unreadable): ([(ClusterArchive, BackupDescription)], [any Explained]) = ([], [])
            for archive in known.all {
                let listing = try archive.listBackups()
                backups += listing.all.map { (archive, $0) }
                unreadable += listing.unreadable.map(\.reason)
            }
            return (backups, unreadable)
        }
    }
}

/// What of an archive's WAL is not there on purpose.
public func expiredSegments(
    of archive: ClusterArchive, by policy: RetentionPolicy, segmentSize: UInt32
) throws -> SegmentSet {
    try expiredSegments(
        of: archive, listing: archive.listBackups(), policy: policy, now: Moment(microseconds: Clock.now),
        segmentSize: segmentSize)
}
