import Archiving
public import Backups
public import Jobs
import Platform
public import Repository
public import WAL

/// The parts of a repository that a verification reads, and their facts in its job's record.
public enum VerifiedPart: Sendable {
    case backups
    case wal

    /// The fact that names what was verified, if it wasn't the whole part.
    public static let only = "only"
    /// The fact that lists damage: the incarnation's folder, `/`, and a label or a segment's name.
    public static let damaged = "damaged"
    /// The fact that lists gaps: the incarnation's folder, `/`, and a segment's name, or the first's and the last's
    /// with `-` between them.
    public static let missing = "missing"
    private static let most = 20

    /// A name with its incarnation: segments of another incarnation may have the same names.
    public struct Name: Hashable, Sendable {
        public let incarnation: Incarnation
        /// A backup's label or a segment's name.
        public let name: String
        public init(_ name: String, of incarnation: Incarnation) { (self.name, self.incarnation) = (name, incarnation) }
        var isSegment: Bool { SegmentName(name) != nil }
    }

    /// Splits one blank-separated value into the incarnation's folder and the rest; without a folder the value belongs
    /// to the incarnation in use.
    static func parted(_ text: Substring) -> (folder: Substring?, name: Substring) {
        guard let slash = text.firstIndex(of: "/") else { return (nil, text) }
        return (text[..<slash], text[text.index(after: slash)...])
    }

    /// The fact that counts problems whose persistence only another verification can determine.
    public var others: String { self == .backups ? "backup_others" : "wal_others" }

    /// The value of the fact `missing`: the first 20 gaps.
    public static func note(missing stretches: [(first: SegmentName, last: SegmentName, of: Incarnation)]) -> String {
        stretches.prefix(most).map {
            "\($0.of.folderName)/" + ($0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)")
        }
        .joined(separator: " ")
    }

    /// The value of the fact `damaged`: the first 20 different labels and the first 20 segments' names, separated by
    /// blanks.
    public static func note(_ names: [Name]) -> String {
        first(names).map { "\($0.incarnation.folderName)/\($0.name)" }.joined(separator: " ")
    }

    static func first(_ names: [Name]) -> [Name] {
        var seen: Set<Name> = []
        let different = names.filter { seen.insert($0).inserted }
        return Array(different.filter { !$0.isSegment }.prefix(most) + different.filter(\.isSegment).prefix(most))
    }

    /// Whether the job verified this part. One that failed early may have.
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

/// Segments that a verification found missing.
public struct KnownGap: Sendable, Equatable {
    public let first: SegmentName
    public let last: SegmentName
    /// The incarnation's folder; nil for the one in use.
    public var former: String?
    public init(first: SegmentName, last: SegmentName) { (self.first, self.last) = (first, last) }

    /// `segment "000000010000000000000003" is missing`; used by every command.
    public var sentence: String {
        (former.map { "of incarnation \($0), " } ?? "")
            + ArchiveObservation.Gap(first: first, last: last, count: 1).sentence
    }
    var remedy: String {
        former == nil
            ? "\"\(runnable("tidemark segments"))\" shows what is missing, and whether the server still has it."
            : KnownDamage.formerRemedy
    }

    /// Checks again the gaps that the last verifications of the WAL and of the backups named.
    ///
    /// - Parameters:
    ///   - former: the cluster's other incarnations.
    ///   - needed: the segments removed on purpose since, and where the oldest backup begins; called when something is
    ///     missing. WAL before all backups isn't needed.
    static func find(
        in jobs: [JobRecord], of archive: ClusterArchive, former: [ClusterArchive],
        needed: (ClusterArchive) throws -> (expired: SegmentSet, from: LSN?)
    ) throws -> [KnownGap] {
        let runs = jobs.filter { $0.kind == .verify && $0.facts["problems"] != nil }
        let last = [VerifiedPart.backups, .wal].compactMap { part in runs.last(where: part.isRead) }
        var found: [KnownGap] = []
        var asked: [Incarnation: (expired: SegmentSet, from: LSN?)] = [:]
        for text in last.flatMap({ ($0.facts[VerifiedPart.missing] ?? "").split(separator: " ") }) {
            let (folder, rest) = VerifiedPart.parted(text)
            let names = rest.split(separator: "-").compactMap { SegmentName(String($0)) }
            guard let first = names.first, let last = names.last,
                let place = archive.named(folder, among: former)
            else { continue }
            var gap = KnownGap(first: first, last: last)
            gap.former = place.incarnation == archive.incarnation ? nil : place.incarnation.folderName
            guard !found.contains(gap), try [first, last].contains(where: { try !place.has(.segment($0)) }) else {
                continue
            }
            let (expired, from) = try asked[place.incarnation] ?? needed(place)
            asked[place.incarnation] = (expired, from)
            guard let left = gap.without(expired),
                from.map({ left.last.end(segmentSize: expired.segmentSize) > $0 }) ?? true,
                try left.continuesSomething(in: place, segmentSize: expired.segmentSize)
            else { continue }
            found.append(left)
        }
        return found
    }

    /// Whether earlier WAL is archived. If that was expired, nothing is missing where the archive begins.
    private func continuesSomething(in archive: ClusterArchive, segmentSize size: UInt32) throws -> Bool {
        let number = first.number(segmentSize: size)
        return try archive.timelines().filter { $0 <= first.timeline }.contains { timeline in
            try archive.segments(timeline: timeline, from: nil).contains { $0.number(segmentSize: size) < number }
        }
    }

    /// The rest of it outside some segments; nil when there is none.
    private func without(_ expired: SegmentSet) -> KnownGap? {
        let size = expired.segmentSize
        var (first, last) = (first, last)
        if let run = expired.runs(of: first.timeline).first(where: { $0.contains(first.number(segmentSize: size)) }) {
            if last.timeline == first.timeline, last.number(segmentSize: size) <= run.upperBound { return nil }
            first = SegmentName(timeline: first.timeline, number: run.upperBound + 1, segmentSize: size)
        }
        if let run = expired.runs(of: last.timeline).first(where: { $0.contains(last.number(segmentSize: size)) }) {
            // Of a gap over two timelines the older end is removed first.
            guard first.timeline == last.timeline, run.lowerBound > 0 else { return nil }
            last = SegmentName(timeline: last.timeline, number: run.lowerBound - 1, segmentSize: size)
        }
        var left = KnownGap(first: first, last: last)
        left.former = former
        return left
    }
}

/// Damage that a verification found and that persists, or that the sizes of a backup's objects show.
public struct KnownDamage: Sendable, Equatable {
    /// A backup's label or a segment's name.
    public let name: String
    public let segment: SegmentName?
    /// What is wrong with it, without a full stop.
    public let reason: String
    /// The incarnation's folder; nil for the one in use.
    public var former: String?
    /// Set when a later version of tidemark wrote it: then it isn't known to be damaged.
    var later: UnsupportedFormat?

    /// `segment "…" is damaged: …`
    public var sentence: String {
        "\(segment == nil ? "backup" : "segment") \"\(name)\"\(former.map { " of incarnation \($0)" } ?? "") "
            + (later.map { "cannot be read: \($0.message)" } ?? "is damaged: \(reason)")
    }
    static let formerRemedy =
        "It is of the time before initdb or pg_upgrade, and no server has it any more: restore it from a copy of the repository."
    public var remedy: String {
        if let hint = later?.hint { return hint }
        if former != nil { return KnownDamage.formerRemedy }
        return segment == nil
            ? "Take a backup now; \"\(runnable("tidemark remove \(shellQuoted(name))"))\" removes this one."
            : "If a server still has it in its pg_wal, store it again with \"\(runnable("tidemark archive-push PATH"))\". Take a backup now: "
                + "recovery from earlier ones ends before this segment."
    }

    /// Checks the sizes of backups' objects, and again what verifications since the last complete one named; reads
    /// nothing else.
    ///
    /// - Parameters:
    ///   - backups: the complete ones.
    ///   - former: the cluster's other incarnations.
    ///   - now: findings of jobs with a later end are checked as well, since it isn't known when they ran.
    public static func find(
        in jobs: [JobRecord], and backups: [BackupDescription], of archive: ClusterArchive,
        former: [ClusterArchive] = [], now: Moment
    ) throws -> [KnownDamage] {
        let visible = try backups.compactMap { backup in
            try visibleDamage(of: backup, from: archive).map {
                KnownDamage(name: backup.label, segment: nil, reason: $0)
            }
        }
        let seen = Set(visible.map(\.name))
        return try visible + verified(jobs, archive, former, now).filter { $0.former != nil || !seen.contains($0.name) }
    }

    private static func verified(
        _ jobs: [JobRecord], _ archive: ClusterArchive, _ former: [ClusterArchive], _ now: Moment
    ) throws -> [KnownDamage] {
        let all = jobs.filter { $0.kind == .verify && $0.facts["problems"] != nil }
        let runs = all.ended(by: now)
        let undated = all.filter { !runs.contains($0) }
        var names: [VerifiedPart.Name] = []
        for part in [VerifiedPart.backups, .wal] {
            let own = runs.filter(part.isRead)
            let start = own.lastIndex { $0.facts[VerifiedPart.only] == nil } ?? own.startIndex
            names += (own[start...] + undated.filter(part.isRead)).flatMap {
                ($0.facts[VerifiedPart.damaged] ?? "").split(separator: " ")
            }
            .compactMap { text in
                let (folder, name) = VerifiedPart.parted(text)
                return archive.named(folder, among: former).map { VerifiedPart.Name(String(name), of: $0.incarnation) }
            }.filter { $0.isSegment == (part == .wal) }
        }
        return try VerifiedPart.first(names).compactMap { named in
            guard let place = ([archive] + former).first(where: { $0.incarnation == named.incarnation }) else {
                return nil
            }
            var found = try damage(of: named.name, in: place)
            found?.former = named.incarnation == archive.incarnation ? nil : named.incarnation.folderName
            return found
        }
    }

    /// Nil when it is no longer damaged.
    private static func damage(of name: String, in archive: ClusterArchive) throws -> KnownDamage? {
        if let segment = SegmentName(name) {
            return try Archiving.damage(of: segment, archive).map {
                KnownDamage(
                    name: name, segment: segment, reason: $0.message, later: archive.laterFormat(of: segment))
            }
        }
        guard let last = try archive.standingVerification(of: name) else { return nil }
        if let fault = last.fault {
            return KnownDamage(
                name: name, segment: nil, reason: "the record of its verification of \(last.time) \(fault.verdict)")
        }
        return KnownDamage(
            name: name, segment: nil, reason: "a verification found \(counted(last.problems, "problem")) in it",
            later: last.later)
    }

    /// The segments that a verification found damaged and that no server would get. Their heads, from which plans are
    /// made, may be sound.
    /// - Parameter note: gets why that is not known.
    public static func undelivered(of archive: ClusterArchive, note: (String) -> Void) -> [WALBreak] {
        do {
            let jobs = try JobJournal(of: archive).contents(kind: .verify).jobs
            return try verified(jobs, archive, [], Moment(microseconds: Clock.now)).compactMap(\.segment)
                .compactMap { try deliveryFault(of: .segment($0), archive) }
        } catch {
            let reason = explanation(of: error)
            note("it is not known whether WAL that a verification found damaged still is: \(reason)")
            return []
        }
    }

    /// As `find`, with the records in the journal.
    public static func find(of archive: ClusterArchive) throws -> [KnownDamage] {
        try find(
            in: JobJournal(of: archive).contents(kind: .verify).jobs,
            and: archive.listBackups().complete, of: archive, now: Moment(microseconds: Clock.now))
    }
}

extension ClusterArchive {
    /// This archive or one of `others`, by the incarnation's folder; this one without a folder.
    fileprivate func named(_ folder: Substring?, among others: [ClusterArchive]) -> ClusterArchive? {
        guard let folder else { return self }
        return ([self] + others).first { $0.incarnation.folderName == folder }
    }
}
