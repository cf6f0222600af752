import BaseBackup
import Configuration
import Platform
import Repository

enum DuCommand: Command {
    static let grammar = Grammar(
        "du", "show what takes space in the repository",
        description: ["Backups one by one, WAL day by day, the growth, and what \"tidemark expire\" would free."],
        options: [
            .init("days", value: "N", "show WAL of the last N days (default: 14; 0 shows all)"),
            .init("json", "print JSON"),
        ],
        examples: [Grammar.Example("tidemark du", "as it says")])

    private struct Document: Encodable {
        struct Backup: Encodable {
            let label: String
            let complete: Bool
            let stored: Int64
        }
        struct Day: Encodable {
            let date: String
            let segments: Int
            let stored: Int64
        }
        let backups: [Backup]
        let wal: [Day]
        let backupBytes, walBytes, wouldFree, free: Int64
        let walPerDay: Int64?
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let cluster = try invocation.cluster()
        let store = DirectoryStore(cluster.repository)
        let incarnation = try currentIncarnation(of: cluster, in: store)
        let shown = try invocation.arguments.integer("days", in: 0...36_500) ?? 14
        let report = try storageReport(
            of: incarnation, in: store, policy: RetentionPolicy(configuration.retention(for: cluster)))
        let free = try Files.space(at: cluster.repository).free
        let days = shown == 0 ? report.days[...] : report.days.suffix(shown)
        if invocation.json {
            try invocation.print(
                json: Document(
                    backups: report.backups.map { .init(label: $0.label, complete: $0.isComplete, stored: $0.stored) },
                    wal: days.map { .init(date: $0.date, segments: $0.segments, stored: $0.stored) },
                    backupBytes: report.backupBytes, walBytes: report.walBytes, wouldFree: report.wouldFree,
                    free: free, walPerDay: report.walPerDay))
            return .success
        }
        var table = TextTable(["what", "stored"], [.left, .right])
        for backup in report.backups {
            table.add(["backup \(backup.label)\(backup.isComplete ? "" : " (not complete)")", size(backup.stored)])
        }
        for day in days { table.add(["WAL of \(day.date), \(day.segments) segments", size(day.stored)]) }
        table.add(["all backups", size(report.backupBytes)])
        table.add(["all WAL", size(report.walBytes)])
        invocation.print(table.text)
        if let growth = report.walPerDay, growth > 0 {
            invocation.print(
                "WAL grows by \(size(growth)) a day; \(size(free)) are free, enough for \(free / growth) days of WAL.")
        } else {
            invocation.print("\(size(free)) are free.")
        }
        if report.wouldFree > 0 { invocation.print("\"tidemark expire\" would free \(size(report.wouldFree)).") }
        return .success
    }
}
