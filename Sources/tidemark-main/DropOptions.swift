import Configuration
import Platform
import Recovery
import TableRecovery
import WAL

/// `--before-drop` and `--before-drop-database`: targets that the archive itself knows.
enum DropOptions {
    static let options: [Grammar.Option] = [
        .init("before-drop", value: "DB.SCHEMA.TABLE", "stop just before this table was dropped"),
        .init("before-drop-database", value: "DB", "stop just before this database was dropped"),
    ]

    /// The request, when one of the options is there, and what may be wrong about it, as sentences.
    static func request(
        _ invocation: Invocation, _ archive: RecoveryArchive, _ timeline: RecoveryTarget.Timeline
    ) throws -> (request: PlanRequest, doubt: String?)? {
        let arguments = invocation.arguments
        let given =
            ["before-drop", "before-drop-database", "target-time", "target-lsn", "target-xid", "target-name", "target"]
            .filter(arguments.has)
        guard given.first?.hasPrefix("before-drop") == true else { return nil }
        guard given.count == 1 else {
            throw UsageError("--\(given[0]) and --\(given[1]) exclude each other", hint: "Name one target.")
        }
        var target: RecoveryTarget
        var doubt: String?
        if let table = arguments.value("before-drop") {
            let moment = try momentBeforeDrop(
                of: [try TablePattern(table)], in: archive, timeline: timeline, backup: arguments.value("backup"))
            moment.tell(invocation.log)
            doubt = moment.doubt
            target = moment.target
        } else {
            let name = arguments.value("before-drop-database") ?? ""
            let moment = try momentBeforeDrop(ofDatabase: name, in: archive, timeline: timeline)
            invocation.log(
                .log, "database \"\(name)\" was dropped by transaction \(moment.drop.xid), LSN \(moment.drop.lsn)")
            doubt = moment.doubt
            target = moment.target
        }
        if arguments.value("target-action") == "pause" {
            invocation.log(
                .warning, "a paused server still holds the lock of the transaction that dropped the table",
                detail: "Queries of the table would wait until the server is promoted.",
                hint: "Leave out --target-action pause.")
        }
        target.timeline = timeline
        return (PlanRequest(target, backup: arguments.value("backup")), doubt)
    }
}

extension DropMoment {
    /// When each table was dropped.
    func tell(_ log: Log) {
        for (table, transaction) in drops {
            let what = "transaction \(transaction.xid), LSN \(transaction.lsn)"
            log(.log, "table \(table.quoted) was dropped at \(transaction.time) by \(what)")
        }
    }
}

/// A moment that isn't in the archive can't be reached.
extension NoDatabaseDropFound: ExitStatusProviding {
    var exitStatus: ExitStatus { .unreachable }
}
