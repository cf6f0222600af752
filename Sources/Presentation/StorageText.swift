import Expiring
public import Operations
import Platform
import Repository

/// The space that backups and WAL take.
///
/// - Parameter days: how many of the last days to list; nil for all.
public func storageText(_ storage: ClusterStorage, days: Int?) -> String {
    let report = storage.current.report
    var table = TextTable(["what", "stored"], [.left, .right])
    func add(_ backups: [StorageReport.Backup], _ of: String = "") {
        for backup in backups {
            table.add([
                "backup \(backup.label)\(of)\(backup.isComplete ? "" : " (not complete)")", size(backup.stored),
            ])
        }
    }
    for part in storage.former {
        let of = " of incarnation \(part.incarnation.folderName)"
        add(part.report.backups, of)
        let count = part.report.days.reduce(0) { $0 + $1.segments }
        if count > 0 { table.add(["WAL\(of), \(counted(count, "segment"))", size(part.report.walBytes)]) }
    }
    add(report.backups)
    for day in report.days.suffix(days ?? .max) {
        table.add(["WAL of \(day.date), \(counted(day.segments, "segment"))", size(day.stored)])
    }
    table.add(["all backups", size(storage.backupBytes)])
    table.add(["all WAL", size(storage.walBytes)])
    if storage.asideBytes > 0 { table.add(["what was put aside", size(storage.asideBytes)]) }
    var lines = table.lines
    if let growth = report.walPerDay, growth > 0 {
        let room = storage.free.map { "; \(size($0)) are free, enough for \(counted($0 / growth, "day")) of WAL" } ?? ""
        lines.append("WAL grows by \(size(growth)) a day\(room).")
    } else if let free = storage.free {
        lines.append("\(size(free)) are free.")
    }
    if storage.wouldFree > 0 {
        lines.append("\"\(runnable("tidemark expire"))\" would free \(size(storage.wouldFree)).")
    }
    return joined(lines)
}

/// The same as JSON.
public struct StorageDocument: Encodable {
    struct Backup: Encodable {
        let label: String
        let incarnation: String
        let complete: Bool
        let stored: Int64
    }
    /// Incarnations from before initdb or pg_upgrade.
    struct Former: Encodable {
        let incarnation: String
        let backupBytes, walBytes, wouldFree: Int64
    }
    struct Day: Encodable {
        let date: String
        let segments: Int
        let stored: Int64
    }
    let backups: [Backup]
    let wal: [Day]
    let backupBytes, walBytes, asideBytes, wouldFree: Int64
    /// Only where the repository's store can tell.
    let free: Int64?
    let walPerDay: Int64?
    let former: [Former]

    public init(_ storage: ClusterStorage, days: Int?) {
        backups = storage.all.flatMap { part in
            part.report.backups.map {
                Backup(
                    label: $0.label, incarnation: part.incarnation.folderName, complete: $0.isComplete,
                    stored: $0.stored)
            }
        }
        wal = storage.current.report.days.suffix(days ?? .max).map {
            Day(date: $0.date, segments: $0.segments, stored: $0.stored)
        }
        (backupBytes, walBytes) = (storage.backupBytes, storage.walBytes)
        (asideBytes, wouldFree) = (storage.asideBytes, storage.wouldFree)
        (free, walPerDay) = (storage.free, storage.current.report.walPerDay)
        former = storage.former.map {
            Former(
                incarnation: $0.incarnation.folderName, backupBytes: $0.report.backupBytes,
                walBytes: $0.report.walBytes, wouldFree: $0.report.wouldFree)
        }
    }
}
