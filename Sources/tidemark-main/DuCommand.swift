import BaseBackup
import Configuration
import Operations
import Platform
import Repository
import Retention

enum DuCommand: Command {
    static let grammar = Grammar(
        "du", "show what takes up space in the repository",
        description: [
            "Backups one by one, WAL day by day, the growth, and what \"tidemark expire\" would free. What is from before initdb or "
                + "pg_upgrade counts as well."
        ],
        options: [
            .init("days", value: "N", "show WAL of the last N days (default: 14; 0 shows all)"),
            .init("json", "print JSON"),
        ],
        examples: [Grammar.Example("tidemark du", "the whole repository")])

    private struct Document: Encodable {
        struct Backup: Encodable {
            let label: String
            let incarnation: String
            let complete: Bool
            let stored: Int64
        }
        /// What was before initdb or pg_upgrade.
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
        /// Where the repository's store can tell.
        let free: Int64?
        let walPerDay: Int64?
        let former: [Former]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let cluster = try invocation.cluster()
        let known = try incarnations(of: cluster)
        let shown = try invocation.arguments.integer("days", in: 0...36_500) ?? 14
        let policy = RetentionPolicy(configuration.retention(for: cluster))
        let report = try storageReport(of: known.current, policy: policy)
        let former = try known.former.map { ($0.incarnation, try storageReport(of: $0, policy: policy)) }
        let reports = [(known.current.incarnation, report)] + former
        let backupBytes = reports.reduce(0) { $0 + $1.1.backupBytes }
        let walBytes = reports.reduce(0) { $0 + $1.1.walBytes }
        let asideBytes: Int64 = reports.reduce(0) { $0 + $1.1.asideBytes }
        let wouldFree = reports.reduce(0) { $0 + $1.1.wouldFree }
        let free = try known.current.store.capacity()?.free
        let days = shown == 0 ? report.days[...] : report.days.suffix(shown)
        if invocation.json {
            try invocation.print(
                json: Document(
                    backups: reports.flatMap { incarnation, report in
                        report.backups.map {
                            .init(
                                label: $0.label, incarnation: incarnation.folderName, complete: $0.isComplete,
                                stored: $0.stored)
                        }
                    },
                    wal: days.map { .init(date: $0.date, segments: $0.segments, stored: $0.stored) },
                    backupBytes: backupBytes, walBytes: walBytes, asideBytes: asideBytes, wouldFree: wouldFree,
                    free: free,
                    walPerDay: report.walPerDay,
                    former: former.map {
                        .init(
                            incarnation: $0.folderName, backupBytes: $1.backupBytes, walBytes: $1.walBytes,
                            wouldFree: $1.wouldFree)
                    }))
            return .success
        }
        var table = TextTable(["what", "stored"], [.left, .right])
        func add(_ backups: [StorageReport.Backup], _ of: String = "") {
            for backup in backups {
                table.add([
                    "backup \(backup.label)\(of)\(backup.isComplete ? "" : " (not complete)")", size(backup.stored),
                ])
            }
        }
        for (incarnation, report) in former {
            let of = " of incarnation \(incarnation.folderName)"
            add(report.backups, of)
            let count = report.days.reduce(0) { $0 + $1.segments }
            if count > 0 { table.add(["WAL\(of), \(count) segments", size(report.walBytes)]) }
        }
        add(report.backups)
        for day in days { table.add(["WAL of \(day.date), \(day.segments) segments", size(day.stored)]) }
        table.add(["all backups", size(backupBytes)])
        table.add(["all WAL", size(walBytes)])
        if asideBytes > 0 { table.add(["what was put aside", size(asideBytes)]) }
        invocation.print(table.text)
        if let growth = report.walPerDay, growth > 0 {
            let room = free.map { "; \(size($0)) are free, enough for \($0 / growth) days of WAL" } ?? ""
            invocation.print("WAL grows by \(size(growth)) a day\(room).")
        } else if let free {
            invocation.print("\(size(free)) are free.")
        }
        if wouldFree > 0 { invocation.print("\"tidemark expire\" would free \(size(wouldFree)).") }
        return .success
    }
}
