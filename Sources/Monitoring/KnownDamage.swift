import Archiving
public import Backups
public import Jobs
import Platform
public import Repository
public import WAL

/// The parts of a repository that a verification reads, and what its job's record says of each.
public enum VerifiedPart: Sendable {
    case backups
    case wal

    /// Name of the fact with which a verification that read less than the whole part says what it read.
    public static let only = "only"
    /// Name of the fact that lists what was found damaged.
    public static let damaged = "damaged"
    /// Name of the fact that lists what was missing: a segment's name, or the first's and the last's with `-` between them.
    public static let missing = "missing"
    private static let most = 20

    /// Name of the fact that counts problems of which only another verification can tell whether they are still there.
    public var others: String { self == .backups ? "backup_others" : "wal_others" }

    /// The value of the fact `missing`: the first 20 stretches.
    public static func note(missing stretches: [(first: SegmentName, last: SegmentName)]) -> String {
        stretches.prefix(most).map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }
            .joined(separator: " ")
    }

    /// The value of the fact `damaged`: the first 20 different labels and the first 20 segments' names, separated by blanks.
    public static func note(_ names: [String]) -> String {
        var seen: Set<String> = []
        let different = names.filter { seen.insert($0).inserted }
        let labels = different.filter { SegmentName($0) == nil }.prefix(most)
        return (labels + different.filter { SegmentName($0) != nil }.prefix(most)).joined(separator: " ")
    }

    /// Whether the job read this part. One that failed before it could say may have.
    func isRead(by job: JobRecord) -> Bool {
        let (backups, segments) = (job.facts["backups"] != nil, job.facts["segments"] != nil)
        guard backups || segments else { return true }
        return self == .backups ? backups : segments
    }

    /// Whether the job failed or found problems in this part; a gap after a backup counts as one of the backups.
    func hasProblems(_ job: JobRecord) -> Bool {
        guard job.result == .problems else { return job.result == .failure }
        let own = job.facts[self == .backups ? "backup_problems" : "wal_problems"] ?? job.facts["problems"]
        return own != "0" || (self == .backups && job.facts["gaps"] != nil)
    }
}

/// Segments that a verification has found missing.
public struct KnownGap: Sendable, Equatable {
    public let first: SegmentName
    public let last: SegmentName
    public init(first: SegmentName, last: SegmentName) { (self.first, self.last) = (first, last) }

    /// `segment "000000010000000000000003" is missing`; as every command says it.
    public var sentence: String { ArchiveObservation.Gap(first: first, last: last, count: 1).sentence }

    /// Looks again at what the last verifications of the WAL and of the backups have named. What lies before all backups, or
    /// was expired since, nobody misses any longer.
    ///
    /// - Parameters:
    ///   - backups: all that are left.
    ///   - expired: asked only when something is missing.
    static func find(
        in jobs: [JobRecord], of archive: ClusterArchive, backups: [BackupDescription],
        expired: (_ segmentSize: UInt32) throws -> SegmentSet
    ) throws -> [KnownGap] {
        let runs = jobs.filter { $0.kind == .verify && $0.facts["problems"] != nil }
        let last = [VerifiedPart.backups, .wal].compactMap { part in runs.last(where: part.isRead) }
        var found: [KnownGap] = []
        for text in last.flatMap({ ($0.facts[VerifiedPart.missing] ?? "").split(separator: " ") }) {
            let names = text.split(separator: "-").compactMap { SegmentName(String($0)) }
            guard let first = names.first, let last = names.last else { continue }
            let gap = KnownGap(first: first, last: last)
            guard !found.contains(gap),
                try [first, last].contains(where: { try !archive.has(.segment($0)) })
            else { continue }
            found.append(gap)
        }
        guard !found.isEmpty, let oldest = backups.min(by: { $0.startLSN < $1.startLSN }) else { return found }
        let gone = try expired(oldest.segmentSize)
        return try found.filter { gap in
            guard gap.last.end(segmentSize: oldest.segmentSize) > oldest.startLSN else { return false }
            return try [gap.first, gap.last].contains { name in
                guard !gone.contains(name) else { return false }
                return try !archive.has(.segment(name))
            }
        }
    }
}

/// What a verification has found damaged and still is, and what a look at the sizes of a backup's objects tells.
public struct KnownDamage: Sendable, Equatable {
    /// A backup's label or a segment's name.
    public let name: String
    public let segment: SegmentName?
    /// What is wrong with it, without a full stop.
    public let reason: String

    /// `segment "…" is damaged: …`
    public var sentence: String { "\(segment == nil ? "backup" : "segment") \"\(name)\" is damaged: \(reason)" }
    public var remedy: String {
        segment == nil
            ? "Take a backup now; \"tidemark remove \(shellQuoted(name))\" removes this one."
            : "If a server still has it in its pg_wal, store it again with \"tidemark archive-push PATH\". Take a backup now: "
                + "recovery from earlier ones ends before this segment."
    }

    /// Looks at the sizes of what backups consist of, and again at what verifications since the last one of the whole have
    /// named; nothing else is read.
    ///
    /// - Parameters:
    ///   - backups: the complete ones.
    ///   - now: whatever a job that ended later has named is looked at as well: when it ran is not known.
    public static func find(
        in jobs: [JobRecord], and backups: [BackupDescription], of archive: ClusterArchive, now: Moment
    ) throws -> [KnownDamage] {
        let visible = try backups.compactMap { backup in
            try visibleDamage(of: backup, from: archive).map {
                KnownDamage(name: backup.label, segment: nil, reason: $0)
            }
        }
        let seen = Set(visible.map(\.name))
        return try visible + verified(jobs, archive, now).filter { !seen.contains($0.name) }
    }

    private static func verified(
        _ jobs: [JobRecord], _ archive: ClusterArchive, _ now: Moment
    ) throws -> [KnownDamage] {
        let all = jobs.filter { $0.kind == .verify && $0.facts["problems"] != nil }
        let runs = all.ended(by: now)
        let undated = all.filter { !runs.contains($0) }
        var names: [String] = []
        for part in [VerifiedPart.backups, .wal] {
            let own = runs.filter(part.isRead)
            let start = own.lastIndex { $0.facts[VerifiedPart.only] == nil } ?? own.startIndex
            names += (own[start...] + undated.filter(part.isRead)).flatMap {
                ($0.facts[VerifiedPart.damaged] ?? "").split(separator: " ")
            }
            .map(String.init).filter { (SegmentName($0) != nil) == (part == .wal) }
        }
        return try VerifiedPart.note(names).split(separator: " ").compactMap { text in
            let name = String(text)
            if let segment = SegmentName(name) {
                return try Archiving.damage(of: segment, archive).map {
                    KnownDamage(name: name, segment: segment, reason: $0.message)
                }
            }
            guard let last = try lastVerification(of: name, of: archive) else { return nil }
            if let fault = last.fault {
                return KnownDamage(
                    name: name, segment: nil, reason: "the record of its verification of \(last.time) \(fault.verdict)")
            }
            guard last.problems > 0 else { return nil }
            return KnownDamage(name: name, segment: nil, reason: "a verification found \(last.problems) problems in it")
        }
    }

    /// As above, by the journal's own records.
    public static func find(of archive: ClusterArchive) throws -> [KnownDamage] {
        try find(
            in: JobJournal(of: archive).contents(kind: .verify).jobs,
            and: archive.listBackups().complete, of: archive, now: Moment(microseconds: Clock.now))
    }
}
