public import Repository
import WAL

/// What a cluster's backups and WAL take in the repository.
public struct StorageReport: Sendable {
    public struct Backup: Sendable {
        public var label: String
        public var isComplete: Bool
        /// Bytes in the repository.
        public var stored: Int64
    }
    public struct Day: Sendable {
        /// Of the first commit in the segments; a day's segments without commits count with the day before.
        public var date: String
        public var segments: Int
        /// Bytes in the repository.
        public var stored: Int64
    }
    public var backups: [Backup] = []
    public var days: [Day] = []
    public var otherWAL: Int64 = 0
    /// Bytes that `expire` would free now.
    public var wouldFree: Int64 = 0

    public var backupBytes: Int64 { backups.reduce(0) { $0 + $1.stored } }
    public var walBytes: Int64 { days.reduce(otherWAL) { $0 + $1.stored } }
    /// WAL per day, over the whole days among the last seven; nil without one.
    public var walPerDay: Int64? {
        let whole = days.dropFirst().dropLast().suffix(7)
        return whole.isEmpty ? nil : whole.reduce(0) { $0 + $1.stored } / Int64(whole.count)
    }
}

/// Adds up an incarnation's objects; reads the head of every segment for its day.
public func storageReport(of incarnation: Incarnation, in store: any ObjectStore, policy: RetentionPolicy) throws
    -> StorageReport
{
    var report = StorageReport()
    let listing = try listBackups(of: incarnation, in: store)
    func stored(_ folder: RepositoryKey) throws -> Int64 {
        try store.list(folder).filter { !$0.isFolder }
            .reduce(0) { try $0 + (store.size(of: folder.appending($1.name)) ?? 0) }
            + store.leftovers(in: folder).reduce(0) { $0 + $1.size }
    }
    func add(_ label: String, isComplete: Bool) throws {
        let bytes = try stored(incarnation.backupFolder(label)) + stored(incarnation.packFolder(label))
        report.backups.append(.init(label: label, isComplete: isComplete, stored: bytes))
    }
    for backup in listing.complete { try add(backup.label, isComplete: true) }
    for label in listing.incomplete { try add(label, isComplete: false) }
    var days: [String: StorageReport.Day] = [:]
    for timeline in try store.timelines(of: incarnation) {
        var date = "unknown"
        for name in try store.segments(of: incarnation, timeline: timeline) {
            let object = try store.open(incarnation.segment(name))
            if let head = try? SegmentHead(of: object), let summary = try? SegmentSummary(decoding: head.summary),
                let commit = summary.facts.firstCommit
            {
                date = String(commit.time.description.prefix(10))
            }
            days[date, default: .init(date: date, segments: 0, stored: 0)].segments += 1
            days[date]!.stored += object.size
        }
    }
    report.days = days.values.sorted { $0.date < $1.date }
    if let expiry = try? expireBackups(of: incarnation, in: store, policy: policy, dryRun: true) {
        report.wouldFree = expiry.freed
    }
    return report
}
