public import Archiving
import BackupVerification
public import Backups
public import Configuration
import Monitoring
import Platform
import Repository
public import Retention
public import WAL

/// The backups to verify.
public enum VerifiedBackups: Sendable {
    case all
    /// The newest one of the incarnation in use.
    case newest
    /// Those that these words mean (`label(meantBy:)`), in any incarnation.
    case named([String])
}

/// Verifies backups and archived WAL in the repository, and reports problems.
public struct VerifyJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext
    private let limit: RateLimited?

    /// - Parameters:
    ///   - policy: decides which segments are missing on purpose.
    ///   - rateLimit: how many bytes of the repository to read per second at most, with all threads together.
    public init(
        of cluster: ClusterConfiguration, policy: RetentionPolicy, rateLimit: Int64? = nil,
        _ context: JobContext = JobContext()
    ) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
        limit = rateLimit.map { RateLimited(RateLimit(bytesPerSecond: $0)) }
    }

    private func limited(_ archive: ClusterArchive) -> ClusterArchive {
        guard let limit else { return archive }
        return ClusterArchive(archive.incarnation, in: InterceptedStore(archive.store, limit))
    }

    /// A verified backup.
    public struct Backup: Sendable {
        public let report: VerifyReport
        /// Gaps in the WAL after it.
        public let gaps: [LineageGap]
    }

    public struct Report: Sendable {
        public fileprivate(set) var backups: [Backup] = []
        /// The number of backups whose description can't be read.
        public fileprivate(set) var unreadable = 0
        /// The verified WAL, by incarnation; empty where only backups were verified.
        public fileprivate(set) var archives: [ArchiveVerification] = []
        /// An object that is missing or damaged counts once, whatever needs it.
        public fileprivate(set) var problems = 0
        /// Missing WAL after the backups, by incarnation, each gap once.
        fileprivate var gaps: [Incarnation: [LineageGap]] = [:]
        public var isGood: Bool { problems == 0 && gaps.isEmpty }
    }

    /// Verifies backups and, when all of them are requested, the archived WAL of all incarnations as well.
    ///
    /// - Parameter verified: called with each verified backup.
    /// - Throws: `NoSuchBackup`, `JobCancelled`, and what makes verifying impossible. Damage is in the report; so is an
    ///   error that concerns one object only.
    public func run(
        _ which: VerifiedBackups, withWAL: Bool, verified: (Backup) throws -> Void = { _ in }
    ) throws -> Report {
        let isPart = if case .all = which { false } else { true }
        let isNamed = if case .named = which { true } else { false }
        context.notes.begin()
        let known = try incarnations(of: cluster)
        let (backups, unreadable, unsealed) = try chosen(which, known)
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
        for missing in unsealed { complain(missing) }
        // What is in the archive is sound all the same.
        if withWAL { context.noteContradiction(of: cluster, known.current, .warning) }
        if !isPart { for lost in known.lost { complain(lost) } }
        for archive in known.all {
            do { _ = try archive.isConfirmed() } catch { complain(error) }
            if !isPart { archive.proveRecords { complain($0) } }
        }
        /// The value is nil for an incarnation that can't be listed.
        var walOf: [Incarnation: ArchivedWAL?] = [:]
        var damaged: [VerifiedPart.Name] = []
        var repeated = RepeatedProblems()
        var unverified: (number: Int, why: any Explained)?
        for (archive, backup) in backups {
            let found: VerifyReport
            do {
                found = try verify(backup, archive, mustBeUsable: isNamed)
            } catch let gone as NoSuchBackup where !isPart {
                context.note(.log, gone.message, detail: "It was removed in the meantime.")
                continue
            } catch let lost as LeaseLost where !isPart && lost.consequence == .backupRemoved {
                context.note(.warning, lost)
                continue
            } catch let failure as any Explained where failure.isOwnShortage && backups.count > 1 {
                context.note(
                    .error, "backup \"\(backup.label)\" could not be verified", detail: "\(failure.message).",
                    hint: failure.hint)
                unverified = ((unverified?.number ?? 0) + 1, unverified?.why ?? failure)
                continue
            } catch let failure as any Explained
                where failure is NoSuchBackup || failure is BackupInProgress || failure is LeaseLost
                || failure.concernsOneObject
                || backups.count > 1 && failure is SystemError
            {
                complain(failure)
                continue
            }
            do { try recordVerification(found, of: archive) } catch let error as SystemError {
                // The repository may be away as a whole.
                guard (try? archive.isConfirmed()) == true else { throw error }
                // That says nothing about the backup.
                context.note(
                    .warning, "the verification of backup \"\(found.label)\" could not be recorded",
                    detail: "\(error.message).", hint: error.hint)
            }
            for problem in found.problems { context.note(.error, problem) }
            if !isNamed, let aside = found.aside { context.note(.warning, aside.sentence) }
            if walOf[archive.incarnation] == nil {
                do {
                    walOf[archive.incarnation] = .some(
                        try archivedWAL(
                            of: archive,
                            expired: { try expiredSegments(of: archive, cluster, by: policy, segmentSize: $0) },
                            try archive.listBackups().complete.compactMap(\.wal)))
                } catch let failure as any Explained where failure.concernsOneObject {
                    complain(failure)
                    walOf[archive.incarnation] = .some(nil)
                }
            }
            let gaps = walOf[archive.incarnation]??.gaps(after: backup.stopLSN, on: backup.timeline) ?? []
            let backup = Backup(report: found, gaps: gaps)
            report.problems += found.problems.count - repeated.count(found.problems, of: archive.incarnation)
            if !found.problems.isEmpty { damaged.append(VerifiedPart.Name(found.label, of: archive.incarnation)) }
            for gap in backup.gaps where !report.gaps[archive.incarnation, default: []].contains(gap) {
                report.gaps[archive.incarnation, default: []].append(gap)
            }
            report.backups.append(backup)
            try verified(backup)
        }
        context.notes("backups", backups.count)
        context.notes("backup_problems", report.problems)
        context.notes(VerifiedPart.backups.others, others)
        if !report.gaps.isEmpty { context.notes("gaps", report.gaps.values.reduce(0) { $0 + $1.count }) }
        var found: [Incarnation: [ArchiveProblem]] = [:]
        if withWAL, !isPart {
            report.archives = try known.all.compactMap { archive in
                do {
                    let verification = try verifyWAL(archive)
                    found[archive.incarnation] = verification.problems
                    return verification
                } catch let failure as any Explained
                    where failure.concernsOneObject
                {
                    complain(failure)
                    return nil
                }
            }
            context.notes("segments", report.archives.reduce(0) { $0 + $1.segments })
            context.notes("wal_problems", found.values.reduce(0) { $0 + $1.count })
        }
        let all = known.all.map(\.incarnation).map { incarnation in
            let gaps = report.gaps[incarnation, default: []].map { ArchiveProblem($0) }
            let own = found[incarnation, default: []]
            // Both parts report gaps after a backup.
            return (incarnation: incarnation, problems: gaps.filter { !own.contains($0) } + own)
        }
        for problem in all.flatMap(\.problems) { context.note(.error, problem) }
        report.problems += found.values.reduce(0) { $0 + $1.count }
        for (incarnation, problems) in found {
            report.problems -= repeated.count(causedBy: problems, of: incarnation)
        }
        context.notes("problems", report.problems)
        context.notes.found(all, backups: damaged)
        if let unverified { throw Unverified(number: unverified.number, why: unverified.why) }
        return report
    }

    /// Verifies the archived WAL of the incarnation in use.
    ///
    /// - Parameters:
    ///   - from: where to begin; nil for the beginning.
    ///   - to: where to end; nil for the end.
    /// - Throws: `NoStretch`, `NoWALInStretch`, `JobCancelled`, and what makes verifying impossible.
    public func runWAL(from: WALPlace? = nil, to: WALPlace? = nil) throws -> ArchiveVerification {
        context.notes.begin()
        let range = try VerifiedStretch(of: cluster, context).range(from, to)
        let archive = try currentArchive(of: cluster, context)
        let verification = try verifyWAL(archive, range)
        guard range == nil || verification.segments > 0 || !verification.problems.isEmpty else {
            throw NoWALInStretch()
        }
        if range != nil { context.notes(VerifiedPart.only, "a part of the WAL") }
        context.notes("segments", verification.segments)
        context.notes("problems", verification.problems.count)
        context.notes("wal_problems", verification.problems.count)
        context.notes.found([(archive.incarnation, verification.problems)])
        for problem in verification.problems { context.note(.error, problem) }
        context.noteContradiction(of: cluster, archive, .warning)
        return verification
    }

    private func verify(
        _ backup: BackupDescription, _ archive: ClusterArchive, mustBeUsable: Bool
    ) throws -> VerifyReport {
        let context = context
        let request = VerifyRequest(
            jobs: cluster.jobs, progressDirectory: cluster.state.verification, mustBeUsable: mustBeUsable)
        return try verifyBackup(backup, of: limited(archive), request: request) { progress in
            context.progress(.verifying(backup: backup.label, progress))
            try context.cancellation.check()
        }
    }

    private func verifyWAL(_ archive: ClusterArchive, _ range: ClosedRange<LSN>? = nil) throws -> ArchiveVerification {
        try verifyArchive(
            of: limited(archive), range: range,
            expired: { try expiredSegments(of: archive, cluster, by: policy, segmentSize: $0) },
            backups: try archive.listBackups().complete.compactMap(\.wal), jobs: cluster.jobs,
            progress: { done, total in
                context.progress(.verifyingWAL(done: done, total: total))
                try context.cancellation.check()
            })
    }

    private typealias Chosen = (
        backups: [(ClusterArchive, BackupDescription)], unreadable: [any Explained], unsealed: [UnsealedBackup]
    )

    private func chosen(_ which: VerifiedBackups, _ known: ClusterIncarnations) throws -> Chosen {
        var chosen: Chosen = ([], [], [])
        switch which {
        case .named(let words):
            for word in words {
                do {
                    let label = try known.label(meantBy: word)
                    let archive = try known.holding(label)
                    chosen.backups.append((archive, try archive.backup(label)))
                    if let missing = try archive.lacksSeal(label) { chosen.unsealed.append(missing) }
                } catch let failure as any Explained where failure is DamagedDescription || failure.concernsOneObject {
                    chosen.unreadable.append(failure)
                }
            }
        case .newest: return try latest(known.current)
        case .all:
            for archive in known.all {
                do {
                    let listing = try archive.listBackups()
                    chosen.backups += listing.all.map { (archive, $0) }
                    chosen.unreadable += listing.unreadable.map(\.reason) + listing.unlistedAside
                    chosen.unsealed += listing.unsealed
                } catch let failure as any Explained where failure.concernsOneObject {
                    chosen.unreadable.append(failure)
                }
            }
        }
        return chosen
    }

    /// The newest usable backup. Reports each that can't be read, because it may be the newest, and notes each newer
    /// one whose branch was put aside.
    private func latest(_ archive: ClusterArchive) throws -> Chosen {
        let listing = try archive.listBackups()
        let newest = listing.newest
        var told: [any Explained] = listing.unreadable.map(\.reason)
        for aside in listing.aside where newest.map({ $0.startTime < aside.backup.startTime }) ?? true {
            context.note(.warning, aside.sentence)
        }
        if newest == nil, told.isEmpty { told.append(NoBackup(cluster: archive.incarnation.cluster)) }
        return (
            newest.map { [(archive, $0)] } ?? [], told, listing.unsealed.filter { $0.label == newest?.label }
        )
    }
}

/// The segments of an archive that were removed on purpose.
func expiredSegments(
    of archive: ClusterArchive, _ cluster: ClusterConfiguration, by policy: RetentionPolicy, segmentSize: UInt32
) throws -> SegmentSet {
    try expiredSegments(
        of: archive, listing: archive.listBackups(), policy: policy,
        dataDirectory: cluster.dataDirectory,
        now: Moment(microseconds: Clock.now), segmentSize: segmentSize)
}

/// For some backups this host lacked something.
private struct Unverified: Explained {
    let number: Int
    let why: any Explained
    var message: String { "\(counted(number, "backup")) could not be verified: \(why.message)" }
    var hint: String? { why.hint }
}

/// There is nothing to verify.
private struct NoBackup: Explained {
    let cluster: String
    var message: String { "cluster \"\(cluster)\" has no complete backup" }
    var hint: String? { "\"\(runnable("tidemark backup"))\" takes one." }
}
