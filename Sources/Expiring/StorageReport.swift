import Backups
public import Repository
public import Retention
import WAL

/// The space that a cluster's backups and WAL take in the repository.
public struct StorageReport: Sendable {
    public struct Backup: Sendable {
        public var label: String
        public var isComplete: Bool
        /// Bytes in the repository.
        public var stored: Int64
    }
    public struct Day: Sendable {
        /// Days since 1970-01-01, UTC, of the first commit in the segments; segments without one count with those
        /// before them. Nil for those before the first commit of a timeline.
        public var number: Int?
        public var segments = 0
        /// Bytes in the repository.
        public var stored: Int64 = 0

        /// `2026-11-20`, or `unknown`.
        public var date: String {
            number.map { Moment(microseconds: Int64($0) * 86_400_000_000).description.prefix(10) }.map(String.init)
                ?? "unknown"
        }
    }
    public var backups: [Backup] = []
    /// In their order; the unknown one first.
    public var days: [Day] = []
    /// Bytes of objects that were put aside, including their records.
    public var asideBytes: Int64 = 0
    /// Bytes that `expire` would free now.
    public var wouldFree: Int64 = 0

    public var backupBytes: Int64 { backups.reduce(0) { $0 + $1.stored } }
    public var walBytes: Int64 { days.reduce(0) { $0 + $1.stored } }
    /// Bytes of WAL per day, over the last seven days except the newest, which isn't over, and the first, which is
    /// incomplete; days without WAL count. Nil without a complete day.
    public var walPerDay: Int64? {
        let known = days.filter { $0.number != nil }
        guard let first = known.first?.number, let last = known.last?.number, last > first + 1 else { return nil }
        let whole = max(first + 1, last - 7)..<last
        return known.lazy.filter { whole.contains($0.number!) }.reduce(0) { $0 + $1.stored } / Int64(whole.count)
    }
}

/// Sums up an incarnation's objects; reads the head of every segment for its day.
///
/// - Parameters:
///   - policy: says what would be freed.
///   - dataDirectory: the cluster's own; what leads to the timeline it is on stays.
public func storageReport(
    of archive: ClusterArchive, policy: RetentionPolicy, dataDirectory: String? = nil
) throws -> StorageReport {
    var report = StorageReport()
    let listing = try archive.listBackups()
    func stored(_ folder: RepositoryKey) throws -> Int64 {
        try archive.store.list(folder).reduce(0) { $0 + ($1.size ?? 0) }
            + archive.store.leftovers(in: folder).reduce(0) { $0 + $1.size }
    }
    func add(_ label: String, isComplete: Bool) throws {
        let bytes = try stored(archive.incarnation.backupFolder(label)) + stored(archive.incarnation.packFolder(label))
        report.backups.append(.init(label: label, isComplete: isComplete, stored: bytes))
    }
    for backup in listing.all { try add(backup.label, isComplete: true) }
    for label in listing.incomplete { try add(label, isComplete: false) }
    var days: [Int?: StorageReport.Day] = [:]
    for timeline in try archive.timelines() {
        var number: Int?
        for name in try archive.segments(timeline: timeline) {
            let object: any StoredObject
            // An expiration may be running.
            do {
                object = try archive.store.open(archive.key(for: .segment(name)), bringing: SegmentHead.usualLength)
            } catch is ObjectAbsent { continue }
            if let head = try? SegmentHead(of: object), let summary = try? SegmentSummary(decoding: head.summary),
                let commit = summary.facts.firstCommit
            {
                number = Int(commit.time.microseconds / 86_400_000_000)
            }
            days[number, default: .init(number: number)].segments += 1
            days[number]!.stored += object.size
        }
    }
    report.asideBytes = try archive.store.bytes(below: archive.incarnation.asideFolder)
    report.days = days.values.sorted { $0.number ?? .min < $1.number ?? .min }
    let expiry = try? expireBackups(
        of: archive, policy: policy,
        own: dataDirectory.flatMap { try OwnTimeline(in: $0, of: archive.incarnation) }, dryRun: true)
    if let expiry {
        report.wouldFree = expiry.freed
    }
    return report
}

extension ObjectStore {
    fileprivate func bytes(below folder: RepositoryKey) throws -> Int64 {
        try list(folder).reduce(0) { sum, entry in
            try sum + (entry.isFolder ? bytes(below: folder.appending(entry.name)) : entry.size ?? 0)
        }
    }
}
